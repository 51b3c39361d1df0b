"""TPE models of random histories, and ``oracles.tpe`` of the same."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np
from native.layouts import build, categorical, continuous, irregular, regular
from oracles import tpe as oracle

from hpo_core.log import State
from hpo_core.native.domain import Domain, random_draws
from hpo_core.native.tpe import new_model, new_pool
from hpo_core.tpe.model import ParzenSettings, mixture_columns

SPECS = {
    "continuous": (continuous(), ("continuous",)),
    "regular": (regular(5), ("discrete", [0.1, 0.3, 0.5, 0.7, 0.9], [0.2] * 5)),
    "irregular": (irregular(0.5, 0.2, 0.3), ("discrete", [0.25, 0.6, 0.85], [0.5, 0.2, 0.3])),
    "categorical": (categorical(3), ("categorical", 3)),
}


@dataclass(frozen=True)
class Case:
    """``groups``: own parameters and context of each; ``conditions`` of all but the first."""

    kinds: tuple[str, ...]
    groups: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    conditions: tuple[object, ...] = ()

    @property
    def columns(self):
        return [SPECS[kind][1] for kind in self.kinds]

    def layout(self):
        owner = [
            next(g for g, (own, _) in enumerate(self.groups) if i in own) for i in range(len(self.kinds))
        ]
        layout = build(
            *(SPECS[kind][0] for kind in self.kinds), groups=tuple(owner), conditions=self.conditions
        )
        context = np.zeros_like(layout.context)
        for g, (_, seen) in enumerate(self.groups):
            context[g, [owner[i] for i in seen]] = True
        return replace(layout, context=context)


LINE = Case(("continuous",), (((0,), ()),))
FLAT = Case(("continuous", "categorical", "regular", "irregular"), (((0, 1, 2, 3), ()),))
LABELS = Case(("categorical", "categorical"), (((0, 1), ()),))
# Group 2 inside group 1; group 3 beside them.
NESTED = Case(
    ("continuous", "categorical", "regular", "categorical", "continuous", "irregular", "continuous"),
    (((0, 1), ()), ((2, 3), (0, 1)), ((4, 5), (0, 1, 2, 3)), ((6,), (0, 1))),
    (("ge", ("value", 1), 1.0), ("eq", ("value", 3), 0.0), ("lt", ("value", 0), 0.4)),
)
CASES = {"line": LINE, "flat": FLAT, "labels": LABELS, "nested": NESTED}
PLAIN = ParzenSettings(max_above=2048, newest=512)  # nothing is left out
SMALL = ParzenSettings(max_below=6, max_above=64, newest=16)  # g is subsampled from the 71st trial on


@dataclass
class History:
    """Columns as the study keeps them; ``finished`` in order, ``running`` ascending."""

    x: np.ndarray
    y: np.ndarray
    fidelity: np.ndarray
    state: np.ndarray
    finished: np.ndarray
    running: np.ndarray

    def trials(self, rows):
        names = {state: state.name.lower() for state in State}
        return [
            oracle.Trial(tuple(self.x[:, t]), names[State(self.state[t])], self.fidelity[t], self.y[t])
            for t in rows
        ]


def random_history(case, n, seed, *, finish=0.9, tied=True):
    """Trials from the prior, some twice; with ``tied`` many equal values."""
    rng = np.random.default_rng(seed)
    x = random_draws(Domain(case.layout()), seed, 0, 0, n)
    if tied and n:
        x = x[:, np.where(rng.random(n) < 0.15, rng.integers(n, size=n), np.arange(n))]
    weights = np.array([1 - finish, 0.8 * finish, 0.1 * finish, 0.1 * finish])
    state = rng.choice(
        np.array([State.RUNNING, State.COMPLETE, State.STOPPED, State.FAILED], np.uint8), n, p=weights
    )
    fidelity = np.where(state == State.COMPLETE, np.inf, rng.integers(1, 4, n).astype(float))
    fidelity[(state == State.FAILED) | (state == State.RUNNING)] = -np.inf
    y = rng.integers(-3, 6, n).astype(float) if tied else rng.normal(size=n)
    y[(state == State.FAILED) | (state == State.RUNNING)] = np.nan
    finished = rng.permutation(np.flatnonzero(state != State.RUNNING))
    return History(
        np.ascontiguousarray(x), y, fidelity, state, finished, np.flatnonzero(state == State.RUNNING)
    )


def empty_model(case, options, seed=5, max_joined=64, max_failed=256):
    layout = case.layout()
    columns = [mixture_columns(layout, g) for g in range(layout.n_groups)]
    return new_model(
        Domain(layout), columns, astuple(options), seed, max_joined=max_joined, max_failed=max_failed
    )


def observe(model, history, rows):
    works = history.state != State.FAILED
    keys = np.stack([np.where(works, 0.0, np.nan), -history.fidelity, history.y])
    model.observe(history.x, keys, np.where(np.isposinf(history.fidelity), -history.y, np.nan), rows)


def model_of(case, history, options=PLAIN, **kwargs):
    model = empty_model(case, options, **kwargs)
    observe(model, history, history.finished)
    model.refresh(history.x, history.running)
    return model


def candidates_of(case, m, seed):
    return random_draws(Domain(case.layout()), seed, 1, 0, m)


def pool_of(model, x):
    pool = new_pool(model, x.shape[1])
    pool.x[:, : x.shape[1]] = x
    return pool


def scores_of(model, x):
    pool, out = pool_of(model, x), np.empty(x.shape[1])
    model.score(pool, 0, x.shape[1])
    model.scores(pool, x.shape[1], out)
    return out


def choose(model, x, *, q, subset, stream=3):
    pool, picks = pool_of(model, x), np.full(q, -1)
    model.score(pool, 0, x.shape[1])
    k = model.choose(pool, x.shape[1], stream, subset, picks)
    assert (picks[k:] == -1).all()
    return picks[:k]


def oracle_of(case, history, options):
    kept = {name: getattr(options, name) for name in oracle.Settings.__dataclass_fields__}
    finished, running = history.trials(history.finished), history.trials(history.running)
    return oracle.Model(case.columns, case.groups, oracle.Settings(**kept), finished, running)


def replace_finished(history, finished):
    return History(history.x, history.y, history.fidelity, history.state, finished, history.running)
