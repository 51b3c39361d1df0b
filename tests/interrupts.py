"""Interrupts at chosen moments, as from Ctrl-C."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def interrupt(call: Callable[[], object], delays: Iterable[float]) -> int:
    """Call once for each delay and interrupt after so many seconds; how often that was in time."""
    armed, struck = [], 0

    def handler(*_):
        if armed:  # a signal that came to another thread is handled late
            armed.clear()
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, handler)
    for delay in delays:
        try:
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_REAL, delay)
                call()
            finally:
                armed.clear()
        except KeyboardInterrupt:
            struck += 1
    signal.setitimer(signal.ITIMER_REAL, 0)  # what has come by now is handled before it is ignored
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return struck
