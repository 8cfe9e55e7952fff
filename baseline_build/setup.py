"""Adds the compiled engine where it can be built; without a compiler the Python engine gives the same answers."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError


class BuildEngineIfPossible(build_ext):  # type: ignore[misc]  # setuptools may come without types
    """Goes on without the engine where there is no compiler, or none that works."""

    def build_extension(self, ext: Extension) -> None:
        """Compile *ext*; a failure is a warning, because the package is whole without it."""
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError, OSError) as error:
            self.warn(f"{ext.name} was not built ({error}); the portable engine gives the same answers, more slowly")


# CFFI is a build requirement on CPython and part of PyPy; elsewhere the package is pure Python.
has_cffi = importlib.util.find_spec("cffi") is not None
stable_abi = has_cffi and sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
setup(
    # Named so that setuptools knows this file for its script and does not take it for a module of the package.
    script_name="setup.py",
    cmdclass={"build_ext": BuildEngineIfPossible},
    cffi_modules=["decode/_engine_build.py:ffibuilder"] if has_cffi else [],
    options={"bdist_wheel": {"py_limited_api": "cp39"}} if stable_abi else {},
)
