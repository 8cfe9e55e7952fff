"""The filter: a compiler's command line in, what may stay out. The shell shims do the same for the plain cases.

Spellings covered, by the manuals of gcc ("x86 Options", "Overall Options", "Preprocessor Options"), clang ("Command
line reference"), GNU as and ld: ``-m…``; gcc's long form ``--machine…``; the pass-through options ``-Wp,``, ``-Wa,``,
``-Wl,``, ``-Xclang``, ``-Xpreprocessor``, ``-Xassembler``, ``-Xlinker``, ``-Xarch_*``, ``-mllvm``, ``-plugin-opt``.
Response files are expanded before (:mod:`.responses`).
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from .lines import CODE_GENERATOR, Line, Outcome, feature_allowed
from .rust import rust_argument

# Options whose value is the next argument, so that the value is never taken for an option.
TAKES_VALUE = frozenset(
    [
        "-o",
        "-I",
        "-D",
        "-U",
        "-L",
        "-l",
        "-x",
        "-T",
        "-u",
        "-e",
        "-A",
        "-B",
        "-MF",
        "-MT",
        "-MQ",
        "-MJ",
        "-include",
        "-imacros",
        "-isystem",
        "-idirafter",
        "-iquote",
        "-iprefix",
        "-iwithprefix",
        "-iwithprefixbefore",
        "-isysroot",
        "-imultilib",
        "-imultiarch",
        "-include-pch",
        "-include-pth",
        "-dumpbase",
        "-dumpbase-ext",
        "-dumpdir",
        "-auxbase",
        "-auxbase-strip",
        "-aux-info",
        "--param",
        "-main-file-name",
        "-target",
        "-arch",
        "-wrapper",
        "-specs",
    ]
)
_CLAIM = re.compile(r"x86-64-(v[2-9]|baseline)\Z")
_ASSEMBLER = re.compile(r"-m(arch|cpu|tune|fpu)=|-msse2avx\Z|-mavxscalar=256\Z")
_HARMLESS_ASSEMBLER = re.compile(r"-m(tune=.*|arch=(generic(32|64)?|armv8-a|i[3-6]86|x86-64)|cpu=generic)\Z")


def _machine_option(line: Line, option: str, written: Tuple[str, ...]) -> None:
    """*option* is the ``-m…`` form of the arguments *written*: keep or drop them."""
    found = line.judge(option)
    if found.dropped:
        line.drop(" ".join(written), foreign=found.foreign)
        return
    if not found.known:
        line.unknown.append(option)
    line.keep(*written)


def _assembler_dropped(token: str) -> Optional[bool]:
    """``None``: *token* of an assembler's line may stay; else whether what it asks for is foreign."""
    if not _ASSEMBLER.match(token):
        return None
    return _HARMLESS_ASSEMBLER.match(token) is None


def _assembler_list(line: Line, argument: str) -> None:
    """``-Wa,a,b``: drop the parts that choose instructions, keep the rest."""
    kept: List[str] = []
    in_arch = False
    for token in argument.split(",")[1:]:
        dropped = _assembler_dropped(token)
        if dropped is None and in_arch and token.startswith("+"):
            dropped = True  # -march=CPU,+EXTENSION: the comma belongs to the value
        in_arch = dropped is not None
        if dropped is None:
            kept.append(token)
        else:
            line.drop(f"-Wa,{token}", foreign=dropped)
    if kept:
        line.keep("-Wa," + ",".join(kept))


def _preprocessor_list(line: Line, argument: str) -> None:
    """``-Wp,a,b``: gcc hands the parts to the compiler proper, where ``-mavx2`` counts."""
    kept: List[str] = []
    for token in argument.split(",")[1:]:
        found = line.judge(token) if token.startswith("-m") else None
        if found is not None and found.dropped:
            line.drop(f"-Wp,{token}", foreign=found.foreign)
        else:
            kept.append(token)
    if kept:
        line.keep("-Wp," + ",".join(kept))


def _linker_claim(token: str, previous: str) -> Optional[bool]:
    """Whether *token* claims (``-z x86-64-v2``) or chooses (LTO's ``mcpu``) an instruction set; ``None`` if neither.

    True: *previous* belongs to it and goes too.
    """
    if previous == "-z":
        return True if _CLAIM.match(token) else None
    if token.startswith("-z") and _CLAIM.match(token[2:]):
        return False
    if CODE_GENERATOR.match(token):
        return previous in ("-mllvm", "--mllvm", "-plugin-opt", "--plugin-opt")
    return None


def _linker_tokens(line: Line, tokens: Sequence[str], prefix: str) -> None:
    """Tokens for the linker, one argument's worth; *prefix* is ``-Wl,``, ``-Xlinker`` or empty for the linker itself.

    ``-z`` and its value may stand in different arguments (``-Wl,-z -Wl,x86-64-v2``); then the earlier one goes too.
    """
    kept: List[str] = []
    for token in tokens:
        previous = kept[-1] if kept else (line.kept[line.keyword[0]].rsplit(",", 1)[-1] if line.keyword else "")
        claim = _linker_claim(token, previous)
        if claim is None:
            kept.append(token)
            continue
        written = f"{previous} {token}" if claim else token
        line.drop(f"{prefix}{written}" if prefix != "-Xlinker" else f"-Xlinker {written}", foreign=True)
        if claim and kept:
            kept.pop()
        elif claim:
            _take_back(line)
    line.keyword = None
    if not kept:
        return
    begin = len(line.kept)
    if prefix == "-Wl,":
        line.keep("-Wl," + ",".join(kept))
    elif prefix:
        line.keep(prefix, *kept)
    else:
        line.keep(*kept)
    if kept[-1] in ("-z", "-mllvm", "-plugin-opt", "--plugin-opt"):
        line.keyword = (len(line.kept) - 1, begin)


def _take_back(line: Line) -> None:
    """Take the waiting linker keyword off what was kept."""
    assert line.keyword is not None
    place, begin = line.keyword
    text, comma, _ = line.kept[place].rpartition(",")
    if comma and text != "-Wl":
        line.kept[place] = text
    else:
        del line.kept[begin : place + 1]


def _frontend_pair(line: Line, name: str, value: str, written: Tuple[str, ...]) -> None:
    """clang's front end options ``-target-cpu X``, ``-target-feature ±X``, ``-tune-cpu X``."""
    if name == "-tune-cpu":
        line.drop(" ".join(written), foreign=False)
    elif name == "-target-cpu":
        line.drop(" ".join(written), foreign=line.judge(f"-march={value}").foreign)
    elif value.startswith("-") or feature_allowed(value.lstrip("+"), line.machine, line.level):
        line.keep(*written)
    else:
        line.drop(" ".join(written), foreign=True)


_FRONTEND = ("-target-cpu", "-target-feature", "-tune-cpu")


def _clang_forward(line: Line) -> None:
    """``-Xclang X``, and pairs of them."""
    value = line.peek()
    if value in _FRONTEND and line.peek(1) == "-Xclang" and line.peek(2) is not None:
        written = ("-Xclang", line.next(), line.next(), line.next())
        _frontend_pair(line, written[1], written[3], written)
    elif value is not None:
        line.keep("-Xclang", line.next())
    else:
        line.keep("-Xclang")


def _clang_forward_joined(line: Line, argument: str) -> None:
    """``-Xclang=X``, and pairs of them."""
    name = argument.partition("=")[2]
    following = line.peek()
    if name in _FRONTEND and following is not None and following.startswith("-Xclang="):
        _frontend_pair(line, name, following.partition("=")[2], (argument, line.next()))
    else:
        line.keep(argument)


def _forward(line: Line, argument: str) -> None:
    """``-Xpreprocessor X``, ``-Xassembler X``, ``-Xarch_host X``, ``-mllvm X``, ``--machine X``."""
    value = line.peek()
    if value is None:
        line.keep(argument)
        return
    line.next()
    written = (argument, value)
    dropped: Optional[bool] = None
    if argument == "-mllvm":
        dropped = True if CODE_GENERATOR.match(value) else None
    elif argument in ("-Xassembler", "--for-assembler"):
        dropped = _assembler_dropped(value)
    elif argument == "--machine":
        _machine_option(line, f"-m{value}", written)
        return
    elif value.startswith("-m"):
        _machine_option(line, value, written)
        return
    if dropped is None:
        line.keep(*written)
    else:
        line.drop(" ".join(written), foreign=dropped)


def _compiler_argument(line: Line) -> None:
    argument = line.next()
    following = line.peek()
    if argument in TAKES_VALUE and following is not None:
        line.keep(argument, line.next())
    elif argument == "-z" and following is not None:
        _linker_tokens(line, (argument, line.next()), "")
    elif argument == "-Xclang":
        _clang_forward(line)
    elif argument.startswith("-Xclang="):
        _clang_forward_joined(line, argument)
    elif argument in ("-Xlinker", "--for-linker") and following is not None:
        _linker_tokens(line, (line.next(),), "-Xlinker")
    elif argument in ("-mllvm", "--machine", "--for-assembler") or argument.startswith(("-Xpre", "-Xass", "-Xarch")):
        _forward(line, argument)
    elif argument in _FRONTEND and line.arguments[0].startswith("-cc1") and following is not None:
        _frontend_pair(line, argument, following, (argument, line.next()))
    elif argument.startswith("-Wa,"):
        _assembler_list(line, argument)
    elif argument.startswith("-Wp,"):
        _preprocessor_list(line, argument)
    elif argument.startswith("-Wl,"):
        _linker_tokens(line, argument.split(",")[1:], "-Wl,")
    elif argument.startswith(("-zx86-64-", "-plugin-opt=", "--plugin-opt=")):
        _linker_tokens(line, (argument,), "")
    elif argument.startswith(("--machine=", "--machine-")):
        _machine_option(line, "-m" + argument[len("--machine=") :], (argument,))
    elif argument.startswith("-m"):
        _machine_option(line, argument, (argument,))
    else:
        line.keep(argument)


def _assembler_argument(line: Line) -> None:
    argument = line.next()
    if argument in ("-o", "-I", "-MD", "--defsym") and line.peek() is not None:
        line.keep(argument, line.next())
        return
    dropped = _assembler_dropped(argument)
    if dropped is None:
        line.keep(argument)
    else:
        line.drop(argument, foreign=dropped)


def _linker_argument(line: Line) -> None:
    argument = line.next()
    if argument in ("-o", "-m", "-T", "-L", "-l", "-u", "-e", "-soname", "-h", "-rpath") and line.peek() is not None:
        line.keep(argument, line.next())
    else:
        _linker_tokens(line, (argument,), "")


_STEP: Dict[str, Callable[[Line], None]] = {
    "gcc": _compiler_argument,
    "clang": _compiler_argument,
    "zig": _compiler_argument,
    "cc1": _compiler_argument,
    "as": _assembler_argument,
    "ld": _linker_argument,
    "rustc": rust_argument,
}


def filter_arguments(arguments: Sequence[str], dialect: str, machine: str, level: Optional[str]) -> Outcome:
    """Take off *arguments* what chooses instructions.

    :param dialect: ``gcc``, ``clang``, ``zig``, ``cc1``, ``as``, ``ld`` or ``rustc``.
    :param machine: the machine compiled for, value of :class:`~baseline_build.isa.model.Machine`.
    :param level: the promised level, ``None`` for machines without levels.
    """
    line = Line(arguments, machine, level)
    step = _STEP[dialect]
    while line.place < len(line.arguments):
        step(line)
    return line.outcome()
