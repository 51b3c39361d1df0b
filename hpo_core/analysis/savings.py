"""The steps saved by stopping and pausing: the steps of all trials, compared with full trainings.

Steps are those that trials have reported. A step that is repeated, because a worker died, counts once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.log import State
from hpo_core.log.columns import Move

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History

    Numbers = NDArray[np.int64]


class Rung(NamedTuple):
    """A depth at which trials were stopped or paused.

    Attributes
    ----------
    depth : int
        Steps done.
    arrived, went_on : int
        Trials that have done as many steps, and those that have done more.
    """

    depth: int
    arrived: int
    went_on: int


class Savings(NamedTuple):
    """The steps saved by stopping and pausing.

    Attributes
    ----------
    steps : int
        Steps done by all trials.
    whole : int
        Steps that they would have done if none had been stopped or paused. A trial whose number of steps is
        unknown, because it does not use ``Trial.steps``, counts as complete, and so does a trial that failed
        or still runs.
    rungs : tuple of Rung
        The shallowest first; empty if the scheduler has none.
    """

    steps: int
    whole: int
    rungs: tuple[Rung, ...]

    @property
    def share(self) -> float:
        """Share of the steps that was saved, in [0, 1)."""
        return 1.0 - self.steps / self.whole if self.whole else 0.0

    def __str__(self) -> str:
        return f"{self.steps:,} of {self.whole:,}, {self.share:.1%} saved"

    def to_json(self) -> dict[str, Any]:
        """Return all numbers by name."""
        rungs = [rung._asdict() for rung in self.rungs]
        return {"steps": self.steps, "whole": self.whole, "share": self.share, "rungs": rungs}

    def in_words(self) -> dict[str, Any]:
        """Return the facts for a report, by name."""
        found: dict[str, Any] = {"steps": str(self)}
        if self.rungs:
            found["rungs"] = {
                f"after {rung.depth:,} {'step' if rung.depth == 1 else 'steps'}": (
                    f"{rung.went_on:,} of {rung.arrived:,} went on"
                )
                for rung in self.rungs
            }
        return found


def savings(history: History) -> Savings:
    """Return the steps saved by stopping and pausing so far."""
    depth = depths(history)
    cut = np.isin(history.state, (State.STOPPED, State.PAUSED))
    whole = np.where(cut, np.maximum(depth, history.planned), depth)
    rungs = tuple(
        Rung(at, int((depth >= at).sum()), int((depth > at).sum())) for at in rung_depths(history).tolist()
    )
    return Savings(int(depth.sum()), int(whole.sum()), rungs)


def depths(history: History) -> Numbers:
    """Return the steps that each trial has done, (n,)."""
    found = np.zeros(len(history), np.int64)
    np.maximum.at(found, history.reports.row, history.reports.step + 1)
    return found


def rung_depths(history: History) -> Numbers:
    """Return the depths of the rungs at which trials were stopped or paused, ascending.

    A trial that reports only some of its steps arrives late: the shallowest decision is at the rung.
    """
    moves, reports = history.moves, history.reports
    decided = np.isin(moves.kind, (Move.STOP, Move.PAUSE)) & (moves.rung >= 0)
    rung = moves.rung[decided]
    # The last report of the trial before the decision.
    span = history.position + 1
    key = reports.row * span + reports.position
    order = np.argsort(key, kind="stable")
    last = np.searchsorted(key[order], moves.row[decided] * span + moves.position[decided], side="right") - 1
    depth = reports.step[order[last]] + 1
    shallowest = np.full(int(rung.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(shallowest, rung, depth)
    return np.unique(shallowest[np.unique(rung)])
