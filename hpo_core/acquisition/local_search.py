"""Local search over continuous parameters: projected BFGS steps of all starts together.

Glossary
--------
m, p        starts, parameters that are moved
z           coordinates of those parameters (p, m), in [low, high]
u           z / scale: steps are taken in it, so that a unit matters alike in every direction
g           gradient with respect to u, (p, m); f is maximised
H           estimate of the inverse of -(second derivatives), (m, p, p)

References
----------
.. [1] J. Nocedal, S. J. Wright (2006), Numerical Optimization: equation 6.17 for H, algorithm 3.1.
.. [2] D. P. Bertsekas (1982), Projected Newton methods. SIAM J. Control and Optimization 20(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Slopes = Callable[[Array], tuple[Array, Array]]

MAX_STEPS = 30
# A step in u: farther than a lengthscale the quadratic model means nothing.
MAX_STEP = 1.0
ARMIJO = 1e-4
SHRINK = 0.3
# What a start may still expect to gain when it ends: log EI of 1e-4 is 0.01 % of the improvement.
TOLERANCE = 1e-4


class Climber:
    """Moves the continuous parameters of configurations uphill.

    Parameters
    ----------
    rows : (p,) int64
        Parameters to move.
    scale : (d,)
        Unit of each parameter: its lengthscale.
    low, high : (d,)
        Box to stay in.
    """

    def __init__(self, rows: NDArray[np.int64], scale: Array, low: Array, high: Array) -> None:
        self._rows = rows
        self._scale, self._low, self._high = (a[rows][:, None] for a in (scale, low, high))

    def climb(self, slopes: Slopes, x: Array) -> Array:
        """Where the starts (d, m) end; activity stays as it is.

        ``slopes`` gives values (m,) and gradients (d, m).
        """
        ends = x.copy()
        todo = np.arange(x.shape[1])
        state = _State(self, slopes, x)
        for _ in range(MAX_STEPS):
            going = state.step()
            if not going.all():
                ends[:, todo[~going]] = state.x[:, ~going]
                todo = todo[going]
                if not len(todo):
                    return ends
                state.keep(going)
        ends[:, todo] = state.x
        return ends

    def gradient(self, slope: Array, free: NDArray[np.bool_]) -> Array:
        """g, zero where a parameter is inactive."""
        return np.where(free, slope[self._rows] * self._scale, 0.0)


class _State:
    """All starts that still climb."""

    def __init__(self, climber: Climber, slopes: Slopes, x: Array) -> None:
        self._climber, self._slopes, self.x = climber, slopes, x
        self._free = ~np.isnan(x[climber._rows])
        self._value, slope = slopes(x)
        self._g = climber.gradient(slope, self._free)
        p, m = self._g.shape
        self._h = np.broadcast_to(np.eye(p), (m, p, p)).copy()
        self._fresh = np.ones(m, np.bool_)  # H says nothing yet
        self._length = np.ones(m)

    def keep(self, going: NDArray[np.bool_]) -> None:
        """Drop the starts that have ended."""
        self.x, self._free, self._g = self.x[:, going], self._free[:, going], self._g[:, going]
        self._value, self._h = self._value[going], self._h[going]
        self._fresh, self._length = self._fresh[going], self._length[going]

    def step(self) -> NDArray[np.bool_]:
        """Try one step of each; return which go on."""
        climber, g = self._climber, self._g
        z = self.x[climber._rows]
        direction, rise = self._direction(z)
        moved = np.clip(z + self._length * direction * climber._scale, climber._low, climber._high)
        x = self.x.copy()
        x[climber._rows] = np.where(self._free, moved, np.nan)
        value, slope = self._slopes(x)
        new = climber.gradient(slope, self._free)
        taken = np.where(self._free, (moved - z) / climber._scale, 0.0)
        accepted = value >= self._value + ARMIJO * np.einsum("im,im->m", g, taken)
        self._learn(taken, g - new, accepted)
        self.x = np.where(accepted, x, self.x)
        self._g = np.where(accepted, new, g)
        self._value = np.where(accepted, value, self._value)
        self._length = np.where(accepted, 1.0, self._length * SHRINK)
        return self._length * rise > TOLERANCE

    def _direction(self, z: Array) -> tuple[Array, Array]:
        """An ascent direction in u that no bound blocks, and the first-order gain along it."""
        g, climber = self._g, self._climber
        blocked = ((z <= climber._low) & (g < 0.0)) | ((z >= climber._high) & (g > 0.0))
        g = np.where(blocked, 0.0, g)
        direction = np.where(blocked, 0.0, np.einsum("mij,jm->im", self._h, g))
        rise = np.einsum("im,im->m", direction, g)
        lost = rise <= 0.0
        if lost.any():
            direction = np.where(lost, g, direction)
            rise = np.where(lost, np.einsum("im,im->m", g, g), rise)
            self._h[lost] = np.eye(len(g))
        length = np.sqrt(np.einsum("im,im->m", direction, direction))
        shortened = np.minimum(1.0, MAX_STEP / np.maximum(length, MAX_STEP))
        return direction * shortened, rise * shortened

    def _learn(self, s: Array, y: Array, accepted: NDArray[np.bool_]) -> None:
        """BFGS: H from steps s and changes y of -g, equation 6.17 of [1]."""
        sy, yy = np.einsum("im,im->m", s, y), np.einsum("im,im->m", y, y)
        ss = np.einsum("im,im->m", s, s)
        use = accepted & (sy > 1e-10 * np.sqrt(ss * yy)) & (sy > 0.0)
        if not use.any():
            return
        first = use & self._fresh
        if first.any():
            self._h[first] *= (sy[first] / yy[first])[:, None, None]
            self._fresh &= ~first
        s, y, h = s[:, use].T, y[:, use].T, self._h[use]
        rho = 1.0 / sy[use]
        hy = np.einsum("mij,mj->mi", h, y)
        grown = rho * (1.0 + rho * np.einsum("mi,mi->m", y, hy))
        cross = rho[:, None, None] * (hy[:, :, None] * s[:, None, :])
        h += grown[:, None, None] * (s[:, :, None] * s[:, None, :]) - cross - cross.transpose(0, 2, 1)
        self._h[use] = h
