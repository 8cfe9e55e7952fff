from setuptools import Extension, setup

FLAGS = "@FLAGS@"

setup(ext_modules=[Extension("work._work", ["module.c"], extra_compile_args=FLAGS.split())])
