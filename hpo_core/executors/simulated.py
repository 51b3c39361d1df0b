"""Objectives on a virtual clock: thousands of workers in one thread, and the same course every time.

Between two reports an objective would have to be suspended until its time has come. Threads could do that,
but one takes 0.3 ms to start and 0.1 ms to hand over to. Instead, an objective runs ahead: it is called when
its trial starts, it is told to go on whenever it asks, and its messages are kept until the clock reaches
them. Only if the study then tells the trial to stop was that wrong. The objective is then called a second
time, is told to stop at that very question, and its messages from there on replace the former ones.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from hpo_core.checks import shown
from hpo_core.errors import ArgumentError, HpoError
from hpo_core.executors.base import Executor, Message, Outcome
from hpo_core.executors.channel import Channel, Decision, Question, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hpo_core.executors.worker import Payload

# Of one trial. An objective that ends only when it is told to would run ahead for ever.
MOST_MESSAGES: Final = 1_000_000
# A file in the folder of a trial that was told to stop: its steps are done, though it saves nothing.
MARK: Final = "simulated"


class Numbered(Protocol):
    """The part of a trial that the executor needs."""

    number: int


T = TypeVar("T", bound=Numbered)


class SimulatedExecutor(Executor[T]):
    """Up to ``workers`` trials on one clock, which ``wait`` moves to the next message.

    Messages that are due at the same time come in the order of their trials' numbers.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
        The arguments of its handle.
    workers : int
    seconds : callable of (trial, step)
        Seconds from the start of a trial, or from its last report, to its report of a step; for a trial
        without reports, with step 0, to its end.
    """

    def __init__(
        self,
        payload: Payload,
        arguments: Callable[[T], tuple[Any, ...]],
        *,
        workers: int,
        seconds: Callable[[T, int], float],
    ) -> None:
        self.capacity = workers
        self._payload, self._arguments, self._seconds = payload, arguments, seconds
        self._now = 0.0
        self._running: dict[int, T] = {}
        self._scripts: dict[int, _Script] = {}
        self._due: list[tuple[float, int]] = []  # a heap of times and numbers
        self._arrived: list[tuple[T, Message]] = []

    def clock(self) -> float:
        """Return the virtual time, in seconds since the executor was made."""
        return self._now

    @property
    def running(self) -> Collection[T]:
        """Trials that have not ended."""
        return self._running.values()

    def submit(self, trial: T) -> None:
        """Start the trial now. Its objective is called in ``wait``, which Ctrl-C can interrupt."""
        self._running[trial.number] = trial
        self._scripts[trial.number] = _Script(self._payload, self._arguments(trial))
        heapq.heappush(self._due, (self._now, trial.number))

    def wait(self) -> None:
        """Call the objectives of trials that start or were told to stop, up to the next message."""
        while not self._arrived:
            now, number = self._due[0]
            trial, script = self._running[number], self._scripts[number]
            if script.is_written:
                self._now = now
                self._arrived = [(trial, message) for message in script.read()]
            else:
                script.write()
            heapq.heappop(self._due)
            if not isinstance(script.last, Question | Outcome):
                self._schedule(trial, script)

    def _schedule(self, trial: T, script: _Script) -> None:
        step = script.step
        seconds = 0.0 if step is None else self._seconds(trial, step)
        if not (isinstance(seconds, float | int) and 0 <= seconds < math.inf):
            raise ArgumentError(
                f"seconds must be a finite number >= 0, got {shown(seconds)} for step {step} of {trial!r}"
            )
        heapq.heappush(self._due, (self._now + seconds, trial.number))

    def collect(self) -> list[tuple[T, Message]]:
        """Return the messages of one trial that are due now."""
        arrived, self._arrived = self._arrived, []
        if arrived and isinstance(arrived[-1][1], Outcome):
            number = arrived[-1][0].number
            del self._running[number], self._scripts[number]
        return arrived

    def answer(self, trial: T, decision: Decision) -> None:
        """Let the trial go on, or have its objective called again to be told to stop."""
        script = self._scripts[trial.number]
        script.answer(decision)
        if script.is_written:
            self._schedule(trial, script)
        else:
            heapq.heappush(self._due, (self._now, trial.number))

    def close(self, *, cancel: bool = False) -> None:
        """Do nothing: no evaluation outlives ``wait``."""


class _Script:
    """The messages of a trial from its start to its outcome, and the number that has been read.

    Parameters
    ----------
    payload : Payload
    arguments : tuple
        Of the trial's handle, as they are at its start.

    Attributes
    ----------
    last : Message or None
        The last message that was read.
    is_written : bool
        Whether the next message is known: the objective has been called, and its answers are still valid.
    """

    def __init__(self, payload: Payload, arguments: tuple[Any, ...]) -> None:
        self._payload, self._arguments = payload, arguments
        self.is_written = False
        self.last: Message | None = None
        self._messages: list[Message] = []
        self._read = 0
        self._questions = 0  # that were answered with "go on"
        self._stops = False

    def write(self) -> None:
        """Call the objective."""
        channel = _ChannelAhead(self._questions if self._stops else math.inf)
        trial = self._payload.handle(channel, *self._arguments)
        if self._stops and trial.folder is not None:
            (trial.folder / MARK).touch()
        outcome = self._payload.job.evaluate(trial)
        channel.close(outcome)
        before, self._messages = self._messages[: self._read], [*channel.messages, outcome]
        if str(before) != str(self._messages[: self._read]):  # as text, a nan equals itself
            raise HpoError(
                "a simulated objective must report the same each time it is called with the same trial, "
                f"got {self._messages[: self._read]} after {before}; seed its random numbers with trial.seed"
            )
        self.is_written = True

    @property
    def step(self) -> int | None:
        """Step of the report that comes next; 0 if the trial ends without one, None if no time passes."""
        following = self._messages[self._read]
        if isinstance(following, Report):
            return following.step
        silent = isinstance(following, Outcome) and not any(isinstance(m, Report) for m in self._messages)
        return 0 if silent else None

    def read(self) -> list[Message]:
        """Return the next message, and those that follow it at once, up to a question."""
        said: list[Message] = []
        while not said or not isinstance(said[-1], Question | Outcome):
            if said and isinstance(self._messages[self._read], Report):
                break
            said.append(self._messages[self._read])
            self._read += 1
        self.last = said[-1]
        return said

    def answer(self, decision: Decision) -> None:
        """Take the answer to the question that was read last."""
        self.last = None
        if decision is Decision.CONTINUE:
            self._questions += 1
        else:
            self._stops, self.is_written = True, False


class _ChannelAhead(Channel):
    """A channel that keeps all messages, and answers "go on" to the first questions, then "stop".

    An answer holds until the next report.
    """

    def __init__(self, questions: float) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self._left = questions
        self._stops = self._is_fresh = False

    def should_stop(self) -> bool:
        """Ask, unless the last answer still holds."""
        if not (self._stops or self._is_fresh or self.ended):
            self._say(Question())
            self._stops = self._left <= 0
            self._left -= 1
            self._is_fresh = True
        return self._stops

    def _tell(self, report: Report) -> None:
        self._say(report)
        self._is_fresh = False

    def _say(self, message: Message) -> None:
        if len(self.messages) >= MOST_MESSAGES:
            raise HpoError(
                f"the objective has reported {MOST_MESSAGES} times; a simulated objective must end by itself"
            )
        self.messages.append(message)
