import sys

sys.path.insert(0, ".")
from native import native

native(["cmake", "-G", "@GENERATOR@", "-S", ".", "-B", "out"], ["cmake", "--build", "out"], library="out/libwork.so")
