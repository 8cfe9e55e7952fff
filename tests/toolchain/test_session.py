"""Real compilers under a session: what comes out, what is logged, what is left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from baseline_build.errors import EnforcementError, ToolError
from baseline_build.toolchain import Enforcement, Kernel, Mode, Origin, enforce
from tests.tools import require_tool

from .conftest import LOOP, Bench
from .disassembly import foreign_lines

HOSTILE = ("-O3", "-march=x86-64-v3", "-mavx2", "-mpopcnt", "-c", "loop.c", "-o", "loop.o")
DISPATCHED = """#include <immintrin.h>
__attribute__((target("avx2")))
void k(int *a) {
  __m256i x = _mm256_loadu_si256((void *)a);
  _mm256_storeu_si256((void *)a, _mm256_add_epi32(x, x));
}
"""


@pytest.fixture(autouse=True)
def _x86_only() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the flags and instructions of these cases are x86-64's")


def test_without_a_session_the_code_is_foreign(folder: Path) -> None:
    subprocess.run([require_tool("gcc"), *HOSTILE], cwd=folder, check=True)
    assert foreign_lines(folder / "loop.o")


@pytest.mark.parametrize(
    "compiler",
    ["gcc", "cc", "g++", "x86_64-linux-gnu-gcc", "/usr/bin/gcc", "/usr/bin/g++", "clang", "/usr/bin/clang"],
)
def test_a_compiler_called_this_way(bench: Bench, compiler: str) -> None:
    require_tool(compiler)
    if "++" in compiler:
        (bench.folder / "loop.c").write_text(LOOP.replace("restrict", "__restrict"), encoding="utf-8")
    bench.run(compiler, *HOSTILE)
    assert foreign_lines(bench.folder / "loop.o") == []
    removed = {removal.flag for removal in bench.session.log().removals}
    if compiler != "/usr/bin/clang":  # edits its own line and tells nobody
        assert {"-mavx2", "-mpopcnt"} <= removed


@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc", "clang", "/usr/bin/clang"])
def test_link_time_optimisation(bench: Bench, compiler: str) -> None:
    require_tool(compiler)
    more = ["-fuse-ld=lld"] if "clang" in compiler else []
    bench.run(compiler, "-flto", *HOSTILE)
    bench.run(compiler, "-flto", "-O3", "-mavx2", "-shared", "-fPIC", "loop.c", "-o", "loop.so", *more)
    assert foreign_lines(bench.folder / "loop.so") == []


def test_a_specs_file(bench: Bench) -> None:
    (bench.folder / "extra.specs").write_text("*cc1_options:\n+ -mavx2 -mfma\n\n", encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if name != "COMPILER_PATH"}
    line = ["-specs=extra.specs", "-O3", "-c", "loop.c", "-o", "loop.o"]
    subprocess.run(["gcc", *line], cwd=bench.folder, env=environ, check=True)
    assert foreign_lines(bench.folder / "loop.o"), "the specs file itself must ask for AVX2"
    bench.run("gcc", *line)
    assert foreign_lines(bench.folder / "loop.o") == []


def test_an_assembler_source_with_vex_encoding_asked_for(bench: Bench) -> None:
    (bench.folder / "add.s").write_text(".globl add\nadd:\n addps %xmm0, %xmm1\n ret\n", encoding="utf-8")
    subprocess.run(["as", "-msse2avx", "add.s", "-o", "plain.o"], cwd=bench.folder, check=True)
    assert foreign_lines(bench.folder / "plain.o")
    for command in (["as", "-msse2avx"], ["gcc", "-c", "-Wa,-msse2avx"], ["/usr/bin/gcc", "-c", "-Wa,-msse2avx"]):
        bench.run(*command, "add.s", "-o", "add.o")
        assert foreign_lines(bench.folder / "add.o") == []


@pytest.mark.parametrize(
    "spelling", ["-Wl,-z,x86-64-v2", "-Wl,-z -Wl,x86-64-v2", "-Xlinker -z -Xlinker x86-64-v2", "-z x86-64-v2"]
)
@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc"])
def test_the_declared_level_is_kept_out(bench: Bench, compiler: str, spelling: str) -> None:
    readelf = require_tool("readelf")
    (bench.folder / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    subprocess.run(["gcc", *spelling.split(), "main.c", "-o", "marked"], cwd=bench.folder, check=True)
    bench.run(compiler, *spelling.split(), "main.c", "-o", "main")
    notes = [
        subprocess.run([readelf, "-nW", name], cwd=bench.folder, capture_output=True, text=True, check=True).stdout
        for name in ("marked", "main")
    ]
    assert "x86 ISA needed: x86-64-v2" in notes[0].replace("x86-64-baseline, ", "")
    assert "x86-64-v2" not in notes[1]


def test_start_files_with_a_marker_are_replaced(folder: Path) -> None:
    """A C library whose crt1.o declares x86-64-v2, as on AlmaLinux 9: the executable must not inherit it."""
    readelf = require_tool("readelf")
    real = require_tool("gcc")
    marked = folder / "lib"
    marked.mkdir()
    note = '.section .note.gnu.property,"a",@note\n.long 4,16,5\n.asciz "GNU"\n.long 0xc0008002,4,3,0\n'
    (folder / "note.s").write_text(note, encoding="utf-8")
    (folder / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    original = subprocess.run(
        [real, "-print-file-name=Scrt1.o"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run([real, "-c", "note.s", "-o", "note.o"], cwd=folder, check=True)
    subprocess.run(["ld", "-r", original, "note.o", "-o", str(marked / "Scrt1.o")], cwd=folder, check=True)
    wrapper = folder / "tools"
    wrapper.mkdir()
    (wrapper / "gcc").write_text(f'#!/bin/sh\nexec {real} "$@" -B"{marked}/"\n', encoding="utf-8")
    (wrapper / "gcc").chmod(0o755)
    environ = {**os.environ, "PATH": f"{wrapper}:{os.environ['PATH']}"}

    def note_of(environ: dict[str, str]) -> str:
        subprocess.run(["gcc", "main.c", "-o", "main"], cwd=folder, env=environ, check=True)
        return subprocess.run([readelf, "-nW", "main"], cwd=folder, capture_output=True, text=True, check=True).stdout

    assert "x86-64-v2" in note_of(environ)
    with enforce(Enforcement(), folder, environ) as session:
        assert session.plan.crt
        assert "x86-64-v2" not in note_of({**environ, **session.environ})


def test_response_files_on_every_compiler(bench: Bench) -> None:
    (bench.folder / "inner").write_text('-mavx2 "-DTEXT=\\"a b\\""', encoding="utf-8")
    (bench.folder / "outer file").write_text("-O3 '@inner' -march=native", encoding="utf-8")
    for compiler in ("gcc", "/usr/bin/gcc", "clang", "/usr/bin/clang"):
        require_tool(compiler)
        bench.run(compiler, "@outer file", "-c", "loop.c", "-o", "loop.o")
        assert foreign_lines(bench.folder / "loop.o") == []


def test_response_files_for_the_parts_of_the_compiler(bench: Bench) -> None:
    """``-Wa,@file``: the assembler reads the file, not the compiler."""
    readelf = require_tool("readelf")
    (bench.folder / "add.s").write_text(".globl add\nadd:\n addps %xmm0, %xmm1\n ret\n", encoding="utf-8")
    (bench.folder / "for-as").write_text("-msse2avx", encoding="utf-8")
    (bench.folder / "for-ld").write_text("-z x86-64-v2", encoding="utf-8")
    (bench.folder / "for-cc1").write_text("-mavx2", encoding="utf-8")
    lines = (["-c", "-Wa,@for-as", "add.s"], ["-c", "-O3", "-Wp,@for-cc1", "loop.c", "-o", "add.o"])
    for line in lines:
        subprocess.run(["gcc", *line], cwd=bench.folder, check=True)
        assert foreign_lines(bench.folder / "add.o"), line
        for compiler in ("gcc", "/usr/bin/gcc"):
            bench.run(compiler, *line)
            assert foreign_lines(bench.folder / "add.o") == [], line
    for compiler in ("gcc", "/usr/bin/gcc"):
        bench.run(compiler, "-shared", "-Wl,--no-undefined,@for-ld", "loop.c", "-fPIC", "-o", "loop.so")
        assert "x86-64-v2" not in bench.run(readelf, "-nW", "loop.so").stdout


@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc", "clang", "/usr/bin/clang"])
def test_strict_refuses_at_file_and_line(strict_bench: Bench, compiler: str) -> None:
    require_tool(compiler)
    (strict_bench.folder / "kernel.c").write_text(DISPATCHED, encoding="utf-8")
    done = strict_bench.run(compiler, "-g1", "-O2", "-c", "kernel.c", check=False)
    assert done.returncode
    (first, *_) = strict_bench.session.refusals()
    assert first.endswith(("in function k", "vmovdqu"))
    assert "kernel.c:" in first
    assert "BB606" in done.stderr
    strict_bench.run(compiler, *HOSTILE)


def test_strict_refuses_inline_assembly_and_pragmas(strict_bench: Bench) -> None:
    (strict_bench.folder / "asm.c").write_text(
        'int f(int a) {\n  __asm__("popcnt %0, %0" : "+r"(a));\n  return a;\n}\n', encoding="utf-8"
    )
    assert strict_bench.run("gcc", "-c", "asm.c", check=False).returncode
    assert "asm.c:2: popcnt" in strict_bench.session.refusals()
    pragma = '#pragma GCC target("avx2")\n' + LOOP
    (strict_bench.folder / "pragma.c").write_text(pragma, encoding="utf-8")
    assert strict_bench.run("/usr/bin/gcc", "-O3", "-c", "pragma.c", check=False).returncode
    assert any(line.startswith("pragma.c") for line in strict_bench.session.refusals())


def test_strict_refuses_a_prebuilt_archive_member_by_name(folder: Path) -> None:
    (folder / "kernel.c").write_text(DISPATCHED, encoding="utf-8")
    (folder / "main.c").write_text(
        "void k(int *);\nint main(void) { int a[8] = {0}; k(a); return a[0]; }\n", encoding="utf-8"
    )
    subprocess.run(["gcc", "-O2", "-c", "kernel.c"], cwd=folder, check=True)
    subprocess.run(["ar", "rcs", "libfast.a", "kernel.o"], cwd=folder, check=True)
    for strict in (False, True):
        with enforce(Enforcement(strict=strict), folder) as session:
            done = Bench(session, folder).run("gcc", "main.c", "-L.", "-lfast", "-o", "main", check=False)
            (member,) = session.log().members
            assert Path(member.path).name == "libfast.a"
            assert member.member == "kernel.o"
            assert member.functions[0][0] == "k"
            assert bool(done.returncode) is strict
            if strict:
                assert "libfast.a(kernel.o)" in done.stderr
                assert not (folder / "main").exists()


@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc"])
def test_refuse_stops_and_names_the_origin(folder: Path, monkeypatch: pytest.MonkeyPatch, compiler: str) -> None:
    monkeypatch.setenv("CFLAGS", "-march=x86-64-v3 -O2")
    lines = (["-O2", "-march=x86-64-v3", "-c", "loop.c"], ["-O2", "-msse2", "-mtune=native", "-c", "loop.c"])

    def build() -> None:
        with enforce(Enforcement(mode=Mode.REFUSE), folder) as session:
            codes.extend(Bench(session, folder).run(compiler, *line, check=False).returncode for line in lines)

    codes: list[int] = []
    with pytest.raises(EnforcementError, match="BB605") as caught:
        build()
    assert codes == [1, 0]
    assert "-march=x86-64-v3 (from environment: CFLAGS" in str(caught.value)


def test_report_changes_nothing(folder: Path) -> None:
    with enforce(Enforcement(mode=Mode.REPORT), folder) as session:
        Bench(session, folder).run("gcc", *HOSTILE)
        log = session.log()
    assert foreign_lines(folder / "loop.o")
    assert {"-march=x86-64-v3", "-mavx2", "-mpopcnt"} == {removal.flag for removal in log.removals}
    assert "found -m" in log.summary()


def test_a_higher_level_is_forced(folder: Path) -> None:
    with enforce(Enforcement(levels={"x86-64": "x86-64-v3"}, strict=True), folder) as session:
        bench = Bench(session, folder)
        bench.run("gcc", "-O3", "-march=x86-64", "-c", "loop.c", "-o", "loop.o")
        assert any("ymm" in line for line in foreign_lines(folder / "loop.o"))
        bench.run("gcc", "-O3", "-mavx512f", "-mprefer-vector-width=512", "-c", "loop.c", "-o", "loop.o")
        assert not any("zmm" in line for line in foreign_lines(folder / "loop.o"))
        (folder / "z.s").write_text("vaddps %zmm0, %zmm1, %zmm2\n", encoding="utf-8")
        assert bench.run("gcc", "-c", "z.s", check=False).returncode


@pytest.mark.parametrize("strict", [False, True], ids=["filter", "strict"])
@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc", "clang"])
def test_kernels_get_their_level_and_nothing_else_does(folder: Path, compiler: str, strict: bool) -> None:
    require_tool(compiler)
    (folder / "src").mkdir()
    for name in ("fast_avx2.c", "plain.c"):
        (folder / "src" / name).write_text(LOOP, encoding="utf-8")
    kernels = (Kernel(("src/*_avx2.c",), "x86-64-v3", "chosen by cpuid in plain.c"),)
    with enforce(Enforcement(root=folder, kernels=kernels, strict=strict), folder) as session:
        bench = Bench(session, folder)
        for name in ("fast_avx2", "plain"):
            bench.run(compiler, "-O3", "-mavx2", "-mavx512f", "-c", f"src/{name}.c", "-o", f"{name}.o")
        calls = [call for call in session.log().calls if call.kernel]
    assert any("ymm" in line for line in foreign_lines(folder / "fast_avx2.o"))
    assert not any("zmm" in line for line in foreign_lines(folder / "fast_avx2.o"))
    assert foreign_lines(folder / "plain.o") == []
    assert calls
    assert all("fast_avx2" in " ".join(call.arguments) for call in calls)


def test_one_call_cannot_mix_kernels_with_other_sources(folder: Path) -> None:
    (folder / "loop_avx2.c").write_text("int one;\n", encoding="utf-8")
    kernels = (Kernel(("*_avx2.c",), "x86-64-v3", "test"),)
    with enforce(Enforcement(root=folder, kernels=kernels), folder) as session:
        done = Bench(session, folder).run("gcc", "-c", "loop.c", "loop_avx2.c", check=False)
    assert done.returncode
    assert "BB604" in done.stderr


def test_arm64_cross_compiler(folder: Path) -> None:
    compiler = require_tool("aarch64-linux-gnu-gcc")
    source = LOOP + "#include <stdatomic.h>\n_Atomic int n;\nint inc(void) { return atomic_fetch_add(&n, 1); }\n"
    (folder / "loop.c").write_text(source, encoding="utf-8")
    line = ["-O3", "-march=armv8.2-a+sve", "-mcpu=neoverse-n1", "-c", "loop.c", "-o", "loop.o"]
    subprocess.run([compiler, "-w", *line], cwd=folder, check=True)
    assert foreign_lines(folder / "loop.o", "aarch64")
    for strict in (False, True):
        with enforce(Enforcement(strict=strict), folder) as session:
            for name in ("aarch64-linux-gnu-gcc", compiler):
                Bench(session, folder).run(name, *line)
                assert foreign_lines(folder / "loop.o", "aarch64") == []
                symbols = subprocess.run(
                    ["aarch64-linux-gnu-nm", "loop.o"], cwd=folder, capture_output=True, text=True, check=True
                ).stdout
                assert ("__aarch64_ldadd4" in symbols) is not strict


def test_32_bit_code(bench: Bench) -> None:
    for compiler in ("gcc", "/usr/bin/gcc"):
        bench.run(compiler, "-m32", *HOSTILE)
        text = subprocess.run(["objdump", "-d", "loop.o"], cwd=bench.folder, capture_output=True, text=True, check=True)
        assert "mm" not in text.stdout.split("Disassembly", 1)[1]  # no xmm either: i686 has no SSE


def test_launchers_get_filtered_options(bench: Bench) -> None:
    ccache = require_tool("ccache")
    bench.more["CCACHE_DIR"] = str(bench.folder / "cache")
    for compiler in ("gcc", "/usr/bin/gcc", "clang"):
        for launcher in ("ccache", ccache):
            bench.run(launcher, compiler, *HOSTILE)
            assert foreign_lines(bench.folder / "loop.o") == []
    log = bench.session.log()
    assert all("-mavx2" in call.removed for call in log.calls if call.program in ("gcc", "clang"))
    stats = bench.run("ccache", "-s", "-v").stdout
    assert "Hits" in stats
    assert not stats.replace(" ", "").count("Hits:0/")


def test_distcc_falls_back_and_keeps_working(bench: Bench) -> None:
    require_tool("distcc")
    bench.more.update({"DISTCC_HOSTS": "localhost", "DISTCC_DIR": str(bench.folder / "distcc")})
    bench.run("distcc", "gcc", *HOSTILE)
    assert foreign_lines(bench.folder / "loop.o") == []
    bench.run("distcc", *HOSTILE)  # no compiler named: cc
    assert foreign_lines(bench.folder / "loop.o") == []


def test_masquerading_ccache_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/usr/lib/ccache/gcc is ccache itself, which looks for the next gcc on PATH: the shim must not come back."""
    ccache = require_tool("ccache")
    (folder / "masks").mkdir()
    (folder / "masks" / "gcc").symlink_to(ccache)
    monkeypatch.setenv("PATH", f"{folder / 'masks'}:{os.environ['PATH']}")
    monkeypatch.setenv("CCACHE_DIR", str(folder / "cache"))
    with enforce(Enforcement(), folder) as session:
        Bench(session, folder).run("gcc", *HOSTILE)
    assert foreign_lines(folder / "loop.o") == []


def test_the_users_own_compiler_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = folder / "eigene"
    tools.mkdir()
    (tools / "gcc").symlink_to(require_tool("gcc"))
    for value in (f"'{tools / 'gcc'}' -march=native", "gcc -mavx2", "ccache gcc -mavx2", "x86_64-linux-gnu-gcc"):
        monkeypatch.setenv("CC", value)
        with enforce(Enforcement(), folder) as session:
            line = "$CC -O3 -mavx2 -c loop.c -o loop.o"
            Bench(session, folder).run("sh", "-c", f'eval "{line}"')
            assert session.log().calls
        assert foreign_lines(folder / "loop.o") == []


def test_origins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-mavx512f")
    (folder / "Makefile").write_text("all:\n\tgcc -mfma -c loop.c\n", encoding="utf-8")
    script = "import subprocess; subprocess.run(['gcc', '-mavx2', '-mavx512f', '-c', 'loop.c'], check=True)"
    with enforce(Enforcement(), folder) as session:
        bench = Bench(session, folder)
        bench.run(sys.executable, "-c", script)
        bench.run(require_tool("make"))
        origins = {removal.flag: (removal.origin, removal.via) for removal in session.log().removals}
    assert origins["-mavx512f"] == (Origin.ENVIRONMENT, "CXXFLAGS")
    assert origins["-mavx2"][0] is Origin.PROJECT
    assert origins["-mfma"] == (Origin.SUB_BUILD, "make")


def test_unknown_options_are_listed(bench: Bench) -> None:
    bench.run("gcc", "-mno-such-thing-yet=1", "-c", "loop.c", check=False)
    bench.run("gcc", "-mbrand-new", "-c", "loop.c", check=False)
    assert bench.session.log().unknown == (("-mbrand-new", 1),)


def test_the_report_is_json(bench: Bench) -> None:
    bench.run("gcc", *HOSTILE)
    report = json.loads(bench.session.log().to_json())
    assert report["version"] == 1
    assert report["calls"][0]["removed"] == ["-march=x86-64-v3", "-mavx2", "-mpopcnt"]
    assert report["calls"][0]["added"] == ["-march=x86-64", "-mtune=generic"]
    assert {removal["flag"] for removal in report["removals"]} == {"-march=x86-64-v3", "-mavx2", "-mpopcnt"}


def test_nothing_is_left_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = dict(os.environ)
    with enforce(Enforcement(strict=True), folder) as session:
        state = Path(session.plan.state)
        with session.applied():
            subprocess.run(["gcc", *HOSTILE], cwd=folder, check=True)
            assert os.environ["PATH"].startswith(session.plan.state)
        assert dict(os.environ) == before
        assert state.is_dir()
    assert not state.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]
    assert sorted(path.name for path in folder.iterdir()) == ["loop.c", "loop.o"]


def test_a_failing_build_leaves_nothing_either(folder: Path) -> None:
    states = []

    def build() -> None:
        with enforce(Enforcement(), folder) as session:
            states.append(Path(session.plan.state))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build()
    assert not states[0].exists()


def test_read_only_sources(folder: Path, tmp_path: Path) -> None:
    # root could write all the same: what counts then is that nothing in the folder changes
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    folder.chmod(0o555)
    work = tmp_path / "work"
    work.mkdir()
    with enforce(Enforcement(root=folder), work) as session:
        Bench(session, folder).run("gcc", *HOSTILE[:-1], str(work / "loop.o"))
    folder.chmod(0o755)
    assert foreign_lines(work / "loop.o") == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_two_builds_at_once(tmp_path: Path) -> None:
    logs: dict[str, int] = {}

    def build(name: str, count: int) -> None:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "loop.c").write_text(LOOP, encoding="utf-8")
        with enforce(Enforcement(strict=name == "one"), folder) as session:
            for _ in range(count):
                Bench(session, folder).run("gcc", *HOSTILE)
            logs[name] = len([call for call in session.log().calls if call.program == "gcc"])
        assert foreign_lines(folder / "loop.o") == []

    threads = [threading.Thread(target=build, args=arguments) for arguments in (("one", 5), ("two", 7))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs == {"one": 5, "two": 7}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for temporary files."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    return place


def test_every_build_of_a_project_finds_the_shims_at_the_same_place(folder: Path, temporary: Path) -> None:
    places = []
    for _ in range(2):
        with enforce(Enforcement(root=folder), folder) as session:
            places.append(session.plan.state)
            Path(session.plan.state, "left").touch()
            (temporary / "copy").mkdir(exist_ok=True)
        assert [path.name for path in temporary.iterdir()] == ["copy"]
    assert places[0] == places[1]
    stale = Path(places[0])
    stale.mkdir(parents=True)
    stale.parent.chmod(0o700)
    (stale / "log").touch()  # of a build that was killed
    with enforce(Enforcement(root=folder), folder) as session:
        assert session.plan.state == places[0]
        Bench(session, folder).run("gcc", *HOSTILE)
        assert session.log().calls


def test_a_second_build_of_the_same_project_has_another_place(folder: Path, temporary: Path) -> None:
    with enforce(Enforcement(root=folder), folder) as first:
        with enforce(Enforcement(root=folder), folder) as second:
            assert first.plan.state != second.plan.state
            Bench(second, folder).run("gcc", *HOSTILE)
        Bench(first, folder).run("gcc", *HOSTILE)
        assert len(first.log().calls) == len([call for call in first.log().calls if call.program == "gcc"]) == 1
    assert list(temporary.iterdir()) == []


def test_a_place_that_others_can_write_to_is_not_used(folder: Path, temporary: Path) -> None:
    prepared = temporary / f"baseline-build-{os.getuid()}"
    prepared.mkdir()
    prepared.chmod(0o777)
    (temporary / "elsewhere").mkdir()
    with enforce(Enforcement(root=folder), folder) as session:
        assert prepared not in Path(session.plan.state).parents
    prepared.rmdir()
    prepared.symlink_to("elsewhere")
    with enforce(Enforcement(root=folder), folder) as session:
        assert prepared not in Path(session.plan.state).parents
    assert list((temporary / "elsewhere").iterdir()) == []


def test_a_broken_compiler_on_path_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = folder / "tools"
    tools.mkdir()
    (tools / "gcc").write_text("#!/no/such/interpreter\n", encoding="utf-8")
    (tools / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(ToolError, match="BB601") as caught, enforce(Enforcement(), folder):
        pass
    assert str(tools / "gcc") in str(caught.value)
    assert not [path for path in folder.iterdir() if path.name.startswith("baseline-")]
    shutil.rmtree(tools)


@pytest.mark.parametrize("compiler", ["gcc", "/usr/bin/gcc", "clang"])
def test_what_fails_for_want_of_options_is_told(folder: Path, compiler: str) -> None:
    require_tool(compiler)
    intrinsics = DISPATCHED.replace('__attribute__((target("avx2")))\n', "")
    (folder / "kernel.c").write_text(intrinsics, encoding="utf-8")
    (folder / "broken.c").write_text("no C\n", encoding="utf-8")
    for strict in (False, True):
        with enforce(Enforcement(strict=strict), folder) as session:
            bench = Bench(session, folder)
            assert bench.run(compiler, "-mavx2", "-mtune=native", "-c", "kernel.c", check=False).returncode
            assert bench.run(compiler, "-mtune=native", "-c", "broken.c", check=False).returncode
            bench.run(compiler, *HOSTILE)
            (failed,) = session.log().failed
        assert "kernel.c without -mavx2" in failed


def test_a_compiler_that_knows_no_outline_atomics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gcc before 9.4 refuses the option (GCC 9 release notes), here by a script before a newer one."""
    real = require_tool("aarch64-linux-gnu-gcc")
    tools = folder / "tools"
    tools.mkdir()
    complaint = 'echo "gcc: error: unrecognized command line option $a" >&2; exit 1'
    script = f'#!/bin/sh\nfor a do case $a in -m*outline-atomics) {complaint} ;; esac; done\nexec {real} "$@"\n'
    (tools / "aarch64-linux-gnu-gcc").write_text(script, encoding="utf-8")
    (tools / "aarch64-linux-gnu-gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with enforce(Enforcement(), folder) as session:
        assert not session.plan.programs["aarch64-linux-gnu-gcc"].atomics
        Bench(session, folder).run("aarch64-linux-gnu-gcc", "-march=armv8.2-a", "-c", "loop.c")
        (call,) = session.log().calls
    assert call.added == ("-march=armv8-a", "-mtune=generic")


def test_whether_there_is_a_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for there, path in ((True, os.environ["PATH"]), (False, str(folder))):
        monkeypatch.setenv("PATH", path)
        with enforce(Enforcement(), folder) as session:
            assert session.has_compiler() is there


def test_a_compiler_that_does_not_know_its_parts_is_one_message(bench: Bench) -> None:
    done = bench.run("/usr/bin/gcc", "-wrapper", "env,-i", *HOSTILE, check=False)
    assert done.returncode
    assert "BB601: cc1: gcc, which called it, does not tell where its cc1 is" in done.stderr
    assert "Traceback" not in done.stderr


CGO = """package main

// #cgo CFLAGS: -O3 -mavx2
// void scale(float *a, const float *b, int n);
import "C"

//export work
func work(a, b *float32, n int32) { C.scale((*C.float)(a), (*C.float)(b), C.int(n)) }

func main() {}
"""


@pytest.mark.build
@pytest.mark.parametrize("compiler", ["", "/usr/bin/gcc"])
def test_c_code_of_a_go_program(folder: Path, tmp_path: Path, compiler: str) -> None:
    """The C parts of a Go program, asked for AVX2 by the source and by the environment."""
    require_tool("go")
    (folder / "main.go").write_text(CGO, encoding="utf-8")
    (folder / "go.mod").write_text("module work\n\ngo 1.19\n", encoding="utf-8")
    caches = Path.home() / ".cache" / "baseline-build-tests"
    environ = {**os.environ, "GOCACHE": str(caches / "go"), "CGO_CFLAGS": f"-O2 -mpopcnt -DPLACE={os.getpid()}"}
    if compiler:
        environ["CC"] = require_tool(compiler)
    line = ["go", "build", "-buildmode=c-shared", "-o", "work.so", "."]
    subprocess.run(line, cwd=folder, env=environ, check=True)
    assert foreign_lines(folder / "work.so", functions="scale")
    with enforce(Enforcement(), folder, environ) as session:
        Bench(session, folder, {"GOCACHE": environ["GOCACHE"], "CGO_CFLAGS": environ["CGO_CFLAGS"]}).run(*line)
        removed = {removal.flag for removal in session.log().removals}
    assert foreign_lines(folder / "work.so", functions="scale") == []
    assert {"-mavx2", "-mpopcnt"} <= removed
