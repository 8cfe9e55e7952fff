"""Which extension modules a package imports in any case: what the top level of its Python files names, unconditionally.

A wheel may bring the same module for several CPUs and let Python code choose; then a module above the promised level
is no violation by itself. A module that ``import package`` always imports is not chosen by anyone. Statements under a
condition, in functions and behind anything in a ``try`` that may fail for other reasons count as a choice (The Python
Language Reference, chapters 5 "The import system" and 7.11).
"""

from __future__ import annotations

import ast
import re
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Sequence, Set

_MAX_FILES = 400
_EXTENSION = re.compile(r"^(?P<module>[^.]+)(\.[^/]*)?\.so$")


def always_imported(
    names: Iterable[str], read: Callable[[str], bytes], project: str, *, alone: bool = False
) -> FrozenSet[str]:
    """Names of the extension modules that importing one of the packages among *names* runs whatever the CPU is.

    :param names: paths of all files, ``/`` between the parts, the packages' folders at the top.
    :param read: gives the content of one of the Python files.
    :param project: name of the project; a module at the top that is called the same is what users import.
    :param alone: leave out what stands in a ``try`` or a ``with``: where such an import fails, something else may do.
    """
    return _Imports(names, read, project, alone=alone).natives()


class _Imports:
    def __init__(self, names: Iterable[str], read: Callable[[str], bytes], project: str, *, alone: bool) -> None:
        self._read = read
        self._alone = alone
        self._natives: Dict[str, List[str]] = {}
        self._sources: Dict[str, str] = {}
        for name in names:
            folder, _, base = name.rpartition("/")
            prefix = f"{folder}/" if folder else ""
            extension = _EXTENSION.match(base)
            if extension:
                self._natives.setdefault(prefix + extension["module"], []).append(name)
            elif base == "__init__.py" and folder:
                self._sources[folder] = name
            elif base.endswith(".py"):
                self._sources.setdefault(prefix + base[: -len(".py")], name)
        self._packages = {module for module, name in self._sources.items() if name.endswith("/__init__.py")}
        top = re.sub(r"[-_.]+", "_", project).lower()
        self._waiting = sorted(module for module in self._packages if "/" not in module)
        self._waiting += [module for module in self._natives if module.lower() == top]

    def natives(self) -> FrozenSet[str]:
        found: Set[str] = set()
        seen: Set[str] = set()
        files = 0
        while self._waiting and files < _MAX_FILES:
            module = self._waiting.pop(0)
            if module in seen:
                continue
            seen.add(module)
            # Importlib looks for extension modules before it looks for source files; a package goes before both.
            if module in self._natives and module not in self._packages:
                found.update(self._natives[module])
            elif module in self._sources:
                files += 1
                self._waiting.extend(self._run(module))
        return frozenset(found)

    def _run(self, module: str) -> Iterator[str]:
        """The modules of this wheel that running *module* imports."""
        try:
            tree = ast.parse(self._read(self._sources[module]))
        except (SyntaxError, ValueError, RecursionError):
            # Written for another Python than this one: what it imports is not known, so nothing is claimed.
            return
        yield from self._statements(tree.body, module, strict=False)

    def _statements(self, body: Sequence[ast.stmt], module: str, *, strict: bool) -> Iterator[str]:
        """What *body* imports; *strict*: only as far as nothing stands before it that could fail."""
        for statement in body:
            imported = list(self._named(statement, module))
            yield from imported
            if isinstance(statement, ast.Try) and not self._alone:
                yield from self._statements(statement.body, module, strict=True)
            elif isinstance(statement, ast.With) and not self._alone:
                yield from self._statements(statement.body, module, strict=strict)
            if isinstance(statement, ast.Raise) or (strict and not imported):
                return

    def _named(self, statement: ast.stmt, module: str) -> Iterator[str]:
        """The modules of this wheel that an import statement runs, the packages around them first."""
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield from self._chain(alias.name.replace(".", "/"))
        elif isinstance(statement, ast.ImportFrom):
            base = (statement.module or "").replace(".", "/")
            if statement.level:
                parts = module.split("/")
                depth = statement.level - (module in self._packages)
                package = "/".join(parts[: len(parts) - depth])
                base = "/".join(part for part in (package, base) if part)
            yield from self._chain(base)
            for alias in statement.names:
                inner = f"{base}/{alias.name}"
                if inner in self._natives or inner in self._sources:
                    yield inner

    def _chain(self, module: str) -> Iterator[str]:
        parts = module.split("/")
        for end in range(1, len(parts) + 1):
            outer = "/".join(parts[:end])
            if outer in self._natives or outer in self._sources:
                yield outer
