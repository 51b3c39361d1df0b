"""Which room of the package may import which, read from the syntax trees of the installed modules.

Imports inside functions and under ``TYPE_CHECKING`` count: a dependency is one wherever it is written.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hpo_core

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(hpo_core.__file__).parent

FRONT_ENDS = {"study", "trial", "space"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "checks": set(),
    "arithmetic": set(),
    "hints": {"checks"},
    "printable": set(),
    "seeds": set(),
    "layout": set(),
    "native": {"layout"},
    "space": {"layout"},
    "storage": set(),
    "log": {"layout", "space", "storage", "trial"},
    # What samplers share, the models (the mathematics of gp knows no sampler), and the choice among them.
    "samplers.ranking": {"log"},
    "samplers.base": {"space", "log", "samplers.ranking"},
    "samplers.filter": {"space", "log", "native"},
    "samplers.prior": {"space", "log", "native", "samplers.base", "samplers.filter"},
    "samplers.random": {"native", "samplers.prior"},
    "samplers.sobol": {"native", "samplers.prior"},
    "gp": {"layout", "space", "log", "native", "samplers.ranking", "samplers.filter"},
    "samplers.startup": {"space", "log", "native", "samplers.base", "samplers.sobol", "gp"},
    "gp.sampler": {
        "layout", "space", "log", "native", "samplers.base", "samplers.ranking", "samplers.startup", "gp",
    },
    "tpe": {
        "layout", "space", "log", "native", "samplers.base", "samplers.ranking", "samplers.filter",
        "samplers.startup",
    },
    "samplers.auto": {"space", "log", "samplers.base", "samplers.startup", "gp", "gp.sampler", "tpe"},
    "samplers.registry": {
        "samplers.base", "samplers.random", "samplers.sobol", "samplers.auto", "gp.sampler", "tpe",
    },
    "samplers": {
        "samplers.base", "samplers.random", "samplers.sobol", "samplers.auto", "samplers.registry",
        "gp.sampler", "tpe",
    },
    "acquisition": {"native", "gp"},
    "executors": set(),
    "trial": {"space", "log"},
    "run": {"executors", "trial"},
    "replay": {"space", "log", "samplers.base"},
    "study": {
        "space", "log", "storage", "samplers", "samplers.base", "samplers.ranking", "executors", "trial",
        "run", "replay",
    },
    "nn": FRONT_ENDS,
    "plots": FRONT_ENDS | {"samplers", "samplers.ranking", "tpe"},
    "callbacks": FRONT_ENDS,
    "exports": {"study", "storage", "trial"},
    "integrations.__init__": {"integrations.ray"},
    "integrations.ray": FRONT_ENDS,
    "cli": {"study", "storage", "plots", "native", "exports"},
    "__init__": {
        "acquisition", "executors", "integrations", "native", "nn", "plots", "samplers", "space",
        "storage", "study", "trial",
    },
}  # fmt: skip
# The version is the one name of the package itself that a room may take.
PACKAGE_NAMES = {"__version__"}


def room_of(parts: tuple[str, ...]) -> str:
    """Name of the room that a dotted path below the package lies in: the longest one in the table."""
    return next((room for i in (2, 1) if (room := ".".join(parts[:i])) in MAY_IMPORT), parts[0])


def imported_paths(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and dotted path of everything below hpo_core that a module names in an import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            dotted = [(*base, alias.name) for alias in node.names]
        else:
            continue
        yield from ((node.lineno, path[1:]) for path in dotted if path[0] == "hpo_core")


def violations(source: str, parts: tuple[str, ...]) -> list[str]:
    """Imports of the module ``hpo_core.<parts>`` that the table does not allow."""
    room = room_of(parts)
    allowed = MAY_IMPORT[room] | {room, "errors", "checks", "seeds", "arithmetic", "hints", "printable"}
    found = []
    for line, path in imported_paths(ast.parse(source), ("hpo_core", *parts[:-1])):
        target = room_of(path) if path else "__init__"
        if target not in allowed and path not in {(name,) for name in PACKAGE_NAMES}:
            found.append(f"{'.'.join(parts)}:{line} imports {target}")
    return found


MODULES = sorted(path for suffix in ("py", "pyi") for path in PACKAGE.rglob(f"*.{suffix}"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    assert room_of(parts) in MAY_IMPORT, f"{parts[0]} is no room of the house: add it to the table"
    assert violations(path.read_text(), parts) == []


@pytest.mark.parametrize(
    ("parts", "source"),
    [
        (("log",), "from hpo_core.study import Study"),
        (("log",), "def f():\n    import hpo_core.study"),
        (("log",), "if TYPE_CHECKING:\n    from hpo_core import study"),
        (("log",), "from . import study"),
        (("tpe", "sampler"), "from hpo_core.gp.posterior import Posterior"),
        (("gp", "model"), "from hpo_core.samplers.base import Sampler"),
        (("native", "tpe"), "from ..space import Space"),
        (("integrations", "ray"), "from ..storage import Storage"),
        (("trial",), "import hpo_core"),
        (("trial",), "from hpo_core import Space"),
    ],
)
def test_a_forbidden_import_is_seen_in_every_spelling(parts, source):
    assert len(violations(source, parts)) == 1


@pytest.mark.parametrize(
    ("parts", "source"),
    [
        (("tpe", "sampler"), "from ..samplers.base import Sampler\nfrom hpo_core.native import parzen"),
        (("integrations", "ray"), "from ..study import Study"),
        (("study",), "from hpo_core import __version__\nfrom hpo_core.errors import StudyError"),
        (("layout",), "import numpy as np"),
    ],
)
def test_an_allowed_import_passes(parts, source):
    assert violations(source, parts) == []
