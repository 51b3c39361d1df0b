"""Leases: which workers are taken for dead, so that their trials are given out again.

A worker is one call of ``optimize``. A separate process renews its lease while it lives. A lease that is over
by the storage's clock proves little: the clock may have been set, the machine may have slept, another program
may have kept everybody from writing. A worker counts as dead only if this process, which could write in the
meantime, has then watched for longer than two beats and seen none.

Trials asked by hand have no lease: they wait for their results forever.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from hpo_core.storage.base import RENEWED
from hpo_core.storage.heartbeat import BEATS_PER_LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Beats that must be missed after the end of the lease. A gap between two looks counts as one at most: it may
# have been one in which nobody ran.
MISSED: Final = 2.0
# Seconds of watching that are better waited for than put off to the next ask.
SHORT: Final = 1.0
_OLD_LEASE: Final = 60.0  # seconds of a lease in old logs, which do not hold this


class Leases:
    """The leases in the log, and how long this process has watched silent workers.

    Parameters
    ----------
    now : callable
        Seconds since the epoch by the storage's clock.

    Attributes
    ----------
    until : dict of str to float
        End of each worker's lease by the storage's clock. A worker that is missing here lives in the
        process that holds the log, and its lease has no end.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.until: dict[str, float] = {}
        self._beat: dict[str, float] = {}  # seconds between the beats of each worker
        self._silent: dict[str, float] = {}  # seconds for which we have watched a lease that is over
        self._looked = time.monotonic()

    def renew(self, events: Iterable[tuple[str, str]]) -> None:
        """Take in renewals from events, given as kinds and JSON texts."""
        for kind, text in events:
            if kind == RENEWED:
                data = json.loads(text)
                worker = data["worker"]
                self.until[worker] = float(data["until"])
                self._beat[worker] = float(data.get("seconds", _OLD_LEASE)) / BEATS_PER_LEASE
                self._silent.pop(worker, None)

    def forget(self, events: Iterable[tuple[str, str]]) -> None:
        """Take back renewals that were not written."""
        for kind, text in events:
            if kind == RENEWED:
                self.until.pop(json.loads(text)["worker"], None)

    def over(self, workers: Iterable[str]) -> set[str]:
        """Return the workers whose lease is over by the storage's clock."""
        now = self._now()
        return {worker for worker in workers if self.until.get(worker, now) < now}

    def watch(self, over: set[str]) -> float:
        """Look, while nobody else can write, at workers whose lease is over.

        Returns
        -------
        float
            Seconds after which to look again, if that is soon; else 0.
        """
        gap = time.monotonic() - self._looked
        self._looked += gap
        for worker in over:
            seen = self._silent.get(worker)
            self._silent[worker] = 0.0 if seen is None else seen + min(gap, self._beat[worker])
        left = [MISSED * self._beat[worker] - self._silent[worker] for worker in over]
        soon = [seconds for seconds in left if 0.0 < seconds <= SHORT]
        return min(soon, default=0.0)

    def dead(self, over: set[str]) -> set[str]:
        """Return the workers that have been silent for long enough."""
        return {worker for worker in over if self._silent.get(worker, -1.0) >= MISSED * self._beat[worker]}
