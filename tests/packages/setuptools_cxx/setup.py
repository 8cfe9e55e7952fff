from setuptools import Extension, setup

FLAGS = "@FLAGS@"

setup(ext_modules=[Extension("work._work", ["module.cpp"], extra_compile_args=FLAGS.split(), language="c++")])
