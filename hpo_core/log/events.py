"""The typed events of a study's log. A study's state is the log applied to ``History``.

Events carry batches: one ``Asked`` for a whole ``ask(256)``. ``x`` is in internal coordinates while
the event lives in memory; a storage decodes it to values as the user knows them. Nobody changes an event:
they are not frozen because making one would then take four times as long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

# Tiers of trials whose configuration came from the user, at least in part.
ENQUEUED: Final = "enqueued"
ADDED: Final = "added"
REPEATED: Final = "repeated"
FOREIGN: Final = frozenset({ADDED, REPEATED})  # tiers whose values may be outside the ranges


@dataclass(slots=True, eq=False)
class Asked:
    """Trials ``first .. first + n - 1`` started."""

    first: int
    x: NDArray[np.float64]  # (d, n)
    cursor: int  # log position the suggestion had seen
    tier: str  # which sampler answered, "gp" say, or one of the constants above
    time: float = math.nan  # seconds since the epoch
    wanted: int = 0  # number asked for, where a finite space ran out and fewer came; else 0
    worker: str = ""  # who runs them under a lease; "" where they wait for their results for ever
    given: NDArray[np.float64] | None = None  # (d, n) numbers that x does not give back, see ``Codec``


@dataclass(slots=True, eq=False)
class Retried:
    """Running trials, whose worker let its lease run out, were given out again."""

    rows: NDArray[np.int64]
    worker: str  # as in ``Asked``
    reason: str
    time: float = math.nan


@dataclass(slots=True, eq=False)
class Told:
    """Trials completed."""

    rows: NDArray[np.int64]  # (k,)
    y: NDArray[np.float64]  # (m, k), minimised
    cost: NDArray[np.float64]  # (k,) seconds since asked


@dataclass(slots=True, eq=False)
class Failed:
    """Trials failed; they are learnt from, never lost."""

    rows: NDArray[np.int64]
    reason: str
    cost: NDArray[np.float64]
    traceback: str | None = None


@dataclass(slots=True, eq=False)
class Stopped:
    """Trials ended early, each with its last reported value."""

    rows: NDArray[np.int64]
    y: NDArray[np.float64]
    cost: NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Reported:
    """An intermediate value of running trials at one step."""

    rows: NDArray[np.int64]
    step: int
    y: NDArray[np.float64]  # (k,) minimised


@dataclass(slots=True, eq=False)
class Noted:
    """Running trials were given notes, JSON values merged over earlier ones of the same name."""

    rows: NDArray[np.int64]
    notes: tuple[Mapping[str, Any], ...]  # one per row


@dataclass(slots=True, eq=False)
class Enqueued:
    """A configuration waits to be asked; the next ``Asked`` of tier ENQUEUED takes it."""

    fixed: NDArray[np.float64]  # (d,), NaN where the sampler may choose
    given: NDArray[np.float64] | None = None  # (d,), as in ``Asked``


@dataclass(slots=True, eq=False)
class Annotated:
    """The study itself was given notes, JSON values merged over earlier ones of the same name."""

    notes: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Stretch:
    """Consecutive events of a log in columns, for whoever reads many at once.

    ``k`` trials were asked, ``e`` ended, and ``r`` reports came in; ``_at`` says which of the events a
    row belongs to, counted from 0.
    """

    n_events: int
    first: int  # number of the first trial asked
    x: NDArray[np.float64]  # (d, k)
    given: NDArray[np.float64] | None  # (d, k), as in ``Asked``
    cursor: NDArray[np.int64]
    tier: list[str]
    time: NDArray[np.float64]
    asked_at: NDArray[np.int64]
    wanted: dict[int, int]  # by first trial
    workers: dict[int, str]  # who runs trials under a lease, by trial
    retried: list[Retried]
    ended: NDArray[np.int64]  # (e,) rows
    state: NDArray[np.uint8]  # what they are now
    y: NDArray[np.float64]  # (m, e), NaN where they failed
    cost: NDArray[np.float64]
    ended_at: NDArray[np.int64]
    reasons: dict[int, str]
    tracebacks: dict[int, str]
    reported: NDArray[np.int64]  # (r,) rows
    step: NDArray[np.int64]
    value: NDArray[np.float64]
    reported_at: NDArray[np.int64]
    touched: NDArray[np.int64]  # rows that were retried or noted
    touched_at: NDArray[np.int64]
    enqueued_at: NDArray[np.int64]
    others: list[Noted | Enqueued | Annotated]  # their place among the other events does not matter


Event: TypeAlias = Asked | Retried | Told | Failed | Stopped | Reported | Noted | Enqueued | Annotated
