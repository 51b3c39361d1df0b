"""Analytic test functions on their usual boxes (Ackley and Rosenbrock on [-5, 10], so that neither
optimum lies at the centre, where some optimisers begin)."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

from bench.quality.spec import Config, Parameter, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HARTMANN_WEIGHT = (1.0, 1.2, 3.0, 3.2)
HARTMANN_SCALE = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)
HARTMANN_CENTER = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def branin(x: Sequence[float]) -> float:
    a, b = x
    valley = b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6
    return valley * valley + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def hartmann6(x: Sequence[float]) -> float:
    total = 0.0
    for weight, scale, center in zip(HARTMANN_WEIGHT, HARTMANN_SCALE, HARTMANN_CENTER, strict=True):
        total += weight * math.exp(-sum(s * (v - c) ** 2 for s, v, c in zip(scale, x, center, strict=True)))
    return -total


def ackley(x: Sequence[float]) -> float:
    d = len(x)
    radius = math.sqrt(sum(v * v for v in x) / d)
    ripple = sum(math.cos(2 * math.pi * v) for v in x) / d
    return -20 * math.exp(-0.2 * radius) - math.exp(ripple) + 20 + math.e


def rosenbrock(x: Sequence[float]) -> float:
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def styblinski_tang(x: Sequence[float]) -> float:
    return 0.5 * sum(v**4 - 16 * v * v + 5 * v for v in x)


def _problem(
    name: str, function: Callable[[Sequence[float]], float], box: Sequence[tuple[float, float]], best: float
) -> Problem:
    parameters = tuple(Parameter(f"x{i}", "float", low, high) for i, (low, high) in enumerate(box))
    names = [p.name for p in parameters]

    def value(config: Config) -> float:
        return function([config[n] for n in names])

    return Problem(name, "synthetic", parameters, value, best)


def problems() -> list[Problem]:
    return [
        _problem("branin", branin, [(-5, 10), (0, 15)], 0.39788735772973816),
        _problem("hartmann6", hartmann6, [(0, 1)] * 6, -3.32236801141551),
        _problem("ackley10", ackley, [(-5, 10)] * 10, 0.0),
        _problem("rosenbrock10", rosenbrock, [(-5, 10)] * 10, 0.0),
        _problem("styblinski_tang10", styblinski_tang, [(-5, 5)] * 10, -391.6616570377142),
    ]


# Least and greatest value on the box, for noise as a share of the range.
RANGES = {"branin": (0.39788735772973816, 308.12909601160663), "hartmann6": (-3.32236801141551, 0.0)}
SHARES = (5, 20)


def _noisy(problem: Problem, share: int) -> Problem:
    """The problem with normal noise, its deviation ``share`` percent of the range of values."""
    low, high = RANGES[problem.name]
    deviation = share / 100 * (high - low)

    def observe(config: Config, luck: float) -> float:
        return problem.true_value(config) + deviation * NormalDist().inv_cdf(luck)

    return replace(problem, name=f"{problem.name}-noise{share}", family="noisy", observe=observe)


def noisy_problems() -> list[Problem]:
    return [_noisy(p, share) for p in problems() if p.name in RANGES for share in SHARES]
