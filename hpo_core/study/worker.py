"""A worker: one call of ``optimize`` as the other workers of its study see it."""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

from hpo_core.checks import as_real, int_within, shown
from hpo_core.errors import StudyError
from hpo_core.storage.heartbeat import BEATS_PER_LEASE, Heartbeat
from hpo_core.study.leases import Leases
from hpo_core.study.waiting import returned
from hpo_core.study.writing import until_written
from hpo_core.trial import TrialBatch

if TYPE_CHECKING:
    from hpo_core.study.journal import Journal
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
        seconds, retries = as_real(study.lease_seconds), int_within(study.max_retries, 0)
        if seconds is None or not 0 < seconds < math.inf:
            raise StudyError(
                f"lease_seconds must be a finite number above 0, got {shown(study.lease_seconds)}"
            )
        if retries is None:
            raise StudyError(f"max_retries must be an int of at least 0, got {shown(study.max_retries)}")
        study.lease_seconds, study.max_retries = seconds, retries
        self.name = f"{socket.gethostname().partition('.')[0][:24]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._study = study
        self._leases = Leases()  # its own trials, where there is no log
        self._heart: Heartbeat | None = None
        self._next_look = -math.inf

    @until_written
    def claim(self, n: int | None, until: int | None) -> Trial | TrialBatch | None:
        """Ask for one trial, or up to ``n`` at once; None if the study holds ``until`` as it is.

        What runs under a lease counts too: it will finish, here or elsewhere. It is counted in the
        transaction that asks, so that any number of workers end with exactly ``until`` trials.
        """
        if self._heart is not None and not self._heart.beats:
            self.close()
        study, journal = self._study, self._study._journal
        with study._writing:
            trials = self._ask(n, until) if journal is None else self._ask_leased(journal, n, until)
        if trials is not None and journal is not None and journal.storage.shared and self._heart is None:
            self._heart = Heartbeat(journal.storage, journal.key, self.name, study.lease_seconds)
        return trials

    def _ask(self, n: int | None, until: int | None) -> Trial | TrialBatch | None:
        trials = self._ask_within(self._leases, n, until)
        if trials is not None and until is not None:
            rows = trials.number.tolist() if isinstance(trials, TrialBatch) else [trials.number]
            self._leases.hold(self._study.history, dict.fromkeys(rows, self.name))
        return trials

    def _ask_leased(self, journal: Journal, n: int | None, until: int | None) -> Trial | TrialBatch | None:
        journal.worker = self.name
        try:
            trials = self._ask_within(journal.leases, n, until)
            if trials is not None and journal.storage.shared:
                self._renew(journal)
        finally:
            journal.worker = ""
        return trials

    def _ask_within(self, leases: Leases, n: int | None, until: int | None) -> Trial | TrialBatch | None:
        study = self._study
        allowed = n or 1
        if until is not None:
            waiting = len(returned(study))
            held = len(leases.held(study.history))
            allowed = min(allowed, until - study.n_finished - held + waiting)
        if allowed <= 0:
            return None
        return study.ask() if n is None else study.ask(allowed)

    def _renew(self, journal: Journal) -> None:
        """Renew the lease where the heart does not: at the beginning, and should it stand still."""
        until = journal.leases.until.get(self.name)
        if until is not None and time.monotonic() < self._next_look:
            return
        seconds = self._study.lease_seconds
        if until is None or until < journal.storage.now() + seconds / 2:
            journal.renew(seconds)
        self._next_look = time.monotonic() + seconds / BEATS_PER_LEASE

    def waits(self, until: int) -> bool:
        """Whether trials of others may still come to this worker, which has none of its own running."""
        self.close()  # a lease would hold nothing
        study, journal = self._study, self._study._journal
        with study._lock:
            held = journal is not None and bool(journal.leases.held(study.history))
            return held and study.n_finished < until

    def close(self) -> None:
        """Let the lease end: nothing is running any more."""
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
        self._next_look = -math.inf
