"""Leases: which worker runs which trial, and until when; trials come back from workers that have died.

A worker is one call of ``optimize``. It renews its lease while it lives, and all its trials with it.
Trials asked by hand have no lease: they wait for their results for ever.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hpo_core.events import Asked, Retried
from hpo_core.storage.heartbeat import RENEWED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hpo_core.events import Event
    from hpo_core.history import History


class Leases:
    """What the log says of workers.

    Attributes
    ----------
    until : dict of str to float
        End of each worker's lease by the storage's clock. One that is missing has no end: that worker
        lives in the process that holds the log.
    """

    def __init__(self) -> None:
        self.until: dict[str, float] = {}
        self._worker: dict[int, str] = {}  # by trial

    def renew(self, events: Iterable[tuple[str, str]]) -> None:
        """Take in how workers have renewed their leases, from kinds and JSON texts."""
        for kind, text in events:
            if kind == RENEWED:
                data = json.loads(text)
                self.until[data["worker"]] = float(data["until"])

    def follow(self, history: History, event: Event) -> None:
        """Learn who runs what from an event that the history has applied."""
        if isinstance(event, Retried):
            self.hold(history, dict.fromkeys(event.rows.tolist(), event.worker))
        elif isinstance(event, Asked) and event.worker:
            rows = range(event.first, event.first + event.x.shape[1])
            self.hold(history, dict.fromkeys(rows, event.worker))

    def hold(self, history: History, workers: Mapping[int, str]) -> None:
        """Note who runs trials, those that still do; "" is nobody whose death would be noticed."""
        state = history.state
        self._worker.update({row: workers[row] for row in workers if not state[row]})  # RUNNING is 0

    def held(self, history: History) -> dict[int, str]:
        """Return the worker of each trial that runs under a lease, run out or not."""
        state = history.state
        self._worker = {row: worker for row, worker in self._worker.items() if worker and not state[row]}
        return self._worker
