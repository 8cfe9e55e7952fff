"""ARM64 on an x86-64 machine: cibuildwheel in an ARM64 image, every program of it emulated through binfmt_misc."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.checkout import copy_checkout
from tests.cibuildwheel.copies import extension_alone
from tests.cibuildwheel.images import Image, Workshop
from tests.cibuildwheel.test_cibuildwheel import scan
from tests.tools import missing

pytestmark = [pytest.mark.cibuildwheel, pytest.mark.long]

EXTENSION_IMAGE = Image("bookworm", arch="aarch64")
WHOLE_IMAGE = Image("trixie", arch="aarch64")
OLD_CPU = {"CIBW_TEST_ENVIRONMENT": "QEMU_CPU=cortex-a53"}


@pytest.fixture(autouse=True)
def emulation() -> None:
    if not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists():
        missing(
            "ARM64 programs do not start here: binfmt_misc has no qemu-aarch64 (mount it, install qemu-user-static)"
        )


def test_native_build_of_the_extension(workshop: Workshop, tool: Path, tmp_path: Path) -> None:
    project = copy_checkout(tmp_path / "project")
    settings = {**OLD_CPU, **extension_alone(project)}
    out = tmp_path / "wheelhouse"
    result = workshop.cibuildwheel(tool, EXTENSION_IMAGE, project, out, EXTENSION_IMAGE.pythons, settings)
    (workshop.home / "arm64-extension.log").write_text(result.stdout)
    assert result.returncode == 0, result.stdout[-6000:]
    (wheel,) = out.glob("*.whl")
    assert re.search(r"-cp39-abi3-manylinux\w*_aarch64", wheel.name)
    status, text = scan(wheel)
    assert status == 0, text
    assert "100 rows came back" in result.stdout


def test_native_build_of_the_whole_project(workshop: Workshop, tool: Path, tmp_path: Path) -> None:
    """With its program, on every interpreter of the image. The program is kept: emulated, it takes 20 minutes."""
    if not os.environ.get("BASELINE_BUILD_TEST_WHOLE"):
        pytest.skip("NOT RUN: the emulated builds take 40 minutes; BASELINE_BUILD_TEST_WHOLE=1 asks for it")
    programs = workshop.home / "programs-aarch64"
    programs.mkdir(exist_ok=True)
    settings = {
        **OLD_CPU,
        "CIBW_CONTAINER_ENGINE": f"podman; create_args: --volume={programs}:/programs",
        "CIBW_ENVIRONMENT": "BASELINE_BUILD_CACHE=/programs",
    }
    out = tmp_path / "wheelhouse"
    project = copy_checkout(tmp_path / "project")
    result = workshop.cibuildwheel(tool, WHOLE_IMAGE, project, out, WHOLE_IMAGE.pythons, settings)
    (workshop.home / "arm64-whole.log").write_text(result.stdout)
    assert result.returncode == 0, result.stdout[-6000:]
    wheels = sorted(out.glob("*.whl"))
    assert [wheel.name.split("-")[2] for wheel in wheels] == ["cp39", "pp311"]
    for wheel in wheels:
        assert re.search(r"-manylinux\w*_aarch64", wheel.name)
        status, text = scan(wheel)
        assert status == 0, text
    assert result.stdout.count("a buffer was written and read") == len(WHOLE_IMAGE.pythons)
