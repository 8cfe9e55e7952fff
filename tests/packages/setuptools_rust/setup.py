from setuptools import setup
from setuptools_rust import Binding, RustExtension

FLAGS = "@FLAGS@"

extension = RustExtension("work._work", binding=Binding.NoBinding, args=["--offline"], rustc_flags=FLAGS.split())
setup(rust_extensions=[extension], zip_safe=False)
