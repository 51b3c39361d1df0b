"""Replay of a recorded study: each suggestion is a function of the log, and must come out again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.errors import SpaceExhausted
from hpo_core.log import History, Move, State
from hpo_core.log.events import (
    ADDED,
    ENQUEUED,
    FOREIGN,
    Asked,
    Decided,
    Failed,
    Paused,
    Reported,
    Resumed,
    Stopped,
    Told,
)
from hpo_core.printable import displayed
from hpo_core.study.asking import fresh_copies
from hpo_core.study.enqueue import complete
from hpo_core.study.recorder import decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hpo_core.log.columns import Moves
    from hpo_core.log.events import Event
    from hpo_core.samplers.base import Sampler
    from hpo_core.schedulers import Scheduler
    from hpo_core.space import Space


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of a replay. It is true if every suggestion came out again, bit for bit.

    Attributes
    ----------
    checked : int
        Number of trials whose configuration was derived again; configurations that the user chose are not.
    number : int or None
        First trial that differs, None if none does.
    parameter : str or None
        Its first parameter that differs; None if no configuration came out.
    recorded, derived : object
        The two values of that parameter; None stands for inactive. If a decision differs, the two decisions:
        trial, ``Move`` and rung, or the trials that went on; None if there is none.
    """

    checked: int
    number: int | None = None
    parameter: str | None = None
    recorded: Any = None
    derived: Any = None

    def __bool__(self) -> bool:
        return self.number is None

    def __str__(self) -> str:
        if self.number is None:
            return f"{self.checked} suggestions came out again"
        if self.parameter is None:
            if self.recorded is None and self.derived is None:
                return f"trial {self.number}: no configuration came out"
            return f"trial {self.number}: decided was {self.recorded!r}, came out as {self.derived!r}"
        return displayed(
            f"trial {self.number}: {self.parameter} was {self.recorded!r}, came out as {self.derived!r}"
        )


def replay(
    space: Space,
    history: History,
    sampler: Sampler,
    *,
    seed: int,
    allow_duplicates: bool = False,
    scheduler: Scheduler | None = None,
    settle: Callable[[NDArray[np.float64], NDArray[np.float64] | None], NDArray[np.float64]] | None = None,
    since: int = 0,
) -> Replay:
    """Derive every suggestion of a history again.

    Parameters
    ----------
    space : Space
    history : History
    sampler : Sampler
        A copy is started; this one is left alone.
    seed : int
    allow_duplicates : bool
    scheduler : Scheduler, optional
        As the sampler: every decision and continuation is derived again too.
    settle : callable, optional
        Maps proposed coordinates (d, n), and their ``given``, to those that the study keeps.
    since : int
        First trial to derive.
    """
    again = History(history.layout, history.metrics)
    sampler, again.scheduler = fresh_copies(
        sampler, scheduler, space, seed=seed, allow_duplicates=allow_duplicates
    )
    checked = 0
    expected: list[_Decision] = []
    for position, event in log(history):
        again.position = position
        if isinstance(event, Decided):
            decided = _Decision(int(event.rows[0]), event.move, event.rung)
            came = expected.pop(0) if expected else None
            if came != decided:
                return Replay(checked, decided.row, recorded=decided, derived=came)
        elif expected:
            return Replay(checked, expected[0].row, derived=expected[0])
        if isinstance(event, Resumed):
            recorded_rows = event.rows.tolist()
            derived_rows = _continued(sampler, again, recorded_rows)
            if derived_rows != recorded_rows:
                return Replay(checked, recorded_rows[0], recorded=recorded_rows, derived=derived_rows)
        if isinstance(event, Asked) and event.first >= since and event.origin not in FOREIGN:
            derived, given = _derive(space, sampler, again, event, history)
            derived = derived if settle is None or not derived.size else settle(derived, given)
            difference = _first_difference(space, event, derived)
            if difference is not None:
                number, *found = difference
                return Replay(checked + number - event.first, number, *found)
            checked += event.x.shape[1]
        again.apply(event)
        if isinstance(event, Reported):
            expected = _decisions(again, event)
    if expected:
        return Replay(checked, expected[0].row, derived=expected[0])
    return Replay(checked)


class _Decision(NamedTuple):
    row: int
    move: int
    rung: int


def _decisions(again: History, event: Reported) -> list[_Decision]:
    """Return the decisions after a report, apart from trials that came from elsewhere."""
    if again.scheduler is None:
        return []
    added = [again.origins[code] == ADDED for code in again.origin[event.rows].tolist()]
    rows = event.rows[~np.array(added)]
    y = np.atleast_2d(event.y)[:, ~np.array(added)]
    return [_Decision(*each[:3]) for each in decisions(again, rows, event.step, y)]


def _continued(sampler: Sampler, again: History, recorded: list[int]) -> list[int]:
    """Return the paused trials that go on: the scheduler's or, if these were not, the sampler's choice.

    The record does not say who chose. The scheduler does if no new trial is wanted, or several at once.
    """
    scheduler = again.scheduler
    if scheduler is None:
        return []
    rows = scheduler.resume(again, len(recorded))
    if rows != recorded and len(recorded) == 1 and scheduler.asks_sampler and sampler.continues:
        resumed = sampler.ask(again, len(again), 1).resume
        return [resumed] if resumed >= 0 else rows
    return rows


def log(history: History) -> Iterator[tuple[int, Event]]:
    """Read the events back from the columns, each with its position, in their order.

    Notes and retries are left out. What was enqueued appears right before it was asked, at the same position.
    """
    starts = _starts(history.cursor)
    ends = _starts(history.finish_position)
    reported = _starts(history.reports.position)
    sources: tuple[tuple[NDArray[np.int64], NDArray[np.int64], Callable[..., Event]], ...] = (
        # What has seen the events before a position comes before the event there.
        (starts, history.cursor, _asked),
        (_starts(history.moves.position), _seen(history.moves), _moved),
        (ends, history.finish_position, _finished),
        (reported, history.reports.position, _reported),
    )
    slices = [
        (position.item(start), read, start, stop)
        for bounds, position, read in sources
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]
    for position, read, start, stop in sorted(slices, key=lambda entry: entry[0]):
        event = read(history, start, stop)
        if isinstance(event, Asked) and event.origin == ENQUEUED:
            yield position, history.fixed[event.first]
        yield position, event


def _starts(position: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bounds of the runs of equal positions, one for each event."""
    changes = np.flatnonzero(np.diff(position)) + 1
    return np.concatenate([[0], changes, [len(position)]]) if len(position) else np.zeros(1, np.int64)


def _asked(history: History, start: int, stop: int) -> Asked:
    x, given = history.configurations(slice(start, stop))
    return Asked(
        first=start,
        x=x,
        cursor=history.cursor.item(start),
        origin=history.origins[history.origin[start]],
        time=history.started.item(start),
        wanted=history.wanted.get(start, 0),
        given=given,
    )


def _finished(history: History, start: int, stop: int) -> Event:
    rows = history.finish_order[start:stop]
    y, cost = history.outcomes[:, rows], history.cost[rows]
    match history.state[rows[0]]:
        case State.COMPLETE:
            return Told(rows, y, cost)
        case State.STOPPED:
            return Stopped(rows, y, cost)
        case _:
            row = int(rows[0])
            return Failed(rows, history.reasons[row], cost, history.tracebacks.get(row))


def _reported(history: History, start: int, stop: int) -> Reported:
    reports = history.reports
    rows = reports.row[start:stop]
    steps: Any = history.planned[rows]
    return Reported(rows, reports.step.item(start), reports.value[..., start:stop], steps)


def _seen(moves: Moves) -> NDArray[np.int64]:
    """Return the position at which each move is derived: its own, or that of the last event it depends on."""
    return np.where(moves.kind == Move.RESUMED, moves.cursor, moves.position)


def _moved(history: History, start: int, stop: int) -> Event:
    moves = history.moves
    rows = moves.row[start:stop]
    match moves.kind[start]:
        case Move.PAUSED:
            return Paused(rows, moves.spent[start:stop])
        case Move.RESUMED:
            return Resumed(rows, moves.cursor.item(start), math.nan)
        case kind:
            row = int(rows[0])
            return Decided(rows, int(kind), moves.rung.item(start), history.why.get(row, ""))


def _derive(
    space: Space, sampler: Sampler, again: History, event: Asked, history: History
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    try:
        if event.origin == ENQUEUED:
            return complete(space, sampler, again, history.fixed[event.first])[:2]
        return sampler.ask_again(again, event.first, event.wanted or event.x.shape[1], event.origin).x, None
    except SpaceExhausted:
        return np.empty((len(event.x), 0)), None


def _first_difference(
    space: Space, event: Asked, derived: NDArray[np.float64]
) -> tuple[int, str | None, Any, Any] | None:
    """Return trial, parameter and the two values at the first difference; None if there is none."""
    k = min(event.x.shape[1], derived.shape[1])
    recorded, derived = event.x[:, :k], derived[:, :k]
    equal = (recorded == derived) | (np.isnan(recorded) & np.isnan(derived))
    if not equal.all():
        j, i = (int(axis[0]) for axis in np.nonzero(~equal.T))
        name = space.names[i]
        was, came = (space.codec.decode_params(x[:, j]).get(name) for x in (recorded, derived))
        return event.first + j, name, was, came
    return None if k == event.x.shape[1] else (event.first + k, None, None, None)
