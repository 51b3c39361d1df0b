"""What runs inside a worker process."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.executors.base import Job, Outcome


class Handle(Protocol):
    """What the objective is given; it keeps what the objective reports and notes."""

    reports: list[tuple[int, float]]
    notes: dict[str, Any]


class Payload(NamedTuple):
    """What a worker receives when it starts: the job, and how to make a handle from a task."""

    job: Job[Any]
    handle: Callable[..., Handle]


_payload: Payload


def start(packed: bytes) -> None:
    """Receive the payload."""
    global _payload  # noqa: PLW0603 - a process serves one payload
    # Ctrl-C reaches the whole process group; the parent decides what becomes of its workers. It
    # had the signal blocked until here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _payload = pickle.loads(packed)


def work(packed: bytes) -> Outcome:
    """Evaluate one task, the pickled arguments of a handle."""
    trial = _payload.handle(*pickle.loads(packed))
    outcome = _payload.job.evaluate(trial)
    outcome.reports, outcome.notes = trial.reports, trial.notes
    if outcome.error is not None:
        outcome.error = _portable(outcome.error)
    return outcome


def _portable(error: BaseException) -> BaseException:
    """Return the error, or a stand-in if it would not survive the journey home."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _exit_with_parent() -> None:
    # A worker waits on a queue whose other end it holds too, so it would outlive a killed parent.
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
