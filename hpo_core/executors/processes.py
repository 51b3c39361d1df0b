"""Objectives in worker processes, started with spawn.

Each worker is a pool of one process. When a process dies, the trial it ran is known, and the
other workers do not notice.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import HpoError
from hpo_core.executors import worker
from hpo_core.executors.base import TIMEOUT, Deaths, Executor, Outcome
from hpo_core.executors.pickling import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpo_core.executors.worker import Payload

KILL_AFTER_SECONDS = 5.0  # between SIGTERM and SIGKILL

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

GUARD = 'a script that uses worker processes must call optimize() under `if __name__ == "__main__":`'

T = TypeVar("T")


def available_cpus() -> int:
    """CPUs this process may use: fewer than there are under taskset, Slurm or a container's cpuset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessExecutor(Executor[T]):
    """Up to ``workers`` processes; each starts when first needed and receives the job once.

    The processes share the machine's cores: OpenMP and BLAS, and with them PyTorch, use
    ``cpus // workers`` threads in each, unless the environment already sets a number.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
        The arguments of a handle, all that is sent for a trial.
    workers : int
    trial_timeout : float
        Seconds after which the process of a trial is killed.

    Raises
    ------
    ArgumentError
        The objective cannot be sent to another process.
    """

    def __init__(
        self,
        payload: Payload,
        arguments: Callable[[T], tuple[Any, ...]],
        *,
        workers: int,
        trial_timeout: float,
    ) -> None:
        _leave_if_imported_by_worker()
        packed = pack(payload, what=f"objective {payload.job.objective!r}")
        threads = max(1, available_cpus() // workers)
        self.capacity = workers
        self._arguments = arguments
        self._trial_timeout = trial_timeout
        self._idle = [_Worker(packed, threads) for _ in range(workers)]
        self._busy: dict[_Worker, T] = {}
        self._ended: deque[tuple[_Worker, Future[Outcome]]] = deque()
        self._bell = threading.Event()
        self._deaths = Deaths()

    @property
    def running(self) -> list[T]:
        """Trials that a worker has."""
        return list(self._busy.values())

    def submit(self, trial: T) -> None:
        """Give the trial to an idle worker, starting its process if need be."""
        member = self._idle.pop()
        self._busy[member] = trial
        try:
            future = member.submit(pack(self._arguments(trial), what=f"a value in {trial!r}"))
        except Exception as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(lambda done: self._on_done(member, done))

    def _on_done(self, member: _Worker, future: Future[Outcome]) -> None:
        self._ended.append((member, future))
        self._bell.set()

    def wait(self) -> None:
        """Block until a worker has a result or has died; kill those whose time is up."""
        # Windows cannot interrupt a wait that has no time limit.
        while not self._bell.wait(min(1.0, self._end_overdue())):
            pass

    def _end_overdue(self) -> float:
        """Kill the processes whose time is up; seconds until that of another may be."""
        seconds = self._trial_timeout
        for member in self._busy:
            left = member.since() + self._trial_timeout - time.monotonic()
            if left > 0:
                seconds = min(seconds, left)
            elif not member.timed_out:
                member.time_out()
        return seconds

    def collect(self) -> list[tuple[T, Outcome]]:
        """Hand over what has ended; a dead worker is one that failed its trial."""
        self._bell.clear()
        collected = []
        while self._ended:
            member, future = self._ended.popleft()
            collected.append((self._busy.pop(member), self._outcome(member, future)))
            self._idle.append(member)
        return collected

    def _outcome(self, member: _Worker, future: Future[Outcome]) -> Outcome:
        error = future.exception()
        if member.timed_out:  # even if the result was faster
            member.bury()
        if error is None:
            self._deaths.in_a_row = 0
            return future.result()
        if member.timed_out:
            return Outcome("failed", reason=TIMEOUT)
        start_error = member.start_error()
        if start_error is not None:
            member.bury()
            return _start_failure(start_error)
        if not isinstance(error, BrokenProcessPool):  # sys.exit(), values that cannot be pickled
            return Outcome("failed", reason=f"{type(error).__name__}: {error}", error=error)
        return self._deaths.outcome(f"the worker process died ({member.bury()})")

    def close(self, *, cancel: bool = False) -> None:
        """End every process, the working ones by force if ``cancel``."""
        members = [*self._idle, *self._busy]
        for member in members:
            member.close(cancel=cancel)
        for member in members:
            member.join(KILL_AFTER_SECONDS if cancel else None)


class _Worker:
    """A pool of one process, started at the first task and again after a death."""

    def __init__(self, payload: bytes, threads: int) -> None:
        self._payload = payload
        self._threads = threads
        self._context = _Context()
        self._pool: ProcessPoolExecutor | None = None
        self._started: Future[None] = Future()
        self._loaded_at = math.inf
        self._given_at = math.inf
        self.timed_out = False

    def submit(self, packed: bytes) -> Future[Outcome]:
        self.timed_out = False
        self._given_at = time.monotonic()
        try:
            return self._running_pool().submit(worker.work, packed)
        except BrokenProcessPool:  # it died while it was idle
            self.bury()
            return self._running_pool().submit(worker.work, packed)

    def _running_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            pool = ProcessPoolExecutor(1, mp_context=self._context)
            self._loaded_at = math.inf
            # The objective goes through the queue: as an argument of the process it would hold up
            # the parent until the child has imported its modules.
            with _thread_limit(self._threads), _blocked_interrupt():
                self._started = pool.submit(worker.start, self._payload)
            self._started.add_done_callback(self._on_loaded)
            self._pool = pool  # not before its process runs: there would be nothing to end
        return self._pool

    def _on_loaded(self, _: object) -> None:
        self._loaded_at = time.monotonic()

    def since(self) -> float:
        """When the trial at hand began; inf while the process is starting."""
        return max(self._given_at, self._loaded_at)

    def time_out(self) -> None:
        """Kill the process for what its trial has taken; the pool notices."""
        self.timed_out = True
        if self._context.process is not None:
            self._context.process.kill()

    def start_error(self) -> BaseException | None:
        return self._started.exception() if self._started.done() else None

    def bury(self) -> str:
        """Clean up after a broken pool; how the process ended, in words."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None
        code = self._context.process.exitcode if self._context.process is not None else None
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def close(self, *, cancel: bool) -> None:
        if self._pool is None:
            return
        if cancel and self._context.process is not None:
            self._context.process.terminate()
        self._pool.shutdown(wait=False)

    def join(self, timeout: float | None) -> None:
        process = self._context.process
        if self._pool is None or process is None:
            return
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
        self._pool = None


class _Context(SpawnContext):
    """A spawn context that remembers the process it made: the pool does not give it away."""

    process: SpawnProcess | None = None

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        self.process = SpawnProcess(*args, **kwargs)
        return self.process


def _leave_if_imported_by_worker() -> None:
    """End a worker whose main module lacks the guard in one line, not in a traceback per worker."""
    try:
        spawn.get_preparation_data("worker")
    except RuntimeError:  # this process is still importing its main module
        sys.exit(f"hpo_core: {GUARD}")


def _start_failure(error: BaseException) -> Outcome:
    if not isinstance(error, BrokenProcessPool):
        return worker.load_failure(error)
    message = f"a worker process ended before it could start, see its message on stderr; {GUARD}"
    failure = HpoError(message)
    failure.__cause__ = error
    return Outcome("failed", reason=message, error=failure)


@contextlib.contextmanager
def _thread_limit(threads: int) -> Iterator[None]:
    """Let a process start with this many OpenMP and BLAS threads; libraries read it when loaded."""
    if any(name in os.environ for name in THREAD_VARIABLES):
        yield
        return
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name in THREAD_VARIABLES:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _blocked_interrupt() -> Iterator[None]:
    """Let a process start with SIGINT blocked, so that Ctrl-C does not end it while it imports."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
