"""Settings of the documentation: ``sphinx-build -W -n docs docs/_build``."""

from __future__ import annotations

project = "baseline-build"
author = "the baseline-build developers"
project_copyright = "2026, the baseline-build developers"

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "baseline-build"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
