"""When Ctrl-C may arrive."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType


class Interrupts:
    """Holds Ctrl-C back except where it is let through; a second one always gets through.

    A context manager. Does nothing outside the main thread, where no signals arrive, and where
    SIGINT is ignored. ``pending`` says whether one waits; it is delivered at the end at the latest.
    """

    def __init__(self) -> None:
        self._open = False
        self.pending = False
        self._previous: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            self._previous = handler
            signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self.let_through()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._previous is not None and (self._open or self.pending):
            self._previous(number, frame)
        else:
            self.pending = True

    def let_through(self) -> None:
        """Deliver what was held back, and from now on at once."""
        self._open = True
        if self.pending and self._previous is not None:
            self.pending = False
            self._previous(signal.SIGINT, None)

    def hold_back(self) -> None:
        """Keep what arrives from now on for later."""
        self._open = False
