"""Objectives in worker processes, started with spawn.

Each worker is a pool of one process. When a process dies, the trial it ran is known, and the
other workers do not notice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import HpoError
from hpo_core.executors import worker
from hpo_core.executors.base import Executor, Job, Outcome
from hpo_core.executors.pickling import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# One crash is a failed trial; this many with nothing finished in between is a broken set-up.
MAX_DEATHS_IN_A_ROW = 5

KILL_AFTER_SECONDS = 5.0  # between SIGTERM and SIGKILL

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

GUARD = 'a script that uses n_jobs > 1 must call optimize() under `if __name__ == "__main__":`'

T = TypeVar("T")


def available_cpus() -> int:
    """CPUs this process may use: fewer than there are under taskset, Slurm or a container's cpuset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessExecutor(Executor[T]):
    """Up to ``n_jobs`` processes; each starts when first needed and receives the job once.

    The processes share the machine's cores: OpenMP and BLAS, and with them PyTorch, use
    ``cpus // n_jobs`` threads in each, unless the environment already sets a number.

    Parameters
    ----------
    job : Job
    n_jobs : int
        At least 1.
    handle : callable
        Makes, in the worker, what the objective is given.
    arguments : callable of a trial
        The arguments of ``handle``, all that is sent for a trial.

    Raises
    ------
    ArgumentError
        The objective cannot be sent to another process.
    """

    def __init__(
        self,
        job: Job[Any],
        *,
        n_jobs: int,
        handle: Callable[..., worker.Handle],
        arguments: Callable[[T], tuple[Any, ...]],
    ) -> None:
        _leave_if_imported_by_worker()
        payload = pack(worker.Payload(job, handle), what=f"objective {job.objective!r}")
        threads = max(1, available_cpus() // n_jobs)
        self.capacity = n_jobs
        self._arguments = arguments
        self._idle = [_Worker(payload, threads) for _ in range(n_jobs)]
        self._busy: dict[_Worker, T] = {}
        self._ended: deque[tuple[_Worker, Future[Outcome]]] = deque()
        self._bell = threading.Event()
        self._deaths = 0

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
        """Block until a worker has a result or has died."""
        # Windows cannot interrupt a wait that has no time limit.
        while not self._bell.wait(1.0):
            pass

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
        if error is None:
            self._deaths = 0
            return future.result()
        start_error = member.start_error()
        if start_error is not None:
            member.bury()
            return _start_failure(start_error)
        if not isinstance(error, BrokenProcessPool):  # sys.exit(), values that cannot be pickled
            return Outcome("failed", reason=f"{type(error).__name__}: {error}", error=error)
        reason = f"the worker process died ({member.bury()})"
        self._deaths += 1
        if self._deaths < MAX_DEATHS_IN_A_ROW:
            return Outcome("failed", reason=reason)
        message = f"{self._deaths} worker processes died in a row; the last trial failed with: {reason}"
        return Outcome("failed", reason=reason, error=HpoError(message))

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

    def submit(self, packed: bytes) -> Future[Outcome]:
        try:
            return self._running_pool().submit(worker.work, packed)
        except BrokenProcessPool:  # it died while it was idle
            self.bury()
            return self._running_pool().submit(worker.work, packed)

    def _running_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            pool = ProcessPoolExecutor(1, mp_context=self._context)
            # The objective goes through the queue: as an argument of the process it would hold up
            # the parent until the child has imported its modules.
            with _thread_limit(self._threads), _blocked_interrupt():
                self._started = pool.submit(worker.start, self._payload)
            self._pool = pool  # not before its process runs: there would be nothing to end
        return self._pool

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
    if isinstance(error, BrokenProcessPool):
        message = f"a worker process ended before it could start, see its message on stderr; {GUARD}"
    else:
        message = f"a worker process could not load the objective: {type(error).__name__}: {error}"
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
