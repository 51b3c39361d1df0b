"""How far the studies of a storage have come, from one pass over their logs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import StorageError
from hpo_core.log.decode import DAMAGE
from hpo_core.log.events import require_reader
from hpo_core.log.notes import load_note
from hpo_core.storage.base import CREATED, count_good

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.storage import Record, Storage

ENDS: Final = {"told": "complete", "stopped": "stopped", "failed": "failed"}
_COUNTED: Final = frozenset({CREATED, "asked", "annotated", *ENDS})
_PAGE: Final = 512  # events


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
        Its ``name``, and ``problem`` if its log is damaged; else ``sampler``, ``direction``, ``seed``, how
        many ``trials`` there are and of each state, ``best_value``, None without one, and ``notes`` if it has
        any.
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
        self.values: list[float] = []  # the least and the greatest

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
            (direction,) = data["directions"]
            name, seed = data["sampler"]["name"], data["seed"]
            self.about = {"sampler": str(name), "direction": str(direction), "seed": int(seed)}
        elif kind == "annotated":
            self.notes |= load_note(data["notes"])
        elif kind == "asked":
            self.trials += _natural(data["n"])
        else:
            self.ended[ENDS[kind]] += len(data["rows"])
            if kind == "told":
                values = [*self.values, *map(_finite, data["values"])]
                self.values = [min(values), max(values)]

    def facts(self) -> dict[str, Any]:
        """Return the result of ``summary``."""
        running = self.trials - sum(self.ended.values())
        if self.problem is None and (not self.about or running < 0):
            self.problem = "more trials have ended than were asked" if self.about else "it has no events"
        if self.problem is not None:
            return {"name": self.name, "problem": self.problem}
        best = self.values[self.about["direction"] == "maximize"] if self.values else None
        counts = {"trials": self.trials, "running": running, **self.ended}
        notes = {"notes": self.notes} if self.notes else {}
        return {"name": self.name, **self.about, **counts, "best_value": best, **notes}


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a number of trials must be an int of at least 0, got {value!r}")
    return value


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"a value must be a finite number, got {value!r}")
    return float(value)
