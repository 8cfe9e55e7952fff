import sys

sys.path.insert(0, ".")
from native import native

native(["cargo", "build", "--release", "--offline"], library="target/release/libwork.so")
