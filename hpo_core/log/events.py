"""The kinds of events in the log of a study. Each is declared once: its fields, their JSON, and its effect.

A study is its log applied to a ``History``. An event holds a batch: one ``Asked`` for ``ask(256)``.
``x`` holds internal coordinates while the event is in memory; a storage holds the values that the user knows.

When a log is read, many events of a kind become one event with the rows of all of them. A field marked "or a
column" then holds an entry for each row, and so does ``at``, the position in the log. ``apply`` accepts both
forms.

To add a kind, write its class with ``apply``, and its line in ``KINDS``. To add a field to a kind, give it a
default: older logs do not have it.

Only the codec changes an event, before it is applied. Events are not frozen because creating one would take
four times as long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from hpo_core.errors import StorageError
from hpo_core.log import fields
from hpo_core.log.columns import Move, State
from hpo_core.storage.base import CHANGED, CREATED, DELETED, RENEWED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.log.fields import Field
    from hpo_core.log.history import History

    Rows: TypeAlias = NDArray[np.int64]
    Reals: TypeAlias = NDArray[np.float64]
    Position: TypeAlias = int | Rows  # of the event in the log, or a column

# The version of this reader. ``created`` holds the least version that can read the log, 1 if it says nothing.
# A study that uses a new kind, or a field that changes what others mean, needs the version that added it:
# 2 for several metrics, 3 for a scheduler.
SEVERAL_METRICS: Final = 2
READER: Final = 3

# Origins of trials whose configuration came from the user, at least in part.
ENQUEUED: Final = "enqueued"
ADDED: Final = "added"
REPEATED: Final = "repeated"
FOREIGN: Final = frozenset({ADDED, REPEATED})  # origins whose values may be outside the ranges
RESERVED: Final = FOREIGN | {ENQUEUED}  # a sampler has another

# Writing an enum costs twice a plain int.
_COMPLETE, _STOPPED, _FAILED = int(State.COMPLETE), int(State.STOPPED), int(State.FAILED)

LATE: Final = "late"  # a result for a trial that another process had finished before


class Event(Protocol):
    """Something that happened in a study."""

    def apply(self, history: History, at: Any) -> None:
        """Change the columns. The caller has checked that the rows exist and run."""


@dataclass(slots=True, eq=False)
class Enqueued:
    """A configuration waits to be asked; the next ``Asked`` of origin ENQUEUED takes it."""

    fixed: Reals  # (d,), NaN where the sampler may choose
    given: Reals | None = None  # (d,), as in ``Asked``

    def apply(self, history: History, at: int) -> None:
        history.enqueue(self)


@dataclass(slots=True, eq=False)
class Asked:
    """Trials ``first .. first + n - 1`` started."""

    first: int
    x: Reals  # (d, n)
    cursor: int  # log position the suggestion had seen; or a column
    origin: str  # which sampler answered, "gp" say, or one of the constants above; or a column
    time: float = math.nan  # seconds since the epoch; or a column
    wanted: int = 0  # number asked for if a finite space ran out and gave fewer, else 0; or a column
    worker: str = ""  # who runs them under a lease, "" if they wait forever for results; or a column
    given: Reals | None = None  # (d, n) exact values that x does not give back, see ``Codec``
    build: str = ""  # with the first suggestion after a study is opened; or a column
    fit: Mapping[str, Any] | None = None  # hyperparameters, if just fitted; or a column

    def apply(self, history: History, at: Position) -> None:
        rows = history.start(self.first, self.x, self.given, self.cursor, self.time, self.origin)
        if self.origin == ENQUEUED:
            history.take_queued(rows)
        elif not isinstance(self.origin, str) and ENQUEUED in self.origin:
            history.take_queued(
                row for row, origin in zip(rows, self.origin, strict=True) if origin == ENQUEUED
            )
        if self.worker:
            history.workers.update(_by_row(rows, self.worker))
        if self.wanted:
            history.wanted.update(_by_first_row(rows, self.wanted, at))
        if self.build:
            history.builds.update(_by_first_row(rows, self.build, at))
        if self.fit:
            history.fits.update(_by_first_row(rows, self.fit, at))


@dataclass(slots=True, eq=False)
class Retried:
    """Running trials, whose worker let its lease run out, were given out again."""

    rows: Rows
    worker: str  # as in ``Asked``
    reason: str
    time: float = math.nan

    def apply(self, history: History, at: int) -> None:
        history.retry(self.rows, self.worker, self.reason, self.time)


@dataclass(slots=True, eq=False)
class Noted:
    """Running trials were given notes, JSON values merged over earlier ones of the same name."""

    rows: Rows
    notes: Sequence[Mapping[str, Any]]  # one per row

    def apply(self, history: History, at: int) -> None:
        history.note(self.rows, self.notes)


@dataclass(slots=True, eq=False)
class Annotated:
    """The study itself was given notes, JSON values merged over earlier ones of the same name."""

    notes: Mapping[str, Any]

    def apply(self, history: History, at: int) -> None:
        history.annotate(self.notes)


@dataclass(slots=True, eq=False)
class Reported:
    """Running trials reported an intermediate value."""

    rows: Rows
    step: int  # or a column
    y: Reals  # signed: (k,), or (M, k) with several metrics
    steps: int = 0  # that the trials are to take in all, 0 if that is unknown or was said before; or a column

    def apply(self, history: History, at: Position) -> None:
        history.report(self.rows, self.step, self.y, at, self.steps)


@dataclass(slots=True, eq=False)
class Decided:
    """The scheduler told running trials to stop or to pause; their worker may not know yet."""

    rows: Rows
    move: int  # ``Move.STOP`` or ``Move.PAUSE``; or a column
    rung: int  # -1 if the rule has no rungs; or a column
    reason: str  # or a column

    def apply(self, history: History, at: Position) -> None:
        history.decide(self.rows, self.move, self.rung, self.reason, at)


@dataclass(slots=True, eq=False)
class Paused:
    """Trials left their worker, and may go on later."""

    rows: Rows
    cost: Reals  # (k,) seconds so far, without pauses

    def apply(self, history: History, at: Position) -> None:
        history.move(self.rows, Move.PAUSED, at, spent=self.cost)


@dataclass(slots=True, eq=False)
class Resumed:
    """Paused trials go on."""

    rows: Rows
    cursor: int  # log position that the choice had seen
    time: float
    worker: str = ""  # as in ``Asked``

    def apply(self, history: History, at: int) -> None:
        history.resume(self.rows, self.worker, self.time, self.cursor, at)


@dataclass(slots=True, eq=False)
class Told:
    """Trials completed."""

    rows: Rows  # (k,)
    y: Reals  # (M, k), signed: see ``hpo_core.metrics``
    cost: Reals  # (k,) seconds since asked

    def apply(self, history: History, at: Position) -> None:
        history.finish(self.rows, _COMPLETE, self.cost, at, self.y)


@dataclass(slots=True, eq=False)
class Stopped:
    """Trials ended early, each with its last reported value."""

    rows: Rows
    y: Reals
    cost: Reals

    def apply(self, history: History, at: Position) -> None:
        history.finish(self.rows, _STOPPED, self.cost, at, self.y)


@dataclass(slots=True, eq=False)
class Failed:
    """Trials failed. Samplers learn from them."""

    rows: Rows
    reason: str  # or a column
    cost: Reals
    traceback: str | None = None  # or a column

    def apply(self, history: History, at: Position) -> None:
        history.finish(self.rows, _FAILED, self.cost, at)
        rows = self.rows.tolist()
        history.reasons.update(_by_row(rows, self.reason))
        if self.traceback is not None:
            found = _by_row(rows, self.traceback)
            history.tracebacks.update({row: text for row, text in found.items() if text is not None})


@dataclass(frozen=True, slots=True)
class EventKind:
    """The written form of events of one kind.

    Attributes
    ----------
    event : type
    fields : dict of str to Field
        By the name in JSON; the rows, if there are any, come first.
    ends : bool
        Whether the event ends its trials.
    allowed : tuple of State
        States that the trials of the event may be in.
    merged : bool
        Whether many events are read as one.
    late : tuple of str
        Fields to keep if another process had finished the trial before.
    """

    event: type
    fields: dict[str, Field]
    ends: bool = False
    allowed: tuple[State, ...] = (State.RUNNING,)
    merged: bool = False
    late: tuple[str, ...] = ()


_LIVE = State.RUNNING, State.PAUSED
_ENDED = {"rows": fields.ROWS, "values": fields.RESULTS, "cost": fields.COST}

# In the order in which the events of a block are applied, kind by kind: a trial starts before any other event
# is about it, and ends last.
KINDS: Final[dict[str, EventKind]] = {
    "enqueued": EventKind(Enqueued, {"params": fields.PARAMS}),
    "asked": EventKind(
        Asked,
        {
            "first": fields.INT,
            "n": fields.COUNT,
            "cursor": fields.INT,
            "tier": fields.ORIGIN,
            "time": fields.TIME,
            "params": fields.PARAMS,
            "wanted": fields.WANTED.optional(0),
            "worker": fields.NAME.optional(""),
            "build": fields.NAME.optional(""),
            "fit": fields.FIT,
        },
        merged=True,
    ),
    "retried": EventKind(
        Retried, {"rows": fields.ROWS, "worker": fields.NAME, "reason": fields.TEXT, "time": fields.TIME}
    ),
    "resumed": EventKind(
        Resumed,
        {
            "rows": fields.ROWS,
            "cursor": fields.INT,
            "time": fields.TIME,
            "worker": fields.NAME.optional(""),
        },
        allowed=(State.PAUSED,),
    ),
    "noted": EventKind(Noted, {"rows": fields.ROWS, "notes": fields.NOTES}),
    "annotated": EventKind(Annotated, {"notes": fields.NOTE}),
    "reported": EventKind(
        Reported,
        {
            "rows": fields.ROWS,
            "step": fields.STEP,
            "values": fields.REPORTS,
            "steps": fields.INT.optional(0),
        },
        merged=True,
        late=("step", "values"),
    ),
    "decided": EventKind(
        Decided,
        {"rows": fields.ROWS, "move": fields.INT, "rung": fields.INT, "reason": fields.TEXT},
        merged=True,
    ),
    "paused": EventKind(Paused, {"rows": fields.ROWS, "cost": fields.COST}, merged=True),
    "told": EventKind(Told, _ENDED, ends=True, merged=True, late=("values",)),
    "stopped": EventKind(Stopped, _ENDED, ends=True, allowed=_LIVE, merged=True, late=("values",)),
    "failed": EventKind(
        Failed,
        {
            "rows": fields.ROWS,
            "reason": fields.TEXT,
            "cost": fields.COST,
            "traceback": fields.TRACEBACK,
        },
        ends=True,
        allowed=_LIVE,
        merged=True,
        late=("reason",),
    ),
}
NAMES: Final = {kind.event: name for name, kind in KINDS.items()}
# States that the trials of an event may be in, for kinds that are about trials which were asked before.
ALLOWED: Final = {kind.event: kind.allowed for kind in KINDS.values() if "rows" in kind.fields}
# Kinds that do not change the columns: descriptions of the study, heartbeats and late results.
ASIDE: Final = frozenset({CREATED, CHANGED, DELETED, RENEWED, LATE})


def require_reader(data: Mapping[str, Any]) -> None:
    """Raise unless this version can read a log whose event ``created`` holds ``data``.

    Raises
    ------
    StorageError
        A newer version has written the log.
    """
    needed = data.get("reader", 1)
    if type(needed) is not int or needed > READER:
        raise StorageError(
            f"field 'reader': a newer hpo_core has written this log, for readers of version {needed!r}; this "
            f"one is {READER}: update hpo_core"
        )


def part(event: Any, keep: NDArray[np.bool_]) -> Any:
    """Return a copy of an event that has only the rows where ``keep`` is true."""
    kind = KINDS[NAMES[type(event)]]
    some: dict[str, Any] = {}
    for name, field in kind.fields.items():
        if field.per_row:
            value = getattr(event, field.attribute or name)
            is_array = isinstance(value, np.ndarray)
            some[field.attribute or name] = value[..., keep] if is_array else [*compress(value, keep)]
    return replace(event, **some)


def _by_row(rows: Sequence[int], value: Any) -> dict[int, Any]:
    """Return the value of each row, from one text for all or a column."""
    if isinstance(value, str):
        return dict.fromkeys(rows, value)
    return dict(zip(rows, value, strict=True))


def _by_first_row(rows: Sequence[int], value: Any, at: Position) -> dict[int, Any]:
    """Return the value of each event that has one, by its first row; ``value`` may be a column."""
    if isinstance(at, int):
        return {rows[0]: value}
    first = np.flatnonzero(np.diff(at, prepend=-1)).tolist()
    return {rows[place]: value[place] for place in first if value[place]}
