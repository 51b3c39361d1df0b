"""What waits to be asked: trials whose worker has died, and configurations that were enqueued."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import InfeasibleSpaceError, SpaceExhausted
from hpo_core.events import ENQUEUED, Retried
from hpo_core.printable import printable
from hpo_core.replay import complete

if TYPE_CHECKING:
    from hpo_core.study.study import Study

logger = logging.getLogger("hpo_core")


def ask_waiting(study: Study, n: int) -> list[int]:
    """Start up to ``n`` of the trials that wait and return their numbers."""
    taken = _ask_returned(study, n) if study._journal is not None else []
    return taken + _ask_queued(study, n - len(taken)) if study.history.queue else taken


def returned(study: Study) -> dict[int, str]:
    """Return the trials of workers whose lease ran out, with the reason; those retried enough fail."""
    journal = study._journal
    held = {} if journal is None else journal.leases.held(study.history)
    if journal is None or all(worker == journal.worker for worker in held.values()):
        return {}
    now, until = journal.storage.now(), journal.leases.until
    waiting = {}
    for row, worker in held.items():
        if worker == journal.worker or until.get(worker, math.inf) > now:
            continue
        reason = f"worker {worker} died: its lease ran out"
        retries = len(study.history.retries.get(row, ()))
        if retries < study.max_retries:
            waiting[row] = reason
        else:
            attempts = "1 attempt" if retries == 0 else f"{retries + 1} attempts"
            study._recorder.failed(np.array([row]), f"{reason}, {attempts}")
    return waiting


def _ask_returned(study: Study, n: int) -> list[int]:
    taken = dict(sorted(returned(study).items())[:n])
    for row, reason in taken.items():
        logger.warning("trial %d is given out again: %s", row, printable(reason))
        study._recorder.apply(Retried(np.array([row]), "", reason, time.time()))
    return list(taken)


def _ask_queued(study: Study, n: int) -> list[int]:
    """Start up to ``n`` of the enqueued trials and return their numbers."""
    taken: list[int] = []
    while study.history.queue and len(taken) < n:
        row = len(study.history)
        try:
            x, permitted = complete(study.space, study.sampler, study.history, study.history.queue[0])
        except (SpaceExhausted, InfeasibleSpaceError):
            if taken:
                break  # what has started goes out; the next ask raises
            raise
        study._recorder.asked(x, ENQUEUED)
        if permitted:
            taken.append(row)
        else:
            reason = "the constraints permit no completion of what was enqueued"
            study._recorder.failed(np.array([row]), reason)
    return taken
