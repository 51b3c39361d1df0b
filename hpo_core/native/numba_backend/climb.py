"""The functions of _climb.pyx in numba; csrc/climb.h explains symbols and formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

MAX_STEP = 1.0
ARMIJO = 1e-4
SHRINK = 0.3
LEAST_CURVATURE = 1e-10


@njit(cache=True)
def _ascend(box: Array, z: Array, g: Array, h: Array, pull: Array, direction: Array) -> float:
    p, gain = len(z), 0.0
    for i in range(p):
        held = (z[i] <= box[1, i] and g[i] < 0.0) or (z[i] >= box[2, i] and g[i] > 0.0)
        pull[i] = 0.0 if held else g[i]
    for i in range(p):
        direction[i] = np.dot(h[i], pull) if pull[i] == g[i] else 0.0
        gain += direction[i] * pull[i]
    if not gain > 0.0:
        h[:] = np.eye(p)
        direction[:] = pull
        gain = np.dot(pull, pull)
    length = math.sqrt(np.dot(direction, direction))
    if length > MAX_STEP:
        direction *= MAX_STEP / length
        gain *= MAX_STEP / length
    return float(gain)


@njit(cache=True)
def propose(
    rows: Rows, box: Array, z: Array, g: Array, h: Array, state: Array, scratch: Array, x: Array
) -> None:
    """The step each start tries next, into the rows of x."""
    pull, direction = scratch[0], scratch[1]
    for j in range(x.shape[1]):
        state[3, j] = _ascend(box, z[j], g[j], h[j], pull, direction)
        for i in range(len(rows)):
            moved = z[j, i] + state[2, j] * direction[i] * box[0, i]
            above = box[1, i] if moved < box[1, i] else moved  # NaN stays NaN
            x[rows[i], j] = box[2, i] if above > box[2, i] else above


@njit(cache=True)
def _learn(h: Array, known: float, s: Array, y: Array) -> float:
    sy, yy = np.dot(s, y), np.dot(y, y)
    if not (sy > LEAST_CURVATURE * math.sqrt(np.dot(s, s) * yy) and sy > 0.0):
        return known
    if known == 0.0:
        h *= sy / yy
    hy = np.dot(h, y)
    rho = 1.0 / sy
    grown = rho * (1.0 + rho * np.dot(y, hy))
    for i in range(len(s)):
        for k in range(len(s)):
            h[i, k] += grown * s[i] * s[k] - rho * (hy[i] * s[k] + s[i] * hy[k])
    return 1.0


@njit(cache=True)
def accept(
    rows: Rows,
    box: Array,
    z: Array,
    g: Array,
    h: Array,
    state: Array,
    scratch: Array,
    x: Array,
    value: Array,
    slope: Array,
) -> None:
    """Take the steps whose values are high enough, learn from their slopes, shorten the others."""
    s, y = scratch[0], scratch[1]
    for j in range(x.shape[1]):
        for i in range(len(rows)):
            inactive = math.isnan(z[j, i])
            s[i] = 0.0 if inactive else (x[rows[i], j] - z[j, i]) / box[0, i]
            y[i] = 0.0 if inactive else g[j, i] - slope[rows[i], j] * box[0, i]
        if not value[j] >= state[1, j] + ARMIJO * np.dot(g[j], s):
            state[2, j] *= SHRINK
            state[3, j] *= state[2, j]
            continue
        state[0, j] = _learn(h[j], state[0, j], s, y)
        for i in range(len(rows)):
            z[j, i] = x[rows[i], j]
            g[j, i] -= y[i]
        state[1, j], state[2, j] = value[j], 1.0
