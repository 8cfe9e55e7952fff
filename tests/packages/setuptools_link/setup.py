from setuptools import Extension, setup

FLAGS = "@FLAGS@"

setup(ext_modules=[Extension("work._work", ["module.c"], extra_compile_args=["-O3"], extra_link_args=FLAGS.split())])
