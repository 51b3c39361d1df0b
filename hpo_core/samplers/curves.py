"""Learning curves at rungs, as arrays.

Glossary
--------
n, d, K     curves, parameters, rungs
depth       steps done; ``depths`` (K,) of the rungs ascend, the last one is the horizon
level       the deepest rung that a curve has reached; -1 if it has reached none
segment     of rung k: the reports after rung k - 1, up to rung k
value       at a rung: the least value reported in its segment. A segment without reports has the value of the
            next one
arrival     the first report of a trial at or beyond a rung, by which the trials at a rung are in order
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.log import State

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

# Depths of two rungs, and of the horizon and the first rung, if the scheduler has none.
FACTOR, FIRST_SHARE = 2, 1 / 16
# Values count as no larger than this, so that their squares stay in float64.
LARGEST = 1e100


class Curves(NamedTuple):
    """All curves that have reached a rung, in the order of their trials.

    Attributes
    ----------
    rows : (n,) int64
        Their trials.
    x : (d, n)
    values : (n, K)
        NaN at rungs that a curve has not reached.
    level : (n,) int64
    arrival : (n, K) int64
        Numbers that order the trials that have arrived at a rung.
    depths : (K,) int64
    """

    rows: Rows
    x: Array
    values: Array
    level: Rows
    arrival: Rows
    depths: Rows

    @property
    def last(self) -> Array:
        """Return the value of each curve at its level, (n,)."""
        return np.take_along_axis(self.values, self.level[:, None], axis=1)[:, 0]

    @property
    def best(self) -> Array:
        """Return the least value of each curve at any rung, (n,)."""
        return np.asarray(np.nanmin(self.values, axis=1))


def ladder(history: History) -> Rows:
    """Return the depths of the rungs: the scheduler's if it has any, and the most steps of any trial."""
    scheduler = history.scheduler
    planned = int(history.planned.max(initial=0))
    if scheduler is not None:
        planned = max(planned, scheduler.max_steps or 0)
    horizon = max(planned, int(history.reports.step.max(initial=0)) + 1)
    found = [] if scheduler is None else scheduler.rungs(horizon)
    if not found:
        depth = max(1, int(FIRST_SHARE * horizon))
        while depth < horizon:
            found.append(depth)
            depth *= FACTOR
    return np.array([*(depth for depth in found if depth < horizon), horizon])


def read(history: History, depths: Rows) -> Curves:
    """Return the curves of all trials but failed ones. Complete trials are at the horizon.

    Trials without reports are left out.
    """
    n, n_rungs, reports = len(history), len(depths), history.reports
    row, depth = reports.row, reports.step + 1
    counts = np.isfinite(reports.value)
    index = np.arange(len(row))
    values = np.full((n, n_rungs + 1), np.inf)  # the last column: reports past the horizon
    segment = np.searchsorted(depths, depth)
    clipped = np.clip(reports.value[counts], -LARGEST, LARGEST)
    np.minimum.at(values, (row[counts], segment[counts]), clipped)
    passed = np.searchsorted(depths, depth, side="right")  # rungs; column k of arrival is of rung k - 1
    arrival = np.full((n, n_rungs + 1), np.iinfo(np.int64).max)
    np.minimum.at(arrival, (row[counts], passed[counts]), index[counts])
    arrival = np.minimum.accumulate(arrival[:, ::-1], axis=1)[:, ::-1]
    has_reports = arrival[:, 0] < len(row)
    order = history.finish_order
    complete = order[history.state[order] == State.COMPLETE]
    values[complete, -1] = np.minimum(
        values[complete, -1], np.clip(history.y[0, complete], -LARGEST, LARGEST)
    )
    values = np.minimum(values[:, :-1], np.where(np.arange(n_rungs) == n_rungs - 1, values[:, -1:], np.inf))
    late = len(row) + np.arange(len(complete))  # after all reports
    arrival[complete] = np.minimum(arrival[complete], late[:, None])
    arrival = arrival[:, 1:]
    level = np.count_nonzero(arrival < len(row) + n, axis=1) - 1
    for k in range(n_rungs - 2, -1, -1):
        values[:, k] = np.where(np.isinf(values[:, k]), values[:, k + 1], values[:, k])
    values[np.arange(n_rungs) > level[:, None]] = np.nan
    kept = has_reports & (level >= 0) & (history.state != State.FAILED)
    rows = np.flatnonzero(kept)
    x = np.ascontiguousarray(history.x[:, rows])
    return Curves(rows, x, values[rows], level[rows], arrival[rows], depths)
