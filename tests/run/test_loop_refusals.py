"""``optimize`` over a storage that refuses, for a while or for good: no result is lost."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import objectives
import pytest
from studies import make_study, states

import hpo_core as hpo
from hpo_core.errors import (
    StorageError,
    StorageRefusedError,
    StudyError,
    TrialError,
    TrialFailed,
    TrialStopped,
)
from hpo_core.log import State
from hpo_core.run import outbox
from hpo_core.study import Study

COMPLETE, FAILED, RUNNING = State.COMPLETE, State.FAILED, State.RUNNING

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


class Lock:
    """The write lock of a file, held by another process."""

    def __init__(self, file):
        self.file, self.process = file, None

    def take(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline() == b"held\n"

    def give(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def lock(file):
    lock = Lock(file)
    yield lock
    lock.give()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(outbox, "ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr(outbox, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "LATE_SECONDS", 0.5)


TIMERS = []


def after(seconds, function, *arguments):
    TIMERS.append(threading.Timer(seconds, function, arguments))
    TIMERS[-1].start()


@pytest.fixture(autouse=True)
def nothing_comes_later():
    """Keep a late Ctrl-C from the next test."""
    yield
    while TIMERS:
        TIMERS.pop().join()


@pytest.fixture
def when_said():
    """Has a function called once, when hpo_core logs these words."""
    logger, filters = logging.getLogger("hpo_core"), []

    def when_said(words, function, *arguments):
        waiting = [function]

        def look(record):
            if waiting and words in record.getMessage():
                waiting.pop()(*arguments)
            return True

        filters.append(look)
        logger.addFilter(look)

    yield when_said
    for look in filters:
        logger.removeFilter(look)


def locking_at(lock, number):
    """An objective during one trial of which another program takes the lock."""

    def objective(trial):
        if trial.number == number:
            lock.take()
        return float(trial.number)

    return objective


def notes_of(caught):
    return "\n".join(caught.value.__notes__)


@pytest.mark.usefixtures("impatient")
def test_a_result_waits_for_a_lock_and_says_so(study, file, lock, when_said, caplog):
    when_said("it is kept", lock.give)
    study.optimize(locking_at(lock, 2), n_trials=4)
    assert states(study) == [COMPLETE] * 4
    assert study.trials.value.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert "trial 2 has ended with the value 2.0" in caplog.text
    assert "it is kept" in caplog.text
    assert "it has now been written" in caplog.text
    assert Study.open(file, "s").trials.value.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_wait_for_room_on_the_disk(study, file, when_said, caplog, n_jobs):
    study.optimize(objectives.parabola, n_trials=1)
    connection = study._ledger.journal.storage._connection
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()

    def fill(study, trial):
        if study.n_finished == 2:
            connection.execute(f"PRAGMA max_page_count = {pages}")
            when_said("it is kept", connection.execute, f"PRAGMA max_page_count = {2**30}")

    study.optimize(objectives.failing_at_length, n_trials=6, n_jobs=n_jobs, callbacks=[fill])
    assert states(study) == [COMPLETE] + [FAILED] * 6
    assert "disk is full" in caplog.text
    assert states(Study.open(file, "s")) == [COMPLETE] + [FAILED] * 6


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("end", ["complete", "stopped", "failed"])
def test_every_way_to_end_waits(study, lock, when_said, end):
    def objective(trial):
        trial.report(0, 0.5)
        lock.take()
        if end == "stopped":
            raise TrialStopped
        if end == "failed":
            raise TrialFailed("oom")
        return 1.0

    when_said("it is kept", lock.give)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state.name == end.upper()


@pytest.mark.usefixtures("impatient")
def test_a_batch_waits_in_parts(study, lock, when_said):
    def objective(batch):
        lock.take()
        return [1.0, TrialFailed("oom"), 3.0, TrialFailed("oom")]

    when_said("it is kept", lock.give)
    study.optimize(objective, n_trials=4, batch_size=4, vectorized=True)
    assert states(study) == [COMPLETE, FAILED, COMPLETE, FAILED]


@pytest.mark.usefixtures("impatient")
def test_a_timeout_ends_the_wait_and_the_error_holds_the_results(study, file, lock):
    with pytest.raises(StorageRefusedError) as caught:
        study.optimize(locking_at(lock, 2), n_trials=4, timeout=1.0)
    assert "trial 2 has ended with the value 2.0: study.tell(2, 2.0)" in notes_of(caught)
    lock.give()
    assert states(study) == [COMPLETE, COMPLETE, RUNNING]
    study.tell(2, 2.0)
    assert states(Study.open(file, "s")) == [COMPLETE] * 3


def test_a_timeout_ends_the_wait_for_a_first_trial(study, lock, caplog):
    lock.take()
    study.optimize(objectives.parabola, timeout=1.0)
    assert len(study.trials) == 0
    assert "no trial was started in the last 1" in caplog.text


@pytest.mark.parametrize(("timeout", "said"), [(0.6, False), (1.8, True)])
def test_only_a_long_wait_before_the_timeout_is_worth_a_word(study, lock, caplog, timeout, said):
    study.optimize(objectives.parabola, timeout=timeout, callbacks=[lambda *_: lock.take()])
    assert states(study) == [COMPLETE]
    assert ("no further trial was started in the last 1" in caplog.text) is said
    assert said or "was started" not in caplog.text


def interrupt(times):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_the_wait_for_a_first_trial(study, lock, n_jobs):
    lock.take()
    after(1.0, interrupt, 1)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objectives.parabola, n_trials=3, n_jobs=n_jobs)
    lock.give()
    assert len(study.trials) == 0
    study.optimize(objectives.parabola, n_trials=2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_the_wait_of_a_result_and_names_it(study, file, lock, when_said, times):
    when_said("it is kept", after, 0.1, interrupt, times)
    with pytest.raises(KeyboardInterrupt) as caught:
        study.optimize(locking_at(lock, 1), n_trials=3)
    assert "trial 1 has ended with the value 1.0: study.tell(1, 1.0)" in notes_of(caught)
    lock.give()
    assert states(study) == [COMPLETE, RUNNING]
    study.tell(1, 1.0)
    study.optimize(objectives.parabola, n_trials=2)
    assert states(Study.open(file, "s")) == [COMPLETE] * 4


def test_ctrl_c_in_an_objective_under_a_lock_names_what_stays_running(study, lock):
    def objective(trial):
        lock.take()
        interrupt(1)

    with pytest.raises(KeyboardInterrupt) as caught:
        study.optimize(objective, n_trials=3)
    assert "trials [0] are interrupted, and that could not be written" in notes_of(caught)
    lock.give()
    assert states(study) == [RUNNING]


def test_a_storage_that_is_gone_ends_the_call_with_the_results(study, file):
    def objective(trial):
        if trial.number == 1:
            os.rename(file, f"{file}.moved")  # noqa: PTH104
        return float(trial.number)

    with pytest.raises(StorageError, match="deleted or moved") as caught:
        study.optimize(objective, n_trials=4)
    assert "trial 1 has ended with the value 1.0: study.tell(1, 1.0)" in notes_of(caught)
    os.rename(f"{file}.moved", file)  # noqa: PTH104
    study.tell(1, 1.0)
    assert states(Study.open(file, "s")) == [COMPLETE] * 2


def test_the_results_that_a_storage_refuses_are_all_named(study, lock):
    """Several workers, one of which meets the lock."""

    def refuse(*_):
        lock.take()
        after(0.5, interrupt, 1)

    with pytest.raises(KeyboardInterrupt) as caught:
        study.optimize(objectives.slow, n_trials=50, n_jobs=2, callbacks=[refuse])
    kept, notes = states(study), notes_of(caught)
    lock.give()
    assert kept.count(COMPLETE) == 1
    assert kept.count(RUNNING) >= 1
    for trial in study.trials.where("running"):
        assert (
            f"trial {trial.number} " in notes or f"[{trial.number}" in notes or f", {trial.number}" in notes
        )


@pytest.mark.parametrize("end", [None, hpo.TrialFailed("oom"), hpo.TrialStopped()])
def test_a_space_that_another_process_has_changed_ends_the_call_with_the_result(study, file, end):
    def objective(trial):
        if trial.number == 1:
            trial.note(kept="too")
            trial.report(1, 0.5)
            wider = {**study.space.parameters, "younger": hpo.Int(0, 3)}
            Study(wider, sampler="random", seed=3, storage=file, name="s")
            if end is not None:
                raise end
        return 0.25

    with pytest.raises(StudyError, match="another process has changed the space") as caught:
        study.optimize(objective, n_trials=3)
    assert not hasattr(caught.value, "__notes__")  # nothing is left unwritten
    trial = Study.open(file, "s").trials[1]
    assert (trial.state.name, trial.value, trial.reason) == {
        "NoneType": ("COMPLETE", 0.25, None),
        "TrialFailed": ("FAILED", None, "oom"),
        "TrialStopped": ("STOPPED", 0.5, None),
    }[type(end).__name__]
    assert trial.notes == {"kept": "too"}
    assert trial.reports == [(1, 0.5)]


def test_a_note_that_the_study_refuses_fails_the_trial(monkeypatch):
    study = make_study()
    monkeypatch.setattr("hpo_core.trial.remote.as_json", lambda name, value: value)
    with ThreadPoolExecutor(1) as pool, pytest.raises(TrialError, match="'lock' must be a JSON value"):
        study.optimize(objectives.noting_a_lock, n_trials=3, executor=pool)
    assert states(study) == [FAILED]
    assert "'lock'" in study.trials[0].reason


def test_a_stop_before_a_nested_call_is_not_forgotten():
    study, inner = make_study(), []

    def stop_and_go_on(study, trial):
        if not inner:
            study.stop()
            inner.append(trial)
            study.optimize(objectives.parabola, n_trials=2)

    study.optimize(objectives.parabola, n_trials=10, callbacks=[stop_and_go_on])
    assert states(study) == [COMPLETE] * 3
    study.optimize(objectives.parabola, n_trials=1)
    assert states(study) == [COMPLETE] * 4


def test_every_ended_trial_is_kept_when_a_callback_is_interrupted():
    study = make_study()

    def objective(trial):
        time.sleep(0.3)
        return 0.0

    with ThreadPoolExecutor(4) as pool, pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=4, executor=pool, callbacks=[lambda *_: interrupt(1)])
    assert RUNNING not in states(study)


def reporting_under(lock, trial):
    trial.report(0, 0.5)
    assert not trial.should_stop()  # the report has arrived
    lock.take()
    trial.report(1, 0.25)
    trial.report(2, 0.125)
    return 1.0


@pytest.mark.usefixtures("impatient")
def test_reports_of_workers_wait_for_a_lock_in_their_order(study, file, lock, caplog):
    after(1.5, lock.give)
    with ThreadPoolExecutor(1) as pool:
        study.optimize(partial(reporting_under, lock), n_trials=1, executor=pool)
    assert "a batch of reports has arrived from trials [0]; it is kept" in caplog.text
    assert Study.open(file, "s").trials[0].reports == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert study.trials[0].value == 1.0


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_asks_under_a_lock_goes_on(study, lock):
    """Nobody can say whether it ought to stop, and a training does not stand still for that."""
    seen = []

    def objective(trial):
        lock.take()
        started = time.monotonic()
        trial.report(0, 0.5)
        seen.extend([trial.should_stop(), time.monotonic() - started])
        return 1.0

    after(2.5, lock.give)
    with ThreadPoolExecutor(1) as pool:
        study.optimize(objective, n_trials=1, executor=pool)
    assert seen[0] is False
    assert seen[1] < 2.0
    assert study.trials[0].reports == [(0, 0.5)]


def test_reports_under_a_changed_space_go_with_the_result(study, file):
    """Another process adds a parameter between two reports of a worker."""

    def objective(trial):
        trial.report(0, 0.5)
        assert not trial.should_stop()
        wider = {**study.space.parameters, "younger": hpo.Int(0, 3)}
        Study(wider, sampler="random", seed=3, storage=file, name="s")
        trial.report(1, 0.25)
        trial.report(2, 0.125)
        raise TrialStopped

    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(StudyError, match="another process has changed the space") as caught,
    ):
        study.optimize(objective, n_trials=3, executor=pool)
    assert not hasattr(caught.value, "__notes__")
    trial = Study.open(file, "s").trials[0]
    assert trial.reports == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert (trial.state.name, trial.value) == ("STOPPED", 0.125)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_the_wait_of_a_report(study, lock, n_jobs):
    after(2.0, interrupt, 1)
    started = time.monotonic()
    with ThreadPoolExecutor(n_jobs) as pool, pytest.raises(KeyboardInterrupt) as caught:
        study.optimize(partial(reporting_under, lock), n_trials=1, executor=pool)
    assert time.monotonic() - started < 8
    assert "study.tell(0, 1.0)" in notes_of(caught)
    lock.give()
    assert study.trials[0].reports == [(0, 0.5)]
