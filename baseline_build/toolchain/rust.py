"""The filter for rustc: ``-C target-cpu``, ``-C target-feature``, ``-C llvm-args``, ``-Z tune-cpu``."""

from __future__ import annotations

from typing import Callable, List, Tuple

from .lines import CODE_GENERATOR, Line, feature_allowed


def _codegen(line: Line, setting: str, written: Tuple[str, ...], rebuild: Callable[[str], Tuple[str, ...]]) -> None:
    """One ``-C`` setting of rustc: ``target-cpu``, ``target-feature`` and ``llvm-args`` choose instructions."""
    name, _, value = setting.partition("=")
    name = name.replace("_", "-")
    if name == "target-cpu":
        line.drop(" ".join(written), foreign=line.judge(f"-march={value}").foreign)
        return
    if name not in ("target-feature", "llvm-args"):
        line.keep(*written)
        return
    separator = "," if name == "target-feature" else " "
    kept: List[str] = []
    for part in value.split(separator):
        if name == "target-feature":
            fine = not part.startswith("+") or feature_allowed(part[1:], line.machine, line.level)
        else:
            fine = CODE_GENERATOR.match(part) is None
        if fine:
            kept.append(part)
        else:
            line.drop(f"-C {name}={part}", foreign=True)
    if kept:
        line.keep(*rebuild(f"{name}={separator.join(kept)}"))


def rust_argument(line: Line) -> None:
    """Take the next argument of rustc's *line*."""
    argument = line.next()
    if argument in ("-C", "--codegen") and line.peek() is not None:
        value = line.next()
        _codegen(line, value, (argument, value), lambda text: (argument, text))
    elif argument.startswith("--codegen="):
        _codegen(line, argument[len("--codegen=") :], (argument,), lambda text: (f"--codegen={text}",))
    elif argument.startswith("-C") and len(argument) > len("-C"):
        _codegen(line, argument[2:], (argument,), lambda text: (f"-C{text}",))
    elif argument.startswith("-Ztune-cpu=") or (argument == "-Z" and (line.peek() or "").startswith("tune-cpu=")):
        written = (argument, line.next()) if argument == "-Z" else (argument,)
        line.drop(" ".join(written), foreign=False)
    else:
        line.keep(argument)
