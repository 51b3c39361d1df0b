"""The TPE model on both backends: the scores of ``oracles.tpe``, and nothing but the history behind them."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.layouts import build, categorical, continuous, irregular, regular
from oracles import tpe as oracle
from oracles.domain import uniform
from scipy import stats

from hpo_core.history import State
from hpo_core.native import _backend, get_num_threads, parallel, set_num_threads
from hpo_core.native.domain import Domain, random_draws, settle
from hpo_core.native.tpe import new_model, new_pool
from hpo_core.surrogates.parzen import ParzenSettings, mixture_columns

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


@pytest.fixture(params=["native", "numba"], autouse=True)
def backend(request):
    with _backend.use(request.param):
        yield request.param


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
    model.observe(history.x, history.y, history.fidelity, history.state, rows)


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


def test_the_floor_of_l_falls_with_the_trials():
    history = random_history(LINE, 420, 1, tied=False)
    for n in (100, 150, 400):
        part = replace_finished(history, history.finished[:n])
        x = candidates_of(LINE, 3, n)
        truth = oracle_of(LINE, part, PLAIN)
        np.testing.assert_allclose(
            scores_of(model_of(LINE, part), x), [truth.score(c) for c in x.T], atol=1e-9
        )


def replace_finished(history, finished):
    return History(history.x, history.y, history.fidelity, history.state, finished, history.running)


def test_both_backends_hold_the_same_kernels():
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
def test_the_model_does_not_know_in_what_portions_it_observed(name, options, refreshed):
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


def test_g_takes_no_more_picks_than_it_has_room_for():
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


def test_g_keeps_the_newest_and_a_uniform_sample_of_the_others():
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
def test_the_subsample_weighs_as_much_as_what_it_stands_for(n):
    model = model_of(LINE, ordered_history(n), replace(SMALL, max_below=1))
    kept, weights = kept_of(model, n), np.exp(model.above[0].array("log_weight")[1 : model.above[0].size])
    newest = kept >= n - 16
    np.testing.assert_array_equal(weights[newest], 1.0)
    assert newest.sum() == 16
    older = n - 1 - 16
    assert 2 ** (-1 / 16) <= weights[~newest].sum() / older <= 2 ** (1 / 16)


# ---- choice ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_pick_is_the_best_after_the_earlier_ones_joined(name):
    case = CASES[name]
    history, x = random_history(case, 70, 11), candidates_of(case, 40, 4)
    picks = choose(model_of(case, history), x, q=6, subset=40)
    model, left = model_of(case, history), np.ones(40, np.bool_)
    # The whole pool is offered to each pick only where one subset covers it: draws of it cover most.
    first = scores_of(model, x)
    assert len(set(picks.tolist())) == 6
    for k, pick in enumerate(picks):
        offered = left & offered_to(40, 40, k, 6, model_seed=5)
        scores = np.where(offered, scores_of(model, x), -np.inf)
        assert scores[pick] >= scores.max() - 1e-12
        assert offered[pick]
        left[pick] = False
        model.join(np.ascontiguousarray(x[:, pick : pick + 1]))
    assert not np.array_equal(first, scores_of(model, x))


def offered_to(m, subset, pick, q, model_seed, stream=3):
    """Candidates that pick number ``pick`` may choose from."""
    if q * subset <= m:
        rows = range(pick * subset, (pick + 1) * subset)
    else:
        rows = [int(uniform(model_seed, stream, (4 << 56) | (pick * subset + i)) * m) for i in range(subset)]
    return np.isin(np.arange(m), list(rows))


def test_a_subset_is_a_run_of_the_pool_where_the_pool_suffices():
    model, x = model_of(FLAT, random_history(FLAT, 60, 12)), candidates_of(FLAT, 35, 5)
    scores = scores_of(model, x)
    picks = choose(model, x, q=5, subset=7)
    assert picks[0] == scores[:7].argmax()
    assert [pick // 7 for pick in picks] == [0, 1, 2, 3, 4]
    model.refresh(np.zeros((4, 1)), np.empty(0, np.int64))


def test_picks_exhaust_a_pool_and_stop():
    model, x = model_of(FLAT, random_history(FLAT, 60, 13)), candidates_of(FLAT, 11, 6)
    assert sorted(choose(model, x, q=20, subset=24)) == list(range(11))


def test_one_pick_of_a_pool_smaller_than_its_subset_is_the_best():
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
    grid = (np.arange(300) + 0.5) / 300
    codes = [0.0, 1.0, 2.0, np.nan]
    probabilities = np.array([[joint_density(truth, g, code) for code in codes] for g in grid]) / 300
    probabilities = probabilities.reshape(5, 60, 4).sum(axis=1)
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
