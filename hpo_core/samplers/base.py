"""The contract of every sampler: a pure function of (finish order, running set, seed) with a cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hpo_core.layout import Kind
from hpo_core.log import State
from hpo_core.samplers.ranking import completed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.log import History
    from hpo_core.space import Space


@dataclass(slots=True, eq=False)
class Suggestion:
    """Configurations ``x`` (d, k) to try next, k <= n, and the origin that chose them.

    ``fit`` holds hyperparameters as JSON values if they were fitted for this suggestion; they are recorded.
    ``resume`` is the number of a paused trial that is to go on in place of a new one; -1 for a new one.
    """

    x: NDArray[np.float64]
    origin: str
    fit: dict[str, Any] | None = None
    resume: int = -1


def greatest(layout: Layout) -> NDArray[np.float64]:
    """Return the greatest coordinate of each parameter, (d,)."""
    return np.where(layout.kinds == Kind.CATEGORICAL, layout.levels - 1.0, 1.0)


def misplaced(space: Space, x: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which coordinates (d, k) no configuration has, and which must be active."""
    choice = (space.layout.kinds == Kind.CATEGORICAL)[:, np.newaxis]
    most = greatest(space.layout)[:, np.newaxis]
    inside = np.clip(x, 0.0, most)
    inside = np.where(choice, np.floor(inside), inside)
    active = ~np.isnan(space.impose(inside, np.full(len(x), np.nan)))
    return (np.isnan(x) == active) | (x < 0.0) | (x > most) | (choice & active & (x != np.floor(x))), active


def resumable(history: History, n: int) -> list[int]:
    """Return up to ``n`` paused trials that the scheduler of the study lets go on."""
    if history.scheduler is None or not history.count(State.PAUSED):
        return []
    return history.scheduler.resume(history, n)


def going_on(history: History, row: int, origin: str) -> Suggestion:
    """Return the suggestion that a paused trial goes on."""
    return Suggestion(np.empty((history.layout.size, 0)), origin, resume=row)


class Sampler(ABC):
    """Proposes configurations from a history.

    A sampler object holds its options and, once started, a cache that can be rebuilt from the
    history at any time. Pickling keeps the options only.
    """

    name: ClassVar[str]
    # Whether a suggestion takes no longer than a write. If not, it is computed before the log is locked.
    quick: ClassVar[bool] = False
    # Whether the sampler may choose a paused trial, if the scheduler leaves that to it.
    continues: ClassVar[bool] = False

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that make this sampler again."""
        return {}

    @abstractmethod
    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty cache."""

    @abstractmethod
    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` configurations for trials ``first .. first + n - 1``.

        ``history`` holds every earlier trial. Fewer than ``n`` columns come back only when a finite
        space runs out.

        Raises
        ------
        SpaceExhausted
            Nothing is left to propose.
        InfeasibleSpaceError
            The constraints rejected 65,536 draws in a row.
        """

    def recommend(self, history: History) -> NDArray[np.int64]:
        """Return complete trials, best first; by default in the order of ``hpo_core.samplers.ranking``."""
        return completed(history)

    def estimates(self, history: History) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return complete trials (k,), and their signed outcomes (M, k) as the sampler sees them.

        By default these are the observed outcomes. A sampler with a model may see through their noise.
        """
        order = history.finish_order
        rows = order[history.state[order] == State.COMPLETE]
        return rows, history.outcomes[:, rows]

    def ask_again(self, history: History, first: int, n: int, origin: str) -> Suggestion:  # noqa: ARG002
        """Propose a recorded suggestion of ``origin`` again, given the history that it had seen.

        A sampler whose choice of origin is not a function of the history follows the record. A suggestion
        that completes an enqueued configuration is recorded as ``ENQUEUED``; the first time, it is made here
        too.
        """
        return self.ask(history, first, n)
