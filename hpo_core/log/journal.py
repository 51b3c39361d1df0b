"""The log of a stored study: events of other processes are read from it, and ours are written to it."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hpo_core.errors import StorageError, StudyError
from hpo_core.log.codec import Codec
from hpo_core.log.decode import DAMAGE, explain, read
from hpo_core.log.events import KINDS, LATE, NAMES, Asked, Resumed, Retried, part
from hpo_core.log.leases import Leases
from hpo_core.storage.base import CHANGED, DELETED, RENEWED
from hpo_core.storage.heartbeat import renewal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.blocks import EventBlock
    from hpo_core.log.events import Event
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space
    from hpo_core.storage import Record, Storage

logger = logging.getLogger("hpo_core")

# Trials, results and reports read at a time, so that a long log is never completely in memory.
PAGE: Final = 8192


class OutdatedError(StudyError):
    """The open study is no longer the one in the storage. Its results so far can still be read."""


class LogPlace(NamedTuple):
    """The place of a study's log."""

    storage: Storage
    key: int
    described: int  # position of the event that holds its space


class Journal:
    """Reads a log into a history, and collects new events until they are written.

    It neither locks nor commits. ``Ledger`` does both, and nothing else changes a study through a journal.

    Attributes
    ----------
    cursor : int
        Events of the log that have been read.
    finished_elsewhere : set of int
        Trials that another process finished while this study was open.
    taken_elsewhere : set of int
        Trials that another process has given out again.
    begun_here : set of int
        Trials that this process has given out.
    leases : Leases
        Leases of the workers.
    """

    def __init__(self, place: LogPlace, name: str, space: Space, metrics: Metrics) -> None:
        self.storage, self.key, self.described = place
        self.name = name
        self.codec = Codec(space, metrics)
        self.cursor = 0
        self.finished_elsewhere: set[int] = set()
        self.taken_elsewhere: set[int] = set()
        self.begun_here: set[int] = set()
        self.leases = Leases(self.storage.now)
        self._pending: list[tuple[str, str]] = []
        self._taken_here: set[int] = set()  # trials given out again by pending events
        self._synced: float = math.inf  # position of the history when it last agreed with the log

    def load(self, history: History) -> None:
        """Apply the log from its beginning."""
        for _ in self._pages(history):
            history.forget_workers()
            history.mark()
        others = history.finish_position >= self._synced
        self.finished_elsewhere.update(history.finish_order[others].tolist())
        self._synced = history.position

    def read_on(self, history: History) -> Iterator[None]:
        """Apply the events added to the log since the last call, a page at a time."""
        for block in self._pages(history):
            self.finished_elsewhere.update(block.ended.tolist())
            self.taken_elsewhere.update(block.retried.tolist())
            self.taken_elsewhere.update(self.begun_here.intersection(block.resumed.tolist()))
            yield
        self._synced = history.position

    def _pages(self, history: History) -> Iterator[EventBlock]:
        limit = 64  # events; how many rows they hold shows when they are read
        while records := self.storage.read(self.key, self.cursor, limit):
            block = self._apply(history, records)
            yield block
            if len(records) < limit:
                break
            limit = max(1, len(records) * PAGE // max(block.size, len(records)))

    def _apply(self, history: History, records: Sequence[Record]) -> EventBlock:
        kinds = {record[1] for record in records}
        if DELETED in kinds:
            raise OutdatedError(f"study {self.name!r} has been deleted from {self.storage}")
        if CHANGED in kinds and any(r[1] == CHANGED and r[0] > self.described for r in records):
            raise OutdatedError(
                f"another process has changed the space of study {self.name!r}; open the study again"
            )
        try:
            block = read(self.codec, records)
            history.extend(block)
        except DAMAGE as error:
            raise StorageError(
                f"storage {self.storage}: events {records[0][0]} to {records[-1][0]} of study "
                f"{self.name!r} cannot be read: {explain(self.codec, history, records, error)}"
            ) from error
        if RENEWED in kinds:
            self.leases.renew(record[1:3] for record in records)
        self.cursor += len(records)
        return block

    def record(self, history: History, event: Event) -> None:
        """Apply an event as the log will give it back, and queue it for ``flush``."""
        written, event = self.codec.write(event)
        self._pending.append(written)
        history.apply(event)
        if isinstance(event, Asked):
            self.begun_here.update(range(event.first, event.first + event.x.shape[1]))
        elif isinstance(event, Retried | Resumed):
            self.begun_here.update(event.rows.tolist())
            self._taken_here.update(event.rows.tolist())

    def renew(self, worker: str, seconds: float) -> None:
        """Renew the lease of a worker for ``seconds`` from now."""
        event = renewal(self.storage, worker, seconds)
        self._pending.append(event)
        self.leases.renew([event])

    def set_aside(self, event: Any, *, lost: bool) -> Any:
        """Return an event without the trials that other processes have finished; None if no trial is left.

        The first result of a trial counts. Later results are kept in the log and change nothing. With
        ``lost``, the same holds for trials that this process had begun and another one has taken over: they
        were told to stop here, and what they say then is no result.
        """
        rows = event.rows.tolist()
        finished = np.array([row in self.finished_elsewhere for row in rows], np.bool_)
        late = finished
        if lost and not isinstance(event, Retried | Resumed):
            over = self.taken_elsewhere & self.begun_here
            late = finished | np.array([row in over for row in rows], np.bool_)
        if not late.any():
            return event
        kind = KINDS[NAMES[type(event)]]
        if kind.late:
            written = self.codec.fields(part(event, late))
            kept = {name: written[name] for name in ("rows", *kind.late)}
            self._pending.append((LATE, json.dumps(kept)))
            self._warn_of_late(event.rows[late], "already finished" if finished.any() else "taken over")
        return None if late.all() else part(event, ~late)

    def _warn_of_late(self, rows: NDArray[np.int64], how: str) -> None:
        which = f"trial {rows[0]} was" if len(rows) == 1 else f"{len(rows)} trials, {rows[0]} first, were"
        logger.warning(
            "study %r: %s %s elsewhere; the first result counts, and this one is only kept in the log",
            self.name, which, how,
        )  # fmt: skip

    def flush(self) -> None:
        """Write the queued events, inside a transaction."""
        if self._pending:
            length = self.storage.append(self.key, self._pending)
            if length != self.cursor + len(self._pending):
                raise StorageError(
                    f"storage {self.storage}: the log of study {self.name!r} is shorter than it was, "
                    "so the storage has been put back to an earlier state; open the study again"
                )
            self.cursor, self._pending = length, []
            self.taken_elsewhere -= self._taken_here
            self._taken_here = set()

    def rewind(self, cursor: int) -> None:
        """Forget the events that were not committed, and read on from ``cursor``."""
        self.leases.forget(self._pending)
        self._pending, self._taken_here = [], set()
        self.cursor = cursor
