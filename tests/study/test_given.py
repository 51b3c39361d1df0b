"""Configurations that come from the user: enqueued, added, repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from studies import FULL, fingerprint, hashed_study, small_space

from hpo_core.errors import SpaceError, SpaceExhausted, TrialError
from hpo_core.log import State
from hpo_core.space import Float, Int, param
from hpo_core.study import Study


@pytest.fixture
def study():
    return hashed_study()


class TestEnqueue:
    def test_it_comes_first_and_in_order(self, study):
        study.enqueue(FULL)
        study.enqueue(FULL | {"depth": 4})
        study.enqueue({"optimizer": "adam"})
        batch = study.ask(2)
        assert batch[0].params == FULL | {"epochs": 10}
        assert batch[1]["depth"] == 4
        later = study.ask(3)
        assert later[0]["optimizer"] == "adam"
        tiers = [study.history.origins[tier] for tier in study.history.origin]
        assert tiers == ["enqueued"] * 3 + ["hashed"] * 2

    def test_the_sampler_fills_what_is_left_open(self, study):
        for _ in range(20):
            study.enqueue({"optimizer": "sgd", "depth": 3})
        trials = [study.ask() for _ in range(20)]
        assert {(trial["optimizer"], trial["depth"]) for trial in trials} == {("sgd", 3)}
        assert len({trial["lr"] for trial in trials}) == 20
        assert all(0 <= trial["momentum"] <= 0.99 for trial in trials)

    @pytest.mark.parametrize(
        "params", [{"lrr": 1}, {"lr": 1.0}, {"batch": 17}, {"optimizer": "lion"}, 3, None]
    )
    def test_what_is_not_in_the_space_is_refused(self, study, params):
        with pytest.raises(SpaceError):
            study.enqueue(params)
        assert not study.history.queue

    def test_a_forbidden_configuration_is_refused_at_once(self):
        space = small_space(forbid=[(param("batch") == 32) & (param("depth") == 2)])
        study = hashed_study(space=space)
        with pytest.raises(SpaceError, match="params must satisfy the constraints"):
            study.enqueue(FULL)

    def test_a_completion_obeys_the_constraints(self):
        space = small_space(
            forbid=[(param("batch") == 32) & (param("depth") <= 3)],
            feasible=lambda columns: columns["lr"] < 0.05,
        )
        study = hashed_study(space=space)
        for _ in range(10):
            study.enqueue({"batch": 32})
        for trial in study.ask(10):
            assert trial["depth"] == 4
            assert trial["lr"] < 0.05

    def test_what_cannot_be_completed_is_a_failed_trial(self):
        study = hashed_study(space=small_space(forbid=[param("batch") == 32]))
        study.enqueue({"batch": 32})
        study.enqueue({"batch": 64})
        assert study.ask()["batch"] == 64
        assert study.trials[0].reason == "the constraints permit no completion of the enqueued configuration"
        study.enqueue({"batch": 32})
        assert study.ask(2).number.tolist() == [3, 4]


class TestAdd:
    def test_a_result_from_elsewhere_counts(self, study):
        trial = study.add(FULL, 0.25)
        assert (trial.number, trial.state, trial.value) == (0, State.COMPLETE, 0.25)
        assert study.best_params == FULL | {"epochs": 10}
        assert study.add(FULL, math.nan).state == State.FAILED

    @pytest.mark.parametrize(
        ("params", "value", "error"),
        [
            (FULL, "1", TrialError),
            (FULL, None, TrialError),
            ({"lr": 0.01}, 1.0, SpaceError),
            (FULL | {"batch": 33}, 1.0, SpaceError),
            (FULL | {"lr": math.nan}, 1.0, SpaceError),
            (FULL | {"unknown": 7.0}, 1.0, SpaceError),
            (None, 1.0, SpaceError),
        ],
        ids=str,
    )
    def test_what_is_wrong_changes_nothing(self, study, params, value, error):
        before = fingerprint(study)
        with pytest.raises(error):
            study.add(params, value)
        assert fingerprint(study) == before


class TestExhaustion:
    def test_started_trials_come_before_exhaustion(self):
        study = Study({"a": Int(0, 1), "b": Int(0, 1)}, sampler="random", seed=0)
        study.tell(study.ask(4), [0.0] * 4)
        study.enqueue({"a": 0, "b": 0})
        study.enqueue({"a": 0})
        batch = study.ask(2)
        assert batch.number.tolist() == [4]
        study.tell(batch, [1.0])
        with pytest.raises(SpaceExhausted):
            study.ask()
        assert len(study.history.running) == 0
        assert study.replay()


class TestRepeat:
    def test_repeat_runs_a_configuration_again(self, study):
        trial = study.ask(10)[4]
        study.tell(trial, 0.5)
        again = study.ask(repeat=trial)
        assert again.number == 10
        assert again.params == trial.params
        assert again.seed != trial.seed
        assert [t.params for t in study.ask(3, repeat=again.number)] == [trial.params] * 3

    @pytest.mark.parametrize("wrong", [99, -1, "0", 1.0, None])
    def test_only_known_trials_repeat(self, study, wrong):
        study.ask()
        if wrong is None:
            wrong = hashed_study().ask()
        with pytest.raises(TrialError):
            study.ask(repeat=wrong)
        assert len(study.trials) == 1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_gives_its_columns(library):
    pytest.importorskip(library)
    old = Study(small_space(), sampler="random", seed=0)
    old.optimize(lambda trial: trial["depth"], n_trials=12)
    frame = getattr(old, f"to_{library}")()
    names = {name: name.removeprefix("params_") for name in frame.columns if name.startswith("params_")}
    params = frame[list(names)]
    params = params.rename(columns=names) if library == "pandas" else params.rename(names)
    new = Study(small_space(), sampler="random", seed=0)
    new.add(params, frame["value"])
    assert [trial.params for trial in new.trials] == [trial.params for trial in old.trials]
    assert new.trials.value.tolist() == old.trials.value.tolist()
    with pytest.raises(SpaceError, match="unknown parameter 'depths'"):
        new.add(
            params.assign(depths=1) if library == "pandas" else params.with_columns(depths=1), frame["value"]
        )


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_data_frame_without_values_is_one_trial_a_row(library, n):
    frame = pytest.importorskip(library).DataFrame({"x": [0.5] * n})
    study = Study({"x": Float(0, 1)}, sampler="random", seed=0)
    assert len(study.add(frame, state="failed", reason="diverged")) == n
    assert [trial.reason for trial in study.trials] == ["diverged"] * n
    with pytest.raises(TrialError, match=f"values must be an array of {n} numbers"):
        study.add(frame, 1.0)


def test_what_has_columns_and_is_no_data_frame_is_named():
    class Table:
        columns = ("x",)

    class Lazy(Table):
        def __getitem__(self, name):
            raise TypeError

    study = Study({"x": Float(0, 1)}, sampler="random", seed=0)
    numbers = np.rec.array([(0.5,)], dtype=[("columns", float)])
    for wrong in (Table(), Lazy(), Table, type("Table", (), {"columns": None})(), numbers):
        with pytest.raises(SpaceError, match=r"params must be a mapping .* or a data frame"):
            study.add(wrong, [1.0])
    rows = type("Rows", (list,), {"columns": ("x",)})([{"x": 0.5}])
    assert study.add(rows, [1.0])["x"].tolist() == [0.5]
