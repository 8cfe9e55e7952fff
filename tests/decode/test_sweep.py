"""What one pass does with entries, data, ends, garbage; every engine alike."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from baseline_build.decode import Flow, engine_name, instruction, requirement, sweep
from baseline_build.decode.engine import library
from baseline_build.errors import ConfigError, InternalError
from baseline_build.isa import Machine

from ..tools import missing

AVX = bytes.fromhex("c5f458c1")


@pytest.fixture(params=["python", "c"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("BASELINE_BUILD_ENGINE", raising=False)
    if request.param == "c" and library() is None:
        missing("the compiled engine is not built: python -m baseline_build.decode._engine_build")
    monkeypatch.setenv("BASELINE_BUILD_ENGINE", request.param)
    return str(request.param)


def test_engine_name(engine: str) -> None:
    assert engine_name() == engine


def test_unknown_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASELINE_BUILD_ENGINE", "rust")
    with pytest.raises(ConfigError, match="BB912"):
        sweep(Machine.X86_64, b"\x90", 0)


def test_machine_without_decoder_is_refused() -> None:
    for call in (
        lambda: sweep(Machine.S390X, b"\0", 0),
        lambda: instruction(Machine.S390X, b"\0", 0),
        lambda: requirement(Machine.S390X, 1),
    ):
        with pytest.raises(InternalError, match="BB911"):
            call()


def test_nothing() -> None:
    found = sweep(Machine.X86_64, b"", 0x1000)
    assert (found.instructions, list(found.mark_addresses), found.undecoded) == (0, [], ())


def test_resynchronises_at_an_entry() -> None:
    # mov eax, imm32 cut by an entry: its bytes before the entry are no code, those from the entry on are.
    code = b"\xb8\x00" + AVX + b"\xc3"
    blind = sweep(Machine.X86_64, code, 0x1000)
    assert list(blind.mark_addresses) == []
    found = sweep(Machine.X86_64, code, 0x1000, [0x1002])
    assert found.undecoded == ((0x1000, 2),)
    assert list(found.mark_addresses) == [0x1002]
    assert requirement(Machine.X86_64, found.mark_requirements[0]) == {"avx"}
    assert found.instructions == 2


def test_marked_instruction_over_an_entry_is_no_mark() -> None:
    found = sweep(Machine.X86_64, AVX + b"\xc0\x00", 0x1000, [0x1003])
    assert list(found.mark_addresses) == []
    assert found.undecoded == ((0x1000, 3),)


def test_data_is_passed_over() -> None:
    code = b"\x90" + AVX + b"\xc3"
    found = sweep(Machine.X86_64, code, 0x1000, [], [(0x1001, 0x1005)])
    assert found.instructions == 2
    assert list(found.mark_addresses) == []
    assert found.undecoded == ()
    assert list(found.branch_addresses) == [0x1005]


def test_data_and_entries_mix() -> None:
    code = b"\xb8" * 4 + AVX + b"\x90" * 4
    found = sweep(Machine.X86_64, code, 0x1000, [0x1004, 0x1009], [(0x1000, 0x1003), (0x1008, 0x100A)])
    assert list(found.mark_addresses) == [0x1004]
    assert found.undecoded == ((0x1003, 1),)
    assert found.instructions == 3


def test_cut_off_at_the_end() -> None:
    for cut in range(1, len(AVX)):
        found = sweep(Machine.X86_64, AVX[:cut], 0x1000)
        assert found.instructions == 0
        assert found.undecoded == ((0x1000, cut),)
        assert not instruction(Machine.X86_64, AVX[:cut], 0x1000).valid


def test_undecodable_bytes_advance_by_one_and_are_joined() -> None:
    found = sweep(Machine.X86_64, b"\x06\x06\x07\x90\x06", 0x1000)
    assert found.undecoded == ((0x1000, 3), (0x1004, 1))
    assert found.instructions == 1


def test_targets_and_references() -> None:
    code = bytes.fromhex("e8fb000000 7402 eb00 488d0510000000 ff25f0ffffff")
    found = sweep(Machine.X86_64, code, 0x1000)
    kinds = [Flow(flow) for flow in found.branch_flows]
    assert kinds == [Flow.CALL, Flow.BRANCH, Flow.JUMP, Flow.JUMP_INDIRECT]
    assert list(found.branch_targets) == [0x1100, 0x1009, 0x1009, 0]
    assert dict(zip(found.reference_addresses, found.reference_targets)) == {0x1009: 0x1020, 0x1010: 0x1006}
    one = instruction(Machine.X86_64, code, 0x1000, 9)
    assert (one.address, one.memory, one.target) == (0x1009, 0x1020, None)


def test_targets_wrap() -> None:
    assert list(sweep(Machine.X86_64, b"\xeb\x80", 0).branch_targets) == [2**64 - 126]
    assert list(sweep(Machine.I386, b"\xeb\x80", 0).branch_targets) == [2**32 - 126]
    assert list(sweep(Machine.I386, bytes.fromhex("66e90080"), 0x10000).branch_targets) == [0x8004]


def test_absolute_references() -> None:
    i386 = {
        "8b0510000000": 0x10,  # disp32
        "8b048510000000": 0x10,  # index without base: a table
        "ff248510000000": 0x10,
        "a110000000": 0x10,
        "658b0510000000": None,  # %gs: thread-local
        "8b4010": None,
    }
    for code, target in i386.items():
        found = sweep(Machine.I386, bytes.fromhex(code), 0x1000)
        assert list(found.reference_targets) == ([] if target is None else [target]), code
    table = sweep(Machine.X86_64, bytes.fromhex("ff24c500104000"), 0x1000)
    assert list(table.reference_targets) == [0x401000]
    assert list(sweep(Machine.X86_64, bytes.fromhex("64488b042528000000"), 0).reference_targets) == []
    assert list(sweep(Machine.X86_64, bytes.fromhex("67488d0510000000"), 0xFFFFFFF8).reference_targets) == [0x10]


def test_run_of_prefixes_takes_linear_time() -> None:
    code = b"\x66" * 300_000
    started = time.process_time()
    found = sweep(Machine.X86_64, code, 0)
    assert found.instructions == 0
    assert found.undecoded == ((0, len(code)),)
    assert time.process_time() - started < 20


def test_i386_marks_sse2_and_not_cmov() -> None:
    found = sweep(Machine.I386, bytes.fromhex("660f58c1 0f58c1 0f6fc1 0f44c1 0fa2"), 0)
    needs = [requirement(Machine.I386, number) for number in found.mark_requirements]
    assert needs == [{"sse2"}, {"sse"}, {"mmx"}]
    assert len(sweep(Machine.X86_64, bytes.fromhex("660f58c1 0f58c1 0f6fc1 0f44c1"), 0).mark_addresses) == 0


def test_threads_agree() -> None:
    code = bytes(range(256)) * 64
    results = []

    def work() -> None:
        found = sweep(Machine.X86_64, code, 0)
        marks = [requirement(Machine.X86_64, number) for number in found.mark_requirements]
        results.append((found.instructions, found.undecoded, marks))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(results) == 4
    assert all(result == results[0] for result in results)


def test_accepts_any_buffer() -> None:
    for code in (bytearray(AVX), memoryview(AVX), memoryview(b"\x90" + AVX)[1:]):
        assert list(sweep(Machine.X86_64, code, 0).mark_lengths) == [4]
        assert instruction(Machine.X86_64, code, 0).length == 4
