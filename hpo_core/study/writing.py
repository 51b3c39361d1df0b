"""A change of a stored study: one transaction of its log around one call."""

from __future__ import annotations

import logging
import threading
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from hpo_core.storage.base import ChangeLostError
from hpo_core.study.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from hpo_core.events import Event
    from hpo_core.history import History
    from hpo_core.study.journal import Journal

logger = logging.getLogger("hpo_core")

P = ParamSpec("P")
R = TypeVar("R")

_changing = threading.local()  # whether this thread is inside a change


def until_written(change: Callable[P, R]) -> Callable[P, R]:
    """Run a change again where it was lost to a server that went away: it then sees what others have done.

    A change that is part of another is run again with it.
    """

    @wraps(change)
    def again(*arguments: P.args, **options: P.kwargs) -> R:
        if getattr(_changing, "now", False):
            return change(*arguments, **options)
        _changing.now = True
        try:
            while True:
                try:
                    return change(*arguments, **options)
                except ChangeLostError as error:
                    logger.info("%s", error)
        finally:
            _changing.now = False

    return again


def methods_until_written(*names: str) -> Callable[[type[R]], type[R]]:
    """``until_written`` for these methods of a class."""

    def decorate(kind: type[R]) -> type[R]:
        for name in names:
            setattr(kind, name, until_written(getattr(kind, name)))
        return kind

    return decorate


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
        transaction = self._journal.storage.transaction(self._journal.key)
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
