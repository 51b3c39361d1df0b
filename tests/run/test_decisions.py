"""What a running trial is told, and what becomes of the results of one that was ended from outside."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import objectives
import pytest
from deciding import PauseOnce
from studies import make_study, states
from waiting import wait_for

import hpo_core as hpo
from hpo_core.errors import StorageError, TrialStopped
from hpo_core.executors import Decision
from hpo_core.log import State
from hpo_core.log.events import Retried
from hpo_core.log.ledger import FRESH_SECONDS
from hpo_core.run.decisions import decide
from hpo_core.study import Study
from hpo_core.trial.remote import arguments_of

COMPLETE, STOPPED, FAILED = State.COMPLETE, State.STOPPED, State.FAILED


def until_told(trial):
    """Ask until the answer is stop; at most for a while."""
    limit = time.monotonic() + 30
    while not trial.should_stop():
        assert time.monotonic() < limit, "nobody says stop"
        time.sleep(0.01)
    raise TrialStopped


def give_out_again(study, row):
    study._ledger.transact(
        lambda: study._ledger.add(Retried(np.array([row]), "somebody", "taken", time.time()))
    )


def test_the_state_of_the_study_decides(study):
    batch = study.ask(3)
    study.tell(batch[1], 0.5)
    assert decide(study, batch.number) == [Decision.CONTINUE, Decision.STOP, Decision.CONTINUE]
    assert batch.should_stop().tolist() == [False, True, False]
    assert [trial.should_stop() for trial in batch] == [False, True, False]


def test_what_another_process_has_ended_is_to_stop(study, file):
    trial, other = study.ask(), Study.open(file, "s")
    assert not trial.should_stop()
    other.fail(0, reason="enough")
    time.sleep(FRESH_SECONDS)
    assert trial.should_stop()


def test_what_another_process_has_taken_over_is_to_stop_there_alone(study, file):
    trial, other = study.ask(), Study.open(file, "s")
    give_out_again(other, 0)
    time.sleep(FRESH_SECONDS)
    assert trial.should_stop()
    assert not other.trials[0].should_stop()
    give_out_again(study, 0)  # and back
    assert not trial.should_stop()
    time.sleep(FRESH_SECONDS)
    assert other.trials[0].should_stop()


def test_a_storage_that_cannot_be_read_stops_nothing(study, monkeypatch):
    batch = study.ask(2)
    study.tell(batch[1], 0.5)

    def refuse(*arguments):
        raise StorageError("it is away")

    monkeypatch.setattr(study._ledger.journal.storage, "read", refuse)
    assert batch.should_stop().tolist() == [False, True]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("taken", [False, True], ids=["ended", "taken over"])
def test_a_worker_hears_of_other_processes(study, file, n_jobs, taken):
    other = Study.open(file, "s")

    def end(study, trial):
        if trial.number == 1:
            give_out_again(other, 0) if taken else other.tell(0, 7.0)

    if n_jobs == 1:
        with ThreadPoolExecutor(2) as pool:
            study.optimize(objectives.asking_first, n_trials=2, executor=pool, callbacks=[end])
    else:
        study.optimize(objectives.asking_first, n_trials=2, n_jobs=2, callbacks=[end])
    trial = Study.open(file, "s").trials[0]
    # Who took it over has not finished it: the result that came first counts.
    assert (trial.state, trial.value) == (COMPLETE, 0.25 if taken else 7.0)


@pytest.mark.parametrize("how", ["given out again", "paused and continued"])
@pytest.mark.parametrize("end", ["return", "raise", "fail"])
def test_what_a_scheduled_trial_says_after_it_was_taken_over_is_set_aside(file, caplog, how, end):
    """It was told to stop, so that it has not come to its end."""
    study = make_study(storage=file, name="s", scheduler=PauseOnce())
    other = make_study(storage=file, name="s", scheduler=PauseOnce())

    def objective(trial):
        trial.report(0, 0.5)
        if how == "given out again":
            give_out_again(other, 0)
        else:
            other.trials[0].report(1, 0.25)
            other.tell(0, 0.25)
            assert other.ask().number == 0
        wait_for(trial.should_stop)
        trial.report(2, 0.125)
        if end == "return":
            return 0.5
        raise TrialStopped if end == "raise" else hpo.TrialFailed("oom")

    called = []
    study.optimize(objective, n_trials=1, until=1, callbacks=[lambda *_: called.append(1)])
    assert not called
    assert "trial 0 was taken over elsewhere" in caplog.text
    trial = other.trials[0]
    assert trial.state == State.RUNNING
    assert trial.reports == [(0, 0.5), (1, 0.25)][: 1 + (how != "given out again")]
    assert study.replay()


def test_an_objective_may_end_its_trial_by_itself(caplog):
    study, seen = make_study(), []

    def objective(trial):
        study.tell(trial, 0.5)
        return 9.0

    study.optimize(objective, n_trials=2, callbacks=[lambda study, trial: seen.append(trial.value)])
    assert states(study) == [COMPLETE] * 2
    assert seen == [0.5] * 2
    assert "trial 0 has ended with the value 9.0" in caplog.text
    assert "set aside" in caplog.text


def test_an_error_of_the_objective_is_raised_all_the_same():
    study = make_study()

    def objective(trial):
        study.fail(trial, reason="enough")
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        study.optimize(objective, n_trials=2)
    assert study.trials.reason == ["enough"]


def test_a_report_that_is_refused_here_ends_the_objective_and_not_the_call():
    study = make_study()

    def objective(trial):
        trial.report(0, 0.5)
        if trial.number == 0:
            study.stop_trials(trial)
            trial.report(1, 0.25)
        return 1.0

    study.optimize(objective, n_trials=2)
    assert states(study) == [STOPPED, COMPLETE]
    assert study.trials[0].value == 0.5


def test_threads_of_a_call_that_was_interrupted_are_told_to_stop():
    study, told = make_study(), []

    def objective(trial):
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        try:
            until_told(trial)
        finally:
            told.append(trial.number)

    with ThreadPoolExecutor(2) as pool, pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=2, executor=pool)
    assert sorted(told) == [0, 1]
    assert study.trials.reason == ["interrupted"] * 2


def test_a_trial_given_out_again_brings_its_reports_and_notes():
    study = make_study()
    trial = study.ask()
    trial.report(0, 0.5)
    trial.note(a=1)
    number, params, tier, retries, notes, reports, continued = arguments_of(trial)
    assert (number, params, tier) == (0, trial.params, "random")
    assert (retries, notes, reports, continued) == ([], {"a": 1}, [(0, 0.5)], False)


def test_a_maximising_study_sees_reports_as_they_were_told():
    study = make_study(direction="maximize")
    with ThreadPoolExecutor(1) as pool:
        study.optimize(objectives.reporting, n_trials=1, executor=pool)
    assert study.trials[0].reports == [(step, study.trials[0]["x"] + step) for step in range(3)]
    assert isinstance(study.trials[0], hpo.Trial)
