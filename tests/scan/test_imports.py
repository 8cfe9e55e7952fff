"""Modules that a package imports in any case, and what importing them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional

import pytest

from baseline_build.scan import FileReport, Verdict, scan_path
from baseline_build.scan.imports import always_imported
from tests.scan import compiling

NATIVE = "p/_n.cpython-311-x86_64-linux-gnu.so"


def imported(sources: Dict[str, str], *others: str, project: str = "p", alone: bool = False) -> bool:
    names = [NATIVE, *sources, *others]
    return NATIVE in always_imported(names, lambda name: sources[name].encode(), project, alone=alone)


@pytest.mark.parametrize(
    "source",
    [
        "import p._n",
        "from p import _n",
        "from . import _n",
        "from ._n import thing",
        "from p._n import *",
        "import os\nx = 1\nfrom . import _n",
        "try:\n    from ._n import x\nexcept ImportError:\n    x = None",
        "with open('f'):\n    from . import _n",
    ],
)
def test_the_top_level_imports_it(source: str) -> None:
    assert imported({"p/__init__.py": source})


@pytest.mark.parametrize(
    "source",
    [
        "",
        "if fast():\n    from . import _n",
        "def load():\n    from . import _n",
        "try:\n    import numpy\n    from . import _n\nexcept ImportError:\n    pass",
        "raise ImportError\nfrom . import _n",
        "import q._n",
        "from .. import _n",
        "from . import (_n",
        "\0",
    ],
)
def test_it_may_be_a_choice(source: str) -> None:
    assert not imported({"p/__init__.py": source})


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    from ._n import x\nexcept ImportError:\n    x = None",
        "with suppress(ImportError):\n    from . import _n",
        "try:\n    from .a import x\nexcept ImportError:\n    x = None",
    ],
)
def test_what_is_caught_may_have_a_stand_in(source: str) -> None:
    sources = {"p/__init__.py": source, "p/a.py": "from . import _n"}
    assert imported(sources)
    assert not imported(sources, alone=True)
    assert imported({**sources, "p/__init__.py": "from . import a"}, alone=True)


def test_imports_are_followed_from_module_to_module() -> None:
    assert imported({"p/__init__.py": "from .a import x", "p/a.py": "from p.b import c", "p/b/__init__.py": "",
                     "p/b/c.py": "from .. import _n"})  # fmt: skip
    assert not imported({"p/__init__.py": "", "p/a.py": "from . import _n"})


def test_a_module_at_the_top_is_what_users_import_when_it_is_called_like_the_project() -> None:
    names = ["x_y.abi3.so", "x_y_avx2.abi3.so"]
    assert always_imported(names, lambda name: b"", "X-y") == {"x_y.abi3.so"}


# The initialisation of a module as Cython writes it: checks of results, a way out for a second import, then its work.
MODULE = """
typedef struct { long count; void *type; void *init; long index; void *copy; } Base;
typedef struct { Base base; const char *name; const char *doc; long size; void *methods; void *slots;
                 void *t, *c, *f; } Definition;
typedef struct { int slot; void *value; } Slot;
extern void *PyModuleDef_Init(void *), *PyModule_GetDict(void *), *PyErr_Occurred(void);
extern int PyModule_AddIntConstant(void *, const char *, long);
extern void *PyUnicode_FromString(const char *), PyUnicode_InternInPlace(void **), PyErr_Clear(void);
extern void changed(void **);
extern int chosen(void);
static void *module, *names;
typedef long pair __attribute__((vector_size(16)));
pair sink;
HELPERS
static int setup(void *self) {
  if (module) return module == self ? 0 : -1;
  module = self;
  names = PyModule_GetDict(self);
  if (!names) goto failed;
  if (PyModule_AddIntConstant(self, "a", 1) < 0) goto failed;
  if (PyErr_Occurred()) goto failed;
  { CONDITION { pair p = sink; __asm__ volatile("pinsrq $1, %1, %0" : "+x"(p) : "r"(self)); sink = p; } }
  return 0;
failed:
  module = 0;
  return -1;
}
static Slot slots[] = {{2, (void *)setup}, {0, 0}};
static Definition definition = {{1, 0, 0, 0, 0}, "_n", 0, 0, 0, slots, 0, 0, 0};
__attribute__((visibility("default"))) void *PyInit__n(void) { return PyModuleDef_Init(&definition); }
"""


IMPORTS = "from . import _n\n"
# Functions of a module that asks what the CPU can do. Only the last two give nothing for other reasons.
OWN = (
    compiling.DETECTS.replace("int has", "static __attribute__((noinline)) int has")
    + """
static struct { char before[64]; int flag; char behind[64]; } answer;
static void *(*way)(void);
__attribute__((constructor)) static void ask(void) { answer.flag = has(); }
#define OWN static __attribute__((noinline)) void *
OWN asked(void) { return has() ? &sink : 0; }
OWN remembered(void) { return answer.flag ? &sink : 0; }
OWN through(void) { return way(); }
OWN outside(void) { return chosen() ? &sink : 0; }
OWN made(void) { return PyModule_GetDict(module); }
OWN further(void) { return made() ? PyUnicode_FromString("a") : 0; }
void *keep[] = {asked, remembered, through, outside, made, further};
"""
)


def judged(
    folder: Path, condition: str, init: str, *options: str, own: str = "", others: Optional[Dict[str, str]] = None
) -> FileReport:
    """The report on ``_n``, which is in a package with the *others*; *own*: its functions, when it asks by itself."""
    source = MODULE.replace("CONDITION", condition).replace("HELPERS", own)
    files = {"p/_n.so": compiling.library(folder, "_n", source, "-fvisibility=hidden", *options)}
    if not own and others is None:
        files["p.libs/detector.so"] = compiling.library(folder, "detector", compiling.DETECTS)
    for name, text in {"__init__.py": init, **(others or {})}.items():
        files[f"p/{name}"] = folder / name
        files[f"p/{name}"].write_text(text)
    path = compiling.wheel(folder, files)
    (report,) = [file for file in scan_path(path).inputs[0].files if file.path == "p/_n.so"]
    return report


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-Os",), ("-O2", "-s")])
def test_what_no_import_succeeds_without_is_a_violation(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Another library asks the CPU, yet whatever it says this module is imported, and its exec slot runs pinsrq."""
    report = judged(tmp_path, "", "from . import _n\n", *options)
    assert_runs_on_import(report)


def assert_runs_on_import(report: FileReport) -> None:
    (finding,) = [finding for finding in report.findings if finding.feature == "sse4.1"]
    assert finding.verdict is Verdict.VIOLATION
    assert finding.ground.startswith("the package imports this module in any case")
    assert finding.path[0].startswith("module exec slot")


def test_a_module_that_is_imported_under_a_condition_stays_unproven(tmp_path: Path) -> None:
    report = judged(tmp_path, "", "from .detector import has\nif has():\n    from . import _n\n")
    assert report.verdict is Verdict.UNPROVEN


def test_what_another_file_may_decide_stays_unproven(tmp_path: Path) -> None:
    report = judged(tmp_path, "if (chosen())", "from . import _n\n")
    assert report.verdict is Verdict.UNPROVEN


def test_what_only_a_failing_import_runs_is_no_violation(tmp_path: Path) -> None:
    report = judged(tmp_path, "if (PyModule_AddIntConstant(self, 0, 2) < 0)", "from . import _n\n")
    assert report.verdict is Verdict.UNPROVEN


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-O2", "-s"), ("-O2", "-fno-plt"), ("-O2", "-fno-plt", "-s")])
@pytest.mark.parametrize("condition", ["", "if (!made()) goto failed;", "if (!further()) goto failed;"])
def test_a_module_that_asks_is_a_violation_where_what_fails_cannot_know(
    tmp_path: Path, condition: str, options: tuple[str, ...]
) -> None:
    """It asks somewhere, yet nothing on the way to pinsrq can say that this CPU lacks something."""
    assert_runs_on_import(judged(tmp_path, condition, IMPORTS, *options, own=OWN))


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-O2", "-s"), ("-O2", "-fno-plt"), ("-O2", "-fno-plt", "-s")])
@pytest.mark.parametrize("condition", ["asked", "remembered", "through", "outside"])
def test_nothing_is_not_a_failure_where_a_function_may_know_the_cpu(
    tmp_path: Path, condition: str, options: tuple[str, ...]
) -> None:
    """A pointer that is null on an older CPU makes the module do without: it works there."""
    report = judged(tmp_path, f"if ({condition}())", IMPORTS, *options, own=OWN)
    assert Verdict.VIOLATION not in {finding.verdict for finding in report.findings}


def test_a_module_that_asks_may_have_a_stand_in(tmp_path: Path) -> None:
    report = judged(tmp_path, "", "try:\n    from ._n import x\nexcept ImportError:\n    x = None\n", own=OWN)
    assert report.verdict is Verdict.UNPROVEN


ARCHSPEC = {"cpu.py": "import archspec.cpu\n\nhas = archspec.cpu.host().features\n"}


def test_python_code_that_asks_does_not_matter_to_what_is_imported_in_any_case(tmp_path: Path) -> None:
    assert_runs_on_import(judged(tmp_path, "", "from .cpu import has\nfrom . import _n\n", others=ARCHSPEC))


@pytest.mark.parametrize(
    "init",
    [
        "from .cpu import has\nif 'sse4_1' in has:\n    from . import _n\n",
        "try:\n    from . import _n\nexcept ImportError:\n    _n = None\n",
    ],
)
def test_python_code_that_asks_may_do_without_the_module(tmp_path: Path, init: str) -> None:
    assert judged(tmp_path, "", init, others=ARCHSPEC).verdict is Verdict.UNPROVEN


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-O2", "-mstackrealign")])
@pytest.mark.parametrize(
    "between", ["PyErr_Clear();", "if (text) PyUnicode_InternInPlace(&text);", "if (names) PyErr_Clear();"]
)
def test_a_result_is_asked_about_later(tmp_path: Path, between: str, options: tuple[str, ...]) -> None:
    code = f'void *text = PyUnicode_FromString("a"); {between} if (!text) goto failed; sink[0] = (long)text;'
    assert_runs_on_import(judged(tmp_path, code, IMPORTS, *options))


# What Rust's bindings do before they set a module up: a counter of the thread, the kind of object, a cell set once.
KEPT = """
static __thread long before, counter;
static __attribute__((noinline)) void touch(void) { __asm__ volatile("" : : "r"(&before) : "memory"); }
static struct { char before[64]; long cell; char behind[64]; } once;
static __attribute__((noinline)) void fill(void) { once.cell = has() ? 1 : 2; }
static __attribute__((noinline)) void indirect(void (*what)(void)) { what(); }
extern int PyType_IsSubtype(void *, void *), PyObject_IsTrue(void *);
extern char PyModule_Type[];
void *kept[] = {fill, indirect};
"""


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-O2", "-s"), ("-O2", "-fno-plt", "-s")])
@pytest.mark.parametrize(
    "condition",
    [
        "if (counter < 0) goto failed; counter++;",
        "if (counter < 0) __builtin_trap(); counter++;",
        "if (!self) goto failed;",
        "if (!PyType_IsSubtype(*(void **)self, PyModule_Type)) goto failed;",
        "if (once.cell) goto failed;",
    ],
    ids=["counter", "panic", "argument", "kind", "cell"],
)
def test_ways_that_only_fail_are_none_of_an_import(tmp_path: Path, condition: str, options: tuple[str, ...]) -> None:
    """The file asks the CPU, yet what is tested here tells nothing of it the first time."""
    whole = "-fno-reorder-blocks-and-partition"
    assert_runs_on_import(judged(tmp_path, condition, IMPORTS, whole, *options, own=OWN + KEPT))


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-O2", "-s"), ("-O2", "-fno-plt", "-s")])
@pytest.mark.parametrize(
    "condition",
    [
        "if (answer.flag == 0) goto failed;",
        "fill(); if (once.cell != 1) goto failed;",
        "indirect(fill); if (once.cell == 2) goto failed; if (!once.cell) goto failed;",
        "way(); if (once.cell) goto failed;",
        "if (chosen()) goto failed;",
        "if (has()) goto failed;",
        "if (!PyObject_IsTrue(self)) goto failed;",
        "counter = has() - 1; touch(); if (counter < 0) goto failed;",
        'long a = once.cell; __asm__ volatile("bswapq %0; incq %0" : "+r"(a)); if (a) goto failed;',
    ],
    ids=["initialiser", "before", "pointer", "unknown", "outside", "question", "python", "thread", "changed"],
)
def test_a_module_may_refuse_a_cpu_by_failing(tmp_path: Path, condition: str, options: tuple[str, ...]) -> None:
    """What is tested may tell of the CPU: the import may end without an instruction that this one has not."""
    report = judged(tmp_path, condition, IMPORTS, *options, own=OWN + KEPT)
    assert Verdict.VIOLATION not in {finding.verdict for finding in report.findings}


def test_what_others_may_have_changed_is_no_result(tmp_path: Path) -> None:
    code = 'void *text = PyUnicode_FromString("a"); changed(&text); if (!text) goto failed; sink[0] = (long)text;'
    assert judged(tmp_path, code, IMPORTS).verdict is Verdict.UNPROVEN
