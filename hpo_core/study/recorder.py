"""Turns what happens in a study into events: here values are minimised, and clocks are read.

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

    Rows = NDArray[np.int64]

logger = logging.getLogger("hpo_core")


class Recorder:
    """Turns what happens, inside a change, into events."""

    __slots__ = ("apply", "history", "sign")

    def __init__(self, ledger: Ledger, sign: float) -> None:
        self.apply = ledger.add
        self.history = ledger.history
        self.sign = sign

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
        history = self.history
        seen = history.position if cursor is None else cursor
        self.apply(Asked(len(history), x, seen, origin, time.time(), wanted, worker, given, build, fit))

    def told_one(self, row: int, value: float) -> None:
        """Complete one trial: ``told``, with floats instead of arrays."""
        rows = np.array([row])
        if math.isfinite(value):
            cost = max(0.0, time.time() - self.history.started.item(row))
            self.apply(Told(rows, np.array([[self.sign * value]]), np.array([cost])))
        else:
            self.failed(rows, f"the value told is {value}")

    def told(self, rows: Rows, values: NDArray[np.float64]) -> None:
        """Complete trials; those whose value is not finite fail."""
        finite = np.isfinite(values)
        if not finite.all():
            for text in ("nan", "inf", "-inf"):
                bad = np.isnan(values) if text == "nan" else values == float(text)
                self.failed(rows[bad], f"the value told is {text}")
            rows, values = rows[finite], values[finite]
        if len(rows):
            self.apply(Told(rows, self.sign * values[np.newaxis], self._cost(rows)))

    def failed(self, rows: Rows, reason: str, traceback: str | None = None) -> None:
        """End trials as failed."""
        if len(rows):
            self.apply(Failed(rows, reason, self._cost(rows), traceback))
            logger.info("%d failed, trial %d first: %s", len(rows), rows[0], printable(reason))

    def stopped(self, rows: Rows, values: NDArray[np.float64] | None = None) -> None:
        """Stop trials with values or their last reports; a trial without a finite value fails."""
        if values is None:
            last = self.history.last_report[rows]
            y = np.append(self.history.reports.value, np.nan)[last]  # -1, no report, reads the NaN
        else:
            y = self.sign * values
        known = np.isfinite(y)
        self.failed(rows[~known], "stopped without a finite report")
        rows, y = rows[known], y[known]
        if len(rows):
            self.apply(Stopped(rows, y[np.newaxis], self._cost(rows)))

    def reported(self, rows: Rows, step: int, values: NDArray[np.float64]) -> None:
        """Record intermediate values."""
        if len(rows):
            self.apply(Reported(rows, step, self.sign * values))

    def noted(self, rows: Rows, notes: Sequence[Mapping[str, object]]) -> None:
        """Attach notes, one mapping per row."""
        plain = tuple({name: as_json(name, value) for name, value in each.items()} for each in notes)
        if len(rows):
            self.apply(Noted(rows, plain))

    def _cost(self, rows: Rows) -> NDArray[np.float64]:
        return np.maximum(time.time() - self.history.started[rows], 0.0)
