"""A stretch of a log applied in one pass: what opens a study of a million trials in seconds.

The kinds of events are taken one after the other instead of in the order of the log. That gives the same
columns, because a valid log asks a trial before it says anything of it, and ends it last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import StudyError
from hpo_core.log.columns import State
from hpo_core.log.events import ENQUEUED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log.events import Stretch
    from hpo_core.log.history import History


def extend(history: History, stretch: Stretch) -> None:
    """Apply a stretch to a history."""
    _check(history, stretch)
    for event in stretch.others:
        history.apply_unordered(event)
    _ask(history, stretch)
    for retried in stretch.retried:
        history.apply_unordered(retried)
    _report(history, stretch)
    _end(history, stretch)
    history.position += stretch.n_events


def _check(history: History, stretch: Stretch) -> None:
    """Raise unless every trial is asked first, runs while things are said of it, and ends once."""
    n, k = len(history), stretch.x.shape[1]
    if k:
        if stretch.first != n:
            raise StudyError(f"field 'first': trials asked must start at number {n}, got {stretch.first}")
        ahead = (stretch.cursor < 0) | (stretch.cursor > history.position + stretch.asked_at)
        if ahead.any():
            raise StudyError(f"field 'cursor' must be a position before it, got {stretch.cursor[ahead][0]}")
        _check_queue(history, stretch)
    rows = np.concatenate([stretch.ended, stretch.reported, stretch.touched])
    at = np.concatenate([stretch.ended_at, stretch.reported_at, stretch.touched_at])
    unknown = (rows < 0) | (rows >= n + k)
    if k and not unknown.any():
        new = rows >= n
        unknown[new] = stretch.asked_at[rows[new] - n] > at[new]
    if unknown.any():
        raise StudyError(f"field 'rows': trial {rows[unknown][0]} was never asked")
    _check_ends(history, stretch, rows, at)


def _check_queue(history: History, stretch: Stretch) -> None:
    if ENQUEUED not in stretch.tier:
        return
    taken = stretch.asked_at[[tier == ENQUEUED for tier in stretch.tier]]
    waiting = len(history.queue) + np.searchsorted(stretch.enqueued_at, taken)
    if (waiting <= np.arange(len(taken))).any():
        raise StudyError(f"field 'tier': nothing is enqueued where a trial is {ENQUEUED!r}")


def _check_ends(history: History, stretch: Stretch, rows: NDArray[np.int64], at: NDArray[np.int64]) -> None:
    """Raise where something is said of a trial that has ended: that it ends, or anything else."""
    before = rows[rows < len(history)]
    over = before[history.state[before] != State.RUNNING]
    order = np.argsort(stretch.ended, kind="stable")
    ended, ended_at = stretch.ended[order], stretch.ended_at[order]
    over = np.append(over, ended[1:][ended[1:] == ended[:-1]])
    if len(over):
        raise StudyError(f"field 'rows': trial {over[0]} ended before")
    others, others_at = rows[len(ended) :], at[len(ended) :]
    if len(others) and len(ended):
        place = np.minimum(np.searchsorted(ended, others), len(ended) - 1)
        late = (ended[place] == others) & (others_at > ended_at[place])
        if late.any():
            raise StudyError(f"field 'rows': trial {others[late][0]} ended before")


def _ask(history: History, stretch: Stretch) -> None:
    first, k = len(history), stretch.x.shape[1]
    history._trials.append(k)
    at = slice(first, first + k)
    write = history._trials.write
    write["x"][:, at] = stretch.x
    if stretch.given is not None:
        history.give(at, stretch.given)
    write["cursor"][at] = stretch.cursor
    write["started"][at] = stretch.time
    codes = {tier: history._tier_code(tier) for tier in dict.fromkeys(stretch.tier)}
    write["tier"][at] = [codes[tier] for tier in stretch.tier]
    history._counts[State.RUNNING] += k
    if ENQUEUED in codes:
        history.take_queued(row for row, tier in enumerate(stretch.tier, first) if tier == ENQUEUED)
    history.wanted.update(stretch.wanted)
    history.workers.update(stretch.workers)


def _report(history: History, stretch: Stretch) -> None:
    reports, k = history._reports, len(stretch.reported)
    at = slice(reports.n, reports.n + k)
    reports.append(k)
    reports.write["row"][at] = stretch.reported
    reports.write["step"][at] = stretch.step
    reports.write["value"][at] = stretch.value
    reports.write["position"][at] = history.position + stretch.reported_at
    # Of a trial's reports the last counts: it is written last.
    history._trials.write["last_report"][stretch.reported] = np.arange(at.start, at.stop)


def _end(history: History, stretch: Stretch) -> None:
    rows, state, write = stretch.ended, stretch.state, history._trials.write
    finishes = history._finishes
    at = slice(finishes.n, finishes.n + len(rows))
    finishes.append(len(rows))
    finishes.write["row"][at] = rows
    finishes.write["position"][at] = history.position + stretch.ended_at
    write["state"][rows] = state
    write["cost"][rows] = stretch.cost
    write["y"][:, rows] = stretch.y
    write["fidelity"][rows] = _fidelity(history, rows, state)
    for code, count in enumerate(np.bincount(state).tolist()):
        history._counts[code] += count
    history._counts[State.RUNNING] -= len(rows)
    history.reasons.update(stretch.reasons)
    history.tracebacks.update(stretch.tracebacks)
    history._look_for_best(rows[state == State.COMPLETE], stretch.y[:, state == State.COMPLETE])


def _fidelity(history: History, rows: NDArray[np.int64], state: NDArray[np.uint8]) -> NDArray[np.float64]:
    last = history._trials.write["last_report"][rows]
    step = np.where(last >= 0, history._reports.write["step"][last], 0)
    return np.where(state == State.COMPLETE, np.inf, np.where(state == State.STOPPED, step, -np.inf))
