"""Other PEP 517 backends under the same enforcement, scan and error handling."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.tools import missing, require_tool

from .conftest import ROOT, Project, members, unpacked
from .test_wheel import FOREIGN, objdump

Copy = Callable[[str], Project]

pytestmark = pytest.mark.build


def need(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        missing(f"the build backend {module} is not installed")


def baseline(wheel: Path, folder: Path) -> None:
    libraries = [path for path in unpacked(wheel, folder) if ".so" in path.name]
    assert libraries
    for path in libraries:
        assert not FOREIGN.search(objdump(path)), path


def test_a_minimal_backend_is_enforced_and_gets_its_settings_untouched(project: Copy, tmp_path: Path) -> None:
    toy = project("toy")
    given: Any = {"--anything": ["a", "b"], "flag": "", "strict": "true", "baseline-build.jobs": "1"}
    outcome = toy.call("build_wheel", str(toy.output), given, "some/metadata")
    assert outcome.status == 0, outcome.err
    calls = json.loads((toy.path / "calls.json").read_text())
    assert calls == [{"--anything": ["a", "b"], "flag": ""}, "some/metadata"]
    baseline(toy.output / outcome.answer, tmp_path / "out")


def test_no_settings_are_passed_on_as_none(project: Copy) -> None:
    toy = project("toy")
    toy.wheel({"strict": "true"})
    assert json.loads((toy.path / "calls.json").read_text()) == [None, None]


def test_what_the_backend_cannot_do_the_frontend_is_told(project: Copy) -> None:
    toy = project("toy")
    for hook in ("prepare_metadata_for_build_wheel", "prepare_metadata_for_build_editable", "build_editable"):
        assert toy.call(hook, str(toy.output)).missing, hook
    outcome = toy.call("get_requires_for_build_wheel")
    assert outcome.answer == []


def test_with_the_flag_let_through_the_scan_refuses(project: Copy) -> None:
    outcome = project("toy").refused({"enforce": "report"})
    assert re.search(r"toy\.so: toy_scale at .*toy\.c:\d+: .*needs avx", outcome.err), outcome.err


def test_a_native_wheel_tagged_any_is_refused(project: Copy) -> None:
    outcome = project("toy").refused(TOY_TAG="py3-none-any")
    assert "BB731" in outcome.err


def test_an_error_of_the_backend_is_one_message_with_its_place(project: Copy) -> None:
    toy = project("toy")
    source = toy.path / "toy_backend.py"
    line = 'Path("calls.json").write_text'
    source.write_text(source.read_text().replace(line, f'raise LookupError("no luck"); {line}'))
    outcome = toy.refused()
    assert outcome.status == 5
    assert "BB706: toy_backend:Backend.inner: the wrapped backend failed: LookupError: no luck" in outcome.err
    assert re.search(r"raised at \S*toy_backend\.py:17 in build_wheel; ", outcome.err)
    told = toy.call("build_wheel", str(toy.output), {"verbose": "true"})
    assert "Traceback" in told.err, "with verbose all of it is shown"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_build_that_is_told_to_end_leaves_nothing(project: Copy, tmp_path: Path, number: signal.Signals) -> None:
    toy = project("toy")
    source = toy.path / "toy_backend.py"
    run = "subprocess.run(["
    waiting = 'subprocess.run(["sh", "-c", "touch begun; exec sleep 60"], check=True); '
    source.write_text(source.read_text().replace(run, waiting + run))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    line = [sys.executable, "-c", f"import baseline_build; baseline_build.build_wheel({str(toy.output)!r})"]
    environ = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": f"{ROOT}{os.pathsep}."}
    # a CI runner in the background hands down ignored signals, as nohup does
    prepare = partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(line, cwd=toy.path, env=environ, stderr=subprocess.PIPE, preexec_fn=prepare) as process:
        for _ in range(600):
            if (toy.path / "begun").exists():
                break
            time.sleep(0.1)
        assert list(temporary.glob("baseline-build-*")), "the build has begun"
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode
    assert list(temporary.iterdir()) == []
    assert list(toy.output.iterdir()) == []


def test_a_pure_package(project: Copy) -> None:
    need("hatchling")
    need("editables")
    pure = project("toy")
    text = (pure.path / "pyproject.toml").read_text().replace("toy_backend:Backend.inner", "hatchling.build")
    (pure.path / "pyproject.toml").write_text(text)
    (pure.path / "toy").mkdir()
    (pure.path / "toy" / "__init__.py").write_text("answer = 42\n")
    wheel = pure.wheel()
    assert members(wheel) == ["toy/__init__.py"]
    assert wheel.name == "toy-1.0-py2.py3-none-any.whl"
    assert pure.call("build_editable", str(pure.output)).status == 0
    assert pure.call("get_requires_for_build_wheel").answer == []
    prepared = pure.call("prepare_metadata_for_build_wheel", str(pure.output))
    assert (pure.output / prepared.answer / "METADATA").is_file()


def test_sdist_of_a_wrapped_backend(project: Copy) -> None:
    import tarfile

    toy = project("toy")
    outcome = toy.call("build_sdist", str(toy.output), None)
    assert outcome.status == 0, outcome.err
    with tarfile.open(toy.output / outcome.answer) as sdist:
        assert sdist.getnames() == ["toy-1.0/pyproject.toml", "toy-1.0/toy.c"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no_such_backend", "BB713"),
        ("json:nothing", "BB713"),
        ("baseline_build", "BB713"),
        ("mesonpy, hatchling.build", "BB713"),
        ('", "hatchling.build', "BB202"),
    ],
)
def test_a_backend_that_cannot_be_wrapped(project: Copy, name: str, code: str) -> None:
    toy = project("toy")
    text = (toy.path / "pyproject.toml").read_text().replace("toy_backend:Backend.inner", name)
    if code == "BB202":  # several of them
        text = text.replace(f'backend = "{name}"', f'backend = ["{name}"]')
    (toy.path / "pyproject.toml").write_text(text)
    outcome = toy.refused()
    assert code in outcome.err
    assert name.split('"')[-1] in outcome.err
    assert outcome.status == 2


def test_hatchling_with_a_build_hook(project: Copy, tmp_path: Path) -> None:
    need("hatchling")
    one = project("hatch")
    wheel = one.wheel()
    assert members(wheel) == ["hatch_pkg/__init__.py", "hatch_pkg/libscale.so"]
    assert "any" not in wheel.name
    baseline(wheel, tmp_path / "out")
    assert "editables~=" in "".join(one.call("get_requires_for_build_editable").answer)
    need("editables")
    (one.path / "hatch_pkg" / "libscale.so").unlink()
    editable = one.call("build_editable", str(one.output))
    assert editable.status == 0, editable.err
    assert not FOREIGN.search(objdump(one.path / "hatch_pkg" / "libscale.so"))


def test_scikit_build_core(project: Copy, tmp_path: Path) -> None:
    need("scikit_build_core")
    one = project("scikit")
    wheel = one.wheel()
    assert members(wheel) == ["scikit_pkg/libscale.so"]
    baseline(wheel, tmp_path / "out")
    assert members(one.wheel({"cmake.define.LOUD": "ON"})) == ["scikit_pkg/libloud.so"]


@pytest.mark.parametrize(("name", "module"), [("scikit", "scikit_build_core"), ("meson", "mesonpy")])
def test_a_build_folder_that_is_kept(project: Copy, tmp_path: Path, name: str, module: str) -> None:
    """cmake and meson keep the paths of the compilers in it, which the next build uses again."""
    need(module)
    one = project(name)
    if name == "meson":
        subprocess.run(["git", "init", "-q", "."], cwd=one.path, check=True)
    wheel = one.wheel({"build-dir": "kept"})
    (source,) = one.path.glob("*.c")
    source.write_text(source.read_text() + "int added(void) { return 42; }\n")
    wheel.unlink()
    baseline(one.wheel({"build-dir": "kept"}), tmp_path / "out")


def test_what_is_compiled_on_import_is_not_compiled_unfiltered(project: Copy) -> None:
    """meson-python's loader of editable installs calls ninja; the shims are gone by then."""
    need("mesonpy")
    one = project("meson")
    subprocess.run(["git", "init", "-q", "."], cwd=one.path, check=True)
    assert one.call("build_editable", str(one.output)).status == 0
    (folder,) = (one.path / "build").iterdir()
    line = [require_tool("ninja"), "-C", str(folder)]
    unchanged = subprocess.run(line, check=False, capture_output=True, text=True)
    assert unchanged.returncode == 0, unchanged.stdout
    (source,) = one.path.glob("*.c")
    source.write_text(source.read_text() + "int added(void) { return 42; }\n")
    changed = subprocess.run(line, check=False, capture_output=True, text=True)
    assert changed.returncode != 0
    assert "not found" in changed.stdout
    assert one.call("build_editable", str(one.output)).status == 0


def test_meson_python(project: Copy, tmp_path: Path) -> None:
    need("mesonpy")
    one = project("meson")
    subprocess.run(["git", "init", "-q", "."], cwd=one.path, check=True)
    wheel = one.wheel({"setup-args": "-Dbuildtype=debugoptimized"})
    (name,) = members(wheel)
    assert re.fullmatch(r"meson_module\..*\.so", name)
    baseline(wheel, tmp_path / "out")
