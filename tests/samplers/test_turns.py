"""Whose turn it is, as a function of the record."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import hpo_core as hpo
from hpo_core.log import History, State
from hpo_core.log.events import Asked, Failed, Told
from hpo_core.samplers import turns
from hpo_core.samplers.turns import Turns, worth

NAMES = ("gp", "cma", "tpe")
FIRST = 20


class Record:
    """A history of trials whose origins take turns."""

    def __init__(self):
        self.history = History(hpo.Space({"x": hpo.Float(0, 1)}).layout)
        rng = np.random.default_rng(0)
        for y in 10.0 + rng.random(FIRST):
            self.add("sobol", y)

    def ask(self, origin):
        history = self.history
        first = len(history)
        history.apply(Asked(first, np.array([[0.5]]), history.position, origin, 0.0))
        return first

    def add(self, origin, y):
        row = np.array([self.ask(origin)])
        cost = np.zeros(1)
        self.history.apply(Failed(row, "", cost) if y is None else Told(row, np.array([[y]]), cost))

    def shares(self, n, value):
        """Let ``value(name, best)`` say what a trial comes to; return the turns."""
        chosen, turns_ = Counter(), Turns(FIRST)
        for _ in range(n):
            name = turns_.next(self.history, NAMES)
            chosen[name] += 1
            best = np.nanmin(self.history.y[0])
            self.add(name, value(name, best))
        return chosen


def test_turns_are_equal_while_nobody_succeeds():
    counts = Record().shares(90, lambda name, best: best + 1.0)
    assert set(counts.values()) == {30}


def test_who_succeeds_has_most_turns_and_nobody_is_given_up():
    counts = Record().shares(300, lambda name, best: best - 0.01 if name == "cma" else best + 1.0)
    assert counts["cma"] > 150
    assert min(counts.values()) > 300 / 7
    assert counts["gp"] == pytest.approx(counts["tpe"], abs=2)


def test_a_change_is_noticed():
    record = Record()
    record.shares(200, lambda name, best: best - 0.01 if name == "cma" else best + 1.0)
    record.shares(300, lambda name, best: best - 0.01 if name == "gp" else best + 1.0)
    after = record.shares(100, lambda name, best: best - 0.01 if name == "gp" else best + 1.0)
    assert after["gp"] > 2 * after["cma"]


def test_gains_too_small_to_count_and_failures_are_no_successes():
    record = Record()
    least = worth(record.history, FIRST)
    assert 0.0 < least < 1e-7
    counts = record.shares(60, lambda name, best: best - 0.5 * least if name == "cma" else None)
    assert set(counts.values()) == {20}


def test_appended_is_as_made_from_all_and_running_trials_count():
    record, rng = Record(), np.random.default_rng(1)
    appended = Turns(FIRST)
    for k in range(200):
        name = appended.next(record.history, NAMES)
        assert name == Turns(FIRST).next(record.history, NAMES)
        if k % 5 == 0:
            record.ask(name)
        else:
            record.add(name, 10.0 - 0.01 * k * rng.random())
    asked = Counter()
    for _ in range(9):
        name = appended.next(record.history, NAMES)
        asked[name] += 1
        record.ask(name)
    assert len(asked) == 3


@pytest.mark.parametrize(
    "values", [[0.0] * 40, [1e308, -1e308] * 20, [None] * 40, [5e-324 * k for k in range(40)]]
)
def test_any_values_give_a_turn(values):
    record = Record()
    record.history = History(record.history.layout)
    with np.errstate(all="raise"):
        for y in values:
            record.add("sobol", y)
            if len(record.history) >= FIRST:
                assert Turns(FIRST).next(record.history, NAMES) in NAMES
    assert turns.worth(record.history, FIRST) >= 0.0
    assert record.history.count(State.FAILED) == values.count(None)
