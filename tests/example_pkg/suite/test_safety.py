"""Nothing Python code can do with the binding may crash the process: each case runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELUDE = """
import faulthandler, gc, os, sys, threading, time
faulthandler.enable()
faulthandler.dump_traceback_later(50, exit=True)
from example_pkg import lmdb
env = lmdb.open(sys.argv[1], max_dbs=2, map_size=1 << 24, sync=False)
with env.begin(write=True) as txn:
    for number in range(500):
        txn.put(b"%d" % number, b"x" * number)
def refused(use):
    try:
        use()
    except lmdb.Error as error:
        return error
    raise SystemExit("this was not refused")
"""

CASES = {
    "a transaction outlives its environment": """
        txn = env.begin(); cursor = txn.cursor(); cursor.first(); walk = cursor.iternext(); next(walk)
        env.close()
        refused(lambda: txn.get(b"1")); refused(cursor.next); refused(lambda: next(walk)); refused(cursor.key)
        txn.abort(); cursor.close(); del txn, cursor, walk; gc.collect()
    """,
    "everything is dropped in the wrong order": """
        parts = [env, env.begin(), env.begin(write=True)]
        parts += [parts[1].cursor(), parts[2].cursor()]
        parts.append(env.begin(write=True, parent=parts[2]))
        del env
        while parts:
            parts.pop(0); gc.collect()
    """,
    "nothing is ever closed": """
        txn = env.begin(write=True); cursor = txn.cursor(); cursor.first(); reader = env.begin(buffers=True)
        view = reader.get(b"7")
    """,
    "a cursor survives its database": """
        db = env.open_db(b"db")
        with env.begin(write=True, db=db) as txn:
            cursor = txn.cursor(); txn.put(b"a", b"b"); cursor.first(); txn.drop(db)
            refused(cursor.next); refused(cursor.value); refused(cursor.delete)
    """,
    "a walk while pairs are removed": """
        with env.begin(write=True) as txn:
            seen = 0
            for key, value in txn.cursor():
                txn.delete(key); seen += 1
            assert 0 < seen <= 500, seen
    """,
    "a walk while all is dropped": """
        with env.begin(write=True) as txn:
            walk = iter(txn.cursor()); next(walk); txn.drop(env.open_db(txn=txn), delete=False)
            assert list(walk) == []
    """,
    "views after the end": """
        with env.begin(buffers=True) as txn:
            views = [txn.get(b"%d" % number) for number in range(1, 500)]
        env.close()
        for view in views:
            try:
                view[0]
            except ValueError:
                continue
            raise SystemExit("a view survived")
    """,
    "an environment is closed while others read": """
        stop = []
        def read():
            while not stop:
                try:
                    with env.begin() as txn:
                        for _ in txn.cursor(): pass
                except lmdb.Error:
                    stop.append(1)
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads: thread.start()
        time.sleep(0.3); env.close()
        for thread in threads: thread.join()
        assert stop
    """,
    "one transaction in many threads": """
        txn = env.begin(); failures = []
        def read():
            cursor = txn.cursor()
            for _ in range(20):
                if len(list(cursor.iternext())) != 500: failures.append(1)
                cursor.first()
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert not failures
    """,
    "writers queue and none is lost": """
        def write(name):
            for number in range(40):
                with env.begin(write=True) as txn:
                    txn.put(b"count", b"%d" % (int(txn.get(b"count", b"0")) + 1))
        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        with env.begin() as txn: assert txn.get(b"count") == b"160", txn.get(b"count")
    """,
    "two writers in one thread": """
        with env.begin(write=True) as txn:
            error = refused(lambda: env.begin(write=True)); assert error.code, error
            refused(lambda: env.open_db(b"new"))
        env.begin(write=True).abort()
    """,
    "a writer that was forgotten": """
        env.begin(write=True).put(b"lost", b"")
        with env.begin(write=True) as txn: assert txn.get(b"lost") is None
    """,
    "a writer whose thread ended": """
        kept = []
        def work(): kept.append(env.begin(write=True))
        thread = threading.Thread(target=work); thread.start(); thread.join()
        with env.begin(write=True) as txn: txn.put(b"a", b"b")
        refused(lambda: kept[0].put(b"c", b"d"))
    """,
    "a writer that another thread wants to end": """
        txn = env.begin(write=True); errors = []
        def work():
            for end in (txn.commit, txn.abort): errors.append(refused(end))
        thread = threading.Thread(target=work); thread.start(); thread.join()
        assert len(errors) == 2
        assert txn.put(b"a", b"b"); txn.commit()
    """,
    "closing waits for a writer": """
        ready = threading.Event()
        def work():
            with env.begin(write=True) as txn:
                ready.set(); time.sleep(0.5); txn.put(b"late", b"1")
        thread = threading.Thread(target=work); thread.start(); ready.wait(); env.close(); thread.join()
        with lmdb.open(sys.argv[1]) as again, again.begin() as txn: assert txn.get(b"late") == b"1"
    """,
    "a fork": """
        txn = env.begin(); writer = env.begin(write=True); cursor = txn.cursor(); cursor.first()
        child = os.fork()
        if child == 0:
            for use in (lambda: txn.get(b"1"), cursor.next, lambda: writer.put(b"a", b"b"), env.begin, env.stat):
                refused(use)
            env.close(); txn.abort(); writer.abort(); del txn, writer, cursor; gc.collect()
            with lmdb.open(sys.argv[1], readonly=True) as again, again.begin() as reader:
                assert reader.get(b"7") == b"x" * 7
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        writer.put(b"after", b"1"); writer.commit()
        with env.begin() as reader: assert reader.get(b"after") == b"1"
    """,
    "a fork while another thread writes": """
        stop = threading.Event()
        def work():
            while not stop.is_set():
                with env.begin(write=True) as txn: txn.put(b"a", b"b")
        thread = threading.Thread(target=work); thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                refused(env.begin); os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop.set(); thread.join()
    """,
    "garbage collection in the middle": """
        getattr(gc, "set_threshold", gc.collect)(1)
        for number in range(300):
            txn = env.begin(); cursor = txn.cursor(); cursor.first()
            cycle = [txn, cursor]; cycle.append(cycle)
            del txn, cursor, cycle
        with env.begin(write=True) as txn: txn.put(b"a", b"b")
    """,
    "a resize under open cursors": """
        txn = env.begin(); cursor = txn.cursor(); cursor.first(); walk = cursor.iternext(); next(walk)
        env.set_mapsize(1 << 25)
        refused(lambda: next(walk)); refused(cursor.item)
    """,
    "a copy while another thread closes": """
        os.mkdir(sys.argv[1] + "-copy")
        def work():
            try: env.copy(sys.argv[1] + "-copy")
            except lmdb.Error: pass
        thread = threading.Thread(target=work); thread.start(); env.close(); thread.join()
    """,
    "odd arguments": """
        for use in (lambda: lmdb.open(3.5), lambda: env.begin(db="text").get(b"a"), lambda: lmdb.Transaction(None),
                    lambda: lmdb.Cursor(None, None), lambda: env.begin().get(None), lambda: env.copyfd("no")):
            try: use()
            except (TypeError, AttributeError, lmdb.Error): continue
            raise SystemExit("accepted")
    """,
}


@pytest.mark.parametrize("body", CASES.values(), ids=CASES.keys())
def test_no_crash(body: str, tmp_path: Path) -> None:
    script = PRELUDE + textwrap.dedent(body)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stderr, result.stderr


def test_damaged_files_are_errors_not_crashes(tmp_path: Path) -> None:
    """Bytes of the first pages are flipped one at a time, one process for each page: errors are fine, signals not."""
    script = """
    import sys
    from example_pkg import lmdb
    path, start = sys.argv[1], int(sys.argv[2])
    whole = open(path, "rb").read()
    for offset in range(start, start + 4096, 7):
        data = bytearray(whole); data[offset] ^= 0xFF
        with open(path, "wb") as stream: stream.write(data)
        try:
            with lmdb.open(path, subdir=False, readonly=True, lock=False) as env, env.begin() as txn:
                for pair in txn.cursor(): pass
                txn.get(b"7")
        except lmdb.Error:
            continue
    """
    path = tmp_path / "file"
    make = "import sys; from example_pkg import lmdb\nenv = lmdb.open(sys.argv[1], subdir=False)\n"
    make += "txn = env.begin(write=True)\n"
    make += "for number in range(300): txn.put(b'%d' % number, b'x' * number)\ntxn.commit(); env.close()\n"
    subprocess.run([sys.executable, "-c", make, str(path)], check=True)
    for page in (0, 1, 2, 3):
        copy = tmp_path / f"page{page}"
        copy.write_bytes(path.read_bytes())
        command = [sys.executable, "-c", textwrap.dedent(script), str(copy), str(page * 4096)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, (page, result.returncode, result.stderr)
