"""How Sphinx builds the site from the pages in this folder: `make docs`. Nothing here needs the network."""

import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from numpydoc.xref import DEFAULT_LINKS
from sphinx.util.inspect import stringify_signature

import hpo_core

project = "hpo_core"
author = "hpo_core developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = hpo_core.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "linked_files",
    "mathml",
]
exclude_patterns = ["_ext"]
root_doc = "index"

# Pages: Markdown, whose headings are targets of links by the same rule as on a forge.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
smartquotes = False  # quotes in prose are often those of code
suppress_warnings = ["myst.header"]  # a page that is included begins at its own level

# Docstrings. Libraries that are not needed to describe what builds on them are not installed.
autodoc_mock_imports = [
    "joblib", "keras", "lightgbm", "lightning", "matplotlib", "mlflow", "pytorch_lightning", "ray",
    "sklearn", "tensorboard", "torch", "torch_pruning", "transformers", "wandb", "xgboost",
]  # fmt: skip
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # docstrings say types in words
add_module_names = False
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
# Types of parameters lead to the public names and nowhere else: no inventory of another project is loaded.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {name: f"hpo_core.{name}" for name in hpo_core.__all__} | {
    "Counts": "hpo_core.nn.Counts",
    "Expression": "hpo_core.space.Expression",
    "Sampler": "hpo_core.samplers.Sampler",
    "Scheduler": "hpo_core.schedulers.Scheduler",
    "Storage": "hpo_core.storage.Storage",
    "Trained": "hpo_core.nn.Trained",
    "Training": "hpo_core.nn.Training",
}
DEFAULT_LINKS.clear()

# The look.
html_theme = "furo"
html_title = f"hpo_core {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# `make docs-links`
linkcheck_anchors = False


def _signature_of_class(_app, what, _name, described, _options, signature, returns):
    """Give a class that derives from one that is not installed the signature of its own constructor."""
    if getattr(described, "_is_protocol", False):
        return "", ""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    own = inspect.signature(described.__init__)
    own = own.replace(parameters=[*own.parameters.values()][1:])
    return stringify_signature(own, show_annotation=False), returns


def _without_field(_app, _what, _name, described, _skip, _options):
    """Leave out fields of named tuples that have no words of their own; signatures list them."""
    return True if (getattr(described, "__doc__", "") or "").startswith("Alias for field") else None


def setup(app):
    """Connect what the settings do not reach."""
    app.connect("autodoc-process-signature", _signature_of_class)
    app.connect("autodoc-skip-member", _without_field)
