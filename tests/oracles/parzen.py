"""Parzen mixtures and the chain of conditional densities, by the definition: plain loops, SciPy, no hpo_core.

A column is ("continuous",), ("discrete", centers, widths) or ("categorical", choices). Densities are relative
to the uniform measure of a numeric column and to the counting measure of a categorical one.
"""

from __future__ import annotations

import math
import statistics

import numpy as np
from scipy.special import logsumexp, ndtr

PRIOR = None  # the kernel without a centre


def count_numeric(columns):
    return sum(c[0] != "categorical" for c in columns)


def bandwidths(column, values, floor, n_numeric):
    """The larger gap to a neighbour, or the mean gap if there are four numeric columns; ties in order."""
    order = sorted(range(len(values)), key=lambda k: (values[k], k))
    sigma = [0.0] * len(values)
    for rank, k in enumerate(order):
        left = values[k] - values[order[rank - 1]] if rank > 0 else None
        right = values[order[rank + 1]] - values[k] if rank + 1 < len(order) else None
        if left is None and right is None:
            gap = max(values[k], 1.0 - values[k])
        else:
            gap = (max if n_numeric < 4 else statistics.mean)([g for g in (left, right) if g is not None])
        cell = 0.0
        if column[0] == "discrete":
            cell = 0.5 * column[2][int(np.argmin(np.abs(np.asarray(column[1]) - values[k])))]
        sigma[k] = min(max(gap, floor, cell), 1.0)
    return sigma


def log_kernel(column, x, center, sigma, epsilon):
    """Log density of one kernel in one column at x; the prior is uniform."""
    kind = column[0]
    if kind == "categorical":
        choices = column[1]
        if center is PRIOR:
            return -math.log(choices)
        return math.log(((x == center) + epsilon) / (1.0 + choices * epsilon))
    if center is PRIOR:
        return 0.0
    if kind == "continuous":
        mass = ndtr((1.0 - center) / sigma) - ndtr(-center / sigma)
        return -0.5 * ((x - center) / sigma) ** 2 - math.log(math.sqrt(2.0 * math.pi) * sigma * mass)
    _, centers, widths = column
    total = sum(
        w * math.exp(-0.5 * ((c - center) / sigma) ** 2) for c, w in zip(centers, widths, strict=True)
    )
    return -0.5 * ((x - center) / sigma) ** 2 - math.log(total)


def log_mixture(columns, kernels, log_weights, floor, epsilon, x, extra=(), n_numeric=None):
    """log sum_k w_k K_k(x), unnormalised, of the prior (weight first) and kernels (n, columns).

    ``extra`` are kernels of weight 1 whose bandwidths come from the gaps among ``kernels``.
    ``n_numeric`` counts the numeric columns of the mixture, if these are not all its columns.
    """
    if n_numeric is None:
        n_numeric = count_numeric(columns)
    sigma = [
        bandwidths(c, [k[i] for k in kernels], floor, n_numeric) if c[0] != "categorical" else None
        for i, c in enumerate(columns)
    ]
    terms = [log_weights[0] + sum(log_kernel(c, x[i], PRIOR, None, epsilon) for i, c in enumerate(columns))]
    for k, kernel in enumerate(kernels):
        terms.append(
            log_weights[1 + k]
            + sum(
                log_kernel(c, x[i], kernel[i], sigma[i][k] if sigma[i] else None, epsilon)
                for i, c in enumerate(columns)
            )
        )
    for kernel in extra:
        own = [
            bandwidths(c, [k[i] for k in kernels] + [kernel[i]], floor, n_numeric)[-1]
            if c[0] != "categorical"
            else None
            for i, c in enumerate(columns)
        ]
        terms.append(sum(log_kernel(c, x[i], kernel[i], own[i], epsilon) for i, c in enumerate(columns)))
    return float(logsumexp(terms))
