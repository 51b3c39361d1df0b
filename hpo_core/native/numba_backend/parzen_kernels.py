"""Densities and draws in numba; csrc/parzen.h explains symbols, shapes and formulas.

There is no padding and no block of candidates here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from hpo_core.native.numba_backend.domain import CATEGORICAL, DISCRETE, snap
from hpo_core.native.numba_backend.normal import truncated_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import DomainArrays

    Array = NDArray[np.float64]
    Indices = NDArray[np.int32]

SIZE, ORDERED, N_NUM, CTX_NUM, CTX_CAT = range(5)


class Arrays(NamedTuple):
    """The arrays of ``parzen_mixture``, and its counts in one more, for the kernels to change."""

    counts: NDArray[np.int64]  # (5,) size, ordered, n_num, ctx_num, ctx_cat
    dims: NDArray[np.int64]
    center: Array
    sigma: Array
    log_norm: Array
    log_weight: Array
    row: Array
    constant: Array
    order: Indices
    match: Array
    prior_shift: Array


@njit(cache=True, nogil=True, error_model="numpy")
def level_mass(scale: float, shift: float, centers: Array, widths: Array, mass_out: Array) -> float:
    """Masses of the levels of a discrete kernel, and Z, their sum."""
    total = 0.0
    for i in range(centers.size):
        t = centers[i] * scale + shift
        mass_out[i] = widths[i] * math.exp(-t * t)
        total += mass_out[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def add_columns(p: Arrays, k: int, x: Array, j: int, a0: int, a1: int, b0: int, b1: int) -> float:
    """Numeric columns a0..a1-1 and category columns b0..b1-1 of one kernel's exponent."""
    n_num = p.counts[N_NUM]
    exponent = 0.0
    for c in range(a0, a1):
        t = x[c, j] * p.row[k, 2 * c] + p.row[k, 2 * c + 1]
        exponent -= t * t
    for c in range(b0, b1):
        if x[n_num + c, j] == p.row[k, 2 * n_num + c]:
            exponent += p.match[c, 0]
    return exponent


@njit(cache=True, nogil=True, error_model="numpy")
def _log_sum_exp(exponents: Array) -> float:
    top = exponents.max()
    total = 0.0
    for e in exponents:
        total += math.exp(e - top)
    return float(top + math.log(total))


@njit(cache=True, nogil=True, error_model="numpy")
def density(p: Arrays, x: Array, k0: int, k1: int, joint_out: Array, context_out: Array) -> None:
    """Log densities over kernels k0..k1-1; the context's only where the mixture has one."""
    n_num, ctx_num, ctx_cat, n_cat = p.counts[N_NUM], p.counts[CTX_NUM], p.counts[CTX_CAT], p.prior_shift.size
    context_base, joint_base = p.match[:ctx_cat, 1].sum(), p.match[:, 1].sum()
    context, joint = np.empty(k1 - k0), np.empty(k1 - k0)
    for j in range(x.shape[1]):
        for k in range(k0, k1):
            part = p.constant[k, 0] + add_columns(p, k, x, j, 0, ctx_num, 0, ctx_cat)
            context[k - k0] = part
            own = add_columns(p, k, x, j, ctx_num, n_num, ctx_cat, n_cat)
            joint[k - k0] = part + p.constant[k, 1] + own
        joint_out[j] = _log_sum_exp(joint) + joint_base
        if ctx_num + ctx_cat > 0:
            context_out[j] = _log_sum_exp(context) + context_base


@njit(cache=True, nogil=True, error_model="numpy")
def context_terms(p: Arrays, x: Array, terms_out: Array) -> None:
    """Log of w_k A_k(s) for every kernel, (size, m)."""
    for k in range(p.counts[SIZE]):
        for j in range(x.shape[1]):
            columns = add_columns(p, k, x, j, 0, p.counts[CTX_NUM], 0, p.counts[CTX_CAT])
            terms_out[k, j] = p.constant[k, 0] + columns


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_category(p: Arrays, c: int, choices: float, component: Indices, u: Array, x_out: Array) -> None:
    hit = math.exp(p.match[c, 0] + p.match[c, 1])
    for j in range(u.size):
        code = p.row[component[j], 2 * p.counts[N_NUM] + c]
        if code < 0.0:
            x_out[j] = min(math.floor(u[j] * choices), choices - 1.0)
        elif u[j] < hit or choices < 2.0:
            x_out[j] = code
        else:
            other = min(math.floor((u[j] - hit) / (1.0 - hit) * (choices - 1.0)), choices - 2.0)
            x_out[j] = other + (other >= code)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_levels(
    p: Arrays, column: int, centers: Array, widths: Array, component: Indices, u: Array, x_out: Array
) -> None:
    room = np.empty(centers.size)
    for j in range(u.size):
        k = component[j]
        target = u[j] * level_mass(p.row[k, 2 * column], p.row[k, 2 * column + 1], centers, widths, room)
        level, before = 0, room[0]
        while level + 1 < centers.size and target > before:
            level += 1
            before += room[level]
        x_out[j] = centers[level]


@njit(cache=True, nogil=True, error_model="numpy")
def draw(p: Arrays, dom: DomainArrays, column: int, component: Indices, u: Array, x_out: Array) -> None:
    """Draw one column of candidates from B_k of their component."""
    dim = p.dims[column]
    if dom.kinds[dim] == CATEGORICAL:
        _draw_category(p, column - p.counts[N_NUM], float(dom.levels[dim]), component, u, x_out)
        return
    if dom.kinds[dim] == DISCRETE:
        first, last = dom.table_start[dim], dom.table_start[dim + 1]
        _draw_levels(p, column, dom.centers[first:last], dom.widths[first:last], component, u, x_out)
        return
    for j in range(u.size):
        k = component[j]
        mu, sigma = p.center[k, column], p.sigma[k, column]
        x_out[j] = u[j] if k == 0 else mu + sigma * truncated_quantile(u[j], -mu / sigma, (1.0 - mu) / sigma)
    snap(dom, dim, x_out)
