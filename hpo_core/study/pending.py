"""What waits to be asked: trials whose worker has died, and configurations that were enqueued."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hpo_core.errors import InfeasibleSpaceError, SpaceExhausted
from hpo_core.log.events import ENQUEUED, Retried
from hpo_core.printable import printable
from hpo_core.replay import complete

if TYPE_CHECKING:
    from hpo_core.study.study import Study
    from hpo_core.study.worker import Worker

logger = logging.getLogger("hpo_core")


class Silent(NamedTuple):
    """Trials of dead workers, each with the reason."""

    back: dict[int, str]  # to be given out again
    spent: dict[int, str]  # to fail: they were given out often enough, or cannot run any more


NOTHING: Final = Silent({}, {})


def overdue(study: Study, worker: Worker | None) -> set[str]:
    """Other workers with running trials whose lease is over by the storage's clock."""
    journal = study._ledger.journal
    if journal is None:
        return set()
    if not study.history.workers:
        return set()
    others = set(study.history.held().values()) - {"" if worker is None else worker.name}
    return journal.leases.over(others, journal.storage.now()) if others else others


def silent(study: Study, over: set[str]) -> Silent:
    """What the workers among those overdue that are dead have left behind."""
    journal = study._ledger.journal
    dead = journal.leases.dead(over) if journal is not None and over else set()
    if not dead:
        return NOTHING
    found = Silent({}, {})
    for row, name in sorted(study.history.held().items()):
        if name in dead:
            retries = len(study.history.retries.get(row, ()))
            reason = f"worker {name} died: its lease ran out"
            if _lacks_a_parameter(study, row):
                found.spent[row] = f"{reason}, and the space has a parameter that the trial does not have"
            elif retries < study.max_retries:
                found.back[row] = reason
            else:
                found.spent[row] = f"{reason}, {'1 attempt' if retries == 0 else f'{retries + 1} attempts'}"
    return found


def _lacks_a_parameter(study: Study, row: int) -> bool:
    """Whether a trial is older than a parameter that it would have: today's objective cannot run it."""
    given = study.history.given
    return given is not None and bool(np.isinf(given[:, row]).any())


def allowed(study: Study, n: int, until: int, found: Silent) -> int:
    """How many of ``n`` trials may start if the study is to hold ``until``.

    What runs under a lease counts too: it will finish, here or elsewhere.
    """
    history = study.history
    return min(n, until - history.count_finished() - len(history.held()) + len(found.back))


def ask_waiting(study: Study, n: int, worker: str, found: Silent) -> tuple[list[int], Exception | None]:
    """Start up to ``n`` of the trials that wait; return their numbers, and what ended the queue too early."""
    taken = dict([*found.back.items()][:n])
    for row, reason in taken.items():
        logger.warning("trial %d is given out again: %s", row, printable(reason))
        study._ledger.add(Retried(np.array([row]), worker, reason, time.time()))
    if not study.history.queue or len(taken) == n:
        return list(taken), None
    queued, error = _ask_queued(study, n - len(taken), worker)
    return [*taken, *queued], error


def _ask_queued(study: Study, n: int, worker: str) -> tuple[list[int], Exception | None]:
    """Start up to ``n`` of the enqueued trials."""
    ledger, history = study._ledger, study.history
    taken: list[int] = []
    while history.queue and len(taken) < n:
        row = len(history)
        ledger.suggesting = True
        try:
            x, given, permitted = complete(study.space, study.sampler, history, history.queue[0])
        except (SpaceExhausted, InfeasibleSpaceError) as error:
            ledger.suggesting = False
            return taken, error  # what has started goes out; the next ask raises
        ledger.suggesting = False
        study._recorder.asked(x, ENQUEUED, given=given, worker=worker)
        if permitted:
            taken.append(row)
        else:
            reason = "the constraints permit no completion of what was enqueued"
            study._recorder.failed(np.array([row]), reason)
    return taken, None
