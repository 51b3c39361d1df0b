"""Columns of everything observed so far, built by applying events.

Glossary
--------
row         trial number; row i of every column belongs to trial i
n, d        number of trials, number of parameters
M, m, c     number of metrics, objectives and constraints, see ``hpo_core.metrics``
buffer      a column with spare capacity; rows past n hold the column's fill value
position    number of events applied, the cursor of a suggestion computed now
"""

from __future__ import annotations

import copy
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from hpo_core.errors import StudyError
from hpo_core.log.columns import Move, Moves, Reports, State, Table
from hpo_core.metrics import PLAIN, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.log.blocks import EventBlock
    from hpo_core.log.events import Enqueued, Event, Position

    Index = int | slice | NDArray[np.int64]

T = TypeVar("T")

# Writing an enum costs twice a plain int.
_RUNNING, _COMPLETE, _PAUSED = int(State.RUNNING), int(State.COMPLETE), int(State.PAUSED)

_NOT_PICKLED = ("_undo", "scheduler")


class SchedulerLike(Protocol):
    """A scheduler as a history and those who read it know it; see ``hpo_core.schedulers``."""

    @property
    def pauses(self) -> bool:
        """Whether trials may pause."""

    @property
    def asks_sampler(self) -> bool:
        """Whether the sampler may choose between paused trials and new ones."""

    @property
    def max_steps(self) -> int | None:
        """Steps of a full trial, if the scheduler knows."""

    def start(self, *, seed: int) -> None:
        """Bind to a study with an empty cache."""

    def decide(self, history: History, row: int) -> tuple[Move | None, int, str]:
        """Return move, rung and reason for a running trial whose newest report has just been applied."""

    def resume(self, history: History, n: int) -> list[int]:
        """Return up to ``n`` paused trials that go on now, the most urgent first."""

    def rungs(self, steps: int) -> list[int]:
        """Return the depths below ``steps`` at which trials of that length are compared, ascending."""


class Mark(NamedTuple):
    """The extent of a history at some time; events add entries after it."""

    n: int
    n_finishes: int
    n_reports: int
    n_moves: int
    position: int


_as_mark = tuple.__new__


class History:
    """All results so far as columns; only ``apply`` changes them.

    An exception may break ``apply`` off anywhere: a signal, memory that runs out. ``roll_back`` then leads
    back to the last ``mark``, because rows are appended before anything of an older row is overwritten,
    and what cannot be derived from the rows has its inverse noted first.

    Views are read-only and never copied. A view taken earlier keeps its length, and stays behind
    when its column moves to a larger buffer.

    Parameters
    ----------
    layout : Layout
        The space that ``x`` belongs to.
    metrics : Metrics, optional
        By default one objective, minimised.

    Attributes
    ----------
    metrics : Metrics
    scheduler : Scheduler or None
        What decides about running trials, for samplers to know.
    position : int
        Number of events applied.
    reasons : dict of int to str
        Why trials failed, by row.
    tracebacks : dict of int to str
        By row, trials whose objective raised.
    notes : dict of int to dict
        By row, trials with notes only.
    study_notes : dict
        Notes of the study itself.
    retries : dict of int to list of str
        Why trials were given out again, once for each time, by row.
    why : dict of int to str
        Why trials were last told to stop or to pause, by row.
    queue : deque of Enqueued
        Configurations not asked yet.
    fixed : dict of int to Enqueued
        Enqueued configurations, by the row that took them.
    wanted : dict of int to int
        Number of trials asked for, by first row, if fewer came.
    builds, fits : dict of int to str, dict of int to mapping
        Build id of the process that asked, with its first suggestion; hyperparameters of a model that was
        fitted for a suggestion. By first row.
    workers : dict of int to str
        Worker that holds a trial under a lease, by row; "" after a takeover by hand. See ``held``.
    """

    __slots__ = (
        "_counts",
        "_finishes",
        "_moves",
        "_n_settled",
        "_oldest",
        "_origins",
        "_reports",
        "_trials",
        "_undo",
        "builds",
        "fits",
        "fixed",
        "layout",
        "metrics",
        "notes",
        "position",
        "queue",
        "reasons",
        "retries",
        "scheduler",
        "study_notes",
        "tracebacks",
        "wanted",
        "why",
        "workers",
    )

    def __init__(self, layout: Layout, metrics: Metrics = PLAIN) -> None:
        self.layout = layout
        self.metrics = metrics
        self.scheduler: SchedulerLike | None = None
        n_metrics = len(metrics.rows)
        self.position = 0
        self.reasons: dict[int, str] = {}
        self.tracebacks: dict[int, str] = {}
        self.notes: dict[int, dict[str, Any]] = {}
        self.study_notes: dict[str, Any] = {}
        self.retries: dict[int, list[str]] = {}
        self.why: dict[int, str] = {}
        self.queue: deque[Enqueued] = deque()
        self.fixed: dict[int, Enqueued] = {}
        self.wanted: dict[int, int] = {}
        self.workers: dict[int, str] = {}
        self.builds: dict[int, str] = {}
        self.fits: dict[int, Mapping[str, Any]] = {}
        self._counts = [0] * len(State)
        self._oldest = 0  # no row before this one is running
        self._origins: list[str] = []
        self._undo: list[Callable[[], object]] = []  # each may run twice
        self._trials = Table(
            x=((layout.size,), np.float64, np.nan),
            outcomes=((n_metrics,), np.float64, np.nan),
            violation=((len(metrics.limit),), np.float64, np.nan),
            state=((), np.uint8, State.RUNNING),
            cost=((), np.float64, np.nan),
            cursor=((), np.int64, 0),
            fidelity=((), np.float64, -np.inf),
            started=((), np.float64, np.nan),
            origin=((), np.uint8, 0),
            exact=((), np.bool_, 0),  # whether ``given`` holds anything
            last_report=((), np.int64, -1),
            planned=((), np.int64, 0),
            decision=((), np.uint8, 0),
            rung=((), np.int64, -1),
            spent=((), np.float64, 0),
            continued=((), np.bool_, 0),
        )
        self._finishes = Table(row=((), np.int64, -1), position=((), np.int64, 0))
        self._reports = Table(
            row=((), np.int64, 0),
            step=((), np.int64, 0),
            value=(() if n_metrics == 1 else (n_metrics,), np.float64, 0),
            position=((), np.int64, 0),
        )
        self._moves = Table(
            row=((), np.int64, 0),
            kind=((), np.uint8, 0),
            rung=((), np.int64, -1),
            spent=((), np.float64, 0),
            cursor=((), np.int64, -1),
            position=((), np.int64, 0),
        )
        self._n_settled = 0  # moves that the columns of their trials show

    def __getstate__(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__ if name not in _NOT_PICKLED)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._undo, self.scheduler = [], None
        names = (name for name in self.__slots__ if name not in _NOT_PICKLED)
        for name, value in zip(names, state, strict=True):
            setattr(self, name, value)

    def __len__(self) -> int:
        return self._trials.n

    def __repr__(self) -> str:
        states = ", ".join(
            f"{count} {state.name.lower()}"
            for state, count in zip(State, self._counts, strict=True)
            if count or state != State.PAUSED
        )
        return f"History({len(self)} trials: {states})"

    @property
    def x(self) -> NDArray[np.float64]:
        """(d, n) internal coordinates, inactive NaN."""
        return self._trials.read["x"][:, : self._trials.n]

    @property
    def x_buffer(self) -> NDArray[np.float64]:
        """(d, capacity), C-contiguous; the first n of each row are ``x``."""
        return self._trials.read["x"]

    def buffer(self, name: str) -> NDArray[Any]:
        """Return a column of trials with its spare capacity: no view is made, to read one entry."""
        return self._trials.read[name]

    def finished(self, place: int) -> int:
        """Return entry ``place`` of ``finish_order``."""
        row: int = self._finishes.read["row"].item(place)
        return row

    @property
    def given(self) -> NDArray[np.float64] | None:
        """(d, n) exact values that ``x`` does not give back.

        NaN where ``x`` does, infinite where the trial is older than the parameter; None if no trial has any.
        """
        column = self._trials.read.get("given")
        return None if column is None else column[:, : self._trials.n]

    def configurations(self, at: Index) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return ``x`` and ``given`` of the rows ``at``.

        Of one row, ``given`` is None if it would hold nothing.
        """
        read = self._trials.read
        if isinstance(at, int):
            return read["x"][:, at], read["given"][:, at] if read["exact"].item(at) else None
        given = self.given
        return self.x[:, at], None if given is None else given[:, at]

    @property
    def outcomes(self) -> NDArray[np.float64]:
        """(M, n) signed values, objectives first, then constraints; NaN where a trial has no value."""
        return self._trials.read["outcomes"][:, : self._trials.n]

    @property
    def y(self) -> NDArray[np.float64]:
        """(m, n) objectives, minimised; NaN where a trial has no value."""
        return self._trials.read["outcomes"][: self.metrics.n_objectives, : self._trials.n]

    @property
    def violation(self) -> NDArray[np.float64]:
        """(c, n) constraint values, feasible where <= 0."""
        return self._trials.read["violation"][:, : self._trials.n]

    @property
    def state(self) -> NDArray[np.uint8]:
        """(n,) ``State`` of each trial."""
        return self._trials.read["state"][: self._trials.n]

    @property
    def cost(self) -> NDArray[np.float64]:
        """(n,) seconds from ask to the end; NaN while running."""
        return self._trials.read["cost"][: self._trials.n]

    @property
    def cursor(self) -> NDArray[np.int64]:
        """(n,) log position that the suggestion had seen."""
        return self._trials.read["cursor"][: self._trials.n]

    @property
    def fidelity(self) -> NDArray[np.float64]:
        """(n,) inf if complete, the last reported step if stopped, else -inf."""
        return self._trials.read["fidelity"][: self._trials.n]

    @property
    def started(self) -> NDArray[np.float64]:
        """(n,) when each was asked or retried, seconds since the epoch; NaN if not recorded."""
        return self._trials.read["started"][: self._trials.n]

    @property
    def origin(self) -> NDArray[np.uint8]:
        """(n,) index into ``origins``: which sampler, or which user action, chose the trial."""
        return self._trials.read["origin"][: self._trials.n]

    @property
    def origins(self) -> tuple[str, ...]:
        """Names that ``origin`` points to."""
        return tuple(self._origins)

    @property
    def last_report(self) -> NDArray[np.int64]:
        """(n,) index of each trial's last entry in ``reports``; -1 if it has none."""
        return self._trials.read["last_report"][: self._trials.n]

    @property
    def reports(self) -> Reports:
        """All reports, in the order of arrival."""
        n, read = self._reports.n, self._reports.read  # spelled out: a scheduler may look at every report
        return Reports(read["row"][:n], read["step"][:n], read["value"][..., :n], read["position"][:n])

    def last_step(self, row: int) -> int:
        """Return the step of a trial's last report, -1 if it has none."""
        last = self._trials.read["last_report"].item(row)
        return self._reports.read["step"].item(last) if last >= 0 else -1

    @property
    def planned(self) -> NDArray[np.int64]:
        """(n,) steps that each trial is to take in all; 0 if it has not said."""
        return self._trials.read["planned"][: self._trials.n]

    @property
    def decision(self) -> NDArray[np.uint8]:
        """(n,) ``Move.STOP`` or ``Move.PAUSE`` if that was decided; 0 while the trial may go on."""
        return self._trials.read["decision"][: self._trials.n]

    @property
    def rung(self) -> NDArray[np.int64]:
        """(n,) rung of each trial's last decision, -1 if there is none or the rule has no rungs."""
        return self._trials.read["rung"][: self._trials.n]

    @property
    def spent(self) -> NDArray[np.float64]:
        """(n,) seconds of each trial before it last paused."""
        return self._trials.read["spent"][: self._trials.n]

    @property
    def continued(self) -> NDArray[np.bool_]:
        """(n,) whether each trial was last given out to go on after a pause."""
        return self._trials.read["continued"][: self._trials.n]

    @property
    def moves(self) -> Moves:
        """All decisions, pauses and continuations, in their order."""
        return Moves(*(column[: self._moves.n] for column in self._moves.read.values()))

    @property
    def finish_order(self) -> NDArray[np.int64]:
        """(k,) rows in the order in which they completed, stopped or failed."""
        return self._finishes.read["row"][: self._finishes.n]

    @property
    def finish_position(self) -> NDArray[np.int64]:
        """(k,) log position of the event that ended each row of ``finish_order``."""
        return self._finishes.read["position"][: self._finishes.n]

    @property
    def running(self) -> NDArray[np.int64]:
        """(r,) rows that run, ascending."""
        if not self._counts[State.RUNNING]:
            return np.empty(0, np.int64)
        # Every trial before the oldest that runs is behind us for good: the scan starts there.
        rows = np.flatnonzero(self.state[self._oldest :] == State.RUNNING) + self._oldest
        self._oldest = int(rows[0])
        return rows

    @property
    def paused(self) -> NDArray[np.int64]:
        """(k,) rows that are paused, ascending."""
        if not self._counts[_PAUSED]:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.state == _PAUSED)

    def forget_workers(self) -> None:
        """Drop the workers of trials that have ended, once they are many."""
        if len(self.workers) > 64 + 2 * self._counts[_RUNNING]:
            self.workers = self.held()

    def held(self) -> dict[int, str]:
        """Return the worker of each trial that runs under a lease, run out or not."""
        state = self.state
        return {row: worker for row, worker in self.workers.items() if worker and not state[row]}

    def count(self, state: State) -> int:
        """Return the number of trials in one state."""
        return self._counts[state]

    def count_finished(self) -> int:
        """Return the number of trials that are complete, stopped or failed."""
        return self._finishes.n

    def count_starts(self) -> int:
        """Return how many times a trial has begun, or has gone on after a pause."""
        return len(self) + int(np.count_nonzero(self.moves.kind == Move.RESUMED))

    def apply(self, event: Event) -> None:
        """Apply one event. The caller has validated it: rows exist and run."""
        event.apply(self, self.position)
        if self._n_settled != self._moves.n:
            self._settle_moves()
        self.position += 1

    def extend(self, block: EventBlock) -> None:
        """Apply many events at once, as ``apply`` would one after the other.

        Raises
        ------
        StudyError
            They do not follow from what was applied before.
        """
        block.check(self)
        n = self._finishes.n
        for event, at in block.events:
            event.apply(self, self.position + at)
        self._settle_moves()
        # Trials that completed, stopped and failed ended in the order of the log, not by kind.
        read, write = self._finishes.read, self._finishes.write
        order = np.argsort(read["position"][n : self._finishes.n], kind="stable") + n
        for name in ("row", "position"):
            write[name][n : self._finishes.n] = read[name][order]
        self.position += block.n_events

    def snapshot(self) -> History:
        """Return a history that stays as this one is now, for reading."""
        twin = copy.copy(self)
        for name in self.__slots__:
            part = getattr(self, name)
            if isinstance(part, Table):
                setattr(twin, name, part.share())
            elif isinstance(part, dict | list | deque):
                setattr(twin, name, part.copy())
        twin._trials = copy.copy(self._trials)  # the others are only appended to
        return twin

    def mark(self) -> Mark:
        """Return where the history is, for ``roll_back``; only the newest mark is good."""
        if self._undo:
            self._undo = []
        # Made for every change: by its constructor the tuple would take twice as long.
        return _as_mark(
            Mark, (self._trials.n, self._finishes.n, self._reports.n, self._moves.n, self.position)
        )

    def is_at(self, mark: Mark) -> bool:
        """Whether nothing has been applied since a mark, not even in part."""
        return (
            not self._undo
            and self.position == mark.position
            and (self._trials.n, self._finishes.n, self._reports.n, self._moves.n)
            == (mark.n, mark.n_finishes, mark.n_reports, mark.n_moves)
        )

    def roll_back(self, mark: Mark) -> None:
        """Undo all changes since a mark, partial ones included. It may be called again."""
        for inverse in reversed(self._undo):
            inverse()
        self._take_back_ends(mark)
        rows = np.unique(self._reports.write["row"][mark.n_reports : self._reports.n])
        self._reports.cut(mark.n_reports)
        reported = self._reports.read["row"][: mark.n_reports]
        for row in rows.tolist():
            earlier = np.flatnonzero(reported == row)
            self._trials.write["last_report"][row] = earlier[-1] if len(earlier) else -1
        self._take_back_moves(mark.n_moves)
        self._trials.cut(mark.n)
        for by_row in (self.fixed, self.wanted, self.workers, self.builds, self.fits):
            for row in [row for row in by_row if row >= mark.n]:
                del by_row[row]
        self._derive()
        self.position = mark.position
        self._undo = []

    def _derive(self) -> None:
        """Derive counts from the rows."""
        del self._origins[int(self.origin.max()) + 1 if len(self) else 0 :]
        self._counts = np.bincount(self.state, minlength=len(State)).tolist()
        self._oldest = 0

    def _take_back_ends(self, mark: Mark) -> None:
        ended = self._finishes.write["row"][mark.n_finishes : self._finishes.n]
        rows = ended[ended >= 0]
        write = self._trials.write
        write["state"][rows] = _RUNNING
        for name in ("outcomes", "violation", "cost", "fidelity"):
            write[name][..., rows] = self._trials.fill[name]
        for row in rows.tolist():
            self.reasons.pop(row, None)
            self.tracebacks.pop(row, None)
        self._finishes.cut(mark.n_finishes)

    def _take_back_moves(self, n: int) -> None:
        moves = self._moves
        rows = np.unique(moves.write["row"][n : moves.n])
        rows = rows[rows < self._trials.n]
        moves.cut(n)
        for name in ("decision", "rung", "spent"):
            self._trials.write[name][rows] = self._trials.fill[name]
        state = self._trials.write["state"]
        state[rows[state[rows] == _PAUSED]] = _RUNNING
        self._n_settled = 0
        self._settle_moves()

    def start(
        self,
        first: int,
        x: NDArray[np.float64],
        given: NDArray[np.float64] | None,
        cursor: Any,
        time: Any,
        origin: str | Sequence[str],
    ) -> range:
        """Add trials, one for each column of ``x``."""
        n, k = self._trials.n, x.shape[1]
        if first != n:
            raise StudyError(f"trials asked must start at number {n}, got {first}")
        at = self._trials.append(k)
        write = self._trials.write
        write["x"][:, n : n + k] = x
        if given is not None:
            if "given" not in write:
                self._trials.add("given", (self.layout.size,), np.float64, np.nan)
            write = self._trials.write
            write["given"][:, n : n + k] = given
            write["exact"][n : n + k] = ~np.isnan(given).all(axis=0)
        if isinstance(origin, str):
            code: Any = self._origin_code(origin)
        else:
            at = slice(n, n + k)  # columns
            codes = {each: self._origin_code(each) for each in dict.fromkeys(origin)}
            code = [codes[each] for each in origin]
        write["cursor"][at] = cursor
        write["started"][at] = time
        write["origin"][at] = code
        self._counts[_RUNNING] += k
        return range(n, n + k)

    def move_running(self, row: int, x: NDArray[np.float64]) -> None:
        """Give a running trial another configuration (d,), in a history that follows another library.

        No event does this: the trials of a study keep their configurations.
        """
        self._trials.write["x"][:, row] = x

    def take_queued(self, rows: Iterable[int]) -> None:
        """Note which enqueued configuration each row takes."""
        self._undo.append(partial(self._put_back, tuple(self.queue)))
        self.fixed.update({row: self.queue.popleft() for row in rows})

    def _put_back(self, queue: tuple[Enqueued, ...]) -> None:
        self.queue = deque(queue)

    def _origin_code(self, origin: str) -> int:
        try:
            return self._origins.index(origin)
        except ValueError:
            self._origins.append(origin)
            return len(self._origins) - 1

    def finish(
        self,
        rows: NDArray[np.int64],
        state: int,
        cost: NDArray[np.float64],
        at: Position,
        y: NDArray[np.float64] | None = None,
    ) -> None:
        """End trials, at a position of the log or a column of positions."""
        # One trial at a time is the common case: writing scalars takes a third of writing slices.
        k = len(rows)
        where = rows.item() if k == 1 else _index(rows)
        if self._n_settled != self._moves.n:
            self._settle_moves()
        end = self._finishes.append(k)
        self._finishes.write["row"][end] = where if k == 1 else rows
        self._finishes.write["position"][end] = at if k > 1 or isinstance(at, int) else at.item()
        write = self._trials.write
        n_paused = int(np.count_nonzero(write["state"][where] == _PAUSED)) if self._counts[_PAUSED] else 0
        write["state"][where] = state
        write["cost"][where] = cost.item() if k == 1 else cost
        self._counts[_RUNNING] -= k - n_paused
        self._counts[_PAUSED] -= n_paused
        self._counts[state] += k
        if y is None:
            return
        self._set_outcomes(where, y)
        if state == _COMPLETE:
            write["fidelity"][where] = np.inf
        else:
            last = write["last_report"][where]
            write["fidelity"][where] = np.where(last >= 0, self._reports.write["step"][last], 0)

    def begin(self, x: NDArray[np.float64], origin: str, cursor: int, time: float) -> None:
        """Apply ``Asked`` of a sampler's suggestions."""
        self.start(self._trials.n, x, None, cursor, time, origin)
        self.position += 1

    def complete(self, row: int, y: float, cost: float) -> None:
        """Apply ``Told`` of one running trial of a study with one metric, from scalars."""
        if self._n_settled != self._moves.n:
            self._settle_moves()
        finishes, trials = self._finishes, self._trials.write
        end = finishes.append(1)
        finishes.write["row"][end] = row
        finishes.write["position"][end] = self.position
        trials["state"][row] = _COMPLETE
        trials["cost"][row] = cost
        trials["outcomes"][0, row] = y
        trials["fidelity"][row] = np.inf
        self._counts[_RUNNING] -= 1
        self._counts[_COMPLETE] += 1
        self.position += 1

    def _set_outcomes(self, at: Index, y: NDArray[np.float64]) -> None:
        if y.size == 1:
            self._trials.write["outcomes"][0, at] = y.item()
            return
        self._trials.write["outcomes"][:, at] = y[:, 0] if isinstance(at, int) else y
        if limit := len(self.metrics.limit):
            violation = y[-limit:] - self.metrics.limit[:, np.newaxis]
            self._trials.write["violation"][:, at] = violation[:, 0] if isinstance(at, int) else violation

    def move(
        self,
        rows: NDArray[np.int64],
        kind: Any,
        at: Position,
        *,
        rung: Any = -1,
        spent: Any = 0.0,
        cursor: Any = -1,
    ) -> None:
        """Add a decision, pause or continuation of each row; ``_settle_moves`` makes columns show them."""
        first, k = self._moves.n, len(rows)
        self._moves.append(k)
        new = slice(first, first + k)
        columns = {"row": rows, "kind": kind, "rung": rung, "spent": spent, "cursor": cursor, "position": at}
        for name, value in columns.items():
            self._moves.write[name][new] = value

    def _settle_moves(self) -> None:
        """Bring new moves into the order of the log; the columns of their trials show the last ones."""
        if self._n_settled == self._moves.n:
            return
        read, write, trials = self._moves.read, self._moves.write, self._trials.write
        new = slice(self._n_settled, self._moves.n)
        order = np.argsort(read["position"][new], kind="stable") + self._n_settled
        for name in write:
            write[name][new] = read[name][order]
        row, kind = read["row"][new], read["kind"][new]
        # Of several entries of a row the last one is written last.
        decided, paused = kind <= Move.PAUSE, kind == Move.PAUSED
        trials["rung"][row[decided]] = read["rung"][new][decided]
        trials["spent"][row[paused]] = read["spent"][new][paused]
        rows, place = np.unique(row[::-1], return_index=True)
        kind = kind[::-1][place]
        trials["decision"][rows] = np.where(kind == Move.RESUMED, 0, np.minimum(kind, Move.PAUSE))
        before = trials["state"][rows]
        alive = (before == _RUNNING) | (before == _PAUSED)
        after = np.where(kind == Move.PAUSED, _PAUSED, _RUNNING)[alive]
        trials["state"][rows[alive]] = after
        n_more = int(np.count_nonzero(after == _PAUSED) - np.count_nonzero(before == _PAUSED))
        self._counts[_PAUSED] += n_more
        self._counts[_RUNNING] -= n_more
        self._oldest = min(self._oldest, rows.item(0))
        self._n_settled = self._moves.n

    def report(
        self, rows: NDArray[np.int64], step: Any, y: NDArray[np.float64], position: Position, steps: Any = 0
    ) -> None:
        """Add a report of each row, in the order of the log, and the steps that the trials plan to take."""
        first, k = self._reports.n, len(rows)
        self._reports.append(k)
        write, trials = self._reports.write, self._trials.write
        if (
            y.size == 1 and isinstance(position, int) and isinstance(step, int)
        ):  # a third of the time of slices
            write["row"][first], write["step"][first], write["value"][first] = rows.item(), step, y.item()
            write["position"][first] = position
            trials["last_report"][rows.item()] = first
        else:
            at = slice(first, first + k)
            write["row"][at], write["step"][at], write["value"][..., at] = rows, step, y
            write["position"][at] = position
            # Of a row's reports the last counts: it is written last.
            trials["last_report"][rows] = np.arange(first, first + k)
        if isinstance(steps, int):
            if not steps:
                return
            steps = np.full(k, steps)
        # The first number that a trial gives counts: brackets depend on it.
        new = (steps > 0) & (trials["planned"][rows] == 0)
        rows, steps = rows[new][::-1], steps[new][::-1]
        self._undo.append(partial(self._set_planned, rows, 0))
        self._set_planned(rows, steps)

    def _set_planned(self, rows: NDArray[np.int64], steps: Any) -> None:
        self._trials.write["planned"][rows] = steps

    def note(self, rows: NDArray[np.int64], notes: Sequence[Mapping[str, Any]]) -> None:
        """Merge notes over earlier ones, a mapping for each row."""
        for row, each in zip(rows.tolist(), notes, strict=True):
            self._replace(self.notes, row, {**self.notes.get(row, {}), **each})

    def annotate(self, notes: Mapping[str, Any]) -> None:
        """Merge notes of the study itself over earlier ones."""
        self._undo.append(partial(setattr, self, "study_notes", self.study_notes))
        self.study_notes = {**self.study_notes, **notes}

    def retry(self, rows: NDArray[np.int64], worker: str, reason: str, time: float) -> None:
        """Give running trials to another worker."""
        for row in rows.tolist():
            self._start_again(row, worker, time, continued=False)
            self._replace(self.retries, row, [*self.retries.get(row, ()), reason])

    def resume(self, rows: NDArray[np.int64], worker: str, time: float, cursor: int, at: int) -> None:
        """Let paused trials go on, on a worker."""
        self.move(rows, Move.RESUMED, at, cursor=cursor)
        for row in rows.tolist():
            self._start_again(row, worker, time, continued=True)

    def _start_again(self, row: int, worker: str, time: float, *, continued: bool) -> None:
        before = self.started.item(row), self.continued.item(row)
        self._undo.append(partial(self._start_at, row, *before))
        self._start_at(row, time, continued)
        self._replace(self.workers, row, worker)

    def _start_at(self, row: int, time: float, continued: bool) -> None:  # noqa: FBT001 - called by an undo
        self._trials.write["started"][row] = time
        self._trials.write["continued"][row] = continued

    def decide(self, rows: NDArray[np.int64], kind: Any, rung: Any, reason: Any, at: Position) -> None:
        """Tell running trials to stop or to pause."""
        self.move(rows, kind, at, rung=rung)
        reasons = [reason] * len(rows) if isinstance(reason, str) else reason
        for row, why in zip(rows.tolist(), reasons, strict=True):
            self._replace(self.why, row, why)

    def enqueue(self, event: Enqueued) -> None:
        """Append a configuration to the queue."""
        self._undo.append(partial(self._shorten_queue, len(self.queue)))
        self.queue.append(event)

    def _shorten_queue(self, n: int) -> None:
        while len(self.queue) > n:
            self.queue.pop()

    def _replace(self, by_row: dict[int, T], row: int, new: T) -> None:
        """Put a new object in the place of an old one, which is not changed."""
        if row in by_row:
            self._undo.append(partial(by_row.__setitem__, row, by_row[row]))
        else:
            self._undo.append(partial(by_row.pop, row, None))
        by_row[row] = new


def _index(rows: NDArray[np.int64]) -> Index:
    """Return ``rows`` as a slice if they are consecutive: a block copy instead of a scatter."""
    k = len(rows)
    if not k:
        return rows
    first = rows.item(0)
    if rows.item(-1) - first == k - 1 and bool((np.diff(rows) == 1).all()):
        return slice(first, first + k)
    return rows
