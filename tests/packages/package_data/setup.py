import subprocess

from setuptools import Distribution, setup

# What lies in the package's folder gets into the wheel, whoever has put it there.
subprocess.check_call(["sh", "./build.sh"])


class Native(Distribution):
    def has_ext_modules(self):
        return True


setup(package_data={"work": ["*"]}, distclass=Native)
