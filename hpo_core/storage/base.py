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
    """Logs of events, one per study. Not for use by several threads at a time.

    Attributes
    ----------
    shared : bool
        Whether workers in other processes reach it, which then may die while it goes on. It is pickled
        for them.
    latest : float
        Time of ``time.monotonic`` past which nothing is waited for: inf, but for ``optimize(timeout=...)``.
    waiting : bool
        Whether others are waited for: nothing of a change has been done.
    """

    shared: ClassVar[bool] = True
    latest: float = math.inf
    waiting: bool = False

    def deadline(self) -> float:
        """Until when a change that begins now may wait for others."""
        return min(self.latest, time.monotonic() + PATIENCE)

    @abstractmethod
    def transaction(self, key: int | None = None) -> AbstractContextManager[None]:
        """Keep every other writer out; what was appended is there as a whole at the end, or not at all.

        Writers of other studies than ``key`` need not be kept out; without it, all are.
        """

    def turn(self, key: int) -> AbstractContextManager[None]:  # noqa: ARG002 - for those that have turns
        """Wait, for a while, for those who began to compute a suggestion for this study before."""
        return nullcontext()

    def reset(self) -> None:  # noqa: B027 - a storage may have nothing to let go of
        """Let go of locks, and take back what was not committed, after an exception that struck anywhere."""

    @abstractmethod
    def studies(self) -> dict[str, int]:
        """Return the key of each study that is not deleted, by its name."""

    @abstractmethod
    def create(self, name: str) -> int:
        """Start an empty log inside a transaction and return its key."""

    @abstractmethod
    def append(self, key: int, events: Sequence[tuple[str, str]]) -> int:
        """Append (kind, JSON text) pairs inside a transaction; return the length of the log."""

    @abstractmethod
    def read(self, key: int, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the events from position ``after`` on, in their order, up to ``limit`` of them.

        Raises
        ------
        StorageError
            An event is damaged or missing; the message says the last good one.
        """

    @abstractmethod
    def descriptions(self, key: int) -> list[Record]:
        """Return the events that say what the study is, ``created`` and each ``changed``.

        Raises
        ------
        StorageError
            One of them is damaged.
        """

    def scan(self) -> Iterator[tuple[int, Record]]:
        """Give every event of every study that is not deleted, damaged or not, with the key of its study."""
        for key in self.studies().values():
            yield from ((key, record) for record in self.read(key))

    @abstractmethod
    def count_good(self, key: int) -> int:
        """Return how many events can be read from the beginning on."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since the epoch by the storage's own clock; the clocks of the workers do not matter."""

    def check(self) -> str | None:
        """Return what is wrong with the storage as a whole, None if nothing is."""
        return None

    def backup(self, path: str | Path) -> None:  # noqa: ARG002 - only a file can be copied
        """Write what is stored now to a new SQLite file, while others go on writing.

        Raises
        ------
        StorageError
            This is no SQLite file, there is something at ``path``, or it cannot be written.
        """
        raise StorageError(f"storage {str(self)!r} is not a file, and only SQLite files can be copied")

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; the next use opens them again."""

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
