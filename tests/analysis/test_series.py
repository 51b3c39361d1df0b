"""The columns behind pictures, beside what a loop over the trials finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import Scripted, make_study, study_with_pauses

import hpo_core as hpo
from hpo_core.analysis import series
from hpo_core.analysis.axes import MOST_TICKS, Axis, share, sideways, value_axis
from hpo_core.analysis.contour import MOST_TRIALS, contour

SPACE = {
    "lr": hpo.Float(1e-5, 1.0, log=True),
    "depth": hpo.Int(1, 4),
    "size": hpo.Ordinal([16, 32, 256]),
    "kind": hpo.Categorical({"plain": {}, "odd": {"shift": hpo.Float(0.0, 1.0)}}),
}
METRICS = {"score": hpo.Maximize(), "ms": hpo.AtMost(5.0)}


def searched(n=60, metrics=METRICS, **options):
    """Trials of which some failed, some broke the bound, and one still runs; told out of order."""
    study = hpo.Study(SPACE, metrics=metrics, sampler="random", seed=0, **options)
    batch = study.ask(n + 1)
    for k in np.random.default_rng(0).permutation(n).tolist():
        trial = batch[k]
        if k % 7 == 3:
            study.fail(trial, reason="oom")
        else:
            values = {"score": round(10 * trial["lr"]), "ms": 2.0 * trial["depth"], "loss": trial["lr"] / 3}
            study.tell(trial, {name: values[name] for name in metrics})
    return study


def in_order(study):
    return [study.trials[row] for row in study.history.finish_order.tolist()]


@pytest.mark.parametrize("metric", [None, "score", "ms"])
def test_progress_is_that_of_a_loop(metric):
    study = searched()
    name, better = metric or "score", min if metric == "ms" else max
    found, best = series.progress(study, metric), math.nan
    for k, trial in enumerate(in_order(study)):
        value = trial.values[name] if trial.values else math.nan
        if trial.feasible:
            best = value if math.isnan(best) else better(best, value)
        assert found.number[k] == trial.number
        assert found.feasible[k] == trial.feasible
        assert series.STATES[found.state[k]] == trial.state.name.lower()
        np.testing.assert_array_equal([found.value[k], found.best[k]], [value, best])
    assert len(found.number) == 60
    assert not found.feasible.all()


def test_slices_hold_complete_trials_and_where_they_are():
    study = searched()
    found = series.slices(study)
    trials = [trial for trial in study.trials if trial.values]
    assert found.number.tolist() == [trial.number for trial in trials]
    assert found.value.tolist() == [trial.values["score"] for trial in trials]
    assert found.feasible.tolist() == [trial.feasible for trial in trials]
    first = {trial.number for trial in study.best_trials}
    assert found.first.tolist() == [trial.number in first for trial in trials]
    places = {"size": [16, 32, 256].index, "kind": ["plain", "odd"].index}
    for axis in found.axes:
        expected = [
            places.get(axis.name, float)(trial[axis.name]) if axis.name in trial.params else math.nan
            for trial in trials
        ]
        np.testing.assert_array_equal(axis.position, expected)
    assert [axis.name for axis in series.slices(study, "ms", ["kind", "lr"]).axes] == ["kind", "lr"]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_ranks_are_mean_ranks_of_equals(values):
    found = series.ranks_of(np.array(values, np.float64))
    for value, rank in zip(values, found.tolist(), strict=True):
        below, equal = sum(each < value for each in values), values.count(value)
        assert rank == pytest.approx((below + (equal - 1) / 2) / max(len(values) - 1, 1))


def test_ranks_leave_out_trials_without_either_parameter():
    study = searched()
    found = series.ranks(study, "shift", "lr")
    trials = [trial for trial in study.trials if trial.values and "shift" in trial.params]
    assert 0 < len(trials) < 50
    assert found.number.tolist() == [trial.number for trial in trials]
    np.testing.assert_array_equal(found.x.position, [trial["shift"] for trial in trials])
    scores = [-trial.values["score"] for trial in trials]  # greater is better
    np.testing.assert_array_equal(found.rank, series.ranks_of(np.array(scores)))
    assert found.rank[np.argmin(scores)] < 0.5


def test_a_distribution_counts_what_is_at_most():
    study = searched()
    found = series.distribution(study)
    values = [trial.values["score"] for trial in study.trials if trial.feasible]
    assert found.value.tolist() == sorted(set(values))
    expected = [sum(each <= value for each in values) / len(values) for value in found.value]
    np.testing.assert_allclose(found.share, expected, rtol=1e-15)
    assert found.share[-1] == 1.0
    assert len(series.distribution(make_study()).value) == 0


def test_a_timeline_is_that_of_the_clock():
    study, now = make_study(scheduler=Scripted({(0, 1): "p0"})), 100.0

    def act(seconds, change, *arguments):
        nonlocal now
        now += seconds
        return change(*arguments)

    with study._on_clock(lambda: now):
        paused = study.ask()  # at 100
        later = act(1, study.ask)  # at 101
        paused.report(0, 1.0)
        assert paused.should_stop()
        act(2, study.tell, paused, 1.0)  # at 103
        failed = act(4, study.ask)  # at 107
        act(1, study.fail, failed)  # at 108
        act(2, study.tell, later, 2.0)  # at 110
        before = series.timeline(study)
        study.scheduler.let_go_on = [0]
        act(5, study.ask)  # the paused one goes on at 115
        act(3, study.tell, 0, 0.5)  # at 118
        running = act(1, study.ask)  # at 119
    study.add({"x": 0.0}, 3.0, started=90.0, seconds=5.0)
    assert (before.number.tolist(), before.start.tolist(), before.end.tolist()) == (
        [0, 1, 2], [0.0, 1.0, 7.0], [3.0, 10.0, 8.0],
    )  # fmt: skip
    found = series.timeline(study)
    assert running.number == 3
    assert found.origin == 90.0
    assert found.number.tolist() == [4, 1, 2, 0, 3]
    assert found.start.tolist() == [0.0, 11.0, 17.0, 25.0, 29.0]
    np.testing.assert_array_equal(found.end, [5.0, 20.0, 18.0, 28.0, math.nan])
    states = ["complete", "complete", "failed", "complete", "running"]
    assert [series.STATES[k] for k in found.state] == states


def test_outcomes_are_counted():
    found = series.outcomes(study_with_pauses())
    assert found.states == {"complete": 2, "failed": 1, "stopped": 3, "paused": 2, "running": 2}
    assert found.failed == {"oom": 1}
    assert sum(found.stopped.values()) >= 3


@given(st.integers(0, 60), st.integers(1, 6), st.integers(1, 6), st.randoms(use_true_random=False))
def test_thinning_keeps_one_point_of_each_cell(n, wide, high, random):
    x, y = (np.array([random.choice([random.random(), math.nan]) for _ in range(n)]) for _ in "xy")
    kept = series.thinned(x, y, cells=(wide, high)).tolist()
    cells = {}
    for k in range(n):
        if not math.isnan(x[k] + y[k]):
            cells.setdefault((int(x[k] * (wide - 1)), int(y[k] * (high - 1))), k)
    assert kept == sorted(cells.values())


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.booleans())
def test_ticks_lie_on_the_axis(low, span, whole):
    axis = Axis("x", np.empty(0), low, low + span, log=False, whole=whole)
    at, labels = axis.ticks()
    assert len(at) == len(labels) <= MOST_TICKS
    assert ((at >= axis.low) & (at <= axis.high)).all()
    assert (np.diff(at) > 0).all()
    assert not whole or (at == np.rint(at)).all()


@given(st.floats(-12, 12), st.floats(1e-3, 40))
def test_ticks_of_a_logarithmic_axis_lie_on_it(low, decades):
    axis = value_axis("loss", 10.0 ** np.array([low, low + decades]))
    axis = axis._replace(log=True)
    at, labels = axis.ticks()
    assert 1 <= len(at) == len(labels) <= MOST_TICKS
    assert (at >= axis.low * (1 - 1e-9)).all()
    assert (at <= axis.high * (1 + 1e-9)).all()
    assert (np.diff(at) > 0).all()


def test_ticks_read_well():
    def labels(low, high, **options):
        return Axis("x", np.empty(0), low, high, **{"log": False} | options).ticks()[1]

    assert labels(0.0, 1.0) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert labels(1e-5, 1.0, log=True) == ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]
    assert labels(-0.5, 2.5, labels=("a", "b", "c")) == ["a", "b", "c"]
    assert labels(1.0, 512.0, whole=True) == ["100", "200", "300", "400", "500"]
    assert len(labels(-0.5, 99.5, labels=tuple(map(str, range(100))))) <= MOST_TICKS


def test_shares_of_an_axis():
    axis = Axis("x", np.empty(0), 1e-4, 1.0, log=True)
    np.testing.assert_allclose(share(np.array([1e-4, 1e-2, 1.0]), axis), [0, 0.5, 1], atol=1e-15)
    assert np.isnan(share(np.array([-1.0, math.nan]), axis)).all()
    point = Axis("x", np.empty(0), 2.0, 2.0, log=False)
    np.testing.assert_array_equal(share(np.array([2.0, math.nan]), point), [0.5, math.nan])


def test_choices_that_look_alike_are_told_apart():
    study = hpo.Study({"c": hpo.Categorical([1, "1", "a\nb"])}, sampler="random", seed=0)
    study.tell(study.ask(), 1.0)
    (axis,) = series.slices(study).axes
    assert axis.labels == ("1", "'1'", "'a\\nb'")


def test_offsets_spread_evenly():
    for up in (False, True):
        offset = np.sort(sideways(np.arange(100), up=up))
        assert offset[0] >= -0.25
        assert offset[-1] < 0.25
        assert np.diff(offset).max() < 3 * 0.5 / 100


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_contour_is_the_function_where_trials_are(direction):
    sign = 1.0 if direction == "minimize" else -1.0
    space = {"x": hpo.Float(-1, 1), "lr": hpo.Float(1e-4, 1, log=True), "idle": hpo.Float(0, 1)}
    study = hpo.Study(space, sampler="sobol", seed=0, direction=direction)

    def value(x, lr):
        return sign * (x**2 + (np.log10(lr) + 2) ** 2 / 4)

    batch = study.ask(128)
    study.tell(batch, value(batch["x"], batch["lr"]))
    found = contour(study, "x", "lr")
    x, lr = np.meshgrid(found.x, found.y)
    assert (found.x[0], found.x[-1]) == (-1, 1)
    np.testing.assert_allclose(found.y[[0, -1]], [1e-4, 1], rtol=1e-12)
    error = np.abs(found.mean - value(x, lr))
    assert np.median(error) < 0.05
    assert error.max() < 0.5
    assert found.mean.min() >= study.trials.value.min()
    assert found.mean.max() <= study.trials.value.max()
    assert ((found.doubt >= 0) & (found.doubt <= 1)).all()


def test_a_contour_doubts_what_no_trial_has_seen():
    study = hpo.Study({"x": hpo.Float(0, 1), "k": hpo.Categorical(["a", "b", "c"])}, sampler="random", seed=0)
    for x in np.linspace(0, 0.3, 20):
        study.add({"x": float(x), "k": "a"}, np.sin(40 * x))
    found = contour(study, "x", "k")
    assert found.mean.shape == found.doubt.shape == (3, len(found.x))
    seen, far = found.doubt[0][found.x < 0.3], found.doubt[0][found.x > 0.8]
    assert seen.max() < 0.4 < 0.8 < far.min()


def test_a_contour_of_many_trials_says_how_many_it_took():
    study = hpo.Study({"x": hpo.Float(0, 1), "n": hpo.Int(1, 3)}, sampler="random", seed=0)
    batch = study.ask(1000)
    study.tell(batch, batch["x"])
    found = contour(study, "n", "x")
    assert found.x.tolist() == [1, 2, 3]
    assert (found.fitted, len(found.trials.number)) == (MOST_TRIALS, 1000)
    with pytest.raises(hpo.ArgumentError, match="two different parameters, got 'x' twice"):
        contour(study, "x", "x")
    with pytest.raises(hpo.ArgumentError, match="'n' and 'x' are active, got none"):
        contour(hpo.Study(study.space), "n", "x")


def test_several_objectives():
    study = searched(metrics={"score": hpo.Maximize(), "loss": hpo.Minimize(), "ms": hpo.AtMost(5.0)})
    found = series.front(study)
    assert found.number[found.first].tolist() == sorted(study.front().number.tolist())
    np.testing.assert_array_equal(found.values["loss"], study.trials.values["loss"][found.number])
    grown = series.hypervolume(study)
    assert grown.volume[-1] == pytest.approx(study.hypervolume(grown.reference))
    assert (np.diff(grown.volume) >= 0).all()
    assert series.hypervolume(study, {"loss": 1.0}).reference["loss"] == 1.0


def test_an_unknown_metric_is_refused_with_a_hint():
    with pytest.raises(hpo.ArgumentError, match=r"metric must be one of .*got 'scor'; did you mean 'score'"):
        series.progress(searched(n=3), "scor")
