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
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hpo_core.storage.base import ChangeLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.log import History
    from hpo_core.log.events import Event
    from hpo_core.log.history import Mark
    from hpo_core.log.journal import Journal

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
    """Keeps a history, and the log where there is one, the same.

    Parameters
    ----------
    history : History
    journal : Journal or None
        The log, None in memory.
    restart : callable
        Empties the sampler's cache: it may have seen what is taken back.

    Attributes
    ----------
    lock : RLock
        Held while the study changes.
    suggesting : bool
        Whether the sampler is at work: an exception leaves its cache in any state.
    """

    def __init__(self, history: History, journal: Journal | None, restart: Callable[[], None]) -> None:
        self.history, self.journal = history, journal
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

    def add(self, event: Event) -> None:
        """Apply an event, inside ``transact``: nothing else changes a study."""
        if self.journal is None:
            self.history.apply(event)
        else:
            self.journal.record(self.history, event)

    def mend(self) -> None:
        """Take back what an exception broke off. It may be run again."""
        if self._mark is None:
            return
        mark, cursor = self._mark
        if self.journal is not None:
            self.journal.storage.reset()
        if self.suggesting or not self.history.is_at(mark):
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


_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _unlock_all() -> None:
    for ledger in list(_ledgers):
        ledger.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
