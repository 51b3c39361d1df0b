"""Objectives in an executor that somebody else made and keeps."""

from __future__ import annotations

import functools
import pickle
import threading
import uuid
from collections import deque
from concurrent.futures import BrokenExecutor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import HpoError
from hpo_core.executors.base import Executor, Outcome
from hpo_core.executors.failures import reason_of
from hpo_core.executors.pickling import pack
from hpo_core.executors.worker import Payload, failed, load, perform

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

KEPT = 4  # payloads that a process remembers: nested and past calls of optimize

T = TypeVar("T")


class PoolExecutor(Executor[T]):
    """Hands trials to a ``concurrent.futures.Executor``, whose running ones nobody can stop.

    A pool does not say which of its workers takes a trial. The first trials carry the payload; a process
    that has not seen it when a later one arrives says so, and that trial is sent again with it. Threads
    get everything as it is.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
        The arguments of a handle, all that is sent for a trial.
    pool : concurrent.futures.Executor
    workers : int
    """

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
        self._running: dict[Future[Outcome | None], T] = {}
        self._done: deque[Future[Outcome | None]] = deque()
        self._bell = threading.Event()

    @property
    def running(self) -> list[T]:
        """Trials that the pool has."""
        return list(self._running.values())

    def submit(self, trial: T) -> None:
        """Pass the trial on."""
        self._submit(trial, _Known(self._payload) if self._n_finished >= self.capacity else self._payload)

    def _submit(self, trial: T, payload: _Sent | _Known) -> None:
        task = _Parcel(self._arguments(trial), f"a value in {trial!r}")
        try:
            future = self._pool.submit(_work, payload, task)
        except Exception as error:  # it is broken, or has been shut down
            future = Future()
            future.set_exception(error)
        self._running[future] = trial
        future.add_done_callback(self._on_done)

    def _on_done(self, future: Future[Outcome | None]) -> None:
        self._done.append(future)
        self._bell.set()

    def wait(self) -> None:
        """Block until the pool has finished a trial."""
        # Windows cannot interrupt a wait that has no time limit.
        while not self._bell.wait(1.0):
            pass

    def collect(self) -> list[tuple[T, Outcome]]:
        """Hand over what the pool has finished; in a broken pool every running trial has failed."""
        self._bell.clear()
        collected = []
        while self._done:
            future = self._done.popleft()
            trial = self._running.pop(future)
            error = future.exception()
            outcome = future.result() if error is None else _failure(error)
            if outcome is None:
                self._submit(trial, self._payload)
            else:
                self._n_finished += 1
                collected.append((trial, outcome))
        return collected

    def close(self, *, cancel: bool = False) -> None:
        """Take back what has not begun if ``cancel``; the pool goes on."""
        if cancel:
            for future in self._running:
                future.cancel()


class _Parcel:
    """A value for a worker: a thread finds it in ``value``, in a process it is unpickled to the value."""

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
    """The payload for a process that may have it; None in one that has not."""

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


def _work(payload: Any, task: Any) -> Outcome | None:
    """Evaluate one trial; None without the payload."""
    payload, arguments = (each.value if isinstance(each, _Parcel) else each for each in (payload, task))
    if payload is None:
        return None
    return payload if isinstance(payload, Outcome) else perform(payload, arguments)


def _failure(error: BaseException) -> Outcome:
    if isinstance(error, BrokenExecutor):
        broken = HpoError(f"the executor is broken, a worker may have died: {reason_of(error)}")
        broken.__cause__ = error
        error = broken
    return failed(error)
