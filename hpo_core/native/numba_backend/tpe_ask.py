"""Asking the TPE model, in numba: candidates from l, their scores, and the choice of one or many.

Functions are named as in csrc/tpe_ask.c.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from hpo_core.native.numba_backend.domain import group_mask
from hpo_core.native.numba_backend.parzen_kernels import CTX_CAT, CTX_NUM, N_NUM, context_terms, density
from hpo_core.native.numba_backend.parzen_kernels import draw as parzen_draw
from hpo_core.native.numba_backend.philox import philox_u01, uniforms_of_trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.numba_backend.parzen import Mixture
    from hpo_core.native.numba_backend.tpe import Model

    Array = NDArray[np.float64]
    Trials = NDArray[np.int64]

DRAW_TAG, CHOICE_TAG = 3 << 56, 4 << 56
REPULSION = 2.0


class Pool:
    """Candidates, and what scoring leaves for choosing; ``tpe_pool``."""

    def __init__(self, model: Model, m: int) -> None:
        self.capacity = -(-m // 8) * 8
        self.x = np.zeros((len(model.domain.kinds), self.capacity))
        self.log_below = np.zeros(self.capacity)
        self.log_failed = np.zeros(self.capacity)
        self.above_joint = np.zeros((model.n_groups, self.capacity))
        self.above_context = np.zeros((model.n_groups, self.capacity))


# ---- draws -------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def stratified(seed: Any, stream: Any, tag: Any, u_out: Array) -> None:
    """Uniform numbers, one in each of m equal strata, in random order."""
    m = u_out.size
    order = np.empty(m, np.int32)
    for j in range(m):
        i = int(philox_u01(seed, stream, tag + np.uint64(2 * j + 1)) * (j + 1))
        order[j] = order[i]
        order[i] = j
    for j in range(m):
        u_out[j] = (order[j] + philox_u01(seed, stream, tag + np.uint64(2 * j))) / m


@njit(cache=True, nogil=True)
def pick_conditional(terms: Array, u: Array, component_out: NDArray[np.int32]) -> None:
    """Component of each candidate by inverse CDF of the weights whose logs are ``terms`` (size, m)."""
    size = terms.shape[0]
    for j in range(u.size):
        top, total = -math.inf, 0.0
        for k in range(size):
            top = max(top, terms[k, j])
        for k in range(size):
            total += math.exp(terms[k, j] - top)
        left = u[j] * total
        component_out[j] = size - 1
        for k in range(size - 1):
            left -= math.exp(terms[k, j] - top)
            if left <= 0.0:
                component_out[j] = k
                break


def pick_components(p: Mixture, u: Array) -> NDArray[np.int32]:
    """Component of each candidate by inverse CDF of the mixture's weights."""
    cumulative = np.cumsum(np.exp(p.array("log_weight")[: p.size]))
    component: NDArray[np.int32] = np.searchsorted(cumulative[:-1], u * cumulative[-1]).astype(np.int32)
    return component


def gather(p: Mixture, pool: Pool, index: Trials) -> Array:
    """Columns of the candidates, (columns, m)."""
    return np.ascontiguousarray(pool.x[p.dims[:, None], index])


def active(model: Model, pool: Pool, g: int, index: Trials) -> NDArray[np.bool_]:
    """Where the group is active, by its own coordinates."""
    first, last = model.domain.member_start[g : g + 2]
    if first == last:
        return np.zeros(len(index), np.bool_)
    missing: NDArray[np.bool_] = np.isnan(pool.x[model.domain.members[first], index])
    return ~missing


def draw_group(model: Model, g: int, stream: np.uint64, tag: int, pool: Pool, index: Trials) -> None:
    """Draw the group's own columns of the candidates."""
    below = model.groups[g].below
    u, value = np.empty(len(index)), np.empty(len(index))
    stratified(model.seed, stream, np.uint64(tag), u)
    if g == 0:
        component = pick_components(below, u)
    else:
        terms, component = np.empty((below.size, len(index))), np.empty(len(index), np.int32)
        context_terms(below.p, gather(below, pool, index), terms)
        pick_conditional(terms, u, component)
    n_num, ctx_num, ctx_cat = (below.p.counts[i] for i in (N_NUM, CTX_NUM, CTX_CAT))
    for c in (*range(ctx_num, n_num), *range(n_num + ctx_cat, below.n_columns)):
        stratified(model.seed, stream, np.uint64(tag + ((c + 1) << 24)), u)
        parzen_draw(below.p, model.domain, c, component, u, value)
        pool.x[below.dims[c], index] = value


def draw(model: Model, pool: Pool, stream: int, attempt: int, m: int) -> None:
    """Draw m candidates from l, inactive ones NaN."""
    domain, mask = model.domain, np.ones(pool.capacity, np.uint8)
    for g in range(model.n_groups):
        if g > 0:
            members = domain.members[domain.member_start[g] : domain.member_start[g + 1]]
            group_mask(domain, g, pool.x, mask)
            pool.x[members, :m] = np.nan
        index = np.flatnonzero(mask[:m])
        if len(index):
            draw_group(model, g, np.uint64(stream | attempt << 40), DRAW_TAG | g << 36, pool, index)


# ---- scores ------------------------------------------------------------------------------------------------


def evaluate(p: Mixture, block: Array, k0: int, log_total: float) -> tuple[Array, Array]:
    """Log sum_k w_k A_k B_k and log sum_k w_k A_k (without a context, ``log_total``) over kernels k0.."""
    joint, context = np.empty(block.shape[1]), np.full(block.shape[1], log_total)
    density(p.p, block, k0, p.size, joint, context)
    return joint, context


def score(model: Model, pool: Pool, first: int, last: int) -> None:
    """Log densities of candidates first..last-1."""
    pool.log_below[first:last] = pool.log_failed[first:last] = 0.0
    pool.above_joint[:, first:last] = pool.above_context[:, first:last] = 0.0
    for g, group in enumerate(model.groups):
        every = np.arange(first, last)
        index = every[active(model, pool, g, every)]
        if not len(index):
            continue
        block = gather(group.below, pool, index)
        joint, context = evaluate(group.below, block, 0, group.below_total)
        pool.log_below[index] += joint - context
        log_weight = math.log(group.above_weight)
        pool.above_joint[g, index], pool.above_context[g, index] = evaluate(group.above, block, 0, log_weight)
        if model.groups[0].n_failed > 0:
            joint, context = evaluate(group.failed, block, 0, group.failed_total)
            pool.log_failed[index] += joint - context


def final_score(model: Model, pool: Pool, index: Trials, log_above: Array) -> Array:
    """Log l - log g + REPULSION log P, P = (1 - p) g / [(1 - p) g + p f]; ``log_above`` is log g."""
    n, n_failed = model.groups[0].n, model.groups[0].n_failed
    gain: Array = pool.log_below[index] - log_above
    if n_failed == 0:
        return gain
    log_p = math.log(n_failed / (n + n_failed))
    log_rest = math.log(n / (n + n_failed)) if n else -math.inf
    works = log_rest + log_above
    return gain + REPULSION * (works - np.logaddexp(works, log_p + pool.log_failed[index]))


def scores(model: Model, pool: Pool, m: int) -> Array:
    """Score of the first m candidates as they were when scored."""
    log_above = np.zeros(m)
    for g in range(model.n_groups):
        log_above += pool.above_joint[g, :m] - pool.above_context[g, :m]
    return final_score(model, pool, np.arange(m), log_above)


# ---- choice ------------------------------------------------------------------------------------------------


def updated_log_above(model: Model, pool: Pool, candidates: Trials) -> Array:
    """Log g of candidates, with the kernels that joined since the pool was scored."""
    out = np.zeros(len(candidates))
    for g, group in enumerate(model.groups):
        where = np.flatnonzero(active(model, pool, g, candidates))
        index = candidates[where]
        joint, context = pool.above_joint[g, index], pool.above_context[g, index]
        if group.above.size > group.scored and len(index):
            block = gather(group.above, pool, index)
            more, more_context = evaluate(group.above, block, group.scored, 0.0)
            joint = np.logaddexp(joint, more)
            if group.above.has_context:
                context = np.logaddexp(context, more_context)
            else:
                context = np.full(len(index), math.log(group.above_weight))
        out[where] += joint - context
    return out


def take_subset(
    model: Model, m: int, stream: int, subset: int, pick: int, q: int, taken: NDArray[np.bool_]
) -> Trials:
    """Candidates of one subset, without those already taken."""
    index = pick * subset + np.arange(subset)
    if q * subset > m:
        u = np.empty(subset)
        uniforms_of_trial(int(model.seed), stream, CHOICE_TAG | pick * subset, u)
        index = (u * m).astype(np.int64)
    index = index[index < m]
    index = index[~taken[index]]
    return index if len(index) else np.flatnonzero(~taken)


def choose(model: Model, pool: Pool, m: int, stream: int, subset: int, picks_out: Trials) -> int:
    """Pick candidates into ``picks_out``, each the best of a subset; return how many there were."""
    taken = np.zeros(m, np.bool_)
    q, subset = len(picks_out), min(subset, m)
    for group in model.groups:
        group.scored = group.above.size
    for pick in range(q):
        index = take_subset(model, m, stream, subset, pick, q, taken)
        if not len(index):
            return pick
        score = final_score(model, pool, index, updated_log_above(model, pool, index))
        best = index[np.fmax(score, -np.inf).argmax()]  # NaN is no candidate
        picks_out[pick] = best
        taken[best] = True
        if pick + 1 < q:
            model.join(np.ascontiguousarray(pool.x[:, best : best + 1]))
    return q
