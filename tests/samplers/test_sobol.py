"""The Sobol sampler: point number = trial number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from hpo_core.log import History
from hpo_core.native import _backend
from hpo_core.samplers.sobol import SobolSampler
from hpo_core.space import Categorical, Float, Int, Space, param

SPACE = Space(
    {
        "u": Float(-2, 3),
        "l": Float(1e-4, 1e-1, log=True),
        "c": Categorical({"p": {}, "q": {"w": Float(0, 1)}}),
        "k": Int(1, 4),
        "s": Float(0, 1, when=param("k") >= 3),
    }
)


def ask(first, n, *, space=SPACE, seed=0):
    sampler = SobolSampler()
    sampler.start(space, seed=seed)
    suggestion = sampler.ask(History(space.layout), first, n)
    assert suggestion.origin == "sobol"
    return suggestion.x


def test_point_number_is_trial_number():
    single = np.concatenate([ask(number, 1) for number in range(40)], axis=1)
    assert np.array_equal(ask(0, 40), single, equal_nan=True)


def test_first_trial_is_the_default():
    assert SPACE.codec.decode_params(ask(0, 3)[:, 0]) == SPACE.default()


def test_inactive_parameters_are_nan():
    x = ask(0, 200)
    values = SPACE.decode(x)
    assert np.array_equal(np.isnan(x[SPACE.names.index("w")]), values["c"] == "p")
    assert np.array_equal(np.isnan(x[SPACE.names.index("s")]), values["k"] < 3)


def test_every_aligned_block_fills_the_space_evenly():
    x = ask(64, 64)
    for name in "ul":
        cells = np.floor(x[SPACE.names.index(name)] * 64)
        assert np.array_equal(np.sort(cells), np.arange(64))
    assert np.array_equal(np.bincount(SPACE.decode(x)["k"])[1:], [16] * 4)


def test_discrepancy_is_well_below_that_of_random_points():
    space = Space({f"x{i}": Float(0, 1) for i in range(8)})
    points = qmc.discrepancy(ask(1, 512, space=space).T)
    random = [qmc.discrepancy(np.random.default_rng(seed).random((512, 8))) for seed in range(5)]
    assert points < 0.3 * min(random)


def test_seeds_scramble_differently():
    assert not np.isin(ask(1, 100)[0], ask(1, 100, seed=1)[0]).any()


def test_rejected_points_alone_are_replaced():
    space = Space({"x": Float(0, 1), "y": Float(0, 1)}, forbid=[param("x") > 0.4])
    free = ask(0, 64, space=Space({"x": Float(0, 1), "y": Float(0, 1)}))
    kept = ask(0, 64, space=space)
    good = free[:, free[0] <= 0.4]
    assert np.array_equal(kept[:, : good.shape[1]], good)
    assert kept[0].max() <= 0.4
    assert kept.shape == (2, 64)


def test_forbidden_default_is_replaced():
    space = Space({"a": Int(1, 9)}, forbid=[param("a") == 5])
    assert space.decode(ask(0, 1, space=space))["a"] != 5


def test_backends_agree():
    pytest.importorskip("numba")
    with _backend.use("native"):
        native = ask(0, 300)
    with _backend.use("numba"):
        assert np.array_equal(native, ask(0, 300), equal_nan=True)
