"""Parzen log-density: nanoseconds per (candidate, kernel), beside the machine's limit and NumPy.

The limit counts what the formula cannot do without: two multiply-adds a numeric column and one exp
a pair. Comparing and adding for a category, and the running maximum, come on top and are not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench import machine, timing

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNELS = 1024
FLOOR = 0.03
AGREE = 1e-10  # relative to max(1, |log p|)


def mixture_of(d: int, kernels: int) -> Any:
    """A mixture of so many kernels over d continuous columns, the prior component included."""
    import hpo_core as hpo
    from hpo_core.native.domain import Domain
    from hpo_core.native.parzen import new_mixture

    space = hpo.Space({f"x{i}": hpo.Float(0.0, 1.0) for i in range(d)})
    mixture = new_mixture(Domain(space.layout), np.arange(d), d, (0, 0), kernels)
    x = np.random.default_rng(0).random((d, kernels))
    for k in range(1, kernels):
        mixture.place(k, x, k, 0.0)
    mixture.rebuild(FLOOR)
    mixture.smooth(1.0 / kernels)
    return mixture


def reference(
    x: NDArray[np.float64], center: NDArray[np.float64], sigma: NDArray[np.float64]
) -> NDArray[np.float64]:
    """log of the uniform component plus truncated normals of weight 1, by SciPy: x (d, m), kernels (k, d)."""
    from scipy.special import log_ndtr, logsumexp
    from scipy.stats import norm

    left, right = log_ndtr(-center / sigma), log_ndtr((1 - center) / sigma)
    log_mass = right + np.log1p(-np.exp(left - right)) + np.log(sigma)
    terms = norm.logpdf((x.T[:, None, :] - center) / sigma) - log_mass
    total = logsumexp(terms.sum(axis=2), axis=1)
    return np.asarray(np.logaddexp(total, 0.0))


def measure(d: int, candidates: int, rate: dict[str, Any]) -> dict[str, Any]:
    """Check the answer, then time it."""
    mixture = mixture_of(d, KERNELS)
    x = np.random.default_rng(1).random((d, candidates))
    joint, context = np.empty(candidates), np.empty(candidates)
    mixture.log_density(x, joint, context)
    center, sigma = (mixture.array(name)[1:KERNELS] for name in ("center", "sigma"))
    expected = reference(x, center, sigma)
    error = float(np.max(np.abs(joint - expected) / np.maximum(1, np.abs(expected))))
    if not error <= AGREE:
        return {"error": f"d = {d}: log-density is {error:.2g} off the reference"}
    pairs = KERNELS * candidates
    seconds = timing.best_time(lambda: mixture.log_density(x, joint, context))
    numpy_seconds = timing.best_time(lambda: reference(x, center, sigma), repeats=2)
    limit = 1e9 * (2 * d / rate["fma_per_second"] + 1 / rate["exp_per_second"])
    return {
        "d": d,
        "kernels": KERNELS,
        "candidates": candidates,
        "ns_per_pair": round(1e9 * seconds / pairs, 4),
        "limit_ns": round(limit, 4),
        "over_limit": round(1e9 * seconds / pairs / limit, 3),
        "numpy_ns": round(1e9 * numpy_seconds / pairs, 2),
        "versions": machine.versions("hpo_core", "numpy", "scipy"),
        "threads": 1,
    }
