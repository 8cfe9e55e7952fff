"""Every renderer: exact text where people read it, schemas where programs do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from baseline_build import report
from baseline_build.errors import ConfigError
from baseline_build.report.document import SCHEMA
from baseline_build.scan.model import InputReport, Report, Verdict
from tests.npm import npm_package

from .samples import BAD, CLEAN_FILE, GOOD, GUARDED, UNPROVEN, VIOLATION, file_of, report_of

HERE = Path(__file__).parent

TEXT = """\
needs: x86-64-v3 (Haswell 2013, Excavator 2015 or newer)
  because vpaddd (avx2) in sum_all of pkg/_x.so is not behind a test of the CPU
  dist/x-1.0-cp311-cp311-linux_x86_64.whl: violation
  2 files with native code, 247 kB of it

pkg/_x.so
  violation: x86-64, promised x86-64, declared nothing, emitted x86-64-v3
  BB101 violation  sum_all at 0x1234
    vpaddd needs avx2 (x86-64-v3), 12 instructions, bytes c5 f5 fe c2
    source: src/sum.c:13, compiled with -O2 -mavx2
    way: PyInit__x -> sum_all
    why: Nothing in this wheel ever asks what the CPU can do.
    fix: Compile src/sum.c without -mavx2.
  BB103 guarded  fast at 0x1234
    vpaddd needs avx2 (x86-64-v3), 12 instructions, bytes c5 f5 fe c2
    source: src/sum.c:13, compiled with -O2 -mavx2
    way: PyInit__x -> sum_all
    guard: cpuid leaf 7, bit avx2
"""


def test_text() -> None:
    assert report.render(BAD, "text") == TEXT
    assert report.render(GOOD, "text") == (
        "runs on: any x86-64\n  dist/x-1.0-cp311-cp311-linux_x86_64.whl: clean\n"
        "  1 file with native code, 123 kB of it\n"
    )
    assert report.render(Report(Verdict.NOT_APPLICABLE), "text") == "nothing to scan\n"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_text_fits_the_width(width: int) -> None:
    long = replace(
        VIOLATION, function="_ZN" + "averylongname" * 20, path=("root", "_ZN" + "other" * 40), hint="word " * 60
    )
    path = "site-packages/" + "folder/" * 20 + "x.so"
    rendered = report.render(report_of(replace(file_of(long), path=path)), "text", width=width)
    assert max(map(len, rendered.splitlines())) <= width
    whole = report.render(report_of(replace(file_of(long), path=path)), "text", width=width, verbose=True)
    assert long.function in whole
    assert path in whole


def test_text_shows_the_gravest_first_and_counts_the_rest() -> None:
    many = tuple(replace(GUARDED, function=f"fast{i}") for i in range(20))
    rendered = report.render(report_of(file_of(*many, VIOLATION)), "text")
    assert rendered.index("sum_all at") < rendered.index("fast0 at")
    assert "  … and 13 findings more: -v or --format json shows all\n" in rendered


def test_text_tells_a_function_once() -> None:
    second = replace(VIOLATION, feature="avx", address=0x1250, instruction="vzeroupper", data=b"\xc5\xf8\x77", count=1)
    rendered = report.render(report_of(file_of(VIOLATION, second)), "text")
    assert rendered.count("sum_all at 0x1234") == rendered.count("fix: ") == 1
    assert "    vzeroupper at 0x1250 needs avx (x86-64-v3), 1 instruction, bytes c5 f8 77\n" in rendered


def test_text_says_once_what_is_true_of_many() -> None:
    two = (VIOLATION, replace(VIOLATION, function="other", address=0x2000))
    rendered = report.render(report_of(file_of(*two, UNPROVEN)), "text")
    assert rendered.count("sum_all at 0x1234") == rendered.count("other at 0x2000") == 1
    assert (
        "    why, for these 2 functions: Nothing in this wheel ever asks what the CPU can\n      do.\n"
        "    fix: Compile src/sum.c without -mavx2.\n  BB102 unproven  maybe at 0x1234\n"
    ) in rendered
    assert "    why: The flag lies in a heap structure.\n" in rendered


def test_text_shows_the_gravest_files_and_names_the_others() -> None:
    fine = [replace(file_of(GUARDED), path=f"pkg/fine{i}.so") for i in range(40)]
    rendered = report.render(report_of(*fine, replace(file_of(VIOLATION), path="pkg/last.so")), "text")
    blocks = rendered.split("\n\n")
    assert [block.splitlines()[0] for block in blocks[1:]] == [
        "pkg/last.so",
        *(f"pkg/fine{i}.so" for i in range(5)),
        "also, all with -v or --format json:",
    ]
    listed = blocks[-1].splitlines()
    assert listed[1] == "  pkg/fine5.so: guarded, 1 finding"
    assert listed[20:] == ["  pkg/fine24.so: guarded, 1 finding", "  … and 15 files more"]
    assert "also" not in report.render(report_of(*fine), "text", verbose=True)


def test_text_leaves_names_whole_for_programs() -> None:
    path = "dist/" + "long_" * 30 + "1.0-py3-none-any.whl"
    wheel = report_of(replace(file_of(VIOLATION), path=path), path=path)
    whole = report.render(wheel, "text", whole_words=True).splitlines()
    assert f"  {path}: violation" in whole
    assert path in whole
    assert max(len(line) for line in whole if "long_" not in line) <= 80


def test_colour_changes_nothing_but_escape_sequences() -> None:
    coloured = report.render(BAD, "text", colour=True)
    assert "\033[1;31mneeds: x86-64-v3" in coloured
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == TEXT


def test_json_follows_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text())
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    for sample in (BAD, GOOD, report_of(file_of(UNPROVEN)), Report(Verdict.NOT_APPLICABLE)):
        checker.validate(json.loads(report.render(sample, "json")))
    broken = json.loads(report.render(BAD, "json"))
    broken["inputs"][0]["files"][0]["findings"][0]["address"] = 4660
    assert not checker.is_valid(broken)


def test_json_says_what_design_promises() -> None:
    parsed = json.loads(report.render(BAD, "json"))
    assert (parsed["version"], parsed["tool"]["name"], parsed["verdict"]) == (1, "baseline-build", "violation")
    finding = parsed["inputs"][0]["files"][0]["findings"][0]
    assert finding["address"] == "0x1234"
    assert finding["bytes"] == "c5f5fec2"
    assert finding["path"] == ["PyInit__x", "sum_all"]
    assert finding["source"] == {"file": "src/sum.c", "line": 13, "flags": "-O2 -mavx2"}


@pytest.fixture(params=["official", "used"])
def sarif_schema(request: pytest.FixtureRequest, shared_cache: Path) -> Any:
    """A checker of SARIF 2.1.0: the standard's own schema, and a stricter one of just the parts that are written here.

    The standard's schema lets unknown properties pass nearly everywhere; ours finds a misspelt one.
    """
    jsonschema = pytest.importorskip("jsonschema")
    if request.param == "used":
        schema = json.loads((HERE / "sarif-2.1.0-used.schema.json").read_text())
        kind = jsonschema.Draft202012Validator
    else:
        package = npm_package(shared_cache, "@microsoft/jest-sarif@1.0.0-beta.0")
        schema = json.loads((package / "lib" / "schemas" / "sarif-2.1.0-rtm.5.json").read_text())
        assert schema["title"].startswith("Static Analysis Results Format (SARIF) Version 2.1.0")
        kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def test_sarif_follows_the_standard(sarif_schema: Any) -> None:
    blind = Report(Verdict.UNDECIDED, (InputReport("x.whl", None, Verdict.UNDECIDED, notes=("BB430: cut off",)),))
    unread = report_of(replace(CLEAN_FILE, verdict=Verdict.UNDECIDED, undecoded_bytes=3))
    waived = report_of(file_of(replace(VIOLATION, waived_by="known")))
    for sample in (BAD, GOOD, blind, unread, waived):
        log = json.loads(report.render(sample, "sarif"))
        sarif_schema.validate(log)
        run = log["runs"][0]
        for result in run["results"]:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert not sarif_schema.is_valid({"version": "2.1.0", "runs": [{"results": [{"text": "no message"}]}]})


def test_sarif_places_findings_in_source_and_wheel() -> None:
    run = json.loads(report.render(BAD, "sarif"))["runs"][0]
    assert [artifact["location"]["uri"] for artifact in run["artifacts"]] == [
        "dist/x-1.0-cp311-cp311-linux_x86_64.whl",
        "pkg/_x.so",
    ]
    assert run["artifacts"][1]["parentIndex"] == 0
    first = run["results"][0]
    assert first["level"] == "error"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "src/sum.c"},
        "region": {"startLine": 13},
    }
    assert first["relatedLocations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "pkg/_x.so", "index": 1}
    assert first["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "sum_all"
    waived = json.loads(report.render(report_of(file_of(replace(VIOLATION, waived_by="known"))), "sarif"))
    assert waived["runs"][0]["results"][0]["suppressions"][0]["justification"] == "known"


def test_github() -> None:
    rendered = report.render(report_of(file_of(VIOLATION, replace(VIOLATION, function="other"))), "github")
    assert rendered.splitlines() == [
        (
            "::error title=x-1.0-cp311-cp311-linux_x86_64.whl%3A violation::needs: x86-64-v3 (Haswell 2013, "
            "Excavator 2015 or newer) because vpaddd (avx2) in sum_all of pkg/_x.so is not behind a test of the CPU"
        ),
        (
            "::error file=src/sum.c,line=13,title=BB101 pkg/_x.so%3A avx2::vpaddd in sum_all needs avx2 "
            "(x86-64-v3), and 1 more function of pkg/_x.so in x-1.0-cp311-cp311-linux_x86_64.whl%0ANothing in "
            "this wheel ever asks what the CPU can do.%0ACompile src/sum.c without -mavx2."
        ),
    ]
    assert report.render(GOOD, "github") == (
        "::notice title=x-1.0-cp311-cp311-linux_x86_64.whl%3A clean::runs on: any x86-64\n"
    )
    odd = report.render(report_of(file_of(replace(VIOLATION, ground="50 %\r\nof it"))), "github")
    assert "50 %25%0D%0Aof it" in odd


def test_markdown() -> None:
    rendered = report.render(BAD, "markdown")
    assert rendered.startswith("## ❌ `x-1.0-cp311-cp311-linux_x86_64.whl`\n\n**needs: x86-64-v3 (Haswell 2013")
    assert "| `pkg/_x.so` | ❌ violation | `x86-64` | – | `x86-64-v3` |" in rendered
    row = next(line for line in rendered.splitlines() if "`sum_all`" in line)
    assert row == (
        "| ❌ BB101 | `sum_all` | `0x1234` | `vpaddd` ×12 | avx2 (x86-64-v3) | `src/sum.c:13` | way: PyInit\\_\\_x → "
        "sum\\_all. Nothing in this wheel ever asks what the CPU can do. Compile src/sum.c without -mavx2. |"
    )


@pytest.mark.parametrize("name", ["a|b", "`x`", "<script>alert(1)</script>", "*x*", "a\nb"])
def test_markdown_keeps_names_from_becoming_markup(name: str) -> None:
    rendered = report.render(report_of(file_of(replace(VIOLATION, function=name, ground=name))), "markdown")
    rows = [line for line in rendered.splitlines() if "0x1234" in line]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8
    outside = re.sub(r"(`+).*?\1", "", rows[0])
    assert "<" not in outside


def test_markdown_stays_below_what_a_step_summary_may_hold() -> None:
    many = [replace(VIOLATION, function=f"f{number}" + "x" * 200, ground="word " * 100) for number in range(50)]
    files = [replace(file_of(*many), path=f"pkg/f{number}.so") for number in range(60)]
    rendered = report.render(report_of(*files), "markdown")
    assert 800_000 < len(rendered.encode()) < 1_000_000
    assert rendered.endswith(
        "|\n\n… The rest does not fit into a page like this one; `--format json` gives everything.\n"
    )
    assert "does not fit" not in report.render(report_of(*files[:5]), "markdown")


def test_html_of_thousands_of_findings_stays_small() -> None:
    many = [replace(VIOLATION, function=f"function_{number}", address=number) for number in range(5000)]
    rendered = report.render(report_of(file_of(*many)), "html")
    assert len(rendered) < 300_000
    assert rendered.count("<article>") == 200
    assert "… and 4,800 findings more; the JSON report has them all." in rendered


class Page(HTMLParser):
    """Checks that tags nest, and collects what the tests look at."""

    VOID = ("meta", "link", "rect", "br", "wbr")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: List[str] = []
        self.tags: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.text: List[str] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(document: str) -> Page:
    page = Page()
    page.feed(document)
    page.close()
    assert page.open == []
    return page


def test_html_is_whole_and_needs_nothing_else() -> None:
    document = report.render(BAD, "html")
    page = parse(document)
    assert document.startswith("<!DOCTYPE html>")
    names = [tag for tag, _ in page.tags]
    assert "script" not in names
    assert "img" not in names
    targets = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("href", "src")]
    assert all(target is not None and target.startswith(("#", "data:,")) for target in targets)
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert {target[1:] for target in targets if target and target.startswith("#")} <= set(identifiers)
    text = " ".join(" ".join(page.text).split())
    for words in ("needs: x86-64-v3", "PyInit__x", "cpuid leaf 7, bit avx2", "Compile src/sum.c without -mavx2."):
        assert words in text
    maps = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg" and "aria-label" in attributes]
    assert maps == [
        (
            ".text of pkg/_x.so, 4,000 bytes at 0x1000: x86-64-v2 in 16 %, x86-64-v3 in 16 %, code of no level "
            "in 16 % of its parts"
        )
    ]


def test_html_shows_the_gravest_file_first_and_a_function_once() -> None:
    second = replace(VIOLATION, feature="adx", level=None, address=0x1250, instruction="adcx", hint=VIOLATION.hint)
    worse = replace(file_of(VIOLATION, second), path="pkg/z.so", emitted="x86-64-v3+adx")
    document = report.render(report_of(CLEAN_FILE, worse), "html")
    assert document.index("pkg/z.so</code></a>") < document.index("pkg/_x.so</code></a>")
    assert document.index('id="file-1-1" open') < document.index("<code>pkg/_x.so</code></h3>")
    assert document.count("<article>") == 1
    assert (
        "<dt>needs</dt><dd>avx2 (x86-64-v3): <code>vpaddd</code> at <code>0x1234</code>, bytes "
        "<code>c5 f5 fe c2</code>, 12 instructions<br>adx, which no level has: <code>adcx</code> at <code>0x1250</code>"
    ) in document
    assert '<span class="whole">x86-64-v3</span>+<wbr><span class="whole">adx</span>' in document


def test_html_sets_commands_as_code() -> None:
    document = report.render(report_of(file_of(replace(UNPROVEN, hint="try `run <x>`"))), "html")
    assert "<dt>what to do</dt><dd>try <code>run &lt;x&gt;</code></dd>" in document


def test_html_escapes_what_files_say() -> None:
    evil = replace(VIOLATION, function='"><script>alert(1)</script>', ground="<b>", hint="&amp;")
    document = report.render(report_of(replace(file_of(evil), path="<i>.so")), "html")
    assert "<script>" not in document
    assert "<b>" not in document
    assert "<i>" not in document
    parse(document)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_html_colours_have_contrast(scheme: str) -> None:
    style = (SCHEMA.parent / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6})", blocks[0] if scheme == "light" else blocks[1]))
    for text in ("ink", "faint", "link", "good", "warn", "bad"):
        for ground in ("paper", "panel"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for bar in ("l1", "l2", "l3", "l4", "l5", "lx"):
        assert contrast(colours[bar], colours["panel"]) >= 3, bar


def test_unknown_format() -> None:
    with pytest.raises(ConfigError) as caught:
        report.render(GOOD, "pdf")
    assert str(caught.value) == (
        "BB251: the report format 'pdf' is unknown\n  fix: choose one of text, json, sarif, github, markdown, html"
    )


@pytest.mark.parametrize(
    ("verdict", "strict", "status"),
    [
        (Verdict.NOT_APPLICABLE, True, 0),
        (Verdict.CLEAN, True, 0),
        (Verdict.GUARDED, False, 0),
        (Verdict.GUARDED, True, 1),
        (Verdict.UNDECIDED, False, 3),
        (Verdict.UNPROVEN, False, 3),
        (Verdict.VIOLATION, False, 1),
    ],
)
def test_exit_codes(verdict: Verdict, strict: bool, status: int) -> None:
    assert report.exit_code(Report(verdict), strict=strict) == status
