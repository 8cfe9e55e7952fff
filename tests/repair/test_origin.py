"""A grafted library that a distribution's package brought: the error names that package, whatever the packager."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict, Tuple

import pytest

from baseline_build.errors import ViolationError
from baseline_build.repair import origin, repair_wheel
from tests.tools import require_tool

from .test_repair import LIBRARY, USER
from .wheels import compile_file, make_wheel, x86_only

SPEC = """
Name: libprivate1
Version: 1.2
Release: 3
Summary: a library above the baseline
License: MIT
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%description
A library above the baseline.
%install
mkdir -p %{{buildroot}}{folder}
cp {library} %{{buildroot}}{folder}/
%files
{folder}/libprivate.so.1
"""


def _done(*command: str, **environ: str) -> str:
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install_deb(library: Path, target: Path, scratch: Path) -> Dict[str, str]:
    """Make a Debian package of *library*, installed at *target*, with a database of its own; how to ask that one."""
    require_tool("dpkg-deb")
    tree, database = scratch / "tree", scratch / "database"
    shutil.copytree(library.parent, tree / target.parent.relative_to("/"))
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        "Package: libprivate1\nVersion: 1.2-3\nArchitecture: all\nMaintainer: Nobody <nobody@invalid>\n"
        "Description: a library above the baseline\n"
    )
    _done("dpkg-deb", "--build", str(tree), str(scratch / "libprivate1.deb"))
    for name in ("info", "updates"):
        (database / name).mkdir(parents=True)
    (database / "status").touch()
    force = "--force-not-root,bad-path"
    _done("dpkg", force, f"--admindir={database}", "--instdir=/", "-i", str(scratch / "libprivate1.deb"))
    return {"DPKG_ADMINDIR": str(database)}


def install_rpm(library: Path, target: Path, scratch: Path) -> Dict[str, str]:
    """The same as an RPM package."""
    require_tool("rpmbuild")
    home = scratch / "home"
    home.mkdir()
    macros = f"%_dbpath {scratch / 'database'}\n%_topdir {scratch / 'rpmbuild'}\n"
    (home / ".rpmmacros").write_text(macros)
    (scratch / "x.spec").write_text(SPEC.format(folder=target.parent, library=library))
    _done("rpmbuild", "-bb", str(scratch / "x.spec"), HOME=str(home))
    (package,) = (scratch / "rpmbuild" / "RPMS").rglob("*.rpm")
    _done("rpm", "-i", "--nodeps", str(package), HOME=str(home))
    return {"HOME": str(home)}


WAYS = {"deb": (install_deb, "libprivate1 1.2-3"), "rpm": (install_rpm, "libprivate1 1.2-3")}


@pytest.fixture(params=sorted(WAYS))
def packaged(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tuple[Path, str]:
    """A library compiled with -mavx2 that a package installed, and that package's name and version."""
    x86_only()
    install: Callable[[Path, Path, Path], Dict[str, str]]
    install, package = WAYS[request.param]
    made, target = tmp_path / "made", tmp_path / "system" / "lib" / "libprivate.so.1"
    made.mkdir()
    flags = ("-shared", "-fPIC", "-O3", "-mavx2", "-Wl,-soname,libprivate.so.1")
    library = compile_file(made / "libprivate.so.1", LIBRARY, *flags)
    (made / "libprivate.c").unlink()
    for name, value in install(library, target, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(target.parent))
    return target, package


def test_the_package_of_a_grafted_system_library_is_named(packaged: Tuple[Path, str], tmp_path: Path) -> None:
    library, package = packaged
    user = compile_file(tmp_path / "_user.so", USER, "-shared", "-fPIC", str(library), "-Wl,--no-as-needed", "-lc")
    wheel = make_wheel(tmp_path, {"thing/_user.so": user})
    with pytest.raises(ViolationError) as caught:
        repair_wheel(wheel, tmp_path / "wheelhouse")
    error = caught.value
    assert error.code == "BB520"
    assert error.why is not None
    assert error.why.endswith(f"auditwheel copied this library from {library} (package {package})")
    assert error.fix is not None
    assert error.fix.startswith(
        "build that library from source for the baseline and link with it, take the package of "
    )
    assert list((tmp_path / "wheelhouse").iterdir()) == []


def test_a_link_to_it_is_owned_too(packaged: Tuple[Path, str], tmp_path: Path) -> None:
    library, package = packaged
    link = tmp_path / "libprivate.so"
    link.symlink_to(library)
    assert origin.package_of(link) == package
    assert origin.package_of(tmp_path / "made" / "libprivate.so.1") is None
