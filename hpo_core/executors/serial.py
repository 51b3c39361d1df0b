"""Objectives in the calling thread, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hpo_core.executors.base import Executor, Job, Message

if TYPE_CHECKING:
    from hpo_core.executors.channel import Decision

T = TypeVar("T")


class SerialExecutor(Executor[T]):
    """Evaluates inside ``wait`` and with the study's own trial, which reports to it and asks it directly."""

    capacity = 1

    def __init__(self, job: Job[T]) -> None:
        self._job = job
        self._running: list[T] = []
        self._ended: list[tuple[T, Message]] = []

    @property
    def running(self) -> list[T]:
        """At most one."""
        return self._running

    def submit(self, trial: T) -> None:
        """Keep the trial for ``wait``."""
        self._running.append(trial)

    def wait(self) -> None:
        """Evaluate the trial."""
        trial = self._running[0]
        self._ended.append((trial, self._job.evaluate(trial)))

    def collect(self) -> list[tuple[T, Message]]:
        """Hand over the trial, if its evaluation was not interrupted."""
        if not self._ended:
            return []
        ended, self._ended = self._ended, []
        self._running.clear()
        return ended

    def answer(self, trial: T, decision: Decision) -> None:
        """Do nothing: no question comes this way."""

    def close(self, *, cancel: bool = False) -> None:
        """Do nothing: no evaluation outlives ``wait``."""
