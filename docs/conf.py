"""The documentation site: ``sphinx-build -W docs site``. Tutorials run while it is built; nothing is fetched."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from jupyter_cache.executors import utils as executor

import drf

project, author, release = "drf", "the drf developers", drf.__version__
html_title = f"drf {release}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["figures"]

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"], "navigation_with_keys": False}
html_sidebars = {"index": []}
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 4

# Tutorials run each in a folder of its own, with the programs of this very environment; what fails stops the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # progress bars
executor.executenb = partial(executor.executenb, coalesce_streams=True)  # what a command prints is one block
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ |= {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_AUTO_UPDATE_CHECK": "true", "PYTHONWARNINGS": "ignore"}

autodoc_typehints = "none"  # docstrings say it
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are explained once, in their class
autosummary_generate = True
copybutton_exclude = ".linenos, .gp, .go"
