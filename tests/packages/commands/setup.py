import sys

sys.path.insert(0, ".")
from native import native

native(["sh", "./build.sh"])
