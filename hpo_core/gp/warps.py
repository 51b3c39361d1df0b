"""Monotone maps that make data easier for a Gaussian process: of inputs, and of targets.

Glossary
--------
x               a numeric input in [0, 1], (d, n)
a, b            positive exponents, one pair per input: (d,)
w(x)            1 - (1 - x^a)^b, the distribution function of Kumaraswamy (1980)
y               minimised targets, (n,), finite

References
----------
.. [1] A. I. Cowen-Rivers et al. (2022), HEBO: pushing the limits of sample-efficient hyperparameter
   optimisation. JAIR 74 (the input warp, the power transforms).
.. [2] X. Song et al. (2024), The Vizier Gaussian process bandit algorithm. arXiv:2408.11527, appendix B
   (the half-rank and log warps).
.. [3] I.-K. Yeo, R. A. Johnson (2000), A new family of power transformations to improve normality or
   symmetry. Biometrika 87.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.native.normal import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

# At 0 and 1 the slopes of w may be infinite; this far inside they are below 1e7 for any a, b >= 0.1.
MARGIN = 1e-7
# Exponents of the power transform that are tried: 1 leaves targets as they are, 0 takes the log of large
# ones, below 0 and above 2 the largest and the smallest saturate. Finer steps change nothing that a
# Gaussian process would notice.
EXPONENTS = np.linspace(-2.0, 4.0, 25)
# A target is huge if it is HUGE times as large as at least N_ORDINARY others: a penalty, or a diverged
# training. Fewer others show no scale, and float64 resolves the others beside a smaller one.
HUGE, N_ORDINARY = 1e6, 3
# If some targets are within RESULT, targets above PENALTY are penalties that only say "failed".
PENALTY, RESULT = 1e100, 1e70
# Farther from the median than this many deviations counts as this far: its powers stay in float64.
FARTHEST = 1e30
# Share of the first values that are no farther from their median than the unit of a bend: more than half,
# because many trainings may end alike.
FAR = 0.75


def kumaraswamy(x: NDArray[np.float64], warp: NDArray[np.float64]) -> NDArray[np.float64]:
    """w(x), row by row, for exponents ``warp`` (2, d): a and b."""
    a, b = warp[:, :, None]
    warped: NDArray[np.float64] = -np.expm1(b * np.log1p(-(np.clip(x, MARGIN, 1.0 - MARGIN) ** a)))
    return warped


def kumaraswamy_slopes(
    x: NDArray[np.float64], warp: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives of w in x, log a and log b, each (d, n); in x it is 0 outside the margins."""
    a, b = warp[:, :, None]
    inside = np.clip(x, MARGIN, 1.0 - MARGIN)
    power = inside**a
    by_power = b * (1.0 - power) ** (b - 1.0)
    by_x = np.where(inside == x, by_power * a * power / inside, 0.0)
    by_log_a = by_power * a * power * np.log(inside)
    by_log_b = -b * np.log1p(-power) * (1.0 - power) ** b
    return by_x, by_log_a, by_log_b


def penalties(y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of the targets that are penalties, (n,)."""
    return (y > PENALTY) & bool((np.abs(y) < RESULT).any())


def tamed(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Targets with the huge ones moved next to the ordinary ones, in order, over as wide a range.

    Beside huge targets, all differences among the others vanish. If the huge ones are many, the median, from
    which others are measured, is huge too.
    """
    sizes = np.abs(y)
    if len(y) <= N_ORDINARY or sizes.max() / HUGE <= np.partition(sizes, N_ORDINARY - 1)[N_ORDINARY - 1]:
        return y  # as nearly always, and told in a tenth of the time
    distinct, rank = np.unique(y, return_inverse=True)
    sizes = np.sort(np.abs(distinct))
    jumps = sizes[N_ORDINARY:] / HUGE > sizes[N_ORDINARY - 1 : -1]
    if not jumps.any():
        return y
    largest = sizes[N_ORDINARY - 1 + jumps.argmax()]
    first, last = np.flatnonzero(np.abs(distinct) <= largest)[[0, -1]]
    span = distinct[last] - distinct[first]
    above, below = len(distinct) - 1 - last, first
    tamed = distinct.copy()
    tamed[last + 1 :] = distinct[last] + span * (1.0 + np.arange(above) / max(above, 1))
    tamed[:first] = distinct[first] - span * (1.0 + np.arange(below)[::-1] / max(below, 1))
    return tamed[rank]


def standardized(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Targets with mean 0 and variance 1; zeros if they are constant."""
    unit = _unit(y)
    center, scale = location_scale(unit)
    return (unit - center) / scale


def location_scale(y: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation, the latter 1 of constant targets."""
    largest = float(np.abs(y).max()) or 1.0
    unit = y / largest  # whose squares neither overflow nor vanish
    if not np.ptp(unit) > 0.0:
        return float(y[0]), 1.0
    return float(unit.mean()) * largest, float(unit.std()) * largest


def power(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Yeo and Johnson's transform [3] of the exponent under which targets are most nearly normal."""
    centered = _by_deviation(y)
    if not np.ptp(centered) > 0.0:
        return np.zeros(len(y))
    logs, positive = np.log1p(np.abs(centered)), centered >= 0.0
    transformed = _yeo_johnson(logs, positive, EXPONENTS[:, None])
    variance = transformed.var(axis=1)
    variance[variance == 0.0] = np.inf  # rounding made all targets equal: not that exponent
    jacobian = (EXPONENTS - 1.0) * float(np.where(positive, logs, -logs).sum())
    return standardized(transformed[np.argmax(jacobian - 0.5 * len(y) * np.log(variance))])


def half_rank(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks for the worse half, as far apart as the better half is wide; then the best spread out [2].

    The worse half becomes quantiles of a normal distribution around the median with the better
    half's deviation from it. With t in [0, 1] from the best to the worst, log(1 + t/2) follows.
    """
    centered = _by_deviation(y)
    worse = centered > 0.0
    if worse.any():
        better = centered[~worse]
        deviation = float(np.sqrt(np.mean(better * better))) or 1.0
        targets = centered[worse]
        order = np.sort(targets)
        # Of equal targets, the middle.
        position = 0.5 * (order.searchsorted(targets, "left") + order.searchsorted(targets, "right") + 1.0)
        centered[worse] = deviation * ndtri(0.5 + 0.5 * position / (len(order) + 1.0))
    span = float(np.ptp(centered)) or 1.0
    return standardized(np.log1p(0.5 * (centered - centered.min()) / span))


def capped(y: NDArray[np.float64], n_first: int) -> NDArray[np.float64]:
    """Targets as they are, but no farther above the median of the first ones than the best is below it."""
    unit = _unit(tamed(y))
    middle = median(unit[:n_first])
    return standardized(np.minimum(unit, middle + (middle - unit.min())))


def zoom(y: NDArray[np.float64], n_first: int) -> float:
    """How far the median lies above the best, as a share of how far the median of the first targets does."""
    unit = _unit(tamed(y))
    least = float(unit.min())
    span = median(unit[:n_first]) - least
    return (median(unit) - least) / span if span > 0.0 else 1.0


class Bend:
    """A monotone map of all values, made from some of them (n,): linear below a center, logarithmic above.

    By default the center is the median, the unit is the deviation of the better half, and the best are spread
    out: once many values are close to the best, differences among these are what counts. With ``n_first``,
    center and unit are those of the first values, and the map stays as it is while a search closes in.
    """

    def __init__(self, y: NDArray[np.float64], n_first: int = 0) -> None:
        first = y[:n_first] if n_first else y
        self._center = float(np.median(first))
        if n_first:
            apart = float(np.quantile(np.abs(first - self._center), FAR))
            spread = max(self._center - float(y.min()), apart)
        else:
            better = self._center - y[y <= self._center]
            spread = float(np.sqrt(np.mean(better * better)))
        self._scale = spread or float(np.mean(np.abs(first - self._center))) or 1.0
        self._least = (float(y.min()) - self._center) / self._scale
        self._span = 0.0 if n_first else max(-self._least, 1e-9)

    def of(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in units; NaN stays."""
        u = (y - self._center) / self._scale
        u = np.where(u > 0.0, np.log1p(np.maximum(u, 0.0)), u)
        if not self._span:
            return np.asarray(u)
        spread: NDArray[np.float64] = np.log1p(np.maximum(0.5 * (u - self._least) / self._span, -0.9))
        return spread * 2.0 * self._span


OUTPUT_WARPS = {"none": standardized, "power": power, "half-rank": half_rank}


def warp(y: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Targets mapped by one of ``OUTPUT_WARPS``: mean 0, variance 1, never in another order."""
    return OUTPUT_WARPS[kind](y)


def median(y: NDArray[np.float64]) -> float:
    """Median of finite numbers: NumPy's looks for NaN and takes ten times as long."""
    order = np.sort(y)
    return 0.5 * float(order[(len(y) - 1) // 2]) + 0.5 * float(order[len(y) // 2])  # their sum may overflow


def _unit(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Targets in units of the largest: differences and squares neither overflow nor vanish."""
    return y / (float(np.abs(y).max()) or 1.0)


def _mean(sizes: NDArray[np.float64]) -> float:
    """Mean of finite numbers, whose sum may overflow."""
    with np.errstate(over="ignore"):
        mean = float(sizes.mean())
    return mean if math.isfinite(mean) else float(np.ldexp(np.ldexp(sizes, -64).mean(), 64))


def _by_deviation(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Targets from their median, in units of their median (else mean) absolute deviation, within limits."""
    halved = 0.5 * tamed(y)  # two of which differ by a number that float64 has
    centered = halved - median(halved)
    deviations = np.abs(centered)
    scale = median(deviations) or _mean(deviations) or 1.0
    with np.errstate(over="ignore"):  # to infinity, which is clipped
        scaled: NDArray[np.float64] = np.clip(centered / max(scale, 1.0 / FARTHEST), -FARTHEST, FARTHEST)
    return scaled


def _yeo_johnson(
    logs: NDArray[np.float64], positive: NDArray[np.bool_], exponent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[3] equation 2.1 of log(1 + |y|) and the signs of y: (p, n) for exponents (p, 1)."""
    power = np.where(positive, exponent, 2.0 - exponent)
    size = np.where(power, np.expm1(power * logs) / np.where(power, power, 1.0), logs)
    return np.where(positive, size, -size)
