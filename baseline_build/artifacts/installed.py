"""What is installed, asked by name also where the backend lies in the project itself.

The front end's own process finds an in-tree backend (PEP 517, "In-tree build backends") with a finder that comes before
all others, and that also answers for installed metadata. In pip 25.0 to 26.0 it answers for every name with all that
lies in ``backend-path``: once setuptools has left its ``.egg-info`` there, or an sdist brought one, setuptools itself
seems to be of the project's version. CFFI then takes it for too old to make extension modules for the stable ABI.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from typing import Any, Iterable, List, Optional


def ask_by_name() -> None:
    """Let the front end's finder answer for the name that was asked for, and for nothing else."""
    finders: List[Any] = list(sys.meta_path)
    for finder in finders:
        path = getattr(finder, "backend_path", None)
        if isinstance(path, list) and hasattr(finder, "find_distributions"):
            finder.find_distributions = _Named(path)


class _Named:
    """Finds distributions in the folders of *path*."""

    def __init__(self, path: List[str]) -> None:
        self.path = path

    def __call__(self, context: Optional[DistributionFinder.Context] = None) -> Iterable[Distribution]:
        name = context.name if context is not None else None
        return MetadataPathFinder.find_distributions(DistributionFinder.Context(name=name, path=self.path))
