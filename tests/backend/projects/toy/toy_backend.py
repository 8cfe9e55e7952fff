"""A backend with the two mandatory hooks of PEP 517 and nothing else; it writes down what it was called with."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path


class Backend:
    class inner:
        @staticmethod
        def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
            Path("calls.json").write_text(json.dumps([config_settings, metadata_directory]))
            subprocess.run(["cc", "-O3", "-mavx2", "-shared", "-fPIC", "toy.c", "-o", "toy.so"], check=True)
            tag = os.environ.get("TOY_TAG", "py3-none-linux_x86_64")
            name = f"toy-1.0-{tag}.whl"
            with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
                wheel.write("toy.so")
                wheel.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
                text = f"Wheel-Version: 1.0\nGenerator: toy\nRoot-Is-Purelib: false\nTag: {tag}\n"
                wheel.writestr("toy-1.0.dist-info/WHEEL", text)
                wheel.writestr("toy-1.0.dist-info/RECORD", "")
            return name

        @staticmethod
        def build_sdist(sdist_directory, config_settings=None):
            with tarfile.open(os.path.join(sdist_directory, "toy-1.0.tar.gz"), "w:gz") as sdist:
                sdist.add("toy.c", "toy-1.0/toy.c")
                sdist.add("pyproject.toml", "toy-1.0/pyproject.toml")
            return "toy-1.0.tar.gz"
