"""Uses the installed example wheel as a person would; needs nothing but the wheel.

For the test step of cibuildwheel, for emulated CPUs and for old systems, where no test runner is at hand:
``python tests/installed_check.py``. Ends with 0 and one line per thing shown, or with the exception of what failed.
With ``--no-locks`` the database is opened without its locks: musl makes LMDB's mutexes only where the system has
get_robust_list(2), and qemu's user mode has not.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SCHEMA = """
namespace check;
table Point { x:int; y:int; name:string; }
root_type Point;
"""


def check_versions() -> str:
    """Compiler, runtime and reflection data are of one version."""
    import example_pkg

    return str(example_pkg.versions())


def check_database(folder: Path, lock: bool = True) -> str:
    """A database is written, closed, opened again and read; with its locks or without."""
    from example_pkg import lmdb

    path = str(folder / "database")
    with lmdb.open(path, max_dbs=2, map_size=1 << 20, lock=lock) as env:
        names = env.open_db(b"names", dupsort=True)
        with env.begin(write=True) as txn:
            for number in range(100):
                txn.put(b"%03d" % number, b"value %d" % number)
            txn.put(b"k", b"1", db=names)
            txn.put(b"k", b"2", db=names)
    with lmdb.open(path, max_dbs=2, readonly=True, lock=lock) as env, env.begin() as txn:
        rows = [(bytes(key), bytes(value)) for key, value in txn.cursor() if key != b"names"]
        assert rows == [(b"%03d" % number, b"value %d" % number) for number in range(100)]
        doubles = list(txn.cursor(db=env.open_db(b"names", txn=txn, create=False)).iternext_dup(keys=False))
        assert not doubles or all(bytes(value) in {b"1", b"2"} for value in doubles)
    return f"{len(rows)} rows came back"


def check_schema(folder: Path) -> str:
    """The bundled compiler makes Python code that the bundled runtime runs."""
    schema = folder / "point.fbs"
    schema.write_text(SCHEMA)
    flatc = Path(sysconfig.get_path("scripts")) / "flatc"
    subprocess.run([str(flatc), "--python", "-o", str(folder), str(schema)], check=True)
    from example_pkg import flatbuffers

    sys.modules.setdefault("flatbuffers", flatbuffers)
    spec = importlib.util.spec_from_file_location("point", folder / "check" / "Point.py")
    assert spec is not None
    assert spec.loader is not None
    point = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(point)
    builder = flatbuffers.Builder(64)
    name = builder.CreateString("origin")
    point.PointStart(builder)
    point.PointAddX(builder, 3)
    point.PointAddY(builder, -4)
    point.PointAddName(builder, name)
    builder.Finish(point.PointEnd(builder))
    read = point.Point.GetRootAs(bytes(builder.Output()), 0)
    assert (read.X(), read.Y(), read.Name()) == (3, -4, b"origin")
    return "a buffer was written and read"


def main() -> None:
    """Run every check in a temporary folder, outside the source tree."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        folder = Path(name)
        print("versions:", check_versions())
        print("database:", check_database(folder, "--no-locks" not in sys.argv))
        print("schema:", check_schema(folder))
        os.chdir("/")


if __name__ == "__main__":
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    main()
