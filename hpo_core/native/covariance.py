"""Matern-5/2 correlations of mixed and conditional points, and their gradients, behind their door.

symbol  name here     shape    meaning
d       -             -        parameters, one column each
G       -             -        groups of parameters that are active together; group 0 always is
n, m    -             -        points of the first and of the second argument
l       lengthscale   (d,)     scale of each parameter
c       correlation   (G,)     k between a point where the group is active and one where it is not

k(x, x') = prod_g k_g;  k_0 = M(r_0);  for g > 0

    k_g = c² + (1 - c²) M(r_g)   active in both points
        = c                      in one
        = 1                      in neither

    M(r) = (1 + √5 r + 5/3 r²) exp(-√5 r),   r_g² = sum over the group's columns of
           ((x - x') / l)² for a number,  1 / l² for categories that differ.

Positive definite: a point where g is active embeds as c u + √(1 - c²) ψ(x), any other as u.
Distances are computed pair by pair, not through a matrix product, so near points keep every digit.
Rasmussen & Williams 2006, eq. 4.17.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.layout import Kind
from hpo_core.native._backend import module
from hpo_core.native.threads import parallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.layout import Layout

    Array = NDArray[np.float64]

# About 50 us of work: fewer pairs do not pay for another thread.
PAIRS_PER_THREAD = 20_000
PARTLY_INACTIVE = (
    "x must be NaN in all columns of an inactive group and nowhere else, "
    "got NaN in group 0 or in some columns of a group"
)


class Structure:
    """The mapping of parameters to columns: group by group, in each group numbers before categories.

    Attributes
    ----------
    order : (d,) int64
        Parameter of each column.
    group_start : (G + 1,) int64
        Group g owns columns ``group_start[g]:group_start[g + 1]``.
    n_numeric : (G,) int64
        How many of them, the leading ones, are numbers.
    """

    __slots__ = ("group_start", "layout", "n_numeric", "order")

    def __init__(self, layout: Layout) -> None:
        categorical = layout.kinds == Kind.CATEGORICAL
        groups = np.arange(layout.n_groups)
        self.layout = layout
        self.order = np.lexsort((categorical, layout.group)).astype(np.int64)
        self.group_start = np.searchsorted(layout.group[self.order], np.arange(layout.n_groups + 1))
        self.n_numeric = np.array([np.sum(~categorical & (layout.group == g)) for g in groups], np.int64)

    @property
    def n_columns(self) -> int:
        """Number of columns, d."""
        return len(self.order)

    @property
    def n_groups(self) -> int:
        """Number of groups, G."""
        return len(self.n_numeric)


class Kernel:
    """One set of hyperparameters.

    Parameters
    ----------
    structure : Structure
    lengthscale : (d,)
        Positive, one per parameter; inf makes a parameter irrelevant.
    correlation : (G,)
        In [0, 1]; that of group 0 is not used.
    """

    __slots__ = ("correlation", "handle", "lengthscale", "structure")

    def __init__(self, structure: Structure, lengthscale: Array, correlation: Array) -> None:
        self.structure = structure
        self.lengthscale = _vector("lengthscale", lengthscale, structure.n_columns)
        self.correlation = _vector("correlation", correlation, structure.n_groups)
        if not self.lengthscale.min(initial=math.inf) > 0.0:
            raise ArgumentError(f"lengthscale must be > 0 everywhere, got {lengthscale}")
        if structure.n_groups > 1 and not np.all((self.correlation[1:] >= 0) & (self.correlation[1:] <= 1)):
            raise ArgumentError(f"correlation must be from 0 to 1, got {correlation}")
        self.handle = module("covariance").Kernel(
            structure.order, structure.group_start, structure.n_numeric, self.lengthscale, self.correlation
        )


class Inputs(NamedTuple):
    """Points as one kernel's loops read them, columns in the structure's order."""

    z: Array  # (d, n) x / l of a number, the index of a category, 0 where inactive
    rows: Array  # (n, d) the same, point by point
    active: Array  # (G, n) 1 where the group is active, else 0


def inputs(kernel: Kernel, x: Array) -> Inputs:
    """Scale points ``x`` (d, n); a group is active where its parameters are not NaN.

    Raises
    ------
    ArgumentError
        Another number of rows, or a point where a part of a group, or of group 0, is NaN.
    """
    x = np.ascontiguousarray(x, np.float64)
    d, groups = kernel.structure.n_columns, kernel.structure.n_groups
    if x.ndim != 2 or x.shape[0] != d:
        raise ArgumentError(f"x must have shape ({d}, n), got {x.shape}")
    n = x.shape[1]
    scaled = Inputs(np.empty((d, n)), np.empty((n, d)), np.empty((groups, n)))
    if not module("covariance").inputs(kernel.handle, x, *scaled):
        raise ArgumentError(PARTLY_INACTIVE)
    return scaled


def matrix(kernel: Kernel, a: Inputs, out: Array | None = None) -> Array:
    """Kernel matrix (n, n) of points with themselves: symmetric, the diagonal exactly 1.

    ``out`` may be a view of a larger buffer if its rows are contiguous; all of it is written.
    """
    n = _points("a", kernel, a)
    out = _output(out, (n, n))
    run = module("covariance").matrix
    _spread_triangle(lambda start, stop: run(kernel.handle, a.z, a.rows, a.active, start, stop, out), n)
    return out


def cross(kernel: Kernel, a: Inputs, b: Inputs, out: Array | None = None) -> Array:
    """Kernel matrix (n, m) between two sets of points; ``out`` as in :func:`matrix`."""
    n, m = _points("a", kernel, a), _points("b", kernel, b)
    out = _output(out, (n, m))
    run = module("covariance").cross
    _spread(lambda start, stop: run(kernel.handle, a.rows, a.active, b.z, b.active, start, stop, out), n, m)
    return out


def cross_mean(kernel: Kernel, a: Inputs, weights: Array, b: Inputs) -> Array:
    """``weights @ cross(kernel, a, b)`` for weights (k, n), without the matrix: (k, m)."""
    n, m = _points("a", kernel, a), _points("b", kernel, b)
    weights = np.ascontiguousarray(weights, np.float64)
    if weights.ndim != 2 or weights.shape[1] != n:
        raise ArgumentError(f"weights must have shape (k, {n}), got {weights.shape}")
    out = np.empty((weights.shape[0], m))
    run = module("covariance").cross_mean
    _spread(
        lambda start, stop: run(kernel.handle, a.rows, a.active, weights, b.z, b.active, start, stop, out),
        n,
        m,
    )
    return out


def slopes(kernel: Kernel, a: Inputs, weight: Array) -> tuple[Array, Array]:
    """Gradient of f = ½ sum_ij W_ij K_ij with respect to log l and c, for a symmetric W (n, n).

    Only the lower triangle of W is read. The gradient with respect to the points, row by row
    sum_j W_ij dk(x_i, x_j) / dx_i, is ``cross_slopes(kernel, a, a, weight)``.

    Returns
    -------
    by_log_lengthscale : (d,)
    by_correlation : (G,)
        0 for group 0.
    """
    n = _points("a", kernel, a)
    weight = _weight(weight, (n, n))
    d, groups = kernel.structure.n_columns, kernel.structure.n_groups
    by_l, by_c = np.zeros((d, n)), np.zeros((groups, n))
    run = module("covariance").slopes
    _spread_triangle(
        lambda start, stop: run(kernel.handle, a.z, a.rows, a.active, weight, start, stop, by_l, by_c), n
    )
    return np.add.reduce(by_l, axis=1), np.add.reduce(by_c, axis=1)


def cross_slopes(kernel: Kernel, a: Inputs, b: Inputs, weight: Array) -> Array:
    """Gradient with respect to the points of ``b``: sum_i W_ij dk(a_i, b_j) / db_j for W (n, m).

    Returns
    -------
    (d, m) array
        One row per parameter; 0 for categories and where inactive.
    """
    n, m = _points("a", kernel, a), _points("b", kernel, b)
    weight = _weight(weight, (n, m))
    out = np.zeros((kernel.structure.n_columns, m))
    run = module("covariance").cross_slopes
    _spread(
        lambda start, stop: run(kernel.handle, a.rows, a.active, b.z, b.active, weight, start, stop, out),
        n,
        m,
    )
    return out


def _vector(name: str, values: Array, size: int) -> Array:
    vector = np.ascontiguousarray(values, np.float64)
    if vector.shape != (size,):
        raise ArgumentError(f"{name} must have shape ({size},), got {vector.shape}")
    return vector


def _points(name: str, kernel: Kernel, given: Inputs) -> int:
    """Number of points, once they are found to fit the kernel."""
    d, n = given.z.shape[0], int(given.z.shape[1])
    if d != kernel.structure.n_columns or given.active.shape[0] != kernel.structure.n_groups:
        raise ArgumentError(
            f"{name} must have {kernel.structure.n_columns} columns in {kernel.structure.n_groups} groups, "
            f"as the kernel has, got {d} in {given.active.shape[0]}"
        )
    return n


def _output(out: Array | None, shape: tuple[int, int]) -> Array:
    if out is None:
        return np.empty(shape)
    if out.shape != shape or out.dtype != np.float64 or not _rows_contiguous(out):
        raise ArgumentError(
            f"out must be float64 of shape {shape} with contiguous rows, "
            f"got {out.dtype} of shape {out.shape} with strides {out.strides}"
        )
    return out


def _weight(weight: Array, shape: tuple[int, int]) -> Array:
    weight = np.asarray(weight, np.float64)
    if weight.shape != shape:
        raise ArgumentError(f"weight must have shape {shape}, got {weight.shape}")
    return weight if _rows_contiguous(weight) else np.ascontiguousarray(weight)


def _rows_contiguous(array: Array) -> bool:
    return (array.strides[1] == array.itemsize and array.strides[0] >= 0) or array.shape[1] <= 1


def _spread(run: Callable[[int, int], object], n: int, m: int) -> None:
    """Call ``run`` on ranges of m columns, each n pairs of work."""
    if n * m < 2 * PAIRS_PER_THREAD:
        run(0, m)
    else:
        parallel(run, m, PAIRS_PER_THREAD // n + 1)


def _spread_triangle(run: Callable[[int, int], object], n: int) -> None:
    """Call ``run`` on ranges of the columns of a lower triangle: a long column pairs with a short one."""

    def both(start: int, stop: int) -> None:
        run(start // 2, stop // 2)
        run(n - (stop + 1) // 2, n - start // 2)

    if n * n < 4 * PAIRS_PER_THREAD:
        run(0, n)
    else:
        parallel(both, n, 2 * PAIRS_PER_THREAD // n + 1)
