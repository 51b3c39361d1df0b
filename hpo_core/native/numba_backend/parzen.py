"""Parzen mixtures in numba: upkeep, and the class of _parzen.pyx; functions are named as in csrc/parzen.c."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from hpo_core.native.numba_backend.domain import DISCRETE, lookup
from hpo_core.native.numba_backend.normal import mass
from hpo_core.native.numba_backend.parzen_kernels import (
    CTX_CAT,
    CTX_NUM,
    N_NUM,
    ORDERED,
    SIZE,
    Arrays,
    density,
    draw,
    level_mass,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import DomainArrays

    Array = NDArray[np.float64]
    Indices = NDArray[np.int32]

SQRT_HALF = 0.7071067811865476
ROOT_TWO_PI = 2.5066282746310002
MANY = 4
LANES = 8  # what the compiled backend evaluates at once; callers pad to it


@njit(cache=True, error_model="numpy")
def bandwidth(
    p: Arrays, dom: DomainArrays, dim: int, x: float, left: float, right: float, floor: float
) -> float:
    """The larger or the mean gap to the neighbours, NaN where there is none."""
    if math.isnan(left) and math.isnan(right):
        sigma = max(x, 1.0 - x)
    elif math.isnan(left):
        sigma = right - x
    elif math.isnan(right):
        sigma = x - left
    else:
        sigma = max(x - left, right - x) if p.sigma.shape[1] < MANY else 0.5 * (right - left)
    half_cell = 0.5 * lookup(dom, dim, dom.widths, x) if dom.kinds[dim] == DISCRETE else 0.0
    return min(max(sigma, floor, half_cell), 1.0)


@njit(cache=True, error_model="numpy")
def finish_column(p: Arrays, dom: DomainArrays, column: int, k: int) -> None:
    """Normaliser and row entries of a slot whose sigma is set."""
    dim, mu, sigma = p.dims[column], p.center[k, column], p.sigma[k, column]
    scale = SQRT_HALF / sigma
    shift = -mu * scale
    if dom.kinds[dim] == DISCRETE:
        first, last = dom.table_start[dim], dom.table_start[dim + 1]
        room = np.empty(last - first)
        total = level_mass(scale, shift, dom.centers[first:last], dom.widths[first:last], room)
        p.log_norm[k, column] = math.log(total)
    else:
        p.log_norm[k, column] = math.log(ROOT_TWO_PI * sigma * mass(-mu / sigma, (1.0 - mu) / sigma))
    p.row[k, 2 * column] = scale
    p.row[k, 2 * column + 1] = shift


@njit(cache=True, error_model="numpy")
def update_ranks(p: Arrays, dom: DomainArrays, column: int, first: int, last: int, floor: float) -> None:
    """Bandwidths of the slots at ranks first..last of one sorted column, as far as there are such."""
    order, ordered = p.order[column], p.counts[ORDERED]
    for r in range(max(first, 0), min(last, ordered - 1) + 1):
        left = p.center[order[r - 1], column] if r > 0 else math.nan
        right = p.center[order[r + 1], column] if r + 1 < ordered else math.nan
        k = order[r]
        p.sigma[k, column] = bandwidth(p, dom, p.dims[column], p.center[k, column], left, right, floor)
        finish_column(p, dom, column, k)


@njit(cache=True, error_model="numpy")
def rank_of(p: Arrays, column: int, slot: int) -> int:
    """Number of sorted slots that precede one: by centre, ties by slot."""
    low, high = 0, p.counts[ORDERED]
    x = p.center[slot, column]
    while low < high:
        middle = (low + high) // 2
        other = p.order[column, middle]
        y = p.center[other, column]
        if y < x or (y == x and other < slot):
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, error_model="numpy")
def constants(p: Arrays, k0: int, k1: int) -> None:
    """Constants of slots k0..k1-1."""
    n_num, ctx_num, ctx_cat = p.counts[N_NUM], p.counts[CTX_NUM], p.counts[CTX_CAT]
    for k in range(k0, k1):
        context, own = p.log_weight[k], 0.0
        for c in range(ctx_num):
            context -= p.log_norm[k, c]
        for c in range(ctx_num, n_num):
            own -= p.log_norm[k, c]
        if k == 0:
            for c in range(p.prior_shift.size):
                if c < ctx_cat:
                    context += p.prior_shift[c]
                else:
                    own += p.prior_shift[c]
        p.constant[k, 0] = context
        p.constant[k, 1] = own


@njit(cache=True, error_model="numpy")
def update_around(p: Arrays, dom: DomainArrays, column: int, first: int, last: int, floor: float) -> None:
    """``update_ranks``, and the constants that follow."""
    update_ranks(p, dom, column, first, last, floor)
    for r in range(max(first, 0), min(last, p.counts[ORDERED] - 1) + 1):
        k = p.order[column, r]
        constants(p, k, k + 1)


@njit(cache=True, error_model="numpy")
def _rebuild(p: Arrays, dom: DomainArrays, floor: float) -> None:
    for column in range(p.counts[N_NUM]):
        update_ranks(p, dom, column, 0, p.counts[ORDERED] - 1, floor)
    constants(p, 0, p.counts[SIZE])


@njit(cache=True, error_model="numpy")
def _insert(p: Arrays, dom: DomainArrays, k: int, floor: float) -> None:
    before = p.counts[ORDERED]
    for column in range(p.counts[N_NUM]):
        order = p.order[column]
        p.counts[ORDERED] = before
        rank = rank_of(p, column, k)
        for r in range(before, rank, -1):
            order[r] = order[r - 1]
        order[rank] = k
        p.counts[ORDERED] = before + 1
        update_around(p, dom, column, rank - 1, rank + 1, floor)
    p.counts[ORDERED] = before + 1
    constants(p, k, k + 1)


@njit(cache=True, error_model="numpy")
def _remove(p: Arrays, dom: DomainArrays, k: int, floor: float) -> None:
    before = p.counts[ORDERED]
    for column in range(p.counts[N_NUM]):
        order = p.order[column]
        p.counts[ORDERED] = before
        rank = rank_of(p, column, k)
        for r in range(rank, before - 1):
            order[r] = order[r + 1]
        p.counts[ORDERED] = before - 1
        update_around(p, dom, column, rank - 1, rank, floor)
    p.counts[ORDERED] = before - 1


@njit(cache=True, error_model="numpy")
def _attach(p: Arrays, dom: DomainArrays, k: int, floor: float) -> None:
    for column in range(p.counts[N_NUM]):
        rank = rank_of(p, column, k)
        left = p.center[p.order[column, rank - 1], column] if rank > 0 else math.nan
        right = p.center[p.order[column, rank], column] if rank < p.counts[ORDERED] else math.nan
        p.sigma[k, column] = bandwidth(p, dom, p.dims[column], p.center[k, column], left, right, floor)
        finish_column(p, dom, column, k)
    constants(p, k, k + 1)


class Mixture:
    """The class of _parzen.pyx."""

    def __init__(
        self,
        domain: DomainArrays,
        dims: NDArray[np.int64],
        n_num: int,
        ctx_num: int,
        ctx_cat: int,
        capacity: int,
    ) -> None:
        n_cat = len(dims) - n_num
        self.domain = domain
        self.dims = np.array(dims)
        self.p = Arrays(
            counts=np.array([1, 0, n_num, ctx_num, ctx_cat]),
            dims=self.dims,
            center=np.zeros((capacity, len(dims))),
            sigma=np.zeros((capacity, n_num)),
            log_norm=np.zeros((capacity, n_num)),
            log_weight=np.zeros(capacity),
            row=np.zeros((capacity, 2 * n_num + n_cat)),
            constant=np.zeros((capacity, 2)),
            order=np.zeros((n_num, capacity), np.int32),
            match=np.zeros((n_cat, 2)),
            prior_shift=np.zeros(n_cat),
        )
        self.has_context = ctx_num + ctx_cat > 0
        self.clear(1.0)

    @property
    def size(self) -> int:
        """Kernels in use, the uniform one included."""
        return int(self.p.counts[SIZE])

    @size.setter
    def size(self, size: int) -> None:
        self.p.counts[SIZE] = size

    @property
    def ordered(self) -> int:
        """Slots in ``order``; attached kernels stand behind them."""
        return int(self.p.counts[ORDERED])

    @property
    def n_columns(self) -> int:
        """Number of columns, D."""
        return len(self.dims)

    @property
    def capacity(self) -> int:
        """Slots there are."""
        return len(self.p.log_weight)

    def array(self, name: str) -> NDArray[Any]:
        """Return an array of csrc/parzen.h by its name there."""
        array: NDArray[Any] = getattr(self.p, name)
        return array

    def clear(self, prior_weight: float) -> None:
        """Empty the mixture to its prior component."""
        p, n_num = self.p, self.p.counts[N_NUM]
        p.counts[:2] = 1, 0
        p.log_weight[0] = math.log(prior_weight)
        p.log_norm[0] = 0.0
        p.row[0, : 2 * n_num] = 0.0
        p.row[0, 2 * n_num :] = -1.0

    def place(self, k: int, x: Array, trial: int, log_weight: float) -> None:
        """Write the centres of slot k from a column of x (d, n)."""
        p, n_num = self.p, self.p.counts[N_NUM]
        p.log_weight[k] = log_weight
        p.counts[SIZE] = max(p.counts[SIZE], k + 1)
        p.center[k] = x[self.dims, trial]
        p.row[k, 2 * n_num :] = p.center[k, n_num:]

    def move(self, source: int, to: int) -> None:
        """Copy a slot, out of the sorted columns."""
        for array in (self.p.center, self.p.row, self.p.log_weight):
            array[to] = array[source]

    def rebuild(self, floor: float) -> None:
        """Sort every numeric column and compute all bandwidths and normalisers."""
        n = self.size - 1
        self.p.counts[ORDERED] = n
        for column in range(self.p.counts[N_NUM]):
            self.p.order[column, :n] = 1 + np.argsort(self.p.center[1 : n + 1, column], kind="stable")
        _rebuild(self.p, self.domain, floor)

    def insert(self, k: int, floor: float) -> None:
        """Take a placed slot into the sorted columns."""
        _insert(self.p, self.domain, k, floor)

    def remove(self, k: int, floor: float) -> None:
        """Take a slot out of the sorted columns."""
        _remove(self.p, self.domain, k, floor)

    def attach(self, k: int, floor: float) -> None:
        """Compute the bandwidths of a slot among the sorted columns, which stay as they are."""
        _attach(self.p, self.domain, k, floor)

    def constants(self, k: int) -> None:
        """Compute the constants of one slot."""
        constants(self.p, k, k + 1)

    def smooth(self, epsilon: float) -> None:
        """Smooth categories: weight epsilon for each choice beside 1 for the observed one."""
        p = self.p
        choices = self.domain.levels[self.dims[p.counts[N_NUM] :]].astype(np.float64)
        p.match[:, 0] = math.log1p(1.0 / epsilon)
        p.match[:, 1] = math.log(epsilon) - np.log1p(choices * epsilon)
        p.prior_shift[:] = -np.log(choices) - p.match[:, 1]
        constants(p, 0, 1)

    def log_density(self, x: Array, joint_out: Array, context_out: Array) -> None:
        """Unnormalised log densities of candidates x (D, m)."""
        m = x.shape[1]
        if x.shape[0] != self.n_columns or joint_out.shape[0] != m or context_out.shape[0] != m or m % LANES:
            raise ValueError("x is (columns, m), outputs are (m), m is a multiple of 8")
        density(self.p, x, 0, self.size, joint_out, context_out)

    def draw(self, column: int, component: Indices, u: Array, x_out: Array) -> None:
        """Draw one column of candidates from B_k of their component."""
        if not component.shape[0] == u.shape[0] == x_out.shape[0]:
            raise ValueError("component, u and x_out have one length")
        draw(self.p, self.domain, column, component, u, x_out)
