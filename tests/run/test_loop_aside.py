"""Suggestions that take long, while other trials run."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from deciding import StopAbove
from studies import Hashed, make_study, states

import hpo_core as hpo
from hpo_core.log import State


class Watched(Hashed):
    """Calls ``while_asked`` for trials from 2 on, beside which trial 0 runs."""

    while_asked = staticmethod(lambda: None)

    def ask(self, history, first, n):
        if first >= 2:
            before = history.position, len(history.reports.row)
            Watched.while_asked()
            assert (history.position, len(history.reports.row)) == before
        return super().ask(history, first, n)


@pytest.fixture
def optimize(monkeypatch):
    """Optimizes with two threads; ``while_asked`` is called while the sampler is at work for trial 2."""

    def optimize(study, objective, while_asked, n_trials=4):
        monkeypatch.setattr(Watched, "while_asked", staticmethod(while_asked))
        try:
            with ThreadPoolExecutor(2) as pool:
                study.optimize(objective, n_trials=n_trials, executor=pool)
        finally:
            monkeypatch.undo()

    return optimize


@pytest.mark.parametrize("stored", [False, True])
def test_a_question_does_not_wait_for_a_suggestion(optimize, tmp_path, stored):
    where = {"storage": str(tmp_path / "s.db"), "name": "s"} if stored else {}
    study = make_study(sampler=Watched(), scheduler=StopAbove(), **where)
    asked, answered = threading.Event(), threading.Event()

    def while_asked():
        asked.set()
        assert answered.wait(30)

    def objective(trial):
        if trial.number == 0:
            assert asked.wait(30)
            for step in range(3):
                trial.report(step, 0.5)
            trial.note(told=trial.should_stop())
            answered.set()
        return 1.0

    optimize(study, objective, while_asked)
    assert study.trials[0].notes == {"told": True}
    assert states(study) == [State.STOPPED] + [State.COMPLETE] * 3
    assert study.history.cursor[2] == study.history.reports.position[0]  # it has seen what came before
    assert study.replay()


def test_trials_that_end_meanwhile_are_told_before_the_next_suggestion(optimize):
    study, asked = make_study(sampler=Watched()), threading.Event()
    ended = threading.Event()

    def while_asked():
        asked.set()
        assert ended.wait(30)
        time.sleep(0.05)  # until the result is there

    def objective(trial):
        if trial.number == 0:
            assert asked.wait(30)
            ended.set()
        return float(trial.number)

    optimize(study, objective, while_asked, n_trials=6)
    assert states(study) == [State.COMPLETE] * 6
    assert study.history.cursor[3] > study.history.finish_position[study.history.finish_order == 0]
    assert study.replay()


def test_an_error_of_the_sampler_ends_the_call_after_the_running_trials(optimize):
    study = make_study(sampler=Watched())

    def while_asked():
        raise ZeroDivisionError("no model")

    def objective(trial):
        time.sleep(0.3 if trial.number == 0 else 0.0)
        return 1.0

    with pytest.raises(ZeroDivisionError, match="no model"):
        optimize(study, objective, while_asked)
    assert states(study) == [State.COMPLETE] * 2


def test_ctrl_c_waits_for_the_suggestion(optimize):
    study, finished = make_study(sampler=Watched()), []

    def while_asked():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        finished.append(True)

    def objective(trial):
        time.sleep(0.5 if trial.number == 0 else 0.0)
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        optimize(study, objective, while_asked)
    assert finished == [True]
    assert len(study.trials.where("running")) == 0
    assert study.replay()


def test_a_space_that_is_exhausted_ends_the_call(optimize):
    class Last(Watched):
        def ask(self, history, first, n):
            if len(history) >= 3:
                raise hpo.SpaceExhausted("no more")
            return super().ask(history, first, 1)

    study = make_study(sampler=Last())

    def objective(trial):
        time.sleep(0.3 if trial.number == 0 else 0.0)
        return 1.0

    optimize(study, objective, lambda: None, n_trials=10)
    assert states(study) == [State.COMPLETE] * 3
