"""Ready callbacks end a search when they say, in either direction, and in a study that goes on."""

from __future__ import annotations

import pickle

import pytest

import hpo_core as hpo

SPACE = {"x": hpo.Float(0, 1)}


def searched(values, callback, **options):
    """A study whose trials have these values, as far as the callback lets it come; None fails."""
    study = hpo.Study(SPACE, **({"sampler": "random", "seed": 0} | options))

    def objective(trial):
        value = values[trial.number]
        if value is None:
            raise hpo.TrialFailed("no value")
        return value

    study.optimize(objective, n_trials=len(values) - len(study.trials), callbacks=[callback])
    return study


@pytest.mark.parametrize(
    ("values", "n"),
    [
        ([3, 2, 1, 1, 1, 1, 1], 6),  # equal is no better
        ([3, 4, 5, 2, 4, 5, 1, 0], 8),
        ([1, None, 3, None, 0], 4),
        ([None, None, None, 1], 3),
        ([1, 2], 2),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_no_improvement_counts_trials_in_a_row(values, n, sign):
    values = [None if value is None else sign * value for value in values]
    study = searched(values, hpo.callbacks.NoImprovement(3), direction="minimize" if sign > 0 else "maximize")
    assert study.n_finished == n


@pytest.mark.parametrize("sign", [1, -1])
def test_a_target_ends_when_it_is_reached(sign):
    values = [sign * value for value in (3.0, 2.0, 0.5, 0.25, 0.1)]
    direction = "minimize" if sign > 0 else "maximize"
    assert searched(values, hpo.callbacks.Target(sign * 0.5), direction=direction).n_finished == 3
    assert searched(values, hpo.callbacks.Target(sign * 0.01), direction=direction).n_finished == 5
    assert searched([None, None], hpo.callbacks.Target(0), direction=direction).n_finished == 2


def test_what_earlier_calls_have_found_counts(tmp_path):
    options = {"storage": tmp_path / "s.db", "name": "s"}
    rule = hpo.callbacks.NoImprovement(3)
    study = searched([1.0, 2.0, 3.0], rule, **options)
    assert study.n_finished == 3
    assert (
        searched([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], pickle.loads(pickle.dumps(rule)), **options).n_finished == 4
    )
    assert searched([1.0] * 6, hpo.callbacks.Target(1), **options).n_finished == 5


def test_a_better_trial_of_another_process_is_an_improvement(tmp_path):
    here, there = (
        hpo.Study(SPACE, sampler="random", seed=0, name="s", storage=str(tmp_path / "s.db")) for _ in range(2)
    )
    trial = here.add({"x": 0.5}, 1.0)
    there.add({"x": 0.25}, 0.5)
    hpo.callbacks.NoImprovement(1)(here, trial)
    assert here._stops == 0
    there.add({"x": 0.75}, 2.0)
    hpo.callbacks.NoImprovement(1)(here, trial)
    assert here._stops == 1


METRICS = {"error": hpo.Minimize(), "score": hpo.Maximize(), "ms": hpo.AtMost(5.0)}


@pytest.mark.parametrize(
    ("values", "n"),
    [
        (
            [(3, 1, 1), (2, 0, 1), (4, 2, 1), (4, 1, 1), (5, 2, 1), (3, 1, 1), (1, 9, 1)],
            6,
        ),  # equal is no better
        ([(3, 1, 1), (4, 0, 1), (1, 9, 6), (2, 1, 1), (2, 1, 1), (3, 0, 1), (3, 1, 1), (1, 1, 1)], 7),
        ([(3, 1, 8), (3, 1, 9), (3, 1, 7), (0, 9, 9), None, (0, 9, 8), (3, 1, 1)], 6),  # none keeps the bound
        ([None, None, None, (1, 1, 1)], 3),
        ([(1, 1, 1), (2, 2, 1)], 2),
    ],
)
def test_no_improvement_counts_trials_that_do_not_come_to_the_front(values, n):
    assert searched(values, hpo.callbacks.NoImprovement(3), metrics=METRICS).n_finished == n


def test_a_trial_that_was_pushed_off_the_front_at_once_was_an_improvement():
    values = [(3, 1, 1), (4, 0, 1), (2, 1, 1), (1, 1, 1), (5, 0, 1), (5, 0, 1), (0, 0, 0)]
    assert searched(values, hpo.callbacks.NoImprovement(2), metrics=METRICS).n_finished == 6


@pytest.mark.parametrize(
    ("target", "n"),
    [
        ({"error": 1.0}, 3),
        ({"score": 5.0}, 2),
        ({"error": 1.0, "score": 5.0}, 5),  # both by one trial
        ({"error": 1.0, "score": 5.1}, 6),
    ],
)
def test_a_target_of_several_objectives_is_reached_by_one_trial(target, n):
    values = [(0.5, 9.0, 5.1), (2.0, 5.0, 5.0), (1.0, 4.0, 1.0), None, (1.0, 5.0, 0.0), (9.0, 0.0, 0.0)]
    callback = pickle.loads(pickle.dumps(hpo.callbacks.Target(target)))
    assert searched(values, callback, metrics=METRICS).n_finished == n


def test_a_target_of_one_objective_keeps_the_bounds():
    metrics = {"score": hpo.Maximize(), "ms": hpo.AtMost(5.0)}
    values = [(9.0, 6.0), (1.0, 5.0), (9.0, 5.5), (3.0, 5.0), (4.0, 1.0)]
    for target in (3.0, {"score": 3.0}):
        assert searched(values, hpo.callbacks.Target(target), metrics=metrics).n_finished == 4


def test_targets_that_do_not_fit_are_refused():
    for value in ({}, {"error": "1"}, {"error": float("inf")}, [1.0], None):
        with pytest.raises(hpo.ArgumentError, match=r"value.* must"):
            hpo.callbacks.Target(value)
    for value, words in (
        (0.5, r"must be a mapping.*2 objectives \('error', 'score'\).*write Target\({'error': 0.5}\)"),
        ({"eror": 1.0}, "must name objectives .*got 'eror'; did you mean 'error'"),
        ({"ms": 1.0}, "must name objectives .*got 'ms'"),
    ):
        with pytest.raises(hpo.ArgumentError, match=words):
            searched([(1, 1, 1)], hpo.callbacks.Target(value), metrics=METRICS)
