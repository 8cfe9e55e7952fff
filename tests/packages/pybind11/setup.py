from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

FLAGS = "@FLAGS@"

setup(ext_modules=[Pybind11Extension("work._work", ["bound.cpp"], extra_compile_args=FLAGS.split())])
