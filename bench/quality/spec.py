"""What a problem is, in terms that belong to no optimiser.

A configuration is a plain dict of the active parameters. Every objective is minimised. Luck is a
number u in (0, 1) drawn per (seed, trial) by the runner, the same for every optimiser: it chooses
the replicate of a noisy table, or says that a trial fails by accident.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Config = dict[str, Any]
Kind = Literal["float", "int", "ordinal", "categorical"]

MEDIAN_DRAWS = 4001  # standard error of the median's quantile: 0.8 %


@dataclass(frozen=True)
class When:
    """Active if the parent is active and its value is one of ``values``, or at least ``at_least``."""

    parent: str
    values: tuple[Any, ...] = ()
    at_least: float | None = None

    def holds(self, config: Config) -> bool:
        if self.parent not in config:
            return False
        value = config[self.parent]
        return bool(value in self.values if self.at_least is None else value >= self.at_least)


@dataclass(frozen=True)
class Parameter:
    """A numeric range, or the choices of an ordinal or categorical parameter."""

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    when: When | None = None

    def at(self, u: float) -> Any:
        """The value at fraction ``u`` of the range: a prior draw for a uniform u."""
        if self.kind in ("ordinal", "categorical"):
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        low, high = (self.low - 0.5, self.high + 0.5) if self.kind == "int" else (self.low, self.high)
        value = math.exp(math.log(low) + u * math.log(high / low)) if self.log else low + u * (high - low)
        if self.kind == "int":
            return int(min(max(round(value), self.low), self.high))
        return min(max(value, self.low), self.high)


def draw(parameters: Sequence[Parameter], rng: np.random.Generator) -> Config:
    """A configuration from the prior. Parents stand before their children in ``parameters``."""
    config: Config = {}
    for parameter, u in zip(parameters, rng.random(len(parameters)), strict=True):
        if parameter.when is None or parameter.when.holds(config):
            config[parameter.name] = parameter.at(u)
    return config


@dataclass(frozen=True)
class Problem:
    """A search space, an objective, and what is known of it.

    Attributes
    ----------
    true_value : config -> expected objective, which judges an incumbent
    observe : (config, luck) -> what the optimiser is told; None if that is the true value
    best : the least feasible true value (a lower bound within 1e-6 of it where no closed form exists)
    infeasible : whether a trial of the configuration fails
    accident : (trial's number, luck) -> whether it fails whatever its configuration
    """

    name: str
    family: str
    parameters: tuple[Parameter, ...]
    true_value: Callable[[Config], float]
    best: float
    observe: Callable[[Config, float], float] | None = None
    infeasible: Callable[[Config], bool] | None = None
    accident: Callable[[int, float], bool] | None = None

    def observed(self, config: Config, luck: float) -> float:
        return self.true_value(config) if self.observe is None else self.observe(config, luck)

    def fails(self, config: Config, number: int, luck: float) -> bool:
        if self.infeasible is not None and self.infeasible(config):
            return True
        return self.accident is not None and self.accident(number, luck)

    @property
    def conditional(self) -> bool:
        return any(p.when is not None for p in self.parameters)

    @cached_property
    def random_median(self) -> float:
        """Median true value of feasible prior draws: the scale of normalised regret."""
        rng = np.random.default_rng(0)
        drawn = (draw(self.parameters, rng) for _ in range(MEDIAN_DRAWS))
        feasible = (c for c in drawn if self.infeasible is None or not self.infeasible(c))
        return float(np.median([self.true_value(c) for c in feasible]))

    def regret(self, value: Any) -> Any:
        """0 at the best configuration, 1 at the median of random ones."""
        return (np.asarray(value) - self.best) / (self.random_median - self.best)

    def value(self, regret: float) -> float:
        """Inverse of ``regret``."""
        return self.best + regret * (self.random_median - self.best)
