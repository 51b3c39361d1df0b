"""Trials on the workers of a cluster: the part that Dask and Ray share.

A slot is a place where one trial runs at a time. The engine makes slots and replaces lost ones. The objective
is sent to a slot once. A trial costs a message each way, and one more each time that it reports or asks.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hpo_core.executors.base import TIMEOUT, Deaths, Executor, Outcome
from hpo_core.executors.channel import Question
from hpo_core.executors.failures import reason_of
from hpo_core.executors.pickling import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from hpo_core.executors.base import Message
    from hpo_core.executors.channel import Decision

logger = logging.getLogger("hpo_core")

LOOK_SECONDS = 0.5  # between looks at the workers of the cluster

# A round trip takes a few milliseconds, and 20 on a busy machine. A worker that waits for one between
# trials longer than BRIEF_SECONDS is idle for less than a tenth of the time; otherwise trials for
# ROUND_TRIP_SECONDS wait at each slot. No more do, because they are chosen before earlier trials have ended.
BRIEF_SECONDS = 0.1
ROUND_TRIP_SECONDS = 0.02
MOST_WAITING = 2

# One long trial outweighs dozens of brief ones: no trial should wait behind the next long one.
FORGETTING = 0.8

ROUNDING = 1e-9  # three trials at 1/3 of a GPU fit one

T = TypeVar("T")


def how_many_fit(has: Mapping[str, float], needs: Mapping[str, float]) -> float:
    """Return how many trials with these needs a machine has resources for; inf if they need none."""
    fits = (math.floor(has.get(name, 0.0) / need + ROUNDING) for name, need in needs.items())
    return min(fits, default=math.inf)


class Slot(ABC, Generic[T]):
    """One trial at a time, in the order of submission.

    Attributes
    ----------
    worker
        The worker that the slot is on, and lost with.
    opened : Future
        Done when the slot is ready: with None, or with the outcome of every trial if the objective does not
        load there.
    tasks : dict
        Trials by the keys under which the worker knows them, in order; the first one runs.
    since : float
        When the first one began; inf if there is none.
    has_finished : bool
        Whether a trial has ended on it.
    """

    opened: Future[Outcome | None]

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.has_finished = False
        self.tasks: dict[int, T] = {}
        self.since = math.inf

    @abstractmethod
    def submit(self, key: int, packed: bytes) -> Future[list[Message]]:
        """Send the arguments of a handle; the future has the first messages of the trial."""

    @abstractmethod
    def resume(self, key: int, answer: Decision | None) -> Future[list[Message]]:
        """Answer a trial if it has asked; the future has its next messages."""

    def put(self, key: int, packed: bytes, trial: T) -> Future[list[Message]]:
        """Queue a trial."""
        future = self.submit(key, packed)
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks[key] = trial
        return future

    def take(self, key: int) -> T:
        """Remove a trial that has ended; the next one begins."""
        trial = self.tasks.pop(key)
        self.has_finished = True
        self.since = time.monotonic() if self.tasks else math.inf
        return trial


SlotT = TypeVar("SlotT", bound=Slot[Any])


class SlotExecutor(Executor[T], Generic[T, SlotT]):
    """Deals trials to slots. If a slot is lost, the trials that it had not begun are dealt again.

    Parameters
    ----------
    arguments : callable of a trial
        The arguments of a handle, which are sent for each trial.
    trial_timeout : float
        Seconds after which a trial is killed together with its slot.
    """

    listens = True

    def __init__(self, arguments: Callable[[T], tuple[Any, ...]], trial_timeout: float) -> None:
        self._arguments = arguments
        self._trial_timeout = trial_timeout
        self._opening: set[SlotT] = set()
        self._slots: set[SlotT] = set()
        self._backlog: deque[T] = deque()
        self._keys = itertools.count()
        self._done: deque[tuple[SlotT, int | None, Future[Any]]] = deque()  # without a key: it has opened
        self._arrived: list[tuple[T, Message]] = []
        self._bell = threading.Event()
        self._looked = -math.inf
        self._seconds = 1.0  # duration of recent trials, mostly of the long ones
        self._deaths = Deaths()
        self._load_failures: list[Outcome] = []  # of slots whose worker could not load the objective
        self._has_loaded = False  # if a worker could once, such a worker may come back
        self.capacity = 1  # a trial may wait for the first slot
        self._look()

    @abstractmethod
    def _refresh(self) -> None:
        """Open slots if there is room, and lose slots whose worker is gone."""

    @abstractmethod
    def _kill(self, slot: SlotT) -> None:
        """End the worker of a slot by force."""

    @abstractmethod
    def _why_lost(self, error: BaseException) -> str:
        """Say how a worker was lost, in a line."""

    @property
    def running(self) -> list[T]:
        """Trials that wait for a slot or are on one."""
        ended = [trial for trial, message in self._arrived if isinstance(message, Outcome)]
        return [*ended, *self._backlog, *(trial for slot in self._slots for trial in slot.tasks.values())]

    def submit(self, trial: T) -> None:
        """Give the trial to a free slot, once there is one."""
        self._backlog.append(trial)
        self._deal()

    def wait(self) -> None:
        """Block until a trial has sent a message or a slot has opened; kill trials whose time is up."""
        # Messages that have arrived are collected before their trial is killed.
        while not (self._bell.is_set() or self._bell.wait(min(LOOK_SECONDS, self._end_overdue()))):
            self._look()
            self._deal()

    def wake(self) -> None:
        """Let ``wait`` return."""
        self._bell.set()

    def collect(self) -> list[tuple[T, Message]]:
        """Return the messages that have arrived; a lost slot has failed the trial that it ran."""
        self._bell.clear()
        while self._done:
            slot, key, future = self._done.popleft()
            if key is not None and key in slot.tasks:
                self._on_messages(slot, key, future)
            elif key is None and slot in self._opening:
                self._on_opened(slot)
        self._end_overdue()
        self._look()
        self._deal()
        arrived, self._arrived = self._arrived, []
        return arrived

    def answer(self, trial: T, decision: Decision) -> None:
        """Answer the slot that has the trial."""
        for slot in self._slots:
            for key, running in slot.tasks.items():
                if running == trial:
                    self._listen(slot, key, slot.resume(key, decision))

    def _open(self, slot: SlotT) -> None:
        self._opening.add(slot)
        self._listen(slot, None, slot.opened)

    def _listen(self, slot: SlotT, key: int | None, future: Future[Any]) -> None:
        future.add_done_callback(lambda done: self._on_done(slot, key, done))

    def _on_done(self, slot: SlotT, key: int | None, future: Future[Any]) -> None:
        self._done.append((slot, key, future))
        self._bell.set()

    def _on_opened(self, slot: SlotT) -> None:
        error = slot.opened.exception()
        if error is not None:
            self._lose(slot, self._why_lost(error))
        elif (failure := slot.opened.result()) is not None:
            self._opening.remove(slot)
            self._load_failures.append(failure)
        else:
            self._opening.remove(slot)
            self._slots.add(slot)
            self._has_loaded = True
            self._set_capacity()

    def _on_messages(self, slot: SlotT, key: int, future: Future[list[Message]]) -> None:
        error = future.exception()
        if error is not None:
            self._lose(slot, self._why_lost(error))
            return
        *said, last = future.result()
        self._arrived.extend((slot.tasks[key], message) for message in said)
        if isinstance(last, Outcome):
            self._on_outcome(slot, key, last)
            return
        self._arrived.append((slot.tasks[key], last))
        if not any(isinstance(message, Question) for message in (*said, last)):  # else the answer goes on
            self._listen(slot, key, slot.resume(key, None))

    def _on_outcome(self, slot: SlotT, key: int, outcome: Outcome) -> None:
        self._deaths.in_a_row = 0
        self._seconds = max(time.monotonic() - slot.since, FORGETTING * self._seconds)
        self._set_capacity()
        self._end(slot.take(key), outcome)

    def _end(self, trial: T, outcome: Outcome) -> None:
        self._arrived.append((trial, outcome))
        self._bell.set()

    def _end_backlog(self, outcome: Outcome) -> None:
        while self._backlog:
            self._end(self._backlog.popleft(), outcome)

    def _lose(self, slot: SlotT, reason: str) -> None:
        """Fail the trials that ran on the worker of a slot, or only the slot's trial if its time was up.

        Every other trial of that worker is dealt again.
        """
        lost = [each for each in self._slots | self._opening if each.worker == slot.worker]
        # The loss of a worker that has finished a trial is no sign of a broken set-up.
        counts = reason != TIMEOUT and not any(each.has_finished for each in lost)
        outcome = self._deaths.outcome(reason) if counts else Outcome("failed", reason=reason)
        for each in lost:
            self._opening.discard(each)
            self._slots.discard(each)
            trials = list(each.tasks.values())
            each.tasks.clear()
            if trials and (each is slot or reason != TIMEOUT):
                self._end(trials.pop(0), outcome)
            self._backlog.extendleft(reversed(trials))
        self._set_capacity()
        if outcome.error is not None and not self._slots:
            self._end_backlog(outcome)

    def _look(self) -> None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._refresh()
            self._looked = time.monotonic()

    def _end_overdue(self) -> float:
        """Kill the slots of trials whose time is up; return the seconds until the next one may be."""
        seconds = self._trial_timeout
        for slot in list(self._slots):
            left = slot.since + self._trial_timeout - time.monotonic()
            if left > 0:
                seconds = min(seconds, left)
            elif slot in self._slots:  # not lost with an earlier one
                self._kill(slot)
                self._lose(slot, TIMEOUT)
        return seconds

    @property
    def _depth(self) -> int:
        if self._seconds >= BRIEF_SECONDS:
            return 1
        return 1 + min(MOST_WAITING, math.ceil(ROUND_TRIP_SECONDS / self._seconds))

    def _set_capacity(self) -> None:
        self.capacity = max(1, len(self._slots) * self._depth)

    def _deal(self) -> None:
        if self._load_failures and not (self._has_loaded or self._opening):
            self._end_backlog(self._load_failures[-1])
        while self._backlog and self._slots:
            slot = min(self._slots, key=lambda slot: len(slot.tasks))
            if len(slot.tasks) >= self._depth:
                return
            self._give(slot, self._backlog.popleft())

    def _give(self, slot: SlotT, trial: T) -> None:
        try:
            packed = pack(self._arguments(trial), what=f"a value in {trial!r}", here=False)
        except Exception as error:
            self._end(trial, Outcome("failed", reason=reason_of(error), error=error))
            return
        key = next(self._keys)
        self._listen(slot, key, slot.put(key, packed, trial))
