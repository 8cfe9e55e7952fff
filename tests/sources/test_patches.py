"""The patch applier: the bytes of ``patch``, and refusal of everything else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baseline_build.errors import SourceError
from baseline_build.sources.patches import apply_patch, parse_diff
from tests.tools import require_tool

ORIGINAL = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
GOOD = b"--- a/f\n+++ b/f\n@@ -2,3 +2,3 @@\n two\n-three\n+THREE\n four\n"


def _file(folder: Path, content: bytes = ORIGINAL) -> Path:
    path = folder / "f"
    path.write_bytes(content)
    return path


def test_a_change(tmp_path: Path) -> None:
    path = _file(tmp_path)
    assert apply_patch(GOOD, 1, tmp_path, "p") == ("f",)
    assert path.read_bytes() == ORIGINAL.replace(b"three", b"THREE")


def test_the_same_file_twice_in_one_patch(tmp_path: Path) -> None:
    path = _file(tmp_path)
    second = b"--- a/f\n+++ b/f\n@@ -3 +3 @@\n-THREE\n+3\n"
    apply_patch(GOOD + second, 1, tmp_path, "p")
    assert path.read_bytes() == ORIGINAL.replace(b"three", b"3")


REFUSED = {
    "other content": GOOD.replace(b"-three", b"-tree"),
    "another line": GOOD.replace(b"-2,3 +2,3", b"-1,3 +1,3"),
    "beyond the end": GOOD.replace(b"-2,3 +2,3", b"-20,3 +20,3"),
    "a count that lies": GOOD.replace(b"-2,3", b"-2,4"),
    "a line without a mark": GOOD.replace(b"-three", b"?three"),
    "an end within a hunk": GOOD[:-6],
    "nothing": b"just words\n",
    "a hunk without a file": GOOD.split(b"\n", 2)[2],
    "a file without hunks": b"--- a/f\n+++ b/f\nwords\n",
    "a new file": b"--- /dev/null\n+++ b/g\n@@ -0,0 +1 @@\n+x\n",
    "a deleted file": b"--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n",
    "a renamed file": b"--- a/f\n+++ b/g\n@@ -1 +1 @@\n-one\n+1\n",
    "a git rename": b"diff --git a/f b/g\nrename from f\nrename to g\n",
    "a binary patch": b"diff --git a/f b/f\nGIT binary patch\nliteral 1\n",
    "a missing file": GOOD.replace(b"/f\n", b"/g\n"),
    "a name that climbs": GOOD.replace(b"a/f", b"a/../f").replace(b"b/f", b"b/../f"),
    "an absolute name": GOOD.replace(b"a/f", b"/f").replace(b"b/f", b"/f"),
    "too little to strip": GOOD.replace(b"a/f", b"f").replace(b"b/f", b"f"),
    "hunks out of order": GOOD + b"@@ -1,1 +1,1 @@\n-one\n+1\n",
}


@pytest.mark.parametrize("patch", REFUSED.values(), ids=REFUSED.keys())
def test_refused(patch: bytes, tmp_path: Path) -> None:
    path = _file(tmp_path)
    with pytest.raises(SourceError) as caught:
        apply_patch(patch, 1, tmp_path, "fix.patch")
    assert caught.value.code == "BB308"
    assert "fix.patch" in str(caught.value)
    assert path.read_bytes() == ORIGINAL
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_all_or_nothing_over_several_files(tmp_path: Path) -> None:
    path = _file(tmp_path)
    (tmp_path / "g").write_bytes(b"other\n")
    with pytest.raises(SourceError):
        apply_patch(GOOD + b"--- a/g\n+++ b/g\n@@ -1 +1 @@\n-wrong\n+x\n", 1, tmp_path, "p")
    assert path.read_bytes() == ORIGINAL


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = _file(tmp_path / "outside")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "f").symlink_to(target)
    with pytest.raises(SourceError, match="BB308"):
        apply_patch(GOOD, 1, tmp_path / "tree", "p")
    assert target.read_bytes() == ORIGINAL


def test_the_message_names_the_line(tmp_path: Path) -> None:
    _file(tmp_path)
    with pytest.raises(SourceError, match=r"fix\.patch:3: f:3 is not what the hunk expects"):
        apply_patch(REFUSED["other content"], 1, tmp_path, "fix.patch")


lines = st.lists(st.sampled_from([b"a", b"b", b"", b"\tc", b" d", b"-e", b"+f", b"@@", b"--- x", b"x\r", b"\\ y"]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=lines, after=lines, ends=st.tuples(st.booleans(), st.booleans()), context=st.integers(0, 4))
def test_what_diff_says_is_what_we_make(
    before: List[bytes], after: List[bytes], ends: tuple, context: int, tmp_path: Path
) -> None:
    """Any two texts: the output of ``diff -U`` leads from the one to the other, here as with ``patch``."""
    diff, patch = require_tool("diff"), require_tool("patch")
    old, new = (b"\n".join(text) + (b"\n" if end and text else b"") for text, end in zip((before, after), ends))
    for name, content in (("a", old), ("b", new)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "f").write_bytes(content)
    made = subprocess.run(
        [diff, f"-U{context}", "--label", "a/f", "--label", "b/f", "a/f", "b/f"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert made.returncode in (0, 1)
    if not made.stdout:
        assert old == new
        return
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "f").write_bytes(old)
    apply_patch(made.stdout, 1, tmp_path / "ours", "p")
    assert (tmp_path / "ours" / "f").read_bytes() == new
    command = [patch, "-s", "-p1", "--binary", "-d", str(tmp_path / "theirs")]
    subprocess.run(command, input=made.stdout, check=True)
    theirs = tmp_path / "theirs" / "f"
    assert (theirs.read_bytes() if theirs.exists() else b"") == new


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=200), place=st.integers(0, len(GOOD)))
def test_any_bytes_are_parsed_or_refused(noise: bytes, place: int) -> None:
    """Nothing but our own error escapes, and what is parsed keeps its promises."""
    try:
        diffs = parse_diff(GOOD[:place] + noise + GOOD[place:], 1, "p")
    except SourceError:
        return
    assert all(diff.hunks and not diff.path.startswith("/") for diff in diffs)
