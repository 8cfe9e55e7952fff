from __future__ import annotations

from pathlib import Path

import pytest

from baseline_build.config import schema, tables
from baseline_build.config.model import Settings
from baseline_build.config.values import keys

jsonschema = pytest.importorskip("jsonschema")


def load(text: str) -> object:
    tomllib = pytest.importorskip("tomllib" if __import__("sys").version_info >= (3, 11) else "tomli")
    return tomllib.loads(text)


def test_the_shipped_schema_is_the_generated_one() -> None:
    assert schema.SHIPPED.read_text(encoding="utf-8") == schema.text(), "run python -m baseline_build.config.schema"


def test_the_schema_is_a_schema_and_accepts_our_own_project() -> None:
    shipped = schema.tool_schema("baseline-build")
    jsonschema.Draft7Validator.check_schema(shipped)
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    jsonschema.Draft7Validator(shipped).validate(load(text)["tool"]["baseline-build"])


@pytest.mark.parametrize(
    "toml",
    [
        "strickt = true",
        'strict = "yes"',
        'enforce = "no"',
        "[[executables]]\nname = 'a'",
        "[[overrides]]\nstrict = true",
        "[[overrides]]\nif = {}",
        "[[waivers]]\nfile='a'\nfunction='b'\nfeatures=['c']",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(toml: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema.generate()).validate(load(toml))


def test_the_option_table_names_every_setting_once() -> None:
    text = tables.generate().split(".. list-table::")[1]
    for key in keys(Settings):
        assert text.count(f"* - ``{key}``\n") == 1, key
