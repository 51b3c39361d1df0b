"""Trials on the workers of a cluster: what Dask and Ray have in common.

A lane is a place where one trial runs at a time, made by the engine and replaced when it is lost. The
objective is sent to it once; a trial costs a message each way.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hpo_core.executors.base import TIMEOUT, Deaths, Executor, Outcome
from hpo_core.executors.failures import reason_of
from hpo_core.executors.pickling import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

logger = logging.getLogger("hpo_core")

LOOK_SECONDS = 0.5  # between looks at what the cluster has

# A round trip takes a few milliseconds, and 20 on a busy machine. A worker that waits for one between
# trials longer than BRIEF_SECONDS is idle for less than a tenth of the time; otherwise trials for
# ROUND_TRIP_SECONDS wait at each lane. They are chosen without knowing those before them, hence no more.
BRIEF_SECONDS = 0.1
ROUND_TRIP_SECONDS = 0.02
MOST_WAITING = 2

# One long trial outweighs dozens of brief ones: nothing ought to wait behind the next long one.
FORGETTING = 0.8

ROUNDING = 1e-9  # three trials at 1/3 of a GPU fit one

T = TypeVar("T")


def how_many_fit(has: Mapping[str, float], needs: Mapping[str, float]) -> float:
    """Return how many trials with these needs a machine has resources for; inf where they need none."""
    fits = (math.floor(has.get(name, 0.0) / need + ROUNDING) for name, need in needs.items())
    return min(fits, default=math.inf)


class Lane(ABC, Generic[T]):
    """One trial at a time, in the order of submission.

    Attributes
    ----------
    worker
        What the lane is on, and lost with.
    opened : Future
        Done when the lane is there: with None, or how every trial ends on it if the objective does not load.
    tasks : dict
        Trial by the future of its outcome; the first one runs.
    since : float
        When that began; inf if there is none.
    has_finished : bool
        Whether a trial has ended on it.
    """

    opened: Future[Outcome | None]

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.has_finished = False
        self.tasks: dict[Future[Outcome], T] = {}
        self.since = math.inf

    @abstractmethod
    def submit(self, packed: bytes) -> Future[Outcome]:
        """Send the arguments of a handle."""

    def put(self, packed: bytes, trial: T) -> Future[Outcome]:
        """Queue a trial."""
        future = self.submit(packed)
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks[future] = trial
        return future

    def take(self, future: Future[Outcome]) -> T:
        """Remove a trial that has ended; the next one begins."""
        trial = self.tasks.pop(future)
        self.has_finished = True
        self.since = time.monotonic() if self.tasks else math.inf
        return trial


LaneT = TypeVar("LaneT", bound=Lane[Any])


class LaneExecutor(Executor[T], Generic[T, LaneT]):
    """Deals trials to lanes, and deals again those that a lost lane had not begun.

    Parameters
    ----------
    arguments : callable of a trial
        The arguments of a handle, all that is sent for a trial.
    trial_timeout : float
        Seconds after which a trial is killed together with its lane.
    """

    def __init__(self, arguments: Callable[[T], tuple[Any, ...]], trial_timeout: float) -> None:
        self._arguments = arguments
        self._trial_timeout = trial_timeout
        self._opening: set[LaneT] = set()
        self._lanes: set[LaneT] = set()
        self._backlog: deque[T] = deque()
        self._done: deque[tuple[LaneT, Future[Any]]] = deque()
        self._ended: list[tuple[T, Outcome]] = []
        self._bell = threading.Event()
        self._looked = -math.inf
        self._seconds = 1.0  # of recent trials, the long ones above all
        self._deaths = Deaths()
        self._load_failures: list[Outcome] = []  # of lanes whose worker could not load the objective
        self._has_loaded = False  # once a worker could, one that can may come back
        self.capacity = 1  # a trial may wait for the first lane
        self._look()

    @abstractmethod
    def _refresh(self) -> None:
        """Open lanes where there is room, lose those that are gone."""

    @abstractmethod
    def _kill(self, lane: LaneT) -> None:
        """End the worker of a lane by force."""

    @abstractmethod
    def _why_lost(self, error: BaseException) -> str:
        """Say how a worker was lost, in a line."""

    @property
    def running(self) -> list[T]:
        """Trials that wait for a lane or that a lane has."""
        ended = [trial for trial, _ in self._ended]
        return [*ended, *self._backlog, *(trial for lane in self._lanes for trial in lane.tasks.values())]

    def submit(self, trial: T) -> None:
        """Give the trial to a free lane, once there is one."""
        self._backlog.append(trial)
        self._deal()

    def wait(self) -> None:
        """Block until a trial has ended or a lane has opened; kill trials whose time is up."""
        while not self._bell.wait(min(LOOK_SECONDS, self._end_overdue())):
            self._look()
            self._deal()

    def collect(self) -> list[tuple[T, Outcome]]:
        """Hand over what has ended; a lost lane has failed the trial that it ran."""
        self._bell.clear()
        while self._done:
            lane, future = self._done.popleft()
            if future in lane.tasks:
                self._on_outcome(lane, future)
            elif lane in self._opening:
                self._on_opened(lane)
        self._look()
        self._deal()
        ended, self._ended = self._ended, []
        return ended

    def _open(self, lane: LaneT) -> None:
        self._opening.add(lane)
        lane.opened.add_done_callback(lambda future: self._on_done(lane, future))

    def _on_done(self, lane: LaneT, future: Future[Any]) -> None:
        self._done.append((lane, future))
        self._bell.set()

    def _on_opened(self, lane: LaneT) -> None:
        error = lane.opened.exception()
        if error is not None:
            self._lose(lane, self._why_lost(error))
        elif (failure := lane.opened.result()) is not None:
            self._opening.remove(lane)
            self._load_failures.append(failure)
        else:
            self._opening.remove(lane)
            self._lanes.add(lane)
            self._has_loaded = True
            self._set_capacity()

    def _on_outcome(self, lane: LaneT, future: Future[Outcome]) -> None:
        error = future.exception()
        if error is not None:
            self._lose(lane, self._why_lost(error))
            return
        self._deaths.in_a_row = 0
        self._seconds = max(time.monotonic() - lane.since, FORGETTING * self._seconds)
        self._set_capacity()
        self._end(lane.take(future), future.result())

    def _end(self, trial: T, outcome: Outcome) -> None:
        self._ended.append((trial, outcome))
        self._bell.set()

    def _end_backlog(self, outcome: Outcome) -> None:
        while self._backlog:
            self._end(self._backlog.popleft(), outcome)

    def _lose(self, lane: LaneT, reason: str) -> None:
        """Fail what ran on the worker of a lane, or the lane's trial alone if its time was up.

        Every other trial of that worker is dealt again.
        """
        lost = [each for each in self._lanes | self._opening if each.worker == lane.worker]
        # A worker that has finished a trial is no sign of a broken set-up: it may have been taken away.
        counts = reason != TIMEOUT and not any(each.has_finished for each in lost)
        outcome = self._deaths.outcome(reason) if counts else Outcome("failed", reason=reason)
        for each in lost:
            self._opening.discard(each)
            self._lanes.discard(each)
            trials = list(each.tasks.values())
            each.tasks.clear()
            if trials and (each is lane or reason != TIMEOUT):
                self._end(trials.pop(0), outcome)
            self._backlog.extendleft(reversed(trials))
        self._set_capacity()
        if outcome.error is not None and not self._lanes:
            self._end_backlog(outcome)

    def _look(self) -> None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._refresh()
            self._looked = time.monotonic()

    def _end_overdue(self) -> float:
        """Kill the lanes of trials whose time is up; seconds until that of another may be."""
        seconds = self._trial_timeout
        for lane in list(self._lanes):
            left = lane.since + self._trial_timeout - time.monotonic()
            if left > 0:
                seconds = min(seconds, left)
            elif lane in self._lanes:  # not lost with one before it
                self._kill(lane)
                self._lose(lane, TIMEOUT)
        return seconds

    @property
    def _depth(self) -> int:
        if self._seconds >= BRIEF_SECONDS:
            return 1
        return 1 + min(MOST_WAITING, math.ceil(ROUND_TRIP_SECONDS / self._seconds))

    def _set_capacity(self) -> None:
        self.capacity = max(1, len(self._lanes) * self._depth)

    def _deal(self) -> None:
        if self._load_failures and not (self._has_loaded or self._opening):
            self._end_backlog(self._load_failures[-1])
        while self._backlog and self._lanes:
            lane = min(self._lanes, key=lambda lane: len(lane.tasks))
            if len(lane.tasks) >= self._depth:
                return
            self._give(lane, self._backlog.popleft())

    def _give(self, lane: LaneT, trial: T) -> None:
        try:
            packed = pack(self._arguments(trial), what=f"a value in {trial!r}", here=False)
        except Exception as error:
            self._end(trial, Outcome("failed", reason=reason_of(error), error=error))
            return
        future = lane.put(packed, trial)
        future.add_done_callback(lambda done: self._on_done(lane, done))
