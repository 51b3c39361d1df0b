"""The worker's side of every executor: in a process, in an actor, in a thread of a pool."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hpo_core.errors import HpoError
from hpo_core.executors.base import Job, Outcome
from hpo_core.executors.channel import Decision, LiveChannel
from hpo_core.executors.failures import describe, trace
from hpo_core.executors.guard import lead_group

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from hpo_core.executors.channel import Channel, Question, Report


class Payload(NamedTuple):
    """Sent to a worker when it starts: the job, and a function that makes a handle from channel and task."""

    job: Job[Any]
    handle: Callable[..., Any]


END = b""  # sent to a process when there is nothing more to do
ANSWERS: Final = {decision.value.encode(): decision for decision in Decision}  # no pickle begins like that


class PipeChannel(LiveChannel):
    """The trial's end of a channel that is the pipe of a worker process."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def _send(self, message: Report | Question) -> None:
        self._connection.send_bytes(pickle.dumps(message))

    def _receive(self, seconds: float) -> Decision | None:
        return ANSWERS[self._connection.recv_bytes()] if self._connection.poll(seconds) else None


def serve(connection: Connection) -> None:
    """Be a worker process: receive a payload, then evaluate one task after another."""
    # Ctrl-C reaches the parent, which decides what becomes of its workers. It had the signal blocked here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    lead_group()  # the processes that the objective starts end with this one
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    with connection, contextlib.suppress(OSError, EOFError):  # the parent is gone
        loaded = load(connection.recv_bytes())
        connection.send_bytes(pickle.dumps(loaded if isinstance(loaded, Outcome) else None))
        while not isinstance(loaded, Outcome) and (task := _next_task(connection)) != END:
            connection.send_bytes(pickle.dumps(unpack_and_perform(loaded, task, PipeChannel(connection))))


def _next_task(connection: Connection) -> bytes:
    while (message := connection.recv_bytes()) in ANSWERS:
        pass  # an answer that came too late for the trial before
    return message


def load(packed: bytes) -> Payload | Outcome:
    """Return a payload; if it cannot be loaded, the outcome of every trial."""
    try:
        payload: Payload = pickle.loads(packed)
    except Exception as error:
        message = f"a worker could not load the objective: {describe(error)}"
        failure = HpoError(message)
        failure.__cause__ = error
        return Outcome("failed", reason=message, error=failure)
    return payload


def unpack_and_perform(payload: Payload, packed: bytes, channel: Channel) -> Outcome:
    """Evaluate one trial, given the pickled arguments of its handle."""
    try:
        arguments = pickle.loads(packed)
    except Exception as error:
        return failed(error)
    return perform(payload, arguments, channel)


def perform(payload: Payload, arguments: tuple[Any, ...], channel: Channel) -> Outcome:
    """Evaluate one trial; whatever the objective raises, an interpreter's exit too, is an ``Outcome``."""
    trial = payload.handle(channel, *arguments)
    try:
        outcome = payload.job.evaluate(trial)
    except BaseException as error:  # sys.exit() must not take a thread or an actor with it
        outcome = failed(error)
        outcome.traceback = trace(error, skip=2)  # this function and `evaluate`
    channel.close(outcome)
    return outcome


def failed(error: BaseException) -> Outcome:
    """Return the outcome of a trial that ended with an error which ``catch`` does not cover."""
    return Outcome("failed", reason=describe(error), error=error)


def _exit_with_parent() -> None:
    # The pipe to the parent does not close while another child of the parent holds it too.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
