"""The log of a study that has a storage: what happens goes there first, what others did comes from there."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hpo_core.errors import StorageError, StudyError
from hpo_core.log.codec import Codec
from hpo_core.log.decode import DAMAGE, LATE, explain, read
from hpo_core.log.events import Retried
from hpo_core.log.leases import Leases
from hpo_core.storage.base import CHANGED, DELETED
from hpo_core.storage.heartbeat import RENEWED, renewal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.events import Event, Stretch
    from hpo_core.space import Space
    from hpo_core.storage import Record, Storage

logger = logging.getLogger("hpo_core")

# Trials, results and reports read at a time: a long log passes through, it does not lie in memory as a whole.
PAGE: Final = 8192


class OutdatedError(StudyError):
    """The study that is open is no longer the one in the storage: what it has found can still be read."""


class Place(NamedTuple):
    """Where the log of a study is."""

    storage: Storage
    key: int
    described: int  # position of the event that says what its space is


class Journal:
    """Reads a log into a history, and collects what is to be written to it. ``Ledger`` says when.

    Attributes
    ----------
    cursor : int
        Events of the log that have been read.
    finished_elsewhere : set of int
        Trials that another process finished while this study was open.
    taken_elsewhere : set of int
        Trials that another process has given out again.
    leases : Leases
        Which workers are silent.
    """

    def __init__(self, place: Place, name: str, space: Space, sign: float) -> None:
        self.storage, self.key, self.described = place
        self.name = name
        self.codec = Codec(space, sign)
        self.cursor = 0
        self.finished_elsewhere: set[int] = set()
        self.taken_elsewhere: set[int] = set()
        self.leases = Leases()
        self._pending: list[tuple[str, str]] = []
        self._synced: float = math.inf  # events of the history when it last was what the log says

    def load(self, history: History) -> None:
        """Apply the log from its beginning."""
        for _ in self._pages(history):
            history.forget_workers()
            history.mark()
        others = history.finish_position >= self._synced
        self.finished_elsewhere.update(history.finish_order[others].tolist())
        self._synced = history.position

    def read_on(self, history: History) -> Iterator[None]:
        """Apply what has been added since, a page at a time."""
        for stretch in self._pages(history):
            self.finished_elsewhere.update(stretch.ended.tolist())
            self.taken_elsewhere.update(row for each in stretch.retried for row in each.rows.tolist())
            yield
        self._synced = history.position

    def _pages(self, history: History) -> Iterator[Stretch]:
        limit = 64  # events; how much they hold shows when they are read
        while records := self.storage.read(self.key, self.cursor, limit):
            stretch = self._apply(history, records)
            yield stretch
            if len(records) < limit:
                break
            size = stretch.x.shape[1] + len(stretch.ended) + len(stretch.reported)
            limit = max(1, len(records) * PAGE // max(size, len(records)))

    def _apply(self, history: History, records: Sequence[Record]) -> Stretch:
        kinds = {record[1] for record in records}
        if DELETED in kinds:
            raise OutdatedError(f"study {self.name!r} has been deleted from {self.storage}")
        if CHANGED in kinds and any(r[1] == CHANGED and r[0] > self.described for r in records):
            raise OutdatedError(
                f"another process has changed the space of study {self.name!r}; open the study again"
            )
        try:
            stretch = read(self.codec, records)
            history.extend(stretch)
        except DAMAGE as error:
            raise StorageError(
                f"storage {self.storage}: events {records[0][0]} to {records[-1][0]} of study "
                f"{self.name!r} cannot be read: {explain(self.codec, history, records, error)}"
            ) from error
        if RENEWED in kinds:
            self.leases.renew(record[1:3] for record in records)
        self.cursor += len(records)
        return stretch

    def record(self, history: History, event: Event) -> None:
        """Apply an event as the log will give it back, and have it committed at the end."""
        written, event = self.codec.write(event)
        self._pending.append(written)
        history.apply(event)
        if isinstance(event, Retried):
            self.taken_elsewhere.difference_update(event.rows.tolist())

    def renew(self, worker: str, seconds: float) -> None:
        """Have the lease of a worker end ``seconds`` from now."""
        event = renewal(self.storage, worker, seconds)
        self._pending.append(event)
        self.leases.renew([event])

    def late(self, rows: NDArray[np.int64], what: dict[str, Any]) -> None:
        """Keep a result that came after another process had finished the trial."""
        logger.warning(
            "study %r: %s already finished elsewhere; the first result counts, this one is kept in the log",
            self.name,
            f"trial {rows[0]} was" if len(rows) == 1 else f"{len(rows)} trials, {rows[0]} first, were",
        )
        self._pending.append((LATE, json.dumps({"rows": rows.tolist(), **what})))

    def is_late(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where a trial was finished by another process, (k,)."""
        if not self.finished_elsewhere:
            return np.zeros(len(rows), np.bool_)
        return np.array([row in self.finished_elsewhere for row in rows.tolist()], np.bool_)

    def flush(self) -> None:
        """Write what was recorded, inside a transaction."""
        if self._pending:
            length = self.storage.append(self.key, self._pending)
            if length != self.cursor + len(self._pending):
                raise StorageError(
                    f"storage {self.storage}: the log of study {self.name!r} is shorter than it was: the "
                    "storage has been put back to an earlier state; open the study again"
                )
            self.cursor, self._pending = length, []

    def rewind(self, cursor: int) -> None:
        """Forget what was not committed, and read on from ``cursor``."""
        self.leases.forget(self._pending)
        self._pending = []
        self.cursor = cursor
