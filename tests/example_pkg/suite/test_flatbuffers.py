"""The compiler, the runtime and the reflection data, used together as a program would."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, List

import pytest

import example_pkg
from example_pkg import _flatc

SCHEMA = """
namespace shop;
enum Colour : byte { Red = 0, Green, Blue = 5 }
struct Place { x: float; y: float; }
table Item { name: string; price: ushort = 7; colour: Colour = Blue; }
table Order { id: ulong; items: [Item]; place: Place; tags: [ubyte]; }
root_type Order;
file_identifier "ORDR";
"""


def flatc(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(_flatc.flatc_path()), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def script() -> List[str]:
    """How the console script is started: the installed one, else its function."""
    path = Path(sysconfig.get_path("scripts")) / "flatc"
    if path.is_file():
        return [str(path)]
    return [sys.executable, "-c", "from example_pkg._flatc import main; main()"]


def test_the_versions_agree() -> None:
    found = example_pkg.versions()
    assert found == example_pkg.Versions("25.12.19", "25.12.19", "25.12.19", "0.9.36")


def test_reflection_data_is_reproduced_byte_for_byte(tmp_path: Path) -> None:
    shipped = Path(example_pkg.__file__).with_name("reflection.bfbs").read_bytes()
    assert hashlib.sha256(shipped).hexdigest().startswith("99f444a0")
    folder = tmp_path / "deps" / "flatbuffers" / "reflection"
    folder.mkdir(parents=True)
    shutil.copy(Path(example_pkg.__file__).with_name("reflection.fbs"), folder)
    options = ("-b", "--schema", "--bfbs-comments", "--bfbs-builtins", "-o", "out")
    flatc(*options, "deps/flatbuffers/reflection/reflection.fbs", folder=tmp_path)
    assert (tmp_path / "out" / "reflection.bfbs").read_bytes() == shipped


def _copy_of_the_package(tmp_path: Path) -> Path:
    source = Path(example_pkg.__file__).parent
    shutil.copytree(source, tmp_path / "example_pkg", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "example_pkg"


def _versions_of(copy: Path) -> str:
    command = [sys.executable, "-c", "import example_pkg; print(example_pkg.versions())"]
    environ = {**os.environ, "PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=copy.parent, env=environ, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


def test_each_disagreement_is_noticed(tmp_path: Path) -> None:
    copy = _copy_of_the_package(tmp_path)
    assert "Versions(" in _versions_of(copy)
    version = copy / "flatbuffers" / "_version.py"
    original = version.read_text()
    version.write_text(original.replace("25.12.19", "25.9.23"))
    assert "flatc is 25.12.19, the runtime is 25.9.23" in _versions_of(copy)
    version.write_text(original)
    data = copy / "reflection.bfbs"
    content = data.read_bytes()
    data.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "is not what flatc 25.12.19 makes" in _versions_of(copy)
    data.write_bytes(content)
    (copy / "_bin" / "flatc").unlink()
    assert "flatc cannot be run" in _versions_of(copy)


def test_the_schema_of_schemas_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime's classes for it import each other as ``reflection.*``, wherever that comes from."""
    package = Path(example_pkg.__file__).parent
    monkeypatch.syspath_prepend(str(package / "flatbuffers"))
    with example_pkg.bundled_flatbuffers():
        module = importlib.import_module("reflection.Schema")
        data = (package / "reflection.bfbs").read_bytes()
        assert module.Schema.SchemaBufferHasIdentifier(data, 0)
        schema = module.Schema.GetRootAs(data, 0)
        names = {schema.Objects(index).Name().decode() for index in range(schema.ObjectsLength())}
        assert {"reflection.Schema", "reflection.Object", "reflection.Field"} <= names
        assert schema.RootTable().Name() == b"reflection.Schema"
        assert schema.FileIdent() == b"BFBS"


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with the code ``flatc --python`` makes of :data:`SCHEMA`."""
    (tmp_path / "order.fbs").write_text(SCHEMA)
    flatc("--python", "-o", "made", "order.fbs", folder=tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "made"))
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def _write(builder: Any, order: Any, item: Any, place: Any) -> bytes:
    names = [builder.CreateString(name) for name in ("apple", "pear")]
    items = []
    for number, name in enumerate(names):
        item.ItemStart(builder)
        item.ItemAddName(builder, name)
        item.ItemAddPrice(builder, 100 + number)
        items.append(item.ItemEnd(builder))
    order.OrderStartItemsVector(builder, len(items))
    for offset in reversed(items):
        builder.PrependUOffsetTRelative(offset)
    vector = builder.EndVector()
    tags = builder.CreateByteVector(b"\x01\x02\xff")
    order.OrderStart(builder)
    order.OrderAddId(builder, 2**63 + 1)
    order.OrderAddItems(builder, vector)
    order.OrderAddTags(builder, tags)
    order.OrderAddPlace(builder, place.CreatePlace(builder, 1.5, -2.25))
    builder.Finish(order.OrderEnd(builder), b"ORDR")
    return bytes(builder.Output())


def test_a_schema_compiled_to_python_writes_and_reads_a_buffer(generated: Path) -> None:
    with example_pkg.bundled_flatbuffers() as runtime:
        order = importlib.import_module("shop.Order")
        item = importlib.import_module("shop.Item")
        place = importlib.import_module("shop.Place")
        colour = importlib.import_module("shop.Colour")
    assert "flatbuffers" not in sys.modules
    assert order.flatbuffers is runtime is importlib.import_module("example_pkg.flatbuffers")
    data = _write(runtime.Builder(0), order, item, place)
    assert order.Order.OrderBufferHasIdentifier(data, 0)
    read = order.Order.GetRootAs(data, 0)
    assert read.Id() == 2**63 + 1
    assert [(read.Items(n).Name(), read.Items(n).Price()) for n in range(read.ItemsLength())] == [
        (b"apple", 100),
        (b"pear", 101),
    ]
    assert read.Items(0).Colour() == colour.Colour.Blue == 5
    assert (read.Place().X(), read.Place().Y()) == (1.5, -2.25)
    assert [read.Tags(n) for n in range(read.TagsLength())] == [1, 2, 255]
    # The compiler reads what the runtime wrote, and the other way round.
    (generated / "order.bin").write_bytes(data)
    flatc("--json", "--strict-json", "--defaults-json", "order.fbs", "--", "order.bin", folder=generated)
    text = json.loads((generated / "order.json").read_text())
    assert text["items"][1] == {"name": "pear", "price": 101, "colour": "Blue"}
    (generated / "order.json").write_text(json.dumps({"id": 5, "items": [{"name": "plum"}]}))
    flatc("-b", "order.fbs", "order.json", folder=generated)
    again = order.Order.GetRootAs((generated / "order.bin").read_bytes(), 0)
    assert (again.Id(), again.Items(0).Name(), again.Items(0).Price()) == (5, b"plum", 7)


def test_the_object_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "point.fbs").write_text("namespace geo; table Point { x: int; name: string; } root_type Point;")
    flatc("--python", "--gen-object-api", "-o", "made", "point.fbs", folder=tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "made"))
    with example_pkg.bundled_flatbuffers() as runtime:
        module = importlib.import_module("geo.Point")
    builder = runtime.Builder(0)
    builder.Finish(module.PointT(x=3, name="here").Pack(builder))
    copy = module.PointT.InitFromPackedBuf(builder.Output(), 0)
    assert (copy.x, copy.name) == (3, b"here")


def test_flexbuffers() -> None:
    flexbuffers = importlib.import_module("example_pkg.flatbuffers.flexbuffers")
    value = {"a": [1, 2.5, "x"], "b": None, "c": True}
    assert flexbuffers.Loads(flexbuffers.Dumps(value)) == value


def test_an_installed_runtime_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "flatbuffers"
    other.mkdir()
    (other / "__init__.py").write_text("__version__ = 'another'\n")
    (other / "builder.py").write_text("mine = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = importlib.import_module("flatbuffers.builder")
    try:
        with example_pkg.bundled_flatbuffers() as runtime:
            assert importlib.import_module("flatbuffers") is runtime
            assert importlib.import_module("flatbuffers.builder") is runtime.builder
            with example_pkg.bundled_flatbuffers() as again:
                assert again is runtime
            assert importlib.import_module("flatbuffers") is runtime
        assert importlib.import_module("flatbuffers").__version__ == "another"
        assert importlib.import_module("flatbuffers.builder") is before
    finally:
        for name in ("flatbuffers", "flatbuffers.builder"):
            sys.modules.pop(name, None)


def test_the_console_script(tmp_path: Path) -> None:
    (tmp_path / "order.fbs").write_text(SCHEMA)
    (tmp_path / "bad.fbs").write_text("table {")
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    assert subprocess.run([*script(), "--version"], **run).stdout == "flatc version 25.12.19\n"  # type: ignore[call-overload]
    good = subprocess.run([*script(), "--python", "order.fbs"], **run)  # type: ignore[call-overload]
    assert (good.returncode, (tmp_path / "shop" / "Order.py").is_file()) == (0, True)
    bad = subprocess.run([*script(), "--python", "bad.fbs"], **run)  # type: ignore[call-overload]
    assert bad.returncode == 1
    assert "bad.fbs" in bad.stdout + bad.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_the_script_becomes_the_compiler(tmp_path: Path) -> None:
    """No process in between, and the signals Python ignores are back: a closed pipe ends it."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([*script(), "--help"], stdout=write, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(write)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGPIPE


def test_a_package_without_its_compiler(tmp_path: Path) -> None:
    copy = _copy_of_the_package(tmp_path)
    compiler = copy / "_bin" / "flatc"
    command = [sys.executable, "-c", "from example_pkg._flatc import main; main()"]
    run = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}, "capture_output": True, "text": True}
    compiler.unlink()
    missing = subprocess.run(command, check=False, **run)  # type: ignore[call-overload]
    assert (missing.returncode, "does not exist" in missing.stderr) == (127, True)
    compiler.write_text("not a program")
    compiler.chmod(0o755)
    broken = subprocess.run(command, check=False, **run)  # type: ignore[call-overload]
    assert (broken.returncode, "cannot start" in broken.stderr) == (126, True)
