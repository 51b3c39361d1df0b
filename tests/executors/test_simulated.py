"""Workers of a simulation: virtual time, the order of events, and what a trial that stops has said."""

from __future__ import annotations

import heapq
import itertools
import time

import numpy as np
import objectives
import pytest
from studies import make_study, states

from hpo_core.errors import ArgumentError, HpoError, TrialFailed, TrialStopped
from hpo_core.executors import Processes, Simulated, simulated
from hpo_core.log import State
from hpo_core.schedulers import ASHA

STEPS = 9


def train(trial):
    """A loss that falls with every step, the trial's x its order."""
    for step in trial.steps(STEPS):
        loss = trial["x"] + 1 / (1 + step)
        trial.report(step, loss)
        if trial.should_stop():
            break
    return loss


def uneven(trial, step):
    """Seconds of a step, never the same twice."""
    return 1 + 0.1 * trial["x"] + 0.01 * step


def facts(study):
    """What may not differ between two courses of a study."""
    history = study.history
    reports = history.reports
    columns = [history.x, history.y, history.cost, history.started, history.decision, history.rung]
    columns += [history.finish_order, reports.row, reports.step, reports.value, history.moves.row]
    return [history.state.tolist(), *(np.array(column).tobytes() for column in columns)]


def test_times_and_costs_are_virtual():
    study = make_study()
    before = time.time()
    study.optimize(train, n_trials=4, executor=Simulated(2, seconds=60))
    assert study.history.started.tolist() == [0, 0, 540, 540]
    assert study.history.cost.tolist() == [540] * 4
    assert study.history.reports.row.tolist()[:6] == [0, 1, 0, 1, 0, 1]
    study.optimize(train, n_trials=1)
    assert study.history.started[4] >= before  # the machine's clock again
    assert study.history.cost[4] < 60


def test_a_trial_without_reports_takes_the_seconds_of_its_first_step():
    study = make_study()
    study.optimize(lambda trial: 0.0, n_trials=3, executor=Simulated(1, seconds=lambda trial, step: 5 + step))
    assert study.history.started.tolist() == [0, 5, 10]
    assert study.history.cost.tolist() == [5] * 3


def schedule(durations, workers):
    """Numbers in the order of their ends, and their starts, if the first free worker takes the next."""
    running, starts, ends, now = [], [], [], 0.0
    for number, took in enumerate(durations):
        if len(running) == workers:
            now, ended = heapq.heappop(running)
            ends.append(ended)
        starts.append(now)
        heapq.heappush(running, (now + took, number))
    return [*ends, *(number for _, number in sorted(running))], starts


@pytest.mark.parametrize("workers", [1, 3, 40])
def test_trials_start_and_end_in_the_order_of_a_simple_schedule(workers):
    study = make_study()
    study.optimize(lambda trial: trial["x"], n_trials=30, executor=Simulated(workers, seconds=uneven))
    order, starts = schedule([uneven(trial, 0) for trial in study.trials], workers)
    assert study.history.finish_order.tolist() == order
    assert study.history.started == pytest.approx(starts)


def test_reports_come_in_the_order_of_their_times():
    study = make_study(scheduler="asha")
    study.optimize(train, n_trials=60, executor=Simulated(7, seconds=uneven))
    reports, started = study.history.reports, study.history.started
    times = [
        started[row] + sum(uneven(study.trials[row], each) for each in range(step + 1))
        for row, step in zip(reports.row.tolist(), reports.step.tolist(), strict=True)
    ]
    assert times == sorted(times)
    assert len(times) < 60 * STEPS / 2


@pytest.mark.parametrize("mode", ["stop", "promote"])
def test_one_worker_is_this_thread(mode, tmp_path):
    here, there = (
        make_study(scheduler=ASHA(mode=mode), sampler="tpe", checkpoints=tmp_path / name) for name in "ab"
    )
    here.optimize(train, n_trials=40)
    there.optimize(train, n_trials=40, executor=Simulated(1))
    for column in ("x", "y", "state", "decision", "rung", "planned", "finish_order"):
        assert np.array_equal(
            getattr(here.history, column), getattr(there.history, column), equal_nan=column in "xy"
        )
    assert here.trials.reports == there.trials.reports
    assert len(set(states(here))) == 2


@pytest.mark.parametrize("mode", ["stop", "promote"])
def test_a_course_repeats(mode, tmp_path):
    first, second = (
        make_study(scheduler=ASHA(mode=mode), sampler="tpe", checkpoints=tmp_path / name) for name in "ab"
    )
    for study in (first, second):
        study.optimize(train, n_trials=50, executor=Simulated(8, seconds=uneven))
    assert facts(first) == facts(second)


def test_processes_that_are_held_to_the_same_order_find_the_same(tmp_path):
    virtual, real = (make_study(scheduler="asha") for _ in range(2))
    virtual.optimize(train, n_trials=8, executor=Simulated(2, seconds=uneven))
    reports = virtual.history.reports
    order = [*zip(reports.row.tolist(), reports.step.tolist(), strict=True)]
    real.optimize(objectives.InOrder(order, tmp_path), n_trials=8, executor=Processes(2))
    assert states(real) == states(virtual)
    assert len(set(states(real))) == 2
    assert real.trials["x"].tolist() == virtual.trials["x"].tolist()
    assert real.trials.reports == virtual.trials.reports
    assert real.history.rung.tolist() == virtual.history.rung.tolist()


def test_what_a_stopped_trial_says_is_what_it_says_when_told_to_stop():
    calls = []

    def objective(trial):
        calls.append(trial.number)
        for step in trial.steps(STEPS):
            trial.report(step, trial["x"])
            if trial.should_stop():
                trial.note(stopped=step)
                return -1.0
        trial.note(stopped=None)
        return trial["x"]

    study = make_study(scheduler="asha")
    study.optimize(objective, n_trials=20, executor=Simulated(4))
    for trial in study.trials:
        stopped = trial.state == State.STOPPED
        assert trial.notes["stopped"] == (trial.reports[-1][0] if stopped else None)
        assert trial.value == (-1.0 if stopped else trial["x"])
        assert calls.count(trial.number) == (2 if stopped else 1)


def test_a_paused_trial_goes_on_and_its_costs_add_up(tmp_path):
    study = make_study(scheduler=ASHA(mode="promote"), checkpoints=tmp_path)
    study.optimize(train, n_trials=30, executor=Simulated(4, seconds=60))
    complete = study.trials.where("complete")
    assert len(complete) >= 3
    assert np.all(study.history.cost[complete.number] == 60 * STEPS)
    assert all([step for step, _ in trial.reports] == [*range(STEPS)] for trial in complete)
    kinds = study.history.moves.kind.tolist()
    assert len(kinds) > len(complete)


def test_a_timeout_is_virtual():
    study = make_study()
    study.optimize(train, timeout=1000, executor=Simulated(2, seconds=60))
    assert study.history.started.tolist() == [0, 0, 540, 540]
    assert states(study) == [State.COMPLETE] * 4


def test_ends_of_every_kind():
    def objective(trial):
        trial.report(0, 1.0)
        if trial.number == 0:
            raise TrialFailed("oom")
        if trial.number == 1:
            raise TrialStopped
        if trial.number == 2:
            raise ValueError("no")
        return 2.0

    study = make_study()
    study.optimize(objective, n_trials=5, executor=Simulated(2), catch=ValueError)
    assert [trial.state.name for trial in study.trials] == [
        "FAILED",
        "STOPPED",
        "FAILED",
        "COMPLETE",
        "COMPLETE",
    ]
    assert [trial.reason for trial in study.trials][:3] == ["oom", None, "ValueError: no"]
    with pytest.raises(ValueError, match="no"):
        make_study().optimize(objective, n_trials=5, executor=Simulated(2))


def test_ctrl_c_in_the_objective_fails_what_runs():
    def objective(trial):
        if trial.number == 3:
            raise KeyboardInterrupt
        return 1.0

    study = make_study()
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=9, executor=Simulated(2))
    assert [trial.state.name for trial in study.trials][:2] == ["COMPLETE", "COMPLETE"]
    assert study.trials[3].reason == "interrupted"


def test_an_objective_that_differs_when_called_again_is_refused():
    counter = itertools.count()

    def objective(trial):
        for step in trial.steps(STEPS):
            trial.report(step, float(next(counter)))
            if trial.should_stop():
                break
        return 0.0

    with pytest.raises(HpoError, match="must report the same each time"):
        make_study(scheduler="asha").optimize(objective, n_trials=20, executor=Simulated(2))


def test_an_objective_that_waits_to_be_stopped_is_refused(monkeypatch):
    monkeypatch.setattr(simulated, "MOST_MESSAGES", 1000)

    def objective(trial):
        for step in itertools.count():
            trial.report(step, 1.0)
            if trial.should_stop():
                break
        return 0.0

    with pytest.raises(HpoError, match="must end by itself"):
        make_study(scheduler="asha").optimize(objective, n_trials=2, executor=Simulated(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be an int >= 1"),
        ({"workers": 1, "seconds": -1}, "seconds must be a finite number >= 0"),
        ({"workers": 1, "seconds": "1"}, "seconds must be a finite number >= 0"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ArgumentError, match=message):
        Simulated(**options)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), None])
def test_seconds_are_checked(seconds):
    with pytest.raises(ArgumentError, match=r"must be a finite number >= 0, got .* for step 0 of Trial"):
        make_study().optimize(train, n_trials=1, executor=Simulated(1, seconds=lambda trial, step: seconds))


def test_a_thousand_workers_share_the_rungs():
    study = make_study(scheduler="asha")
    study.optimize(train, n_trials=1500, executor=Simulated(1000, seconds=uneven))
    arrived = np.bincount(study.history.reports.step, minlength=STEPS)
    assert arrived[0] == 1500
    for depth, following in ((1, 3), (3, 9)):
        assert 0 < arrived[depth] <= arrived[depth - 1] / 2
        assert arrived[following - 1] == arrived[depth]
    assert np.mean(study.trials.where("complete")["x"]) < np.mean(study.trials["x"]) - 0.5
    assert study.history.started[:1000].max() == 0 < study.history.started[1000:].min()


def test_ten_thousand_workers_take_seconds():
    def brief(trial):
        for step in trial.steps(4):
            trial.report(step, trial["x"])
            if trial.should_stop():
                break
        return trial["x"]

    study = make_study(scheduler="asha")
    study.optimize(brief, n_trials=10_500, executor=Simulated(10_000, seconds=uneven))
    assert study.history.started[:10_000].max() == 0 < study.history.started[10_000:].min()
    assert len(study.trials.where("stopped")) > 10_000
