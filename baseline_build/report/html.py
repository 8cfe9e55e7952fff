"""The report as one HTML page that needs nothing else: no network, no script.

Accessible by construction: landmarks, a skip link, headings in order, colours of at least 4.5:1 for text and 3:1 for
the map in light and dark, and everything a colour says is said in words as well.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from .. import __version__
from ..scan.model import CodeMap, FileReport, Finding, InputReport, Report, Verdict
from .answer import answer, declaration, plural, rank
from .grouping import by_function, gravest_first

_STYLE = Path(__file__).with_name("page.css")
_SHOWN = 200  # functions of one file: a browser lays out a few thousand at once, a reader reads far fewer
_COLOURS = 5


def render(report: Report) -> str:
    """*report* as a complete HTML document."""
    inner = "\n".join(_input(number, entry) for number, entry in enumerate(report.inputs, 1))
    names = ", ".join(_last(entry.path) for entry in report.inputs) or "nothing"
    title = f"{names}: {report.verdict.value}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="baseline-build {escape(__version__)}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the findings</a>
<header class="top">
<h1>Which CPU does it need?</h1>
{_answers(report)}
</header>
<main id="content">
{inner or "<p>Nothing was scanned.</p>"}
</main>
<footer class="faint">
<p>Made by baseline-build {escape(__version__)} from the machine code. <em>Promised</em> is what was asked for,
<em>declared</em> what the file says of itself, <em>emitted</em> the highest level of any code in it, behind CPU
tests or not.</p>
</footer>
</body>
</html>
"""


def _answers(report: Report) -> str:
    lines = []
    for entry in report.inputs:
        result = answer(entry)
        reason = f"<p>because {escape(result.reason)}</p>" if result.reason else ""
        name = f"{escape(_last(entry.path))} " if len(report.inputs) > 1 else ""
        lines.append(
            f'<p class="answer">{name}<span class="{entry.verdict.value}">{escape(result.heading)}:</span> '
            f"{escape(result.need)}</p>{reason}"
        )
    return "\n".join(lines)


def _input(number: int, entry: InputReport) -> str:
    levels = _levels(entry)
    ranked = gravest_first(entry.files)
    files = "\n".join(_file(f"{number}-{index}", file, levels) for index, file in enumerate(ranked, 1))
    notes = "".join(f"<p>{escape(note)}</p>" for note in entry.notes)
    digest = f'<p class="faint mono">sha256 {escape(entry.sha256)}</p>' if entry.sha256 else ""
    return f"""<section aria-labelledby="input-{number}">
<h2 id="input-{number}">{escape(_last(entry.path))} {_verdict(entry.verdict)}</h2>
{digest}{notes}
{_table(number, entry)}
{_legend(levels)}
{files}
</section>"""


def _table(number: int, entry: InputReport) -> str:
    if not entry.files:
        return ""
    rows = "\n".join(
        f'<tr><th scope="row"><a href="#file-{number}-{index}"><code>{escape(file.path)}</code></a></th>'
        f"<td>{_verdict(file.verdict)}</td><td>{escape(file.machine)}</td>"
        f"<td>{_level(file.promised)}</td><td>{_level(file.declared)}</td><td>{_level(file.emitted)}</td>"
        f"<td>{file.code_bytes:,}</td></tr>"
        for index, file in enumerate(gravest_first(entry.files), 1)
    )
    return f"""<div class="scroll" role="region" aria-label="Files of {escape(_last(entry.path))}" tabindex="0">
<table>
<thead><tr><th scope="col">file</th><th scope="col">verdict</th><th scope="col">machine</th>
<th scope="col">promised</th><th scope="col">declared</th><th scope="col">emitted</th>
<th scope="col">bytes of code</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _levels(entry: InputReport) -> Dict[Optional[str], str]:
    """A colour class for each level that the maps of *entry* show, ``""`` for what no level has."""
    names = {level for file in entry.files for code in file.maps for level in code.levels if level}
    found: Dict[Optional[str], str] = {None: "n"}
    for position, name in enumerate(sorted(names, key=rank)):
        found[name] = f"c{min(position + 1, _COLOURS)}"
    if any(level == "" for file in entry.files for code in file.maps for level in code.levels):
        found[""] = "cx"
    return found


def _legend(levels: Dict[Optional[str], str]) -> str:
    words = {None: "the machine's lowest level", "": "a feature that no level has"}
    items = "".join(
        f'<li><svg viewBox="0 0 1 1" aria-hidden="true"><rect class="{colour}" width="1" height="1"/></svg>'
        f"{escape(words.get(name) or str(name))}</li>"
        for name, colour in levels.items()
    )
    return f'<ul class="legend" aria-label="Colours of the maps">{items}</ul>' if len(levels) > 1 else ""


def _file(key: str, file: FileReport, levels: Dict[Optional[str], str]) -> str:
    quiet = file.verdict in (Verdict.CLEAN, Verdict.NOT_APPLICABLE)
    facts = [f"{plural(file.code_bytes, 'byte')} of code"]
    if file.undecoded_bytes:
        facts.append(f"{plural(file.undecoded_bytes, 'byte')} could not be decoded")
    if file.features:
        listed = sorted(file.features.items(), key=lambda item: (-item[1], item[0]))
        facts.append("instructions by feature: " + ", ".join(f"{name} {count:,}" for name, count in listed))
    if file.origin:
        facts.append(f"came from {file.origin}")
    facts += file.notes
    maps = "\n".join(_map(file, code, levels) for code in file.maps)
    groups = by_function(file.findings)
    findings = "\n".join(_function(group) for group in groups[:_SHOWN])
    hidden = sum(len(group) for group in groups[_SHOWN:])
    more = f"<p>… and {plural(hidden, 'finding')} more; the JSON report has them all.</p>" if hidden else ""
    return f"""<details id="file-{key}"{"" if quiet else " open"}>
<summary><h3><code>{escape(file.path)}</code></h3> {_verdict(file.verdict)}</summary>
{"".join(f"<p>{escape(fact)}</p>" for fact in facts)}
{maps}
{findings}{more}
</details>"""


def _map(file: FileReport, code: CodeMap, levels: Dict[Optional[str], str]) -> str:
    count = len(code.levels)
    if not count:
        return ""
    bars = "".join(
        f'<rect class="{levels[level]}" x="{start}" width="{end - start}" height="1"/>'
        for start, end, level in _runs(code.levels)
    )
    above = sum(level is not None for level in code.levels)
    words = {level: sum(other == level for other in code.levels) for level in code.levels if level is not None}
    parts = ", ".join(
        f"{'code of no level' if level == '' else level} in {max(100 * number // count, 1)} %"
        for level, number in sorted(words.items(), key=lambda item: rank(item[0]))
    )
    said = f"{parts} of its parts" if above else "nothing above the machine's lowest level"
    label = f"{code.name} of {file.path}, {plural(code.size, 'byte')} at {code.address:#x}: {said}"
    return f"""<figure class="map"><svg viewBox="0 0 {count} 1" preserveAspectRatio="none" role="img"
aria-label="{escape(label)}">{bars}</svg>
<figcaption><code>{escape(code.name)}</code>, {code.address:#x} to {code.address + code.size:#x}:
{escape(said)}</figcaption>
</figure>"""


def _runs(levels: Sequence[Optional[str]]) -> List[Tuple[int, int, Optional[str]]]:
    """(start, end, level) of every run of equal levels."""
    runs: List[Tuple[int, int, Optional[str]]] = []
    for position, level in enumerate(levels):
        if runs and runs[-1][2] == level:
            runs[-1] = (runs[-1][0], position + 1, level)
        else:
            runs.append((position, position + 1, level))
    return runs


def _function(group: Sequence[Finding]) -> str:
    """What stands in one function and was judged alike."""
    finding = group[0]
    rows = [("needs", "<br>".join(_instruction(one) for one in group if not declaration(one)))]
    if finding.source is not None:
        flags = f", compiled with <code>{escape(finding.source.flags)}</code>" if finding.source.flags else ""
        rows.append(("source", f"<code>{escape(finding.source.file)}:{finding.source.line}</code>{flags}"))
    if len(finding.path) > 1:
        steps = "".join(f"<li><code>{escape(name)}</code></li>" for name in finding.path)
        rows.append(("way", f'<ol class="way">{steps}</ol>'))
    rows += [
        (label, _prose(text))
        for label, text in (
            ("guard", finding.guard),
            ("why", finding.ground),
            ("waived", finding.waived_by),
            ("what to do", "" if finding.waived_by else finding.hint),
        )
        if text
    ]
    listed = "".join(f"<dt>{label}</dt><dd>{text}</dd>" for label, text in rows if text)
    word = "waived" if finding.waived_by else finding.verdict.value
    return f"""<article>
<h4 class="mono">{escape(finding.function)}
<span class="verdict {finding.verdict.value}">{escape(finding.code)} {word}</span></h4>
<dl>{listed}</dl>
</article>"""


def _instruction(finding: Finding) -> str:
    level = f" ({escape(finding.level)})" if finding.level else ", which no level has"
    return (
        f"{escape(finding.feature)}{level}: <code>{escape(finding.instruction)}</code> at "
        f"<code>{finding.address:#x}</code>, bytes <code>{finding.data.hex(' ')}</code>, "
        f"{plural(finding.count, 'instruction')}"
    )


def _prose(text: str) -> str:
    """*text* with what stands between backticks set as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _verdict(verdict: Verdict) -> str:
    return f'<span class="verdict {verdict.value}">{verdict.value}</span>'


def _level(name: Optional[str]) -> str:
    if not name:
        return '<span class="faint">nothing</span>'
    return (
        "<code>" + "+<wbr>".join(f'<span class="whole">{escape(part)}</span>' for part in name.split("+")) + "</code>"
    )


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]
