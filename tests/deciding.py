"""Schedulers whose decisions a test can foresee."""

from __future__ import annotations

from hpo_core.log.columns import Move
from hpo_core.schedulers.base import GO_ON, Scheduler, Verdict


def newest(history, row):
    """Step and signed value of the last report of a trial."""
    last = history.last_report.item(row)
    return history.reports.step.item(last), history.reports.value.item(last)


class StopAbove(Scheduler):
    """Stops a trial at step 2 if its value there is above a bound."""

    name = "stop above"

    def __init__(self, bound=0.0):
        self.bound = bound

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        step, value = newest(history, row)
        return Verdict(Move.STOP, 0, f"{value} is too much") if step == 2 and value > self.bound else GO_ON


class PauseOnce(Scheduler):
    """Pauses every trial at step 1, and lets the oldest paused one go on first."""

    name = "pause once"
    pauses = True

    def start(self, *, seed):
        pass

    def decide(self, history, row):
        return Verdict(Move.PAUSE, 0, "pause") if newest(history, row)[0] == 1 else GO_ON

    def resume(self, history, n):
        return history.paused[:n].tolist()
