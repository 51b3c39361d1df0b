"""Objectives written for Optuna run as they stand, or the error shows what to change."""

from __future__ import annotations

import objectives
import optuna
import pytest

import hpo_core as hpo
from hpo_core.integrations.optuna import objective
from hpo_core.log import State

SPACE = {
    "lr": hpo.Float(1e-5, 1e-1, log=True),
    "depth": hpo.Int(1, 9, step=2),
    "optimizer": hpo.Categorical({"sgd": {"momentum": hpo.Float(0.0, 0.99)}, "adam": {}}),
    "width": hpo.Ordinal([16, 32, 64]),
    "epochs": 10,
}


def theirs(trial):
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 9, step=2)
    width = trial.suggest_categorical("width", [16, 32, 64])
    if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
        lr *= 1 - trial.suggest_float("momentum", 0.0, 0.99)
    trial.set_user_attr("size", depth * width)
    for step in range(5):
        trial.report(lr + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    assert trial.params.keys() == trial.distributions.keys()
    assert trial.user_attrs == {"size": depth * width}
    return lr


@pytest.mark.parametrize("scheduler", [None, hpo.ASHA(min_steps=1, max_steps=5)])
def test_an_objective_of_optuna_runs_as_it_stands(scheduler):
    study = hpo.Study(SPACE, sampler="tpe", scheduler=scheduler, seed=0)
    study.optimize(objective(theirs, study), n_trials=30)
    assert all(trial.notes == {"size": trial["depth"] * trial["width"]} for trial in study.trials)
    assert (study.history.count(State.STOPPED) > 0) == (scheduler is not None)
    assert study.history.count(State.FAILED) == 0


def test_it_suggests_what_the_study_would_suggest_by_itself():
    ours, through = (hpo.Study(SPACE, sampler="tpe", seed=1) for _ in range(2))
    through.optimize(objective(theirs, through), n_trials=15)
    ours.optimize(lambda trial: trial["lr"] * (1 - trial.params.get("momentum", 0.0)), n_trials=15)
    assert [trial.params for trial in through.trials] == [trial.params for trial in ours.trials]


def test_it_runs_in_worker_processes():
    study = hpo.Study({"x": hpo.Float(-5, 5)}, sampler="random", seed=0)
    study.optimize(objective(objectives.written_for_optuna, study), n_trials=6, executor=2)
    assert study.trials.value.tolist() == [(x - 2) ** 2 for x in study.trials["x"].tolist()]


def test_constraints_are_metrics():
    def theirs(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("cost", x - 0.5)
        assert trial.constraints == {"cost": x - 0.5}
        trial.report(x, 0)
        return x, -x

    metrics = {"a": hpo.Minimize(), "b": hpo.Minimize(), "cost": hpo.AtMost(0)}
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"a": metrics["a"], "cost": metrics["cost"]}, seed=0)
    one = objective(lambda trial: theirs(trial)[0], study)
    study.optimize(one, n_trials=3)
    assert study.trials[0].values == {"a": study.trials[0]["x"], "cost": study.trials[0]["x"] - 0.5}

    def two(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("cost", x)
        return x, -x

    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, seed=0)
    study.optimize(objective(two, study), n_trials=3)
    assert study.trials.values["b"].tolist() == (-study.trials["x"]).tolist()


def test_two_values_come_through_as_they_are():
    metrics = {"a": hpo.Minimize(), "b": hpo.Maximize()}
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, seed=0)
    study.optimize(objective(lambda trial: (trial.suggest_float("x", 0, 1), 2.0), study), n_trials=2)
    assert study.trials.values["b"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            lambda t: t.suggest_float("lr", 1e-5, 1e-1),
            r"hpo.Float\(1e-05, 0.1, log=True\), as the space .*got hpo",
        ),
        (lambda t: t.suggest_float("lr", 1e-5, 1, log=True), r'declare `"lr": hpo.Float\(1e-05, 1'),
        (lambda t: t.suggest_int("lr", 1, 2), r"suggest_int\('lr'"),
        (lambda t: t.suggest_int("depth", 1, 9), r"hpo.Int\(1, 9, step=2\)"),
        (lambda t: t.suggest_categorical("optimizer", ["sgd"]), r"hpo.Categorical"),
        (lambda t: t.suggest_categorical("width", [16, 32, 128]), r"hpo.Ordinal\(\[16, 32, 64\]\)"),
        (lambda t: t.suggest_int("epochs", 1, 10), r"must ask for 10"),
        (lambda t: t.suggest_float("l_r", 0, 1), r'`"l_r": hpo.Float\(0.0, 1.0\)`.*did you mean .lr'),
    ],
)
def test_other_ranges_than_declared_are_refused(asked, message):
    study = hpo.Study(SPACE, sampler="random", seed=0)
    with pytest.raises(hpo.SpaceError, match=message):
        study.optimize(objective(asked, study), n_trials=1)


@pytest.mark.parametrize(("arguments", "named"), [((3, None), "function"), ((theirs, None), "study")])
def test_refused_arguments_are_named(arguments, named):
    with pytest.raises(hpo.ArgumentError, match=named):
        objective(*arguments)
