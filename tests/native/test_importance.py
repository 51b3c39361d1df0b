"""Divergences of the best trials from all: the definition, noise by pairs and by enumeration, bounds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.importance import divergence_of, expected_divergence

from hpo_core.native import _backend
from hpo_core.native.importance import MAX_CELLS, divergences
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param

SPACE = Space(
    {
        "real": Float(-1.0, 1.0),
        "small": Int(1, 5),
        "log": Int(1, 40, log=True),
        "wide": Int(0, 10_000),
        "label": Categorical(["a", "b", "c", "d"]),
        "step": Ordinal([1, 2, 8]),
        "only": Float(0.0, 1.0, when=param("small") > 3),
    }
)
EQUAL = np.linspace(0.0, 1.0, MAX_CELLS + 1)
LOG_EDGES = np.log(np.arange(1, 42) - 0.5)
EDGES = {
    "real": EQUAL,
    "small": np.linspace(0.0, 1.0, 6),
    "log": (LOG_EDGES - LOG_EDGES[0]) / (LOG_EDGES[-1] - LOG_EDGES[0]),
    "wide": EQUAL,
    "label": None,
    "step": np.linspace(0.0, 1.0, 4),
    "only": EQUAL,
}


def draws(n, seed):
    return SPACE.codec.activity.draw(n, np.random.default_rng(seed))


@pytest.mark.parametrize(("n", "k"), [(2, 1), (20, 3), (300, 30), (300, 299)])
def test_divergences_are_those_of_the_definition(backend, n, k):
    x, chosen = draws(n, seed=n), np.arange(n) < k
    found = divergences(SPACE.layout, x, chosen)
    for row, name in enumerate(SPACE.names):
        expected, by_pairs = divergence_of(x[row], chosen, EDGES[name], choices=4)
        assert found.divergence[row] == pytest.approx(expected, rel=1e-9, abs=1e-12), name
        if not math.isnan(by_pairs):
            excess = found.divergence[row] - found.noise[row]
            assert excess == pytest.approx(by_pairs, rel=1e-9, abs=1e-11), name
        assert found.n_active[row] == np.isfinite(x[row]).sum()
        assert found.n_chosen[row] == np.isfinite(x[row, :k]).sum()


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_noise_is_in_the_mean_what_random_choices_have(backend, k):
    n, row = 9, SPACE.names.index("label")
    x = draws(n, seed=4)
    choices = [np.isin(np.arange(n), some) for some in itertools.combinations(range(n), k)]
    noise = np.mean([divergences(SPACE.layout, x, chosen).noise[row] for chosen in choices])
    expected = expected_divergence([int(v) for v in x[row]], 4, k)
    assert noise == pytest.approx(expected, rel=1e-10)


def test_trials_that_are_scattered_are_no_noise_of_chosen_ones_that_agree(backend):
    """Half of the trials are in one cell of a real parameter, the chosen ones too; the others anywhere."""
    row = SPACE.names.index("real")
    x = draws(300, seed=5)
    x[row, :150] = 0.5 + 1e-3 * np.arange(150) / 150
    found = divergences(SPACE.layout, x, np.arange(300) < 30)
    n_inside = np.count_nonzero(x[row] // (1 / MAX_CELLS) == MAX_CELLS // 2)
    assert found.divergence[row] == pytest.approx(300 / n_inside - 1.0)
    assert found.noise[row] <= 0.0


@given(st.integers(2, 60), st.data())
def test_divergences_are_bounded_and_vanish_if_all_are_chosen(n, data):
    k = data.draw(st.integers(1, n))
    x, chosen = draws(n, seed=n * 61 + k), np.arange(n) < k
    found = divergences(SPACE.layout, x, chosen)
    most = np.maximum(found.n_active / np.maximum(found.n_chosen, 1) - 1.0, 0.0)
    assert (found.divergence >= 0.0).all()
    assert (found.divergence <= most * (1 + 1e-9) + 1e-12).all()
    everything = divergences(SPACE.layout, x, np.ones(n, bool))
    np.testing.assert_allclose(everything.divergence, 0.0, atol=1e-12)
    several = everything.n_active > 1
    np.testing.assert_allclose(everything.noise[several], 0.0, atol=1e-12)


def test_random_choices_are_expected_on_average(backend):
    x, rng = draws(200, seed=1), np.random.default_rng(2)
    row = SPACE.names.index("label")
    excess = []
    for _ in range(400):
        found = divergences(SPACE.layout, x, rng.permutation(200) < 20)
        excess.append(found.divergence[row] - found.noise[row])
    assert abs(np.mean(excess)) < 4 * np.std(excess) / 20


def test_both_backends_give_the_same():
    pytest.importorskip("numba")
    x, chosen = draws(500, seed=3), np.random.default_rng(3).random(500) < 0.1
    found = []
    for name in ("native", "numba"):
        with _backend.use(name):
            found.append(np.array(divergences(SPACE.layout, x, chosen)))
    np.testing.assert_allclose(*found, rtol=1e-11, atol=1e-14)


def test_values_on_edges_and_at_the_ends_have_a_cell(backend):
    x = np.tile(np.array([0.0, 1.0, 0.5, 63 / 64, np.nextafter(1.0, 0.0)]), (SPACE.layout.size, 1))
    x[SPACE.names.index("label")] = [0, 3, 1, 1, 2]
    found = divergences(SPACE.layout, x, np.array([True, True, False, False, False]))
    assert np.isfinite(found.divergence).all()
    assert (found.n_active == 5).all()


def test_no_trials_and_none_chosen(backend):
    for n in (0, 5):
        found = divergences(SPACE.layout, draws(n, seed=0), np.zeros(n, bool))
        assert not found.divergence.any()
        assert not found.n_chosen.any()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="x must have shape"):
        divergences(SPACE.layout, np.zeros((2, 3)), np.zeros(3, bool))
    with pytest.raises(ValueError, match="chosen"):
        divergences(SPACE.layout, draws(3, seed=0), np.zeros(4, bool))
