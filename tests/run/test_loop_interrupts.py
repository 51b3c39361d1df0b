"""Ctrl-C, once and twice, at any moment of ``optimize``: the study goes on, and is what its log says."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time

import objectives
import pytest
from studies import assert_same, make_study

from hpo_core.log import State
from hpo_core.study import Study


def press_ctrl_c(delays):
    for delay in delays:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)


def interrupted_round(study, delays, **options):
    """Optimise until it is interrupted; what comes late is not for the next round."""
    thread = threading.Thread(target=press_ctrl_c, args=(delays,))
    with contextlib.suppress(KeyboardInterrupt):
        thread.start()
        study.optimize(objectives.parabola, n_trials=100_000, **options)
    for _ in delays:
        with contextlib.suppress(KeyboardInterrupt):
            thread.join()
            time.sleep(0.01)


# A heartbeat that a second Ctrl-C keeps from its owner ends when Python collects it, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("stored", [False, True], ids=["memory", "sqlite"])
def test_the_study_survives_ctrl_c(tmp_path, soak, stored, n_jobs, twice):
    options = {"storage": str(tmp_path / "s.db"), "name": "s"} if stored else {}
    study, dice = make_study(sampler="tpe", **options), random.Random(n_jobs + 2 * twice)
    rounds = (200 if soak else 10) if n_jobs == 1 else (40 if soak else 3)
    for _ in range(rounds):
        first = dice.uniform(0.0, 0.08) + (0.5 if n_jobs == 2 else 0.0)
        delays = [first, dice.uniform(0.0, 0.004)] if twice else [first]
        interrupted_round(study, delays, n_jobs=n_jobs)
    study.optimize(objectives.parabola, n_trials=3, n_jobs=n_jobs)
    assert study.trials[-1].state == State.COMPLETE
    assert study.n_finished > rounds
    running = study.trials.where("running")
    assert len(running) <= (rounds * n_jobs if twice else 0)  # a second Ctrl-C does not wait
    assert study.replay()
    if stored:
        assert_same(study, Study.open(str(tmp_path / "s.db"), "s"))
