from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = "@FLAGS@"

setup(ext_modules=cythonize([Extension("work._work", ["loops.pyx"], extra_compile_args=FLAGS.split())]))
