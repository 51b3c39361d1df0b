"""The start of trials: waiting trials come first, and the sampler proposes the rest.

If a suggestion takes longer than a write, it is computed before the log is locked, from the events read by
then. It is recorded with that cursor. It is computed again only if another process has asked meanwhile, which
``Ledger.turn`` usually prevents.
"""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hpo_core.checks import shown
from hpo_core.errors import InfeasibleSpaceError, SpaceExhausted, StudyError
from hpo_core.layout import Kind
from hpo_core.log import State
from hpo_core.log.events import ENQUEUED, REPEATED, RESERVED, Resumed, Retried
from hpo_core.native import build_id
from hpo_core.printable import printable
from hpo_core.samplers.base import greatest, misplaced, resumable
from hpo_core.samplers.registry import SAMPLERS
from hpo_core.study.enqueue import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.ledger import Ledger
    from hpo_core.samplers.base import Sampler, Suggestion
    from hpo_core.schedulers.base import Scheduler
    from hpo_core.space import Space
    from hpo_core.study.recorder import Recorder

    Numbers = Sequence[int] | NDArray[np.int64]
    # Numbers of trials; or the error that left none; or seconds to wait to see whether a worker is dead; or
    # None if the study holds enough.
    _Started = Numbers | Exception | float | None

logger = logging.getLogger("hpo_core")

# How often an ask waits to see whether a worker is dead: twice is enough if it is.
PAUSES: Final = 2

LACKS_A_PARAMETER: Final = "the space has a parameter that the trial does not have"


@dataclass(slots=True, eq=False)  # frozen, making one would take four times as long
class Request:
    """One ask.

    Attributes
    ----------
    n : int
        Number of trials.
    new : int or None
        How many of them may be trials that were never asked before; None if all.
    max_retries : int
        A trial is given out again at most this often.
    worker : str
        Worker that runs the trials under a lease; "" by hand.
    until : int or None
        Start nothing new if the study holds this many trials, finished, paused or claimed.
    started : callable or None
        Called inside the change in which trials started.
    aside : bool
        Whether other threads may change the study while the sampler is at work.
    """

    n: int
    max_retries: int
    worker: str = ""
    until: int | None = None
    new: int | None = None
    started: Callable[[], object] | None = None
    aside: bool = False


class _Proposal(NamedTuple):
    """A suggestion computed ahead, for ``n`` trials, when trials had begun or gone on ``n_starts`` times."""

    n_starts: int
    n: int
    cursor: int
    suggestion: Suggestion


class _Abandoned(NamedTuple):
    """Trials of dead workers, each with the reason."""

    back: dict[int, str]  # to be given out again
    spent: dict[int, str]  # to fail: they were given out too often, or cannot run any more
    decided: dict[int, str]  # to stop or to pause: they had been told to


_NOTHING: Final = _Abandoned({}, {}, {})


def check_suggestion(suggestion: Any, space: Space, n: int, who: str) -> None:
    """Raise unless a sampler gave configurations of the space, because a log must be readable.

    Raises
    ------
    StudyError
        It names what came.
    """
    x, origin = getattr(suggestion, "x", None), getattr(suggestion, "origin", None)
    if not isinstance(x, np.ndarray) or x.dtype != np.float64 or x.ndim != 2:
        raise StudyError(
            f"{who} must give a Suggestion with x, float64 of shape (d, k), got {shown(suggestion)}"
        )
    d, k = x.shape
    if d != len(space.names) or not 1 <= k <= n:
        raise StudyError(f"{who} was asked for {n} configurations, but gave x of shape {(d, k)}")
    if not isinstance(origin, str) or origin in RESERVED:
        raise StudyError(f"{who} must give an origin, such as its name, got {shown(origin)}")
    wrong, active = misplaced(space, x)
    for row, j in np.argwhere(wrong)[:1].tolist():
        most = greatest(space.layout).item(row)
        allowed = "NaN, because it is inactive" if not active[row, j] else f"in [0, {most:g}]"
        if active[row, j] and space.layout.kinds[row] == Kind.CATEGORICAL:
            allowed = f"the index of a choice, {allowed}"
        name = space.names[row]
        raise StudyError(f"{who}: the coordinate of {name!r} must be {allowed}, got {x[row, j]}")


def fresh_copies(
    sampler: Sampler, scheduler: Scheduler | None, space: Space, *, seed: int, allow_duplicates: bool
) -> tuple[Sampler, Scheduler | None]:
    """Return a sampler and a scheduler with the same options and empty caches."""
    sampler, scheduler = copy.deepcopy((sampler, scheduler))
    sampler.start(space, seed=seed, allow_duplicates=allow_duplicates)
    if scheduler is not None:
        scheduler.start(seed=seed)
    return sampler, scheduler


class Asking:
    """Starts the trials of a study.

    Attributes
    ----------
    seconds : float
        Time spent computing suggestions.
    """

    def __init__(
        self,
        ledger: Ledger,
        recorder: Recorder,
        space: Space,
        sampler: Sampler,
        others: Callable[[], tuple[Sampler, Scheduler | None]],
        *,
        seconds: float = 0.0,
    ) -> None:
        self.seconds = seconds
        self._make_others = others
        # Compute suggestions while other threads change the study.
        self._others: tuple[Sampler, Scheduler | None] | None = None
        self._ledger, self._recorder, self._space, self._sampler = ledger, recorder, space, sampler
        self._history: History = ledger.history
        self._is_ours = SAMPLERS.is_ours(sampler)
        self._is_stored = ledger.storage is not None
        self._build, self._build_at = "", -1  # unknown until the first suggestion: that takes 40 ms

    def ask(self, request: Request) -> Numbers | None:
        """Start up to ``n`` trials and return their numbers; None if the study holds ``until`` trials.

        Raises
        ------
        SpaceExhausted, InfeasibleSpaceError
            The sampler has nothing to propose.
        """
        pauses = PAUSES
        started = self._ask(request, pauses)
        while isinstance(started, float):
            self._ledger.pause(started)
            pauses -= 1
            started = self._ask(request, pauses)
        if isinstance(started, Exception):
            raise started
        return started

    def repeat(self, row: int, n: int) -> int:
        """Start ``n`` trials with the configuration of another; return the first number."""

        def start() -> int:
            history = self._history
            first = len(history)
            x, given = history.configurations(np.array([row]))
            if given is not None:
                # Copies get the parameters that the trial lacked, and all that depend on these.
                given = np.where(np.isinf(given), np.nan, given)
                x = self._space.impose(x, x[:, 0], given[:, 0])
                given = given.repeat(n, axis=1)
            self._recorder.asked(x.repeat(n, axis=1), REPEATED, given=given)
            return first

        return self._ledger.transact(start)

    def _ask(self, request: Request, pauses: int) -> _Started:
        ledger = self._ledger
        if request.aside:
            with ledger.turn():
                return ledger.transact(self._start, request, pauses, self._propose_aside(request))
        if not self._is_stored or self._sampler.quick:
            return ledger.transact(self._start, request, pauses, None)
        with ledger.turn(), ledger.lock:
            proposal = ledger.look(self._propose, request)
            return ledger.transact(self._start, request, pauses, proposal)

    def _propose(self, request: Request) -> _Proposal | None:
        """Compute the suggestion that ``_start`` will need; None if it will need none."""
        wanted = self._wanted(request)
        if not wanted:
            return None
        history = self._history
        try:
            suggestion = self._suggest(wanted)
        except (SpaceExhausted, InfeasibleSpaceError):
            return None  # ``_start`` asks again, and raises
        return _Proposal(history.count_starts(), wanted, history.position, suggestion)

    def _propose_aside(self, request: Request) -> _Proposal | None:
        """Compute the same from a snapshot, with a sampler and a scheduler whose caches stay theirs."""
        seen = self._ledger.look(self._snapshot, request)
        if seen is None:
            return None
        wanted, history, others = seen
        sampler, history.scheduler = others
        started = time.perf_counter()
        try:
            suggestion = sampler.ask(history, len(history), wanted)
        except (SpaceExhausted, InfeasibleSpaceError):
            return None
        self._others = others  # if one raises, the caches may be in any state
        self.seconds += time.perf_counter() - started
        self._check(suggestion, history, wanted)
        return _Proposal(history.count_starts(), wanted, history.position, suggestion)

    def _snapshot(self, request: Request) -> tuple[int, History, tuple[Sampler, Scheduler | None]] | None:
        wanted = self._wanted(request)
        if not wanted:
            return None
        others, self._others = self._others or self._make_others(), None
        return wanted, self._history.snapshot(), others

    def _wanted(self, request: Request) -> int:
        """Return how many trials ``_start`` will need a suggestion for."""
        found = self._abandoned(self._overdue(request), request)
        if found.back or found.decided or self._history.queue:
            return 0
        wanted = max(0, self._allowed(request, found))
        return 0 if self._is_for_scheduler(wanted) and resumable(self._history, 1) else wanted

    def _start(self, request: Request, pauses: int, proposal: _Proposal | None) -> _Started:
        """Start trials, inside a change."""
        found = self._watch(request, pauses) if self._history.workers else _NOTHING
        if isinstance(found, float):
            return found
        wanted = self._allowed(request, found)
        taken: list[int] = []
        if self._is_for_scheduler(wanted) and (wanted <= 0 or not found.back):
            taken = self._resume_scheduled(request.n, request.worker)
            wanted = min(wanted, request.n - len(taken))
        if wanted <= 0:
            return self._started(request, taken)
        error: Exception | None = None
        if found.back or self._history.queue:
            waiting, error = self._start_waiting(wanted, request.worker, found)
            taken += waiting
            wanted -= len(waiting)
        rows: Numbers = taken
        if wanted > 0 and error is None:
            try:
                new = self._start_suggested(wanted, request.worker, proposal)
                rows = [*taken, *new] if taken else new
            except (SpaceExhausted, InfeasibleSpaceError) as why:
                error = why
        return self._started(request, rows) if len(rows) else error

    def _started(self, request: Request, rows: Numbers) -> Numbers | None:
        if not len(rows):
            return None
        if request.started is not None:
            request.started()
        return rows

    def _is_for_scheduler(self, wanted: int) -> bool:
        """Whether the scheduler chooses paused trials, and not the sampler between these and a new one."""
        scheduler = self._history.scheduler
        if scheduler is None or not scheduler.pauses:
            return False
        return wanted != 1 or not (scheduler.asks_sampler and self._sampler.continues)

    def _resume_scheduled(self, n: int, worker: str) -> list[int]:
        """Let up to ``n`` paused trials go on that the scheduler names. Those that lack a parameter fail."""
        rows = resumable(self._history, n)
        while lacking := [row for row in rows if self._lacks_a_parameter(row)]:
            self._recorder.failed(np.array(lacking), LACKS_A_PARAMETER)
            rows = resumable(self._history, n)
        return self._resume(rows, worker, self._history.position) if rows else rows

    def _resume(self, rows: list[int], worker: str, cursor: int) -> list[int]:
        self._ledger.add(Resumed(np.array(rows), cursor, self._recorder.clock(), worker))
        return rows

    def _watch(self, request: Request, pauses: int) -> _Abandoned | float:
        """Return the trials of dead workers, or seconds to wait to see whether a worker is dead."""
        leases, storage = self._ledger.leases, self._ledger.storage
        over = self._overdue(request)
        if leases is None or storage is None or not over:
            return _NOTHING
        pause = leases.watch(over)
        if pauses and pause and time.monotonic() + pause < storage.latest:
            return pause
        found = self._abandoned(over, request)
        for row, reason in found.spent.items():
            self._recorder.failed(np.array([row]), reason)
        if found.decided:
            self._recorder.ended_early(np.array([*found.decided]))
        return found

    def _start_suggested(self, n: int, worker: str, proposal: _Proposal | None) -> Numbers:
        history, first = self._history, len(self._history)
        if proposal is not None and self._is_current(proposal, n):
            cursor, suggestion = proposal.cursor, proposal.suggestion
        else:
            cursor, suggestion = history.position, self._suggest(n)
        while suggestion.resume >= 0:
            row = suggestion.resume
            if not self._lacks_a_parameter(row):
                return self._resume([row], worker, cursor)
            self._recorder.failed(np.array([row]), LACKS_A_PARAMETER)
            cursor, suggestion = history.position, self._suggest(n)
        x = suggestion.x
        k = x.shape[1]
        if k == n and not (self._is_stored or worker or suggestion.fit):
            self._recorder.suggested(x, suggestion.origin, cursor)
            return range(first, first + k)
        # Our build goes on record with the first suggestion. Without a log nobody else asks.
        build = self._unrecorded_build(first) if self._is_stored else ""
        self._recorder.asked(
            x,
            suggestion.origin,
            wanted=0 if k == n else n,
            cursor=cursor,
            worker=worker,
            build=build,
            fit=suggestion.fit,
        )
        return range(first, first + k)

    def _is_current(self, proposal: _Proposal, n: int) -> bool:
        """Whether no trial has begun or gone on since, and a trial that is to go on has not ended."""
        history, resume = self._history, proposal.suggestion.resume
        if (proposal.n_starts, proposal.n) != (history.count_starts(), n):
            return False
        return resume < 0 or history.state.item(resume) == State.PAUSED

    def _unrecorded_build(self, row: int) -> str:
        """Return our build, which goes on record with trial ``row``; "" if it is on record already."""
        if self._build and self._history.builds.get(self._build_at) == self._build:
            return ""
        self._build, self._build_at = self._build or build_id(), row
        return self._build

    def _suggest(self, n: int) -> Suggestion:
        ledger, history, started = self._ledger, self._history, time.perf_counter()
        ledger.suggesting = True
        try:
            suggestion = self._sampler.ask(history, len(history), n)
        except (SpaceExhausted, InfeasibleSpaceError):
            ledger.suggesting = False
            raise
        ledger.suggesting = False
        self.seconds += time.perf_counter() - started
        self._check(suggestion, history, n)
        return suggestion

    def _check(self, suggestion: Suggestion, history: History, n: int) -> None:
        if self._is_ours:
            return
        who, resume = f"sampler {self._sampler.name!r}", getattr(suggestion, "resume", -1)
        if resume == -1:
            check_suggestion(suggestion, self._space, n, who)
        elif n > 1 or resume not in history.paused:
            raise StudyError(
                f"{who}: resume must be -1, or the number of a paused trial if one trial is wanted, "
                f"got {shown(resume)}"
            )

    def _overdue(self, request: Request) -> set[str]:
        """Return other workers with running trials whose lease is over by the storage's clock."""
        history, leases = self._history, self._ledger.leases
        if leases is None or not history.workers:
            return set()
        others = set(history.held().values()) - {request.worker}
        return leases.over(others) if others else others

    def _abandoned(self, over: set[str], request: Request) -> _Abandoned:
        """Return the trials of the overdue workers that are dead."""
        leases, history = self._ledger.leases, self._history
        dead = leases.dead(over) if leases is not None and over else set()
        if not dead:
            return _NOTHING
        found = _Abandoned({}, {}, {})
        for row, name in sorted(history.held().items()):
            if name in dead:
                retries = len(history.retries.get(row, ()))
                reason = f"worker {name} died: its lease has ended"
                if history.decision.item(row):
                    found.decided[row] = reason
                elif self._lacks_a_parameter(row):
                    found.spent[row] = f"{reason}, and {LACKS_A_PARAMETER}"
                elif retries < request.max_retries:
                    found.back[row] = reason
                else:
                    attempts = "1 attempt" if retries == 0 else f"{retries + 1} attempts"
                    found.spent[row] = f"{reason}, {attempts}"
        return found

    def _lacks_a_parameter(self, row: int) -> bool:
        """Whether a trial lacks a parameter that was added later: the objective of today cannot run it."""
        given = self._history.given
        return given is not None and bool(np.isinf(given[:, row]).any())

    def _allowed(self, request: Request, found: _Abandoned) -> int:
        """Return how many trials may start, apart from paused ones, before the study holds ``until``.

        Claimed trials count, because they will finish, here or elsewhere. Paused trials count too.
        """
        most = request.n if request.new is None else min(request.n, request.new)
        if request.until is None:
            return most
        history = self._history
        left = request.until - history.count_finished() - len(history.held()) + len(found.back)
        return min(most, left - history.count(State.PAUSED))

    def _start_waiting(self, n: int, worker: str, found: _Abandoned) -> tuple[list[int], Exception | None]:
        """Start up to ``n`` waiting trials; return their numbers and the error that ended the queue."""
        taken = dict([*found.back.items()][:n])
        for row, reason in taken.items():
            logger.warning("trial %d is given out again: %s", row, printable(reason))
            self._ledger.add(Retried(np.array([row]), worker, reason, self._recorder.clock()))
        if not self._history.queue or len(taken) == n:
            return list(taken), None
        queued, error = self._start_queued(n - len(taken), worker)
        return [*taken, *queued], error

    def _start_queued(self, n: int, worker: str) -> tuple[list[int], Exception | None]:
        """Start up to ``n`` of the enqueued trials."""
        ledger, history = self._ledger, self._history
        taken: list[int] = []
        while history.queue and len(taken) < n:
            row = len(history)
            ledger.suggesting = True
            try:
                x, given, permitted = complete(self._space, self._sampler, history, history.queue[0])
            except (SpaceExhausted, InfeasibleSpaceError) as error:
                ledger.suggesting = False
                return taken, error  # started trials are returned; the next ask raises
            ledger.suggesting = False
            self._recorder.asked(x, ENQUEUED, given=given, worker=worker)
            if permitted:
                taken.append(row)
            else:
                reason = "the constraints permit no completion of the enqueued configuration"
                self._recorder.failed(np.array([row]), reason)
        return taken, None
