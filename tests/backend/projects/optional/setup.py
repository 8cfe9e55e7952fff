from setuptools import Extension, setup

kernel = Extension("optional._sum", ["sum.c", "sum_avx2.c"], extra_compile_args=["-O2", "-mavx2"], optional=True)
setup(ext_modules=[kernel])
