"""What the sampler contracts run on: samplers, a space for every feature, and what must hold of a study."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings
from oracles.space import OracleSpace

import hpo_core as hpo
from hpo_core import Categorical, Float, Int, Ordinal, Space, param
from hpo_core.log.events import ADDED, ENQUEUED, REPEATED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOAK = settings().max_examples > 1000
SAMPLERS = ("random", "sobol", "tpe", "gp", "auto")
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)
CHOICES = ["sgd", "adam", 3, 2.5, False, None, ("a", 1)]


@dataclass(frozen=True)
class Case:
    tree: dict[str, Any]
    forbid: Sequence[Any] = ()
    feasible: Callable[[Any], Any] | None = None

    def space(self):
        return Space(self.tree, forbid=self.forbid, feasible=self.feasible)

    def oracle(self):
        return OracleSpace(Space(self.tree, forbid=self.forbid).to_json())

    def study(self, sampler, *, seed=0, **options):
        return hpo.Study(self.space(), sampler=sampler, seed=seed, **options)


def is_small(columns):
    return columns["width"] ** 2 * columns["depth"] <= 50_000


NESTED = {
    "a": Categorical(
        {
            "p": {
                "shared": Float(0, 1),
                "b": Categorical({"u": {"deep": Int(1, 9), "rate": Float(1e-4, 1, log=True)}, "v": {}}),
            },
            "q": {"shared": Float(0, 1), "c": Ordinal(["low", "mid", "high"]), "fixed": 3},
            "r": {},
        }
    ),
    "x": Float(-1, 1),
}
EXPRESSIONS = {
    "depth": Int(1, 6),
    "kind": Categorical(["dense", "sparse", "none"]),
    "width": Int(8, 256, log=True, when=param("depth") >= 3),
    "drop": Float(0, 0.9, when=(param("width") > 2 * param("depth") + 20) | (param("kind") == "dense")),
    "rank": Ordinal(["s", "m", "l"], when=~param("kind").isin(["none", "dense"])),
    "gain": Float(0, 4, step=0.25, when=param("rank") >= "m"),
}
WIDE = {
    name: declaration
    for i in range(12)
    for name, declaration in {
        f"f{i}": Float(-i - 1, 1),
        f"l{i}": Float(1e-5, 1.0 + i, log=True),
        f"k{i}": Int(1, 3 + i),
        f"c{i}": Categorical(CHOICES[: 2 + i % 6]),
        f"w{i}": Float(0, 1, when=param(f"k{i}") >= 2),
    }.items()
}
# Sizes of the finite ones are beyond the ten trials of a start-up.
CASES = {
    "float": Case({"x": Float(-3, 2)}),
    "log": Case({"x": Float(1e-9, 1e3, log=True), "y": Float(1.0, 1.0 + 1e-9)}),
    "step": Case({"x": Float(-1, 1, step=0.05)}),
    "int": Case({"k": Int(-20, 40), "m": Int(0, 90, step=30)}),
    "log int": Case({"k": Int(1, 1000, log=True)}),
    "numbers": Case({"o": Ordinal([k * k / 4 for k in range(40)])}),
    "labels": Case({"o": Ordinal([f"size {k}" for k in range(35)])}),
    "categorical": Case({"c": Categorical(CHOICES), "d": Categorical([*"abcdefghi"])}),
    "stepped": Case(
        {
            "a": Int(-(2**47), 2**47),
            "b": Int(1, 2**40, log=True),
            "c": Float(0, 1e6, step=1e-3),
            "d": Int(0, 5000),
        }
    ),
    "single levels": Case(
        {"only": Ordinal([7]), "lone": Categorical([("a", 1)]), "x": Float(0, 1), "epochs": 10}
    ),
    "nested": Case(NESTED),
    "expressions": Case(EXPRESSIONS),
    "forbidden": Case(
        NESTED | {"k": Int(1, 20)},
        forbid=[
            (param("a") == "p") & (param("k") > 4),
            param("shared") + param("x") > 0.8,
            param("c") == "mid",
        ],
    ),
    "feasible": Case(
        {"width": Int(8, 512, log=True), "depth": Int(1, 12), "x": Float(0, 1)},
        forbid=[param("depth") == 3],
        feasible=is_small,
    ),
    "finite tree": Case(
        {
            "a": Categorical(
                {"p": {"b": Int(1, 6)}, "q": {"c": Int(1, 9, log=True), "d": Categorical([*"xyz"])}}
            ),
            "e": Int(0, 4, when=param("b") >= 3),
        },
        forbid=[(param("b") == 5) & (param("e") == 0), param("c") == 9],
    ),
    "wide": Case(WIDE),
    "more than floats count": Case({f"k{i}": Int(0, 10**6) for i in range(60)}),
}


def many(sampler, n):
    """How many stand for ``n``, which is many: a tenth where each costs a millisecond."""
    return n // 10 if sampler == "gp" else n


def value_of(trial):
    """A value that depends on every active coordinate."""
    x = trial._study.history.x[:, trial.number]
    return float(np.nansum(np.sin(3 * x + np.arange(len(x)))))


def values_of(batch):
    return [value_of(trial) for trial in batch]


def columns_of(batch):
    """Coordinates of each trial, comparable and hashable."""
    return [column.tobytes() for column in batch._study.history.x[:, batch.number].T.copy()]


def check_configurations(case, study, trials):
    """Each is in the space, as itself and by an independent reading of the space."""
    oracle, space = case.oracle(), study.space
    columns = {name: column.tolist() for name, column in trials.params.items()}
    for k, trial in enumerate(trials):
        params = trial.params
        assert space.contains(params), params
        values = {name: column[k] for name, column in columns.items()} | params
        assert set(params) == oracle.active(values)
        assert not oracle.forbidden(values)
        for name, value in params.items():
            assert has_natural_type(space.parameters.get(name), value), (name, value)
    assert case.feasible is None or case.feasible(trials.params).all()


def has_natural_type(declaration, value):
    match declaration:
        case Float(low=low, high=high):
            return type(value) is float and low <= value <= high
        case Int(low=low, high=high):
            return type(value) is int and low <= value <= high
        case Ordinal(values=listed) | Categorical(choices=listed):
            return any(value == each and type(value) is type(each) for each in listed)
    return True


def check_distinct(study):
    """In a finite space the sampler proposed nothing that an earlier trial had."""
    if study.space.size == math.inf:
        return
    seen = set()
    for column, tier in zip(columns_of(study.trials), study.history.origin, strict=True):
        assert column not in seen or study.history.origins[tier] in (ENQUEUED, ADDED, REPEATED)
        seen.add(column)


def check_continuation(study, n=5):
    """A sampler started anew on the history, as unpickling does, goes on as this one."""
    copy = pickle.loads(pickle.dumps(study))
    for size in (None, n, None):
        try:
            ours = study.ask(size)
        except hpo.SpaceExhausted:
            with pytest.raises(hpo.SpaceExhausted):
                copy.ask(size)
            return
        theirs = copy.ask(size)
        np.testing.assert_array_equal(copy.history.x, study.history.x)
        assert theirs.params.keys() == ours.params.keys()


def check_history(study):
    """Nothing came twice, and all of it comes again."""
    check_distinct(study)
    check_continuation(study)
    replay = study.replay()
    assert replay, str(replay)
    derived = [study.history.origins[tier] not in (ADDED, REPEATED) for tier in study.history.origin]
    assert replay.checked == sum(derived)
