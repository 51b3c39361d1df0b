"""The ledger: every change of a study goes through here, completely or not at all.

An exception may strike at any instruction: Ctrl-C, a handler of another signal, memory that runs out. Before
anything changes, the ledger therefore sets a mark in a single assignment. It clears the mark in another when
the change is complete. If an exception strikes in between, ``mend`` takes everything back to the mark, at
once or, if ``mend`` is interrupted too, before the next change. If the change had reached the log all the
same, its events are then read from there, like the events of other processes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from hpo_core.errors import StorageError, StudyError, TrialError
from hpo_core.log.columns import State
from hpo_core.log.eras import Era, eras
from hpo_core.log.events import ALLOWED, Asked, Told
from hpo_core.log.journal import LogPlace, OutdatedError
from hpo_core.storage.base import ChangeLostError
from hpo_core.storage.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from hpo_core.log.events import Event
    from hpo_core.log.history import History, Mark
    from hpo_core.log.journal import Journal
    from hpo_core.log.leases import Leases
    from hpo_core.space import Space
    from hpo_core.storage import Storage

logger = logging.getLogger("hpo_core")

R = TypeVar("R")

# A running trial that asks whether to go on is answered without a look at the log for so long after one: a
# trial that was ended elsewhere hears of it that much later.
FRESH_SECONDS: Final = 0.02

# How often a change is tried if the server loses its transaction.
ATTEMPTS: Final = 10


def until_written(change: Callable[[], R]) -> R:
    """Call ``change``, and retry it if its transaction was lost.

    A retry sees events that other processes committed meanwhile.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return change()
        except ChangeLostError as error:
            logger.info("%s", error)
    return change()


class Ledger:
    """Keeps a history and its log, if there is one, the same. ``add`` is the only way to change a study.

    Callers need not care about other processes: the ledger applies their events before a change begins,
    retries a change whose transaction was lost, and sets aside events about trials that another process has
    finished or, in a study with a scheduler, taken over.

    Parameters
    ----------
    history : History
    journal : Journal or None
        The log, None in memory.
    restart : callable
        Empties the caches derived from the history: they may hold events that are taken back.
    read_only : bool
        Whether a change is an error.

    Attributes
    ----------
    lock : RLock
        Held while the study changes.
    suggesting : bool
        Whether the sampler is at work. An exception may then leave its cache in any state.
    """

    def __init__(
        self,
        history: History,
        journal: Journal | None,
        restart: Callable[[], object],
        *,
        read_only: bool = False,
    ) -> None:
        self.history, self.journal = history, journal
        self._read_only = read_only
        self.suggesting = False
        self._restart = restart
        self._mark: tuple[Mark, int] | None = None
        self._fresh_until = 0.0  # time.monotonic until which the history counts as up to date
        self.unlock()
        _ledgers.add(self)

    def unlock(self) -> None:
        """Make new locks: in a forked process, the thread that holds the old ones may be missing."""
        self.lock = threading.RLock()
        self._busy = threading.Lock()

    def transact(self, change: Callable[..., R], *arguments: Any) -> R:
        """Apply the new events of the log, call ``change``, and commit the events that it adds.

        It is called again if its transaction was lost. Inside another change it becomes a part of that one.
        """
        if self._read_only:
            raise StudyError("this study was opened for reading only")
        with self.lock:
            if self._busy.locked():
                return change(*arguments)
            with self._busy:
                if self.journal is None:
                    return self._as_a_whole(change, *arguments)
                written: Callable[[], R] = partial(
                    self._as_a_whole, self._write, self.journal, change, *arguments
                )
                return until_written(written)

    def look(self, read: Callable[..., R], *arguments: Any) -> R:
        """Apply the new events of the log and call ``read``, which adds none; wait for no other process."""
        with self.lock:
            if self._busy.locked():
                return read(*arguments)
            with self._busy:
                looked: R = self._as_a_whole(self._read, read, *arguments)
                return looked

    def latest(self) -> History:
        """Return the history, up to date with other processes if the log can be read."""
        try:
            self.look(bool)
        except OutdatedError:
            pass
        except StorageError as error:
            logger.warning("the log cannot be read; newer results of other processes are missing: %s", error)
        return self.history

    def is_over(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each trial is to stop or pause, has ended, or was taken over elsewhere, (k,)."""
        return self._is_over(rows) if self.is_fresh else self.look(self._is_over, rows)

    @property
    def is_fresh(self) -> bool:
        """Whether ``is_over`` answers without a look at the log."""
        return self.journal is None or time.monotonic() < self._fresh_until

    def _is_over(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        state, decision = self.history.state, self.history.decision
        taken = self.journal.taken_elsewhere if self.journal is not None else set()
        if len(rows) == 1:  # in a third of the time
            row = rows.item()
            return np.array([state.item(row) > 0 or decision.item(row) > 0 or row in taken])  # RUNNING is 0
        over: NDArray[np.bool_] = (state[rows] > 0) | (decision[rows] > 0)
        return over | np.isin(rows, list(taken)) if taken else over

    def add(self, event: Event) -> Event | None:
        """Apply an event, inside ``transact``, which commits it at the end.

        Return it without the trials that it has come too late for; None if no trial is left.

        Raises
        ------
        TrialError
            The event is about a trial that has finished.
        """
        journal = self.journal
        allowed = ALLOWED.get(type(event))
        if allowed is not None:
            if journal is not None and (journal.finished_elsewhere or journal.taken_elsewhere):
                event = journal.set_aside(event, lost=self.history.scheduler is not None)
                if event is None:
                    return None
            _require(allowed, self.history, event.rows)  # type: ignore[attr-defined]
        if journal is None:
            self.history.apply(event)
        else:
            journal.record(self.history, event)
        return event

    def start(self, x: NDArray[np.float64], origin: str, cursor: int, time: float) -> None:
        """Add ``Asked`` of suggestions without a lease; in memory, without making an event."""
        if self.journal is not None:
            self.add(Asked(len(self.history), x, cursor, origin, time))
            return
        self.history.begin(x, origin, cursor, time)

    def complete(self, row: int, y: float, cost: float) -> None:
        """Add ``Told`` of one trial of a study with one metric; in memory, without making an event.

        Raises
        ------
        TrialError
            The trial has finished.
        """
        if self.journal is not None:
            self.add(Told(np.array([row]), np.array([[y]]), np.array([cost])))
            return
        state = self.history.buffer("state").item(row)
        if state not in ALLOWED[Told]:
            raise _refused(row, state)
        self.history.complete(row, y, cost)

    @property
    def storage(self) -> Storage | None:
        """The storage of the log, None in memory."""
        return None if self.journal is None else self.journal.storage

    @property
    def place(self) -> LogPlace | None:
        """The place of the log, and the event that holds the space; None in memory."""
        journal = self.journal
        return None if journal is None else LogPlace(journal.storage, journal.key, journal.described)

    @property
    def leases(self) -> Leases | None:
        """Leases of the workers, None in memory."""
        return None if self.journal is None else self.journal.leases

    def eras(self, space: Space) -> Iterator[Era]:
        """Yield each space that the study has had; the last one is ``space``."""
        if self.journal is None:
            return iter([Era(space, self.history, 0, None)])
        return eras(self.journal, self.history)

    def turn(self) -> AbstractContextManager[None]:
        """Wait until other processes have computed the suggestions that they began before."""
        return nullcontext() if self.journal is None else self.journal.storage.turn(self.journal.key)

    def pause(self, seconds: float) -> None:
        """Wait, outside any change, so that other processes can write."""
        storage = self.storage
        if storage is not None:
            storage.waiting = True
            try:
                time.sleep(seconds)
            finally:
                storage.waiting = False

    def renew(self, worker: str, seconds: float) -> None:
        """Renew the lease of a worker for ``seconds`` from now, inside a change."""
        if self.journal is not None:
            self.journal.renew(worker, seconds)

    def heartbeat(self, worker: str, seconds: float) -> Heartbeat | None:
        """Start to renew the lease of a worker regularly; None if no other process reaches the log."""
        if self.journal is None or not self.journal.storage.shared:
            return None
        return Heartbeat(self.journal.storage, self.journal.key, worker, seconds)

    def mend(self) -> None:
        """Take back a change that an exception broke off. This may be interrupted, and run again."""
        if self._mark is None:
            return
        mark, cursor = self._mark
        if self.journal is not None:
            self.journal.storage.reset()
        if self.suggesting or not self.history.is_at(mark):
            self.suggesting = True  # restart next time if this is interrupted after the roll-back
            self.history.roll_back(mark)
            self._restart()
        if self.journal is not None:
            self.journal.rewind(cursor)
        self.suggesting = False
        self._mark = None

    def _as_a_whole(self, work: Callable[..., R], *arguments: Any) -> R:
        """Call ``work``, and undo its changes if it raises."""
        if self._mark is not None:
            self.mend()
        self._mark = self.history.mark(), 0 if self.journal is None else self.journal.cursor
        try:
            result = work(*arguments)
            self._mark = None
        finally:
            if self._mark is not None:
                self.mend()
        return result

    def _write(self, journal: Journal, change: Callable[..., R], *arguments: Any) -> R:
        with journal.storage.transaction(journal.key):
            self._catch_up(journal)
            self.history.forget_workers()
            result = change(*arguments)
            journal.flush()
        return result

    def _read(self, read: Callable[..., R], *arguments: Any) -> R:
        if self.journal is not None:
            self._catch_up(self.journal)
        return read(*arguments)

    def _catch_up(self, journal: Journal) -> None:
        for _ in journal.read_on(self.history):
            self._mark = self.history.mark(), journal.cursor
        self._fresh_until = time.monotonic() + FRESH_SECONDS


def _require(allowed: tuple[State, ...], history: History, rows: NDArray[np.int64]) -> None:
    """Raise unless every trial is in an allowed state."""
    if len(rows) == 1:  # in a third of the time
        row = rows.item()
        state = history.buffer("state").item(row)
        if state not in allowed:
            raise _refused(row, state)
        return
    states = history.state
    if not (good := np.isin(states[rows], allowed)).all():
        j = good.argmin()
        raise _refused(rows[j], states[rows[j]])


def _refused(row: int, state: int) -> TrialError:
    if state in (State.RUNNING, State.PAUSED):
        return TrialError(f"trial {row} is {State(state).name.lower()}")
    return TrialError(f"trial {row} has already finished ({State(state).name.lower()})")


_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _unlock_all() -> None:
    for ledger in list(_ledgers):
        ledger.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
