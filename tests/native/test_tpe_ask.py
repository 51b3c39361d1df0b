"""Asking the TPE model on both backends: which candidate is chosen, and how candidates are distributed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from native.models import (
    CASES,
    FLAT,
    LABELS,
    LINE,
    PLAIN,
    Case,
    candidates_of,
    choose,
    model_of,
    oracle_of,
    random_history,
    scores_of,
)
from oracles.domain import uniform
from scipy import stats

from hpo_core.log import State
from hpo_core.native.domain import Domain, settle
from hpo_core.native.parzen import new_mixture
from hpo_core.native.tpe import new_pool

pytestmark = pytest.mark.usefixtures("backend")


# ---- choice ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [12, 14, 70])
@pytest.mark.parametrize("name", sorted(CASES))
def test_each_pick_is_best_given_earlier_ones(name, n):
    case = CASES[name]
    history, x = random_history(case, n, 11), candidates_of(case, 40, 4)
    picks = choose(model_of(case, history), x, q=6, subset=40)
    model, left = model_of(case, history), np.ones(40, np.bool_)
    assert len(set(picks.tolist())) == 6
    for k, pick in enumerate(picks):
        offered = left & offered_to(40, 40, k, 6, model_seed=5)
        scores = np.where(offered, scores_of(model, x), -np.inf)
        assert scores[pick] >= scores.max() - 1e-12
        assert offered[pick]
        left[pick] = False
        model.join(np.ascontiguousarray(x[:, pick : pick + 1]))


def offered_to(m, subset, pick, q, model_seed, stream=3):
    """Candidates that pick number ``pick`` may choose from."""
    if q * subset <= m:
        rows = range(pick * subset, (pick + 1) * subset)
    else:
        rows = [int(uniform(model_seed, stream, (4 << 56) | (pick * subset + i)) * m) for i in range(subset)]
    return np.isin(np.arange(m), list(rows))


def test_a_subset_is_a_run_of_the_pool():
    model, x = model_of(FLAT, random_history(FLAT, 60, 12)), candidates_of(FLAT, 35, 5)
    scores = scores_of(model, x)
    picks = choose(model, x, q=5, subset=7)
    assert picks[0] == scores[:7].argmax()
    assert [pick // 7 for pick in picks] == [0, 1, 2, 3, 4]


def test_picks_exhaust_a_pool_and_stop():
    history, x = random_history(FLAT, 60, 13), candidates_of(FLAT, 11, 6)
    model = model_of(FLAT, history)
    for subset in (2, 24):  # 2 of 11 drawn are mostly taken after a few picks
        assert sorted(choose(model, x, q=20, subset=subset)) == list(range(11))
        model.refresh(history.x, history.running)


def test_one_pick_of_a_small_pool_is_best():
    history, x = random_history(FLAT, 60, 14), candidates_of(FLAT, 5, 7)
    model = model_of(FLAT, history)
    assert choose(model, x, q=1, subset=24)[0] == scores_of(model, x).argmax()


def test_a_pick_repels_its_neighbours():
    history = random_history(LINE, 50, 15)
    model = model_of(LINE, history)
    x = np.linspace(0.005, 0.995, 100)[None, :]
    before = scores_of(model, x)
    model.join(np.array([[0.505]]))
    change = scores_of(model, x) - before
    assert change.argmin() in (49, 50, 51)
    assert change[50] < 0.0 < change[[0, 99]].max()  # g is normalised: what it gains here it loses there


# ---- draws -------------------------------------------------------------------------------------------------


def draws_of(model, n_streams, m, x_of):
    found = []
    pool = new_pool(model, m)
    for stream in range(n_streams):
        model.draw(pool, stream, 0, m)
        found.append(pool.x[:, :m].copy())
    return x_of(np.concatenate(found, axis=1))


def assert_frequencies(counts, probabilities):
    n = counts.sum()
    np.testing.assert_allclose(probabilities.sum(), 1.0, atol=2e-3)
    assert stats.chisquare(counts.ravel(), (probabilities / probabilities.sum() * n).ravel()).pvalue > 1e-3


def test_draws_from_l_in_one_dimension():
    history = random_history(LINE, 60, 16)
    truth = oracle_of(LINE, history, PLAIN)
    x = draws_of(model_of(LINE, history), 40, 50, lambda x: x[0])
    grid = (np.arange(600) + 0.5) / 600
    cdf = np.concatenate([[0.0], np.cumsum(np.exp([truth.log_densities([g])[0] for g in grid])) / 600])
    assert cdf[-1] == pytest.approx(1.0, abs=1e-3)
    assert stats.kstest(x, lambda v: np.interp(v, np.arange(601) / 600, cdf)).pvalue > 1e-3


@pytest.mark.parametrize("name", ["flat", "line"])
def test_draws_from_l_are_those_of_its_kernels(name):
    """The model's l keeps masses with its kernels; a mixture of the same kernels computes them."""
    case = CASES[name]
    below = model_of(case, random_history(case, 90, 18)).below[0]
    n_numeric = below.array("sigma").shape[1]
    domain = Domain(case.layout())
    other = new_mixture(domain, np.asarray(below.dims), n_numeric, (0, 0), below.size)
    for part in ("center", "sigma", "log_norm", "row", "match"):
        other.array(part)[...] = below.array(part)[: len(other.array(part))]
    rng = np.random.default_rng(19)
    component, u = rng.integers(below.size, size=400).astype(np.int32), rng.random(400)
    for column in range(below.n_columns):
        drawn, expected = np.empty(400), np.empty(400)
        below.draw(column, component, u, drawn)
        other.draw(column, component, u, expected)
        np.testing.assert_allclose(drawn, expected, rtol=1e-12, atol=1e-13)


def test_a_proposal_is_the_choice_from_its_draws():
    case = CASES["flat"]
    model = model_of(case, random_history(case, 90, 20))
    pool, picks = new_pool(model, 24), np.empty(1, np.int64)
    for stream in range(20):
        x = model.propose(pool, stream, 24, 24)
        model.draw(pool, stream, 0, 24)
        model.score(pool, 0, 24)
        model.choose(pool, 24, stream, 24, picks)
        np.testing.assert_array_equal(x, pool.x[:, picks])


def test_draws_from_l_over_categories():
    history = random_history(LABELS, 60, 17)
    truth = oracle_of(LABELS, history, PLAIN)
    x = draws_of(model_of(LABELS, history), 40, 50, lambda x: x.astype(int))
    counts = np.histogram2d(*x, bins=3)[0]
    assert_frequencies(counts, np.exp([[truth.log_densities([a, b])[0] for b in range(3)] for a in range(3)]))


# Group 1 exists where the context, p0, is below 0.6; its labels depend on where.
BRANCH = Case(("continuous", "categorical"), (((0,), ()), ((1,), (0,))), (("lt", ("value", 0), 0.6),))


def test_draws_of_a_conditional_group_depend_on_its_context():
    history = random_history(BRANCH, 80, 18, tied=False)
    kept = history.x[0] < 0.6  # labels follow p0 exactly: what a draw that ignored it would lose
    history.x[1, kept] = np.minimum(history.x[0, kept] // 0.2, 2.0)
    history.y[:] = np.where(history.state == State.COMPLETE, history.x[0], np.nan)
    options = replace(PLAIN, gamma=0.5)
    truth = oracle_of(BRANCH, history, options)
    x = draws_of(model_of(BRANCH, history, options), 50, 48, lambda x: x)
    grid = (np.arange(100) + 0.5) / 100
    codes = [0.0, 1.0, 2.0, np.nan]
    probabilities = np.array([[joint_density(truth, g, code) for code in codes] for g in grid]) / 100
    probabilities = probabilities.reshape(5, 20, 4).sum(axis=1)
    counts = np.histogram2d(x[0], np.where(np.isnan(x[1]), 3, x[1]), bins=[np.arange(6) / 5, np.arange(5)])[0]
    possible = probabilities > 0
    assert (counts[~possible] == 0).all()
    assert_frequencies(counts[possible], probabilities[possible])


def joint_density(truth, p0, code):
    """Density of l where the condition allows the code, else 0."""
    if (p0 < 0.6) == np.isnan(code):
        return 0.0
    return np.exp(truth.log_densities([p0, code])[0])


@pytest.mark.parametrize("name", sorted(CASES))
def test_draws_are_settled_configurations(name):
    case = CASES[name]
    model = model_of(case, random_history(case, 70, 19))
    x = draws_of(model, 2, 60, np.ascontiguousarray)
    filled = np.where(np.isnan(x), 0.5, x)
    np.testing.assert_array_equal(settle(Domain(case.layout()), filled), x)


def test_attempts_and_streams_draw_anew():
    model = model_of(FLAT, random_history(FLAT, 60, 20))
    pool, seen = new_pool(model, 16), set()
    for stream, attempt in [(0, 0), (0, 1), (1, 0), (0, 0)]:
        model.draw(pool, stream, attempt, 16)
        seen.add(pool.x.tobytes())
    assert len(seen) == 3
