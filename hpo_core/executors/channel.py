"""The messages between a running trial and its study, and the trial's end of the channel.

A trial reports and asks; the study answers. Reports are not acknowledged. A question arrives after the
reports that were sent before it, so that the answer takes them into account.
"""

from __future__ import annotations

import math
import os
import threading
import time
from abc import ABC, abstractmethod
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.executors.base import Outcome

# A trial waits this long for an answer, then goes on. A training must not stand still while the study
# computes a suggestion or waits for its storage.
ANSWER_SECONDS: Final = 1.0
# An answer is reused for this long if it takes every report into account: objectives may ask in their
# innermost loop.
FRESH_SECONDS: Final = 0.1


class Decision(Enum):
    """The answer to a running trial. Workers are sent its value."""

    CONTINUE = "continue"
    STOP = "stop"
    PAUSE = "pause"


class Report(NamedTuple):
    """An intermediate value, in the study's direction, and how many steps the trial takes, 0 if unknown."""

    step: int
    value: float
    steps: int = 0


class Question(NamedTuple):
    """The trial asks whether to go on. ``Executor.answer`` replies once."""


class Channel:
    """The trial's end of a channel on which nobody listens: reports and notes travel with the result.

    Attributes
    ----------
    ended : str
        State in which the trial has ended, empty while it runs.
    """

    def __init__(self) -> None:
        self.ended = ""
        self._lock = threading.RLock()
        self._reports: list[Report] = []
        self._notes: dict[str, Any] = {}
        self._unheard = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Channel, ()  # a copy in another process reaches nobody

    def report(self, step: int, value: Any, steps: int = 0) -> bool:
        """Send an intermediate value; False if the trial has ended."""
        with self._lock:
            if not self.ended:
                self._tell(Report(step, value, steps))
            return not self.ended

    def note(self, notes: dict[str, Any]) -> bool:
        """Keep notes for the result; False if the trial has ended."""
        with self._lock:
            if not self.ended:
                self._notes.update(notes)
            return not self.ended

    def should_stop(self) -> bool:
        """Ask whether to end early."""
        self._unheard = True
        return False

    def close(self, outcome: Outcome) -> None:
        """Put reports and notes into the outcome. Nothing can be reported after that."""
        with self._lock:
            self.ended = outcome.state
            outcome.reports, outcome.notes, outcome.unheard = self._reports, self._notes, self._unheard

    def _tell(self, report: Report) -> None:
        self._unheard = True
        self._reports.append(report)


class LiveChannel(Channel, ABC):
    """The trial's end of a channel on which the study listens."""

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()  # a process forked from it must not use the channel
        self._decision = Decision.CONTINUE
        self._is_asking = False  # at most one question is on its way, and the next answer is its own
        self._is_outdated = False  # a report was sent after that question
        self._fresh_until = -math.inf

    def should_stop(self) -> bool:
        """Ask whether to end early, and wait a while for the answer; without one, the last answer holds."""
        with self._lock:
            is_decided = self._decision is not Decision.CONTINUE or time.monotonic() < self._fresh_until
            if not (is_decided or self.ended or os.getpid() != self._process):
                self._ask()
            return self._decision is not Decision.CONTINUE

    def _ask(self) -> None:
        """Send a question and wait for the answer. An answer that is late already is not waited for."""
        if self._is_asking:
            self._listen(0.0)
            if self._is_asking or self._decision is not Decision.CONTINUE or not self._is_outdated:
                return
        self._send(Question())
        self._is_asking, self._is_outdated = True, False
        self._listen(ANSWER_SECONDS)

    def _listen(self, seconds: float) -> None:
        answer = self._receive(seconds)
        if answer is not None:
            self._decision, self._is_asking = answer, False
            if not self._is_outdated:
                self._fresh_until = time.monotonic() + FRESH_SECONDS

    def _tell(self, report: Report) -> None:
        if os.getpid() == self._process:
            self._send(report)
            self._is_outdated = True
            self._fresh_until = -math.inf

    @abstractmethod
    def _send(self, message: Report | Question) -> None:
        """Pass a message on."""

    @abstractmethod
    def _receive(self, seconds: float) -> Decision | None:
        """Wait for the answer; None if it does not come in time."""


class QueueChannel(LiveChannel):
    """The trial's end of a channel to another thread.

    Parameters
    ----------
    put : callable
        Receives each message.

    Attributes
    ----------
    answers : SimpleQueue of Decision
    """

    def __init__(self, put: Callable[[Report | Question], object]) -> None:
        super().__init__()
        self._put = put
        self.answers: SimpleQueue[Decision] = SimpleQueue()

    def _send(self, message: Report | Question) -> None:
        self._put(message)

    def _receive(self, seconds: float) -> Decision | None:
        try:
            return self.answers.get(timeout=seconds)
        except Empty:
            return None
