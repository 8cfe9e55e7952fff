"""What the projects with a sub-build share: run commands, put their library into the package of the wheel."""

import pathlib
import subprocess

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py


def native(*commands, library="libwork.so"):
    """Set the project up: each of *commands* runs in the project's folder, *library* goes into the package."""

    class Native(Distribution):
        def has_ext_modules(self):
            return True

    class Build(build_py):
        def run(self):
            super().run()
            for command in commands:
                subprocess.check_call(command)
            target = pathlib.Path(self.build_lib, "work")
            target.mkdir(parents=True, exist_ok=True)
            self.copy_file(library, str(target / pathlib.Path(library).name))

    setup(cmdclass={"build_py": Build}, distclass=Native)
