"""The TPE model on both backends: the scores of ``oracles.tpe``, and nothing but the history behind them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.models import (
    CASES,
    LINE,
    NESTED,
    PLAIN,
    SMALL,
    History,
    candidates_of,
    choose,
    empty_model,
    model_of,
    observe,
    oracle_of,
    pool_of,
    random_history,
    replace_finished,
    scores_of,
)
from scipy import stats

from hpo_core.log import State
from hpo_core.native import _backend, get_num_threads, parallel, set_num_threads
from hpo_core.native.tpe import new_pool

pytestmark = pytest.mark.usefixtures("backend")


# ---- scores ------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    st.sampled_from(sorted(CASES)),
    st.integers(0, 45),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.sampled_from([(0.1, 25), (0.35, 4), (1.0, 25)]),
    st.sampled_from([0.5, 1.0]),
    st.booleans(),
)
def test_scores_are_the_definition(name, n, seed, tied, share, prior_weight, weigh):
    case = CASES[name]
    options = replace(PLAIN, gamma=share[0], max_below=share[1], prior_weight=prior_weight, weigh_below=weigh)
    history = random_history(case, n, seed, tied=tied)
    model, x = empty_model(case, options), candidates_of(case, 4, seed)
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(history.finished) + 1, 3))
    for rows in np.split(history.finished, cuts):
        observe(model, history, rows)
        model.refresh(history.x, history.running)
    truth = oracle_of(case, history, options)
    np.testing.assert_allclose(scores_of(model, x), [truth.score(c) for c in x.T], rtol=1e-9, atol=1e-9)


def test_a_group_without_failures_has_uniform_f():
    history = random_history(NESTED, 40, 21)
    complete = np.where(history.x[1] == 0.0, State.FAILED, State.COMPLETE)
    history.state[history.finished] = complete[history.finished]
    history.fidelity[history.finished] = np.where(history.state == State.COMPLETE, np.inf, -np.inf)[
        history.finished
    ]
    history.y[history.finished] = history.x[0, history.finished]
    model, x = model_of(NESTED, history), candidates_of(NESTED, 12, 3)
    assert [mixture.size > 1 for mixture in model.failed] == [True, False, False, True]
    truth = oracle_of(NESTED, history, PLAIN)
    np.testing.assert_allclose(scores_of(model, x), [truth.score(c) for c in x.T], rtol=1e-9, atol=1e-9)


def test_the_floor_of_l_falls_with_the_trials():
    history = random_history(LINE, 420, 1, tied=False)
    for n in (100, 150, 400):
        part = replace_finished(history, history.finished[:n])
        x = candidates_of(LINE, 3, n)
        truth = oracle_of(LINE, part, PLAIN)
        np.testing.assert_allclose(
            scores_of(model_of(LINE, part), x), [truth.score(c) for c in x.T], atol=1e-9
        )


def test_both_backends_hold_the_same_kernels():
    pytest.importorskip("numba")
    history, x = random_history(NESTED, 300, 2), candidates_of(NESTED, 40, 2)
    models, scores, draws = [], [], []
    for name in ("native", "numba"):
        with _backend.use(name):
            model = empty_model(NESTED, SMALL)
            for rows in np.array_split(history.finished, 20):
                observe(model, history, rows)
                model.refresh(history.x, history.running)
            scores.append(scores_of(model, x))
            pool = new_pool(model, 40)
            model.draw(pool, 7, 1, 40)
            models.append(model)
            draws.append(pool.x)
    np.testing.assert_allclose(*scores, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(*draws, rtol=1e-9, atol=1e-12)
    for part in ("below", "above", "failed"):
        for a, b in zip(*(getattr(model, part) for model in models), strict=True):
            assert a.size == b.size
            for name in ("center", "order"):
                np.testing.assert_array_equal(a.array(name), b.array(name))
            for name in ("sigma", "log_norm", "log_weight", "constant", "match"):
                np.testing.assert_allclose(a.array(name), b.array(name), rtol=1e-10, atol=1e-10)


# ---- a function of the history -----------------------------------------------------------------------------


def assert_same(model, other, case):
    """Bit-equal scores, draws and picks."""
    x = candidates_of(case, 33, 9)
    np.testing.assert_array_equal(scores_of(model, x), scores_of(other, x))
    pools = [new_pool(m, 50) for m in (model, other)]
    for m, pool in zip((model, other), pools, strict=True):
        m.draw(pool, 4, 2, 50)
    np.testing.assert_array_equal(pools[0].x, pools[1].x)
    np.testing.assert_array_equal(choose(model, x, q=5, subset=6), choose(other, x, q=5, subset=6))


@pytest.mark.parametrize("options", [PLAIN, SMALL], ids=["whole", "subsampled"])
@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("refreshed", [False, True])
def test_portions_of_observing_do_not_matter(name, options, refreshed):
    case, rng = CASES[name], np.random.default_rng(3)
    history = random_history(case, 330, 4)
    whole = model_of(case, history, options)
    cuts = np.sort(rng.choice(len(history.finished), 12, replace=False))
    for portions in (
        np.split(history.finished, cuts),
        np.split(history.finished, range(1, len(history.finished))),
    ):
        model = empty_model(case, options)
        for rows in portions:
            observe(model, history, rows)
            if refreshed:
                model.refresh(history.x, rng.choice(history.running, 5, replace=False))
        model.refresh(history.x, history.running)
        assert_same(model, whole, case)
        whole.refresh(history.x, history.running)


@pytest.mark.parametrize("options", [PLAIN, SMALL], ids=["whole", "subsampled"])
def test_a_model_that_was_reset_is_as_new(options):
    """What happens when the ranking of observed trials changes: here the best become the worst."""
    history = random_history(NESTED, 150, 26)
    model = model_of(NESTED, history, options)
    choose(model, candidates_of(NESTED, 30, 2), q=4, subset=5)
    history.y *= -1.0
    model.reset()
    observe(model, history, history.finished)
    model.refresh(history.x, history.running)
    assert_same(model, model_of(NESTED, history, options), NESTED)


def test_the_model_is_up_to_date_after_every_trial():
    history, x = random_history(LINE, 60, 25, finish=1.0, tied=False), candidates_of(LINE, 3, 8)
    model = empty_model(LINE, PLAIN)
    for n, trial in enumerate(history.finished):
        observe(model, history, np.array([trial]))
        model.refresh(history.x, history.running)
        anew = model_of(LINE, replace_finished(history, history.finished[: n + 1]))
        np.testing.assert_array_equal(scores_of(model, x), scores_of(anew, x))


def test_running_trials_and_picks_leave_no_trace():
    history = random_history(NESTED, 80, 5)
    model, untouched = model_of(NESTED, history), empty_model(NESTED, PLAIN)
    model.join(candidates_of(NESTED, 7, 1))
    choose(model, candidates_of(NESTED, 30, 2), q=4, subset=5)
    model.refresh(history.x, history.running[:0])
    observe(untouched, history, history.finished)
    untouched.refresh(history.x, history.running[:0])
    assert_same(model, untouched, NESTED)


def test_joining_equals_running():
    history = random_history(NESTED, 60, 6)
    model = empty_model(NESTED, PLAIN)
    observe(model, history, history.finished)
    model.refresh(history.x, history.running[:2])
    model.join(np.ascontiguousarray(history.x[:, history.running[2:]]))
    assert_same(model, model_of(NESTED, history), NESTED)


def test_picks_fit_the_room_of_g():
    history = random_history(LINE, 30, 7)
    full = model_of(LINE, history, replace(PLAIN, max_above=4, newest=1), max_joined=2)
    full.refresh(history.x, history.running[:0])
    full.join(candidates_of(LINE, 9, 1))
    assert full.above[0].size == 1 + 4 + 2
    assert np.isfinite(scores_of(full, candidates_of(LINE, 5, 2))).all()


def test_f_remembers_the_newest_failures():
    history = random_history(LINE, 9, 8, tied=False)
    history.state[:] = State.FAILED
    rows = np.array([3, 1, 0, 2, 8, 7, 6])
    model = empty_model(LINE, PLAIN, max_failed=4)
    observe(model, history, rows)
    model.refresh(history.x, rows[:0])
    np.testing.assert_array_equal(
        np.sort(model.failed[0].array("center")[1:, 0]), np.sort(history.x[0, rows[-4:]])
    )


def test_scores_do_not_depend_on_ranges_threads_or_order():
    model = model_of(NESTED, random_history(NESTED, 90, 9))
    m = 700
    x = candidates_of(NESTED, m, 3)
    whole = scores_of(model, x)
    order = np.random.default_rng(1).permutation(m)
    np.testing.assert_array_equal(scores_of(model, np.ascontiguousarray(x[:, order])), whole[order])
    for cuts in ([0, m], [0, 1, 9, 64, 100, 699, m]):
        pool, out = pool_of(model, x), np.empty(m)
        for first, last in pairwise(cuts):
            model.score_range(pool, first, last)
        model.scores(pool, m, out)
        np.testing.assert_array_equal(out, whole)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_threads_score_as_one(n_threads):
    model, x = model_of(NESTED, random_history(NESTED, 90, 10)), candidates_of(NESTED, 700, 3)
    before, pool, out = get_num_threads(), pool_of(model, x), np.empty(700)
    set_num_threads(n_threads)
    try:
        parallel(lambda first, last: model.score_range(pool, first, last), 700, 64)
    finally:
        set_num_threads(before)
    model.scores(pool, 700, out)
    np.testing.assert_array_equal(out, scores_of(model, x))


# ---- the subsample of g ------------------------------------------------------------------------------------


def ordered_history(n):
    """Trial t is worse than all before it and lies at (t + 1/2) / n: with max_below = 1, l keeps trial 0."""
    x = (np.arange(n)[None, :] + 0.5) / n
    rows = np.arange(n)
    return History(
        x, rows.astype(float), np.full(n, np.inf), np.full(n, State.COMPLETE, np.uint8), rows, rows[:0]
    )


def kept_of(model, n):
    return np.rint(model.above[0].array("center")[1 : model.above[0].size, 0] * n - 0.5).astype(int)


def test_g_keeps_newest_and_samples_others():
    n, n_seeds, options = 200, 400, replace(SMALL, max_below=1)
    older = n - 1 - 16
    counts, history = np.zeros(n), ordered_history(n)
    for seed in range(n_seeds):
        kept = kept_of(model_of(LINE, history, options, seed=seed), n)
        assert len(kept) == len(set(kept)) == 64
        counts[kept] += 1
    assert counts[0] == 0
    assert (counts[-16:] == n_seeds).all()
    p = 48 / older
    # Drawing without replacement makes the counts vary less than independent ones: by (N - 1) / N.
    statistic = ((counts[1:-16] - n_seeds * p) ** 2).sum() / (n_seeds * p * (1 - p)) * (older - 1) / older
    assert 1e-3 < stats.chi2.sf(statistic, older - 1) < 1 - 1e-3


@pytest.mark.parametrize("n", [64, 65, 66, 90, 200, 1000])
def test_the_subsample_keeps_the_weight(n):
    model = model_of(LINE, ordered_history(n), replace(SMALL, max_below=1))
    kept, weights = kept_of(model, n), np.exp(model.above[0].array("log_weight")[1 : model.above[0].size])
    newest = kept >= n - 16
    np.testing.assert_array_equal(weights[newest], 1.0)
    assert newest.sum() == 16
    older = n - 1 - 16
    assert 2 ** (-1 / 16) <= weights[~newest].sum() / older <= 2 ** (1 / 16)
