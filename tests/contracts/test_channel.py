"""Every place where trials run: reports reach the study while a trial runs, and answers reach the trial."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import objectives
import pytest
from deciding import PauseOnce, StopAbove
from studies import make_study, states
from waiting import wait_for

import hpo_core as hpo
from hpo_core.log import State

CLUSTERS = [pytest.param(name, marks=pytest.mark.cluster) for name in ("dask", "ray")]
PLACES = ["serial", "processes", "threads", *CLUSTERS]
COMPLETE, STOPPED, FAILED = State.COMPLETE, State.STOPPED, State.FAILED


@contextlib.contextmanager
def opened(name, request):
    """What ``executor=`` takes, with two workers where there can be two."""
    if name == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif name == "pool":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
    elif name == "dask":
        client = request.getfixturevalue("dask_client")
        client.wait_for_workers(2)  # another test may have killed one
        yield client
    elif name == "ray":
        request.getfixturevalue("ray_cluster")
        yield "ray"
    else:
        yield 2 if name == "processes" else None


@pytest.fixture(params=PLACES)
def executor(request):
    with opened(request.param, request) as executor:
        yield executor


@pytest.fixture(params=["processes", *CLUSTERS])
def killable(request):
    with opened(request.param, request) as executor:
        yield executor


@pytest.fixture
def pool(request):
    with opened("pool", request) as executor:
        yield executor


def from_outside(study, end):
    """A thread that waits for three reports of trial 0 and ends it while it runs."""

    def watch():
        wait_for(lambda: len(study.trials) and len(study.trials[0].reports) >= 3)
        assert study.trials[0].state == State.RUNNING
        end(study)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("end", "state", "value", "reason"),
    [
        (lambda study: study.tell(0, 7.0), COMPLETE, 7.0, None),
        (lambda study: study.fail(0, reason="enough"), FAILED, None, "enough"),
        (lambda study: study.stop_trials(0), STOPPED, None, None),
    ],
    ids=["tell", "fail", "stop_trials"],
)
def test_a_trial_ended_from_outside_is_seen_running_and_told_to_stop(
    executor, caplog, end, state, value, reason
):
    study = make_study()
    thread = from_outside(study, end)
    study.optimize(objectives.reporting_until_told, n_trials=3, executor=executor)
    thread.join()
    trial = study.trials[0]
    last = trial.reports[-1][1]
    assert (trial.state, trial.value, trial.reason) == (state, last if state == STOPPED else value, reason)
    assert states(study)[1:] == [COMPLETE] * 2
    assert "set aside" in caplog.text


def test_reports_keep_their_order(executor):
    study = make_study(direction="maximize")
    study.optimize(objectives.reporting_much, n_trials=4, executor=executor)
    for trial in study.trials:
        assert trial.reports == [(step, trial["x"] + step) for step in range(500)]


def test_ten_thousand_reports_arrive_beside_other_trials(executor):
    study = make_study()
    study.optimize(objectives.reporting_ten_thousand_first, n_trials=6, executor=executor)
    assert states(study) == [COMPLETE] * 6
    assert [step for step, _ in study.trials[0].reports] == [*range(10_000)]


def test_a_report_after_the_end_is_refused(executor):
    study = make_study()
    study.optimize(objectives.ReportingLate(), n_trials=5, executor=executor)
    said = [note["said"] for note in study.trials.notes if "said" in note]
    assert said
    assert set(said) == {"report, note: trial has already finished (complete)"}
    assert len(study.history.reports.row) == 0


def test_a_trial_is_a_trial_wherever_it_runs(executor):
    alone, study = make_study(), make_study()
    alone.optimize(objectives.describing, n_trials=2)
    study.optimize(objectives.describing, n_trials=2, executor=executor)
    assert study.trials.notes == alone.trials.notes
    assert study.trials[1].notes["kind"] is True
    assert study.trials[1].notes["before"] == [1, "RUNNING", None, None, None, [], {}, []]
    assert study.trials[1].notes["after"] == [[(3, 0.5)], ["before", "kind", "tier"]]


def test_a_killed_worker_loses_no_report_that_arrived(killable):
    study = make_study()
    study.optimize(objectives.reporting_and_dying, n_trials=4, executor=killable)
    assert states(study) == [COMPLETE, FAILED, COMPLETE, COMPLETE]
    assert study.trials[1].reports == [(0, 0.5), (1, 0.25)]


def curve(trial, n):
    """Reports of the first ``n`` steps of ``objectives.training``."""
    state, reports = 0.0, []
    for step in range(n):
        state += trial["x"] * (step + 1)
        reports.append((step, state))
    return reports


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_trial_stops_at_the_step_at_which_that_was_decided(executor, direction):
    study = make_study(scheduler=StopAbove(), direction=direction)
    study.optimize(objectives.training, n_trials=8, executor=executor)
    for trial in study.trials:
        stops = trial["x"] > 0 if direction == "minimize" else trial["x"] < 0
        assert (trial.state, trial.reports) == (
            STOPPED if stops else COMPLETE,
            curve(trial, 3 if stops else 5),
        )
        assert trial.value == trial.reports[-1][1]
    assert {STOPPED, COMPLETE} == set(states(study))
    assert study.replay()


def test_a_paused_trial_goes_on_in_its_folder_after_its_last_step(executor, tmp_path):
    study = make_study(scheduler=PauseOnce(), checkpoints=tmp_path)
    study.optimize(objectives.training, n_trials=6, executor=executor)
    assert states(study) == [COMPLETE] * 6
    for trial in study.trials:
        assert trial.reports == curve(trial, 5)
        (first, *before), (again, *after) = trial.notes["runs"]
        assert (first, again) == (False, True)
        assert before == [None, str(trial.folder)]
        assert after == [1, str(trial.folder)]
    assert study.history.planned.tolist() == [5] * 6
    assert study.replay()


def test_a_paused_trial_without_checkpoints_begins_again(executor):
    study = make_study(scheduler=PauseOnce())
    study.optimize(objectives.training, n_trials=3, executor=executor)
    assert states(study) == [COMPLETE] * 3
    assert all(trial.notes["runs"] == [[False, None, None]] * 2 for trial in study.trials)
    assert all(trial.reports == curve(trial, 5) for trial in study.trials)


def test_a_pool_of_processes_decides_nothing(pool, caplog):
    study = make_study(scheduler=StopAbove())
    study.optimize(objectives.training, n_trials=8, executor=pool)
    assert states(study) == [COMPLETE] * 8
    assert all(trial.reports == curve(trial, 5) for trial in study.trials)
    assert caplog.text.count("should_stop() is always False there, and reports arrive with the result") == 1


def test_a_pool_of_processes_says_once_that_it_cannot(pool, caplog):
    study = make_study()
    study.optimize(objectives.parabola, n_trials=4, executor=pool)
    assert caplog.text == ""
    study.optimize(objectives.reporting, n_trials=6, executor=pool)
    assert caplog.text.count("should_stop() is always False there, and reports arrive with the result") == 1
    assert [len(trial.reports) for trial in study.trials] == [0] * 4 + [3] * 6


def test_a_batch_is_told_which_of_its_trials_to_stop(caplog):
    study, seen = make_study(), []

    def objective(batch):
        batch.report(0, batch.number + 0.5)
        assert study.trials[2].reports == [(0, 2.5)]
        if batch.number[0] == 0:
            study.stop_trials(batch[1])
            study.fail(batch[2], reason="enough")
        seen.append(batch.should_stop().tolist())
        batch[~batch.should_stop()].report(1, np.zeros(4 - sum(seen[-1])))
        return [9.0, 9.0, hpo.TrialFailed("oom"), hpo.TrialFailed("oom")]

    study.optimize(objective, n_trials=8, batch_size=4, vectorized=True)
    assert seen == [[False, True, True, False], [False] * 4]
    assert states(study) == [COMPLETE, STOPPED, FAILED, FAILED] + [COMPLETE] * 2 + [FAILED] * 2
    assert study.trials.reason == [None, None, "enough", "oom"] + [None] * 2 + ["oom"] * 2
    assert "set aside" in caplog.text


def test_a_batch_that_was_ended_as_a_whole_is_set_aside():
    study = make_study()

    def objective(batch):
        study.fail(batch, reason="enough")
        return np.zeros(len(batch))

    study.optimize(objective, n_trials=4, batch_size=2, vectorized=True)
    assert study.trials.reason == ["enough"] * 4
