"""The ledger: every change of a study goes through here, as a whole or not at all.

An exception may strike at any instruction: Ctrl-C, a handler of another signal, memory that runs out. What
would have to be taken back is therefore noted before anything changes, in one store, and struck out in one
store when all is done. Whatever lies between is taken back by ``mend``, at once or, should that be
interrupted too, before the next change. What had reached the log all the same comes from there, as the
changes of other processes do.
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
from hpo_core.log.events import ABOUT_RUNNING
from hpo_core.log.journal import OutdatedError, Place
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

# Times that a change is tried whose transaction the server loses.
ATTEMPTS: Final = 10


def until_written(change: Callable[[], R]) -> R:
    """Call ``change`` again, which then sees what others have done, if its transaction was lost."""
    for _ in range(ATTEMPTS - 1):
        try:
            return change()
        except ChangeLostError as error:
            logger.info("%s", error)
    return change()


class Ledger:
    """Keeps a history, and the log if there is one, the same. ``add`` is the only way to change a study.

    Who uses it hears nothing of other processes: their events come in before a change begins, a change that
    was lost with the server is made again, and what comes for a trial that another process has finished is
    set aside.

    Parameters
    ----------
    history : History
    journal : Journal or None
        The log, None in memory.
    restart : callable
        Empties the sampler's cache: it may have seen what is taken back.
    read_only : bool
        Whether a change is an error.

    Attributes
    ----------
    lock : RLock
        Held while the study changes.
    suggesting : bool
        Whether the sampler is at work: an exception leaves its cache in any state.
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
        self.unlock()
        _ledgers.add(self)

    def unlock(self) -> None:
        """Make new locks: another thread held the old ones, and did not come along into a forked process."""
        self.lock = threading.RLock()
        self._busy = threading.Lock()

    def transact(self, change: Callable[..., R], *arguments: Any) -> R:
        """Call ``change`` when the whole log is in the history, and commit what it adds.

        It is called again if its transaction was lost with the server. Inside another change it is a part
        of that one.
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
        """Call ``read``, which adds nothing, when the whole log is in the history. Nobody is waited for."""
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
        """Where a trial no longer runs here: it has ended, or another process has taken it over, (k,)."""
        return self.look(self._is_over, rows)

    def _is_over(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        ended: NDArray[np.bool_] = self.history.state[rows] != State.RUNNING
        if self.journal is None or not self.journal.taken_elsewhere:
            return ended
        return ended | np.isin(rows, list(self.journal.taken_elsewhere))

    def add(self, event: Event) -> None:
        """Apply an event, inside ``transact``, and have it committed at the end.

        Raises
        ------
        TrialError
            It is about a trial that has finished.
        """
        journal = self.journal
        if type(event) in ABOUT_RUNNING:
            if journal is not None and journal.finished_elsewhere:
                event = journal.set_late_aside(event)
                if event is None:
                    return
            _require_running(self.history, event.rows)  # type: ignore[attr-defined]
        if journal is None:
            self.history.apply(event)
        else:
            journal.record(self.history, event)

    @property
    def storage(self) -> Storage | None:
        """Where the log is, None in memory."""
        return None if self.journal is None else self.journal.storage

    @property
    def place(self) -> Place | None:
        """Where the log is, and which event says what the study is; None in memory."""
        journal = self.journal
        return None if journal is None else Place(journal.storage, journal.key, journal.described)

    @property
    def leases(self) -> Leases | None:
        """What the log says of workers, None in memory."""
        return None if self.journal is None else self.journal.leases

    def eras(self, space: Space) -> Iterator[Era]:
        """Give each space that the study has had, the last one being ``space``."""
        if self.journal is None:
            return iter([Era(space, self.history, 0, None)])
        return eras(self.journal, self.history)

    def turn(self) -> AbstractContextManager[None]:
        """Wait for the suggestions that other processes began to compute before."""
        return nullcontext() if self.journal is None else self.journal.storage.turn(self.journal.key)

    def pause(self, seconds: float) -> None:
        """Wait, outside any change, for what others may write meanwhile."""
        storage = self.storage
        if storage is not None:
            storage.waiting = True
            try:
                time.sleep(seconds)
            finally:
                storage.waiting = False

    def renew(self, worker: str, seconds: float) -> None:
        """Have the lease of a worker end ``seconds`` from now, inside a change."""
        if self.journal is not None:
            self.journal.renew(worker, seconds)

    def heartbeat(self, worker: str, seconds: float) -> Heartbeat | None:
        """Start to renew the lease of a worker; None if no other process reaches the log."""
        if self.journal is None or not self.journal.storage.shared:
            return None
        return Heartbeat(self.journal.storage, self.journal.key, worker, seconds)

    def mend(self) -> None:
        """Take back what an exception broke off. It may be run again."""
        if self._mark is None:
            return
        mark, cursor = self._mark
        if self.journal is not None:
            self.journal.storage.reset()
        if self.suggesting or not self.history.is_at(mark):
            self.suggesting = True  # interrupted after the roll-back, this would restart nothing next time
            self.history.roll_back(mark)
            self._restart()
        if self.journal is not None:
            self.journal.rewind(cursor)
        self.suggesting = False
        self._mark = None

    def _as_a_whole(self, work: Callable[..., R], *arguments: Any) -> R:
        """Take back what ``work`` has done if it does not come to its end."""
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


def _require_running(history: History, rows: NDArray[np.int64]) -> None:
    """Raise unless every trial runs."""
    states = history.state
    if len(rows) == 1:  # the work of the lines below in a third of the time
        row = rows.item()
        if states.item(row):
            raise _finished(row, states.item(row))
    elif np.count_nonzero(states[rows]):  # RUNNING is 0
        j = np.flatnonzero(states[rows])[0]
        raise _finished(rows[j], states[rows[j]])


def _finished(row: int, state: int) -> TrialError:
    return TrialError(f"trial {row} has already finished ({State(state).name.lower()})")


_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _unlock_all() -> None:
    for ledger in list(_ledgers):
        ledger.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
