"""The columns behind every picture of a study: plain arrays, in the user's direction and units.

Each function takes a study and returns a NamedTuple. Arrays of one tuple have the same length unless it
says otherwise. Trials that have no place in a picture are left out, never filled in.

Glossary
--------
value       of a metric; by default of the first objective
complete    trials that ended with values; those that were stopped, paused or failed have none to compare
feasible    complete trials that keep all bounds of the metrics
first       trials on the front; with one objective the best trial and its equals
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from hpo_core.analysis.axes import Axis, check_parameter, parameter_axis
from hpo_core.analysis.front import front as on_front
from hpo_core.analysis.front import growth, reference_point
from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.log import State
from hpo_core.log.columns import Move

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

    Vector = NDArray[np.float64]
    Numbers = NDArray[np.int64]
    Mask = NDArray[np.bool_]

STATES = tuple(state.name.lower() for state in State)  # by the numbers in columns called ``state``


class StudyLike(Protocol):
    """A study as pictures know it."""

    space: Space

    @property
    def metrics(self) -> Metrics:
        """The metrics of the study."""

    @property
    def history(self) -> History:
        """Columns of its trials."""

    @property
    def n_finished(self) -> int:
        """Number of trials that have ended; asking for it reads what other processes have done."""


class Progress(NamedTuple):
    """Values in the order in which trials finished.

    Attributes
    ----------
    number : (k,) int64
        Trials; failed and stopped ones count.
    value : (k,) float64
        NaN unless complete.
    best : (k,) float64
        Best value so far of feasible trials; NaN before the first.
    feasible : (k,) bool
    state : (k,) uint8
        Places in ``STATES``.
    """

    number: Numbers
    value: Vector
    best: Vector
    feasible: Mask
    state: NDArray[np.uint8]


class Slices(NamedTuple):
    """Values of complete trials against their parameters.

    Attributes
    ----------
    number : (k,) int64
    value : (k,) float64
    feasible, first : (k,) bool
    axes : tuple of Axis
        One for each parameter, with k positions.
    """

    number: Numbers
    value: Vector
    feasible: Mask
    first: Mask
    axes: tuple[Axis, ...]


class Ranks(NamedTuple):
    """Two parameters of complete trials in which both are active, and the rank of the value.

    Attributes
    ----------
    number : (k,) int64
    x, y : Axis
    value : (k,) float64
    rank : (k,) float64
        0 for the best of them, 1 for the worst; the mean rank of equals.
    feasible : (k,) bool
    """

    number: Numbers
    x: Axis
    y: Axis
    value: Vector
    rank: Vector
    feasible: Mask


class Distribution(NamedTuple):
    """Empirical distribution function of the values of feasible trials.

    Attributes
    ----------
    value : (k,) float64
        Ascending, distinct.
    share : (k,) float64
        Of the trials whose value is at most this.
    """

    value: Vector
    share: Vector


class Timeline(NamedTuple):
    """When trials ran. Of a trial that was given out again, or went on after a pause, the last run counts.

    Attributes
    ----------
    number : (k,) int64
        Trials whose start is known, in the order of their starts.
    start, end : (k,) float64
        Seconds since ``origin``; the end is NaN while a trial runs.
    state : (k,) uint8
        Places in ``STATES``.
    worker : tuple of str
        Which worker holds a running trial; "" where unknown.
    retries : (k,) int64
        How many times each was given out again.
    origin : float
        Start of the first of them, seconds since the epoch; NaN without any.
    """

    number: Numbers
    start: Vector
    end: Vector
    state: NDArray[np.uint8]
    worker: tuple[str, ...]
    retries: Numbers
    origin: float


class Front(NamedTuple):
    """Objectives of complete trials, and which of them are on the front.

    Attributes
    ----------
    number : (k,) int64
    values : dict of str to (k,) float64
        Every objective.
    feasible, first : (k,) bool
    """

    number: Numbers
    values: dict[str, Vector]
    feasible: Mask
    first: Mask


class Growth(NamedTuple):
    """Hypervolume after each trial that finished, in their order.

    Attributes
    ----------
    volume : (k,) float64
        Failed and stopped trials count.
    reference : dict of str to float
    """

    volume: Vector
    reference: dict[str, float]


class Outcomes(NamedTuple):
    """The states of the trials, and the reasons.

    Attributes
    ----------
    states : dict of str to int
        Number of trials in each state that occurs.
    failed, stopped : dict of str to int
        Reasons, the most common first, and how many trials they ended, or paused.
    retries : dict of str to int
        Reasons why trials were given out again, likewise.
    """

    states: dict[str, int]
    failed: dict[str, int]
    stopped: dict[str, int]
    retries: dict[str, int]


def progress(study: StudyLike, metric: str | None = None) -> Progress:
    """Return values in the order in which trials finished.

    Raises
    ------
    ArgumentError
        The study has no such metric; so for every function here with a ``metric``.
    """
    history, row = latest(study), metric_row(study, metric)
    rows = history.finish_order
    value, feasible = _values(history, row, rows), _feasible(history, rows)
    sign = study.metrics.sign.item(row)
    best = sign * np.fmin.accumulate(np.where(feasible, sign * value, np.nan))
    return Progress(rows.copy(), value, best, feasible, history.state[rows])


def slices(study: StudyLike, metric: str | None = None, names: Sequence[str] | None = None) -> Slices:
    """Return values of complete trials against parameters: those of ``names``, or all."""
    history, row = latest(study), metric_row(study, metric)
    names = study.space.names if names is None else [check_parameter("names", n, study.space) for n in names]
    rows = _complete(history)
    axes = tuple(parameter_axis(study.space, history, name, rows) for name in names)
    first = np.isin(rows, on_front(history))
    return Slices(rows, _values(history, row, rows), _feasible(history, rows), first, axes)


def ranks(study: StudyLike, x: str, y: str, metric: str | None = None) -> Ranks:
    """Return ranks of the values of complete trials against two parameters.

    Raises
    ------
    ArgumentError
        There is no such parameter or metric, or no trial has completed in which both are active.
    """
    number, value, feasible, _, (across, up) = slices(study, metric, (x, y))
    both = ~(np.isnan(across.position) | np.isnan(up.position))
    if not both.any():
        raise ArgumentError(
            f"study must hold a completed trial in which {x!r} and {y!r} are active, got none"
        )
    value = value[both]
    sign = study.metrics.sign.item(metric_row(study, metric))
    across, up = (axis._replace(position=axis.position[both]) for axis in (across, up))
    return Ranks(number[both], across, up, value, ranks_of(sign * value), feasible[both])


def distribution(study: StudyLike, metric: str | None = None) -> Distribution:
    """Return the empirical distribution function of the values of feasible trials."""
    history, row = latest(study), metric_row(study, metric)
    rows = _complete(history)
    value, counts = np.unique(_values(history, row, rows[_feasible(history, rows)]), return_counts=True)
    return Distribution(value, counts.cumsum() / max(int(counts.sum()), 1))


def timeline(study: StudyLike) -> Timeline:
    """Return when trials ran."""
    history = latest(study)
    started = history.started
    rows = np.flatnonzero(np.isfinite(started))
    rows = rows[np.argsort(started[rows], kind="stable")]
    origin = float(started[rows[0]]) if len(rows) else np.nan
    start, state = started[rows] - origin, history.state[rows]
    spent = np.where(state == State.PAUSED, history.spent[rows], history.cost[rows])
    end = start + np.maximum(spent - _spent_before(history)[rows], 0.0)
    held, retries = history.held(), np.zeros(len(started), np.int64)
    retries[[*history.retries]] = [*map(len, history.retries.values())]
    worker = tuple(map(held.get, rows.tolist(), [""] * len(rows))) if held else ("",) * len(rows)
    return Timeline(rows, start, end, state, worker, retries[rows], origin)


def front(study: StudyLike) -> Front:
    """Return the objectives of complete trials, and which of them are on the front."""
    history, metrics = latest(study), study.metrics
    rows = _complete(history)
    values = {name: _values(history, k, rows) for k, name in enumerate(metrics.objectives)}
    return Front(rows, values, _feasible(history, rows), np.isin(rows, on_front(history)))


def hypervolume(study: StudyLike, reference: Mapping[str, float] | None = None) -> Growth:
    """Return the hypervolume so far, up to a reference as for ``Study.hypervolume``; 0 without a front.

    Raises
    ------
    StudyError
        ``reference`` is not a mapping of objectives to finite numbers.
    """
    history, metrics = latest(study), study.metrics
    y = history.y[:, on_front(history)]
    point = reference_point(metrics, y if y.size else np.zeros((len(y), 1)), reference)
    volume = growth(history, point) if y.size else np.zeros(history.count_finished())
    told = (metrics.sign[: len(point)] * point).tolist()
    return Growth(volume, dict(zip(metrics.objectives, told, strict=True)))


def outcomes(study: StudyLike) -> Outcomes:
    """Return the states of the trials, and the reasons."""
    history = latest(study)
    states = {name: history.count(State(k)) for k, name in enumerate(STATES) if history.count(State(k))}
    told = np.flatnonzero(history.decision != 0).tolist()
    stopped = (history.why[row] for row in told if row in history.why and row not in history.reasons)
    retried = (reason for reasons in history.retries.values() for reason in reasons)
    return Outcomes(states, _counted(history.reasons.values()), _counted(stopped), _counted(retried))


def latest(study: StudyLike) -> History:
    """Return the history with what other processes have done."""
    study.n_finished  # noqa: B018 - reads it
    return study.history


def metric_row(study: StudyLike, metric: str | None) -> int:
    """Return the row of a metric among outcomes; by default of the first objective.

    Raises
    ------
    ArgumentError
        There is no such metric.
    """
    rows = study.metrics.rows
    if metric is None:
        return 0
    if not isinstance(metric, str) or metric not in rows:
        hint = did_you_mean(metric, rows) if isinstance(metric, str) else ""
        raise ArgumentError(f"metric must be one of {some(study.metrics.names)}, got {shown(metric)}{hint}")
    return rows.index(metric)


def ranks_of(y: Vector) -> Vector:
    """Return ranks of values (k,), less is better: 0 for the best, 1 for the worst, the mean of equals."""
    _, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    mean = np.cumsum(counts) - 0.5 * (counts + 1)
    rank: Vector = mean[place] / max(len(y) - 1, 1)
    return rank


def evenly(n: int, most: int) -> Numbers:
    """Return the places of an even sample of n things: all, or ``most`` with the first and the last."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


def thinned(x: Vector, y: Vector, *, cells: tuple[int, int]) -> Numbers:
    """Return the places of points that differ in a picture of this many cells, in order.

    Parameters
    ----------
    x, y : (k,) float64
        Shares of the axes, in [0, 1] where the picture shows them; points with NaN are left out.
    cells : pair of int
        Across and up. Of the points in a cell the first stays.
    """
    wide, high = cells
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    at = (np.clip(x[kept], 0.0, 1.0) * (wide - 1)).astype(np.int64) * high
    at += (np.clip(y[kept], 0.0, 1.0) * (high - 1)).astype(np.int64)
    return np.sort(kept[np.unique(at, return_index=True)[1]])


def _complete(history: History) -> Numbers:
    """Return the complete trials in ascending order."""
    return np.flatnonzero(history.state == State.COMPLETE)


def _values(history: History, row: int, rows: Numbers) -> Vector:
    """Return a metric of trials, NaN unless complete."""
    sign = history.metrics.sign.item(row)
    value: Vector = np.where(
        history.state[rows] == State.COMPLETE, sign * history.outcomes[row, rows], np.nan
    )
    return value


def _feasible(history: History, rows: Numbers) -> Mask:
    """Return which trials are complete and keep all bounds."""
    kept = (history.violation[:, rows] <= 0.0).all(axis=0)
    return np.asarray(kept & (history.state[rows] == State.COMPLETE))


def _spent_before(history: History) -> Vector:
    """Return the seconds of each trial before its last run, (n,)."""
    moves, before = history.moves, np.zeros(len(history))
    paused = moves.kind == Move.PAUSED
    row, spent = moves.row[paused], moves.spent[paused]
    if not len(row):
        return before
    is_paused = history.state == State.PAUSED
    last = np.full(len(history), -1)
    last[row] = np.arange(len(row))
    # The last pause of a trial that is still paused ended the run that is shown.
    ended_earlier = ~(is_paused[row] & (last[row] == np.arange(len(row))))
    before[row[ended_earlier]] = spent[ended_earlier]
    return before


def _counted(reasons: Iterable[Any]) -> dict[str, int]:
    return dict(Counter(reasons).most_common())
