"""The log of a study that has a storage: what happens goes there first, what others did comes from there."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.errors import StorageError, StudyError
from hpo_core.events import Failed, Stopped, Told
from hpo_core.storage.base import DELETED
from hpo_core.study.coding import KINDS, Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hpo_core.events import Event
    from hpo_core.history import History
    from hpo_core.space import Space
    from hpo_core.storage import Record, Storage

logger = logging.getLogger("hpo_core")

CHANGED: Final = "changed"  # the space was widened
LATE: Final = "late"  # a result for a trial that another process had finished before
_ENDS = (Told, Failed, Stopped)


class Journal:
    """Keeps a history and a log in a storage the same. It is entered around every change of the study.

    Entering takes the storage's write lock and applies what other processes have added, so that what
    follows has seen the whole log; leaving commits.

    Attributes
    ----------
    cursor : int
        Events of the log that have been read.
    finished_elsewhere : set of int
        Trials that another process finished while this study was open.
    """

    def __init__(self, storage: Storage, key: int, name: str, space: Space, sign: float) -> None:
        self.storage, self.key, self.name = storage, key, name
        self.codec = Codec(space, sign)
        self.cursor = 0
        self.finished_elsewhere: set[int] = set()
        self._pending: list[tuple[str, str]] = []

    def load(self, history: History, records: Sequence[Record]) -> None:
        """Apply a log from its beginning."""
        self._apply_all(history, records)

    def sync(self, history: History) -> None:
        """Apply what other processes have added."""
        records = self.storage.read(self.key, self.cursor)
        if not records:
            return
        for record in records:
            if record.kind == DELETED:
                raise StudyError(f"study {self.name!r} has been deleted from {self.storage}")
            if record.kind == CHANGED:
                raise StudyError(
                    f"another process has changed the space of study {self.name!r}; open the study again"
                )
        for event in self._apply_all(history, records):
            if isinstance(event, _ENDS):
                self.finished_elsewhere.update(event.rows.tolist())

    def _apply_all(self, history: History, records: Sequence[Record]) -> list[Event]:
        known = [record for record in records if record.kind in KINDS]
        try:
            events = self.codec.read(known)
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"storage {self.storage}: the log of study {self.name!r} cannot be read: {error!r}"
            ) from error
        for record, event in zip(known, events, strict=True):
            try:
                history.apply(event)
            except (IndexError, ValueError) as error:
                raise StorageError(
                    f"storage {self.storage}: event {record.position} of study {self.name!r} does not follow "
                    f"from those before it: {error}"
                ) from error
        self.cursor += len(records)
        return events

    def record(self, history: History, event: Event) -> None:
        """Apply an event as the log will give it back, and have it committed at the end."""
        written, event = self.codec.write(event)
        self._pending.append(written)
        history.apply(event)

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
            self.cursor = self.storage.append(self.key, self._pending)
            self._pending = []

    def drop(self) -> None:
        """Forget what was recorded and not committed."""
        self._pending = []
        self.cursor = 0
