"""Objectives in a ``concurrent.futures.Executor`` that belongs to the user."""

from __future__ import annotations

import functools
import logging
import pickle
import threading
import uuid
from collections import deque
from concurrent.futures import BrokenExecutor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import HpoError
from hpo_core.executors.base import Executor, Message, Outcome
from hpo_core.executors.channel import Channel, Decision, QueueChannel
from hpo_core.executors.failures import reason_of
from hpo_core.executors.pickling import pack
from hpo_core.executors.worker import Payload, failed, load, perform

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

    from hpo_core.executors.channel import Question, Report

logger = logging.getLogger("hpo_core")

UNHEARD = (
    "trials in a %s cannot talk to the study while they run: should_stop() is always False there, and "
    "reports arrive with the result. They can in this thread, in other threads, and with Processes, "
    "Dask and Ray"
)

KEPT = 4  # payloads that a process remembers: nested and past calls of optimize

T = TypeVar("T")


class PoolExecutor(Executor[T]):
    """Hands trials to a ``concurrent.futures.Executor``, which cannot stop running trials.

    A pool does not say which of its workers takes a trial. The first trials carry the payload. If a later
    trial reaches a process that has not seen the payload, the process says so, and the trial is sent again
    with it. Threads get everything as it is, and their trials report and ask while they run. A pickled
    channel reaches nobody: reports of other processes come with the result.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
        The arguments of a handle, which are sent for each trial.
    pool : concurrent.futures.Executor
    workers : int
    """

    listens = True

    def __init__(
        self,
        payload: Payload,
        arguments: Callable[[T], tuple[Any, ...]],
        *,
        pool: concurrent.futures.Executor,
        workers: int,
    ) -> None:
        self.capacity = workers
        self._pool = pool
        self._arguments = arguments
        self._payload = _Sent(payload)
        self._n_finished = 0
        self._running: dict[Future[Outcome | None], tuple[T, QueueChannel]] = {}
        self._arrived: deque[tuple[T, Report | Question] | Future[Outcome | None]] = deque()
        self._bell = threading.Event()
        self._is_closed = False
        self._has_warned = False

    @property
    def running(self) -> list[T]:
        """Trials that the pool holds."""
        return [trial for trial, _ in self._running.values()]

    def submit(self, trial: T) -> None:
        """Pass the trial on."""
        self._submit(trial, _Known(self._payload) if self._n_finished >= self.capacity else self._payload)

    def _submit(self, trial: T, payload: _Sent | _Known) -> None:
        task = _Parcel(self._arguments(trial), f"a value in {trial!r}")
        channel = QueueChannel(lambda message: self._on_arrival((trial, message)))
        try:
            future = self._pool.submit(_work, payload, task, channel, threading.get_ident())
        except Exception as error:  # it is broken, or has been shut down
            future = Future()
            future.set_exception(error)
        self._running[future] = trial, channel
        future.add_done_callback(self._on_arrival)

    def _on_arrival(self, arrived: tuple[T, Report | Question] | Future[Outcome | None]) -> None:
        if not self._is_closed:
            self._arrived.append(arrived)
            self._bell.set()

    def wait(self) -> None:
        """Block until a trial has sent a message or the pool has finished one."""
        # Windows cannot interrupt a wait that has no time limit.
        while not self._bell.wait(1.0):
            pass

    def wake(self) -> None:
        """Let ``wait`` return."""
        self._bell.set()

    def collect(self) -> list[tuple[T, Message]]:
        """Return the messages that have arrived; in a broken pool every running trial has failed."""
        self._bell.clear()
        collected: list[tuple[T, Message]] = []
        while self._arrived:
            arrived = self._arrived.popleft()
            if not isinstance(arrived, Future):
                collected.append(arrived)
            elif (ended := self._end(arrived)) is not None:
                collected.append(ended)
        return collected

    def _end(self, future: Future[Outcome | None]) -> tuple[T, Outcome] | None:
        """Return a trial and its outcome, or send it again to a process that lacked the payload."""
        trial, _ = self._running.pop(future)
        error = future.exception()
        outcome = future.result() if error is None else _failure(error)
        if outcome is None:
            self._submit(trial, self._payload)
            return None
        self._n_finished += 1
        if outcome.unheard and not self._has_warned:
            logger.warning(UNHEARD, type(self._pool).__name__)
            self._has_warned = True
        return trial, outcome

    def answer(self, trial: T, decision: Decision) -> None:
        """Answer the thread that has the trial."""
        for running, channel in self._running.values():
            if running == trial:
                channel.answers.put(decision)

    def close(self, *, cancel: bool = False) -> None:
        """Tell running trials to stop; with ``cancel``, take back trials that have not begun."""
        self._is_closed = True
        for future, (_, channel) in self._running.items():
            channel.answers.put(Decision.STOP)
            if cancel:
                future.cancel()


class _Parcel:
    """A value for a worker: a thread reads ``value``; in a process the parcel is unpickled to the value."""

    def __init__(self, value: Any, what: str) -> None:
        self.value = value
        self.what = what

    @functools.cached_property
    def packed(self) -> bytes:
        return pack(self.value, what=self.what, here=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.packed,)


class _Sent(_Parcel):
    """The payload, remembered by the process that receives it."""

    def __init__(self, payload: Payload) -> None:
        super().__init__(payload, f"objective {payload.job.objective!r}")
        self.key = uuid.uuid4().hex

    def __reduce__(self) -> tuple[Any, ...]:
        return _keep, (self.key, self.packed)


class _Known(_Parcel):
    """The payload for a process that may have it already; None in a process that does not."""

    def __init__(self, sent: _Sent) -> None:
        super().__init__(sent.value, sent.what)
        self.key = sent.key

    def __reduce__(self) -> tuple[Any, ...]:
        return _recall, (self.key,)


# In the worker

_payloads: dict[str, Payload | Outcome] = {}  # a payload, or why it could not be loaded


def _keep(key: str, packed: bytes) -> Payload | Outcome:
    payload = load(packed)
    while len(_payloads) >= KEPT:
        del _payloads[next(iter(_payloads))]
    _payloads[key] = payload
    return payload


def _recall(key: str) -> Payload | Outcome | None:
    return _payloads.get(key)


def _work(payload: Any, task: Any, channel: Channel, caller: int) -> Outcome | None:
    """Evaluate one trial; return None if the payload is missing."""
    if threading.get_ident() == caller:  # nobody would answer while it runs
        channel = Channel()
    payload, arguments = (each.value if isinstance(each, _Parcel) else each for each in (payload, task))
    if payload is None:
        return None
    return payload if isinstance(payload, Outcome) else perform(payload, arguments, channel)


def _failure(error: BaseException) -> Outcome:
    if isinstance(error, BrokenExecutor):
        broken = HpoError(f"the executor is broken, a worker may have died: {reason_of(error)}")
        broken.__cause__ = error
        error = broken
    return failed(error)
