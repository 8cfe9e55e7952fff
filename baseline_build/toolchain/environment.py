"""The variables a build gets, and what they held before."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import sysconfig
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from .clang import variables_of
from .compile_log import Known
from .discovery import LAUNCHERS, Discovery, Program, classify, host_machine
from .model import Mode
from .places import PLAIN
from .plan import Plan
from .tables import target_of

# Variables that hold a compiler command, and those that hold options for one.
COMMANDS = (
    *("CC", "CXX", "CPP", "OBJC", "OBJCXX", "FC", "F77", "F90", "F95", "AS", "LD", "LDSHARED", "LDCXXSHARED", "LINKCC"),
    *("CC_FOR_BUILD", "CXX_FOR_BUILD", "HOSTCC", "HOSTCXX", "BUILD_CC", "BUILD_CXX", "RUSTC"),
    *("CUDAHOSTCXX", "NVCC_CCBIN", "MPICH_CC", "OMPI_CC", "OMPI_CXX"),
)
_OPTIONS = frozenset(("LDLIBS", "OPT", "BASECFLAGS", "CCC_OVERRIDE_OPTIONS"))
_LAUNCHER_VARIABLES = re.compile(r"CMAKE_[A-Z]+_COMPILER_LAUNCHER\Z")
_INTERPRETER = (
    *("CC", "CXX", "CFLAGS", "OPT", "BASECFLAGS", "PY_CFLAGS", "CCSHARED", "LDSHARED", "LDFLAGS", "CPPFLAGS"),
    *("PY_LDFLAGS", "BLDSHARED"),
)
# A distcc or icecc called by its path would send the options to another machine as they are: it shall compile here,
# where the compiler's shim is met (manual pages of distcc, "HOST SPECIFICATIONS", and icecc, "ICECC").
_AT_HOME = {"DISTCC_HOSTS": "localhost", "ICECC": "no"}
# An sccache called by its path knows the options as the build gave them, not what the shims behind it make of them: its
# entries must be others than those of builds without a session (sccache's documentation, "Configuration"). For ccache
# see COMPILER_PATH below.
_APART = "SCCACHE_C_CUSTOM_CACHE_BUSTER"
GIVEN_BACK = ("COMPILER_PATH", "CCC_OVERRIDE_OPTIONS", "CC_PRINT_OPTIONS", "CC_PRINT_OPTIONS_FILE", *_AT_HOME, _APART)


def _words(text: str) -> List[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an unclosed quote: compilers' callers split such values at blanks
        return text.split()


def known_words(environ: Mapping[str, str]) -> Known:
    """Which options stood in which variable, and which are the interpreter's own."""
    environment: Dict[str, str] = {}
    for name, value in environ.items():
        if name in _OPTIONS or name in COMMANDS or name.startswith("CARGO_TARGET_") or name.endswith("FLAGS"):
            for word in _words(value):
                environment.setdefault(word, name)
        elif name == "CARGO_ENCODED_RUSTFLAGS":
            for word in value.split("\x1f"):
                environment.setdefault(word, name)
    interpreter: Dict[str, str] = {}
    for name in _INTERPRETER:
        for word in _words(str(sysconfig.get_config_var(name) or "")):
            interpreter.setdefault(word, f"sysconfig {name}")
    return Known(environment, interpreter)


class Commands:
    """Rewrites the values of CC and its kin so that a shim stands before every compiler named there."""

    def __init__(self, plan: Plan, discovery: Discovery) -> None:
        self._plan = plan
        self._discovery = discovery
        self.extra: List[Program] = []

    def rewritten(self, variable: str, value: str) -> str:
        """*value* of *variable* with its compiler replaced by a shim's name or path."""
        words = _words(value)
        place = self._compiler_among(words)
        if place is None:
            return value
        if os.path.basename(words[0]) in LAUNCHERS and place > 0:
            words[0] = os.path.basename(words[0])
            return shlex.join([self._shim(words[0]), *words[1:]])
        return (
            shlex.join([self._shim(self._name(variable, words[place])), *words[place + 1 :]]) if place == 0 else value
        )

    def _compiler_among(self, words: List[str]) -> Optional[int]:
        for place, word in enumerate(words[:3]):
            if classify(os.path.basename(word)) is not None:
                return place
        return None

    def _name(self, variable: str, word: str) -> str:
        """Name of the shim for the compiler *word*: its own where PATH finds the same file, else one of its own."""
        base = os.path.basename(word)
        path = word if os.path.isabs(word) else shutil.which(word)
        known = self._plan.programs.get(base)
        if path is None or (known is not None and os.path.realpath(known.path) == os.path.realpath(path)):
            return base
        kind = classify(base)
        assert kind is not None
        name = f"{variable}-{base}"
        self.extra.append(self._discovery.inspect(name, os.path.abspath(path), kind))
        return name

    def _shim(self, name: str) -> str:
        """How the shim *name* is written in a variable: its path, or its bare name where the path needs quoting."""
        path = str(Path(self._plan.state, "bin", name))
        return path if PLAIN.fullmatch(path) else name


def variables(plan: Plan, environ: Mapping[str, str], commands: Commands) -> Dict[str, str]:
    """The variables to set for the build."""
    state = Path(plan.state)
    # a ccache called by its path takes COMPILER_PATH into account: no compiler finds anything in the second folder
    apart = str(state / hashlib.sha256(_kept(plan).encode()).hexdigest()[:16])
    inner = [str(state / "inner"), apart, *filter(None, [environ.get("COMPILER_PATH")])]
    result = {
        "PATH": os.pathsep.join([str(state / "bin"), environ.get("PATH", os.defpath)]),
        "COMPILER_PATH": os.pathsep.join(inner),
    }
    for name in (*COMMANDS, *filter(_LAUNCHER_VARIABLES.match, environ)):
        if environ.get(name):
            if _LAUNCHER_VARIABLES.match(name):
                result[name] = _launcher(plan, environ[name])
            else:
                result[name] = commands.rewritten(name, environ[name])
    if "rustc" in plan.programs:
        result["RUSTC_WRAPPER"] = str(state / "bin" / "rustc-wrapper")
    for machine in ("x86-64", "i386", "aarch64"):
        level = plan.level(machine)
        if level is not None and plan.mode is not Mode.REPORT:
            name, value = target_of(machine, level).go
            result[name] = value
    result.update(variables_of(plan, host_machine()))
    if plan.mode is not Mode.REPORT:
        result.update(_AT_HOME)
        result[_APART] = f"{environ.get(_APART, '')} baseline-build {_kept(plan)}".lstrip()
    return result


def _kept(plan: Plan) -> str:
    """What a session makes of compiler calls, in one line: the same for sessions that do the same."""
    levels = [f"{machine}={plan.level(machine)}" for machine in ("x86-64", "i386", "aarch64")]
    kernels = [f"{' '.join(kernel.sources)}={kernel.level}" for kernel in plan.kernels]
    return " ".join([plan.mode.value, *levels, f"strict={plan.strict}", *kernels])


def _launcher(plan: Plan, value: str) -> str:
    """A launcher variable of cmake (a list with semicolons) with the shim in the launcher's place."""
    first, *rest = value.split(";")
    name = os.path.basename(first)
    if name not in plan.programs or plan.programs[name].dialect != "launcher":
        return value
    return ";".join([str(Path(plan.state, "bin", name)), *rest])


def forced_settings(environ: Mapping[str, str], changed: Mapping[str, str]) -> Tuple[str, ...]:
    """Sentences on variables that asked for another level and were overridden."""
    names = ("GOAMD64", "GOARM64", "GO386")
    return tuple(
        f"{name}={environ[name]} in the environment was replaced by {changed[name]}"
        for name in names
        if name in changed and environ.get(name) not in (None, changed[name])
    )
