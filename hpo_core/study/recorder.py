"""Turns what happens in a study into events: here values get their signs, and clocks are read.

Rows are int64 arrays of trial numbers. The ledger refuses an event about a trial that is not running, and
then takes back the whole change that the event belongs to.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.checks import as_json
from hpo_core.log.events import Asked, Failed, Noted, Reported, Stopped, Told
from hpo_core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.log.ledger import Ledger
    from hpo_core.space import Space

    Rows = NDArray[np.int64]

logger = logging.getLogger("hpo_core")


class Recorder:
    """Turns what happens, inside a change, into events.

    Attributes
    ----------
    apply : callable
        Adds an event.
    history : History
    metrics : Metrics
    """

    __slots__ = ("_sign", "_space", "apply", "history", "metrics")

    def __init__(self, ledger: Ledger, space: Space) -> None:
        self.apply = ledger.add
        self.history = ledger.history
        self.metrics = ledger.history.metrics
        self._space = space
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
    ) -> None:
        """Start a trial for each column of ``x``; without a cursor, the suggestion has seen the whole log."""
        if self.metrics.reader.known:  # a result must not be lost because a function fails later
            self.metrics.known_values(self._space, x, given)
        history = self.history
        seen = history.position if cursor is None else cursor
        self.apply(Asked(len(history), x, seen, origin, time.time(), wanted, worker, given, build, fit))

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
        rows = np.array([row])
        if math.isfinite(value):
            cost = max(0.0, time.time() - self.history.started.item(row))
            self.apply(Told(rows, np.array([[self._sign * value]]), np.array([cost])))
        else:
            self.failed(rows, f"the value told is {value}")

    def told(self, rows: Rows, told: NDArray[np.float64]) -> None:
        """Complete trials, with values (measured, k) as read; those with a value that is not finite fail."""
        finite = np.isfinite(told)
        if not finite.all():
            good = finite.all(axis=0)
            self._fail_those_not_finite(rows[~good], told[:, ~good])
            rows, told = rows[good], told[:, good]
        if len(rows):
            self.apply(Told(rows, self.signed(rows, told), self._cost(rows)))

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
            values = np.atleast_2d(self.history.reports.value)
            nothing = np.full((len(values), 1), np.nan)
            y = np.concatenate([values, nothing], axis=1)[:, self.history.last_report[rows]]  # -1: no report
        else:
            y = self.signed(rows, told)
        known = np.isfinite(y).all(axis=0)
        self.failed(rows[~known], "stopped without a finite report")
        rows, y = rows[known], y[:, known]
        if len(rows):
            self.apply(Stopped(rows, y, self._cost(rows)))

    def reported(self, rows: Rows, step: int, told: NDArray[np.float64]) -> None:
        """Record intermediate values, (measured, k) as read."""
        if len(rows):
            y = self.signed(rows, told)
            self.apply(Reported(rows, step, y[0] if len(y) == 1 else y))

    def noted(self, rows: Rows, notes: Sequence[Mapping[str, object]]) -> None:
        """Attach notes, one mapping per row."""
        plain = tuple({name: as_json(name, value) for name, value in each.items()} for each in notes)
        if len(rows):
            self.apply(Noted(rows, plain))

    def _cost(self, rows: Rows) -> NDArray[np.float64]:
        return np.maximum(time.time() - self.history.started[rows], 0.0)
