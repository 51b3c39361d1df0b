"""Fronts of several objectives: who is on it, how much it covers, and which point of it to take.

Glossary
--------
M, m        metrics and objectives, see ``hpo_core.metrics``; everything is signed, so that less is better
knee        the point of a front where a little less of one objective costs much of another
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.checks import check_mapping, check_number, shown, some
from hpo_core.errors import StudyError
from hpo_core.log import State
from hpo_core.native import hypervolume as native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.metrics import Metrics

    Array = NDArray[np.float64]

# How far beyond the worst values of a front, in shares of its range, the reference lies if none is given.
BEYOND = 0.1


def front(history: History) -> NDArray[np.int64]:
    """Return the feasible complete trials that no other one dominates, by the first objective."""
    rows = history.finish_order
    rows = rows[history.state[rows] == State.COMPLETE]
    rows = rows[(history.violation[:, rows] <= 0.0).all(axis=0)]
    y = history.y[:, rows]
    on_it = native.is_front(y)
    rows, y = rows[on_it], y[:, on_it]
    return np.take(rows, np.lexsort(y[::-1]))


def reference_point(metrics: Metrics, y: Array, given: Mapping[str, float] | None = None) -> Array:
    """Return the reference (m,) of a front ``y`` (m, k), k >= 1: given, of the metrics, or beyond it."""
    worst, best = y.max(axis=1), y.min(axis=1)
    beyond = worst + BEYOND * np.where(worst > best, worst - best, np.maximum(np.abs(worst), 1.0))
    point = np.where(np.isnan(metrics.reference), beyond, metrics.reference)
    if given is not None:
        checked = _by_objective("reference", given, metrics, "a finite number", math.isfinite)
        for name, value in checked.items():
            row = metrics.rows.index(name)
            point[row] = metrics.sign[row] * value
    return point


def hypervolume(history: History, given: Mapping[str, float] | None) -> float:
    """Do what ``Study.hypervolume`` promises."""
    metrics, y = history.metrics, history.y[:, front(history)]
    if not y.shape[1]:
        reference_point(metrics, np.zeros((metrics.n_objectives, 1)), given)
        return 0.0
    point = reference_point(metrics, y, given)
    check_reference(metrics, y, point)
    return native.hypervolume(y, point)


def growth(history: History, point: Array) -> Array:
    """Return the hypervolume up to a reference (m,) after each finished trial, in their order."""
    rows = history.finish_order
    counts = (history.state[rows] == State.COMPLETE) & (history.violation[:, rows] <= 0.0).all(axis=0)
    y, gains = history.y[:, rows], np.zeros(len(rows))
    point = point[:, np.newaxis]
    front = y[:, :0]
    for i in np.flatnonzero(counts & (y < point).all(axis=0)).tolist():
        new = y[:, [i]]
        if (front <= new).all(axis=0).any():
            continue
        # What lies between a trial and the reference, less the part of it that the front already covers:
        # most of the front is cut away, so that this costs less than the volume of all of it.
        covered = native.hypervolume(np.maximum(front, new), point[:, 0])
        gains[i] = max(float(np.prod(point - new)) - covered, 0.0)
        front = np.hstack([front[:, (front < new).any(axis=0)], new])
    total: Array = gains.cumsum()
    return total


def check_reference(metrics: Metrics, y: Array, point: Array) -> None:
    """Raise ``StudyError`` if no point of ``y`` (m, k) is better than a reference (m,) in every objective."""
    if (y < point[:, np.newaxis]).all(axis=0).any():
        return
    sign = metrics.sign[: len(point)]
    wanted = dict(zip(metrics.objectives, (sign * point).tolist(), strict=True))
    best = dict(zip(metrics.objectives, (sign * y.min(axis=1)).tolist(), strict=True))
    raise StudyError(
        f"reference must be worse than some trial in every objective, got {wanted}; the best value of "
        f"each objective so far is {best}"
    )


def check_weights(metrics: Metrics, weights: Mapping[str, float] | None) -> Array | None:
    """Return the weights of the objectives (m,), 0 where none is given; None if there are none."""
    if weights is None:
        return None
    rule = "a finite number >= 0"
    checked = _by_objective("weights", weights, metrics, rule, lambda value: 0.0 <= value < math.inf)
    if not any(checked.values()):
        raise StudyError(f"weights must hold a number > 0, got {shown(dict(weights))}")
    found = np.array([checked.get(name, 0.0) for name in metrics.objectives], np.float64)
    return np.asarray(found / found.max())


def _by_objective(
    what: str, given: object, metrics: Metrics, rule: str, holds: Callable[[float], bool]
) -> dict[str, float]:
    """Return numbers by objective, each of which must obey a rule."""
    found = check_mapping(what, given, "a mapping of objectives to numbers", error=StudyError)
    for name in found:
        if name not in metrics.objectives:
            raise StudyError(f"{what} must name objectives ({some(metrics.objectives)}), got {shown(name)}")
    return {
        name: check_number(f"{what}[{name!r}]", value, rule, holds, error=StudyError)
        for name, value in found.items()
    }


def preferred(metrics: Metrics, outcomes: Array, weights: Array | None) -> int | None:
    """Return the place of the best of outcomes (M, k): by a weighted sum, or the knee of their front.

    None if none of them is feasible.
    """
    m = metrics.n_objectives
    feasible = np.flatnonzero((outcomes[m:] <= metrics.limit[:, np.newaxis]).all(axis=0))
    if not len(feasible):
        return None
    y = outcomes[:m, feasible]
    if weights is not None:
        return int(feasible[(weights @ y).argmin()])
    on_it = np.flatnonzero(native.is_front(y))
    y = y[:, on_it]
    best = y.min(axis=1, keepdims=True)
    span = y.max(axis=1, keepdims=True) - best
    return int(feasible[on_it[((y - best) / np.where(span > 0.0, span, 1.0)).sum(axis=0).argmin()]])
