"""Goals of the next trials: a criterion to search, and a batch from candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hpo_core.gp import batch
from hpo_core.gp.criteria import LogEI, Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.gp.criteria import Criterion
    from hpo_core.gp.outlook import Outlook
    from hpo_core.gp.posterior import Posterior
    from hpo_core.gp.scores import Aim

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]


class Goal(Protocol):
    """The goal of the next trials, given the data and the running trials that count as settled."""

    def criterion(self, pending: Array) -> Criterion:
        """Return what a search maximises, given pending trials (d, r)."""

    def choose(self, x: Array, q: int, *, bonus: Array, pending: Array, seed: int, first: int) -> Rows:
        """Choose q of the candidates (d, m) to evaluate together; see ``hpo_core.gp.batch``."""


@dataclass(frozen=True, eq=False)
class Improvement:
    """To improve on the best value of one objective.

    Attributes
    ----------
    posterior : Posterior
    incumbent : float
        The value to improve on.
    """

    posterior: Posterior
    incumbent: float

    def criterion(self, pending: Array) -> LogEI:
        """Return log EI."""
        posterior = self.posterior
        return LogEI(posterior.conditioned(pending) if pending.shape[1] else posterior, self.incumbent)

    def choose(self, x: Array, q: int, *, bonus: Array, pending: Array, seed: int, first: int) -> Rows:
        """Choose by EI averaged over fantasies, by exploration and by Thompson draws."""
        return batch.choose(
            self.posterior, x, q, best=self.incumbent, bonus=bonus, pending=pending, seed=seed, first=first
        )


@dataclass(frozen=True, eq=False)
class FrontImprovement:
    """To improve on the front of all feasible trials; while there are none, to find one.

    Attributes
    ----------
    outlook : Outlook
    aim : Aim
    order : (k,) int64
        Places of the data, best first.
    first : int
        Number of the first trial that is chosen.
    """

    outlook: Outlook
    aim: Aim
    order: Rows
    first: int

    def criterion(self, pending: Array) -> Scored:
        """Return the score of the aim."""
        return Scored(self.outlook.conditioned(pending), self.aim.score(self.first), self.order)

    def choose(self, x: Array, q: int, *, bonus: Array, pending: Array, seed: int, first: int) -> Rows:
        """Choose one after another, the front extended by each; see ``hpo_core.gp.batch``."""
        return batch.choose_for(
            self.aim, self.outlook, x, q, bonus=bonus, pending=pending, seed=seed, first=first
        )
