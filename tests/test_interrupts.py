"""An exception that strikes anywhere leaves a study as it was before the call, or as it is after it."""

from __future__ import annotations

import contextlib
import math
import os
import random
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from interrupts import interrupt
from studies import Hashed, assert_same, hashed_study, small_space

import hpo_core as hpo
from hpo_core.log import History
from hpo_core.storage import MemoryStorage
from hpo_core.study.replay import log

PACKAGE = f"{Path(hpo.__file__).parent}{os.sep}"
SAMPLERS = ("random", "sobol", "tpe", "gp", "auto")
COLUMNS = (
    "x",
    "y",
    "state",
    "cost",
    "cursor",
    "fidelity",
    "started",
    "origin",
    "last_report",
    "finish_order",
)


class Struck(BaseException):
    """What strikes."""


def assert_whole(history):
    """The columns are those of the events that can be read back from them."""
    again = History(history.layout)
    for position, event in log(history):
        again.position = position
        again.apply(event)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(history, name), getattr(again, name), name)
    assert (history._counts, history.running.tolist()) == (
        again._counts,
        again.running.tolist(),
    )
    failed = set(np.flatnonzero(history.state == 3).tolist())
    assert set(history.reasons) == failed
    assert set(history.tracebacks) <= failed
    assert all(row < len(history) for row in (*history.notes, *history.fixed, *history.wanted))


def prepared(storage):
    """A study with trials in every state, and something in its queue."""
    study = hashed_study(storage=storage, name="s")
    batch = study.ask(6)
    batch.report(0, np.arange(6.0))
    batch[:2].note(k=[1, 2])
    study.tell(batch[:2], [1.0, math.nan])
    study.fail(batch[2], reason="oom", traceback="line 7")
    study.enqueue({"depth": 3})
    study.enqueue({"depth": 2})
    return study


CHANGES = {
    "ask": lambda study: study.ask(),
    "ask many": lambda study: study.ask(5),
    "repeat": lambda study: study.ask(2, repeat=1),
    "tell": lambda study: study.tell(3, 0.5),
    "tell many": lambda study: study.tell([3, 4, 5], [0.5, math.nan, math.inf]),
    "fail": lambda study: study.fail([3, 4], reason="oom", traceback="line 7"),
    "annotate": lambda study: study.note(a=1, b=(2,)),
    "stop": lambda study: study.stop_trials([3, 4]),
    "report": lambda study: study.trials[3].report(1, 0.5),
    "report many": lambda study: study.trials[[3, 4]].report(1, [0.5, 0.25]),
    "note": lambda study: study.trials[3].note(k=2, a=1),
    "enqueue": lambda study: study.enqueue({"depth": 1}),
    "add": lambda study: study.add({"lr": 0.01, "batch": 32, "optimizer": "adam", "depth": 1}, 0.3),
    "grow": lambda study: study.ask(60),
}
NEW = {"ask": 1, "ask many": 5, "repeat": 2, "add": 1, "grow": 60}  # trials


def strike_at(line, call):
    """Call, and raise at the given line executed in hpo_core; whether there was such a line."""
    left = line

    def trace(frame, kind, _):
        nonlocal left
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if kind == "line":
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise Struck
        return trace

    sys.settrace(trace)
    try:
        call()
    except Struck:
        return True
    finally:
        sys.settrace(None)
    assert left > 0, "a strike was swallowed"
    return False


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "sqlite"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_strike_leaves_all_or_nothing(change, stored, tmp_path, soak):
    path = str(tmp_path / "s.db") if stored else None
    line, n = 1, len(prepared(None).trials)
    while True:
        for file in tmp_path.iterdir():
            file.unlink()
        study = prepared(path)
        if not strike_at(line, partial(CHANGES[change], study)):
            break
        study.sync()
        assert_whole(study.history)
        assert len(study.trials) - n in (0, NEW.get(change, 0))
        if stored:
            assert_same(study, hpo.Study.open(path, "s", sampler=Hashed()))
        with contextlib.suppress(hpo.TrialError):  # the strike came after the end of the change
            CHANGES[change](study)
        study.tell(study.ask(), 0.25)
        assert_whole(study.history)
        assert study.replay(), str(study.replay())
        line += 1 if soak else 61 if stored else 29
    assert line > 30


def test_a_strike_while_another_is_taken_back():
    study = prepared(None)
    ledger, restart, restarts = study._ledger, study._ledger._restart, []

    def struck_at_first():
        restarts.append(len(study.history))
        if len(restarts) == 1:
            raise Struck
        restart()

    def change():
        study.ask()
        raise Struck

    ledger._restart = struck_at_first
    n = len(study.history)
    with pytest.raises(Struck):
        ledger.transact(change)
    study.ask()
    assert restarts == [n, n]
    assert_whole(study.history)


# A module whose loading is broken off leaves its file to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.database)])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_signals_at_any_moment(sampler, kind, request, tmp_path, soak):
    rounds = 2000 if soak else 100
    if kind == "postgres":
        place = request.getfixturevalue("postgres")
    else:
        place = str(tmp_path / "s.db") if kind == "sqlite" else MemoryStorage()
    warm = hpo.Study(small_space(), sampler=sampler, seed=3)  # what is loaded late is loaded whole
    for k in range(30):
        warm.tell(warm.ask(), float(k) if k % 3 else math.nan)
    dice = random.Random(7)
    study = hpo.Study(small_space(), sampler=sampler, seed=3, storage=place, name="s")

    def change():
        trial = study.ask()
        trial.report(0, 0.5)
        trial.note(k=1)
        if dice.random() < 0.3:
            study.enqueue({"depth": 2})
        if dice.random() < 0.2:
            study.fail(trial, reason="oom")
        else:
            study.tell(trial, dice.random())
        batch = study.ask(3)
        study.tell(batch, [0.5, math.nan, 0.25])

    lengths = []
    for _ in range(10):
        start = time.perf_counter()
        change()
        lengths.append(time.perf_counter() - start)
    usual = sorted(lengths[5:])[2]  # the first ones load and compile, and take ten times as long
    assert interrupt(change, (dice.uniform(0.02, 2.0) * usual for _ in range(rounds))) > rounds // 20
    study.tell(study.ask(), 0.1)
    assert_whole(study.history)
    assert_same(study, hpo.Study.open(place, "s"))
    assert study.replay(), str(study.replay())
