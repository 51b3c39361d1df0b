"""The parts of a history: states of trials, reports, and tables of columns."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_FIRST_CAPACITY = 64


class State(IntEnum):
    """The state of a trial. Complete, stopped and failed are final; a paused trial may continue."""

    RUNNING = 0
    COMPLETE = 1
    STOPPED = 2
    FAILED = 3
    PAUSED = 4

    def __str__(self) -> str:
        return self.name.lower()


class Move(IntEnum):
    """A scheduler's decision about a running trial, and the pauses that follow from it."""

    STOP = 1
    PAUSE = 2
    PAUSED = 3
    RESUMED = 4


class Reports(NamedTuple):
    """Every report of every trial in the order of arrival.

    ``value`` holds signed values, less is better: (r,), or (M, r) by row of several metrics.
    """

    row: NDArray[np.int64]
    step: NDArray[np.int64]
    value: NDArray[np.float64]
    position: NDArray[np.int64]


class Moves(NamedTuple):
    """Every decision, pause and continuation in order; ``kind`` holds values of ``Move``.

    Decisions have a rung, -1 if the rule has none; pauses the seconds spent so far; continuations the
    position of the log that their choice had seen.
    """

    row: NDArray[np.int64]
    kind: NDArray[np.uint8]
    rung: NDArray[np.int64]
    spent: NDArray[np.float64]
    cursor: NDArray[np.int64]
    position: NDArray[np.int64]


class Table:
    """Columns of one length that grow by doubling. ``read`` holds read-only views of ``write``."""

    __slots__ = ("capacity", "fill", "n", "read", "write")

    def __init__(self, **columns: tuple[tuple[int, ...], type, float]) -> None:
        self.fill = {name: value for name, (_, _, value) in columns.items()}
        self.n = 0
        self._own(
            {name: np.empty((*lead, 0), kind) for name, (lead, kind, _) in columns.items()}, _FIRST_CAPACITY
        )

    def _own(self, columns: Mapping[str, NDArray[Any]], capacity: int) -> None:
        # Everything is made before anything is replaced: memory may run out.
        write = {}
        for name, old in columns.items():
            write[name] = new = np.full((*old.shape[:-1], capacity), self.fill[name], old.dtype)
            new[..., : self.n] = old[..., : self.n]
        self._serve(write, capacity)

    def _serve(self, write: dict[str, NDArray[Any]], capacity: int) -> None:
        read = {name: column.view() for name, column in write.items()}
        for view in read.values():
            view.flags.writeable = False
        self.write, self.read, self.capacity = write, read, capacity

    def add(self, name: str, lead: tuple[int, ...], kind: type, fill: float) -> None:
        """Add a column of fill values."""
        self.fill[name] = fill
        column: NDArray[Any] = np.full((*lead, self.capacity), fill, kind)
        self._serve(self.write | {name: column}, self.capacity)

    def append(self, k: int) -> int | slice:
        """Add ``k`` rows of fill values and return where they are, an int if it is one."""
        start = self.n
        end = start + k
        if end > self.capacity:
            self._own(self.write, max(end, 2 * self.capacity))
        self.n = end
        return start if k == 1 else slice(start, end)

    def share(self) -> Table:
        """Return a table with the rows so far, in the same buffers: for rows that are not overwritten."""
        twin = Table.__new__(Table)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def cut(self, n: int) -> None:
        """Keep the first ``n`` rows and clear the others, which an exception may have left half written."""
        capacity = min(column.shape[-1] for column in self.write.values())
        self._serve(self.write, capacity)
        for name, column in self.write.items():
            column[..., n : self.n] = self.fill[name]
        self.n = n

    def __getstate__(self) -> tuple[Any, ...]:
        return self.fill, self.n, {name: column[..., : self.n] for name, column in self.read.items()}

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.fill, self.n, columns = state
        self._own(columns, max(self.n, _FIRST_CAPACITY))
