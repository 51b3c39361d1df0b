"""How trials begin: those that wait come first, the sampler proposes the rest.

A suggestion that takes longer than a write is computed before the log is locked, from what the log held
then. It is on record with that cursor, and computed again only if others have asked meanwhile, which they do
not while they wait for their turn.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hpo_core.errors import InfeasibleSpaceError, SpaceExhausted, StudyError
from hpo_core.log.events import REPEATED
from hpo_core.study.pending import NOTHING, allowed, ask_waiting, overdue, silent
from hpo_core.study.recorder import trial_number
from hpo_core.trial import Trial, TrialBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hpo_core.samplers.base import Suggestion
    from hpo_core.study.study import Study
    from hpo_core.study.worker import Worker

    # Numbers of trials, the error that left none, seconds to wait and see whether a worker is dead; or None:
    # the study holds what it is to hold.
    _Started = Sequence[int] | NDArray[np.int64] | Exception | float | None


# How often an ask waits to see whether a worker is dead: twice are enough if it is.
PAUSES: Final = 2


class _Proposal(NamedTuple):
    """A suggestion computed ahead, for ``n`` trials from ``first`` on."""

    first: int
    n: int
    cursor: int
    suggestion: Suggestion


def ask(
    study: Study, n: int | None, *, worker: Worker | None = None, until: int | None = None
) -> Trial | TrialBatch | None:
    """Start one trial, or up to ``n``, for a worker or by hand; None if the study holds ``until``."""
    pauses = PAUSES
    started = _ask(study, n or 1, worker, until, pauses)
    while isinstance(started, float):
        _pause(study, started)
        pauses -= 1
        started = _ask(study, n or 1, worker, until, pauses)
    if isinstance(started, Exception):
        raise started
    if started is None:
        return None
    return Trial(study, int(started[0])) if n is None else TrialBatch(study, _numbers(started))


def _pause(study: Study, seconds: float) -> None:
    journal = study._ledger.journal
    if journal is not None:
        journal.storage.waiting = True
        try:
            time.sleep(seconds)
        finally:
            journal.storage.waiting = False


def _numbers(started: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    if isinstance(started, range):  # a third of the time
        return np.arange(started.start, started.stop)
    return np.array(started, np.int64)


def _ask(study: Study, n: int, worker: Worker | None, until: int | None, pauses: int) -> _Started:
    ledger = study._ledger
    journal = ledger.journal
    if journal is None or study.sampler.quick:
        return ledger.transact(_start, study, n, worker, until, pauses, None)
    with journal.storage.turn(journal.key), ledger.lock:
        proposal = ledger.look(_propose, study, n, worker, until)
        return ledger.transact(_start, study, n, worker, until, pauses, proposal)


def repeat(study: Study, trial: Trial | int, n: int | None) -> Trial | TrialBatch:
    """Start ``n`` trials with the configuration of another."""

    def start() -> int:
        first = len(study.history)
        x, given = study.history.configurations(np.array([trial_number(study, trial)]))
        if given is not None:  # copies get the parameters that the trial lacked, and all that depend on them
            given = np.where(np.isinf(given), np.nan, given)
            x = study.space.impose(x, x[:, 0], given[:, 0])
            given = given.repeat(n or 1, axis=1)
        study._recorder.asked(x.repeat(n or 1, axis=1), REPEATED, given=given)
        return first

    first = study._ledger.transact(start)
    return Trial(study, first) if n is None else TrialBatch(study, np.arange(first, first + n))


def _propose(study: Study, n: int, worker: Worker | None, until: int | None) -> _Proposal | None:
    """Compute what ``_start`` will need, if nothing waits."""
    history, found = study.history, silent(study, overdue(study, worker))
    wanted = n if until is None else allowed(study, n, until, found)
    if wanted <= 0 or found.back or history.queue:
        return None
    try:
        suggestion = _suggest(study, wanted)
    except (SpaceExhausted, InfeasibleSpaceError):
        return None  # it is found out again where it counts
    return _Proposal(len(history), wanted, history.position, suggestion)


def _start(
    study: Study,
    n: int,
    worker: Worker | None,
    until: int | None,
    pauses: int,
    proposal: _Proposal | None,
) -> _Started:
    """Start trials, inside a change."""
    history, journal = study.history, study._ledger.journal
    name = "" if worker is None else worker.name
    found = NOTHING
    if journal is not None and (over := overdue(study, worker)):
        pause = journal.leases.watch(over)
        if pauses and pause and time.monotonic() + pause < journal.storage.latest:
            return pause
        found = silent(study, over)
        for row, reason in found.spent.items():
            study._recorder.failed(np.array([row]), reason)
    wanted = n if until is None else allowed(study, n, until, found)
    if wanted <= 0:
        return None
    taken: list[int] = []
    error: Exception | None = None
    if found.back or history.queue:
        taken, error = ask_waiting(study, wanted, name, found)
    rows: Sequence[int] | NDArray[np.int64] = taken
    if len(taken) < wanted and error is None:
        try:
            new = _start_suggested(study, wanted - len(taken), name, proposal)
            rows = np.concatenate([taken, new]) if taken else new
        except (SpaceExhausted, InfeasibleSpaceError) as why:
            error = why
    if not len(rows):
        return error
    if worker is not None:
        worker.renew()
    return rows


def _start_suggested(study: Study, n: int, worker: str, proposal: _Proposal | None) -> range:
    first = len(study.history)
    if proposal is None or (proposal.first, proposal.n) != (first, n):
        cursor, suggestion = study.history.position, _suggest(study, n)
    else:
        cursor, suggestion = proposal.cursor, proposal.suggestion
    x = suggestion.x
    k = x.shape[1]
    study._recorder.asked(x, suggestion.tier, wanted=0 if k == n else n, cursor=cursor, worker=worker)
    return range(first, first + k)


def _suggest(study: Study, n: int) -> Suggestion:
    ledger, started = study._ledger, time.perf_counter()
    ledger.suggesting = True
    try:
        suggestion = study.sampler.ask(study.history, len(study.history), n)
    except (SpaceExhausted, InfeasibleSpaceError):
        ledger.suggesting = False
        raise
    ledger.suggesting = False
    study.suggest_seconds += time.perf_counter() - started
    d, k = suggestion.x.shape
    if d != study.space.layout.size or not 1 <= k <= n:
        raise StudyError(
            f"sampler {study.sampler.name!r} was asked for {n} configurations, gave shape {(d, k)}"
        )
    return suggestion
