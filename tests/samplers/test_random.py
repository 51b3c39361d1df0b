"""The random sampler: the prior, and nothing that came back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hpo_core.log import History
from hpo_core.log.events import Asked
from hpo_core.native import _backend
from hpo_core.samplers.random import RandomSampler
from hpo_core.space import Categorical, Float, Int, Space, param

SPACE = Space(
    {
        "u": Float(-2, 3),
        "l": Float(1e-4, 1e-1, log=True),
        "k": Int(1, 64, log=True),
        "c": Categorical({"p": {}, "q": {"w": Float(0, 1)}, "r": {"w": Float(0, 1)}}),
        "s": Float(0, 1, step=0.25, when=param("k") >= 8),
    }
)


def ask(first, n, *, seed=0, history=None):
    sampler = RandomSampler()
    sampler.start(SPACE, seed=seed)
    suggestion = sampler.ask(history or History(SPACE.layout), first, n)
    assert suggestion.origin == "random"
    return suggestion.x


def test_parameters_follow_the_prior():
    x = ask(0, 20_000, seed=5)
    values = SPACE.decode(x)
    assert stats.kstest((values["u"] + 2) / 5, "uniform").pvalue > 1e-3
    assert stats.kstest((np.log10(values["l"]) + 4) / 3, "uniform").pvalue > 1e-3
    edges = np.log(np.arange(0.5, 65))
    counts = np.bincount(values["k"], minlength=65)[1:]
    assert stats.chisquare(counts, 20_000 * np.diff(edges) / (edges[-1] - edges[0])).pvalue > 1e-3
    assert stats.chisquare([(values["c"] == c).sum() for c in "pqr"]).pvalue > 1e-3
    w = values["w"][values["c"] != "p"]
    assert stats.kstest(w, "uniform").pvalue > 1e-3
    steps = values["s"][values["k"] >= 8]
    assert stats.chisquare([(steps == s).sum() for s in (0, 0.25, 0.5, 0.75, 1)]).pvalue > 1e-3


def test_inactive_parameters_are_nan():
    x = ask(0, 500)
    values = SPACE.decode(x)
    assert np.array_equal(np.isnan(x[SPACE.names.index("w")]), values["c"] == "p")
    assert np.array_equal(np.isnan(x[SPACE.names.index("s")]), values["k"] < 8)


def test_parameters_are_independent():
    x = ask(0, 10_000)
    correlation = np.corrcoef(x[[SPACE.names.index(name) for name in "ulkc"]])
    assert np.abs(correlation - np.eye(4)).max() < 4.5 / np.sqrt(10_000)


def test_a_trial_depends_on_seed_and_number_alone():
    history = History(SPACE.layout)
    history.apply(Asked(0, ask(0, 10), 0, "random", 0.0))
    assert np.array_equal(ask(10, 5), ask(10, 5, history=history), equal_nan=True)
    assert not np.isin(ask(10, 5)[0], ask(10, 5, seed=1)[0]).any()
    singly = np.concatenate([ask(number, 1) for number in range(10, 15)], axis=1)
    assert np.array_equal(ask(10, 5), singly, equal_nan=True)


def test_replacements_repeat_no_trial_to_come():
    tenth = Space({"x": Float(0, 1)}, forbid=[param("x") > 0.1])
    sampler = RandomSampler()
    sampler.start(tenth, seed=0)
    x = np.concatenate([sampler.ask(History(tenth.layout), number, 1).x for number in range(500)], axis=1)
    assert len(np.unique(x)) == 500


def test_backends_agree():
    pytest.importorskip("numba")
    with _backend.use("native"):
        native = ask(0, 300)
    with _backend.use("numba"):
        assert np.array_equal(native, ask(0, 300), equal_nan=True)
