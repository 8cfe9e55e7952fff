import sys

sys.path.insert(0, ".")
from native import native

FLAGS = "@FLAGS@"
COMMAND = "@COMPILER@"

native(["cargo", *COMMAND.split(), "--release", "--offline", *FLAGS.split()], library="target/release/libwork.so")
