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
    """Configurations to try next, as ``Sampler.ask`` returns them.

    Attributes
    ----------
    x : (d, k) float64
        Coordinates of k <= n configurations; see ``Space``.
    origin : str
        Name of the sampler that chose them.
    fit : dict or None
        Hyperparameters that were fitted for this suggestion, as JSON values; they are recorded.
    resume : int
        Number of a paused trial to continue instead of a new one; -1 for a new one.
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
    """Proposes configurations from a history: the base class of all samplers, and of your own.

    A sampler object holds its options and, once started, a cache that can be rebuilt from the history at any
    time. Pickling keeps the options only. A suggestion must be a function of the history, the running trials
    and the seed, so that a study can be resumed and replayed.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import numpy as np
    >>> from hpo_core.samplers import Sampler, Suggestion
    >>> class Fixed(Sampler):
    ...     name = "fixed"
    ...     def start(self, space, *, seed, allow_duplicates=False):
    ...         self.d = len(space.names)
    ...     def ask(self, history, first, n):
    ...         return Suggestion(np.full((self.d, n), 0.25), self.name)
    >>> hpo.Study({"x": hpo.Float(0, 4)}, sampler=Fixed()).ask()["x"]
    1.0
    """

    name: ClassVar[str]
    # Whether a suggestion takes no longer than a write. If not, it is computed before the log is locked.
    quick: ClassVar[bool] = False
    # Whether the sampler may choose a paused trial, if the scheduler leaves that to it.
    continues: ClassVar[bool] = False

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that recreate this sampler."""
        return {}

    @abstractmethod
    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty cache.

        Parameters
        ----------
        space : Space
        seed : int
            In [0, 2**63).
        allow_duplicates : bool
            Whether a configuration of a finite space may be proposed twice.
        """

    @abstractmethod
    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` configurations for trials ``first .. first + n - 1``.

        Parameters
        ----------
        history : History
            All earlier trials.
        first : int
            Number of the first trial to propose.
        n : int
            At least 1.

        Returns
        -------
        Suggestion
            It has fewer than ``n`` columns only if a finite space runs out.

        Raises
        ------
        SpaceExhausted
            Every configuration of a finite space has been used.
        InfeasibleSpaceError
            The constraints rejected 65,536 draws in a row.
        """

    def recommend(self, history: History) -> NDArray[np.int64]:
        """Return complete trials, best first.

        Parameters
        ----------
        history : History

        Returns
        -------
        (k,) int64
            Trial numbers; by default in the order of ``hpo_core.samplers.ranking``.
        """
        return completed(history)

    def estimates(self, history: History) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return complete trials and their outcomes as the sampler sees them.

        Parameters
        ----------
        history : History

        Returns
        -------
        rows : (k,) int64
            Trial numbers.
        outcomes : (M, k) float64
            Signed, so that less is better. By default the observed outcomes; a sampler with a model may
            return estimates without noise.
        """
        order = history.finish_order
        rows = order[history.state[order] == State.COMPLETE]
        return rows, history.outcomes[:, rows]

    def ask_again(self, history: History, first: int, n: int, origin: str) -> Suggestion:  # noqa: ARG002
        """Propose a recorded suggestion again, given the history that it was derived from.

        A sampler whose choice of origin is not a function of the history follows the recorded ``origin``. A
        suggestion that completes an enqueued configuration has the origin ``ENQUEUED``, and is made here the
        first time, too.

        Parameters
        ----------
        history, first, n
            As for ``ask``.
        origin : str
            The recorded origin.

        Returns
        -------
        Suggestion
        """
        return self.ask(history, first, n)
