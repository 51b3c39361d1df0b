"""Expected hypervolume improvement, beside the textbook formula in SciPy where that is accurate.

d objectives, a front of k points, m candidates; times are per candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.native.improvement import DECAY, MILLS
from bench.native.kernels import Kernel, Prepared, Work, grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES = grid(d=(2, 3), k=(50, 200), m=(8, 2560))
REFERENCE = 1.1


def _front(d: int, k: int) -> Array:
    """Points on a sphere: none dominates another."""
    points = np.abs(np.random.default_rng(0).normal(size=(d, k)))
    front: Array = points / np.linalg.norm(points, axis=0)
    return front


def _predictions(d: int, m: int) -> tuple[Array, Array]:
    """Near the front: farther out the textbook formula cancels."""
    rng = np.random.default_rng(1)
    return rng.uniform(0.2, 0.9, (d, m)), rng.uniform(0.1, 0.5, (d, m))


def _textbook(mean: Array, sd: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Log EHVI and its derivatives: arrays of objectives, boxes and candidates."""
    from scipy.special import ndtr

    def ei(bounds: Array) -> tuple[Array, Array, Array]:
        bounded = np.isfinite(bounds)[:, :, None]
        z = (np.where(bounded, bounds[:, :, None], 0.0) - mean[:, None]) / sd[:, None]
        density, below = bounded * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi), bounded * ndtr(z)
        return sd[:, None] * (density + z * below), -below, density

    side, by_mean, by_sd = (high - low for high, low in zip(ei(upper), ei(lower), strict=True))
    others = np.stack([np.prod(np.delete(side, j, 0), axis=0) for j in range(len(mean))])
    total = side.prod(axis=0).sum(axis=0)
    slopes = ((others * each).sum(axis=1) / total for each in (by_mean, by_sd))
    return np.log(total), *slopes


def _kernel(name: str) -> Kernel:
    def prepare(d: int, k: int, m: int) -> Prepared:
        from hpo_core.native import ehvi

        ours, slopes = getattr(ehvi, name), name.endswith("slopes")
        arguments = (*_predictions(d, m), *ehvi.boxes(_front(d, k), np.full(d, REFERENCE)))
        n_boxes = arguments[2].shape[1]
        # Each bound once for each candidate, and a logarithm of each side of a box.
        polynomials = d * (k + 1) * (DECAY + slopes * MILLS)
        work = Work(
            m, fma=m * polynomials, exp=m * (d * (k + 1) + n_boxes), log=m * d * n_boxes, bytes=16.0 * d * m
        )
        answer = (lambda: _textbook(*arguments)) if slopes else (lambda: _textbook(*arguments)[:1])
        return Prepared(lambda: ours(*arguments), answer, work, tolerance=1e-9)

    return Kernel("ehvi", name, SIZES, prepare)


def _boxes(d: int, k: int) -> Prepared:
    """Beside the strips of a sorted front, which two objectives need."""
    from hpo_core.native import ehvi

    front, reference = _front(d, k), np.full(d, REFERENCE)

    def strips() -> tuple[Array, Array]:
        x, y = front[:, np.argsort(front[0])]
        lower = np.stack([np.concatenate([[-np.inf], x]), np.full(k + 1, -np.inf)])
        return lower, np.stack([np.append(x, REFERENCE), np.concatenate([[REFERENCE], y])])

    return Prepared(lambda: ehvi.boxes(front, reference), strips, Work(k, bytes=8.0 * 5 * d * k))


KERNELS = (
    _kernel("log_ehvi"),
    _kernel("log_ehvi_slopes"),
    Kernel("ehvi", "boxes", grid(d=(2,), k=(50, 200, 2000)), _boxes),
)
