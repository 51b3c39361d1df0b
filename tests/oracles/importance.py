"""Importance by its definitions, in plain loops; imports nothing of hpo_core."""

from __future__ import annotations

import itertools
import math

import numpy as np


def smoother(edges, values):
    """S (m, m): column j is the Gaussian of cell j over all cells, by Scott's rule on cell centres."""
    edges = np.asarray(edges)
    centers, widths, n = (edges[1:] + edges[:-1]) / 2, np.diff(edges), len(values)
    own = sorted(centers[place(edges, value)] for value in values)
    sd = np.std(own, ddof=1) if n > 1 else 0.0
    quartiles = [own[max(math.ceil(share * n) - 1, 0)] for share in (0.25, 0.75)]
    iqr = quartiles[1] - quartiles[0]
    h = 1.059 * (min(sd, iqr / 1.349) if iqr > 0 else sd) * n**-0.2
    matrix = np.eye(len(widths))
    for j, center in enumerate(centers):
        for g, other in enumerate(centers):
            at = math.exp(-(((other - center) / h) ** 2) / 2) if h > 0 else float(g == j)
            matrix[g, j] = widths[g] * at
    return matrix / matrix.sum(axis=0)


def place(edges, value):
    return min(max(int(np.searchsorted(edges, value, side="right")) - 1, 0), len(edges) - 2)


def shares(cells, m):
    return np.array([sum(cell == k for cell in cells) for k in range(m)]) / len(cells)


def divergence(p, q):
    """Pearson divergence of p from q."""
    return sum((a / b - 1) ** 2 * b for a, b in zip(p, q, strict=True) if b > 0)


def divergence_of(values, chosen, edges=None, choices=0):
    """Divergence of the chosen values from all values of one parameter, and the same by pairs.

    NaN is no value. By pairs: how near two different chosen trials are in the mean, less how near any two
    different trials are. Nearness of i and j is sum_g S_gi S_gj / p_g.
    """
    kept = ~np.isnan(values)
    values, chosen = values[kept], chosen[kept]
    if not chosen.any():
        return 0.0, 0.0
    m = choices if edges is None else len(edges) - 1
    cells = [int(value) if edges is None else place(edges, value) for value in values]
    matrix = np.eye(m) if edges is None else smoother(edges, values[chosen])
    best = [cell for cell, is_best in zip(cells, chosen, strict=True) if is_best]
    p = matrix @ shares(cells, m)
    inverse = np.divide(1.0, p, out=np.zeros(m), where=p > 0)
    near = matrix.T @ (matrix * inverse[:, np.newaxis])
    by_pairs = mean_of_pairs(near, best) - mean_of_pairs(near, cells)
    return divergence(matrix @ shares(best, m), p), by_pairs


def mean_of_pairs(near, cells):
    found = [near[a, b] for a, b in itertools.permutations(cells, 2)]
    return sum(found) / len(found) if found else math.nan


def expected_divergence(cells, m, k):
    """Mean divergence, of labels, over every way to choose k of the trials."""
    found = [
        divergence(shares([cells[i] for i in some], m), shares(cells, m))
        for some in itertools.combinations(range(len(cells)), k)
    ]
    return sum(found) / len(found)


def main_effect_variances(f, axes, active):
    """Chance that a parameter is active, times the variance of its effect, on a full grid of configurations.

    Parameters
    ----------
    f : callable
        Values (k,) at configurations (d, k), NaN where inactive.
    axes : list of (values, weights)
        Of each parameter.
    active : callable
        Mask (d, k) of configurations.
    """
    x = np.array([row.ravel() for row in np.meshgrid(*(values for values, _ in axes), indexing="ij")])
    weights = np.meshgrid(*(weights for _, weights in axes), indexing="ij")
    weight = np.prod([row.ravel() for row in weights], axis=0)
    is_active = active(x)
    y = f(np.where(is_active, x, np.nan))
    found = []
    for row, (values, _) in enumerate(axes):
        effect, chance = [], []
        for value in values:
            at = is_active[row] & (x[row] == value)
            chance.append(weight[at].sum())
            effect.append(weight[at] @ y[at] / chance[-1] if chance[-1] > 0 else 0.0)
        effect, chance = np.array(effect), np.array(chance)
        mean = chance @ effect / chance.sum()
        found.append(chance @ (effect - mean) ** 2)
    return np.array(found)
