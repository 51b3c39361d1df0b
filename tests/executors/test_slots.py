"""What the slots of a cluster are dealt, without a cluster."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future

import pytest

from hpo_core.executors import Decision, Outcome, Question, Report
from hpo_core.executors.cluster import Slot, SlotExecutor


class Fake(Slot):
    """Keeps the calls that were made; the test answers them."""

    def __init__(self, worker):
        super().__init__(worker)
        self.opened = Future()
        self.opened.set_result(None)
        self.calls = []

    def submit(self, key, packed):
        return self.resume(key, None)

    def resume(self, key, answer):
        self.calls.append((answer, Future()))
        return self.calls[-1][1]

    def say(self, *messages):
        self.calls[-1][1].set_result([*messages])


class FakeExecutor(SlotExecutor):
    """One slot, and another when that is lost."""

    def _refresh(self):
        if not (self._slots or self._opening):
            self.slot = Fake("worker")
            self._open(self.slot)

    def _kill(self, slot):
        slot.killed = True

    def _why_lost(self, error):
        return str(error)

    def close(self, *, cancel=False):
        pass


def started(trial_timeout=math.inf):
    executor = FakeExecutor(lambda trial: (trial,), trial_timeout)
    executor.submit("trial")
    executor.wait()
    assert executor.collect() == []
    return executor


def test_each_call_brings_what_the_trial_says_next():
    executor = started()
    executor.slot.say(Report(0, 0.5), Report(1, 0.25))
    assert executor.collect() == [("trial", Report(0, 0.5)), ("trial", Report(1, 0.25))]
    assert executor.running == ["trial"]
    outcome = Outcome("complete", 1.0)
    executor.slot.say(Report(2, 0.125), outcome)
    assert executor.collect() == [("trial", Report(2, 0.125)), ("trial", outcome)]
    assert executor.running == []
    assert [answer for answer, _ in executor.slot.calls] == [None, None]


@pytest.mark.parametrize("said", [[Question()], [Question(), Report(0, 0.5)]])
def test_the_answer_goes_with_the_next_call(said):
    executor = started()
    executor.slot.say(*said)
    assert executor.collect() == [("trial", message) for message in said]
    assert len(executor.slot.calls) == 1
    executor.answer("trial", Decision.STOP)
    assert [answer for answer, _ in executor.slot.calls] == [None, Decision.STOP]
    executor.answer("another", Decision.STOP)
    assert len(executor.slot.calls) == 2


def test_what_arrived_before_the_time_was_up_is_collected():
    executor = started(trial_timeout=0.05)
    executor.slot.say(Report(0, 0.5))
    time.sleep(0.1)
    executor.wait()
    report, (_, outcome) = executor.collect()
    assert report == ("trial", Report(0, 0.5))
    assert (outcome.state, outcome.reason) == ("failed", "timeout")


def test_a_trial_that_reports_all_the_time_is_killed_when_its_time_is_up():
    executor = started(trial_timeout=0.1)
    slot, limit = executor.slot, time.monotonic() + 30
    while executor.running:
        assert time.monotonic() < limit
        slot.say(Report(0, 0.5))
        executor.wait()
        executor.collect()
    assert slot.killed


def test_a_lost_worker_keeps_what_it_said():
    executor = started()
    executor.slot.say(Report(0, 0.5))
    arrived = executor.collect()
    executor.slot.calls[-1][1].set_exception(OSError("gone"))
    arrived += executor.collect()
    assert arrived[0] == ("trial", Report(0, 0.5))
    assert (arrived[1][1].state, arrived[1][1].reason) == ("failed", "gone")
