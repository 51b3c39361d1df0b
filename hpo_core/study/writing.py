"""A change of a stored study: one transaction of its log around one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.study.recorder import Recorder

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from hpo_core.events import Event
    from hpo_core.history import History
    from hpo_core.study.journal import Journal


class StoredRecorder(Recorder):
    """Has what happens written to the log too."""

    __slots__ = ("journal",)

    def __init__(self, history: History, sign: float, journal: Journal) -> None:
        super().__init__(history, sign)
        self.journal = journal

    def apply(self, event: Event) -> None:
        """Apply one event and have it committed at the end of the call."""
        self.journal.record(self.history, event)


class Writing:
    """Lock the study and its log, see what others have added; commit at the end.

    What a call did before it raised is committed too, as it stays in memory. If the commit itself
    fails, ``reload`` puts the study back to what the log says.
    """

    def __init__(
        self,
        lock: threading.RLock,
        journal: Journal,
        history: Callable[[], History],
        reload: Callable[[], None],
    ) -> None:
        self._lock, self._journal, self._history, self._reload = lock, journal, history, reload
        self._transaction: AbstractContextManager[None] | None = None
        self._depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            if self._depth == 0:
                self._begin()
            self._depth += 1
        except BaseException:
            self._lock.release()
            raise

    def _begin(self) -> None:
        transaction = self._journal.storage.transaction()
        transaction.__enter__()
        try:
            self._journal.sync(self._history())
        except BaseException as error:
            transaction.__exit__(type(error), error, error.__traceback__)
            raise
        self._transaction = transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._depth -= 1
            if self._depth == 0:
                self._commit()
        finally:
            self._lock.release()

    def _commit(self) -> None:
        transaction: Any = self._transaction
        self._transaction = None
        try:
            try:
                self._journal.flush()
            except BaseException as error:
                transaction.__exit__(type(error), error, error.__traceback__)
                raise
            transaction.__exit__(None, None, None)
        except BaseException:
            self._journal.drop()
            self._reload()
            raise
