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

ARM_IMAGE = Image("bookworm", arch="aarch64")


@pytest.mark.parametrize("whole", [False, True], ids=["extension", "whole"])
def test_native_build_for_arm64(workshop: Workshop, tool: Path, tmp_path: Path, whole: bool) -> None:
    """The LMDB extension, and with patience (an hour) the whole project with its compiler in C++."""
    if not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists():
        missing(
            "ARM64 programs do not start here: binfmt_misc has no qemu-aarch64 (mount it, install qemu-user-static)"
        )
    if whole and not os.environ.get("BASELINE_BUILD_TEST_WHOLE"):
        pytest.skip("NOT RUN: the emulated C++ build takes an hour; BASELINE_BUILD_TEST_WHOLE=1 asks for it")
    project = copy_checkout(tmp_path / "project")
    settings = {"CIBW_TEST_ENVIRONMENT": "QEMU_CPU=cortex-a53"}
    if not whole:
        settings.update(extension_alone(project))
    out = tmp_path / "wheelhouse"
    result = workshop.cibuildwheel(tool, ARM_IMAGE, project, out, ARM_IMAGE.pythons, settings)
    (workshop.home / f"arm64-{'whole' if whole else 'extension'}.log").write_text(result.stdout)
    assert result.returncode == 0, result.stdout[-6000:]
    (wheel,) = out.glob("*.whl")
    assert re.search(r"-cp39-abi3-manylinux\w*_aarch64", wheel.name)
    status, text = scan(wheel)
    assert status == 0, text
    assert "100 rows came back" in result.stdout
