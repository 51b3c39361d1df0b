"""A block of a log, applied in one pass: a study of a million trials opens in seconds.

The kinds of events are applied one after the other, not in the order of the log. That gives the same columns,
because in a valid log a trial is asked before any other event is about it, and nothing follows its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.errors import StudyError
from hpo_core.log.columns import State
from hpo_core.log.events import ENQUEUED, KINDS, NAMES, Asked, Enqueued, Resumed, Retried

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log.events import Event
    from hpo_core.log.history import History

    Rows = NDArray[np.int64]

_NO_ROWS = np.empty(0, np.int64)


class _Mentions(NamedTuple):
    """Rows that events are about, and for each the place of the event in the block."""

    rows: Rows
    at: Rows


@dataclass(slots=True, eq=False)
class EventBlock:
    """Consecutive events of a log, in the order in which ``KINDS`` lists their kinds.

    Attributes
    ----------
    n_events : int
    events : list of (Event, int or (k,) array)
        Each with its place in the block, or with a column of places if it is many events as one.
    """

    n_events: int
    events: list[tuple[Event, Any]]

    @property
    def asked(self) -> tuple[Asked, Rows] | None:
        """The event that started trials and its places, if there is one."""
        return next(((event, at) for event, at in self.events if isinstance(event, Asked)), None)

    @property
    def ended(self) -> Rows:
        """Trials that ended."""
        return self._mentions(ends=True).rows

    @property
    def retried(self) -> Rows:
        """Trials that were given out again."""
        return self._rows_of(Retried)

    @property
    def resumed(self) -> Rows:
        """Trials that went on after a pause."""
        return self._rows_of(Resumed)

    def _rows_of(self, kind: type[Retried | Resumed]) -> Rows:
        rows = (event.rows for event, _ in self.events if isinstance(event, kind))
        return np.concatenate([_NO_ROWS, *rows])

    @property
    def size(self) -> int:
        """Number of rows in all events: trials, results and reports."""
        return sum(np.size(at) for _, at in self.events)

    def _mentions(self, *, ends: bool) -> _Mentions:
        """Return the rows of events that end trials, or of the others that are about running trials."""
        about: list[tuple[Any, Any]] = []
        for event, at in self.events:
            kind = KINDS[NAMES[type(event)]]
            if "rows" in kind.fields and kind.ends is ends:
                about.append((event, at))
        return _Mentions(
            np.concatenate([_NO_ROWS, *(event.rows for event, _ in about)]),
            np.concatenate([_NO_ROWS, *(np.broadcast_to(at, event.rows.shape) for event, at in about)]),
        )

    def check(self, history: History) -> None:
        """Raise unless every event is about trials that were asked before it and have not ended.

        Raises
        ------
        StudyError
            The block does not follow from the history.
        """
        n, asked = len(history), self.asked
        k = 0 if asked is None else asked[0].x.shape[1]
        if asked is not None:
            self._check_asked(history, *asked)
        ended, others = self._mentions(ends=True), self._mentions(ends=False)
        rows, at = (np.concatenate(both) for both in zip(ended, others, strict=True))
        unknown = (rows < 0) | (rows >= n + k)
        if asked is not None and not unknown.any():
            new = rows >= n
            unknown[new] = asked[1][rows[new] - n] > at[new]
        if unknown.any():
            raise StudyError(f"field 'rows': trial {rows[unknown][0]} was never asked")
        before = rows[rows < n]
        over = before[~np.isin(history.state[before], (State.RUNNING, State.PAUSED))]
        if len(over):
            raise StudyError(f"field 'rows': trial {over[0]} ended before")
        _check_ends(ended, others)

    def _check_asked(self, history: History, asked: Asked, at: Rows) -> None:
        n = len(history)
        if asked.first != n:
            raise StudyError(f"field 'first': trials asked must start at number {n}, got {asked.first}")
        cursor = np.asarray(asked.cursor)
        ahead = (cursor < 0) | (cursor > history.position + at)
        if ahead.any():
            raise StudyError(f"field 'cursor' must be a position before it, got {cursor[ahead][0]}")
        if ENQUEUED in asked.origin:
            taken = at[[origin == ENQUEUED for origin in asked.origin]]
            queued = [place for event, place in self.events if isinstance(event, Enqueued)]
            waiting = len(history.queue) + np.searchsorted(queued, taken)
            if (waiting <= np.arange(len(taken))).any():
                raise StudyError(
                    f"field 'tier': no configuration is enqueued for a trial that is {ENQUEUED!r}"
                )


def _check_ends(ended: _Mentions, others: _Mentions) -> None:
    """Raise if an event is about a trial that has ended earlier in the block."""
    order = np.lexsort((ended.at, ended.rows))
    rows, at = ended.rows[order], ended.at[order]
    twice = rows[1:][rows[1:] == rows[:-1]]
    if len(twice):
        raise StudyError(f"field 'rows': trial {twice[0]} ended before")
    if len(others.rows) and len(rows):
        place = np.minimum(np.searchsorted(rows, others.rows), len(rows) - 1)
        late = (rows[place] == others.rows) & (others.at > at[place])
        if late.any():
            raise StudyError(f"field 'rows': trial {others.rows[late][0]} ended before")
