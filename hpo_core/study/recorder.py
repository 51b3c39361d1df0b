"""Turns the changes of a study into events: here values get their signs, and clocks are read.

Rows are int64 arrays of trial numbers. The ledger refuses an event about a trial that is not running, and
then takes back the whole change that the event belongs to.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.checks import as_json
from hpo_core.log.columns import Move, State
from hpo_core.log.events import Asked, Decided, Failed, Noted, Paused, Reported, Stopped, Told
from hpo_core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.ledger import Ledger
    from hpo_core.space import Space

    Rows = NDArray[np.int64]

logger = logging.getLogger("hpo_core")


def now() -> float:
    """Return the time in seconds since the epoch."""
    return time.time()


class Recorder:
    """Turns what happens, inside a change, into events.

    Attributes
    ----------
    apply : callable
        Adds an event.
    clock : callable
        Gives the time in seconds; a simulation puts its own here.
    history : History
    metrics : Metrics
    """

    __slots__ = (
        "_complete",
        "_has_warned",
        "_has_warned_of_steps",
        "_lasted",
        "_sign",
        "_space",
        "_start",
        "apply",
        "clock",
        "history",
        "metrics",
    )

    def __init__(self, ledger: Ledger, space: Space) -> None:
        self.apply = ledger.add
        self._start, self._complete = ledger.start, ledger.complete
        self.clock: Callable[[], float] = now
        self.history = ledger.history
        self.metrics = ledger.history.metrics
        self._space = space
        self._lasted: tuple[int, NDArray[np.float64]] | None = None
        self._has_warned = False  # that a step was reported again
        self._has_warned_of_steps = False  # that a trial takes another number of steps than it said
        self._sign: float = self.metrics.sign.item(0)  # of the metric, if it is the only one

    def asked(
        self,
        x: NDArray[np.float64],
        origin: str,
        *,
        wanted: int = 0,
        cursor: int | None = None,
        worker: str = "",
        given: NDArray[np.float64] | None = None,
        build: str = "",
        fit: dict[str, Any] | None = None,
        started: float | None = None,
    ) -> None:
        """Start a trial for each column of ``x``, by default now.

        Without a cursor, the suggestion has seen the whole log.
        """
        if self.metrics.reader.known:  # a result must not be lost because a function fails later
            self.metrics.known_values(self._space, x, given)
        history = self.history
        seen = history.position if cursor is None else cursor
        began = self.clock() if started is None else started
        self.apply(Asked(len(history), x, seen, origin, began, wanted, worker, given, build, fit))

    def suggested(self, x: NDArray[np.float64], origin: str, cursor: int) -> None:
        """Do the same for the suggestions of a sampler, if nothing else is to be recorded about them."""
        if self.metrics.reader.known:
            self.metrics.known_values(self._space, x, None)
        self._start(x, origin, cursor, self.clock())

    def signed(self, rows: Rows, told: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return signed values (M, k), known ones included, of what was read of trials, (measured, k)."""
        metrics = self.metrics
        outcomes = metrics.signed(told)
        if metrics.reader.known:
            known = metrics.known_values(self._space, *self.history.configurations(rows))
            outcomes = np.where(np.isnan(known), outcomes, known)
        return outcomes

    def told_one(self, row: int, value: float) -> None:
        """Complete one trial of a plain study: ``told``, with floats instead of arrays."""
        if math.isfinite(value):
            cost = max(0.0, self.clock() - self.history.buffer("started").item(row))
            self._complete(row, self._sign * value, cost)
        else:
            self.failed(np.array([row]), f"the value told is {value}")

    def told(self, rows: Rows, told: NDArray[np.float64], *, complete: bool = False) -> None:
        """Complete trials, with values (measured, k) as read; those with a value that is not finite fail.

        Trials that were told to stop or pause do so, unless ``complete``, or all their steps are done. The
        values of those that pause do not matter.
        """
        early = np.zeros(len(rows), np.bool_)
        if self.history.scheduler is not None and not complete:
            early = self._ends_early(rows)
            pauses = early & (self.history.decision[rows] == Move.PAUSE)
            self.paused(rows[pauses])
            rows, told, early = rows[~pauses], told[:, ~pauses], early[~pauses]
        finite = np.isfinite(told)
        if not finite.all():
            good = finite.all(axis=0)
            self._fail_those_not_finite(rows[~good], told[:, ~good])
            rows, told, early = rows[good], told[:, good], early[good]
        if early.any():
            self.stopped(rows[early], told[:, early])
            rows, told = rows[~early], told[:, ~early]
        if len(rows):
            self.apply(Told(rows, self.signed(rows, told), self._cost(rows)))

    def _ends_early(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which trials were told to stop or pause before they had taken all their steps, (k,)."""
        history = self.history
        most = None if history.scheduler is None else history.scheduler.max_steps
        planned, step = history.planned[rows], self._last_step(rows)
        if most is not None:
            planned = np.where(planned == 0, most, planned)
        return np.asarray((history.decision[rows] > 0) & ((planned == 0) | (step + 1 < planned)))

    def _last_step(self, rows: Rows) -> NDArray[np.int64]:
        """Return the step of each trial's last report, -1 if it has none."""
        last = self.history.last_report[rows]
        if not (last >= 0).any():
            return np.full(len(rows), -1)
        return np.where(last >= 0, self.history.reports.step[last], -1)

    def ended_early(self, rows: Rows) -> None:
        """End or pause running trials as was decided; those about which nothing was decided stop."""
        pauses = self.history.decision[rows] == Move.PAUSE
        self.paused(rows[pauses])
        self.stopped(rows[~pauses])

    def paused(self, rows: Rows) -> None:
        """Pause running trials."""
        if len(rows):
            self.apply(Paused(rows, self._cost(rows)))

    def _fail_those_not_finite(self, rows: Rows, told: NDArray[np.float64]) -> None:
        """Fail trials, each because of its first value that is not finite."""
        first = (~np.isfinite(told)).argmax(axis=0)
        for place, name in enumerate(self.metrics.reader.measured):
            value = "value" if len(self.metrics) == 1 else f"value of {name!r}"
            for text in ("nan", "inf", "-inf"):
                bad = np.isnan(told[place]) if text == "nan" else told[place] == float(text)
                self.failed(rows[bad & (first == place)], f"the {value} told is {text}")

    def failed(self, rows: Rows, reason: str, traceback: str | None = None) -> None:
        """End trials as failed."""
        if len(rows):
            self.apply(Failed(rows, reason, self._cost(rows), traceback))
            logger.info("%d failed, trial %d first: %s", len(rows), rows[0], printable(reason))

    def stopped(self, rows: Rows, told: NDArray[np.float64] | None = None) -> None:
        """Stop trials with values (measured, k) or their last reports; a trial without finite ones fails."""
        if told is None:
            last = self.history.last_report[rows]
            y = np.full((len(self.metrics.rows), len(rows)), np.nan)
            y[:, last >= 0] = np.atleast_2d(self.history.reports.value)[:, last[last >= 0]]
        else:
            y = self.signed(rows, told)
        diverged = self._diverged(rows)
        known = np.isfinite(y).all(axis=0) & ~diverged
        for row, of_report in zip(rows[~known].tolist(), diverged[~known].tolist(), strict=True):
            reason = "stopped without a finite report"
            if of_report:
                reported = np.atleast_2d(self.history.reports.value)[:, self.history.last_report.item(row)]
                reason = _not_finite(self.history, self.history.last_step(row), reported)
            self.failed(np.array([row]), reason)
        rows, y = rows[known], y[:, known]
        if len(rows):
            self.apply(Stopped(rows, y, self._cost(rows)))

    def reported(
        self, rows: Rows, step: int, told: NDArray[np.float64], steps: int = 0, *, decides: bool = True
    ) -> None:
        """Record intermediate values, (measured, k) as read, and decide about the trials.

        ``steps`` is the number that they are to take in all; 0 if that is unknown.
        """
        history = self.history
        decides = decides and history.scheduler is not None
        if decides and (len(rows) != 1 or step <= history.last_step(rows.item())):
            new = step > self._last_step(rows)
            self._warn_of_repeated(rows[~new], step)
            rows, told = rows[new], told[:, new]
        if not len(rows):
            return
        if steps and (planned := history.planned[rows]).any():
            self._warn_of_other_steps(rows[(planned > 0) & (planned != steps)], steps)
            steps = 0 if planned.all() else steps
        y = self._sign * told if len(self.metrics) == 1 else self.signed(rows, told)
        applied: Any = self.apply(Reported(rows, step, y[0] if len(y) == 1 else y, steps))
        if decides and applied is not None:
            if len(applied.rows) < len(rows):
                here = np.isin(rows, applied.rows)
                rows, y = rows[here], y[:, here]
            for row, move, rung, reason in decisions(history, rows, step, y):
                self.apply(Decided(np.array([row]), move, rung, reason))

    def _warn_of_repeated(self, rows: Rows, step: int) -> None:
        if len(rows) and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "trial %d has reported step %d before, so this report is dropped. If trials pause, give the "
                "study checkpoints=, load trial.checkpoint and iterate over trial.steps(n), which begins at "
                "the next step",
                rows[0],
                step,
            )

    def _warn_of_other_steps(self, rows: Rows, steps: int) -> None:
        if len(rows) and not self._has_warned_of_steps:
            self._has_warned_of_steps = True
            planned = self.history.planned.item(rows.item(0))
            text = "trial %d planned %d steps before and plans %d now: the first number counts"
            logger.warning(text, rows[0], planned, steps)

    def _diverged(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which trials were told to stop and have a last report that is not finite, (k,)."""
        decided = self.history.decision[rows] > 0
        if decided.any():
            last = self.history.last_report[rows]
            decided &= ~np.isfinite(np.atleast_2d(self.history.reports.value)[:, last]).all(axis=0)
        return np.asarray(decided)

    def noted(self, rows: Rows, notes: Sequence[Mapping[str, object]]) -> None:
        """Attach notes, one mapping per row."""
        plain = tuple({name: as_json(name, value) for name, value in each.items()} for each in notes)
        if len(rows):
            self.apply(Noted(rows, plain))

    @contextmanager
    def lasting(self, first: int, seconds: NDArray[np.float64] | None) -> Iterator[None]:
        """Let the trials from ``first`` on end after these durations in seconds, (k,), instead of now."""
        self._lasted = None if seconds is None else (first, seconds)
        try:
            yield
        finally:
            self._lasted = None

    def _cost(self, rows: Rows) -> NDArray[np.float64]:
        """Return seconds since the trials were asked, without pauses."""
        if self._lasted is not None:
            first, seconds = self._lasted
            return seconds[rows - first]
        history = self.history
        since = np.maximum(self.clock() - history.started[rows], 0.0)
        return np.where(
            history.state[rows] == State.RUNNING, history.spent[rows] + since, history.spent[rows]
        )


def decisions(
    history: History, rows: Rows, step: int, y: NDArray[np.float64]
) -> Iterator[tuple[int, int, int, str]]:
    """Yield the decisions about trials that have just reported: row, move, rung and reason.

    Trials that go on, were told something before, or were ended by another process, whose report was then set
    aside, are left out. ``y`` holds the reported values, (M, k).
    """
    scheduler = history.scheduler
    if scheduler is None:
        return
    for k, row in enumerate(rows.tolist()):
        if history.decision.item(row) or history.state.item(row) != State.RUNNING:
            continue
        if not (math.isfinite(y.item(0, k)) and (len(y) == 1 or np.isfinite(y[:, k]).all())):
            yield row, int(Move.STOP), -1, _not_finite(history, step, y[:, k])
            continue
        move, rung, reason = scheduler.decide(history, row)
        if move is not None:
            yield row, int(move), rung, reason


def _not_finite(history: History, step: int, y: NDArray[np.float64]) -> str:
    """Return why a trial fails that has reported signed values (M,), some of which are not finite."""
    told = history.metrics.sign * y
    return f"the report of step {step} is {told[~np.isfinite(told)].item(0)}"
