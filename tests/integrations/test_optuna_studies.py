"""A study of Optuna as ours, ours as a study of Optuna, and there and back again."""

from __future__ import annotations

import json
import math
import time
from datetime import datetime

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

import hpo_core as hpo
from hpo_core import cli
from hpo_core.integrations.optuna import HpoSampler, from_optuna, to_optuna
from hpo_core.integrations.optuna.bulk import create_trials
from hpo_core.integrations.optuna.distributions import labels
from hpo_core.log import State


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(before)


SPACE = hpo.Space(
    {
        "optimizer": hpo.Categorical({"sgd": {"momentum": hpo.Float(0.0, 0.99)}, "adam": {}}),
        "depth": hpo.Int(1, 9, step=2),
        "width": hpo.Ordinal([16, 32, 64]),
        "lr": hpo.Float(1e-5, 1e-1, log=True),
        "kernel": hpo.Categorical([(3, 3), (5, 5), None, True, "same"]),
        "scale": hpo.Float(-1.0, 1.0, step=0.1, when=hpo.param("depth") >= 5),
        "epochs": 10,
    },
    forbid=[(hpo.param("width") == 64) & (hpo.param("depth") == 9)],
)
GOALS = {
    "one": {"direction": "maximize"},
    "named": {"metrics": {"loss": hpo.Minimize(reference=3.0)}},
    "bounded": {"metrics": {"ms": hpo.AtMost(5.1), "error": hpo.Minimize(), "accuracy": hpo.AtLeast(-0.3)}},
    "several": {"metrics": {"error": hpo.Minimize(), "gain": hpo.Maximize(), "ms": hpo.AtMost(0.1)}},
}
NUMBERS = st.floats(-1e6, 1e6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | NUMBERS | st.text("abé<'", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=2),
    max_leaves=4,
)
NOTES = st.dictionaries(st.text("xyz ", min_size=1, max_size=3), JSON, max_size=2)
ENDS = ("complete", "stopped", "failed", "failed report", "running", "added")


@st.composite
def studies(draw):
    """Studies whose trials have ended in every way, with reports, notes and a queue."""
    study = hpo.Study(
        SPACE, sampler="random", seed=draw(st.integers(0, 999)), **GOALS[draw(st.sampled_from([*GOALS]))]
    )
    names = list(study.metrics)

    def result():
        values = {name: draw(NUMBERS) for name in names}
        return values["value"] if names == ["value"] else values

    for end in draw(st.lists(st.sampled_from(ENDS), max_size=8)):
        if end == "added":
            study.add(
                SPACE.default() | {"lr": draw(st.floats(1e-3, 5.0)), "depth": 11, "scale": 0.1}, result()
            )
            continue
        trial = study.ask()
        for step in sorted(draw(st.sets(st.integers(0, 50), max_size=3))):
            trial.report(step, result())
        trial.note(**draw(NOTES))
        if end == "complete":
            study.tell(trial, result())
        elif end == "failed":
            study.fail(trial, reason=draw(st.text("why? ", max_size=9)) or "so")
        elif end != "running":
            study.stop_trials(trial)  # which fails without a report
    for _ in range(draw(st.integers(0, 2))):
        study.enqueue(
            {"depth": draw(st.sampled_from([1, 5])), "kernel": draw(st.sampled_from([(3, 3), None]))}
        )
    study.note(**draw(NOTES))
    return study


def facts(study):
    """Everything about a study that a copy keeps."""
    batch = study.trials
    finished = study.history.state >= State.COMPLETE
    assert State.RUNNING < State.COMPLETE
    return {
        "space": study.space,
        "metrics": study.metrics.to_json(),
        "states": [State(each).name for each in batch.state],
        "params": [trial.params for trial in batch],
        "values": [trial.values for trial in batch],
        "reports": batch.reports,
        "notes": batch.notes,
        "reasons": batch.reason,
        "queue": [SPACE.codec.decode_params(each.fixed, each.given) for each in study.history.queue],
        "study notes": study.notes,
        "seconds": study.history.cost[finished],
        "started": study.history.started[finished],
    }


def assert_same(one, other):
    for (name, here), there in zip(facts(one).items(), facts(other).values(), strict=True):
        if name in ("seconds", "started"):
            np.testing.assert_allclose(here, there, atol=2e-6, rtol=0)
        else:
            assert here == there, name


@settings(max_examples=60, deadline=None)
@given(studies())
def test_there_and_back_again_is_the_same_study(study):
    assert_same(study, from_optuna(to_optuna(study), sampler="random", seed=0))


@settings(max_examples=3, deadline=None)
@given(studies())
def test_there_and_back_again_by_a_database_and_into_a_storage(study):
    storage = optuna.storages.RDBStorage("sqlite:///:memory:")
    to_optuna(study, storage, "s")
    again = optuna.load_study(study_name="s", storage=storage)
    copied = from_optuna(again, name="s", storage=hpo.storage.MemoryStorage(), sampler="random", seed=0)
    assert_same(study, copied)


@settings(max_examples=3, deadline=None)
@given(studies())
def test_many_rows_at_once_are_what_optuna_writes_one_by_one(study):
    storage = optuna.storages.RDBStorage("sqlite:///:memory:")
    at_once = to_optuna(study, storage, "at once")
    directions = at_once.directions
    one_by_one = optuna.create_study(study_name="one by one", storage=storage, directions=directions)
    for trial in to_optuna(study).get_trials():
        one_by_one._storage.create_new_trial(one_by_one._study_id, template_trial=trial)
    for here, there in zip(at_once.trials, one_by_one.trials, strict=True):
        there._trial_id = here._trial_id
        assert {**vars(here), "_user_attrs": 0} == {**vars(there), "_user_attrs": 0}
        assert repr(here.user_attrs) == repr(there.user_attrs)


def test_a_storage_without_tables_takes_trials_one_by_one():
    study = optuna.create_study()
    trial = optuna.create_trial(value=1.0)
    create_trials(study._storage, study._study_id, [trial, trial])
    assert study.best_value == 1.0


def layers(trial):
    n = trial.suggest_int("n_layers", 1, 3)
    if trial.suggest_categorical("optimizer", ["adam", "sgd"]) == "sgd":
        trial.suggest_float("momentum", 0.0, 0.99)
    return float(sum(trial.suggest_int(f"width_{k}", 8, 64, log=True) for k in range(n)))


def test_a_study_of_optuna_becomes_one_with_conditions():
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
    theirs.set_user_attr("team", "vision")

    def objective(trial):
        trial.set_user_attr("host", f"gpu{trial.number % 2}")
        value = layers(trial)
        for step in range(3):
            trial.report(value / (3 - step), step)
        if trial.number % 7 == 3:
            raise optuna.TrialPruned
        if trial.number % 11 == 5:
            raise ValueError("diverged")
        return value

    theirs.optimize(objective, n_trials=40, catch=ValueError)
    theirs.enqueue_trial({"n_layers": 2, "optimizer": "adam"})
    running = theirs.ask()
    layers(running)  # it takes the queued one
    theirs.enqueue_trial({"n_layers": 1})
    ours = from_optuna(theirs, seed=0)
    assert set(repr(ours.space).split("\n")[1:-1]) == {
        "    n_layers: Int(1, 3)",
        "    optimizer: Categorical(['adam', 'sgd'])",
        "    momentum: Float(0.0, 0.99) when optimizer.isin(['sgd'])",
        "    width_0: Int(8, 64, log=True)",
        "    width_1: Int(8, 64, log=True) when n_layers >= 2",
        "    width_2: Int(8, 64, log=True) when n_layers >= 3",
    }
    for mine, other in zip(ours.trials, theirs.trials, strict=False):
        assert mine.params == other.params
        assert mine.notes == other.user_attrs
        assert mine.reports == sorted(other.intermediate_values.items())
        if other.datetime_complete is not None:
            assert abs(ours.history.started[mine.number] - other.datetime_start.timestamp()) < 1e-5
            assert abs(ours.history.cost[mine.number] - other.duration.total_seconds()) < 1e-5
    names = {"COMPLETE": "COMPLETE", "PRUNED": "STOPPED", "FAIL": "FAILED", "RUNNING": "RUNNING"}
    states = [names[trial.state.name] for trial in theirs.trials if trial.state is not TrialState.WAITING]
    assert [trial.state.name for trial in ours.trials] == states
    assert len(ours.history.queue) == 1
    assert ours.notes == {"team": "vision"}
    assert ours.best_value == theirs.best_value
    assert ours.trials[5].reason == "failed in Optuna"
    ours.optimize(lambda trial: 1.0, n_trials=2)
    assert ours.trials[-2]["n_layers"] == 1


def test_what_no_rule_explains_gets_a_choice():
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        return trial.suggest_float("y", 0, 1) + trial.suggest_float("z", 0, 1) if x < 0.5 else x

    theirs.optimize(objective, n_trials=20)
    ours = from_optuna(theirs)
    assert ours.space.parameters["use y, z"].choices == (True, False)
    for mine, other in zip(ours.trials, theirs.trials, strict=True):
        assert mine.params == {"use y, z": "y" in other.params} | other.params


def test_a_trial_that_ended_early_gets_the_rest_drawn():
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 2:
            raise ValueError
        return x + trial.suggest_categorical("k", [1, 2])

    theirs.optimize(objective, n_trials=10, catch=ValueError)
    ours = from_optuna(theirs)
    assert all(trial["k"] in (1, 2) for trial in ours.trials)
    assert [trial.notes for trial in ours.trials] == [{}, {"not suggested": ["k"]}] * 5


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_constraints_metric_names_and_several_objectives():
    theirs = optuna.create_study(directions=["minimize", "maximize"])
    theirs.set_metric_names(["loss", "gain"])
    for number in range(6):
        trial = theirs.ask({"x": FloatDistribution(0, 1)})
        if number:
            trial.set_constraint("memory", number - 3.0)
            trial.set_constraint("0", -1.0)
        theirs.tell(trial, [float(number), 1.0])
    ours = from_optuna(theirs)
    assert [(name, each.kind) for name, each in ours.metrics.items()] == [
        ("loss", "minimize"),
        ("gain", "maximize"),
        ("memory", "at_most"),
        ("constraint_0", "at_most"),
    ]
    assert ours.trials[0].values == {"loss": 0.0, "gain": 1.0, "memory": 0.0, "constraint_0": 0.0}
    assert ours.trials.feasible.tolist() == [True] * 4 + [False] * 2
    assert sorted(each.number for each in theirs.best_trials) == ours.front().number.tolist()


def test_trials_that_optuna_adds_to_a_copy_come_back():
    ours = hpo.Study({"x": hpo.Float(0, 1)}, metrics=GOALS["bounded"]["metrics"], seed=0)
    ours.optimize(lambda trial: {"ms": 5.0, "error": trial["x"], "accuracy": 1.0}, n_trials=3)
    theirs = to_optuna(ours)
    trial = theirs.ask({"x": FloatDistribution(0, 1)})
    trial.set_constraint("ms", 0.9)
    trial.set_constraint("accuracy", -0.25)
    theirs.tell(trial, 0.5)
    back = from_optuna(theirs)
    assert back.trials[3].values == {"error": 0.5, "ms": pytest.approx(6.0), "accuracy": pytest.approx(-0.05)}


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_failure_here(value):
    theirs = optuna.create_study()
    theirs.tell(theirs.ask({"x": FloatDistribution(0, 1)}), value)
    assert from_optuna(theirs).trials[0].state is State.FAILED


@pytest.mark.parametrize("choices", [[1, True, "a"], [math.nan, 1.0], [1, 1.0]])
def test_choices_that_a_space_refuses_become_text(choices):
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    theirs.optimize(lambda t: float(t.suggest_categorical("k", choices) is None), n_trials=12)
    theirs.enqueue_trial({"k": choices[1]})
    ours = from_optuna(theirs)
    assert ours.space.parameters["k"].choices == tuple(map(repr, choices))
    assert len(ours.trials) == 12


def test_what_a_waiting_trial_has_beside_the_space_is_left_out():
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    theirs.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
    theirs.enqueue_trial({"x": 0.25, "misspelt": 1})
    assert from_optuna(theirs).ask().params == {"x": 0.25}


def test_a_study_that_does_not_fit_leaves_nothing(tmp_path):
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    theirs.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=5)
    options = {"name": "copy", "storage": str(tmp_path / "s.db")}
    with pytest.raises(hpo.SpaceError, match="'y'"):
        from_optuna(theirs, {"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, **options)
    assert len(from_optuna(theirs, **options).trials) == 5
    with pytest.raises(hpo.StudyError, match="'copy'"):
        from_optuna(theirs, **options)
    assert len(hpo.Study({"x": hpo.Float(0, 1)}, **options).trials) == 5


def test_many_choices_take_no_time():
    choices = [*range(20_000), *map(float, range(20_000))]
    begun = time.perf_counter()
    assert labels(choices) == choices
    assert time.perf_counter() - begun < 5.0
    assert labels([(1,), "(1,)", math.nan, math.nan])[:2] == ["(1,)", "(1,)'"]


def test_a_space_may_be_given():
    theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    theirs.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=5)
    ours = from_optuna(theirs, {"x": hpo.Float(0, 0.5)}, sampler="tpe", name="wide")
    assert ours.space.parameters["x"].high == 0.5
    assert ours.trials["x"].tolist() == [trial.params["x"] for trial in theirs.trials]
    with pytest.raises(hpo.SpaceError, match="'y'"):
        from_optuna(theirs, {"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)})


def test_our_sampler_goes_on_with_our_trials():
    ours = hpo.Study({"x": hpo.Float(-5, 5)}, seed=0, sampler="gp")
    ours.optimize(lambda trial: (trial["x"] - 2) ** 2, n_trials=12)
    theirs = to_optuna(ours)
    theirs.sampler = HpoSampler("gp", seed=0)
    theirs.optimize(lambda trial: (trial.suggest_float("x", -5, 5) - 2) ** 2, n_trials=5)
    assert theirs.best_value < 1e-3


def test_a_copy_has_the_times_and_distributions_of_the_study():
    ours = hpo.Study(SPACE, sampler="random", seed=0)
    began = datetime(2026, 1, 2, 3, 4, 5).timestamp()
    ours.add(SPACE.default(), 1.0, started=began, seconds=2.5, notes={"host": "a"})
    (trial,) = to_optuna(ours).trials
    assert trial.datetime_start == datetime(2026, 1, 2, 3, 4, 5)
    assert trial.duration.total_seconds() == 2.5
    assert trial.user_attrs == {"host": "a"}
    assert trial.distributions["depth"] == IntDistribution(1, 9, step=2)
    assert trial.distributions["kernel"] == CategoricalDistribution(["(3, 3)", "(5, 5)", None, True, "same"])


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda s: to_optuna(3), "study"),
        (lambda s: to_optuna(s, "nonsense"), "storage"),
        (lambda s: to_optuna(s, 3), "storage"),
        (lambda s: to_optuna(s, None, 3), "name"),
        (from_optuna, "study"),
        (lambda s: from_optuna(optuna.create_study()), "space"),
        (lambda s: from_optuna(to_optuna(s), 3), "parameters"),
        (lambda s: from_optuna(to_optuna(s), direction="maximize"), "direction"),
        (lambda s: from_optuna(to_optuna(s), metrics={}), "metrics"),
    ],
)
def test_refused_arguments_are_named(call, named):
    study = hpo.Study({"x": hpo.Float(0, 1)}, seed=0)
    study.tell(study.ask(), 1.0)
    with pytest.raises(hpo.ArgumentError, match=named):
        call(study)


def test_a_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'o.db'}"
    study = hpo.Study({"x": hpo.Float(0, 1)}, name="s", seed=0)
    study.tell(study.ask(), 1.0)

    def refuse(*_):
        raise ValueError("no room")

    monkeypatch.setattr("hpo_core.integrations.optuna.studies.create_trials", refuse)
    with pytest.raises(hpo.ArgumentError, match="no room"):
        to_optuna(study, url)
    assert optuna.get_all_study_names(url) == []


def test_the_command_line_copies_a_study(tmp_path, capsys):
    ours, theirs = str(tmp_path / "s.db"), f"sqlite:///{tmp_path / 'o.db'}"
    study = hpo.Study(SPACE, name="digits", storage=ours, sampler="random", seed=0)
    study.optimize(lambda trial: trial["lr"], n_trials=5)
    assert cli.main(["export", ours, "digits", theirs, "--to", "optuna", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"optuna": theirs, "study": "digits", "trials": 5}
    assert optuna.load_study(study_name="digits", storage=theirs).best_value == study.best_value
    assert cli.main(["export", ours, "digits", theirs, "--to", "optuna"]) == 1
    assert "name must be new in the storage" in capsys.readouterr().err
    assert cli.main(["export", ours, "digits", theirs, "--to", "optuna", "--reports"]) == 1
    assert "--reports" in capsys.readouterr().err


@pytest.mark.soak
def test_ten_thousand_trials_take_seconds(tmp_path):
    study = hpo.Study({f"x{k}": hpo.Float(0, 1) for k in range(10)}, name="s", sampler="random", seed=0)
    study.tell(study.ask(10_000), np.arange(10_000.0))
    theirs = to_optuna(study, f"sqlite:///{tmp_path / 'o.db'}")
    assert from_optuna(theirs, sampler="random").trials.value.tolist() == study.trials.value.tolist()
