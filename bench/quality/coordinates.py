"""Configurations as points, for peers that take vectors and know no conditions.

A number is its place in its range, in logarithms where the range is logarithmic; of an ordinal the
index of the choice is scaled to [0, 1]; a category stays an index. An inactive parameter stands at
the middle of its range, or at its first choice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.quality.spec import Config, Parameter


def levels(p: Parameter) -> list[Any]:
    """The values of a parameter that has finitely many, in order."""
    return list(range(int(p.low), int(p.high) + 1)) if p.kind == "int" else list(p.choices)


def coordinate(p: Parameter, value: Any) -> float:
    if p.choices:
        index = float(p.choices.index(value))
        return index if p.kind == "categorical" else index / (len(p.choices) - 1)
    if p.log:
        return math.log(value / p.low) / math.log(p.high / p.low)
    return float((value - p.low) / (p.high - p.low))


def value_at(p: Parameter, u: float) -> Any:
    """Inverse of ``coordinate``; the nearest level where there are levels."""
    if p.kind == "float":
        value = p.low * (p.high / p.low) ** u if p.log else p.low + u * (p.high - p.low)
        return min(max(value, p.low), p.high)
    return min(levels(p), key=lambda level: abs(coordinate(p, level) - u))


def encode(parameters: Sequence[Parameter], config: Config) -> list[float]:
    return [coordinate(p, config[p.name] if p.name in config else _filler(p)) for p in parameters]


def _filler(p: Parameter) -> Any:
    return p.choices[0] if p.kind == "categorical" else value_at(p, 0.5)


def decode(parameters: Sequence[Parameter], point: Sequence[float]) -> Config:
    """The active parameters of a point. Parents stand before their children in ``parameters``."""
    config: Config = {}
    for p, u in zip(parameters, point, strict=True):
        if p.when is None or p.when.holds(config):
            config[p.name] = value_at(p, u)
    return config
