import sys

sys.path.insert(0, ".")
from native import native

native(["autoconf"], ["./configure", "CFLAGS=-O3 @FLAGS@"], ["make"])
