"""How trees stand: changed, outdated, interrupted, fetched by several processes at once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict

import pytest

from baseline_build import sources
from baseline_build.errors import SourceError

from .conftest import DEFAULT, Index, Project, environment, sdist, write_pin

ROOT = Path(sources.__file__).parents[2]
SYNC = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    "from pathlib import Path; from baseline_build import sources\n"
    "sources.sync(Path(sys.argv[1]))\n"
)


def _digests(tree: Path) -> Dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tree.rglob("*") if path.is_file()}


CHANGES: Dict[str, Callable[[Path], object]] = {
    "one.c: content differs": lambda tree: (tree / "one.c").write_text("int one;"),
    "one.c: missing": lambda tree: (tree / "one.c").unlink(),
    "extra.h: not from the archive": lambda tree: (tree / "extra.h").write_text(""),
    "deep/linked.h: not from the archive": lambda tree: (tree / "deep" / "linked.h").symlink_to("two.h"),
}


@pytest.mark.parametrize(("difference", "change"), CHANGES.items(), ids=CHANGES.keys())
def test_a_changed_tree_is_refused(
    project: Project, index: Index, difference: str, change: Callable[[Path], object]
) -> None:
    sources.sync(project.path, environ=environment(index))
    before = _digests(project.tree)
    change(project.tree)
    changed = project.fetched()
    (state,) = sources.check(project.path)
    assert (state.state, state.differences) == ("changed", (difference,))
    with pytest.raises(SourceError, match="BB309") as caught:
        sources.sync(project.path, environ=environment(index))
    assert difference in str(caught.value)
    assert project.fetched() == changed
    sources.sync(project.path, force=True, environ=environment(index))
    assert _digests(project.tree) == before


def test_a_file_replaced_by_a_link_is_a_change(project: Project, index: Index, tmp_path: Path) -> None:
    sources.sync(project.path, environ=environment(index))
    copy = tmp_path / "copy.c"
    copy.write_bytes((project.tree / "one.c").read_bytes())
    (project.tree / "one.c").unlink()
    (project.tree / "one.c").symlink_to(copy)
    assert sources.check(project.path)[0].state == "changed"


def test_byte_code_is_no_change(project: Project, index: Index) -> None:
    sources.sync(project.path, environ=environment(index))
    (project.tree / "deep" / "__pycache__").mkdir()
    (project.tree / "deep" / "__pycache__" / "two.pyc").write_bytes(b"")
    assert sources.check(project.path)[0].state == "complete"


def test_files_nobody_recorded_are_not_overwritten(project: Project, index: Index) -> None:
    (project.tree / "one.c").write_text("my own work")
    with pytest.raises(SourceError, match=r"BB309.*no record"):
        sources.sync(project.path, environ=environment(index))
    assert (project.tree / "one.c").read_text() == "my own work"


def test_a_new_pin_replaces_the_tree(project: Project, index: Index) -> None:
    sources.sync(project.path, environ=environment(index))
    newer = sdist({**DEFAULT, "src/three.c": b"int three;\n"})
    index.files["demo-1.0.tar.gz"] = newer
    write_pin(project.tree, newer)
    assert sources.check(project.path)[0].state == "outdated"
    assert sources.requirements(project.path) != ()
    sources.sync(project.path, environ=environment(index))
    assert "three.c" in project.fetched()
    assert b"return 1;" in (project.tree / "one.c").read_bytes()


def test_a_new_pin_that_fails_leaves_the_old_tree(project: Project, index: Index) -> None:
    sources.sync(project.path, environ=environment(index))
    before = _digests(project.tree)
    newer = sdist({**DEFAULT, "src/one.c": b"does not fit\n"})
    index.files["demo-1.0.tar.gz"] = newer
    write_pin(project.tree, newer, patches=[("fix.patch", 2)])
    with pytest.raises(SourceError, match="BB308"):
        sources.sync(project.path, environ=environment(index))
    after = _digests(project.tree)
    assert {name: digest for name, digest in after.items() if name != "source.toml"} == {
        name: digest for name, digest in before.items() if name != "source.toml"
    }


def test_comments_in_the_pin_change_nothing(project: Project, index: Index) -> None:
    sources.sync(project.path, environ=environment(index))
    pin = project.tree / "source.toml"
    pin.write_text("# a remark\n" + pin.read_text())
    assert sources.check(project.path)[0].state == "complete"


def test_offline(project: Project) -> None:
    with pytest.raises(SourceError, match="BB310"):
        sources.sync(project.path, offline=True)
    assert project.fetched() == []


def test_the_record_is_the_same_each_time(project: Project, index: Index) -> None:
    """It goes into source distributions, which have to be reproducible."""
    sources.sync(project.path, environ=environment(index))
    first = (project.tree / "stamp.json").read_bytes()
    sources.sync(project.path, force=True, environ=environment(index))
    assert (project.tree / "stamp.json").read_bytes() == first
    assert b"127.0.0.1" not in first


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"format": 2}', '{"format": 1, "state": "done"}', "\udcff"],
)
def test_a_damaged_record(project: Project, index: Index, content: str) -> None:
    sources.sync(project.path, environ=environment(index))
    (project.tree / "stamp.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match="BB309"):
        sources.sync(project.path, environ=environment(index))


def test_a_record_that_points_outside(project: Project, index: Index) -> None:
    sources.sync(project.path, environ=environment(index))
    stamp = json.loads((project.tree / "stamp.json").read_text())
    stamp["files"][0]["path"] = "../../secret"
    (project.tree / "stamp.json").write_text(json.dumps(stamp))
    with pytest.raises(SourceError, match="BB309"):
        sources.check(project.path)


@pytest.mark.parametrize("moment", range(6))
def test_killed_at_any_moment_of_the_move(project: Project, index: Index, moment: int) -> None:
    """A process that dies while it moves the files: the next sync clears up, whatever was there before."""
    dies = (
        "import os, signal\n"
        "real, count = os.replace, [0]\n"
        "def replace(*arguments):\n"
        f"    if count[0] == {moment}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    count[0] += 1; return real(*arguments)\n"
        "os.replace = replace\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", dies + SYNC, str(project.path)], env={**os.environ, **environment(index)}, check=False
    )
    assert result.returncode == -signal.SIGKILL
    (state,) = sources.check(project.path)
    assert state.state in ("missing", "partial")
    sources.sync(project.path, environ=environment(index))
    assert project.fetched() == ["LICENSE", "deep/two.h", "one.c", "run.sh", "stamp.json"]
    assert not list(project.tree.glob(".*"))


def test_many_processes_at_once_fetch_once(project: Project, index: Index) -> None:
    variables = {**os.environ, **environment(index)}
    running = [
        subprocess.Popen([sys.executable, "-c", SYNC, str(project.path)], env=variables, stderr=subprocess.PIPE)
        for _ in range(5)
    ]
    outputs = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 5, outputs
    assert index.downloads() == 1
    assert sources.check(project.path)[0].state == "complete"
