"""What runs where the objective is: in a worker process, an actor, a thread of somebody's pool."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hpo_core.errors import HpoError
from hpo_core.executors.base import Job, Outcome
from hpo_core.executors.failures import describe, trace

if TYPE_CHECKING:
    from collections.abc import Callable


class Handle(Protocol):
    """What the objective is given."""

    @property
    def reports(self) -> list[tuple[int, float]]:
        """What the objective has reported."""

    @property
    def notes(self) -> dict[str, Any]:
        """What it has noted."""


class Payload(NamedTuple):
    """What a worker receives when it starts: the job, and how to make a handle from a task."""

    job: Job[Any]
    handle: Callable[..., Handle]


_payload: Payload


def start(packed: bytes) -> None:
    """Receive the payload of a process that serves one executor."""
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
    return unpack_and_perform(_payload, packed)


def unpack_and_perform(payload: Payload, packed: bytes) -> Outcome:
    """Evaluate one trial, given the pickled arguments of its handle."""
    try:
        arguments = pickle.loads(packed)
    except Exception as error:
        return failed(error)
    return perform(payload, arguments)


def perform(payload: Payload, arguments: tuple[Any, ...]) -> Outcome:
    """Evaluate one trial; whatever the objective raises, an interpreter's exit too, is an ``Outcome``."""
    trial = payload.handle(*arguments)
    try:
        outcome = payload.job.evaluate(trial)
    except BaseException as error:  # sys.exit() must not take a thread or an actor with it
        outcome = failed(error)
        outcome.traceback = trace(error, skip=2)  # this function and `evaluate`
    outcome.reports, outcome.notes = trial.reports, trial.notes
    return outcome


def failed(error: BaseException) -> Outcome:
    """Return the outcome of a trial that ended with an error which is nobody's to catch."""
    return Outcome("failed", reason=describe(error), error=error)


def load_failure(cause: BaseException) -> Outcome:
    """Return the outcome of a trial whose worker could not unpickle the objective."""
    message = f"a worker could not load the objective: {describe(cause)}"
    failure = HpoError(message)
    failure.__cause__ = cause
    return Outcome("failed", reason=message, error=failure)


def _exit_with_parent() -> None:
    # A worker waits on a queue whose other end it holds too, so it would outlive a killed parent.
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
