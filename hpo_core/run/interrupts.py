"""When Ctrl-C may arrive."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType


class Interrupts:
    """A context manager that holds Ctrl-C back until ``let_through``. A second one always gets through.

    It does nothing outside the main thread, where no signals arrive, or if SIGINT is ignored. ``pending``
    says whether a Ctrl-C is held back; it is delivered at the end at the latest.

    Parameters
    ----------
    is_waiting : callable
        Whether the study only waits for others. Ctrl-C then gets through too, because it breaks nothing off.
    """

    def __init__(self, is_waiting: Callable[[], bool]) -> None:
        self._is_waiting = is_waiting
        self._open = self._delivered = False
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
        if self._open or self.pending or self._delivered or self._is_waiting():
            self._deliver(number, frame)
        else:
            self.pending = True

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        self.pending, self._delivered = False, True
        if self._previous is not None:
            self._previous(number, frame)

    def let_through(self) -> None:
        """Deliver a Ctrl-C that was held back, and from now on each one at once."""
        self._open, self._delivered = True, False
        if self.pending:
            self._deliver(signal.SIGINT, None)

    def hold_back(self) -> None:
        """Hold back each Ctrl-C from now on."""
        self._open = False
