"""Expected improvement and its logarithm, beside the textbook formula in SciPy where that is accurate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES = grid(m=(64, 8192, 1 << 18))
DECAY, MILLS = 26, 24  # multiply-adds of the polynomials in csrc
BEST = 0.1


def _predictions(m: int) -> tuple[Array, Array]:
    """Means and deviations with z in [-3, 3]: farther out the textbook formula cancels."""
    rng = np.random.default_rng(0)
    sd = rng.uniform(0.1, 2.0, m)
    return BEST - sd * rng.uniform(-3.0, 3.0, m), sd


def _textbook(mean: Array, sd: Array, best: float | Array) -> tuple[Array, Array, Array]:
    """EI and its derivatives with respect to mean and sd."""
    from scipy.special import ndtr

    z = (best - mean) / sd
    density, below = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi), ndtr(z)
    return sd * (density + z * below), -below, density


def _log_textbook(mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    value, by_mean, by_sd = _textbook(mean, sd, best)
    return np.log(value), by_mean / value, by_sd / value


def _kernel(name: str, reference: Callable[[Array, Array, float], tuple[Array, ...]], work: Work) -> Kernel:
    def prepare(m: int) -> Prepared:
        from hpo_core.native import improvement

        mean, sd = _predictions(m)
        ours = getattr(improvement, name)
        slopes = name.endswith("slopes")
        arrays = 5 if slopes else 3
        total = Work(m, work.fma * m, work.exp * m, work.log * m, bytes=8.0 * arrays * m)
        theirs = (lambda: reference(mean, sd, BEST)) if slopes else (lambda: reference(mean, sd, BEST)[:1])
        return Prepared(lambda: ours(mean, sd, BEST), theirs, total, tolerance=1e-9)

    return Kernel("improvement", name, SIZES, prepare)


def _log_ei_average(k: int, m: int) -> Prepared:
    from hpo_core.native import improvement

    mean, sd = _predictions(m)
    means = mean + np.linspace(-0.1, 0.1, k)[:, None]
    best = np.full(k, BEST)

    def reference() -> Array:
        return np.asarray(np.log(np.mean([_textbook(row, sd, BEST)[0] for row in means], axis=0)))

    pairs = k * m
    work = Work(pairs, fma=DECAY * pairs, exp=2 * pairs, log=m, bytes=8.0 * pairs)
    return Prepared(lambda: improvement.log_ei_average(means, sd, best), reference, work, tolerance=1e-9)


KERNELS = (
    _kernel("ei", _textbook, Work(1, fma=DECAY, exp=1)),
    _kernel("log_ei", _log_textbook, Work(1, fma=DECAY, exp=1, log=1)),
    _kernel("ei_slopes", _textbook, Work(1, fma=DECAY + MILLS, exp=1)),
    _kernel("log_ei_slopes", _log_textbook, Work(1, fma=DECAY + MILLS, exp=1, log=1)),
    Kernel("improvement", "log_ei_average", grid(k=(16,), m=(64, 8192)), _log_ei_average),
)
