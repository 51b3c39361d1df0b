"""Callbacks with methods follow each trial from start to end, in every executor, and lose no result."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import objectives
import pytest
from studies import make_study

import hpo_core as hpo
from hpo_core.executors import Processes, Simulated
from hpo_core.log import Move, State
from hpo_core.schedulers import Scheduler, Verdict


class Follower(hpo.callbacks.Callback):
    """Keeps what it is told, and checks that the study holds it by then."""

    def __init__(self):
        self.calls = []

    def of(self, number):
        return [call[0] if call[0] != "reported" else call[2:] for call in self.calls if call[1] == number]

    def on_asked(self, study, trial):
        assert trial.state == State.RUNNING
        self.calls.append(("asked", trial.number))

    def on_reported(self, study, trial, step, values):
        names = study.metrics.reader.measured
        held = [(at, value if len(names) > 1 else {names[0]: value}) for at, value in trial.reports]
        assert (step, {name: values[name] for name in names}) in held
        self.calls.append(("reported", trial.number, step, values))

    def on_paused(self, study, trial):
        assert trial.state == State.PAUSED
        self.calls.append(("paused", trial.number))

    def on_finished(self, study, trial):
        assert trial.state.name in ("COMPLETE", "STOPPED", "FAILED")
        self.calls.append(("finished", trial.number))


def expected(trial):
    return ["asked", *((step, {"value": value}) for step, value in trial.reports), "finished"]


@pytest.mark.parametrize(
    "executor",
    [None, Processes(2), ProcessPoolExecutor, Simulated(3, seconds=lambda trial, step: 1.0)],
    ids=["serial", "processes", "pool", "simulated"],
)
@pytest.mark.parametrize("stored", [False, True], ids=["memory", "sqlite"])
def test_each_trial_is_followed_in_order(executor, stored, tmp_path):
    options = {"storage": tmp_path / "s.db", "name": "s"} if stored else {}
    study, follower = make_study(**options), Follower()
    if executor is ProcessPoolExecutor:
        with ProcessPoolExecutor(2) as pool:
            study.optimize(objectives.reporting, n_trials=6, executor=pool, callbacks=[follower])
    else:
        study.optimize(objectives.reporting, n_trials=6, executor=executor, callbacks=[follower])
    assert len(study.trials) == 6
    for trial in study.trials:
        assert len(trial.reports) == 3
        assert follower.of(trial.number) == expected(trial)


def test_reports_are_told_before_the_next_step_in_this_process():
    study, follower, seen = make_study(), Follower(), []

    def objective(trial):
        for step in range(2):
            trial.report(step, trial["x"])
            seen.append(follower.calls[-1][:3])
        return 0.0

    study.optimize(objective, n_trials=2, callbacks=[follower])
    assert seen == [("reported", number, step) for number in (0, 1) for step in (0, 1)]


def test_a_batch_is_followed_trial_by_trial():
    study, follower = make_study(), Follower()

    def objective(batch):
        for step in range(2):
            batch.report(step, batch["x"] + step)
        return [hpo.TrialFailed("no") if k == 1 else x for k, x in enumerate(batch["x"])]

    study.optimize(objective, n_trials=5, batch_size=3, vectorized=True, callbacks=[follower])
    assert study.trials.state.tolist().count(State.FAILED) == 2
    for trial in study.trials:
        assert follower.of(trial.number) == expected(trial)
    assert [call[1] for call in follower.calls[:3]] == [0, 1, 2]


def test_values_are_by_name_in_the_direction_of_each_metric():
    metrics = {
        "score": hpo.Maximize(),
        "ms": hpo.AtMost(5.0),
        "twice": hpo.Minimize(known=lambda c: 2 * c["x"]),
    }
    study, follower = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, sampler="random", seed=0), Follower()

    def objective(trial):
        trial.report(0, {"score": 3.0, "ms": 4.0})
        return {"score": 1.0, "ms": 2.0}

    study.optimize(objective, n_trials=1, callbacks=[follower])
    assert follower.of(0)[1] == (0, {"score": 3.0, "ms": 4.0, "twice": 2 * study.trials[0]["x"]})


class PauseAtOne(Scheduler):
    """Pauses every trial after step 1; those below a half go on."""

    name, pauses = "pause at one", True

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        return Verdict(Move.PAUSE, 0, "all do") if history.last_step(row) == 1 else Verdict()

    def resume(self, history, n):
        value = history.reports.value[history.last_report[history.paused]]
        return history.paused[value < 0.5][:n].tolist()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_pauses_are_told_and_trials_that_go_on_are_asked_again(n_jobs, tmp_path):
    study = hpo.Study(
        {"x": hpo.Float(0, 1)}, scheduler=PauseAtOne(), sampler="random", seed=0, checkpoints=tmp_path
    )
    follower, ends = Follower(), []
    study.optimize(
        objectives.training_of_x, n_trials=8, n_jobs=n_jobs,
        callbacks=[follower, lambda _, trial: ends.append(trial.number)],
    )  # fmt: skip
    assert 0 < len(study.trials.where("paused")) < 8
    for trial in study.trials:
        reports = [(step, {"value": value}) for step, value in trial.reports]
        first, then = ["asked", *reports[:2], "paused"], ["asked", *reports[2:], "finished"]
        assert follower.of(trial.number) == first + (then if trial.state == State.COMPLETE else [])
    assert sorted(ends) == study.trials.where("complete").number.tolist()


def test_reports_that_are_dropped_are_not_told():
    study, follower = make_study(scheduler="asha"), Follower()

    def objective(trial):
        for step in (0, 1, 1, 0, 2):
            trial.report(step, 0.5)
        return 0.5

    study.optimize(objective, n_trials=1, callbacks=[follower])
    assert [call[2] for call in follower.calls if call[0] == "reported"] == [0, 1, 2]


def test_trials_of_others_are_not_told(tmp_path):
    here, there = (make_study(storage=str(tmp_path / "s.db"), name="s") for _ in range(2))
    other, follower = there.ask(), Follower()

    def objective(trial):
        other.report(trial.number, 0.25)
        trial.report(0, 0.5)
        return 0.5

    here.optimize(objective, n_trials=3, callbacks=[follower])
    assert {call[1] for call in follower.calls} == {1, 2, 3}
    assert len(here.history.reports.row) == 6


# Errors and Ctrl-C


class Raising(hpo.callbacks.Callback):
    def __init__(self, where):
        self.count = 0

        def fail(study, trial, *_):
            self.count += 1
            if trial.number >= 1:
                raise KeyError(where)

        setattr(self, where, fail)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("where", ["on_asked", "on_reported", "on_finished"])
def test_an_error_of_a_callback_ends_the_search_and_loses_nothing(where, n_jobs, caplog):
    study, raising, follower = make_study(), Raising(where), Follower()
    with pytest.raises(KeyError, match=where):
        study.optimize(objectives.reporting, n_trials=50, n_jobs=n_jobs, callbacks=[raising, follower])
    assert len(study.trials) <= 1 + 2 * n_jobs
    assert study.n_finished == len(study.trials)
    for trial in study.trials:
        told = follower.of(trial.number)
        assert told[0] == "asked"
        assert told[-1] == "finished"
        if trial.state == State.FAILED:  # it was never started
            assert where == "on_asked"
            assert trial.reason == "KeyError: 'on_asked'"
        else:
            assert told == expected(trial)
    if where == "on_reported":
        assert raising.count <= 3 * n_jobs + 1  # not again for later steps
    study.optimize(objectives.reporting, n_trials=1)


def test_after_ctrl_c_ends_are_told_to_methods_alone():
    study, follower, functions = make_study(), Follower(), []

    def objective(trial):
        trial.report(0, 1.0)
        if trial.number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        study.optimize(
            objective, n_trials=9, callbacks=[follower, lambda _, trial: functions.append(trial.number)]
        )
    assert study.trials[2].reason == "interrupted"
    assert follower.of(2) == ["asked", (0, {"value": 1.0}), "finished"]
    assert functions == [0, 1]


def test_ctrl_c_with_workers_closes_every_trial():
    study, follower = make_study(), Follower()

    class Interrupting(hpo.callbacks.Callback):
        def on_reported(self, study, trial, step, values):
            if len(follower.calls) > 8:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        study.optimize(
            objectives.reporting_and_napping, n_trials=50, n_jobs=2, callbacks=[Interrupting(), follower]
        )
    assert study.n_finished == len(study.trials) < 50
    assert {each.number for each in study.trials} == {call[1] for call in follower.calls}
    for trial in study.trials:
        assert follower.of(trial.number)[-1] == "finished"
        assert follower.of(trial.number).count("finished") == 1


def test_a_call_that_ctrl_c_breaks_off_is_repeated():
    study, follower = make_study(), Follower()

    class Interrupting(hpo.callbacks.Callback):
        told: list[int] = []  # noqa: RUF012

        def on_finished(self, study, trial):
            self.told.append(trial.number)
            if len(self.told) == 1:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        study.optimize(objectives.parabola, n_trials=2, callbacks=[Interrupting(), follower])
    assert Interrupting.told == [0, 0]
    assert follower.of(0) == ["asked", "finished"]
    assert study.trials[0].state == State.COMPLETE


def test_an_error_while_leaving_is_a_note():
    study = make_study()

    class Bad(hpo.callbacks.Callback):
        def on_finished(self, study, trial):
            raise OSError("tracker is away")

    def objective(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        study.optimize(objective, n_trials=2, callbacks=[Bad()])
    assert caught.value.__notes__ == ["Then OSError: tracker is away"]


# What is accepted


class OnlyFinished:
    def on_finished(self, study, trial):
        study.stop()


class Both(hpo.callbacks.Callback):
    def __init__(self):
        self.calls = []

    def on_finished(self, study, trial):
        self.calls.append("method")

    def __call__(self, study, trial):
        self.calls.append("function")


def test_any_object_with_a_method_is_a_callback_and_may_be_called_too():
    study, both = make_study(), Both()
    study.optimize(objectives.parabola, n_trials=9, callbacks=(each for each in (OnlyFinished(), both)))
    assert study.n_finished == 1
    assert both.calls == ["method", "function"]


class Misspelt:
    def on_finish(self, study, trial):
        pass


class Short(hpo.callbacks.Callback):
    def on_reported(self, study, trial, step):
        pass


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ([3], r"callbacks must be functions of \(study, trial\), or objects with one of on_asked.*got 3"),
        (["log"], "got 'log'"),
        ([Misspelt()], "which has 'on_finish'; did you mean 'on_finished'?"),
        ([hpo.callbacks.Callback()], "callbacks must be functions .*got <.*Callback object"),
        ([OnlyFinished], "callbacks must be objects, got the class OnlyFinished; write OnlyFinished"),
        ([Short()], r"Short.on_reported must accept \(study, trial, step, values\), got a function"),
        (OnlyFinished(), "callbacks must be a sequence of functions"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, words):
    study = make_study()
    with pytest.raises(hpo.ArgumentError, match=words):
        study.optimize(objectives.parabola, n_trials=1, callbacks=callbacks)
    assert len(study.trials) == 0


@pytest.mark.parametrize("callback", [lambda study, trial: None, OnlyFinished()])
def test_nothing_listens_to_reports_that_nobody_wants(callback):
    study, heard = make_study(), []

    def objective(trial):
        heard.append(study._hearers)
        return 0.0

    study.optimize(objective, n_trials=1, callbacks=[callback])
    study.optimize(objective, n_trials=1, callbacks=[Follower()])
    assert [len(each) for each in heard] == [0, 1]
    assert study._hearers == ()


def test_reports_from_threads_are_each_told_once():
    study, follower = make_study(), Follower()
    study.optimize(objectives.reporting_from_threads, n_trials=2, callbacks=[follower])
    for trial in study.trials:
        steps = [call[2] for call in follower.calls if call[:2] == ("reported", trial.number)]
        np.testing.assert_array_equal(steps, [step for step, _ in trial.reports])
        assert len(steps) == 200
