"""Progress of the studies of a storage, from one pass over their logs."""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.errors import StorageError
from hpo_core.log.decode import DAMAGE
from hpo_core.log.events import require_reader
from hpo_core.log.notes import load_note
from hpo_core.metrics import PLAIN
from hpo_core.storage.base import CREATED, count_good
from hpo_core.study.description import metrics_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.metrics import Metrics
    from hpo_core.storage import Record, Storage

ENDS: Final = {"told": "complete", "stopped": "stopped", "failed": "failed"}
_COUNTED: Final = frozenset({CREATED, "asked", "annotated", "paused", "resumed", *ENDS})
_PAGE: Final = 512  # events
_MANY: Final = 4096  # results, of which those on the front are then kept


def overview(storage: Storage) -> list[dict[str, Any]]:
    """Return what ``summary`` does for every study that is not deleted; a damaged one hides no other."""
    names = storage.studies()
    found = {key: _Counts(name) for name, key in names.items()}
    try:
        for key, record in storage.scan():
            if key in found:
                found[key].take(record)
    except StorageError:  # part of the file itself is damaged
        return [summary(storage, name, key) for name, key in names.items()]
    return [each.facts() for each in found.values()]


def summary(storage: Storage, name: str, key: int) -> dict[str, Any]:
    """Return how far a study has come.

    Returns
    -------
    dict
        Its ``name``, and ``problem`` if its log is damaged; else ``sampler``, ``scheduler`` if it has one,
        ``direction``, ``seed``, how many ``trials`` there are and of each state, ``best_value``, None without
        one, and ``notes`` if it has any. A study that was given metrics has ``metrics`` in place of
        ``direction``, and with several objectives ``best_values``, each by itself, in place of
        ``best_value``, and the number of trials on the ``front``. All of these are of trials that keep the
        bounds; if there are any bounds, ``feasible`` is the number of complete ones.
    """
    counts = _Counts(name)
    try:
        for record in _records(storage, key):
            counts.take(record)
    except StorageError as error:
        counts.problem = counts.problem or str(error)
    return counts.facts()


def _records(storage: Storage, key: int) -> Iterator[Record]:
    after = 0
    while records := storage.read(key, after, _PAGE):
        yield from records
        after += len(records)


class _Results:
    """The best of what complete trials were told, updated event by event."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._told: list[Any] = []  # numbers, trial by trial; the best one if there is one metric
        self._front = np.empty((metrics.n_objectives, 0))  # signed; with one objective the best value
        self._feasible = 0

    def take(self, values: list[Any]) -> None:
        """Count the results of an event: for each trial a number, or a list of several."""
        many = len(self.metrics)
        if many > 1 and any(type(each) is not list or len(each) != many for each in values):
            raise ValueError(f"results must be lists of {many} numbers, got {values!r}")
        self._told += map(_finite, values if many == 1 else chain.from_iterable(values))
        if many == 1 and self._told:
            self._told = [min(self._told) if self.metrics.sign.item(0) > 0 else max(self._told)]
        elif len(self._told) >= _MANY * many:
            self._reduce()

    def _reduce(self) -> None:
        metrics, m = self.metrics, self.metrics.n_objectives
        outcomes = np.empty((len(metrics), len(self._told) // len(metrics)))
        outcomes[metrics.places] = np.reshape(self._told, (-1, len(metrics))).T
        outcomes *= metrics.sign[:, np.newaxis]
        feasible = (outcomes[m:] <= metrics.limit[:, np.newaxis]).all(axis=0)
        self._told = []
        self._feasible += int(feasible.sum())
        y = np.hstack([self._front, outcomes[:m, feasible]])
        if m == 1:
            self._front = y[:, [y[0].argmin()]] if y.size else y
        else:
            from hpo_core.native import hypervolume

            self._front = y[:, hypervolume.is_front(y)]

    def facts(self) -> dict[str, Any]:
        """Return the part of the result of ``summary`` that is about results."""
        if len(self.metrics) == 1:
            return {"best_value": self._told[0] if self._told else None}
        self._reduce()
        metrics, (m, n) = self.metrics, self._front.shape
        best = (metrics.sign[:m] * self._front.min(axis=1)).tolist() if n else [None] * m
        feasible = {"feasible": self._feasible} if metrics.constraints else {}
        if m == 1:
            return feasible | {"best_value": best[0]}
        return feasible | {"front": n, "best_values": dict(zip(metrics.objectives, best, strict=True))}


class _Counts:
    """Totals of one log, updated record by record."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problem: str | None = None
        self.n_events = 0
        self.about: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        self.trials = 0
        self.ended = dict.fromkeys(("complete", "stopped", "failed"), 0)
        self.paused: set[int] = set()
        self.results = _Results(PLAIN)

    def take(self, record: Record) -> None:
        """Count one event, if all before it were good."""
        if self.problem is None and not count_good([record], self.n_events):
            self.problem = (
                f"event {self.n_events} is damaged or missing; the last good event is {self.n_events - 1}"
            )
        if self.problem is None and record[1] in _COUNTED:
            try:
                self._count(record[1], json.loads(record[2]))
            except StorageError as error:
                self.problem = str(error)
            except DAMAGE as error:
                self.problem = f"event {self.n_events} cannot be read: {error!r}"
        self.n_events += 1

    def _count(self, kind: str, data: Any) -> None:
        if kind == CREATED:
            require_reader(data)
            metrics = metrics_of(data)
            about: dict[str, Any] = {"sampler": str(data["sampler"]["name"])}
            if data.get("scheduler") is not None:
                about["scheduler"] = str(data["scheduler"]["name"])
            goal = {"direction": metrics.direction} if metrics.direction else {"metrics": metrics.to_json()}
            self.about = {**about, **goal, "seed": int(data["seed"])}
            self.results = _Results(metrics)
        elif kind == "annotated":
            self.notes |= load_note(data["notes"])
        elif kind == "asked":
            self.trials += _natural(data["n"])
        elif kind == "paused":
            self.paused.update(data["rows"])
        elif kind == "resumed":
            self.paused.difference_update(data["rows"])
        else:
            self.ended[ENDS[kind]] += len(data["rows"])
            if self.paused:
                self.paused.difference_update(data["rows"])
            if kind == "told":
                self.results.take(data["values"])

    def facts(self) -> dict[str, Any]:
        """Return the result of ``summary``."""
        running = self.trials - sum(self.ended.values()) - len(self.paused)
        if self.problem is None and (not self.about or running < 0):
            self.problem = "more trials have ended than were asked" if self.about else "it has no events"
        if self.problem is not None:
            return {"name": self.name, "problem": self.problem}
        counts = {"trials": self.trials, "running": running, "paused": len(self.paused), **self.ended}
        notes = {"notes": self.notes} if self.notes else {}
        return {"name": self.name, **self.about, **counts, **self.results.facts(), **notes}


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a number of trials must be an int of at least 0, got {value!r}")
    return value


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"a value must be a finite number, got {value!r}")
    return float(value)
