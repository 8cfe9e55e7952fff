"""The filter itself: spellings in, what is left out."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseline_build.errors import ConfigError
from baseline_build.toolchain.filtering import filter_arguments
from baseline_build.toolchain.responses import expand_responses, join_response, split_response
from baseline_build.toolchain.tables import flags, level_of, target_of

# (line, what is left, how many of the removed options are foreign)
SPELLINGS = [
    ("-O2 -march=native a.c", "-O2 a.c", 1),
    ("-march=x86-64 a.c", "a.c", 0),
    ("-march=x86-64-v3 -mtune=haswell a.c", "a.c", 1),
    ("-mcpu=native a.c", "a.c", 1),
    ("-mtune=native -mtune-ctrl=x a.c", "a.c", 0),
    ("-mavx -mavx2 -mavx512f -mfma -mbmi2 a.c", "a.c", 5),
    ("-msse3 -mssse3 -msse4 -msse4.1 -msse4.2 -msse4a -mpopcnt -mabm -mcx16 -msahf a.c", "a.c", 10),
    ("-mavx99vnni -mamx-future -mapxf a.c", "a.c", 3),
    ("-msse2avx -mneeded a.c", "a.c", 2),
    (
        "-msse -msse2 -mmmx -mfxsr -mno-avx2 -mfpmath=sse -m64 a.c",
        "-msse -msse2 -mmmx -mfxsr -mno-avx2 -mfpmath=sse -m64 a.c",
        0,
    ),
    (
        "-mavx256-split-unaligned-load -mprefer-vector-width=256 a.c",
        "-mavx256-split-unaligned-load -mprefer-vector-width=256 a.c",
        0,
    ),
    ("--machine=avx2 --machine-avx --machine avx512f a.c", "a.c", 3),
    ("-Wp,-mavx2,-DX=1 -Wp,-mfma a.c", "-Wp,-DX=1 a.c", 2),
    ("-Xpreprocessor -mavx2 -Xpreprocessor -DX a.c", "-Xpreprocessor -DX a.c", 1),
    ("-Wa,-march=haswell,--noexecstack a.s", "-Wa,--noexecstack a.s", 1),
    ("-Wa,-march=core2,+avx a.s", "a.s", 2),
    ("-Wa,-msse2avx -Xassembler -march=znver3 -Xassembler --warn a.s", "-Xassembler --warn a.s", 2),
    ("-Wl,-z,x86-64-v2 a.o", "a.o", 1),
    ("-Wl,-z,relro,-z,x86-64-v3,-z,now a.o", "-Wl,-z,relro,-z,now a.o", 1),
    ("-Wl,-z -Wl,x86-64-v2 a.o", "a.o", 1),
    ("-Wl,-O1,-z a.o -Wl,x86-64-v4,--gc-sections", "-Wl,-O1 a.o -Wl,--gc-sections", 1),
    ("-Xlinker -z -Xlinker x86-64-v2 -Xlinker -z -Xlinker now", "-Xlinker -z -Xlinker now", 1),
    ("-z x86-64-v2 -z now -zx86-64-v3", "-z now", 2),
    ("-Wl,-plugin-opt=mcpu=native,-plugin-opt=O2 a.o", "-Wl,-plugin-opt=O2 a.o", 1),
    ("-Wl,-mllvm,-mcpu=native,-O2 a.o", "-Wl,-O2 a.o", 1),
    ("-Xclang -target-feature -Xclang +avx2 a.c", "a.c", 1),
    (
        "-Xclang -target-feature -Xclang -avx2 -Xclang -target-feature -Xclang +sse2 a.c",
        "-Xclang -target-feature -Xclang -avx2 -Xclang -target-feature -Xclang +sse2 a.c",
        0,
    ),
    ("-Xclang -target-cpu -Xclang haswell -Xclang -tune-cpu -Xclang haswell a.c", "a.c", 1),
    ("-Xclang=-target-feature -Xclang=+avx2 a.c", "a.c", 1),
    ("-mllvm -mattr=+avx2 -mllvm -inline-threshold=5 a.c", "-mllvm -inline-threshold=5 a.c", 1),
    ("-Xarch_host -mavx2 -Xarch_host -DX a.c", "-Xarch_host -DX a.c", 1),
    (
        "-include -mavx2 -imacros -mavx2 -o -mavx2 -I -mavx2 a.c",
        "-include -mavx2 -imacros -mavx2 -o -mavx2 -I -mavx2 a.c",
        0,
    ),
    (
        "-include pre.h -imacros m.h -DX=-mavx2 -I/usr/x-mavx2 a.c",
        "-include pre.h -imacros m.h -DX=-mavx2 -I/usr/x-mavx2 a.c",
        0,
    ),
    ("-O3 -flto -fno-fat-lto-objects a.c", "-O3 -flto -fno-fat-lto-objects a.c", 0),
]


@pytest.mark.parametrize(("line", "left", "foreign"), SPELLINGS, ids=[line for line, _, _ in SPELLINGS])
def test_spelling(line: str, left: str, foreign: int) -> None:
    outcome = filter_arguments(shlex.split(line), "gcc", "x86-64", "x86-64")
    assert shlex.join(outcome.arguments) == left
    assert len(outcome.foreign) == foreign


def test_what_the_level_has_stays() -> None:
    outcome = filter_arguments(["-msse4.2", "-mpopcnt", "-mavx2", "-march=x86-64-v2"], "gcc", "x86-64", "x86-64-v2")
    assert outcome.arguments == ("-msse4.2", "-mpopcnt")
    assert outcome.foreign == ("-mavx2",)


@pytest.mark.parametrize(
    ("line", "left", "foreign"),
    [
        ("-march=armv8-a+crc a.c", "a.c", 1),
        ("-march=armv8.2-a+sve -mcpu=neoverse-n1 -mtune=native a.c", "a.c", 2),
        (
            "-march=armv8-a -mno-outline-atomics -mbranch-protection=standard",
            "-mno-outline-atomics -mbranch-protection=standard",
            0,
        ),
        ("-moutline-atomics -mcrc a.c", "-moutline-atomics a.c", 1),
    ],
)
def test_arm64(line: str, left: str, foreign: int) -> None:
    outcome = filter_arguments(shlex.split(line), "gcc", "aarch64", "armv8-a")
    assert shlex.join(outcome.arguments) == left
    assert len(outcome.foreign) == foreign


def test_machines_without_levels_lose_only_native() -> None:
    outcome = filter_arguments(["-march=native", "-mcpu=power9", "-mvsx"], "gcc", "other", None)
    assert outcome.arguments == ("-mcpu=power9", "-mvsx")
    assert outcome.foreign == ("-march=native",)


def test_unknown_machine_options_are_passed_on_and_listed() -> None:
    outcome = filter_arguments(["-mbrand-new=3", "-mno-brand-new", "a.c"], "gcc", "x86-64", "x86-64")
    assert outcome.arguments == ("-mbrand-new=3", "-mno-brand-new", "a.c")
    assert outcome.unknown == ("-mbrand-new=3",)


@pytest.mark.parametrize(
    ("line", "left", "foreign"),
    [
        ("-C target-cpu=native -C opt-level=3 x.rs", "-C opt-level=3 x.rs", 1),
        ("-Ctarget-cpu=x86-64 --codegen=target-cpu=haswell --codegen target_cpu=znver2 x.rs", "x.rs", 2),
        ("-Ctarget-feature=+avx2,-sse3,+crt-static x.rs", "-Ctarget-feature=-sse3,+crt-static x.rs", 1),
        ("-C target-feature=+avx2,+fma x.rs", "x.rs", 2),
        ("-C llvm-args=-mattr=+avx2 -Z tune-cpu=native x.rs", "x.rs", 1),
    ],
)
def test_rust(line: str, left: str, foreign: int) -> None:
    outcome = filter_arguments(shlex.split(line), "rustc", "x86-64", "x86-64")
    assert shlex.join(outcome.arguments) == left
    assert len(outcome.foreign) == foreign


def test_clang_front_end_called_directly() -> None:
    line = ["-cc1", "-target-cpu", "haswell", "-target-feature", "+avx2", "-target-feature", "+sse2", "a.c"]
    outcome = filter_arguments(line, "clang", "x86-64", "x86-64")
    assert outcome.arguments == ("-cc1", "-target-feature", "+sse2", "a.c")


def test_linker_and_assembler_called_directly() -> None:
    outcome = filter_arguments(["-m", "elf_x86_64", "-z", "relro", "-z", "x86-64-v2", "a.o"], "ld", "x86-64", "x86-64")
    assert outcome.arguments == ("-m", "elf_x86_64", "-z", "relro", "a.o")
    outcome = filter_arguments(["--64", "-march=haswell", "-msse2avx", "-o", "a.o", "a.s"], "as", "x86-64", "x86-64")
    assert outcome.arguments == ("--64", "-o", "a.o", "a.s")
    assert outcome.foreign == ("-march=haswell", "-msse2avx")


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))))
def test_response_files_read_what_they_wrote(arguments: list[str]) -> None:
    assert split_response(join_response(arguments)) == arguments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-O2  -DX\n-c\ta.c", ["-O2", "-DX", "-c", "a.c"]),
        ("'-DX=a b' \"-DY=c d\"", ["-DX=a b", "-DY=c d"]),
        (r"-DX=a\ b \"q\" '' -mavx\2", ["-DX=a b", '"q"', "", "-mavx2"]),
        (r'"a\"b\\c" "it' + "'s" + '"', ['a"b\\c', "it's"]),
        ("-DX=a\u00a0b", ["-DX=a\u00a0b"]),
    ],
)
def test_response_file_quoting(text: str, words: list[str]) -> None:
    assert split_response(text) == words


def test_nested_response_files(tmp_path) -> None:
    (tmp_path / "outer").write_text("-O2 @inner -DX @missing", encoding="utf-8")
    (tmp_path / "inner").write_text("'-mavx2' \"-I/a b\"", encoding="utf-8")
    expanded = expand_responses(["@outer", "a.c"], str(tmp_path))
    assert expanded == ["-O2", "-mavx2", "-I/a b", "-DX", "@missing", "a.c"]


def test_a_response_file_that_names_itself_is_refused(tmp_path) -> None:
    (tmp_path / "loop").write_text("@loop", encoding="utf-8")
    with pytest.raises(Exception, match="BB602"):
        expand_responses(["@loop"], str(tmp_path))


def test_every_feature_of_the_table_is_told_apart_from_the_baseline() -> None:
    baseline = level_of("x86-64", "x86-64").features
    for flag in flags():
        if flag.kind.value == "isa" and flag.machines == "x86":
            within = flag.features <= baseline
            assert within == (flag.pattern in {"-mmmx", "-mfxsr", "-msse", "-msse2"}), flag.pattern


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="BB600"):
        target_of("x86-64", "x86-64-v9")
