"""Which trial is better, against a sort by the definition; the order is kept up to date trial by trial."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import several

import hpo_core as hpo
from hpo_core.log import History, State
from hpo_core.log.events import Asked, Failed, Reported, Stopped, Told
from hpo_core.metrics import PLAIN, Metrics
from hpo_core.native.domain import Domain, random_draws
from hpo_core.samplers.base import Sampler
from hpo_core.samplers.fronts import Fronts
from hpo_core.samplers.ranking import Ranking, completed, sort
from hpo_core.tpe.model import ParzenSettings, TPEModel

LAYOUT = hpo.Space({"x": hpo.Float(0, 1)}).layout

trials = st.lists(
    st.tuples(
        st.sampled_from(["complete", "complete", "stopped", "failed"]),
        st.integers(-2, 2),  # value
        st.integers(0, 2),  # step of a stopped one
        st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.nan]), st.sampled_from([-3.0, 0.0, 1e-3, 40.0])),
    ),
    max_size=14,
)


def asked(n, metrics=PLAIN):
    history = History(LAYOUT, metrics)
    history.apply(Asked(0, random_draws(Domain(LAYOUT), 3, 0, 0, n), 0, "random", 0.0))
    return history


def finish(history, row, state, value, step, violation=()):
    """End a trial; no event tells violations yet."""
    rows, cost = np.array([row]), np.zeros(1)
    if len(violation):
        history._trials.write["violation"][:, row] = violation
    match state:
        case "complete":
            history.apply(Told(rows, np.array([[float(value)]]), cost))
        case "stopped":
            history.apply(Reported(rows, np.array([step]), np.array([float(value)])))
            history.apply(Stopped(rows, np.array([[float(value)]]), cost))
        case "failed":
            history.apply(Failed(rows, "oom", cost))


def definition(given_trials, rows):
    """Rows of trials with a rank, best first."""
    units = [max([max(t[3][c], 0.0) for t in given_trials if t[3][c] > 0.0], default=1.0) for c in (0, 1)]

    def violation(trial):
        return sum(max(v, 0.0) / unit for v, unit in zip(trial[3], units, strict=True) if v > 0.0)

    def key(row):
        state, value, step, _ = given_trials[row]
        return violation(given_trials[row]), -(math.inf if state == "complete" else step), value

    return sorted((row for row in rows if given_trials[row][0] != "failed"), key=key)


def ranked(ranking, history):
    rows = history.finish_order[~np.isnan(ranking.keys[0, history.finish_order])]
    return rows[sort(ranking.keys[:, rows])].tolist()


@pytest.mark.parametrize("n_constraints", [0, 2])
@given(trials)
def test_the_order_is_the_definition_and_kept_up_to_date(n_constraints, given_trials):
    if not n_constraints:
        given_trials = [(*trial[:3], (0.0, 0.0)) for trial in given_trials]
    history, ranking = asked(len(given_trials) + 1, several(1, n_constraints)), Ranking()
    for k, row in enumerate(order := np.random.default_rng(1).permutation(len(given_trials)).tolist()):
        state, value, step, violation = given_trials[row]
        finish(history, row, state, value, step, violation[:n_constraints])
        told = order[: k + 1]
        known = [given_trials[r] for r in told]
        expected = [told[i] for i in definition(known, range(k + 1))]
        whole = Ranking()
        assert ranking.best(history) == whole.best(history)
        assert ranked(ranking, history) == expected
        np.testing.assert_array_equal(ranking.keys, whole.keys)
        np.testing.assert_array_equal(ranking.gain, whole.gain)
        complete = [r for r in expected if given_trials[r][0] == "complete"]
        assert ranking.best(history) == (complete[0] if complete else -1)
        assert completed(history).tolist() == complete
        assert Sampler.recommend(hpo.samplers.RandomSampler(), history).tolist() == complete


def test_gains_are_those_of_complete_feasible_trials():
    history, ranking = asked(5, several(1, 1)), Ranking()
    finish(history, 0, "complete", 3, 0, [-1.0])
    finish(history, 1, "complete", 1, 0, [2.0])
    finish(history, 2, "stopped", 1, 4, [0.0])
    finish(history, 3, "failed", 0, 0)
    ranking.update(history)
    np.testing.assert_array_equal(ranking.gain[:3], [-3.0, np.nan, np.nan])


def test_only_a_larger_violation_ranks_anew():
    history, ranking = asked(6, several(1, 2)), Ranking()
    versions = []
    for row, violation in enumerate([(0.5, -1), (0.2, 1), (3, 1), (1, 0), (3, 0.5), (9, 2)]):
        finish(history, row, "complete", row, 0, violation)
        ranking.update(history)
        versions.append(ranking.version)
    assert versions == [0, 1, 2, 2, 2, 3]


def test_an_interrupted_update_is_made_up_for(monkeypatch):
    history, ranking, whole = asked(3, several(1, 1)), Ranking(), Ranking()
    finish(history, 0, "complete", 0, 0, [1.0])
    ranking.update(history)
    finish(history, 1, "complete", 1, 0, [4.0])
    with monkeypatch.context() as patch:
        patch.setattr("hpo_core.samplers.ranking.objective", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ranking.update(history)
    assert ranking.best(history) == whole.best(history)
    np.testing.assert_array_equal(ranking.keys, whole.keys)


@pytest.mark.parametrize("n", [20, 66])
def test_an_interrupted_update_of_several_objectives_is_made_up_for(monkeypatch, n):
    history, ranking, whole = asked(n + 1, several(2)), Ranking(), Ranking()
    for row in range(n):
        finish_randomly(history, row)
    ranking.update(history)
    version = ranking.version
    finish_randomly(history, n, ["complete"])
    with monkeypatch.context() as patch:
        patch.setattr("hpo_core.samplers.fronts.Fronts.level", interrupted)
        patch.setattr("hpo_core.samplers.fronts.Fronts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ranking.update(history)
    ranking.update(history)
    whole.update(history)
    assert ranking.version == version + (n == 20)
    np.testing.assert_array_equal(ranking.keys, whole.keys)
    np.testing.assert_array_equal(ranking.gain, whole.gain)


def interrupted(*_):
    raise KeyboardInterrupt


def test_an_unconstrained_study_is_never_ranked_anew():
    history, ranking = asked(300), Ranking()
    for row in range(300):
        finish(history, row, "complete", -row, 0)
        assert ranking.best(history) == row
    assert ranking.version == 0


@pytest.mark.parametrize("n_constraints", [0, 2])
@pytest.mark.parametrize("m", [2, 3, 5])
def test_several_objectives_appended_as_rebuilt(m, n_constraints):
    """Past 64 trials fronts are formed at every fourth one, and the others are placed among them."""
    history, ranking = asked(150, several(m, n_constraints)), Ranking()
    versions = []
    for k, row in enumerate(np.random.default_rng(0).permutation(150).tolist()):
        finish_randomly(history, row)
        ranking.update(history)
        versions.append(ranking.version)
        if k % 3 == 0:
            whole = Ranking()
            whole.update(history)
            done = history.finish_order
            np.testing.assert_array_equal(ranking.keys[:, done], whole.keys[:, done])
            np.testing.assert_array_equal(ranking.gain[done], whole.gain[done])
    if not n_constraints:
        assert versions[62:75] == [62, 63, 63, 63, 63, 64, 64, 64, 64, 65, 65, 65, 65]


def finish_randomly(history, row, only=("complete", "complete", "complete", "stopped", "failed")):
    """End a trial with results that keep few of the constraints, and some of them the same."""
    rng = np.random.default_rng(row)
    outcomes = rng.normal(size=(len(history.metrics.rows), 1)).round(1)
    rows, cost = np.array([row]), np.zeros(1)
    match rng.choice(only):
        case "complete":
            history.apply(Told(rows, outcomes, cost))
        case "stopped":
            history.apply(Reported(rows, rng.integers(0, 3, 1), outcomes))
            history.apply(Stopped(rows, outcomes, cost))
        case "failed":
            history.apply(Failed(rows, "oom", cost))


def levels_by_definition(y, reference):
    """Fronts by peeling; what each adds to its front's hypervolume, as a share of the front's box."""
    moocore = pytest.importorskip("moocore")
    levels, left, rank = np.empty(y.shape[1]), np.arange(y.shape[1]), 1
    while len(left):
        on_front = moocore.is_nondominated(y[:, left].T, keep_weakly=True)
        front = left[on_front]
        low, high = y[:, front].min(axis=1), y[:, front].max(axis=1)
        margin = 0.1 * np.where(high > low, high - low, 1.0)
        corner = np.where(np.isnan(reference), high + margin, reference)
        box, whole = np.prod(corner - low), moocore.hypervolume(y[:, front].T, corner)
        for j in front:
            others = y[:, front[front != j]].T
            rest = moocore.hypervolume(others, corner) if len(others) else 0.0
            levels[j] = rank - (whole - rest) / box
        left, rank = left[~on_front], rank + 1
    return levels


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("reference", [None, 3.5])
def test_the_level_is_the_front_less_a_share_of_its_hypervolume(m, reference):
    metrics = Metrics({f"y{i}": hpo.Minimize(reference=reference if i == 0 else None) for i in range(m)})
    history, ranking = asked(60, metrics), Ranking()
    for row in range(60):
        finish_randomly(history, row, ["complete"])
    ranking.update(history)
    expected = levels_by_definition(history.y, metrics.reference)
    assert len(np.unique(expected.round())) > 2
    np.testing.assert_allclose(ranking.keys[2, :60], expected, rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(ranking.gain[:60], -ranking.keys[2, :60])
    np.testing.assert_array_equal(completed(history), np.argsort(ranking.keys[2, :60], kind="stable"))
    assert ranking.best(history) == ranking.keys[2, :60].argmin()


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_a_trial_takes_its_place_among_fronts_as_if_they_were_formed_with_it(m):
    """Where it neither dominates one of its front nor makes the front's box larger."""
    y = np.abs(np.random.default_rng(m).normal(size=(m, 80)))
    y = np.concatenate([1.0 - np.eye(m), 1.0 - y / np.linalg.norm(y, axis=0)], axis=1)
    reference = np.full(m, 1.5)
    for place in (0, 3, 15):
        fronts = Fronts(np.concatenate([y[:, : m + 40], y[:, : m + 40] + 0.01], axis=1), reference)
        for new in (y[:, m + 40 + place], y[:, m + place] + 0.01):
            several_more = np.concatenate([y[:, : m + 40], y[:, : m + 40] + 0.01, new[:, None]], axis=1)
            assert fronts.level(new) == pytest.approx(Fronts(several_more, reference).levels[-1], abs=1e-12)


def test_what_dominates_all_comes_first_and_what_is_dominated_by_all_last():
    y = np.random.default_rng(0).random((2, 90))
    fronts = Fronts(y, np.full(2, np.nan))
    assert fronts.level(np.full(2, -1.0)) == fronts.levels.min().round() == 0.0
    assert fronts.level(np.full(2, 2.0)) == np.ceil(fronts.levels.max()) + 1.0
    assert fronts.level(np.array([np.nan, 2.0])) == fronts.level(np.full(2, 2.0))


def test_results_past_the_reference_add_nothing():
    y = np.array([[0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]])
    levels = Fronts(y, np.array([2.5, 2.5])).levels
    np.testing.assert_array_equal(levels[[0, 3]], [1.0, 1.0])
    assert (levels[1:3] < 1.0).all()
    np.testing.assert_array_equal(Fronts(y, np.array([-1.0, 9.0])).levels, np.ones(4))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308, -1e308])
@pytest.mark.filterwarnings("error")
def test_values_without_a_finite_range(value):
    y = np.array([[value, 0.0, 1.0, 1.0], [0.0, -value, 1.0, 1.0]])
    fronts = Fronts(y, np.full(2, np.nan))
    assert np.isfinite(fronts.levels).all()
    assert np.isfinite(fronts.level(np.zeros(2)))


def test_while_nothing_is_feasible_the_least_violated_trial_is_first():
    history, ranking = asked(4, several(2, 1)), Ranking()
    for row, outcomes in enumerate([(0, 0, 3), (5, 5, 1), (1, 1, 2)]):
        history.apply(Told(np.array([row]), np.array(outcomes, float)[:, None], np.zeros(1)))
    assert completed(history).tolist() == [1, 2, 0]
    assert ranking.best(history) == 1
    history.apply(Told(np.array([3]), np.array([[9.0], [9.0], [0.0]]), np.zeros(1)))
    assert completed(history).tolist() == [3, 1, 2, 0]


def test_fronts_of_more_objectives_have_merits_for_the_newest_only():
    y = np.abs(np.random.default_rng(0).normal(size=(3, 400)))
    y = 1.0 - y / np.linalg.norm(y, axis=0)
    levels = Fronts(y, np.full(3, np.nan)).levels
    assert (levels[:144] == 1.0).all()
    np.testing.assert_array_equal(levels[144:], Fronts(y[:, 144:], np.full(3, np.nan)).levels)


def test_best_of_many_told_at_once_is_the_first_of_the_best():
    history, ranking = asked(9), Ranking()
    rows = np.array([4, 7, 2, 0])
    history.apply(Told(rows, np.array([[2.0, 1.0, 1.0, 5.0]]), np.zeros(4)))
    assert ranking.best(history) == 7
    finish(history, 3, "complete", 1.0, 0)
    assert ranking.best(history) == 7


class Moody(Ranking):
    """A ranking in which the keys of old trials change with every trial: the newest third counts as worst."""

    def update(self, history):
        n = self._n
        super().update(history)
        order = history.finish_order
        if self._n != n:
            ranks = [row for row in order if history.state[row] != State.FAILED]
            for place, row in enumerate(ranks):
                self.keys[0, row] = float(place >= len(ranks) - len(ranks) // 3)
            self.version += 1


SPACE = hpo.Space(
    {"kind": hpo.Categorical({"a": {"x": hpo.Float(0, 1)}, "b": {"y": hpo.Int(1, 9)}}), "z": hpo.Float(0, 1)}
)


def kernels(model):
    """Every number of the model's mixtures."""
    found = []
    for part in ("below", "above", "failed"):
        for mixture in getattr(model._native, part):
            k = mixture.size
            found.append(mixture.array("log_weight")[:k])
            found += [mixture.array(name)[1:k] for name in ("center", "sigma", "log_norm")]
    return found


@pytest.mark.parametrize("kind", [Ranking, Moody])
@pytest.mark.parametrize("n_constraints", [0, 2])
@pytest.mark.parametrize("max_above", [256, 20])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_tpe_observing_one_by_one_equals_all_at_once(kind, n_constraints, max_above, m):
    """Also where the keys of trials that it has observed change: then it sorts again."""
    n, rng = 90, np.random.default_rng(0)
    history = History(SPACE.layout, several(m, n_constraints))
    x = random_draws(Domain(SPACE.layout), 3, 0, 0, n)
    history.apply(Asked(0, x, 0, "random", 0.0))
    settings = ParzenSettings(max_above=max_above, newest=max_above // 4)
    grown = TPEModel(Domain(SPACE.layout), settings, 5, kind())
    versions = set()
    for row in rng.permutation(n - 5).tolist():
        state = rng.choice(["complete", "stopped", "failed"], p=[0.8, 0.1, 0.1])
        violation = (rng.normal(size=2) * 1.1 ** rng.integers(0, 40, 2))[:n_constraints]
        if m == 1:
            finish(history, row, state, rng.integers(-30, 30), rng.integers(0, 4), violation)
        else:
            finish_randomly(history, row)
        grown.refresh(history)
        versions.add(grown._version)
    whole = TPEModel(Domain(SPACE.layout), settings, 5, kind())
    whole.refresh(history)
    assert (len(versions) > 4) == (kind is Moody or n_constraints > 0 or m > 1)
    for a, b in zip(kernels(grown), kernels(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(grown.draw(1, 2, 40), whole.draw(1, 2, 40))
    picks = [model.choose(40, 6, stream=3, subset=9) for model in (grown, whole)]
    np.testing.assert_array_equal(*picks)
