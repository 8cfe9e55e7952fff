import sys

sys.path.insert(0, ".")
from native import native

native(["cargo", *"@COMPILER@".split(), "--release", "--offline", *"@FLAGS@".split()], library="target/release/libwork.so")
