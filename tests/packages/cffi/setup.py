from setuptools import setup

setup(cffi_modules=["build_work.py:builder"])
