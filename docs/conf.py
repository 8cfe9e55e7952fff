"""Settings of the documentation: ``sphinx-build -W -n docs docs/_build``."""

from __future__ import annotations

import sys
from pathlib import Path

project = "baseline-build"
author = "the baseline-build developers"
project_copyright = "2026, the baseline-build developers"

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
autodoc_typehints = "none"  # the docstrings say what the types mean; the signatures are checked by mypy
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__new__"}
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "baseline-build"
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_js_files = ["accessible.js"]
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

nitpick_ignore = [("py:func", "gravest"), ("py:data", "FORMATS")]  # named in docstrings, not on the page
