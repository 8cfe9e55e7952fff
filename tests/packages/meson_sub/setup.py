import sys

sys.path.insert(0, ".")
from native import native

native(["meson", "setup", "out", "--buildtype=release"], ["meson", "compile", "-C", "out"], library="out/libwork.so")
