"""``python -m baseline_build``: the same as the command ``baseline-build``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
