"""Turns: processes that share a file are served in the order in which they come.

SQLite gives its lock to whoever tries at the right moment, so that one process of many may wait for seconds.
A turn comes before that lock and is a courtesy. Where it fails, because a file cannot be opened or a process
ahead of us stands still, only the order is lost: what must not happen twice is kept apart by SQLite itself.

A queue is a number in a small file: the ticket that was drawn last. Whoever draws the next one locks a byte
for as long as it waits and works, and waits for the byte of the ticket before. The system unlocks the bytes
of a process that dies.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Queues of one file, the bytes of a ticket's number at its beginning, and how far apart the locked bytes are.
QUEUES: Final = 8
_SIZE: Final = 8
_APART: Final = 2**56


class Turn:
    """A place in one queue, for one thread of this process at a time.

    Parameters
    ----------
    name : str
        Processes with the same name wait for one another.
    queue : int
        In [0, ``QUEUES``).
    """

    def __init__(self, name: str, queue: int) -> None:
        if (held := _files.get(name)) is None:
            _files[name] = held = _LockFile(name)
        self._file, self._last = held.number, held.bytes
        self._kept = held  # its end closes the file, and with it every lock in it is gone
        self._place = slice(queue * _SIZE, (queue + 1) * _SIZE)
        self._first = (queue + 1) * _APART
        self._mine, self._number = 0, b""  # byte of our newest ticket, and its number as the file has it
        self._held = False
        self._thread = threading.RLock()

    def take(self, deadline: Callable[[], float]) -> None:
        """Wait until all who came before are done, at most until a time of ``time.monotonic``."""
        if not self._thread.acquire(blocking=False) and not self._thread.acquire(timeout=_left(deadline())):
            return
        if self._file < 0 or self._held:
            return
        try:
            if self._again():
                return
            before = self._draw()
            if self._lock(before):
                self._unlock(before)
            else:
                self._wait(before, _left(deadline()))
        except OSError:  # the system sees a circle of waiting, or has no locks left
            return

    def give(self) -> None:
        """Let the next one in. Nothing happens where this thread has no turn."""
        thread: Any = self._thread
        if not thread._is_owned():
            return
        if self._held:
            with contextlib.suppress(OSError):
                self._unlock(self._mine)
            self._held = False
        while thread._is_owned():
            thread.release()

    def _again(self) -> bool:
        """Use our ticket once more if nobody has drawn one since: a lone process needs no queue."""
        if self._last[self._place] != self._number or not self._lock(self._mine):
            return False
        self._held = self._last[self._place] == self._number
        if not self._held:
            self._unlock(self._mine)
        return self._held

    def _draw(self) -> int:
        """Draw a ticket, and return the byte of the one before."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._place.start)
        try:
            before = self._first + int.from_bytes(self._last[self._place], "little")
            self._held, self._mine = True, before + 1
            self._number = (self._mine - self._first).to_bytes(_SIZE, "little")
            self._lock(self._mine)
            self._last[self._place] = self._number
        finally:
            self._unlock(self._place.start)
        return before

    def _lock(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except BlockingIOError:
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _wait(self, byte: int, seconds: float) -> None:
        # The system's wait knows no deadline: it is left to a thread.
        done = threading.Event()

        def wait() -> None:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX, 1, byte)
                self._unlock(byte)
            done.set()

        threading.Thread(target=wait, name="hpo_core-turn", daemon=True).start()
        done.wait(seconds)


def _left(deadline: float) -> float:
    return max(0.0, min(deadline - time.monotonic(), 1e6))


class _LockFile:
    """The file of the queues of one name; ``number`` is -1 where it cannot be had."""

    number = -1
    bytes: Any = None

    def __init__(self, name: str) -> None:
        if fcntl is None:
            return
        path = Path(tempfile.gettempdir()) / f"hpo_core-{name}.turns"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(OSError):
            number = os.open(path, flags, 0o666)
            weakref.finalize(self, os.close, number)
            os.truncate(number, QUEUES * _SIZE)
            self.bytes = mmap.mmap(number, QUEUES * _SIZE)
            self.number = number


_files: weakref.WeakValueDictionary[str, _LockFile] = weakref.WeakValueDictionary()


def forget() -> None:
    """Let a process that was forked open files of its own."""
    _files.clear()
