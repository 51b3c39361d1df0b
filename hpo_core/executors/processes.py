"""Objectives in worker processes, started with spawn.

Each worker is a process, the group of processes that it leads, and a thread here that talks to it. If a
process dies, only the trial that it ran is lost.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections import deque
from multiprocessing import Pipe, get_context, resource_tracker, spawn
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from hpo_core.errors import ArgumentError, HpoError
from hpo_core.executors import worker
from hpo_core.executors.base import TIMEOUT, Deaths, Executor, Message, Outcome
from hpo_core.executors.channel import Question, Report
from hpo_core.executors.failures import reason_of
from hpo_core.executors.guard import Guard
from hpo_core.executors.pickling import main_can_be_imported, pack
from hpo_core.machine import available_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from hpo_core.executors.channel import Decision
    from hpo_core.executors.worker import Payload

KILL_AFTER_SECONDS = 5.0  # between SIGTERM and SIGKILL
# The pipe of a dead process stays open while another process, started by its objective, holds it too.
LOOK_SECONDS = 0.5  # between checks whether processes live

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

GUARD = 'a script that uses worker processes must call optimize() under `if __name__ == "__main__":`'

HAS_GROUPS = hasattr(os, "killpg")  # of processes: not on Windows

T = TypeVar("T")


class ProcessExecutor(Executor[T]):
    """Up to ``workers`` processes; each starts when first needed and receives the job once.

    The processes share the machine's cores: OpenMP and BLAS, and with them PyTorch, use
    ``cpus // workers`` threads in each, unless the environment already sets a number.

    Parameters
    ----------
    payload : Payload
    arguments : callable of a trial
        The arguments of a handle, which are sent for each trial.
    workers : int
    trial_timeout : float
        Seconds after which the process of a trial is killed.

    Raises
    ------
    ArgumentError
        The objective cannot be sent to another process.
    """

    listens = True

    def __init__(
        self,
        payload: Payload,
        arguments: Callable[[T], tuple[Any, ...]],
        *,
        workers: int,
        trial_timeout: float,
    ) -> None:
        _leave_if_imported_by_worker()
        _require_interpreter()
        packed = pack(payload, what=f"objective {payload.job.objective!r}")
        threads = max(1, available_cpus() // workers)
        self.capacity = workers
        self._arguments = arguments
        self._trial_timeout = trial_timeout
        self._guard = Guard()
        self._idle = [_Worker(packed, threads, self._guard, self._on_message) for _ in range(workers)]
        self._busy: dict[_Worker, T] = {}
        self._arrived: deque[tuple[_Worker, Message | None]] = deque()
        self._bell = threading.Event()
        self._deaths = Deaths()

    @property
    def running(self) -> list[T]:
        """Trials that are on a worker."""
        return list(self._busy.values())

    def submit(self, trial: T) -> None:
        """Give the trial to an idle worker, starting its process if need be."""
        member = self._idle.pop()
        self._busy[member] = trial
        try:
            member.submit(pack(self._arguments(trial), what=f"a value in {trial!r}"))
        except Exception as error:
            self._on_message(member, Outcome("failed", reason=reason_of(error), error=error))

    def _on_message(self, member: _Worker, message: Message | None) -> None:
        self._arrived.append((member, message))
        self._bell.set()

    def wait(self) -> None:
        """Block until a worker has sent a message or has died; kill workers whose time is up."""
        while not self._bell.wait(min(LOOK_SECONDS, self._end_overdue())):
            for member in self._busy:
                member.look()

    def wake(self) -> None:
        """Let ``wait`` return."""
        self._bell.set()

    def _end_overdue(self) -> float:
        """Kill the processes whose time is up; return the seconds until the next one may be."""
        seconds = self._trial_timeout
        for member in self._busy:
            left = member.since() + self._trial_timeout - time.monotonic()
            if left > 0:
                seconds = min(seconds, left)
            elif not member.timed_out:
                member.time_out()
        return seconds

    def collect(self) -> list[tuple[T, Message]]:
        """Return the messages that have arrived; a dead worker has failed its trial."""
        self._bell.clear()
        collected: list[tuple[T, Message]] = []
        while self._arrived:
            member, message = self._arrived.popleft()
            if isinstance(message, Report | Question):
                collected.append((self._busy[member], message))
            else:
                collected.append((self._busy.pop(member), self._outcome(member, message)))
                self._idle.append(member)
        return collected

    def answer(self, trial: T, decision: Decision) -> None:
        """Answer the worker that has the trial."""
        for member, running in self._busy.items():
            if running == trial:
                member.answer(decision)

    def _outcome(self, member: _Worker, outcome: Outcome | None) -> Outcome:
        timed_out, had_loaded = member.timed_out, member.has_loaded
        how = member.bury() if timed_out or not had_loaded or outcome is None else ""
        if outcome is not None:  # even if its time was up
            self._deaths.in_a_row = 0
            return outcome
        if timed_out:
            return Outcome("failed", reason=TIMEOUT)
        if not had_loaded:
            reason = f"a worker process ended before it could start, see its message on stderr; {GUARD}"
            return Outcome("failed", reason=reason, error=HpoError(reason))
        return self._deaths.outcome(f"the worker process died ({how})")

    def close(self, *, cancel: bool = False) -> None:
        """End every process; with ``cancel``, also busy ones by force, with the processes they started."""
        members = [*self._idle, *self._busy]
        try:
            for member in members:
                member.release(by_force=cancel)
            deadline = time.monotonic() + KILL_AFTER_SECONDS
            for member in members:
                member.join(max(0.0, deadline - time.monotonic()) if cancel else None)
        finally:  # Ctrl-C ends the wait
            for member in members:
                member.bury(by_force=cancel)
            self._guard.stop()


class _Worker:
    """A process, started at the first task and again after a death, and the thread that talks to it.

    Only the thread reads, because a process may die in the middle of a message. It also writes everything
    except answers, because it is waiting for the outcome when an answer is sent.
    """

    def __init__(
        self,
        payload: bytes,
        threads: int,
        guard: Guard,
        on_message: Callable[[_Worker, Message | None], None],
    ) -> None:
        self._payload = payload
        self._threads = threads
        self._guard = guard
        self._on_message = on_message
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._closing = threading.Lock()  # held while the connection is written to or closed
        self._line: socket.socket | None = None
        self._tasks: SimpleQueue[bytes | None] = SimpleQueue()
        self._loaded_at = self._given_at = math.inf
        self.timed_out = False

    def submit(self, packed: bytes) -> None:
        """Have a task done; the last message is the outcome, or None if the process dies."""
        self.timed_out = False
        if self._process is None or _has_ended(self._process):
            self.bury()
            self._start()
        self._given_at = time.monotonic()
        self._tasks.put(packed)

    def _start(self) -> None:
        connection, there = Pipe()
        process = get_context("spawn").Process(target=worker.serve, args=(there,))
        with there, _thread_limit(self._threads), _blocked_interrupt(), _importable_main():
            process.start()
        self._process, self._tasks, self._loaded_at = process, SimpleQueue(), math.inf
        self._connection = connection
        if HAS_GROUPS:
            self._line = socket.socket(fileno=os.dup(connection.fileno()))
        self._guard.toggle(int(process.pid or 0))
        # The objective goes through the pipe: as an argument of the process it would hold up this thread
        # until the process has imported its modules.
        threading.Thread(target=self._talk, args=(connection, self._tasks), daemon=True).start()

    def _talk(self, connection: Connection, tasks: SimpleQueue[bytes | None]) -> None:
        def exchange(message: bytes) -> Outcome | None:
            connection.send_bytes(message)
            while isinstance(reply := pickle.loads(connection.recv_bytes()), Report | Question):
                self._on_message(self, reply)
            outcome: Outcome | None = reply
            return outcome

        try:
            failure = exchange(self._payload)
            if failure is None:
                self._loaded_at = time.monotonic()
            while (task := tasks.get()) is not None:
                self._on_message(self, failure or exchange(task))
        except (OSError, EOFError):
            self._on_message(self, None)
        else:
            with contextlib.suppress(OSError):
                connection.send_bytes(worker.END)
        finally:
            with self._closing:
                connection.close()

    def answer(self, decision: Decision) -> None:
        """Answer the question of the current trial."""
        connection = self._connection
        with self._closing, contextlib.suppress(OSError):  # the process has died, or the line is closed
            if connection is not None:
                connection.send_bytes(decision.value.encode())

    @property
    def has_loaded(self) -> bool:
        """Whether the process has the objective."""
        return self._loaded_at < math.inf

    def since(self) -> float:
        """Return when the current trial began; inf while the process is starting."""
        return max(self._given_at, self._loaded_at)

    def look(self) -> None:
        """Check whether the process has died, which its pipe may not show."""
        if self._process is not None and _has_ended(self._process):
            self._kill()

    def time_out(self) -> None:
        """Kill the process because its trial has taken too long; the thread notices."""
        self.timed_out = True
        self._kill()

    def release(self, *, by_force: bool) -> None:
        """Let the process end, after its task or at once."""
        self._tasks.put(None)
        if by_force and self._process is not None:
            self._process.terminate()
            _signal_group(self._process, signal.SIGTERM)

    def join(self, timeout: float | None) -> None:
        """Wait for the end of the process."""
        if self._process is not None:
            self._process.join(timeout)

    def bury(self, *, by_force: bool = True) -> str:
        """End the process and clean up after it; return how it ended, in words.

        ``by_force`` also ends the processes that its objective has started.
        """
        process = self._process
        if process is None:
            return ""
        self._tasks.put(None)
        if by_force or not _has_ended(process):
            self._kill()
        process.join()
        self._guard.toggle(int(process.pid or 0))
        if self._line is not None:
            self._line.close()
        self._process = self._connection = self._line = None
        self._loaded_at = math.inf
        code = process.exitcode
        return (
            f"killed by {signal.Signals(-code).name}"
            if code is not None and code < 0
            else f"exit code {code}"
        )

    def _kill(self) -> None:
        """End the process and its group, and shut the pipe, whose other end another process may hold."""
        if self._process is not None:
            self._process.kill()
            _signal_group(self._process, signal.SIGKILL)
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)


def _has_ended(process: SpawnProcess) -> bool:
    if process.exitcode is not None or not HAS_GROUPS:
        return process.exitcode is not None
    try:  # a program that ignores SIGCHLD learns no exit codes
        os.kill(int(process.pid or 0), 0)
    except ProcessLookupError:
        return True
    return False


def _signal_group(process: SpawnProcess, number: int) -> None:
    if HAS_GROUPS:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or leads none yet
            os.killpg(int(process.pid or 0), number)


def _leave_if_imported_by_worker() -> None:
    """End a worker whose main module lacks the guard in one line, not in a traceback per worker."""
    try:
        spawn.get_preparation_data("worker")
    except RuntimeError:  # this process is still importing its main module
        sys.exit(f"hpo_core: {GUARD}")


def _require_interpreter() -> None:
    if not spawn.get_executable():
        raise ArgumentError(
            "executor: worker processes need a Python interpreter, but sys.executable names none; set one "
            "with multiprocessing.set_executable(path), or run the trials in this process"
        )


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
def _importable_main() -> Iterator[None]:
    """Let a process start without the main module if that is standard input and has a file name."""
    main = vars(sys.modules["__main__"])
    if "__file__" not in main or main_can_be_imported():
        yield
        return
    path = main.pop("__file__")
    try:
        yield
    finally:
        main["__file__"] = path


@contextlib.contextmanager
def _blocked_interrupt() -> Iterator[None]:
    """Let a process start with SIGINT blocked, so that Ctrl-C does not end it while it imports."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it unblocks the signal when it starts
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
