"""Non-dominated sorting and hypervolume; csrc/hypervolume.h says how.

Points stand in columns, y (m, n), and less is better in every row. A point dominates another if it is no
worse in any objective and better in one. Infinities are values like others; NaN is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native._backend import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def front_ranks(y: Array) -> NDArray[np.int64]:
    """Number of each point's front (n,): 0 if nothing dominates it, 1 if only points of front 0 do, ...

    Equal points share a front. O(n log n) for two objectives, O(n log^(m-1) n) for more.
    """
    points, place = _distinct(_checked(y))
    return _ranks(points)[place].astype(np.int64)


def is_front(y: Array) -> NDArray[np.bool_]:
    """Whether nothing dominates a point, (n,); equal points are all on the front, or none of them."""
    y = _checked(y)
    on_front = _screened(y)
    points, place = _distinct(y[:, on_front])
    on_front[on_front] = _ranks(points)[place] == 0
    return on_front


def front_of(points: Array, starts: NDArray[np.int64], point: Array) -> int:
    """Number of the front that one more point (m,) would be on: the first that does not dominate it.

    ``points`` (n, m) stand in rows, front by front: front i in rows ``starts[i]`` to ``starts[i + 1] - 1``.
    """
    found: int = module("hypervolume").place(points, starts, point)
    return found


def hypervolume(y: Array, reference: Array) -> float:
    """Volume between the points and ``reference`` (m,), which is finite.

    A point that is not below the reference in every objective adds nothing; one that is -inf somewhere and
    finite elsewhere makes the volume inf. Relative error below 1e-12. O(n log n) for two objectives; beyond,
    for a front of k points, about O(k sqrt(k)) for three, O(k^2) for four, and O(k) times that for each more.
    """
    y, reference = _checked(y), _corner(y, reference)
    y = np.compress(np.all(y < reference[:, None], axis=0), y, axis=1)
    points = _sorted_rows(np.compress(_screened(y), y, axis=1))
    n, m = points.shape
    if np.isneginf(points).any():
        return np.inf
    if m == 1:
        return float(reference[0] - points[0, 0]) if n else 0.0
    found: float = module("hypervolume").volume(points, reference)
    return found


def contributions(y: Array, reference: Array) -> Array:
    """Hypervolume that the front loses without a point, (n,); 0 for dominated points and for duplicates.

    ``reference`` as in :func:`hypervolume`. Error below 1e-12 of the hypervolume. O(n log n) for two
    objectives; beyond, the cost of a hypervolume for each point of the front.
    """
    y, reference = _checked(y), _corner(y, reference)
    shares = np.zeros(y.shape[1])
    below = np.flatnonzero(np.all(y < reference[:, None], axis=0))
    front = below[is_front(y[:, below])]
    points, place = _distinct(y[:, front])
    once = np.bincount(place, minlength=points.shape[1])[place] == 1
    shares[front[once]] = _shares(points, reference)[place[once]]
    return shares


def contribution(points: Array, reference: Array, point: Array) -> float:
    """Hypervolume that one more point (m,) adds, m >= 2.

    ``points`` (n, m) stand in rows, sorted by the last objective; all of them, and the point, are finite and
    below the reference.
    """
    found: float = module("hypervolume").share(points, reference, point)
    return max(found, 0.0)


def _checked(y: Array) -> Array:
    y = np.ascontiguousarray(y, np.float64)
    if y.ndim != 2 or len(y) == 0:
        raise ArgumentError(f"y must have shape (m, n) with m >= 1, got {y.shape}")
    if np.isnan(y).any():
        raise ArgumentError(f"y must have no NaN, got {np.isnan(y).any(axis=0).sum()} points with one")
    return y


def _corner(y: Array, reference: Array) -> Array:
    reference = np.ascontiguousarray(reference, np.float64)
    if reference.shape != np.shape(y)[:1] or not np.isfinite(reference).all():
        raise ArgumentError(f"reference must be {len(y)} finite numbers, got {reference.tolist()}")
    return reference


def _screened(y: Array) -> NDArray[np.bool_]:
    """False for most of the points that others dominate, which takes no sorting."""
    keep = np.empty(y.shape[1], np.uint8)
    module("hypervolume").screen(y, keep)
    return keep.astype(np.bool_)


def _distinct(y: Array) -> tuple[Array, NDArray[np.int64]]:
    """Distinct points in lexicographic order, (m, k), and which of them each point is, (n,)."""
    order = np.lexsort(y[::-1])
    y = np.take(y, order, axis=1)
    is_new = np.ones(y.shape[1], np.bool_)
    is_new[1:] = np.any(y[:, 1:] != y[:, :-1], axis=0)
    place = np.empty(y.shape[1], np.int64)
    place[order] = np.cumsum(is_new) - 1
    return np.compress(is_new, y, axis=1), place


def _ranks(points: Array) -> NDArray[np.int32]:
    """Ranks of distinct points in lexicographic order."""
    ranks = np.empty(points.shape[1], np.int32)
    if len(points) <= 2:  # in one dimension, a point's only coordinate orders it twice
        module("hypervolume").pair_ranks(points[-1], ranks)
        return ranks
    level = np.stack([np.unique(row, return_inverse=True)[1] for row in points[1:]]).astype(np.int32)
    sweep = np.argsort(level[-2], kind="stable").astype(np.int32)
    module("hypervolume").ranks(level, sweep, ranks)
    return ranks


def _sorted_rows(points: Array) -> Array:
    """The points in rows, by the last objective."""
    return np.ascontiguousarray(points[:, np.argsort(points[-1], kind="stable")].T)


def _shares(points: Array, reference: Array) -> Array:
    """Contributions of a front's distinct points, in lexicographic order."""
    shares: Array = reference[0] - points[0]
    if len(points) == 2:
        above = np.concatenate([reference[1:], points[1, :-1]])
        shares = np.diff(points[0], append=reference[0]) * (above - points[1])
    if len(points) > 2:
        order = np.argsort(points[-1], kind="stable")
        by_last = np.empty(len(order))
        module("hypervolume").shares(_sorted_rows(points), reference, by_last)
        shares[order] = np.maximum(by_last, 0.0)
        shares[np.isneginf(points).any(axis=0)] = np.inf
    return shares
