"""Every argument of the public API has a value that is refused: a typed error names it, nothing is lost.

The walk over the signatures fails for an argument that ``rejections.CASES`` leaves out.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cases import Named, Scene
from rejections import CASES
from studies import fingerprint

import hpo_core as hpo
from hpo_core import acquisition, analysis, callbacks, executors, native, plots
from hpo_core.space import Expression
from hpo_core.space.codec import SpaceCodec

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULERS = ("ASHA", "FreezeThaw", "Hyperband", "Median", "Patience", "Percentile", "Threshold")
SAMPLERS = ("AutoSampler", "GPSampler", "RandomSampler", "SobolSampler", "TPESampler")
# Public by name only.
EXEMPT = {
    "Trial": "made by ask",
    "TrialBatch": "made by ask",
    "Space.contains": "False for whatever is not a configuration",
    "Space.codec": "made by Space",
    "Space.codec.encode": "called by Space.encode and Study",
    "Space.codec.encode_params": "called by Space.contains and Study",
    "Space.codec.restore": "called by Study",
    "Space.codec.meets": "called by Study",
    "Space.codec.elsewhere": "called by samplers",
    "Space.codec.outside": "called by readers of logs",
    "Float.checked": "called by Space",
    "Int.checked": "called by Space",
    "Ordinal.checked": "called by Space",
    "Categorical.checked": "called by Space",
    "GPSampler.judged": "called by reports",
    "TPESampler.marginals": "called by plots",
    "executors.Dask": "needs a Dask client: see tests/executors",
    "acquisition.thompson_draws": "takes a Posterior, which is not public: see tests/acquisition",
    **{
        f"{name}.{method}": "called by Study"
        for name in SAMPLERS
        for method in ("start", "ask", "ask_again", "estimates", "recommend")
    },
    **{
        f"{name}.{method}": "called by Study"
        for name in SCHEDULERS
        for method in ("start", "decide", "resume", "rungs")
    },
}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Undo what accepted arguments set for the whole process."""
    threads = native.get_num_threads()
    yield
    hpo.set_num_threads(threads)
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def methods(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    """The constructor and the public methods of a class, inherited ones included."""
    yield name, kind
    for attribute in dir(kind):
        if attribute == "__getitem__" or not attribute.startswith("_"):
            member = getattr(kind, attribute)
            if inspect.isfunction(member) or inspect.ismethod(member):
                yield f"{name}.{attribute}", member


def public_callables() -> dict[str, Any]:
    """Everything in the public names that takes arguments."""
    found: dict[str, Any] = {}
    for name in hpo.__all__:
        item = getattr(hpo, name)
        if not isinstance(item, type):
            found[name] = item
        elif not issubclass(item, Exception):
            found.update(methods(name, item))
    found.update(methods("Space.codec", SpaceCodec))
    found["Expression.isin"] = Expression.isin
    found["native.simd_level"] = native.simd_level
    found |= {f"acquisition.{name}": getattr(acquisition, name) for name in acquisition.__all__}
    found["analysis.importance"] = analysis.importance
    for kind in (executors.Processes, executors.Pool, executors.Dask, executors.Ray):
        found[f"executors.{kind.__name__}"] = kind
    for kind in (callbacks.NoImprovement, callbacks.Target):
        found[f"callbacks.{kind.__name__}"] = kind
    return found | {f"plots.{name}": getattr(plots, name) for name in plots.__all__}


def arguments_of(item: Any) -> set[str]:
    names = set(inspect.signature(item).parameters) - {"self"}
    return names - {"ax", "axes"}  # Matplotlib's own objects


SIGNATURES = {name: arguments_of(item) for name, item in public_callables().items() if name not in EXEMPT}
REJECTIONS = [
    pytest.param(name, argument, value, id=f"{name}-{argument}-{k}")
    for name, case in CASES.items()
    for argument, values in case.rejected.items()
    for k, value in enumerate(values)
]


def test_every_public_argument_has_a_rejected_value():
    wanted = {name: arguments for name, arguments in SIGNATURES.items() if arguments}
    assert {name: set(case.rejected) for name, case in CASES.items()} == wanted
    assert all(values for case in CASES.values() for values in case.rejected.values())


def test_what_is_exempt_exists():
    assert set(EXEMPT) <= set(public_callables())


@pytest.mark.parametrize("name", CASES)
def test_the_other_arguments_are_accepted(name):
    scene = Scene()
    CASES[name].call(scene, **CASES[name].valid(scene))


@pytest.mark.parametrize(("name", "argument", "value"), REJECTIONS)
def test_a_rejected_value_is_named_and_changes_nothing(name, argument, value):
    scene = Scene()
    words = rf"\b{argument}\b"
    if isinstance(value, Named):
        value, words = value.value, re.escape(value.words)
    arguments = CASES[name].valid(scene) | {argument: value}
    before = fingerprint(scene.study)
    with pytest.raises(hpo.ArgumentError, match=words):
        CASES[name].call(scene, **arguments)
    assert fingerprint(scene.study) == before


def test_a_foreign_trial_changes_nothing():
    scene = Scene()
    before = fingerprint(scene.study)
    stranger = Scene().trial
    for call in (
        lambda: scene.study.tell(stranger, 1.0),
        lambda: scene.study.fail(stranger),
        lambda: scene.study.ask(repeat=stranger),
    ):
        with pytest.raises(hpo.TrialError, match="another study"):
            call()
    assert fingerprint(scene.study) == before
