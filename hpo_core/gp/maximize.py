"""Maximisation of a criterion: exact pruning of a pool, then local search from its best candidates.

Glossary
--------
n, m, d     data, candidates, parameters
criterion   what is maximised, and its bound: see ``hpo_core.gp.criteria``
start       a candidate that local search begins with

Candidates are settled and allowed: inside the space, permitted, not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.gp.criteria import N_BOUND, N_TIGHT, LogEI
from hpo_core.native.climb import Climb
from hpo_core.native.domain import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.criteria import Criterion
    from hpo_core.gp.neighbours import Neighbours
    from hpo_core.native.domain import Domain

    Array = NDArray[np.float64]
    Allowed = Callable[[Array], NDArray[np.bool_]]
    Gradient = Callable[[Array], tuple[Array, Array]]

# Candidates whose exact variance is computed at once, given 400 data or more: solves of this size are fastest
# and stop early. Fewer data mean wider blocks.
BLOCK = 64
# A bound pays if it leaves out more work than it costs: from so many data, and so many kernel values, on.
FEWEST_DATA, MIN_PRUNED = 4 * N_BOUND, 100_000
# Many times the rounding error of a bound and of a value.
SLACK = 1e-6
# Most steps of a climb, and the expected gain at which it ends: 1e-4 in log EI is 0.01 % of the improvement.
MAX_STEPS, TOLERANCE = 30, 1e-4


class Ranked(NamedTuple):
    """Candidates (d, k), best first, with their values (k,)."""

    x: Array
    value: Array


def best_of(criterion: Criterion, x: Array, k: int) -> tuple[NDArray[np.int64], Array]:
    """Return the k best of the candidates (d, m): their indices, best first, and their values.

    They are exactly the k best, the earlier of equals first: a candidate whose bound is below the k-th best
    value cannot be among them.
    """
    m, n = x.shape[1], criterion.n
    block = BLOCK * max(1, 400 // n)
    if m <= 2 * block or not _pays(n, m):
        value = np.concatenate([criterion.value(x[:, i : i + block]) for i in range(0, m, block)])
        index = np.argsort(-value, kind="stable")[:k]
        return index, value[index]
    bounds = criterion.bound(x)
    bound = bounds.value
    value = np.full(m, -np.inf)
    left = np.argsort(-bound, kind="stable")
    first, left = left[: max(block, k)], left[max(block, k) :]
    value[first] = criterion.value(x[:, first])
    left = left[bound[left] >= _least(value, k)]
    if len(left) > block and n > 2 * N_TIGHT:
        bound[left] = bounds.tightened(left)
        left = left[np.argsort(-bound[left], kind="stable")]
    while len(left) and bound[left[0]] >= _least(value, k):
        some, left = left[:block], left[block:]
        value[some] = criterion.value(x[:, some])
    index = np.argsort(-value, kind="stable")[:k]
    return index, value[index]


def _pays(n: int, m: int) -> bool:
    """Return whether bounds of m candidates, given n data, cost less than they save."""
    return n >= FEWEST_DATA and n * m >= MIN_PRUNED


def _least(value: Array, k: int) -> float:
    """Return the least bound that may be among the k best; -inf in ``value`` stands for no value yet."""
    known = value[value > -np.inf]  # a partition is slow where most are equal
    return float(np.partition(known, -k)[-k]) - SLACK if len(known) >= k else -np.inf


@dataclass(frozen=True)
class Search:
    """The moves and limits of local search.

    Attributes
    ----------
    continuous : (p,) int64
        Parameters that move in climbs.
    scale, low, high : (d,)
        Unit of each parameter, which is its lengthscale, and the box to stay in.
    neighbours : Neighbours or None
        Moves of discrete parameters; None if there are no such parameters.
    domain : Domain
    template : (d,)
        Values of parameters that become active.
    allowed : callable
        Maps configurations (d, m) to whether they may be proposed, (m,).
    """

    continuous: NDArray[np.int64]
    scale: Array
    low: Array
    high: Array
    neighbours: Neighbours | None
    domain: Domain
    template: Array
    allowed: Allowed
    n_starts: int = 8
    n_rounds: int = 2

    def settled(self, x: Array) -> Array:
        """Return configurations snapped, after inactive parameters were filled from the template."""
        return settle(self.domain, np.where(np.isnan(x), self.template[:, None], x))


def maximize(
    criterion: Criterion, pool: Array, search: Search, branch: NDArray[np.int64], *, k: int = 1
) -> Ranked:
    """Return the best candidates found, including the k best of the pool (fewer if it holds fewer).

    Parameters
    ----------
    criterion : Criterion
    pool : (d, m)
        Candidates, settled and allowed; m is at least 1.
    search : Search
    branch : (m,) int64
        Branch of a conditional space that each candidate is in. The best of each branch is a start, as far
        as the number of starts allows.
    k : int
        Candidates of the pool to return, in addition to the ones that local search finds.
    """
    spare = 4 if branch.any() else 1  # the best of a pool may all be in one branch
    index, value = best_of(criterion, pool, min(max(k, spare * search.n_starts), pool.shape[1]))
    starts = _starts(branch[index], search.n_starts)
    found = _improved(criterion, Ranked(pool[:, index[starts]], value[starts]), search)
    new = found.value > value[starts]
    x = np.concatenate([found.x[:, new], pool[:, index]], axis=1)
    value = np.concatenate([found.value[new], value])
    order = np.argsort(-value, kind="stable")
    return Ranked(np.ascontiguousarray(x[:, order]), value[order])


def _starts(branch: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the places of the starts in a ranking: the best of each branch, then the best of all."""
    if not branch.any():
        return np.arange(min(n, len(branch)))
    _, first = np.unique(branch, return_index=True)
    leaders = np.sort(first)[:n]
    others = np.setdiff1d(np.arange(len(branch)), leaders)[: n - len(leaders)]
    return np.sort(np.concatenate([leaders, others]))


def _improved(criterion: Criterion, starts: Ranked, search: Search) -> Ranked:
    """Return each start, or a better candidate that local search reached from it."""
    current = starts
    for turn in range(search.n_rounds):
        before = current.value
        if search.neighbours is not None:
            current = _stepped(criterion, current, search, search.neighbours)
        # After a climb has ended, only a discrete move makes another one worthwhile.
        open_ = np.flatnonzero((current.value > before) | (turn == 0))
        if not len(open_):
            break
        if len(search.continuous):
            current = _climbed(criterion, current, search, open_)
    return current


def _climbed(criterion: Criterion, current: Ranked, search: Search, rows: NDArray[np.int64]) -> Ranked:
    """Replace the starts ``rows`` by the ends of their climbs, if these are better."""
    moved = search.continuous
    box = search.scale[moved], search.low[moved], search.high[moved]
    starts, ends = np.ascontiguousarray(current.x[:, rows]), None
    if isinstance(criterion, LogEI):
        ends = criterion.climb(starts, moved, box, max_steps=MAX_STEPS, tolerance=TOLERANCE)
    x = search.settled(climb(criterion.gradient, starts, moved, *box) if ends is None else ends)
    allowed = search.allowed(x)
    # Known metrics need not be finite elsewhere. The number of columns stays, and with it all rounding.
    value = criterion.value(np.ascontiguousarray(np.where(allowed, x, current.x[:, rows])))
    return _better(current, rows, x, np.where(allowed, value, -np.inf))


def climb(
    gradient: Gradient, x: Array, rows: NDArray[np.int64], scale: Array, low: Array, high: Array
) -> Array:
    """Climb from all starts (d, m) together, and return the ends; see ``hpo_core.native.climb``.

    ``gradient`` gives values (m,) and gradients (d, m); ``rows`` (p,) are the parameters that move, in units
    ``scale`` (p,) between ``low`` and ``high`` (p,). Parameters stay active or inactive.
    """
    ends = x.copy()
    todo = np.arange(x.shape[1])
    starts = Climb(rows, scale, low, high, x, *gradient(x))
    for _ in range(MAX_STEPS):
        going = starts.accept(*gradient(starts.propose())) > TOLERANCE
        if not going.all():
            ends[:, todo[~going]] = starts.ends(~going)
            todo = todo[going]
            if not len(todo):
                return ends
            starts.keep(going)
    ends[:, todo] = starts.ends(np.ones(len(todo), np.bool_))
    return ends


def _stepped(criterion: Criterion, current: Ranked, search: Search, neighbours: Neighbours) -> Ranked:
    """Replace each candidate by its best neighbour, if that is better."""
    x, owner = neighbours.of(current.x, search.template)
    allowed = np.flatnonzero(search.allowed(x))
    if not len(allowed):
        return current
    x, owner = np.ascontiguousarray(x[:, allowed]), owner[allowed]
    if _pays(criterion.n, x.shape[1]):
        hopeful = criterion.bound(x).value > current.value[owner]
        x, owner = np.ascontiguousarray(x[:, hopeful]), owner[hopeful]
    value = criterion.value(x)
    order = np.lexsort((-value, owner))
    owners, first = np.unique(owner[order], return_index=True)
    best = order[first]
    return _better(current, owners, x[:, best], value[best])


def _better(current: Ranked, rows: NDArray[np.int64], x: Array, value: Array) -> Ranked:
    """Put candidates x (d, r) in the place of the current ones ``rows`` (r,), if they are better."""
    better = value > current.value[rows]
    moved, reached = current.x.copy(), current.value.copy()
    moved[:, rows[better]], reached[rows[better]] = x[:, better], value[better]
    return Ranked(moved, reached)
