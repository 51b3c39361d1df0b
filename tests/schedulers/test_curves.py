"""Median, Percentile, Threshold and Patience against their definitions, in random asynchronous studies."""

from __future__ import annotations

import pytest
from oracles import schedulers as oracle
from schedulers.plays import Play, ask, empty, end, report
from studies import several

from hpo_core.errors import ArgumentError, StudyError
from hpo_core.log import State
from hpo_core.log.columns import Move
from hpo_core.metrics import AtMost, Maximize, Metrics, Minimize
from hpo_core.schedulers import Median, Patience, Percentile, Threshold
from hpo_core.schedulers.base import GO_ON

SEEDS = range(4)


def agrees(rule):
    """A check of every decision; ``rule`` says from (play, row) whether the trial stops."""

    def on_decide(play, row, verdict):
        last = play.says_planned and play.history.last_step(row) == play.planned - 1
        assert (verdict.move == Move.STOP) == (not last and rule(play, row))
        assert verdict.rung == -1

    return on_decide


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("says_planned", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"q": 50, "min_trials": 1, "warmup_steps": 0},
        {"q": 25, "min_trials": 4, "warmup_steps": 0},
        {"q": 75, "min_trials": 2, "warmup_steps": 3},
        {"q": 0, "min_trials": 1, "warmup_steps": 5},
        {"q": 100, "min_trials": 1, "warmup_steps": 0},
    ],
)
def test_a_trial_behind_the_percentile_stops(seed, says_planned, options):
    n_stopped = 0

    def rule(play, row):
        nonlocal n_stopped
        complete = {each for each, state in enumerate(play.history.state) if state == State.COMPLETE}
        stops = oracle.behind(play.log, complete, row, **options)
        n_stopped += stops
        return stops

    given = dict(options)
    scheduler = Percentile(given.pop("q"), **given)
    Play(scheduler, seed, planned=8, says_planned=says_planned, n_trials=25, on_decide=agrees(rule)).run()
    assert n_stopped or options["q"] == 100


def test_the_median_is_the_percentile_50():
    found = []
    for scheduler in (Median(min_trials=2), Percentile(50, min_trials=2)):
        play = Play(scheduler, 1, planned=8, n_trials=25).run()
        found.append((play.log, play.history.why))
    assert found[0] == found[1]
    assert found[0][1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("min_delta", [0.0, 1.0, 2.5])
def test_a_trial_that_no_longer_improves_stops(seed, min_delta):
    def rule(play, row):
        return oracle.is_stale(play.log, row, 4, min_delta)

    play = Play(Patience(4, min_delta=min_delta), seed, planned=20, n_trials=25, on_decide=agrees(rule)).run()
    assert play.history.count(State.STOPPED)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "options", [{"upper": 7}, {"lower": 1.5, "after": 2}, {"upper": 7, "lower": 0.5}, {"upper": 8}]
)
def test_a_trial_that_leaves_the_range_stops(seed, options):
    def rule(play, row):
        (step, value) = [(step, value) for each, step, value in play.log if each == row][-1]
        low, high = options.get("lower", -99), options.get("upper", 99)
        return step + 1 > options.get("after", 0) and not low <= value <= high

    Play(Threshold(**options), seed, n_trials=25, on_decide=agrees(rule)).run()


def decide(rule, metrics, values, planned=0):
    """The verdict on one trial that has reported values, in the study's own sign."""
    history = empty(metrics)
    rule.start(seed=0)
    ask(history)
    for step, value in enumerate(values):
        report(
            history,
            [0],
            step,
            [metrics.sign * value if len(metrics) > 1 else metrics.sign[0] * value],
            planned,
        )
        verdict = rule.decide(history, 0)
    return verdict


@pytest.mark.parametrize(("kind", "stops"), [(Minimize, True), (Maximize, True)])
def test_bounds_and_reasons_have_the_users_sign(kind, stops):
    metrics = Metrics({"y": kind()})
    assert decide(Threshold(upper=2.0), metrics, [2.0]) == GO_ON
    assert decide(Threshold(upper=2.0), metrics, [2.5]).reason == "step 0: 2.5 is above 2"
    assert decide(Threshold(lower=-2.0), metrics, [-2.5]).reason == "step 0: -2.5 is below -2"
    assert decide(Threshold(lower=0.0), metrics, [0.0]) == GO_ON
    assert decide(Patience(2), metrics, [7.0, 7.0, 7.0]).reason == "step 2: no better than 7 for 2 steps"
    assert stops


def test_the_reason_of_the_median_has_the_users_sign():
    rule, history = Median(min_trials=1), empty(Metrics({"y": Maximize()}))
    rule.start(seed=0)
    ask(history, 2)
    report(history, [0], 0, [-0.5])
    end(history, 0, State.COMPLETE)
    report(history, [1], 0, [-0.25])
    assert (
        rule.decide(history, 1).reason
        == "step 0: its best, 0.25, is behind the median of 1 complete trial, 0.5"
    )


@pytest.mark.parametrize("rule", [Threshold(upper=0.0), Patience(1), Median(min_trials=1)])
def test_nothing_is_decided_at_the_last_step(rule):
    metrics = Metrics({"y": Minimize()})
    assert decide(rule, metrics, [1.0, 1.0], planned=2) == GO_ON


@pytest.mark.parametrize("rule", [Threshold, Patience, Median, Percentile])
def test_one_metric_is_looked_at(rule):
    options = {"upper": 1.0} if rule is Threshold else {}
    with pytest.raises(StudyError, match="metric must be the name of a metric in a study with 2 objectives"):
        decide(rule(**options), several(2), [0.0, 0.0])
    with pytest.raises(StudyError, match="metric must be one of 'y0', 'y1', 'bound0', got 'loss'"):
        decide(rule(metric="loss", **options), several(2, 1), [0.0, 0.0])
    with pytest.raises(ArgumentError, match="metric must be the name of a metric or None, got 3"):
        rule(metric=3, **options)


def test_a_metric_may_be_named():
    metrics = Metrics({"score": Maximize(), "ms": AtMost(5.0)})
    rule, history = Threshold(metric="ms", upper=9.0), empty(metrics)
    rule.start(seed=0)
    ask(history)
    report(history, [0], 0, [[-3.0, 8.0]])
    assert rule.decide(history, 0) == GO_ON
    report(history, [0], 1, [[-3.0, 9.5]])
    assert rule.decide(history, 0).reason == "step 1: 9.5 is above 9"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Percentile(101), "q must be a number from 0 to 100, got 101"),
        (lambda: Percentile("a"), "q must be a number from 0 to 100, got 'a'"),
        (lambda: Median(min_trials=0), "min_trials must be an int >= 1, got 0"),
        (lambda: Median(warmup_steps=-1), "warmup_steps must be an int >= 0, got -1"),
        (lambda: Patience(0), "steps must be an int >= 1, got 0"),
        (lambda: Patience(3, min_delta=-1), "min_delta must be a finite number >= 0, got -1"),
        (Threshold, "upper or lower must be a number, got None for both"),
        (lambda: Threshold(upper=1, lower=2), "lower must be a number <= upper, 1, got 2"),
        (lambda: Threshold(upper=float("nan")), "upper must be a finite number or None, got nan"),
        (lambda: Threshold(upper=1, after=-1), "after must be an int >= 0, got -1"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
