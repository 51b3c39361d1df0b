"""A study as the columns that a page draws, in JSON.

Glossary
--------
column      ``{"f8": text}``: little-endian numbers in base64; "f8", "i4", "i2" and "u1" as in NumPy
cursor      how many trials, and how many ends of trials, a page has
place       of a trial among those that have ended, from 1
index       of a trial among those that the page has; its number, unless only some trials are kept
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from hpo_core.analysis.axes import parameter_axis
from hpo_core.analysis.series import StudyLike
from hpo_core.log import History, State
from hpo_core.printable import printable
from hpo_core.space import Float, Int

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.metrics import Metrics
    from hpo_core.samplers.base import Sampler
    from hpo_core.space import Space
    from hpo_core.trial import TrialBatch

    Rows = NDArray[np.int64]

# Numbers in a report, of all trials together: 6.4 MB of text. A study with more is thinned.
MOST_NUMBERS: Final = 600_000
_LONGEST: Final = 200  # characters of a user's text in a page

_NONE = np.empty(0, np.int64)


class Pictured(StudyLike, Protocol):
    """The part of a study that a page needs."""

    name: str
    seed: int
    sampler: Sampler

    @property
    def trials(self) -> TrialBatch:
        """Every trial."""

    @property
    def best_trials(self) -> TrialBatch:
        """The front, or the trial that violates the bounds least."""


class Cursor(NamedTuple):
    """The part of a history that a page has."""

    trials: int = 0
    ends: int = 0


_START: Final = Cursor()


def text(value: object) -> str:
    """Return a value as one line of visible characters, at most 200, for a page."""
    whole = printable(value if isinstance(value, str) else repr(value))
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 1]}…"


def column(values: NDArray[Any], kind: str) -> dict[str, str]:
    """Return numbers as JSON."""
    return {kind: base64.b64encode(np.ascontiguousarray(values, f"<{kind}").tobytes()).decode()}


def parameters(space: Space) -> list[dict[str, Any]]:
    """Return what a page must know of each parameter."""
    found: list[dict[str, Any]] = []
    for name in space.names:
        declared = space.parameters[name]
        each: dict[str, Any] = {"name": text(name)}
        if isinstance(declared, Float | Int):
            each |= {"log": bool(declared.log), "integer": isinstance(declared, Int)}
            each |= {"low": float(declared.low), "high": float(declared.high)}
        else:
            axis = parameter_axis(space, History(space.layout), name, _NONE)
            each["levels"] = [text(label) for label in axis.labels or ()]
        found.append(each)
    return found


def goals(metrics: Metrics) -> list[dict[str, Any]]:
    """Return what a page must know of each metric, in the order in which they were given."""
    names = {} if metrics.direction is None else {metrics.names[0]: "value"}
    return [each | {"name": text(names.get(each["name"], each["name"]))} for each in metrics.to_json()]


def changes(study: Pictured, since: Cursor = _START, rows: Rows | None = None) -> dict[str, Any]:
    """Return what has happened since a cursor.

    Parameters
    ----------
    study : Pictured
    since : Cursor
    rows : (k,) int, optional
        Trials to keep, ascending; all by default. Not together with a cursor.

    Returns
    -------
    dict
        ``cursor``: where this ends; ``trials``: their parameters and origins; ``ends``: which trials have
        ended, and their results; ``open``: every trial that has not ended.
    """
    history = study.history
    numbers = np.arange(since.trials, len(history)) if rows is None else rows
    ends = np.arange(since.ends, history.count_finished())
    if rows is not None:
        ends = ends[np.isin(history.finish_order, rows)]
    begun = {
        "origin": column(history.origin[numbers], "u1"),
        "params": _params(study.space, history, numbers),
    }
    if rows is not None:
        begun["number"] = column(numbers, "i4")
    return {
        "cursor": Cursor(len(history), history.count_finished()),
        "origins": list(history.origins),
        "trials": begun,
        "ends": _ends(history, ends, rows),
        "open": _open(history, rows),
    }


def _index(numbers: Rows, rows: Rows | None) -> Rows:
    return numbers if rows is None else np.searchsorted(rows, numbers)


def _ends(history: History, ends: NDArray[np.int64], rows: Rows | None) -> dict[str, Any]:
    numbers = history.finish_order[ends]
    told = history.metrics.by_name(history.outcomes[:, numbers])
    return {
        "trial": column(_index(numbers, rows), "i4"),
        "place": column(ends + 1, "i4"),
        "state": column(history.state[numbers], "u1"),
        "seconds": column(history.cost[numbers], "f8"),
        "feasible": column(np.asarray((history.violation[:, numbers] <= 0.0).all(axis=0)), "u1"),
        "values": [column(values, "f8") for values in told.values()],
    }


def _open(history: History, rows: Rows | None) -> dict[str, Any]:
    numbers = np.sort(np.concatenate([history.running, history.paused]))
    if rows is not None:
        numbers = numbers[np.isin(numbers, rows)]
    return {
        "trial": column(_index(numbers, rows), "i4"),
        "state": column(history.state[numbers], "u1"),
    }


def _params(space: Space, history: History, numbers: Rows) -> list[dict[str, str]]:
    """Return the values of each parameter, or the places of its levels; NaN and -1 where it is inactive."""
    found = []
    for name in space.names:
        axis = parameter_axis(space, history, name, numbers)
        if axis.labels is None:
            found.append(column(axis.position, "f8"))
        else:
            found.append(column(np.nan_to_num(axis.position, nan=-1.0), "i2"))
    return found


def kept(study: Pictured, most: int = MOST_NUMBERS) -> Rows | None:
    """Return the trials of a report, None for all of them.

    If they have more than ``most`` numbers together, the best ones are kept, every trial that was the best so
    far in some objective when it finished, and an even sample of the others.
    """
    history = study.history
    n, width = len(history), len(study.space.names) + len(study.metrics) + 6
    if n * width <= most:
        return None
    ended = history.finish_order
    complete = ended[history.state[ended] == State.COMPLETE]
    complete = complete[(history.violation[:, complete] <= 0.0).all(axis=0)]
    y = history.y[:, complete]
    before = np.hstack([np.full((len(y), 1), np.inf), np.fmin.accumulate(y, axis=1)[:, :-1]])
    special = np.concatenate([complete[(y < before).any(axis=0)], study.best_trials.number])
    sample = np.linspace(0, n - 1, max(1, most // width)).astype(np.int64)
    return np.union1d(special, sample)
