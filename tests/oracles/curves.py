"""A chain of Gaussian processes over rungs as one dense Gaussian, by the definition; no hpo_core.

z_0 ~ N(mu_0, s_0 k_0), z_k = rho_k z_{k-1} + delta_k, delta_k ~ N(mu_k, s_k (k_k + lambda_k I)): independent
given mu. A value of curve i at rung k is one entry of a vector over (curve, rung).
"""

from __future__ import annotations

import numpy as np


def dense(kernels, means, scales, slopes, noises):
    """Mean and covariance over (rung, curve), rung by rung, of all curves at all rungs.

    kernels: (K, n, n) correlations; means, scales, slopes, noises: (K,). The noise is the curve's own.
    """
    n_rungs, n = kernels.shape[:2]
    mean, covariance = np.zeros((n_rungs, n)), np.zeros((n_rungs, n, n_rungs, n))
    for k in range(n_rungs):
        own = scales[k] * (kernels[k] + noises[k] * np.eye(n))
        if k == 0:
            mean[0], covariance[0, :, 0] = means[0], own
            continue
        mean[k] = slopes[k] * mean[k - 1] + means[k]
        for j in range(k):
            covariance[k, :, j] = slopes[k] * covariance[k - 1, :, j]
            covariance[j, :, k] = covariance[k, :, j].T
        covariance[k, :, k] = slopes[k] ** 2 * covariance[k - 1, :, k - 1] + own
    return mean, covariance


def at_last_rung(mean, covariance, values):
    """Mean and variance (n,) at the last rung given values (n, K), NaN where they are not known."""
    n_rungs, n = mean.shape
    flat, full = mean.ravel(), covariance.reshape(n_rungs * n, n_rungs * n)
    known = np.flatnonzero(np.isfinite(values.T.ravel()))
    last = (n_rungs - 1) * n + np.arange(n)
    gain = np.linalg.solve(full[np.ix_(known, known)], full[np.ix_(known, last)]).T
    expected = flat[last] + gain @ (values.T.ravel()[known] - flat[known])
    left = full[last, last] - np.einsum("ij,ji->i", gain, full[np.ix_(known, last)])
    return expected, left


def at_rungs(reports, depths, complete):
    """Values (n, K) and levels (n,) of curves, by loops.

    reports: for each curve a list of (step, value); complete: {curve: value told}.
    """
    values = np.full((len(reports), len(depths)), np.nan)
    levels = np.full(len(reports), -1)
    for i, curve in enumerate(reports):
        deepest = max((step + 1 for step, _ in curve), default=0)
        levels[i] = sum(depth <= deepest for depth in depths) - 1
        if i in complete and curve:
            levels[i] = len(depths) - 1
        found = []
        for k, depth in enumerate(depths):
            low = depths[k - 1] if k else 0
            segment = [value for step, value in curve if low < step + 1 <= depth]
            if i in complete and k == len(depths) - 1:
                segment.append(complete[i])
            found.append(min(segment, default=np.nan))
        for k in range(len(depths) - 2, -1, -1):
            if np.isnan(found[k]):
                found[k] = found[k + 1]
        values[i, : levels[i] + 1] = found[: levels[i] + 1]
    return values, levels
