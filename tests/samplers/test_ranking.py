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
from hpo_core.native.domain import Domain, random_draws
from hpo_core.samplers.base import Sampler
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


def asked(n, n_constraints=0):
    history = History(LAYOUT, several(1, n_constraints))
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
    history, ranking = asked(len(given_trials) + 1, n_constraints), Ranking()
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
    history, ranking = asked(5, 1), Ranking()
    finish(history, 0, "complete", 3, 0, [-1.0])
    finish(history, 1, "complete", 1, 0, [2.0])
    finish(history, 2, "stopped", 1, 4, [0.0])
    finish(history, 3, "failed", 0, 0)
    ranking.update(history)
    np.testing.assert_array_equal(ranking.gain[:3], [-3.0, np.nan, np.nan])


def test_only_a_larger_violation_ranks_anew():
    history, ranking = asked(6, 2), Ranking()
    versions = []
    for row, violation in enumerate([(0.5, -1), (0.2, 1), (3, 1), (1, 0), (3, 0.5), (9, 2)]):
        finish(history, row, "complete", row, 0, violation)
        ranking.update(history)
        versions.append(ranking.version)
    assert versions == [0, 1, 2, 2, 2, 3]


def test_an_interrupted_update_is_made_up_for(monkeypatch):
    history, ranking, whole = asked(3, 1), Ranking(), Ranking()
    finish(history, 0, "complete", 0, 0, [1.0])
    ranking.update(history)
    finish(history, 1, "complete", 1, 0, [4.0])
    with monkeypatch.context() as patch:
        patch.setattr("hpo_core.samplers.ranking.objective", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ranking.update(history)
    assert ranking.best(history) == whole.best(history)
    np.testing.assert_array_equal(ranking.keys, whole.keys)


def interrupted(_):
    raise KeyboardInterrupt


def test_an_unconstrained_study_is_never_ranked_anew():
    history, ranking = asked(300), Ranking()
    for row in range(300):
        finish(history, row, "complete", -row, 0)
        assert ranking.best(history) == row
    assert ranking.version == 0


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
def test_tpe_observing_one_by_one_equals_all_at_once(kind, n_constraints, max_above):
    """Also where the keys of trials that it has observed change: then it sorts again."""
    n, rng = 90, np.random.default_rng(0)
    history = History(SPACE.layout, several(1, n_constraints))
    x = random_draws(Domain(SPACE.layout), 3, 0, 0, n)
    history.apply(Asked(0, x, 0, "random", 0.0))
    settings = ParzenSettings(max_above=max_above, newest=max_above // 4)
    grown = TPEModel(Domain(SPACE.layout), settings, 5, kind())
    versions = set()
    for row in rng.permutation(n - 5).tolist():
        state = rng.choice(["complete", "stopped", "failed"], p=[0.8, 0.1, 0.1])
        violation = (rng.normal(size=2) * 1.1 ** rng.integers(0, 40, 2))[:n_constraints]
        finish(history, row, state, rng.integers(-30, 30), rng.integers(0, 4), violation)
        grown.refresh(history)
        versions.add(grown._version)
    whole = TPEModel(Domain(SPACE.layout), settings, 5, kind())
    whole.refresh(history)
    assert (len(versions) > 4) == (kind is Moody or n_constraints > 0)
    for a, b in zip(kernels(grown), kernels(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(grown.draw(1, 2, 40), whole.draw(1, 2, 40))
    picks = [model.choose(40, 6, stream=3, subset=9) for model in (grown, whole)]
    np.testing.assert_array_equal(*picks)
