"""Learning curves, and the best value against the steps of all trials.

Glossary
--------
steps done  1 after the first report, of step 0
spent       steps that all trials have done together; a step that is repeated counts once
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.analysis.savings import rung_depths
from hpo_core.analysis.series import STATES, StudyLike, evenly, latest
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Numbers = NDArray[np.int64]

MOST_CURVES = 300  # in one picture
MOST_POINTS = 400  # of one curve, which is more than a picture shows apart
# Outcomes in the order in which curves are drawn over each other.
OUTCOMES = ("stopped", "paused", "failed", "running", "complete")


class Curves(NamedTuple):
    """Learning curves of c trials, as many of each outcome as of any other, if there are.

    Attributes
    ----------
    number : (c,) int64
        By outcome in the order of ``OUTCOMES``, then ascending.
    state : (c,) uint8
        Places in ``STATES``.
    start : (c + 1,) int64
        Curve i has the points ``start[i]:start[i + 1]``.
    step, value : (p,) float64
        Steps done, and values: finite, of a step that was reported again the last one. Of a long curve
        some points, the last included.
    counts : dict of str to int
        How many trials of each outcome have reported, those that are left out included.
    rungs : (r,) int64
        Depths at which trials were stopped or paused.
    """

    number: Numbers
    state: NDArray[np.uint8]
    start: Numbers
    step: Vector
    value: Vector
    counts: dict[str, int]
    rungs: Numbers


class Path(NamedTuple):
    """Best value so far against the steps of all trials.

    Attributes
    ----------
    spent : (k,) float64
        Steps that all trials had done after each report and result.
    best : (k,) float64
        Best value seen until then that kept the bounds; NaN before the first.
    """

    spent: Vector
    best: Vector


def curves(
    study: StudyLike, metric: str | None = None, *, most: int = MOST_CURVES, keep: Sequence[int] = ()
) -> Curves:
    """Return learning curves of a measured metric; by default of the first measured objective.

    Parameters
    ----------
    study : StudyLike
    metric : str, optional
    most : int
        Curves at most, in addition to those of ``keep``.
    keep : sequence of int
        Trials whose curves are wanted in any case, if they have one.
    """
    history, name = latest(study), measured_metric(study, metric)
    rows, step, value = _reported(study, name)
    found, first, length = np.unique(rows, return_index=True, return_counts=True)
    state = history.state[found]
    of = [np.flatnonzero(state == STATES.index(kind)) for kind in OUTCOMES]
    counts = [len(each) for each in of]
    shown = [each[evenly(len(each), n)] for each, n in zip(of, spread(counts, most), strict=True)]
    wanted = [each[np.isin(found[each], np.asarray(keep, np.int64))] for each in of]
    places = np.concatenate([np.union1d(*both) for both in zip(shown, wanted, strict=True)]).astype(np.int64)
    points, start = _points(first[places], length[places])
    return Curves(
        found[places], state[places], start, step[points], value[points],
        {kind: n for kind, n in zip(OUTCOMES, counts, strict=True) if n}, rung_depths(history),
    )  # fmt: skip


def best_by_steps(study: StudyLike) -> Path:
    """Return the best value of the first objective against the steps of all trials."""
    history, sign = latest(study), study.metrics.sign.item(0)
    reports, finished = history.reports, history.finish_order
    depth = reports.step + 1
    order = np.argsort(reports.row, kind="stable")
    # The deepest of each trial so far: trials are set so far apart that each begins above all before it.
    floor = np.cumsum(np.append(False, np.diff(reports.row[order]) != 0)[: len(order)]) * (
        depth.max(initial=0) + 1
    )
    deepest = np.maximum.accumulate(depth[order] + floor) - floor
    new = deepest - np.where(np.append(False, np.diff(floor) == 0)[: len(order)], np.roll(deepest, 1), 0)
    steps = np.zeros(len(order), np.int64)
    steps[order] = new
    outcomes = np.hstack([np.atleast_2d(reports.value), history.outcomes[:, finished]])
    m = history.metrics.n_objectives
    kept = (outcomes[m:] <= history.metrics.limit[:, np.newaxis]).all(axis=0) & np.isfinite(outcomes[0])
    value = np.where(kept, outcomes[0], np.nan)
    order = np.argsort(np.concatenate([reports.position, history.finish_position]), kind="stable")
    spent = np.append(steps, np.zeros(len(finished), np.int64))[order].cumsum()
    return Path(spent.astype(np.float64), sign * np.fmin.accumulate(value[order]))


def measured_metric(study: StudyLike, metric: str | None) -> str:
    """Return the name of a measured metric; by default of the first measured objective.

    Raises
    ------
    ArgumentError
        The study has no such metric, or it is known from the parameters.
    """
    measured = study.metrics.reader.measured
    if metric is None:
        metric = next((name for name in study.metrics.objectives if name in measured), measured[0])
    if metric not in measured:
        hint = did_you_mean(metric, measured) if isinstance(metric, str) else ""
        raise ArgumentError(f"metric must be one of {', '.join(measured)}, got {metric!r}{hint}")
    return metric


def spread(counts: Sequence[int], most: int) -> list[int]:
    """Return how many of each kind to draw: all of the rare ones, and as many of each of the others."""
    drawn, left = [0] * len(counts), most
    for place, k in enumerate(order := sorted(range(len(counts)), key=counts.__getitem__)):
        drawn[k] = min(counts[k], left // (len(order) - place))
        left -= drawn[k]
    return drawn


def _reported(study: StudyLike, metric: str) -> tuple[Numbers, Vector, Vector]:
    """Return trials, steps done and finite values of reports, trial by trial and step by step."""
    reports, metrics = study.history.reports, study.metrics
    row = metrics.rows.index(metric)
    value = metrics.sign[row] * np.atleast_2d(reports.value)[row]
    order = np.lexsort((reports.step, reports.row))  # stable: the last one of a step comes last
    rows, step, value = reports.row[order], reports.step[order], value[order]
    last = np.append((np.diff(rows) != 0) | (np.diff(step) != 0), True)[: len(rows)]
    kept = last & np.isfinite(value)
    return rows[kept], step[kept] + 1.0, value[kept]


def _points(first: Numbers, length: Numbers) -> tuple[Numbers, Numbers]:
    """Return places of points, some of each long curve, and where each curve begins among them."""
    n = np.minimum(length, MOST_POINTS)
    start = np.append(0, np.cumsum(n))
    curve = np.repeat(np.arange(len(n)), n)
    within = np.arange(start[-1]) - start[curve]
    scale = (length - 1) / np.maximum(n - 1, 1)
    return first[curve] + np.rint(within * scale[curve]).astype(np.int64), start
