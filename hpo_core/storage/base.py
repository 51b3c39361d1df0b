"""The contract of a storage: logs of events, appended to atomically and read after a cursor."""

from __future__ import annotations

import math
import time
import zlib
from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from hpo_core.errors import StorageError, StorageRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

CREATED: Final = "created"
CHANGED: Final = "changed"  # the space was widened
DELETED: Final = "deleted"
RENEWED: Final = "renewed"  # a worker lives

# Whether what is acknowledged survives the death of the process, or a power failure too; SQLite's own words.
DURABILITY: Final = ("normal", "full")
# Seconds to wait for other writers, and for a server that is away.
PATIENCE: Final = 120.0
# Seconds to wait for others who compute suggestions; after that the order is lost, and no more.
TURN_PATIENCE: Final = 20.0

# One event as it is kept: position within its study, kind, JSON text, checksum.
Record: TypeAlias = tuple[int, str, str, int]


class ChangeLostError(StorageRefusedError):
    """A transaction was lost, and others may have written since: retry its change."""


class Storage(ABC):
    """Logs of events, one per study: the base class of all storages. Not for several threads at a time.

    Attributes
    ----------
    shared : bool
        Whether processes of other workers can use it; they may die while it continues. It can be pickled.
    latest : float
        Time of ``time.monotonic`` after which it waits for nothing; inf except in ``optimize(timeout=...)``.
    waiting : bool
        Whether it is waiting for other processes; no part of a change has been made then.
    """

    shared: ClassVar[bool] = True
    latest: float = math.inf
    waiting: bool = False

    def deadline(self) -> float:
        """Return the time until which a change that begins now may wait for others."""
        return min(self.latest, time.monotonic() + PATIENCE)

    @abstractmethod
    def transaction(self, key: int | None = None) -> AbstractContextManager[None]:
        """Keep other writers out; at the end all appended events are written, or none.

        Parameters
        ----------
        key : int, optional
            A study: writers of other studies need not be kept out. By default all writers are.
        """

    def turn(self, key: int) -> AbstractContextManager[None]:  # noqa: ARG002 - for those that have turns
        """Wait, for a limited time, for workers that began to compute a suggestion for this study earlier."""
        return nullcontext()

    def reset(self) -> None:  # noqa: B027 - a storage may have nothing to let go of
        """Release locks and undo uncommitted changes, after an exception anywhere."""

    @abstractmethod
    def studies(self) -> dict[str, int]:
        """Return the keys of the studies that are not deleted, by name.

        Returns
        -------
        dict of str to int
        """

    @abstractmethod
    def create(self, name: str) -> int:
        """Start an empty log; to be called inside a transaction.

        Parameters
        ----------
        name : str
            Name of the study.

        Returns
        -------
        int
            Key of the log.
        """

    @abstractmethod
    def append(self, key: int, events: Sequence[tuple[str, str]]) -> int:
        """Append events; to be called inside a transaction.

        Parameters
        ----------
        key : int
            Key of the log.
        events : sequence of (str, str)
            Kind and JSON text of each event.

        Returns
        -------
        int
            Length of the log.
        """

    @abstractmethod
    def read(self, key: int, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return events in their order.

        Parameters
        ----------
        key : int
            Key of the log.
        after : int
            Position of the first event to return.
        limit : int, optional
            Largest number of events.

        Returns
        -------
        list of (int, str, str, int)
            Position, kind, JSON text and checksum of each event.

        Raises
        ------
        StorageError
            An event is damaged or missing; the message names the last good one.
        """

    @abstractmethod
    def descriptions(self, key: int) -> list[Record]:
        """Return the events that describe the study: ``created``, and each ``changed``.

        Parameters
        ----------
        key : int
            Key of the log.

        Returns
        -------
        list of (int, str, str, int)
            As from ``read``.

        Raises
        ------
        StorageError
            One of them is damaged.
        """

    def scan(self) -> Iterator[tuple[int, Record]]:
        """Iterate over the events of all studies that are not deleted, damaged ones included.

        Returns
        -------
        iterator of (int, event)
            The key of the study, and the event as from ``read``.
        """
        for key in self.studies().values():
            yield from ((key, record) for record in self.read(key))

    @abstractmethod
    def count_good(self, key: int) -> int:
        """Return the number of undamaged events from the beginning.

        Parameters
        ----------
        key : int
            Key of the log.

        Returns
        -------
        int
        """

    @abstractmethod
    def now(self) -> float:
        """Return seconds since the epoch by the storage's own clock, so that worker clocks need not agree.

        Returns
        -------
        float
        """

    def check(self) -> str | None:
        """Look for damage to the storage itself.

        Returns
        -------
        str or None
            Description of the damage; None if there is none.
        """
        return None

    def backup(self, path: str | Path) -> None:  # noqa: ARG002 - only a file can be copied
        """Copy the current contents to a new SQLite file, while others continue to write.

        Parameters
        ----------
        path : path
            A file that does not exist yet.

        Raises
        ------
        StorageError
            This storage is not an SQLite file, ``path`` exists, or it cannot be written.
        """
        raise StorageError(f"storage {str(self)!r} is not a file, and only SQLite files can be copied")

    @abstractmethod
    def close(self) -> None:
        """Close files and connections; the next use opens them again."""

    def _require_good(self, key: int, records: Sequence[Record], after: int) -> None:
        """Raise unless records are the undamaged events from position ``after`` on."""
        good = count_good(records, after)
        if good < len(records):
            raise StorageError(
                f"storage {str(self)!r}: event {after + good} of study {key} is damaged or missing; "
                f"the last good event is {after + good - 1}"
            )


def checksum(position: int, kind: str, data: str) -> int:
    """Return the checksum of an event."""
    return zlib.crc32(f"{position} {kind} {data}".encode())


def count_good(records: Sequence[Record], after: int = 0) -> int:
    """Return how many records are the undamaged events from position ``after`` on."""
    crc32 = zlib.crc32  # what ``checksum`` does, without a call for each event
    for expected, (position, kind, data, crc) in enumerate(records, after):
        if position != expected or crc32(f"{position} {kind} {data}".encode()) != crc:
            return expected - after
    return len(records)
