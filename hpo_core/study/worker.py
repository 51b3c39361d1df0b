"""A worker: one call of ``optimize`` as the other workers of its study see it."""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.checks import check_int, check_number
from hpo_core.errors import StudyError
from hpo_core.storage.heartbeat import BEATS_PER_LEASE, Heartbeat
from hpo_core.study.asking import ask
from hpo_core.trial import TrialBatch

if TYPE_CHECKING:
    from hpo_core.study.study import Study
    from hpo_core.trial import Trial


class Worker:
    """Asks for the trials of one call of ``optimize``, and holds a lease on them where they are stored.

    Raises
    ------
    StudyError
        ``lease_seconds`` or ``max_retries`` of the study is outside what is allowed.
    """

    def __init__(self, study: Study) -> None:
        study.lease_seconds = check_number(
            "lease_seconds",
            study.lease_seconds,
            "a finite number > 0",
            lambda seconds: 0 < seconds < math.inf,
            error=StudyError,
        )
        study.max_retries = check_int("max_retries", study.max_retries, 0, error=StudyError)
        self.name = f"{socket.gethostname().partition('.')[0][:24]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._study = study
        self._heart: Heartbeat | None = None
        self._next_look = -math.inf

    def claim(self, n: int | None, until: int | None) -> Trial | TrialBatch | None:
        """Ask for one trial, or up to ``n`` at once; None if the study holds ``until`` as it is.

        What runs under a lease counts too: it will finish, here or elsewhere. It is counted in the
        transaction that asks, so that any number of workers end with exactly ``until`` trials.
        """
        if self._heart is not None and not self._heart.beats:
            self.close()
        study = self._study
        trials = ask(study, n, worker=self, until=until)
        journal = study._ledger.journal
        if trials is not None and journal is not None and journal.storage.shared and self._heart is None:
            self._heart = Heartbeat(journal.storage, journal.key, self.name, study.lease_seconds)
        return trials

    def renew(self) -> None:
        """Renew the lease, inside a change, where the heart does not: at first, and should it stop."""
        journal = self._study._ledger.journal
        if journal is None or not journal.storage.shared:
            return
        until = journal.leases.until.get(self.name)
        if until is not None and time.monotonic() < self._next_look:
            return
        seconds = self._study.lease_seconds
        if until is None or until < journal.storage.now() + seconds / 2:
            journal.renew(self.name, seconds)
        self._next_look = time.monotonic() + seconds / BEATS_PER_LEASE

    def wait_until(self, latest: float) -> None:
        """Wait for others, for a lock say, until this time of ``time.monotonic`` at the latest."""
        journal = self._study._ledger.journal
        if journal is not None:
            journal.storage.latest = latest

    @property
    def is_waiting(self) -> bool:
        """Whether others are waited for, and nothing of a change has been done."""
        journal = self._study._ledger.journal
        return journal is not None and journal.storage.waiting

    def running(self) -> TrialBatch:
        """Return the trials of this call that run."""
        study = self._study
        rows = [row for row, name in study.history.held().items() if name == self.name]
        return TrialBatch(study, np.array(rows, np.int64))

    def waits(self, until: int) -> bool:
        """Whether trials of others may still come to this worker, which has none of its own running."""
        self.close()  # a lease would hold nothing
        study = self._study
        return study.n_finished < until and bool(study.history.held())

    def close(self) -> None:
        """Let the lease end: nothing is running any more."""
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
        self._next_look = -math.inf
