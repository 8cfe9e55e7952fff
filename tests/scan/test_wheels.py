"""Wheels, folders and installed distributions: several files judged together."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from baseline_build.errors import BrokenInputError, ConfigError
from baseline_build.scan import Report, ScanOptions, Verdict, scan_installed, scan_path, workers
from tests.elf import samples
from tests.scan import compiling
from tests.wheel import builders


def verdicts(report: Report) -> dict[str, Verdict]:
    return {file.path: file.verdict for entry in report.inputs for file in entry.files}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return compiling.library(tmp_path, "good", compiling.PLAIN)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return compiling.library(tmp_path, "bad", compiling.AVX2, "-mavx2")


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return compiling.library(tmp_path, "detector", compiling.DETECTS)


def test_the_gravest_file_decides(tmp_path: Path, good: Path, bad: Path) -> None:
    path = compiling.wheel(tmp_path, {"sample/good.so": good, "sample/bad.so": bad})
    report = scan_path(path)
    assert report.verdict is Verdict.VIOLATION
    assert verdicts(report) == {"sample/bad.so": Verdict.VIOLATION, "sample/good.so": Verdict.CLEAN}
    assert report.inputs[0].sha256 is not None
    assert len(report.inputs[0].sha256) == 64
    assert report.inputs[0].notes == ()


def test_a_wheel_without_native_code_is_not_applicable(tmp_path: Path) -> None:
    report = scan_path(builders.honest(tmp_path))
    assert report.verdict is Verdict.NOT_APPLICABLE
    assert report.inputs[0].files == ()


def test_python_code_that_asks_may_choose_among_the_modules(tmp_path: Path, bad: Path) -> None:
    chooser = tmp_path / "__init__.py"
    chooser.write_text("if 'avx2' in open('/proc/cpuinfo').read():\n    from . import _avx2\n")
    path = compiling.wheel(tmp_path, {"sample/_avx2.so": bad, "sample/__init__.py": chooser})
    report = scan_path(path)
    assert verdicts(report)["sample/_avx2.so"] is Verdict.UNPROVEN
    assert report.inputs[0].notes[0].startswith("sample/__init__.py seems to ask what the CPU can do")


@pytest.mark.parametrize(
    ("required", "verdict"),
    [
        ("archspec~=0.2.0", Verdict.UNPROVEN),
        ("Py_CPUinfo >=9; platform_machine == 'x86_64'", Verdict.UNPROVEN),
        ("numpy", Verdict.VIOLATION),
        ("archspecial", Verdict.VIOLATION),
    ],
)
def test_a_required_package_that_asks_may_choose_among_the_modules(
    tmp_path: Path, bad: Path, required: str, verdict: Verdict
) -> None:
    metadata = tmp_path / "METADATA"
    metadata.write_text(
        f"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nRequires-Dist: {required}\n\nRequires-Dist: archspec\n"
    )
    path = compiling.wheel(tmp_path, {"sample/_avx2.so": bad, "sample-1.0.dist-info/METADATA": metadata})
    report = scan_path(path)
    assert verdicts(report)["sample/_avx2.so"] is verdict
    if verdict is Verdict.UNPROVEN:
        project = "archspec" if "archspec" in required else "py-cpuinfo"
        (note,) = report.inputs[0].notes
        assert note == (
            f"the package {project}, which the metadata requires, seems to ask what the CPU can do; it may choose "
            "among the native modules, so that the lack of a test inside of them proves nothing"
        )


def test_a_compiled_python_module_may_ask_another_package(tmp_path: Path, bad: Path) -> None:
    text = 'const char *imported(void) { return "archspec.cpu"; }\n'
    asks = compiling.library(tmp_path, "asks", text)
    path = compiling.wheel(tmp_path, {"sample/_avx2.so": bad, "sample/lib.so": asks})
    assert verdicts(scan_path(path)) == {"sample/_avx2.so": Verdict.UNPROVEN, "sample/lib.so": Verdict.CLEAN}


def test_a_detector_elsewhere_in_the_wheel_makes_it_unproven(tmp_path: Path, bad: Path, detector: Path) -> None:
    """One module asks the CPU and may import the other, or not: no proof either way."""
    path = compiling.wheel(tmp_path, {"sample/_avx2.so": bad, "sample/detector.so": detector})
    found = verdicts(scan_path(path))
    assert found["sample/_avx2.so"] is Verdict.UNPROVEN
    # Detecting alone uses cpuid, and xgetbv behind a test: never a violation.
    assert found["sample/detector.so"] in (Verdict.CLEAN, Verdict.GUARDED, Verdict.UNPROVEN)


def test_native_code_is_found_by_its_bytes_not_by_its_name(tmp_path: Path, bad: Path) -> None:
    path = compiling.wheel(tmp_path, {"sample/tool": bad, "sample/data.bin": bad})
    assert verdicts(scan_path(path)) == {"sample/tool": Verdict.VIOLATION, "sample/data.bin": Verdict.VIOLATION}


def test_a_broken_file_is_undecided_and_hides_nothing(tmp_path: Path, good: Path, bad: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(good.read_bytes()[:2000])
    words = tmp_path / "words.so"
    words.write_bytes(b"INPUT(-lfoo)")
    files = {"sample/broken.so": broken, "sample/words.so": words, "sample/bad.so": bad}
    report = scan_path(compiling.wheel(tmp_path, files))
    assert verdicts(report) == {
        "sample/bad.so": Verdict.VIOLATION,
        "sample/broken.so": Verdict.UNDECIDED,
        "sample/words.so": Verdict.UNDECIDED,
    }
    notes = {file.path: file.notes[0][:5] for file in report.inputs[0].files if file.notes}
    assert notes["sample/broken.so"] == "BB402"
    assert notes["sample/words.so"] == "BB401"
    assert report.verdict is Verdict.VIOLATION


@pytest.mark.parametrize(
    ("platform", "verdict"), [("any", Verdict.UNDECIDED), ("linux_x86_64", Verdict.NOT_APPLICABLE)]
)
def test_native_code_of_other_systems(tmp_path: Path, platform: str, verdict: Verdict) -> None:
    program = tmp_path / "launcher.exe"
    program.write_bytes(b"MZ" + bytes(200))
    assert scan_path(compiling.wheel(tmp_path, {"sample/launcher.exe": program}, platform)).verdict is verdict


def test_a_refused_archive_is_an_error(tmp_path: Path) -> None:
    path = builders.honest(tmp_path, {"../outside.so": b""})
    with pytest.raises(BrokenInputError) as caught:
        scan_path(path)
    assert caught.value.code == "BB434"


def test_record_that_disagrees_is_remarked(tmp_path: Path, good: Path) -> None:
    files = {**builders.contents({"sample/good.so": good.read_bytes()}), "sample/good.so": good.read_bytes() + b"\0"}
    report = scan_path(builders.write(tmp_path, files))
    assert any("RECORD" in note and "good.so" in note for note in report.inputs[0].notes)


def test_grafted_libraries_tell_where_they_came_from(tmp_path: Path, bad: Path) -> None:
    names = {
        "sample.libs/libfoo-1a2b3c4d.so.1.2": "libfoo.so.1.2",
        "sample.libs/libgfortran-040039e1-0352e75f.so.5": "libgfortran.so.5",
        "sample/.libs/libbar-0000aaaa.so": "libbar.so",
        "sample/_own.so": None,
    }
    report = scan_path(compiling.wheel(tmp_path, dict.fromkeys(names, bad)))
    assert {file.path: file.origin for file in report.inputs[0].files} == names


def test_folders(tmp_path: Path, good: Path, bad: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "bad.so").write_bytes(bad.read_bytes())
    (tree / "good.so").write_bytes(good.read_bytes())
    (tree / "loop").symlink_to(tree)
    (tree / "text.txt").write_text("words")
    assert verdicts(scan_path(tree)) == {"good.so": Verdict.CLEAN, "inner/bad.so": Verdict.VIOLATION}


def test_several_inputs(tmp_path: Path, good: Path, bad: Path) -> None:
    report = scan_path([good, bad])
    assert [entry.verdict for entry in report.inputs] == [Verdict.CLEAN, Verdict.VIOLATION]
    assert report.verdict is Verdict.VIOLATION


def test_processes_give_the_answer_one_process_gives(
    tmp_path: Path, good: Path, bad: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(good.read_bytes()[:2000])
    files = {f"sample/{n}{path.name}": path for n in range(3) for path in (good, bad, detector, broken)}
    path = compiling.wheel(tmp_path, files)
    alone = scan_path(path, ScanOptions(jobs=1))
    monkeypatch.setattr(workers, "WORTH_IT", 0)
    started = []
    original = workers._Worker

    class Counted(original):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            started.append(self)
            super().__init__()

    monkeypatch.setattr(workers, "_Worker", Counted)
    assert scan_path(path, ScanOptions(jobs=2)) == alone
    assert len(started) == 2


def test_a_worker_that_dies_is_an_error_not_an_answer(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = compiling.wheel(tmp_path, {"sample/a.so": good, "sample/b.so": good})
    monkeypatch.setattr(workers, "WORTH_IT", 0)
    monkeypatch.setattr(workers, "_BOOTSTRAP", "import {package}, os; os.kill(os.getpid(), 9)")
    with pytest.raises(workers.InternalError) as caught:
        scan_path(path, ScanOptions(jobs=2))
    assert caught.value.code == "BB912"


def test_installed_distribution(tmp_path: Path, bad: Path) -> None:
    path = compiling.wheel(tmp_path, {"sample/bad.so": bad}, "any")
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
    renamed = path.with_name("sample-1.0-py3-none-any.whl")
    path.rename(renamed)
    subprocess.run([*command, str(renamed)], check=True, capture_output=True)
    root = Path(__file__).parents[2]
    code = (
        f"import sys; sys.path[:0] = {[str(root), *[p for p in sys.path if 'site-packages' in p]]!r}\n"
        "from baseline_build.scan import scan_installed\n"
        "print([(f.path, f.verdict.value) for f in scan_installed('sample').inputs[0].files])\n"
    )
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "[('sample/bad.so', 'violation')]", result.stderr
    with pytest.raises(ConfigError) as caught:
        scan_installed("no-such-distribution")
    assert caught.value.code == "BB225"


def test_memory_stays_bounded_for_large_files(tmp_path: Path) -> None:
    """A library of 128 MiB (mostly data) in a wheel: the process stays below two copies of it."""
    size = 128
    (tmp_path / "large.s").write_text(
        ".text\n.globl work\n.type work,@function\nwork: ret\n.size work,.-work\n.data\n"
        '.incbin "noise"\n.section .note.GNU-stack,"",@progbits\n'
    )
    (tmp_path / "noise").write_bytes(os.urandom(1 << 20) * size)
    samples.run("gcc", "-shared", "-nostdlib", "large.s", "-o", "large.so", cwd=tmp_path)
    path = tmp_path / "sample-1.0-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "large.so", "sample/large.so")
        archive.writestr(f"{builders.INFO}/RECORD", "")
    code = (
        "import sys; from baseline_build.scan import scan_path\n"
        "verdict = scan_path(sys.argv[1]).verdict.value\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(verdict, int(peak.split()[1]) >> 10)\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(path)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    verdict, megabytes = result.stdout.split()
    assert verdict == "clean"
    assert int(megabytes) < 2 * size
