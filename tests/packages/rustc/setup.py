import sys

sys.path.insert(0, ".")
from native import native

FLAGS = "@FLAGS@"

native(["rustc", "-O", "--crate-type=cdylib", *FLAGS.split(), "-o", "libwork.so", "loop.rs"])
