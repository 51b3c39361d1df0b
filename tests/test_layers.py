"""Which room of the package may import which, and that nothing imports in a circle, by the syntax trees.

Rooms: every import counts, inside functions and under ``TYPE_CHECKING`` too. A room that only names another's
types still cannot be understood, or moved, without it.

Modules of one room, and those of ``bench``: what runs counts, inside functions too, because an import that
waits in a function is how a circle is hidden. What stands under ``TYPE_CHECKING`` does not count: two files
of one room may name each other's types in their signatures, and either can still be read and run first.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import hpo_core

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGE = Path(hpo_core.__file__).parent
BENCH = Path(__file__).parents[1] / "bench"

Module = tuple[str, ...]  # ("hpo_core", "gp", "fit"); a package is its __init__, without that name

# What every room may import.
TOOLS: dict[str, set[str]] = {
    "errors": set(),
    "checks": {"errors"},
    "seeds": set(),
    "machine": set(),
    "arithmetic": set(),
    "printable": set(),
    "hints": {"checks"},
    "parts": {"checks", "errors", "hints"},
}
FRONT_ENDS = {"study", "trial", "space"}
# The table of the design, with storage, executors and acquisition as rooms of their own: they are public.
MAY_IMPORT: dict[str, set[str]] = {
    **TOOLS,
    "layout": set(),
    "native": {"layout"},
    "space": {"layout"},
    "metrics": {"space"},
    "storage": set(),
    "log": {"layout", "space", "storage", "metrics"},
    # What samplers share, the models (the mathematics of gp knows no sampler), and the choice among them.
    "samplers.fronts": {"native"},
    "samplers.ranking": {"log", "samplers.fronts"},
    "samplers.base": {"layout", "space", "log", "samplers.ranking"},
    "samplers.curves": {"log"},
    "samplers.filter": {"space", "log", "native"},
    "samplers.prior": {"space", "log", "native", "samplers.base", "samplers.filter"},
    "samplers.random": {"native", "samplers.prior"},
    "samplers.sobol": {"native", "samplers.prior"},
    "gp": {
        "layout", "space", "log", "metrics", "native", "samplers.ranking", "samplers.filter",
        "samplers.curves",
    },
    "samplers.startup": {"space", "log", "native", "samplers.base", "samplers.sobol", "gp"},
    "gp.sampler": {
        "layout", "space", "log", "native", "samplers.base", "samplers.ranking", "samplers.curves",
        "samplers.startup", "gp",
    },
    "tpe": {
        "layout", "space", "log", "native", "samplers.base", "samplers.ranking", "samplers.filter",
        "samplers.startup",
    },
    "samplers.turns": {"log", "samplers.ranking"},
    "cma": {
        "layout", "space", "log", "native", "samplers.base", "samplers.ranking", "samplers.filter",
        "samplers.turns",
    },
    "samplers.auto": {
        "space", "log", "metrics", "samplers.base", "samplers.startup", "samplers.turns", "gp",
        "gp.sampler", "tpe", "cma",
    },
    "samplers.registry": {
        "samplers.base", "samplers.random", "samplers.sobol", "samplers.auto", "gp.sampler", "tpe",
    },
    "samplers": {
        "samplers.base", "samplers.random", "samplers.sobol", "samplers.auto", "samplers.registry",
        "gp.sampler", "tpe",
    },
    "schedulers": {"log", "metrics", "samplers.ranking", "samplers.fronts"},
    "acquisition": {"native", "gp"},
    "analysis": {"layout", "space", "log", "metrics", "native", "gp", "samplers.ranking"},
    "executors": set(),
    "trial": {"space", "log", "metrics"},
    "run": {"executors", "log", "trial", "metrics"},
    "report": {
        "space", "log", "metrics", "native", "storage", "samplers.base", "samplers.registry", "gp.sampler",
        "schedulers", "trial", "analysis",
    },
    "plots": {"space", "metrics", "samplers", "trial", "analysis"},
    "study": {
        "native", "layout", "space", "metrics", "log", "storage", "samplers", "samplers.base",
        "samplers.ranking",
        "samplers.registry", "schedulers", "executors", "trial", "run", "analysis", "report",
        "plots",
    },
    "pool": {
        "space", "log", "native", "samplers", "samplers.base", "samplers.filter", "samplers.sobol", "tpe",
    },
    "nn": FRONT_ENDS,
    "callbacks": FRONT_ENDS | {"run"},
    "exports": {"study", "storage", "trial"},
    "integrations.pyinstaller": set(),
    "integrations.reporting": {"trial"},
    **{
        f"integrations.{name}": {"trial", "integrations.reporting"}
        for name in ("keras", "lightgbm", "lightning", "xgboost")
    },
    "integrations.transformers": FRONT_ENDS | {"metrics", "integrations.reporting"},
    "integrations.tracking": {"callbacks", "study", "trial"},
    **{
        f"integrations.{name}": {"study", "trial", "integrations.tracking"}
        for name in ("mlflow", "tensorboard", "wandb")
    },
    "integrations.__init__": {
        f"integrations.{name}"
        for name in (
            "keras", "lightgbm", "lightning", "mlflow", "optuna", "ray", "sklearn", "tensorboard",
            "transformers", "wandb", "xgboost",
        )
    },
    "integrations.optuna": FRONT_ENDS | {"metrics", "log", "samplers", "samplers.base", "storage"},
    "integrations.ray": FRONT_ENDS | {"metrics"},
    "integrations.sklearn": {"log", "metrics", "space", "study", "trial"},
    "live": {"report", "storage", "study"},
    "cli": {"study", "storage", "plots", "native", "exports", "integrations.optuna", "live"},
    "__main__": {"cli"},
    "__init__": {
        "acquisition", "analysis", "callbacks", "executors", "integrations", "metrics", "native", "nn",
        "plots", "pool", "samplers", "schedulers", "space", "storage", "study", "trial",
    },
}  # fmt: skip
# The version is the one name of the package itself that a room may take.
PACKAGE_NAMES = {"__version__"}

# Imports and circles that are to go: both shrink to empty, and an entry that is no longer found is an error.
FORBIDDEN_YET: set[tuple[str, str]] = set()
CIRCLES_YET: set[frozenset[str]] = set()


class Import(NamedTuple):
    """One name in an import statement."""

    line: int
    path: tuple[str, ...]  # hpo_core included
    runs: bool  # not under TYPE_CHECKING


def room_of(parts: tuple[str, ...]) -> str:
    """Name of the room that a dotted path below the package lies in: the longest one in the table."""
    return next((room for i in (2, 1) if (room := ".".join(parts[:i])) in MAY_IMPORT), parts[0])


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[Import]:
    """Everything that a module of a package names in an import."""
    guarded = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test) == "TYPE_CHECKING"
        for statement in guard.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            paths = [(*base, alias.name) for alias in node.names]
        else:
            continue
        yield from (Import(node.lineno, path, id(node) not in guarded) for path in paths)


def violations(source: str, parts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and room of the imports of the module ``hpo_core.<parts>`` that the table does not allow."""
    room = room_of(parts)
    allowed = MAY_IMPORT[room] | {room} | (set() if room in TOOLS else TOOLS.keys())
    for each in imports(ast.parse(source), ("hpo_core", *parts[:-1])):
        below = each.path[1:]
        target = room_of(below) if below else "__init__"
        if (
            each.path[0] == "hpo_core"
            and target not in allowed
            and below not in {(n,) for n in PACKAGE_NAMES}
        ):
            yield each.line, target


def graph_of(sources: Mapping[Module, str], packages: Iterable[Module] = ()) -> dict[Module, set[Module]]:
    """Modules that each module imports when it or one of its functions runs.

    To import a module is to import the packages it lies in, except those that the importer lies in too.
    """
    edges: dict[Module, set[Module]] = {}
    for module, source in sources.items():
        edges[module] = set()
        package = module if module in packages else module[:-1]
        for each in imports(ast.parse(source), package):
            if not each.runs:
                continue
            chain = [each.path[:i] for i in range(2, len(each.path) + 1)]
            edges[module] |= {p for p in chain if p in sources and p != module[: len(p)]}
    return edges


def circles(edges: Mapping[Module, set[Module]]) -> set[frozenset[str]]:
    """Sets of modules that all reach each other."""
    reached: dict[Module, set[Module]] = {}
    for start in edges:
        seen, ahead = set(), [start]
        while ahead:
            fresh = edges[ahead.pop()] - seen
            seen |= fresh
            ahead.extend(fresh)
        reached[start] = seen
    rings = {frozenset(m for m in seen if start in reached[m]) for start, seen in reached.items()}
    return {frozenset(".".join(module) for module in ring) for ring in rings if len(ring) > 1}


def read(root: Path) -> tuple[dict[Module, str], set[Module]]:
    """Source of each module of a package, and which are packages."""
    sources, packages = {}, set()
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts = parts[:-1]
            packages.add(parts)
        sources[parts] = path.read_text()
    return sources, packages


MODULES = sorted(path for suffix in ("py", "pyi") for path in PACKAGE.rglob(f"*.{suffix}"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    assert room_of(parts) in MAY_IMPORT, f"{parts[0]} is no room of the house: add it to the table"
    module = ".".join(parts)
    found = {room: line for line, room in violations(path.read_text(), parts)}
    assert set(found) == {room for name, room in FORBIDDEN_YET if name == module}, found


def test_the_table_has_no_circle():
    assert (
        circles(
            {
                (room,): {(each,) for each in allowed if each in MAY_IMPORT}
                for room, allowed in MAY_IMPORT.items()
            }
        )
        == set()
    )


@pytest.mark.parametrize(("root", "yet"), [(PACKAGE, CIRCLES_YET), (BENCH, set())], ids=["hpo_core", "bench"])
def test_modules_do_not_import_in_a_circle(root, yet):
    assert circles(graph_of(*read(root))) == yet


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"a": "import p.b", "b": "from p.a import f"}, {"p.a p.b"}),
        ({"a": "from . import b", "b": "def f():\n    from p import a"}, {"p.a p.b"}),
        ({"a": "from p.b import g", "b": "if TYPE_CHECKING:\n    from p.a import f"}, set()),
        ({"a": "import p.q.b", "q": "import p.a", "q.b": ""}, {"p.a p.q"}),  # a package on the way
        ({"q": "import p.q.a", "q.a": "import p.q.b", "q.b": ""}, set()),
        ({"a": "import p.b", "b": "import p.c", "c": "import p.a", "d": "import p.a"}, {"p.a p.b p.c"}),
    ],
)
def test_a_circle_is_seen_in_every_spelling(sources, found):
    modules = {("p", *name.split(".")): source for name, source in sources.items()}
    rings = circles(graph_of(modules, {module[:-1] for module in modules}))
    assert {" ".join(sorted(ring)) for ring in rings} == found


@pytest.mark.parametrize(
    ("parts", "source"),
    [
        (("log",), "from hpo_core.study import Study"),
        (("log",), "def f():\n    import hpo_core.study"),
        (("log",), "if TYPE_CHECKING:\n    from hpo_core import study"),
        (("log",), "from . import study"),
        (("checks",), "from hpo_core.hints import did_you_mean"),
        (("tpe", "sampler"), "from hpo_core.gp.posterior import Posterior"),
        (("gp", "model"), "from hpo_core.samplers.base import Sampler"),
        (("native", "tpe"), "from ..space import Space"),
        (("integrations", "ray"), "from ..storage import Storage"),
        (("trial",), "import hpo_core"),
        (("trial",), "from hpo_core import Space"),
    ],
)
def test_a_forbidden_import_is_seen_in_every_spelling(parts, source):
    assert len(list(violations(source, parts))) == 1


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
    assert list(violations(source, parts)) == []
