"""Functional ANOVA of a Gaussian process: the variance of its posterior mean by each parameter alone.

Glossary
--------
n, d, G     trials, parameters, groups (see ``hpo_core.layout``)
f           posterior mean, mu + sum_i alpha_i k(x, x_i)
k           prod_g k_g; k_g is c^2 + (1 - c^2) M(r_g) where group g is active in both points, c where in one,
            1 where in neither; M is Matern-5/2 (see ``hpo_core.native.covariance``)
s, w, Q     nodes and weights of M(r) = sum_q w_q exp(-5/4 r^2 / s_q): M is a mixture of Gaussians, s having
            the gamma distribution of shape 5/2. M does not factorise over parameters; each Gaussian does
e_j         factor of parameter j in a Gaussian, at its nodes and the n trials; a_j its mean over the nodes
node        value of a parameter at which integrals over it are taken, with a weight: every choice, every
            level, or a Gauss-Legendre node
parent      a parameter that a condition reads; C combinations of their nodes, with weights
effect      f_j(x_j), the mean of f over all other parameters, given that j is active

The importance of j is the chance that it is active, times the variance of its effect. Parameters are uniform
over the coordinates of the space, as in random search, whatever ``forbid`` and ``feasible`` exclude.

All integrals are sums over nodes. Quadrature in s is accurate to 1e-7 for any r, and the nodes of real
parameters resolve lengthscales of 0.02 of the range; a parent that is real has 32 nodes. If the combinations
of parents are more than 4,096, as many are drawn.

References
----------
.. [1] F. Hutter, H. Hoos, K. Leyton-Brown (2014), An efficient approach for assessing hyperparameter
   importance. ICML (of a forest; here of a Gaussian process).
.. [2] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning, MIT Press: page 87,
   kernels as mixtures of Gaussians.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.analysis.series import evenly
from hpo_core.gp.fit import fit
from hpo_core.gp.posterior import Posterior
from hpo_core.gp.warps import standardized, tamed
from hpo_core.layout import Kind
from hpo_core.native.covariance import Structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.space import Space
    from hpo_core.space.activity import Activity

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

# A fit to 500 trials takes a second, to 2,000 a minute.
MAX_TRIALS = 500
# Nodes of a real parameter; of one that is a parent.
N_NODES, N_PARENT_NODES = 128, 32
MAX_COMBINATIONS = 4096
# log s is integrated by the trapezoidal rule, which is exponentially accurate for this integrand: steps of
# 0.5 would leave an error of 1e-6, and so would a beginning at -5.
STEPS = np.arange(-6.4, 4.2, 0.4)


class Nodes(NamedTuple):
    """Nodes and weights of the integral over a parameter, (t,) each; the weights sum to 1."""

    x: Array
    weight: Array


def mixture() -> tuple[Array, Array]:
    """Return s and w, (Q,) each; the weights sum to 1."""
    weight = np.exp(2.5 * STEPS - np.exp(STEPS))
    return np.exp(STEPS), weight / weight.sum()


def variances(space: Space, x: Array, y: Array) -> Array:
    """Return the importances of all parameters (d,), not normalised, from trials (d, n) and values (n,)."""
    rows = evenly(len(y), MAX_TRIALS)
    x, y = np.ascontiguousarray(x[:, rows]), standardized(tamed(y[rows]))
    structure = Structure(space.layout)
    posterior = Posterior(structure, fit(structure, x, y), x, y)
    return main_effects(space.layout, space.codec.activity, posterior)


def main_effects(layout: Layout, activity: Activity, posterior: Posterior) -> Array:
    """Return the importances of all parameters (d,) by the mean of a posterior without input warp."""
    parents = sorted(set().union(*(activity.reads(g) for g in range(1, layout.n_groups))))
    nodes = [nodes_of(layout, row, is_parent=row in parents) for row in range(layout.size)]
    combinations = Combinations(activity, parents, nodes)
    groups = [
        Group(g, members, layout, combinations, nodes, posterior) for g, members in enumerate(activity.groups)
    ]
    kernels = [group.kernel() for group in groups]
    others = products_of_others(kernels)
    found = np.zeros(layout.size)
    mean = posterior.mu + (kernels[0] * others[0]) @ posterior.alpha
    for row in parents:
        found[row] = combinations.variance(row, mean)
    for group, rest in zip(groups, others, strict=True):
        for row, variance in group.variances(rest):
            found[row] = variance
    return found


def nodes_of(layout: Layout, row: int, *, is_parent: bool = False) -> Nodes:
    """Return the nodes of a parameter."""
    levels = int(layout.levels[row])
    if layout.kinds[row] == Kind.CATEGORICAL:
        return Nodes(np.arange(levels, dtype=np.float64), np.full(levels, 1.0 / levels))
    first, last = layout.table_start[row : row + 2].tolist()
    if 0 < last - first <= N_NODES:
        return Nodes(layout.centers[first:last], layout.widths[first:last])
    if is_parent:  # conditions are thresholds, at which f jumps: equal cells, not Gauss's nodes
        t = N_PARENT_NODES
        return Nodes((np.arange(t) + 0.5) / t, np.full(t, 1.0 / t))
    x, weight = np.polynomial.legendre.leggauss(N_NODES)
    return Nodes(0.5 * (x + 1.0), 0.5 * weight)


class Combinations:
    """All combinations of the nodes of parents, or a sample of them.

    Attributes
    ----------
    place : (d, C) int64
        Node of each parent; -1 where it is inactive, and for other parameters.
    weight : (C,) float64
        They sum to 1.
    active : (G, C) bool
    """

    def __init__(self, activity: Activity, parents: Sequence[int], nodes: Sequence[Nodes]) -> None:
        self._activity, self._parents, self._nodes = activity, set(parents), nodes
        if not self._expand(np.ones(1)):
            self._expand(np.full(MAX_COMBINATIONS, 1.0 / MAX_COMBINATIONS), np.random.default_rng(0))
        self.active = np.array([activity.active(g, self._x) for g in range(len(activity.groups))])

    def _expand(self, weight: Array, rng: np.random.Generator | None = None) -> bool:
        """Extend combinations by one parent after another; False if they become too many.

        With a generator, nodes are drawn and the number stays as it is.
        """
        d = len(self._nodes)
        x, place = np.full((d, len(weight)), np.nan), np.full((d, len(weight)), -1)
        for group, members in enumerate(self._activity.groups):
            active = self._activity.active(group, x)
            for row in filter(self._parents.__contains__, members):
                nodes = self._nodes[row]
                t = len(nodes.x)
                if rng is not None:
                    at = rng.choice(t, len(weight), p=nodes.weight / nodes.weight.sum())
                else:
                    repeats = np.where(active, t, 1)
                    if repeats.sum() > MAX_COMBINATIONS:
                        return False
                    at = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
                    x, place = np.repeat(x, repeats, axis=1), np.repeat(place, repeats, axis=1)
                    active, weight = np.repeat(active, repeats), np.repeat(weight, repeats)
                    weight = weight * np.where(active, nodes.weight[at], 1.0)
                x[row] = np.where(active, nodes.x[at], np.nan)
                place[row] = np.where(active, at, -1)
        self._x, self.place, self.weight = x, place, weight
        return True

    def variance(self, row: int, mean: Array) -> float:
        """Return the importance of a parent, given the mean of f for each combination, (C,)."""
        active = self.place[row] >= 0
        at, weight = self.place[row, active], self.weight[active]
        total = np.bincount(at, weight).astype(np.float64)
        sums = np.bincount(at, weight * mean[active])
        effect = np.divide(sums, total, out=np.zeros(len(total)), where=total > 0.0)
        return spread(effect, total)


def spread(effect: Array, weight: Array) -> float:
    """Return the chance (the sum of the weights) times the variance of an effect (t,)."""
    chance = float(weight.sum())
    if not chance > 0.0:
        return 0.0
    mean = float(weight @ effect) / chance
    return float(weight @ (effect - mean) ** 2)


class Factor:
    """e_j of one parameter, in a Gaussian of each s; trials where it is inactive count as 1.

    A category has two values only: no table of its choices is needed for sums over them. Tables are made anew
    for each use: those of all parameters together would take half a gigabyte.
    """

    def __init__(self, nodes: Nodes, x: Array, lengthscale: float, *, categorical: bool) -> None:
        self._nodes, self._categorical = nodes, categorical
        self._x, self._active = np.nan_to_num(x), ~np.isnan(x)
        self._rate = -1.25 / (lengthscale**2 * mixture()[0])

    def table(self) -> Array:
        """Return e_j at its nodes, (t, n, Q)."""
        apart = self._nodes.x[:, np.newaxis] - self._x
        squares = np.where(apart == 0.0, 0.0, 1.0) if self._categorical else apart**2
        squares[:, ~self._active] = 0.0
        exponent = squares[:, :, np.newaxis] * self._rate
        return np.asarray(np.exp(exponent, out=exponent))

    def average(self) -> Array:
        """Return a_j, (n, Q)."""
        mean: Array
        if not self._categorical:
            mean = np.tensordot(self._nodes.weight, self.table(), 1)
            return mean
        apart = np.exp(self._rate)
        mean = np.where(self._active[:, np.newaxis], apart + (1.0 - apart) / len(self._nodes.x), 1.0)
        return mean

    def effect(self, weight: Array) -> Array:
        """Return sum_iq weight_iq e_j(node, i, q), (t,); weights (n, Q) of inactive trials are 0."""
        if not self._categorical:
            return np.asarray(np.tensordot(self.table(), weight, 2))
        apart = np.exp(self._rate)
        own = np.bincount(self._x.astype(np.int64), weight @ (1.0 - apart), len(self._nodes.x))
        return own + np.float64(np.sum(weight @ apart))


class Group:
    """The parameters that share a condition: their kernel with the trials, averaged over all but parents."""

    def __init__(
        self,
        number: int,
        members: Sequence[int],
        layout: Layout,
        combinations: Combinations,
        nodes: Sequence[Nodes],
        posterior: Posterior,
    ) -> None:
        hyper, self._combinations, self._alpha = posterior.hyper, combinations, posterior.alpha
        self._nodes = nodes
        self._c = float(hyper.correlation[number]) if number else 0.0
        self._active = combinations.active[number]
        self._in_trial = ~np.isnan(posterior.x[members[0]]) if members else np.ones(posterior.n, np.bool_)
        factors = {
            row: Factor(
                nodes[row],
                posterior.x[row],
                float(hyper.lengthscale[row]),
                categorical=layout.kinds[row] == Kind.CATEGORICAL,
            )
            for row in members
        }
        parents = [row for row in members if (combinations.place[row] >= 0).any()]
        self._tables = [factors[row].table() for row in parents]
        self._free = {row: factor for row, factor in factors.items() if row not in parents}
        self._averages = [factor.average() for factor in self._free.values()]
        patterns, which = np.unique(combinations.place[parents], axis=1, return_inverse=True)
        self._patterns, self._pattern = patterns.T.tolist(), which.ravel()

    def _weights(self) -> Iterator[Array]:
        """Yield w times the factors of the parents, (n, Q), for each pattern of their nodes."""
        start = np.broadcast_to(mixture()[1], (len(self._alpha), len(STEPS)))
        for pattern in self._patterns:
            nodes = zip(self._tables, pattern, strict=True)
            yield math.prod((table[at] for table, at in nodes if at >= 0), start=start)

    def kernel(self) -> Array:
        """Return k_g of each combination and trial, averaged over the other parameters, (C, n)."""
        c = self._c
        whole = math.prod(self._averages, start=np.ones(1))
        matern = np.array([(weight * whole).sum(axis=1) for weight in self._weights()])[self._pattern]
        both = c**2 + (1.0 - c**2) * matern
        one = np.where(self._active[:, np.newaxis] | self._in_trial, c, 1.0)
        found: Array = np.where(self._active[:, np.newaxis] & self._in_trial, both, one)
        return found

    def variances(self, others: Array) -> list[tuple[int, float]]:
        """Return the importance of each parameter that is no parent, by the other groups' kernels (C, n)."""
        weight = np.where(self._active, self._combinations.weight, 0.0)
        chance = float(weight.sum())
        if not self._free or not chance > 0.0:
            return [(row, 0.0) for row in self._free]
        scale = np.where(self._in_trial, (1.0 - self._c**2) * self._alpha, 0.0)
        base = np.zeros((len(scale), len(STEPS)))
        for k, own in enumerate(self._weights()):
            mine = self._pattern == k
            base += (weight[mine] @ others[mine] * scale / chance)[:, np.newaxis] * own
        rests = products_of_others(self._averages)
        return [
            (row, chance * spread(factor.effect(base * rest), self._nodes[row].weight))
            for (row, factor), rest in zip(self._free.items(), rests, strict=True)
        ]


def products_of_others(arrays: Sequence[Array]) -> list[Array]:
    """Return for each array the product of all others; never a quotient, because they may be 0."""
    before, after = [np.ones(1)], [np.ones(1)]
    for array in arrays[:-1]:
        before.append(before[-1] * array)
    for array in arrays[:0:-1]:
        after.append(after[-1] * array)
    return [one * other for one, other in zip(before, reversed(after), strict=True)]
