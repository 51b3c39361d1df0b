"""Layouts and data that the surrogates' tests share."""

from __future__ import annotations

import numpy as np
from native.layouts import build, categorical, continuous, irregular, stepped

from hpo_core.gp.posterior import Hyperparameters, Posterior
from hpo_core.native.covariance import Structure

SHAPES = ("flat", "mixed", "conditional")


def layout(shape: str, d: int = 3):
    """``d`` continuous parameters; numbers and categories; the same with two conditional groups."""
    if shape == "flat":
        return build(*[continuous()] * d)
    if shape == "mixed":
        return build(continuous(), irregular(0.2, 0.5, 0.3), categorical(3), stepped(0.0, 5000.0))
    groups = (0, 0, 1, 1, 2)
    switch = ("value", 1)
    conditions = (("eq", switch, 1.0), ("ge", switch, 1.0))
    parameters = (continuous(), categorical(3), continuous(), categorical(2), continuous())
    return build(*parameters, groups=groups, conditions=conditions)


def points(rng, shape: str, n: int, d: int = 3):
    """Random configurations (d, n) of that layout, inactive parameters NaN."""
    if shape == "flat":
        return rng.random((d, n))
    if shape == "mixed":
        return np.stack(
            [rng.random(n), rng.choice([0.1, 0.45, 0.85], n), rng.integers(0, 3, n) * 1.0, rng.random(n)]
        )
    x = np.stack([rng.random(n), rng.integers(0, 3, n), rng.random(n), rng.integers(0, 2, n), rng.random(n)])
    x[2:4, x[1] != 1] = np.nan
    x[4, x[1] < 1] = np.nan
    return x


def targets(rng, x, noise: float = 0.1):
    """A smooth function of the active parameters, with noise."""
    smooth = np.sin(4.0 * x[0]) + np.nansum(x * np.linspace(1.0, -0.5, len(x))[:, None], axis=0)
    return smooth + noise * rng.standard_normal(x.shape[1])


def hyperparameters(rng, shape: str, d: int = 3, *, noise: float = 1e-2, warp: bool = False):
    of = layout(shape, d)
    exponents = np.exp(rng.normal(0.0, 0.5, (2, of.size))) if warp else None
    return Hyperparameters(
        rng.uniform(0.3, 2.0, of.size), noise, rng.uniform(0.2, 0.8, of.n_groups), exponents
    )


def posterior(rng, shape: str, n: int, **options):
    x = points(rng, shape, n)
    return Posterior(Structure(layout(shape)), hyperparameters(rng, shape, **options), x, targets(rng, x))


def central_differences(function, x, step: float = 1e-6):
    """Gradient of sum over ``function(x)`` entry by entry: each output depends on its own column only."""
    slopes = np.zeros_like(x)
    for k in range(len(x)):
        shift = np.zeros_like(x)
        shift[k] = step
        slopes[k] = (function(x + shift) - function(x - shift)) / (2.0 * step)
    return slopes
