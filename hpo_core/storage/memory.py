"""Logs in the memory of this process: a storage for tests and experiments."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from hpo_core.storage.base import CHANGED, CREATED, DELETED, Record, Storage, checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MemoryStorage(Storage):
    """Logs in the memory of this process, shared by the studies that are given the same object.

    Examples
    --------
    >>> storage = MemoryStorage()
    >>> with storage.transaction():
    ...     key = storage.create("digits")
    ...     storage.append(key, [("created", "{}")])
    1
    >>> storage.studies(), storage.read(key)[0][:3]
    ({'digits': 0}, (0, 'created', '{}'))
    """

    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self._logs: list[list[Record]] = []
        self._names: dict[str, int] = {}
        self._lock = threading.RLock()

    def __str__(self) -> str:
        return "memory"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {"_logs": [list(log) for log in self._logs], "_names": dict(self._names)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self, key: int | None = None) -> Iterator[None]:  # noqa: ARG002 - one lock for all
        """Keep other threads out, and undo what was appended if the body raises."""
        with self._lock:
            names, lengths = dict(self._names), [len(log) for log in self._logs]
            try:
                yield
            except BaseException:
                self._names = names
                self._logs = [log[:n] for log, n in zip(self._logs, lengths, strict=False)]
                raise

    def studies(self) -> dict[str, int]:
        """Return the key of each study that is not deleted, by its name."""
        return dict(self._names)

    def create(self, name: str) -> int:
        """Start an empty log and return its key."""
        self._logs.append([])
        self._names[name] = len(self._logs) - 1
        return self._names[name]

    def append(self, key: int, events: Sequence[tuple[str, str]]) -> int:
        """Append (kind, JSON text) pairs; return the length of the log."""
        log = self._logs[key]
        log.extend((i, *event, checksum(i, *event)) for i, event in enumerate(events, len(log)))
        if any(kind == DELETED for kind, _ in events):
            self._names = {name: each for name, each in self._names.items() if each != key}
        return len(log)

    def read(self, key: int, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the events from position ``after`` on, up to ``limit`` of them."""
        return self._logs[key][after : None if limit is None else after + limit]

    def descriptions(self, key: int) -> list[Record]:
        """Return the events that describe the study."""
        return [record for record in self._logs[key] if record[1] in (CREATED, CHANGED)]

    def count_good(self, key: int) -> int:
        """Return the number of events."""
        return len(self._logs[key])

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
