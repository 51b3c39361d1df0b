"""What a problem of several objectives is, in terms that belong to no optimiser.

Every objective is minimised, and every constraint is a number that is at most 0 where it holds.

Glossary
--------
outcome    what a trial is told: the objectives, then the constraints
reference  (m,) the corner that bounds the hypervolume; no optimiser is told it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.quality.spec import Config, Parameter

# Columns of every parameter's values to an objective, as ``Minimize(known=...)`` takes it.
Known = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Problem:
    """A search space, its objectives and constraints, and the hypervolume of its front.

    Attributes
    ----------
    true_outcome : config -> the expected outcome, which judges what was found
    best : hypervolume of the front, rounded up where no closed form exists
    observe : (config, luck) -> what the optimiser is told; None if that is the true outcome
    known : objectives that are a formula over columns, by name
    """

    name: str
    parameters: tuple[Parameter, ...]
    objectives: tuple[str, ...]
    reference: tuple[float, ...]
    best: float
    true_outcome: Callable[[Config], list[float]]
    observe: Callable[[Config, float], list[float]] | None = None
    constraints: tuple[str, ...] = ()
    known: Mapping[str, Known] = field(default_factory=dict)

    def observed(self, config: Config, luck: float) -> list[float]:
        return self.true_outcome(config) if self.observe is None else self.observe(config, luck)

    def point(self, outcome: Sequence[float]) -> NDArray[np.float64] | None:
        """The objectives (m,); None where a constraint does not hold."""
        m = len(self.objectives)
        return np.array(outcome[:m]) if all(g <= 0 for g in outcome[m:]) else None

    def regret(self, hypervolume: Any) -> Any:
        """0 for the whole front, 1 if nothing is better than the reference."""
        return 1 - np.asarray(hypervolume) / self.best
