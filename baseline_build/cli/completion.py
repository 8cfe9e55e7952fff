"""``baseline-build completion``: scripts for shells, made from the commands' own parsers."""

from __future__ import annotations

import importlib
from typing import Dict, List, Sequence

from .console import Console
from .options import Arguments as Shared
from .options import Parser, one_of

_SHELLS = ("bash", "zsh", "fish")

_EPILOG = """\
bash:  eval "$(baseline-build completion bash)"      (in ~/.bashrc)
zsh:   eval "$(baseline-build completion zsh)"       (in ~/.zshrc, behind compinit)
fish:  baseline-build completion fish | source       (in config.fish)
"""


class Arguments(Shared):
    """Options of ``completion``."""

    shell: str


def parser() -> Parser:
    """The parser of ``completion``."""
    made = Parser("completion", "Print a completion script for a shell.", epilog=_EPILOG)
    made.add_argument("shell", type=one_of("shell", _SHELLS), metavar="SHELL", help=", ".join(_SHELLS))
    return made


def main(argv: Sequence[str], console: Console) -> int:
    """Run ``completion`` with *argv*."""
    from .program import COMMANDS

    arguments = Arguments()
    parser().read(argv, arguments)
    options: Dict[str, List[str]] = {}
    for name in COMMANDS:
        module = importlib.import_module(f".{name}", __package__)
        options[name] = module.parser().options()
    writer = {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell]
    console.result(writer(options))
    return 0


def _bash(options: Dict[str, List[str]]) -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(known)}" ;;' for name, known in options.items())
    return f"""_baseline_build() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(options)} --help --version" -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}}
complete -o filenames -F _baseline_build baseline-build
"""


def _zsh(options: Dict[str, List[str]]) -> str:
    cases = "\n".join(f"    {name}) words=({' '.join(known)}) ;;" for name, known in options.items())
    return f"""_baseline_build() {{
  local -a words
  if (( CURRENT == 2 )); then
    compadd -- {" ".join(options)} --help --version
    return
  fi
  case "${{${{(z)BUFFER}}[2]}}" in
{cases}
  esac
  if [[ "$PREFIX" == -* ]]; then compadd -- $words; else _files; fi
}}
compdef _baseline_build baseline-build
"""


def _fish(options: Dict[str, List[str]]) -> str:
    from .program import COMMANDS

    lines = [
        "complete -c baseline-build -f -n __fish_use_subcommand -l help",
        "complete -c baseline-build -f -n __fish_use_subcommand -l version",
    ]
    for name, known in options.items():
        lines.append(f"complete -c baseline-build -f -n __fish_use_subcommand -a {name} -d '{COMMANDS[name]}'")
        lines += [f"complete -c baseline-build -n '__fish_seen_subcommand_from {name}' -l {one[2:]}" for one in known]
    return "\n".join(lines) + "\n"
