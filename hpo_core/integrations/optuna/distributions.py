"""Conversion between parameters of hpo_core and distributions of Optuna, and unions of distributions."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo_core.errors import SpaceError
from hpo_core.space import Categorical, Float, Int, Ordinal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from optuna.distributions import BaseDistribution

    from hpo_core.space.parameters import Parameter

Number: TypeAlias = FloatDistribution | IntDistribution

# A step belongs to a grid if it misses one of its points by no more than this share of a step.
_ON_GRID = 1e-8


def to_distribution(declaration: Parameter) -> BaseDistribution:
    """Return the distribution that suggests the values of a parameter."""
    match declaration:
        case Int(low=low, high=high, log=log, step=step):
            return IntDistribution(low, high, log=log, step=step)
        case Float(low=low, high=high, log=log, step=step):
            return _float(low, high, log=log, step=step)
    return CategoricalDistribution(listed(declaration))


def _float(low: float, high: float, *, log: bool, step: float | None) -> FloatDistribution:
    if step is None:
        return FloatDistribution(low, high, log=log)
    with warnings.catch_warnings():  # Optuna measures steps in decimals, and would lower the upper bound
        warnings.simplefilter("ignore")
        found = FloatDistribution(low, high, step=step)
    return found if found.high == high else FloatDistribution(low, high)


def listed(declaration: Any) -> list[Any]:
    """Return the choices of a Categorical, or the values of an Ordinal, as Optuna can store them."""
    if isinstance(declaration, Ordinal):
        return labels(declaration.values)
    return labels(list(declaration.choices))


def labels(values: Iterable[Any]) -> list[Any]:
    """Return values as they are, and as text those that are not None, a bool, a number or text."""
    found: list[Any] = []
    taken: set[tuple[type, Any]] = set()
    for value in values:
        label = value if type(value) in (type(None), bool, int, float, str) else repr(value)
        while label == label and (type(label), label) in taken:  # NaN equals nothing
            label = f"{label}'"
        taken.add((type(label), label))
        found.append(label)
    return found


def from_distribution(distribution: BaseDistribution) -> Parameter:
    """Return the parameter that has the values of a distribution.

    Choices that are equal in Python, such as 1 and True, become text.
    """
    match distribution:
        case IntDistribution():
            return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
        case FloatDistribution():
            return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
        case CategoricalDistribution():
            return Categorical(choices_of(distribution))
    raise SpaceError(f"a distribution must be one of Optuna's, got {distribution!r}")


def choices_of(distribution: CategoricalDistribution) -> list[Any]:
    """Return the choices of a distribution as the choices of a Categorical."""
    choices: list[Any] = list(distribution.choices)
    try:
        Categorical(choices).checked("choices")
    except SpaceError:
        return list(map(repr, choices))
    return choices


def united(first: BaseDistribution, second: BaseDistribution) -> BaseDistribution:
    """Return a distribution that holds the values of both. Optuna permits other bounds, not other choices."""
    if isinstance(first, Number) and type(first) is type(second):
        return _united_numbers(first, second)
    return first


def _united_numbers(first: Any, second: Any) -> Number:
    low, high = min(first.low, second.low), max(first.high, second.high)
    if first.log and second.log:
        kind: Any = type(first)
        return cast("Number", kind(low, high, log=True))
    if isinstance(first, IntDistribution):
        step = math.gcd(first.step, second.step, second.low - first.low)
        return IntDistribution(low, high, step=step)
    apart = math.inf if first.step is None else (second.low - first.low) / first.step
    aligned = math.isfinite(apart) and abs(apart - round(apart)) < _ON_GRID
    return _float(low, high, log=False, step=first.step if aligned and first.step == second.step else None)


def widened(distribution: BaseDistribution, value: Any) -> BaseDistribution:
    """Return a distribution that also holds a value that was added from elsewhere."""
    if not isinstance(distribution, Number) or distribution._contains(value):
        return distribution
    integer = isinstance(distribution, IntDistribution)
    log = distribution.log and value > 0
    low, high = min(distribution.low, value), max(distribution.high, value)
    return IntDistribution(low, high, log=log) if integer else FloatDistribution(low, high, log=log)


def can_search(distribution: BaseDistribution) -> bool:
    """Whether hpo_core can search a distribution: a range may be too large, and one value is no search."""
    if distribution.single():
        return False
    try:
        from_distribution(distribution).checked("range")
    except SpaceError:
        return False
    return True


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Draw a value from the prior: uniform, or uniform in the logarithm."""
    u = rng.random()
    match distribution:
        case CategoricalDistribution():
            return distribution.choices[int(u * len(distribution.choices))]
        case IntDistribution(log=True):
            low, high = math.log(distribution.low - 0.5), math.log(distribution.high + 0.5)
            return _between(distribution, round(math.exp(low + u * (high - low))))
        case IntDistribution():
            steps = (distribution.high - distribution.low) // distribution.step
            return distribution.low + distribution.step * min(int(u * (steps + 1)), steps)
        case FloatDistribution(log=True):
            low, high = math.log(distribution.low), math.log(distribution.high)
            return _between(distribution, math.exp(low + u * (high - low)))
        case FloatDistribution(step=None):  # a difference of the bounds may overflow
            return _between(distribution, (1.0 - u) * distribution.low + u * distribution.high)
        case FloatDistribution():
            return _on_grid(distribution, u)
    raise SpaceError(f"a distribution must be one of Optuna's, got {distribution!r}")


def _on_grid(distribution: FloatDistribution, u: float) -> float:
    step = distribution.step or 1.0
    steps = round((distribution.high - distribution.low) / step)
    return float(_between(distribution, distribution.low + step * min(int(u * (steps + 1)), steps)))


def _between(distribution: Any, value: Any) -> Any:
    return min(max(value, distribution.low), distribution.high)


def place_of(value: Any, choices: Sequence[Any]) -> int:
    """Return the place of a choice; equal values of other types are other choices."""
    for place, each in enumerate(choices):
        if type(each) is type(value) and (each == value or (each != each and value != value)):
            return place
    return list(choices).index(value)
