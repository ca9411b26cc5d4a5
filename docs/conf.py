"""The documentation site: `make docs` builds it, warnings are errors.

The source folder of Sphinx is the repository's root, so that links between pages, notebooks and the
changelog are the same here and on a code host. docs/site holds what pages get on their way.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "pyfairme"
author = "the pyfairme developers"
copyright = "the pyfairme developers, Apache License 2.0"
version = release = version_of("pyfairme")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_design",
    "api_pages",
    "long_tables",
    "section_pages",
]
root_doc = "docs/README"
include_patterns = ["CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "notebooks/*.ipynb"]
exclude_patterns = ["docs/_build", "docs/site", "**.ipynb_checkpoints"]

# Pages are plain Markdown; headings have GitHub's anchors (docs/faq.md: one for each message).
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "off"  # notebooks show the outputs that are stored; the tests execute them

# A name in single backticks is a link where it is public, else code.
default_role = "py:obj"
autodoc_typehints = "none"  # the parameters' section has words, the signature would be repeated
autodoc_preserve_defaults = True
autosummary_generate = False  # docs/site/api_pages.py writes a page for each public name
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88  # of more, each parameter has its own line

html_theme = "pydata_sphinx_theme"
html_title = f"pyfairme {version}"
html_static_path = ["site/static"]
html_css_files = ["pyfairme.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"docs/README": []}
html_theme_options = {
    "logo": {"text": "pyfairme"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "collapse_navigation": True,  # each page has its own branch of the contents, not all
    "show_toc_level": 2,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
