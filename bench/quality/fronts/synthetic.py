"""Test functions of several objectives, over rows of points: their usual boxes, fewer dimensions.

Formulas: ZDT1-3 (Zitzler, Deb and Thiele 2000), DTLZ2 (Deb et al. 2002), Kursawe (1991), BNH (Binh and Korn
1997), welded beam (Deb 2000), the latter three in the form of pymoo's documentation.

References are those of BoTorch's test functions (ZDT, DTLZ2, welded beam) or, where it has none, a tenth of
the front's range beyond its worst (Kursawe, BNH).

Hypervolumes of fronts: ZDT1, ZDT2 and DTLZ2 in closed form; ZDT3 and BNH from the front's formula at 10^7
points; Kursawe and welded beam from 20,000 points of an evolutionary search. To the latter is added what may
lie between neighbours, a share of 7e-5, so that no regret is below 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bench.quality.fronts.spec import Problem
from bench.quality.spec import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bench.quality.fronts.spec import Known
    from bench.quality.spec import Config

    Array = NDArray[np.float64]
    Formula = Callable[[Array], Array]  # points (n, d) to outcomes (n, M)

ZDT_REFERENCE = (11.0, 11.0)
KURSAWE_REFERENCE, KURSAWE_BEST = (-13.9, 1.2), 39.834
BNH_REFERENCE, BNH_BEST = (149.6, 54.6), 6415.094
BEAM_REFERENCE, BEAM_BEST = (40.0, 0.015), 0.5131

# Load lb, length in, limits of shear and bending stress psi.
LOAD, LENGTH, MAX_SHEAR, MAX_BENDING = 6000.0, 14.0, 13_600.0, 30_000.0


def _zdt(shape: Callable[[Array, Array], Array]) -> Formula:
    """f1 = x1 and f2 = g h(f1, g), g = 1 at the front and growing with the mean of the other coordinates."""

    def outcomes(x: Array) -> Array:
        f = x[:, 0]
        g = 1 + 9 * x[:, 1:].mean(axis=1)
        return np.column_stack([f, g * shape(f, g)])

    return outcomes


zdt1 = _zdt(lambda f, g: 1 - np.sqrt(f / g))
zdt2 = _zdt(lambda f, g: 1 - (f / g) ** 2)
zdt3 = _zdt(lambda f, g: 1 - np.sqrt(f / g) - f / g * np.sin(10 * np.pi * f))


def dtlz2(x: Array) -> Array:
    """A sphere's octant of radius 1 + g, three objectives."""
    a, b = (np.pi / 2 * x[:, :2]).T
    radius = 1 + ((x[:, 2:] - 0.5) ** 2).sum(axis=1)
    octant = np.column_stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])
    return radius[:, None] * octant


def kursawe(x: Array) -> Array:
    pairs = np.hypot(x[:, :-1], x[:, 1:])
    f1 = -10 * np.exp(-0.2 * pairs).sum(axis=1)
    f2 = (np.abs(x) ** 0.8 + 5 * np.sin(x**3)).sum(axis=1)
    return np.column_stack([f1, f2])


def bnh(x: Array) -> Array:
    a, b = x.T
    return np.column_stack(
        [
            4 * a**2 + 4 * b**2,
            (a - 5) ** 2 + (b - 5) ** 2,
            (a - 5) ** 2 + b**2 - 25,
            7.7 - (a - 8) ** 2 - (b + 3) ** 2,
        ]
    )


def welded_beam(x: Array) -> Array:
    """Cost and deflection of a beam (depth t, width b) on a weld (height h, length l), in inches.

    Constraints as shares of their limits: shear, bending, weld no higher than the beam is wide, buckling.
    """
    h, l, t, b = x.T  # noqa: E741 - the textbook's letters
    cost = 1.10471 * h**2 * l + 0.04811 * t * b * (14 + l)
    deflection = 2.1952 / (t**3 * b)
    radius = np.sqrt(l**2 / 4 + ((h + t) / 2) ** 2)
    moment = LOAD * (LENGTH + l / 2)
    polar = 2 * math.sqrt(0.5) * h * l * (l**2 / 12 + ((h + t) / 2) ** 2)
    direct, bent = LOAD / (math.sqrt(2) * h * l), moment * radius / polar
    shear = np.sqrt(direct**2 + bent**2 + direct * bent * l / radius)
    bending = 6 * LOAD * LENGTH / (b * t**2)
    buckling = 64_746.022 * (1 - 0.0282346 * t) * t * b**3
    return np.column_stack(
        [
            cost,
            deflection,
            shear / MAX_SHEAR - 1,
            bending / MAX_BENDING - 1,
            (h - b) / (5 - 0.125),
            1 - buckling / LOAD,
        ]
    )


def _problem(
    name: str,
    outcomes: Formula,
    box: list[tuple[float, float]],
    reference: tuple[float, ...],
    best: float,
    *,
    constraints: int = 0,
    known: Mapping[str, Known] | None = None,
) -> Problem:
    parameters = tuple(Parameter(f"x{i}", "float", low, high) for i, (low, high) in enumerate(box))
    names = [p.name for p in parameters]

    def outcome(config: Config) -> list[float]:
        point = np.array([[config[n] for n in names]])
        return outcomes(point)[0].tolist()

    return Problem(
        name,
        parameters,
        tuple(f"f{i + 1}" for i in range(len(reference))),
        reference,
        best,
        outcome,
        constraints=tuple(f"g{i + 1}" for i in range(constraints)),
        known=known or {},
    )


def problems() -> list[Problem]:
    first = {"f1": lambda columns: np.asarray(columns["x0"])}
    zdt = {"zdt1": (zdt1, 120 + 2 / 3), "zdt2": (zdt2, 120 + 1 / 3), "zdt3": (zdt3, 128.778117)}
    beam = [(0.125, 5.0), (0.1, 10.0), (0.1, 10.0), (0.125, 5.0)]
    return [
        *(
            _problem(f"{name}_{d}", formula, [(0, 1)] * d, ZDT_REFERENCE, best, known=first)
            for name, (formula, best) in zdt.items()
            for d in (6, 12)
        ),
        _problem("dtlz2", dtlz2, [(0, 1)] * 6, (1.1,) * 3, 1.1**3 - math.pi / 6),
        _problem("kursawe", kursawe, [(-5, 5)] * 3, KURSAWE_REFERENCE, KURSAWE_BEST),
        _problem("bnh", bnh, [(0, 5), (0, 3)], BNH_REFERENCE, BNH_BEST, constraints=2),
        _problem("welded_beam", welded_beam, beam, BEAM_REFERENCE, BEAM_BEST, constraints=4),
    ]
