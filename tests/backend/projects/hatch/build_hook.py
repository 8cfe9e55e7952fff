"""Compiles a library the way projects with hatchling do it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        library = Path(self.root, "hatch_pkg", "libscale.so")
        source = Path(self.root, "scale.c")
        subprocess.run(
            ["cc", "-O3", "-march=native", "-mavx2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True
        )
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] = ["hatch_pkg/libscale.so"]
