"""What a repair does beside markers: grafted libraries, failures of auditwheel, options, all or nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Tuple

import pytest

from baseline_build.cli import main
from baseline_build.errors import ConfigError, ToolError, ViolationError
from baseline_build.repair import RepairOptions, auditwheel, origin, repair_wheel
from tests.tools import missing, require_tool

from .wheels import PROGRAM, compile_file, make_wheel, x86_only

LIBRARY = """
#include <stddef.h>
int sum(const int *a, size_t n) { int s = 0; for (size_t i = 0; i < n; i++) s += a[i]; return s; }
"""
USER = """
#include <stddef.h>
int sum(const int *, size_t);
int use(const int *a) { return sum(a, 64); }
"""
MODULE = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_x", 0, -1, 0};
PyMODINIT_FUNC PyInit__x(void) { return PyModule_Create(&definition); }
"""


def with_library(folder: Path, *flags: str) -> Tuple[Path, Path]:
    """A wheel whose module needs libprivate.so.1, compiled with *flags*, and that library."""
    x86_only()
    private = folder / "private"
    private.mkdir()
    library = compile_file(
        private / "libprivate.so.1", LIBRARY, "-shared", "-fPIC", "-O3", "-Wl,-soname,libprivate.so.1", *flags
    )
    user = compile_file(folder / "_user.so", USER, "-shared", "-fPIC", str(library), "-Wl,--no-as-needed", "-lc")
    return make_wheel(folder, {"thing/_user.so": user}), library


def test_a_grafted_library_is_scanned_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, library = with_library(tmp_path, "-mavx2")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    with pytest.raises(ViolationError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    error = caught.value
    assert error.code == "BB520"
    assert error.what == ("the repaired wheel did not pass: it needs x86-64-v3 (Haswell 2013, Excavator 2015 or newer)")
    assert error.where is not None
    assert "!thing.libs/libprivate-" in error.where
    assert error.why is not None
    assert re.search(r"\(avx2?\) in sum of thing\.libs/libprivate-", error.why)
    assert error.why.endswith(f"auditwheel copied this library from {library} (no package owns it)")
    assert error.fix == (
        "build that library from source for the baseline and link with it, take the package of a distribution that "
        "keeps to the baseline, or leave it out with --exclude"
    )
    assert list((tmp_path / "wheelhouse").iterdir()) == []


def test_a_good_library_is_grafted_and_its_origin_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, library = with_library(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    result = repair_wheel(wheel, tmp_path / "wheelhouse")
    grafted = [file for entry in result.after.inputs for file in entry.files if "libprivate" in file.path]
    assert [file.origin for file in grafted] == [f"{library} (no package owns it)"]
    excluded = repair_wheel(wheel, tmp_path / "other", RepairOptions(exclude=("libprivate.so.1",)))
    with zipfile.ZipFile(excluded.wheel) as archive:
        assert not any("libprivate" in name for name in archive.namelist())


def test_repairing_twice_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, library = with_library(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    first = repair_wheel(wheel, tmp_path / "first").wheel
    second = repair_wheel(wheel, tmp_path / "second").wheel
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_system_libraries_have_a_package() -> None:
    require_tool("dpkg-query")
    libc = next(
        (Path(p) for p in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6") if Path(p).exists()),
        None,
    )
    if libc is None:
        missing("this is no Debian with glibc")
        return
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "libc6"], check=True, capture_output=True, text=True
    ).stdout
    assert origin.package_of(libc) == f"libc6 {version}"
    assert origin.describe(libc) == f"{libc} (package libc6 {version})"


def test_a_missing_library(tmp_path: Path) -> None:
    wheel, library = with_library(tmp_path)
    library.unlink()
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert str(caught.value) == (
        f"BB537: {wheel.name}: the library libprivate.so.1, which the wheel needs, is nowhere to be found\n"
        "  why: a file of the wheel is linked with a library that neither the wheel nor the system has\n"
        "  fix: let LD_LIBRARY_PATH name its folder, or leave it out with --exclude libprivate.so.1 when users bring "
        "it themselves"
    )


def extension(folder: Path, *flags: str) -> Path:
    """A wheel with an extension module for this Python, linked with *flags*."""
    x86_only()
    paths = sysconfig.get_paths()
    built = compile_file(
        folder / "_x.abi3.so", MODULE, f"-I{paths['include']}", f"-I{paths['platinclude']}", "-shared", "-fPIC", *flags
    )
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return make_wheel(folder, {f"thing/{built.name}": built}, tag=f"{python}-{python}-linux_x86_64")


def test_no_libc_detected(tmp_path: Path) -> None:
    wheel = extension(tmp_path, "-nostdlib")
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert caught.value.code == "BB534"
    assert caught.value.what.startswith("auditwheel cannot tell which C library thing/_x.")
    assert caught.value.fix == "link it with libc: extra_link_args = ['-Wl,--no-as-needed', '-lc']"


def test_too_recent_symbols(tmp_path: Path) -> None:
    x86_only()
    code = "#include <stdlib.h>\nint main(void) { return (int)arc4random(); }\n"
    try:
        program = compile_file(tmp_path / "tool", code)
    except subprocess.CalledProcessError:
        missing("this C library is older than 2.36: no symbol of it is too recent")
        return
    wheel = make_wheel(tmp_path, {"thing/tool": program})
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse", RepairOptions(plat="manylinux_2_17_x86_64"))
    error = caught.value
    assert error.code == "BB535"
    assert error.what == (
        "the wheel uses functions of a newer C or C++ library than the tag manylinux_2_17_x86_64 allows"
    )
    assert error.why is not None
    assert "GLIBC_2.36" in error.why
    assert "manylinux_2_36_x86_64" in error.why


def test_unknown_platform(tmp_path: Path) -> None:
    wheel = extension(tmp_path, "-Wl,--no-as-needed", "-lc")
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse", RepairOptions(plat="manylinux_9_99"))
    assert (caught.value.code, caught.value.what) == ("BB539", "the platform manylinux_9_99 cannot be had here")


def test_old_patchelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = extension(tmp_path, "-Wl,--no-as-needed", "-lc")
    old = tmp_path / "old"
    old.mkdir()
    (old / "patchelf").write_text("#!/bin/sh\necho patchelf 0.12\n")
    (old / "patchelf").chmod(0o755)
    environ = {**os.environ, "PATH": f"{old}:{os.environ['PATH']}"}
    monkeypatch.setattr(auditwheel, "environment", lambda given: {**given, **environ})
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert caught.value.code == "BB533"
    assert caught.value.what.startswith("patchelf 0.12 is too old, auditwheel wants 0.1")


def test_missing_patchelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = extension(tmp_path, "-Wl,--no-as-needed", "-lc")
    call = auditwheel.command()
    monkeypatch.setattr(auditwheel, "command", lambda: call)
    monkeypatch.setattr(auditwheel, "environment", lambda given: {**given, "PATH": str(tmp_path)})
    with pytest.raises(ToolError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert (caught.value.code, caught.value.what) == ("BB532", "the program patchelf is not installed")


def test_pure_wheels_and_other_files(tmp_path: Path) -> None:
    pure = make_wheel(tmp_path, {}, tag="py3-none-any")
    with pytest.raises(ConfigError) as caught:
        repair_wheel(pure, tmp_path / "wheelhouse")
    assert caught.value.code == "BB522"
    with pytest.raises(ConfigError) as caught:
        repair_wheel(tmp_path / "x.tar.gz", tmp_path / "wheelhouse")
    assert caught.value.code == "BB523"
    assert not (tmp_path / "wheelhouse").exists()


def test_a_version_that_was_never_tested(tmp_path: Path) -> None:
    for version in ("5.1.2", "7.0.0"):
        (tmp_path / "auditwheel").write_text(f"#!/bin/sh\necho auditwheel {version} installed at somewhere\n")
        (tmp_path / "auditwheel").chmod(0o755)
        with pytest.raises(ToolError) as caught:
            auditwheel.command(str(tmp_path))
        assert caught.value.what == f"version {version} of auditwheel was never tested with this program"


@pytest.mark.build
@pytest.mark.parametrize("version", ["5.4.0", "6.8.2"])
def test_oldest_and_newest_auditwheel(
    tmp_path: Path, shared_cache: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shared_cache / f"auditwheel-{version}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not (home / "bin" / "auditwheel").exists():
        venv.create(home, with_pip=True, symlinks=True)
        done = subprocess.run(
            [str(home / "bin" / "python"), "-m", "pip", "install", "-q", f"auditwheel=={version}", "patchelf"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            missing(f"auditwheel {version} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
    assert auditwheel.command() == (str(home / "bin" / "auditwheel"),)
    wheel, library = with_library(tmp_path, "-mavx2")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    with pytest.raises(ViolationError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    assert caught.value.why is not None
    assert str(library) in caught.value.why
    (tmp_path / "good").mkdir()
    good = extension(tmp_path / "good", "-Wl,--no-as-needed", "-lc")
    assert "manylinux" in repair_wheel(good, tmp_path / "wheelhouse").wheel.name


def test_the_command_repairs_several_and_keeps_the_bad_ones_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x86_only()
    good = make_wheel(tmp_path, {"thing/tool": compile_file(tmp_path / "tool", PROGRAM.format(code=""))})
    bad = make_wheel(
        tmp_path,
        {"other/tool": compile_file(tmp_path / "bad", PROGRAM.format(code='__asm__ volatile ("vzeroupper");'))},
        name="other",
    )
    out = tmp_path / "wheelhouse"
    status = main(["repair", "-w", str(out), str(bad), str(tmp_path / "thing*.whl")])
    assert status == 1
    captured = capsys.readouterr()
    made = list(out.iterdir())
    assert [path.name.split("-")[0] for path in made] == ["thing"]
    assert captured.out == f"{made[0]}\n"
    assert captured.err.startswith(f"BB520: {bad.name}!other/tool: the wheel did not pass: it needs x86-64-v3")
    assert good.exists()


def test_unknown_options_reach_auditwheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, library = with_library(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    assert main(["repair", "-w", str(tmp_path / "out"), "--lib-sdir=_inside", str(wheel)]) == 0
    with zipfile.ZipFile(next((tmp_path / "out").iterdir())) as archive:
        assert any(name.startswith("thing_inside/libprivate-") for name in archive.namelist())


@pytest.mark.build
def test_prove_runs_the_wheel_on_the_emulated_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool("qemu-x86_64", "qemu-x86_64-static")
    wheel = extension(tmp_path, "-Wl,--no-as-needed", "-lc")
    monkeypatch.chdir(tmp_path)
    command = ["repair", "-w", "out", "--prove", "python -c 'import thing._x'", str(wheel)]
    assert main(command) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "proven: python -c 'import thing._x'",
        "note: this emulator cannot trap: lzcnt and tzcnt (run as bsr and bsf), fisttp, prefetchw",
    ]
    command[4] = "python -c 'import thing._x; raise SystemExit(3)'"
    assert main(command) == 5
    assert capsys.readouterr().err.startswith(
        "BB525: python -c import thing._x; raise SystemExit(3): the command failed with status 3 on the emulated x86-64"
    )
