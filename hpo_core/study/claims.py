"""The trials that one call of ``optimize`` claims, and its lease on them if other processes share the log."""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

from hpo_core.checks import check_int, check_number
from hpo_core.errors import StudyError
from hpo_core.storage.heartbeat import BEATS_PER_LEASE
from hpo_core.study.asking import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.log.ledger import Ledger
    from hpo_core.storage.heartbeat import Heartbeat
    from hpo_core.study.asking import Asking, Numbers
    from hpo_core.trial import Trial, TrialBatch


def checked_lease(lease_seconds: Any, max_retries: Any) -> tuple[float, int]:
    """Return the settings of a lease.

    Raises
    ------
    StudyError
        A setting is not allowed.
    """
    seconds = check_number(
        "lease_seconds",
        lease_seconds,
        "a finite number > 0",
        lambda seconds: 0 < seconds < math.inf,
        error=StudyError,
    )
    return seconds, check_int("max_retries", max_retries, 0, error=StudyError)


class Claims:
    """Asks for the trials of one call of ``optimize``, and keeps the lease on them if they are stored."""

    def __init__(
        self,
        ledger: Ledger,
        asking: Asking,
        trial: Callable[[int], Trial],
        batch: Callable[[Numbers], TrialBatch],
        lease_seconds: float,
        max_retries: int,
    ) -> None:
        host = socket.gethostname().partition(".")[0][:24]
        self.worker = f"{host}-{os.getpid()}-{secrets.token_hex(2)}"
        self._ledger, self._asking, self._trial, self._batch = ledger, asking, trial, batch
        self._is_shared = ledger.storage is not None and ledger.storage.shared
        self._seconds, self._max_retries = lease_seconds, max_retries
        self._heart: Heartbeat | None = None
        self._next_look = -math.inf

    def claim(
        self, n: int | None, until: int | None, new: int | None = None, *, aside: bool = False
    ) -> Trial | TrialBatch | None:
        """Start one trial, or up to ``n`` at once, of which at most ``new`` were never asked before.

        None if ``until`` trials are finished, paused or claimed, and none goes on. Claimed trials count
        because they will finish, here or elsewhere. They are counted in the transaction that asks, so that
        any number of workers end with exactly ``until`` trials.

        With ``aside``, other threads may change the study while the sampler is at work.
        """
        if self._heart is not None and not self._heart.beats:
            self.close()
        renew = self._renew if self._is_shared else None
        request = Request(n or 1, self._max_retries, self.worker, until, new, renew, aside)
        numbers = self._asking.ask(request)
        if numbers is None:
            return None
        if self._is_shared and self._heart is None:
            self._heart = self._ledger.heartbeat(self.worker, self._seconds)
        return self._trial(int(numbers[0])) if n is None else self._batch(numbers)

    def _renew(self) -> None:
        """Renew the lease inside a change: before the heartbeat has started, or if it has stopped."""
        leases, storage = self._ledger.leases, self._ledger.storage
        if leases is None or storage is None:
            return
        until = leases.until.get(self.worker)
        if until is not None and time.monotonic() < self._next_look:
            return
        if until is None or until < storage.now() + self._seconds / 2:
            self._ledger.renew(self.worker, self._seconds)
        self._next_look = time.monotonic() + self._seconds / BEATS_PER_LEASE

    def wait_until(self, latest: float) -> None:
        """Let waits for others, for example for a lock, end at this time of ``time.monotonic``."""
        if self._ledger.storage is not None:
            self._ledger.storage.latest = latest

    @property
    def is_waiting(self) -> bool:
        """Whether this waits for others and has not begun to change anything."""
        storage = self._ledger.storage
        return storage is not None and storage.waiting

    def running(self) -> TrialBatch:
        """Return the running trials of this call."""
        held = self._ledger.history.held()
        return self._batch([row for row, worker in held.items() if worker == self.worker])

    def waits(self, until: int) -> bool:
        """Whether this worker, which runs nothing now, may still be given trials that others have claimed."""
        self.close()  # there is nothing to hold a lease on
        history = self._ledger.latest()
        return history.count_finished() < until and bool(history.held())

    def close(self) -> None:
        """Let the lease end: nothing is running any more."""
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
        self._next_look = -math.inf
