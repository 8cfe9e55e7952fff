"""The bill of materials: what it tells, that it follows CycloneDX's schema, and that it is the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from baseline_build import sbom, sources
from baseline_build.errors import InternalError, SourceError
from baseline_build.sources.model import Tree

ROOT = Path(__file__).resolve().parent.parent.parent
pytest.importorskip("cyclonedx")


@pytest.fixture
def material(tmp_path: Path) -> sbom.Material:
    """The example project's real pins, with licence texts in trees of their own."""
    trees = []
    for pin in sources.pins(ROOT):
        folder = tmp_path / pin.tree
        for name in pin.licence_files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"licence of {pin.name}\n")
        trees.append(Tree(pin, folder, (), ()))
    return sbom.Material(
        name="example-pkg",
        version="0.1.0",
        licence="Apache-2.0",
        trees=tuple(trees),
        compilers=(sbom.Compiler("gcc", "12.2.0"), sbom.Compiler("g++", "12.2.0")),
        levels=(("x86-64", "x86-64"),),
        moment=1700000000,
    )


def test_it_follows_the_schema_of_cyclonedx(material: sbom.Material) -> None:
    pytest.importorskip("jsonschema")
    text = sbom.render(material)
    sbom.validate(text)
    broken = json.loads(text)
    broken["components"][0]["type"] = "thing"
    with pytest.raises(InternalError) as caught:
        sbom.validate(json.dumps(broken))
    assert str(caught.value).startswith("BB902: baseline-build.cdx.json: the bill of materials breaks its schema: ")


def test_without_the_library_one_message_says_what_to_install(tmp_path: Path) -> None:
    # An import that fails, as where nothing of the name is installed.
    (tmp_path / "cyclonedx.py").write_text("raise ImportError('none')\n", encoding="utf-8")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "from baseline_build import sbom\n"
        "from baseline_build.errors import ConfigError\n"
        "try: sbom.render(sbom.Material('x', '1', None))\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == (
        "BB270: cyclonedx-python-lib is not installed\n"
        "  why: the bill of materials (sbom = true) is made with it\n"
        "  fix: pip install 'baseline-build[sbom]', or set sbom = false\n"
    ), done.stderr


def test_it_tells_what_was_vendored(material: sbom.Material) -> None:
    document = json.loads(sbom.render(material))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    root = document["metadata"]["component"]
    assert (root["name"], root["version"], root["licenses"]) == (
        "example-pkg",
        "0.1.0",
        [{"expression": "Apache-2.0"}],
    )
    assert {(one["name"], one["value"]) for one in root["properties"]} == {
        ("baseline-build:level:x86-64", "x86-64"),
        ("baseline-build:compiler", "gcc 12.2.0"),
        ("baseline-build:compiler", "g++ 12.2.0"),
    }
    tools = {(one["name"], one.get("version")) for one in document["metadata"]["tools"]["components"]}
    assert {("gcc", "12.2.0"), ("g++", "12.2.0")} <= tools
    vendored = {one["name"]: one for one in document["components"]}
    for tree in material.trees:
        pin, told = tree.pin, vendored[tree.pin.name]
        assert (told["version"], told["purl"]) == (pin.version, pin.purl)
        assert told["licenses"] == [{"expression": pin.licence}]
        archive = told["externalReferences"][0]
        assert archive["hashes"] == [{"alg": "SHA-256", "content": pin.archive.sha256}]
        assert archive["url"].endswith(f"?file_name={pin.archive.file}")
        patches = told["pedigree"].get("patches", [])
        assert {one["diff"]["url"] for one in patches} == {patch.file for patch in pin.patches}
        closed = {issue["id"] for one in patches for issue in one.get("resolves", [])}
        assert closed == {identifier for patch in pin.patches for identifier in patch.closes}
    assert any(patch.closes for tree in material.trees for patch in tree.pin.patches)


def test_it_is_the_same_every_time_and_elsewhere(material: sbom.Material, tmp_path: Path) -> None:
    text = sbom.render(material)
    moved = replace(material, trees=tuple(replace(tree, path=tmp_path / "elsewhere") for tree in material.trees))
    assert sbom.render(moved) == text
    assert str(tmp_path) not in text
    later = replace(material, version="0.2.0")
    assert json.loads(sbom.render(later))["serialNumber"] != json.loads(text)["serialNumber"]


def test_it_is_written_with_the_licences(material: sbom.Material, tmp_path: Path) -> None:
    info = tmp_path / "example_pkg-0.1.0.dist-info"
    info.mkdir()
    head = "Metadata-Version: 2.4\nName: example-pkg\nVersion: 0.1.0\nLicense-File: LICENSE\n"
    (info / "METADATA").write_text(f"{head}\nLicense-File: of a description\n")
    written = sbom.write(info, material)
    names = {path.relative_to(info).as_posix() for path in written}
    expected = {f"licenses/{tree.pin.tree}/{name}" for tree in material.trees for name in tree.pin.licence_files}
    assert names == {"sboms/baseline-build.cdx.json", *expected}
    assert all(path.is_file() for path in written)
    lines = [f"License-File: {tree.pin.tree}/{name}\n" for tree in material.trees for name in tree.pin.licence_files]
    assert (info / "METADATA").read_text() == f"{head}{''.join(lines)}\nLicense-File: of a description\n"
    sbom.write(info, material)  # a frontend may hand prepared metadata to the build: nothing is named twice
    assert (info / "METADATA").read_text().count(lines[0]) == 1
    first = material.trees[0]
    first.licence_paths[0].unlink()
    with pytest.raises(SourceError) as caught:
        sbom.write(info, material)
    assert caught.value.code == "BB271"
    assert caught.value.fix == f"correct licence-files in {first.pin.tree}/source.toml"


def test_older_metadata_has_no_such_field(material: sbom.Material, tmp_path: Path) -> None:
    text = "Metadata-Version: 2.3\nName: example-pkg\nVersion: 0.1.0\n"
    (tmp_path / "METADATA").write_text(text)
    sbom.declare(tmp_path, [tree.pin for tree in material.trees])
    assert (tmp_path / "METADATA").read_text() == text
