"""How Sphinx builds the site: `python -m sphinx -W --keep-going docs DIR` (extra `docs`), without network.

Pages are the Markdown files of this folder, notebooks of `notebooks/`, executed in their quick size, and the docstrings
of every public name with the examples of `docs/examples`. What Sphinx lacks is in `docs/site_parts`, a file for each
part.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).resolve().parent
# `site_parts`, and what the tests know of public names
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

project = "sde_sgd"
author = "the sde_sgd developers"
project_copyright = author
version = release = version_of("sde-sgd")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "site_parts.api_pages",
    "site_parts.docstrings",
    "site_parts.mathml",
    "site_parts.notebook_pages",
    "site_parts.offline",
]
exclude_patterns = ["site_parts", "examples", "build"]

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
add_module_names = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 4
html_math_renderer = "mathml"
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_output_stderr = "remove"
# widgets would be fetched from elsewhere
nb_ipywidgets_js = {}

html_theme = "furo"
html_title = f"sde_sgd {version}"
html_show_sourcelink = False
html_copy_source = False
