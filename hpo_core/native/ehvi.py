"""Expected hypervolume improvement of independent normal predictions, in log space; less is better.

m, K, p        objectives, boxes, candidates
front          (m, k) values found so far, in columns; those that others dominate may be among them
reference      (m,) only what lies below it in every objective counts
lower, upper   (m, K) disjoint boxes: together what lies below the reference and is not dominated by the front
mean, sd       (m, p) of the predictions; sd = 0 is a value that is known exactly, such as a formula's
EHVI           the mean of what an outcome adds to the hypervolume that the front dominates; csrc/ehvi.h

EHVI is a sum over boxes of products over objectives of differences of expected improvements; no difference
that would cancel is left in. Its relative error is below 1e-12 + 1e-15 z^2, with z the standard deviations
from the mean to the region, while z < 1e150 and each sd is 0 or above 1e-300; farther out log EHVI stays
finite, but saturates. It is -inf only where EHVI is 0: where an objective with sd = 0 leaves no room for an
improvement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native._backend import module
from hpo_core.native.threads import parallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_OBJECTIVES = 3  # that boxes() takes
LANES = 8  # doubles of the widest vector: HPO_MAX_LANES
TERMS_PER_THREAD = 4096  # bounds of boxes times candidates: about 50 us of work


def boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Cut the region that improves on a front into disjoint boxes, at most 2 k + 1.

    Parameters
    ----------
    front : (m, k)
        Finite, 1 <= m <= 3; k may be 0. Points not below the reference are ignored.
    reference : (m,)
        Finite.

    Returns
    -------
    lower, upper : (m, K)
        Lower bounds may be -inf.

    References
    ----------
    R. Lacour, K. Klamroth, C. M. Fonseca (2017), A box decomposition algorithm to compute the hypervolume
    indicator, Computers & Operations Research 79. The sweep here is its three-objective case.
    """
    front, reference = np.ascontiguousarray(front, np.float64), np.ascontiguousarray(reference, np.float64)
    if front.ndim != 2 or not 1 <= len(front) <= MAX_OBJECTIVES or reference.shape != front.shape[:1]:
        raise ArgumentError(
            f"front and reference must have shapes (m, k) and (m,) with 1 <= m <= {MAX_OBJECTIVES}, "
            f"got {front.shape} and {reference.shape}"
        )
    if not (finite := np.isfinite(both := np.column_stack([front, reference]))).all():
        raise ArgumentError(f"front and reference must be finite everywhere, got {both[~finite][0]}")
    inside = front[:, (front < reference[:, None]).all(axis=0)]
    m, k = inside.shape
    swept = inside[2 if m == MAX_OBJECTIVES else 0]  # of two, each point then becomes the last column
    inside = np.ascontiguousarray(inside[:, np.argsort(swept, kind="stable")])
    lower, upper = np.empty((2, m, 2 * k + 1))
    n = module("ehvi").boxes(inside, reference, np.empty((3, k + 1)), lower, upper)
    return lower[:, :n].copy(), upper[:, :n].copy()


def log_ehvi(mean: Array, sd: Array, lower: Array, upper: Array) -> Array:
    """Log of the expected hypervolume improvement (p,); NaN where a mean or an sd is NaN, or sd < 0."""
    mean, sd, lower, upper = _checked(mean, sd, lower, upper)
    out = np.full(mean.shape[1], -np.inf)
    _over_candidates(module("ehvi").log_ehvi, mean, sd, lower, upper, out)
    return out


def log_ehvi_slopes(mean: Array, sd: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Log EHVI (p,) and its derivatives with respect to mean and to sd, (m, p) each.

    The derivative with respect to an sd of 0 is given as 0: what is known exactly stays so. All are 0 where
    log EHVI is -inf.
    """
    mean, sd, lower, upper = _checked(mean, sd, lower, upper)
    value = np.full(mean.shape[1], -np.inf)
    slopes = np.zeros((2, *mean.shape))
    _over_candidates(module("ehvi").log_ehvi_slopes, mean, sd, lower, upper, value, slopes)
    return value, slopes[0], slopes[1]


def _over_candidates(
    f: Callable[..., None], mean: Array, sd: Array, lower: Array, upper: Array, *out: Array
) -> None:
    (m, p), k = mean.shape, lower.shape[1]
    if k == 0 or p == 0:
        return
    bounds, n_bounds, places = np.empty((m, 2 * k)), np.empty(m, np.int64), np.empty((2, m, k), np.int64)
    module("ehvi").index(lower, upper, bounds, n_bounds, places)

    def run(start: int, stop: int) -> None:
        scratch = np.empty((k * (2 * m + 11) + 1, LANES))
        f(mean, sd, bounds, n_bounds, places, start, stop, scratch, *out)

    parallel(run, p, TERMS_PER_THREAD // (k * m) + 1)


def _checked(mean: Array, sd: Array, lower: Array, upper: Array) -> tuple[Array, ...]:
    arrays = tuple(np.ascontiguousarray(array, np.float64) for array in (mean, sd, lower, upper))
    mean, sd, lower, upper = arrays
    fit = mean.ndim == lower.ndim == 2 and mean.shape == sd.shape and lower.shape == upper.shape
    if not fit or len(mean) != len(lower) or not len(mean):
        raise ArgumentError(
            "mean, sd, lower and upper must have shapes (m, p), (m, p), (m, K) and (m, K) with m >= 1, "
            f"got {mean.shape}, {sd.shape}, {lower.shape} and {upper.shape}"
        )
    if not (lower <= upper).all():
        raise ArgumentError("lower and upper must satisfy lower <= upper everywhere, and neither may be NaN")
    return arrays
