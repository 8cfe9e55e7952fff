"""What the LMDB binding promises, in one place: it behaves the same on every interpreter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterator

import pytest

from example_pkg import lmdb


@pytest.fixture
def env(tmp_path: Path) -> Iterator[lmdb.Environment]:
    with lmdb.open(str(tmp_path / "db"), max_dbs=4) as opened:
        yield opened


def test_version() -> None:
    assert lmdb.version() == (0, 9, 36)
    assert lmdb.version(subpatch=True) == (0, 9, 36, 1)


def test_written_closed_reopened_and_iterated(tmp_path: Path) -> None:
    with lmdb.open(tmp_path / "db") as env, env.begin(write=True) as txn:
        for number in range(1000):
            assert txn.put(b"%04d" % number, b"value %d" % number)
    with lmdb.open(os.fsencode(tmp_path / "db"), readonly=True) as env, env.begin() as txn:
        assert [key for key, _ in txn.cursor()] == [b"%04d" % number for number in range(1000)]
        assert txn.get(b"0042") == b"value 42"
    assert sorted(os.listdir(tmp_path / "db")) == ["data.mdb", "lock.mdb"]


def test_options_show_in_the_flags(tmp_path: Path) -> None:
    options = {"metasync": False, "sync": False, "readahead": False, "meminit": False, "lock": False, "writemap": True}
    with lmdb.open(str(tmp_path / "file"), subdir=False, map_async=True, **options) as env:
        assert env.flags() == {"subdir": False, "readonly": False, "map_async": True, **options}
        assert env.path() == str(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_modes_of_what_is_created(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path / "db"), mode=0o700).close()
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "db" / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_what_must_exist(tmp_path: Path) -> None:
    with pytest.raises(lmdb.Error, match="No such file"):
        lmdb.open(str(tmp_path / "a"), create=False)
    with pytest.raises(lmdb.Error):
        lmdb.open(str(tmp_path / "b"), readonly=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"something else" * 1000)
    with pytest.raises(lmdb.InvalidError):
        lmdb.open(str(tmp_path))


def test_the_same_files_twice_in_one_process(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "db")):
        (tmp_path / "link").symlink_to(tmp_path / "db")
        for path in ("db", "link"):
            with pytest.raises(lmdb.Error, match="already open"):
                lmdb.open(str(tmp_path / path))
    lmdb.open(str(tmp_path / "link")).close()


def test_a_map_that_is_full_and_then_enlarged(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "db"), map_size=64 * 1024) as env:
        with pytest.raises(lmdb.MapFullError, match="map_size"), env.begin(write=True) as txn:
            txn.put(b"key", b"x" * 100_000)
        env.set_mapsize(1 << 20)
        with env.begin(write=True) as txn:
            assert txn.put(b"key", b"x" * 100_000)
        assert env.info()["map_size"] == 1 << 20


def test_set_mapsize_ends_readers_and_refuses_writers(env: lmdb.Environment) -> None:
    reader = env.begin()
    with env.begin(write=True), pytest.raises(lmdb.Error, match="writing"):
        env.set_mapsize(1 << 22)
    env.set_mapsize(1 << 22)
    with pytest.raises(lmdb.Error, match="closed"):
        reader.get(b"key")


def test_statistics_and_facts(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")
        assert set(txn.stat()) == {"psize", "depth", "branch_pages", "leaf_pages", "overflow_pages", "entries"}
        assert txn.id() == env.info()["last_txnid"] + 1
    assert env.stat()["entries"] == 1
    assert env.max_key_size() == 511
    assert env.max_readers() == 126
    assert "no active readers" in env.readers()
    with env.begin():
        assert str(os.getpid()) in env.readers()
    assert env.reader_check() == 0


@pytest.mark.parametrize("compact", [False, True])
def test_copies(env: lmdb.Environment, tmp_path: Path, compact: bool) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    (tmp_path / "copy").mkdir()
    env.copy(str(tmp_path / "copy"), compact=compact)
    with (tmp_path / "file").open("wb") as stream:
        env.copyfd(stream.fileno(), compact=compact)
    for path, subdir in (("copy", True), ("file", False)):
        with lmdb.open(str(tmp_path / path), subdir=subdir) as copy, copy.begin() as txn:
            assert txn.get(b"key") == b"value"


def test_a_copy_of_what_a_transaction_sees(env: lmdb.Environment, tmp_path: Path) -> None:
    with env.begin() as before:
        with env.begin(write=True) as txn:
            txn.put(b"key", b"value")
        with pytest.raises(TypeError):
            env.copy(str(tmp_path), txn=before)
        (tmp_path / "copy").mkdir()
        env.copy(str(tmp_path / "copy"), compact=True, txn=before)
    with lmdb.open(str(tmp_path / "copy")) as copy, copy.begin() as txn:
        assert txn.get(b"key") is None


def test_sync(env: lmdb.Environment) -> None:
    env.sync()
    env.sync(force=True)


def test_an_exception_aborts(env: lmdb.Environment) -> None:
    def fail() -> None:
        with env.begin(write=True) as txn:
            txn.put(b"key", b"value")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with env.begin() as txn:
        assert txn.get(b"key") is None


def test_nested_transactions(env: lmdb.Environment) -> None:
    with env.begin(write=True) as outer:
        outer.put(b"outer", b"1")
        with env.begin(write=True, parent=outer) as inner:
            inner.put(b"kept", b"2")
        inner = env.begin(write=True, parent=outer)
        inner.put(b"lost", b"3")
        inner.abort()
        assert [outer.get(key) for key in (b"outer", b"kept", b"lost")] == [b"1", b"2", None]
        left = env.begin(write=True, parent=outer)
        left.put(b"also lost", b"4")
    with env.begin() as txn:
        assert [key for key, _ in txn.cursor()] == [b"kept", b"outer"]
    with pytest.raises(lmdb.Error):
        left.get(b"also lost")


def test_readers_keep_their_view(env: lmdb.Environment) -> None:
    with env.begin() as reader:
        with env.begin(write=True) as writer:
            writer.put(b"key", b"value")
        assert reader.get(b"key") is None
    with env.begin() as reader:
        assert reader.get(b"key") == b"value"


def test_writing_where_it_is_not_allowed(env: lmdb.Environment, tmp_path: Path) -> None:
    with env.begin() as txn, pytest.raises(lmdb.ReadonlyError):
        txn.put(b"key", b"value")
    lmdb.open(str(tmp_path / "other")).close()
    with lmdb.open(str(tmp_path / "other"), readonly=True) as readonly, pytest.raises(lmdb.ReadonlyError):
        readonly.begin(write=True)


def test_put_options(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        assert txn.put(b"b", b"1")
        assert not txn.put(b"b", b"2", overwrite=False)
        assert txn.get(b"b") == b"1"
        assert not txn.put(b"a", b"1", append=True)
        assert txn.put(b"c", b"1", append=True)
        assert txn.replace(b"b", b"3") == b"1"
        assert txn.replace(b"new", b"4") is None
        assert txn.pop(b"b") == b"3"
        assert txn.pop(b"b") is None
        assert txn.delete(b"c")
        assert not txn.delete(b"c")
        for key in (b"", b"x" * 512):
            with pytest.raises(lmdb.BadValsizeError):
                txn.put(key, b"")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_anything_that_has_bytes(env: lmdb.Environment, kind: Any) -> None:
    with env.begin(write=True) as txn:
        assert txn.put(kind(b"key"), kind(b"value"))
        assert txn.get(kind(b"key")) == b"value"
        assert txn.cursor().set_range(kind(b"k"))


def test_text_and_holes_are_refused(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        for wrong in ("text", 3, None):
            with pytest.raises(TypeError):
                txn.put(wrong, b"value")
        with pytest.raises((TypeError, ValueError, BufferError)):
            txn.put(memoryview(b"abcdef")[::2], b"value")
        assert txn.stat()["entries"] == 0


def test_named_databases(env: lmdb.Environment) -> None:
    first = env.open_db(b"first")
    assert env.open_db(b"first") is first
    second = env.open_db(b"second", dupsort=True)
    assert second.flags()["dupsort"]
    with env.begin(write=True, db=first) as txn:
        txn.put(b"key", b"1")
        txn.put(b"key", b"2", db=second)
    assert env.dbs() == [b"first", b"second"]
    with env.begin(db=first) as txn:
        assert (txn.get(b"key"), txn.get(b"key", db=second)) == (b"1", b"2")
    with pytest.raises(lmdb.NotFoundError):
        env.open_db(b"third", create=False)
    with pytest.raises(TypeError):
        env.open_db("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="main"):
        env.open_db(None, dupsort=True)
    with pytest.raises(lmdb.InvalidParameterError):
        env.open_db(b"with\0nul")


def test_too_many_databases(env: lmdb.Environment) -> None:
    for number in range(4):
        env.open_db(b"%d" % number)
    with pytest.raises(lmdb.DbsFullError, match="max_dbs"):
        env.open_db(b"one more")


def test_dropping(env: lmdb.Environment) -> None:
    db = env.open_db(b"name")
    with env.begin(write=True, db=db) as txn:
        txn.put(b"key", b"value")
        cursor = txn.cursor()
        txn.drop(db, delete=False)
        assert not cursor.first()
        txn.put(b"key", b"value")
        txn.drop(db)
        for use in (cursor.first, lambda: txn.get(b"key"), lambda: txn.cursor(db), lambda: txn.drop(db)):
            with pytest.raises(lmdb.Error):
                use()
    with pytest.raises(lmdb.NotFoundError):
        env.open_db(b"name", create=False)
    again = env.open_db(b"name")
    with env.begin(write=True, db=again) as txn:
        assert txn.put(b"key", b"value")


def test_a_database_of_an_aborted_transaction_is_gone(env: lmdb.Environment) -> None:
    txn = env.begin(write=True)
    lost = env.open_db(b"lost", txn=txn)
    txn.put(b"key", b"value", db=lost)
    txn.abort()
    other = env.open_db(b"other")
    with env.begin(write=True) as txn:
        txn.put(b"key", b"mine", db=other)
        with pytest.raises(lmdb.Error):
            txn.get(b"key", db=lost)
    with pytest.raises(lmdb.NotFoundError):
        env.open_db(b"lost", create=False)


def test_several_values_for_a_key(env: lmdb.Environment) -> None:
    db = env.open_db(b"dup", dupsort=True)
    with env.begin(write=True, db=db) as txn, txn.cursor() as cursor:
        items = [(key, value) for key in (b"a", b"b") for value in (b"1", b"2", b"3")]
        assert cursor.putmulti(items) == (6, 6)
        assert cursor.putmulti(items, dupdata=False) == (6, 0)
        assert cursor.set_key(b"a")
        assert cursor.count() == 3
        assert list(cursor.iternext_dup()) == [b"1", b"2", b"3"]
        assert list(cursor.iternext_nodup()) == [b"a", b"b"]
        assert cursor.set_range_dup(b"a", b"2")
        assert cursor.item() == (b"a", b"2")
        assert cursor.next_dup()
        assert not cursor.next_dup()
        assert cursor.set_key_dup(b"a", b"2")
        assert cursor.next_nodup()
        assert cursor.item() == (b"b", b"1")
        assert cursor.last_dup()
        assert cursor.value() == b"3"
        assert cursor.first_dup()
        assert cursor.value() == b"1"
        assert cursor.prev_nodup()
        assert cursor.item() == (b"a", b"3")
        assert list(cursor.iterprev_dup()) == [b"3", b"2", b"1"]
        assert cursor.getmulti([b"a", b"x"], dupdata=True) == [(b"a", b"1"), (b"a", b"2"), (b"a", b"3")]
        assert txn.delete(b"a", b"2")
        assert cursor.set_key(b"a")
        assert cursor.delete(dupdata=True)
        assert cursor.key() == b"b"
        assert txn.pop(b"b") == b"1"
        assert list(cursor.iterprev()) == [(b"b", b"2")]


def test_values_of_one_size(env: lmdb.Environment) -> None:
    db = env.open_db(b"fixed", dupfixed=True)
    numbers = [number.to_bytes(2, "big") for number in range(3000)]
    with env.begin(write=True, db=db) as txn, txn.cursor() as cursor:
        assert cursor.putmulti([(b"key%d" % (n % 2), value) for n, value in enumerate(numbers)]) == (3000, 3000)
        found = cursor.getmulti([b"key0"], dupdata=True, dupfixed_bytes=2)
        assert found == [(b"key0", value) for value in numbers[::2]]
        packed = cursor.getmulti([b"key0", b"key1"], dupdata=True, dupfixed_bytes=2, keyfixed=True)
        assert bytes(packed) == b"".join(b"key0" + v for v in numbers[::2]) + b"".join(
            b"key1" + v for v in numbers[1::2]
        )


def test_orders(env: lmdb.Environment) -> None:
    backwards = env.open_db(b"reverse", reverse_key=True)
    integers = env.open_db(b"integers", integerkey=True)
    with env.begin(write=True) as txn:
        for name in (b"www.b", b"www.a", b"mail.b"):
            txn.put(name, b"", db=backwards)
        for number in (300, 2, 70000):
            txn.put(number.to_bytes(8, "little"), b"", db=integers)
        assert list(txn.cursor(backwards).iternext(values=False)) == [b"www.a", b"mail.b", b"www.b"]
        found = [int.from_bytes(key, "little") for key in txn.cursor(integers).iternext(values=False)]
        assert found == [2, 300, 70000]


def test_walking(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        for letter in b"abc":
            txn.put(bytes([letter]), b"value")
        cursor = txn.cursor()
        assert (cursor.key(), cursor.value()) == (b"", b"")
        assert cursor.set_range(b"aa")
        assert cursor.key() == b"b"
        assert list(cursor.iternext(values=False)) == [b"b", b"c"]
        assert not cursor.next()
        assert list(cursor.iterprev(keys=False)) == [b"value"] * 3
        assert cursor.get(b"c") == b"value"
        assert cursor.get(b"x", b"default") == b"default"
        assert cursor.set_key(b"a")
        assert cursor.delete()
        assert cursor.key() == b"b"
        assert cursor.put(b"ab", b"new")
        assert cursor.item() == (b"ab", b"new")
        assert cursor.replace(b"c", b"newer") == b"value"
        assert cursor.pop(b"c") == b"newer"
        with pytest.raises(TypeError):
            cursor.putmulti([[b"a", b"b"]])  # type: ignore[list-item]


def test_a_cursor_notices_what_others_change(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"key", b"old")
        cursor = txn.cursor()
        assert cursor.set_key(b"key")
        txn.put(b"key", b"new and longer")
        assert cursor.value() == b"new and longer"
        with env.begin(write=True, parent=txn) as inner:
            inner.put(b"key", b"from within")
        assert cursor.value() == b"from within"


def test_views_are_read_only_and_not_copies(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value" * 10000)
        txn.put(b"none", b"")
    with env.begin(buffers=True) as txn:
        view = txn.get(b"key")
        assert isinstance(view, memoryview)
        assert view.readonly
        assert len(view) == 50000
        assert view[0] == ord("v")
        assert bytes(view[5:10]) == b"value"
        assert bytes(txn.get(b"none")) == b""
        key, value = next(txn.cursor().iternext())
        assert (bytes(key), bytes(value[:5])) == (b"key", b"value")
        assert txn.get(b"missing") is None


def test_views_end_with_what_they_show(env: lmdb.Environment) -> None:
    with env.begin(write=True, buffers=True) as txn:
        txn.put(b"key", b"value")
        view = txn.get(b"key")
        txn.put(b"other", b"value")
        with pytest.raises(ValueError, match="released"):
            bytes(view)
        view = txn.get(b"key")
    with pytest.raises(ValueError, match="released"):
        bytes(view)
    with env.begin(buffers=True) as txn:
        view = txn.get(b"key")
        env.close()
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_readers_that_are_kept_for_the_next(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "db"), max_spare_txns=2) as env:
        for number in range(5):
            with env.begin(write=True) as txn:
                txn.put(b"key", b"%d" % number)
            reader = env.begin()
            assert reader.get(b"key") == b"%d" % number
            reader.abort()
        with env.begin() as one, env.begin() as two:
            assert one.get(b"key") == two.get(b"key") == b"4"


def test_closed_things_say_so(env: lmdb.Environment) -> None:
    db = env.open_db(b"db")
    txn = env.begin(write=True)
    cursor = txn.cursor()
    txn.commit()
    txn.abort()
    ended = (txn.commit, txn.id, txn.cursor, txn.stat, cursor.first, lambda: txn.get(b"k"), lambda: txn.put(b"k", b""))
    for use in ended:
        with pytest.raises(lmdb.Error, match="closed"):
            use()
    reader = env.begin()
    env.close()
    env.close()
    uses = (env.begin, env.stat, env.info, env.flags, env.sync, env.path, env.readers, env.dbs, env.max_key_size)
    for use in (*uses, lambda: env.open_db(b"x"), lambda: reader.get(b"k", db=db), lambda: env.set_mapsize(1 << 20)):
        with pytest.raises(lmdb.Error, match="closed"):
            use()
    reader.abort()


def test_a_parent_that_cannot_be_one(env: lmdb.Environment, tmp_path: Path) -> None:
    with env.begin() as reader, pytest.raises(lmdb.InvalidParameterError):
        env.begin(write=True, parent=reader)
    with lmdb.open(str(tmp_path / "other")) as other, other.begin(write=True) as txn:
        with pytest.raises(lmdb.InvalidParameterError):
            env.begin(write=True, parent=txn)
        with pytest.raises(lmdb.InvalidParameterError):
            other.begin(parent=txn)


def test_the_parts_of_an_error() -> None:
    error = lmdb.MapFullError("mdb_put", -30792)
    assert error.what == "mdb_put"
    assert error.code == -30792
    assert "MDB_MAP_FULL" in error.reason
    assert str(error).startswith("mdb_put: MDB_MAP_FULL")
    assert str(lmdb.Error("just words")) == "just words"
