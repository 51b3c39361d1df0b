"""Regression data of the fit bench, the same on every side: 20 inputs, of which eight matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

D = 20
NOISE = 0.1


def draw(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inputs (n, D) in the unit cube, and targets (n,)."""
    rng = np.random.default_rng(n)
    x = rng.random((n, D))
    waves = np.sin(4.0 * x[:, :4]).sum(axis=1)
    return x, waves + 3.0 * (x[:, 4] - 0.4) ** 2 + x[:, 5] * x[:, 6] + x[:, 7] + NOISE * rng.standard_normal(
        n
    )
