"""Modules that a package imports in any case, and what importing them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from baseline_build.scan import FileReport, Verdict, scan_path
from baseline_build.scan.imports import always_imported
from tests.scan import compiling

NATIVE = "p/_n.cpython-311-x86_64-linux-gnu.so"


def imported(sources: Dict[str, str], *others: str, project: str = "p") -> bool:
    names = [NATIVE, *sources, *others]
    return NATIVE in always_imported(names, lambda name: sources[name].encode(), project)


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
extern int chosen(void);
static void *module, *names;
typedef long pair __attribute__((vector_size(16)));
pair sink;
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


def judged(folder: Path, condition: str, init: str, *options: str) -> FileReport:
    source = MODULE.replace("CONDITION", condition)
    module = compiling.library(folder, "_n", source, "-fvisibility=hidden", *options)
    detector = compiling.library(folder, "detector", compiling.DETECTS)
    package = folder / "__init__.py"
    package.write_text(init)
    path = compiling.wheel(folder, {"p/_n.so": module, "p.libs/detector.so": detector, "p/__init__.py": package})
    (report,) = [file for file in scan_path(path).inputs[0].files if file.path == "p/_n.so"]
    return report


@pytest.mark.parametrize("options", [("-O2",), ("-O1",), ("-Os",), ("-O2", "-s")])
def test_what_no_import_succeeds_without_is_a_violation(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Another library asks the CPU, yet whatever it says this module is imported, and its exec slot runs pinsrq."""
    report = judged(tmp_path, "", "from . import _n\n", *options)
    (finding,) = report.findings
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
