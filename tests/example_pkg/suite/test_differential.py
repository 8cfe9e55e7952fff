"""The same operations on this binding and on py-lmdb: the same results, the same exceptions."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any, Callable, Dict, List, Optional, Tuple

import lmdb as theirs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from example_pkg import lmdb as ours

Outcome = Tuple[str, Any]

keys = st.sampled_from([b"a", b"b", b"bb", b"c", b"d" * 40, b"e" * 511, b"f" * 512, b"", b"\x00", b"\xff\xff"])
values = st.sampled_from([b"", b"1", b"2", b"22", b"3" * 60, b"4" * 511, b"5" * 512, b"6" * 5000])
numbers = st.sampled_from([(n).to_bytes(8, "little") for n in (0, 1, 7, 300)])
databases = st.sampled_from(["main", "plain", "dup", "fixed", "int", "reverse"])
STEPS = ["first", "first_dup", "last", "last_dup", "next", "next_dup", "next_nodup", "prev", "prev_dup", "prev_nodup"]
MOVES = [*STEPS, "key", "value", "item", "count"]
WALKS = ["iternext", "iternext_dup", "iternext_nodup", "iterprev", "iterprev_dup", "iterprev_nodup"]
FLAGS: Dict[str, Dict[str, bool]] = {
    "plain": {},
    "dup": {"dupsort": True},
    "fixed": {"dupsort": True, "dupfixed": True},
    "int": {"integerkey": True},
    "reverse": {"reverse_key": True},
}


class Side:
    """One implementation with its environment and the objects made so far, at the same places on both sides."""

    def __init__(self, module: Any, folder: str) -> None:
        self.module = module
        self.env = module.open(folder, map_size=48 * 4096, max_dbs=8, max_readers=20, sync=False)
        self.databases: Dict[str, Any] = {"main": None}
        for name, flags in FLAGS.items():
            self.databases[name] = self.env.open_db(name.encode(), **flags)
        self.transactions: List[Any] = []
        self.cursors: List[Any] = []

    def try_out(self, action: Callable[[Side], Any]) -> Outcome:
        try:
            return ("gives", action(self))
        except self.module.Error as error:
            return ("raises", (type(error).__name__, error.code))
        except (TypeError, ValueError, OverflowError) as error:
            return ("raises", type(error).__name__)


class Comparison(RuleBasedStateMachine):
    """At most one writing transaction is open at a time, since a second one in the same thread is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.sides = [Side(module, os.path.join(self.folder, module.__name__)) for module in (ours, theirs)]
        self.depth = 0

    @initialize(count=st.integers(0, 30))
    def fill(self, count: int) -> None:
        def action(side: Side) -> None:
            with side.env.begin(write=True) as txn:
                for number in range(count):
                    txn.put(b"k%02d" % number, b"v" * number, db=side.databases["plain"])
                    txn.put(b"k%d" % (number % 4), b"v%02d" % number, db=side.databases["dup"])
                    txn.put(b"k%d" % (number % 3), b"w%02d" % number, db=side.databases["fixed"])
                    txn.put(number.to_bytes(8, "little"), b"", db=side.databases["int"])

        self.both(action)

    def teardown(self) -> None:
        for side in self.sides:
            for txn in reversed(side.transactions):
                txn.abort()
            side.env.close()
        shutil.rmtree(self.folder)

    def both(self, action: Callable[[Side], Any]) -> Outcome:
        mine, other = (side.try_out(action) for side in self.sides)
        assert mine == other
        return mine

    # Transactions

    @rule(write=st.booleans(), db=databases)
    def begin(self, write: bool, db: str) -> None:
        if write and self.depth:
            return
        if len(self.sides[0].transactions) > 6:
            return
        kept = self.both(lambda side: side.transactions.append(side.env.begin(write=write, db=side.databases[db])))
        self.depth += write and kept[0] == "gives"

    @precondition(lambda self: self.depth)
    @rule(place=st.integers(0, 6))
    def begin_nested(self, place: int) -> None:
        self.both(
            lambda side: side.transactions.append(
                side.env.begin(write=True, parent=side.transactions[place % len(side.transactions)])
            )
        )

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), how=st.sampled_from(["commit", "abort"]))
    def end(self, place: int, how: str) -> None:
        self.both(lambda side: getattr(side.transactions[place % len(side.transactions)], how)())
        self.depth = sum(1 for txn in self.sides[0].transactions if txn.handle.write and txn.handle.native is not None)

    def _txn(self, place: int, action: Callable[[Side, Any], Any]) -> Outcome:
        return self.both(lambda side: action(side, side.transactions[place % len(side.transactions)]))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), key=keys, db=databases)
    def get(self, place: int, key: bytes, db: str) -> None:
        self._txn(place, lambda side, txn: txn.get(key, b"default", db=side.databases[db]))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(
        place=st.integers(0, 6),
        key=st.one_of(keys, numbers),
        value=st.one_of(values, numbers),
        db=databases,
        dupdata=st.booleans(),
        overwrite=st.booleans(),
        append=st.booleans(),
    )
    def put(self, place: int, key: bytes, value: bytes, db: str, dupdata: bool, overwrite: bool, append: bool) -> None:
        if _undefined(db, key, value):
            return
        options = {"dupdata": dupdata, "overwrite": overwrite, "append": append}
        self._txn(place, lambda side, txn: txn.put(key, value, db=side.databases[db], **options))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), key=keys, value=st.one_of(st.none(), values), db=databases)
    def delete(self, place: int, key: bytes, value: Optional[bytes], db: str) -> None:
        if _undefined(db, key, value):
            return
        self._txn(place, lambda side, txn: txn.delete(key, value, db=side.databases[db]))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), key=keys, value=values, db=databases)
    def replace(self, place: int, key: bytes, value: bytes, db: str) -> None:
        if _undefined(db, key, value):
            return
        self._txn(place, lambda side, txn: txn.replace(key, value, db=side.databases[db]))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), key=keys, db=databases)
    def pop(self, place: int, key: bytes, db: str) -> None:
        if _undefined(db, key, b""):
            return
        self._txn(place, lambda side, txn: txn.pop(key, db=side.databases[db]))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), db=st.sampled_from(sorted(FLAGS)))
    def empty(self, place: int, db: str) -> None:
        self._txn(place, lambda side, txn: txn.drop(side.databases[db], delete=False))

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), db=st.sampled_from(sorted(FLAGS)))
    def statistics(self, place: int, db: str) -> None:
        self._txn(place, lambda side, txn: txn.stat(side.databases[db]))
        # Which slot a finished reader leaves to the next one is nobody's promise.
        unlike = ("map_addr", "num_readers")
        self.both(lambda side: {name: fact for name, fact in side.env.info().items() if name not in unlike})

    # Cursors

    @precondition(lambda self: self.sides[0].transactions)
    @rule(place=st.integers(0, 6), db=databases)
    def open_cursor(self, place: int, db: str) -> None:
        if len(self.sides[0].cursors) < 8:
            self._txn(place, lambda side, txn: side.cursors.append(txn.cursor(side.databases[db])))

    def _cursor(self, place: int, action: Callable[[Side, Any], Any]) -> Outcome:
        return self.both(lambda side: action(side, side.cursors[place % len(side.cursors)]))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7))
    def close_cursor(self, place: int) -> None:
        self._cursor(place, lambda side, cursor: cursor.close())

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7), moves=st.lists(st.sampled_from(MOVES), min_size=1, max_size=6))
    def move(self, place: int, moves: List[str]) -> None:
        for name in moves:
            self._cursor(place, lambda side, cursor, name=name: getattr(cursor, name)())

    @precondition(lambda self: self.sides[0].cursors)
    @rule(
        place=st.integers(0, 7),
        how=st.sampled_from(["set_key", "set_range", "get"]),
        key=st.one_of(keys, st.sampled_from([b"k1", b"k2", b"k9"])),
    )
    def seek(self, place: int, how: str, key: bytes) -> None:
        if _undefined(self._name(place), key, b""):
            return
        self._cursor(place, lambda side, cursor: (getattr(cursor, how)(key), cursor.item()))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(
        place=st.integers(0, 7),
        how=st.sampled_from(["set_key_dup", "set_range_dup"]),
        key=st.sampled_from([b"a", b"k1", b"k2", b"k9"]),
        value=st.sampled_from([b"1", b"v02", b"v20", b"w03", b"z"]),
    )
    def seek_pair(self, place: int, how: str, key: bytes, value: bytes) -> None:
        if _undefined(self._name(place), key, value):
            return
        self._cursor(place, lambda side, cursor: (getattr(cursor, how)(key, value), cursor.item()))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7), how=st.sampled_from(WALKS), keys_=st.booleans(), values_=st.booleans())
    def walk(self, place: int, how: str, keys_: bool, values_: bool) -> None:
        self._cursor(place, lambda side, cursor: list(getattr(cursor, how)(keys=keys_, values=values_)))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7), key=keys, value=values, append=st.booleans(), overwrite=st.booleans())
    def cursor_put(self, place: int, key: bytes, value: bytes, append: bool, overwrite: bool) -> None:
        if _undefined(self._name(place), key, value):
            return
        self._cursor(
            place,
            lambda side, cursor: (cursor.put(key, value, append=append, overwrite=overwrite), cursor.item()),
        )

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7), pairs=st.lists(st.tuples(keys, values), max_size=4), dupdata=st.booleans())
    def cursor_putmulti(self, place: int, pairs: List[Tuple[bytes, bytes]], dupdata: bool) -> None:
        if any(_undefined(self._name(place), key, value) for key, value in pairs):
            return
        self._cursor(place, lambda side, cursor: cursor.putmulti(pairs, dupdata=dupdata))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7), dupdata=st.booleans())
    def cursor_delete(self, place: int, dupdata: bool) -> None:
        self._cursor(place, lambda side, cursor: (cursor.delete(dupdata), cursor.item()))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(place=st.integers(0, 7), key=keys, value=values, how=st.sampled_from(["pop", "replace"]))
    def cursor_exchange(self, place: int, key: bytes, value: bytes, how: str) -> None:
        if _undefined(self._name(place), key, value):
            return
        arguments = (key,) if how == "pop" else (key, value)
        self._cursor(place, lambda side, cursor: getattr(cursor, how)(*arguments))

    @precondition(lambda self: self.sides[0].cursors)
    @rule(
        place=st.integers(0, 7),
        wanted=st.lists(st.sampled_from([b"a", b"k1", b"k2", b"nope"]), max_size=4),
        dupdata=st.booleans(),
        size=st.sampled_from([None, 3]),
        keyfixed=st.booleans(),
        values_=st.booleans(),
    )
    def getmulti(
        self, place: int, wanted: List[bytes], dupdata: bool, size: Optional[int], keyfixed: bool, values_: bool
    ) -> None:
        if size and self._name(place) != "fixed":
            return
        if self._name(place) == "int":
            return

        def action(side: Side, cursor: Any) -> Any:
            found = cursor.getmulti(wanted, dupdata, size, keyfixed, values_)
            return bytes(found) if isinstance(found, memoryview) else found

        self._cursor(place, action)

    def _name(self, place: int) -> str:
        """The name of the database a cursor stands in."""
        side = self.sides[0]
        name = side.cursors[place % len(side.cursors)].db.name
        return "main" if name is None else name.decode()


def _undefined(db: str, key: bytes, value: Optional[bytes]) -> bool:
    """Uses that LMDB leaves undefined: integer keys of a wrong size; values of several sizes where one is promised.

    Overwriting the records of named databases in the main one destroys those, which is undefined too, but none of the
    keys here is such a name.
    """
    if db == "int":
        return len(key) != 8
    if db == "fixed":
        return value is None or len(value) != 3
    return False


Comparison.TestCase.settings = settings(
    max_examples=int(os.environ.get("EXAMPLE_PKG_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestComparison = pytest.mark.skipif(
    not hasattr(theirs, "cpython"),
    reason="py-lmdb's implementation in Python remembers a position after a failed seek, the one in C does not",
)(Comparison.TestCase)


def test_same_names() -> None:
    """Whatever py-lmdb offers for LMDB 0.9 is here too."""
    not_here = {"enable_drop_gil", "ProblemError", "BadChecksumError", "CryptoFailError", "EnvEncryptionError"}
    assert set(theirs.__all__) - not_here <= set(ours.__all__)
    for kind in ("Environment", "Transaction", "Cursor", "_Database"):
        public = {name for name in dir(getattr(theirs, kind)) if not name.startswith("_")}
        # The version of the engine is fixed here: lmdb.version() tells it.
        assert public - {"lib_version"} <= set(dir(getattr(ours, kind))) | {"env"}, kind


@pytest.mark.parametrize("name", [name for name in theirs.__all__ if name.endswith("Error")])
def test_same_exception_tree(name: str) -> None:
    if not hasattr(ours, name):
        assert name in {"ProblemError", "BadChecksumError", "CryptoFailError", "EnvEncryptionError"}
        return
    mine, other = getattr(ours, name), getattr(theirs, name)
    assert [base.__name__ for base in mine.__mro__] == [base.__name__ for base in other.__mro__]


def test_each_reads_what_the_other_wrote(tmp_path: Any) -> None:
    for writer, reader in ((ours, theirs), (theirs, ours)):
        folder = str(tmp_path / writer.__name__)
        with writer.open(folder, max_dbs=1) as env:
            db = env.open_db(b"names", dupsort=True)
            with env.begin(write=True, db=db) as txn:
                assert txn.put(b"k", b"one")
                assert txn.put(b"k", b"two")
        with reader.open(folder, max_dbs=1, readonly=True) as env:
            db = env.open_db(b"names")
            assert db.flags() == {
                "reverse_key": False,
                "dupsort": True,
                "integerkey": False,
                "integerdup": False,
                "dupfixed": False,
            }
            with env.begin(db=db) as txn:
                assert list(txn.cursor()) == [(b"k", b"one"), (b"k", b"two")]
