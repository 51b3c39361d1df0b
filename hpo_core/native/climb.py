"""Projected BFGS steps of many starts side by side, uphill; csrc/climb.h says how.

symbol  meaning
m, p    starts, parameters that are moved
z       coordinates of those parameters, in [low, high]; NaN where inactive
u       z / scale: steps are taken in it
g, H    gradient with respect to u; estimate of the inverse of minus the second derivatives
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native._backend import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Climb:
    """Starts that still climb: :meth:`propose` points, evaluate them, :meth:`accept`.

    Parameters
    ----------
    rows : (p,) int64
        Parameters to move, at least one.
    scale, low, high : (p,)
        Unit of each, and the box to stay in.
    x : (d, m)
        The starts.
    value, slope : (m,), (d, m)
        Of what is maximised, at the starts.

    Attributes
    ----------
    x : (d, m)
        What was proposed last.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        scale: Array,
        low: Array,
        high: Array,
        x: Array,
        value: Array,
        slope: Array,
    ) -> None:
        self._rows, self._box = np.ascontiguousarray(rows, np.int64), np.array([scale, low, high])
        p, (d, m) = len(rows), x.shape
        if not p or self._box.shape != (3, p) or value.shape != (m,) or slope.shape != (d, m):
            raise ArgumentError(
                "rows, box, x, value and slope must have shapes (p,) with p >= 1, (3, p), (d, m), (m,) "
                "and (d, m), "
                f"got {self._rows.shape}, {self._box.shape}, {x.shape}, {value.shape} and {slope.shape}"
            )
        self.x = np.array(x, order="C")
        self._z = np.ascontiguousarray(x[rows].T)
        self._g = np.where(np.isnan(self._z), 0.0, slope[rows].T * scale)
        self._h = np.broadcast_to(np.eye(p), (m, p, p)).copy()
        self._state = np.stack([np.zeros(m), value, np.ones(m), np.zeros(m)])
        self._scratch = np.empty((3, p))
        self._module = module("climb")

    def propose(self) -> Array:
        """The point that each tries next, (d, m)."""
        self._module.propose(*self._arrays(), self.x)
        return self.x

    def accept(self, value: Array, slope: Array) -> Array:
        """Go where values (m,) are high enough; return what each may still gain, to first order, (m,)."""
        self._module.accept(*self._arrays(), self.x, value, slope)
        gain: Array = self._state[3]
        return gain

    def ends(self, which: NDArray[np.bool_]) -> Array:
        """Current positions of some of the starts, (d, k)."""
        x = self.x[:, which]
        x[self._rows] = self._z[which].T
        return x

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Drop the others."""
        self.x, self._state = (np.ascontiguousarray(a[:, which]) for a in (self.x, self._state))
        self._z, self._g, self._h = self._z[which], self._g[which], self._h[which]

    def _arrays(self) -> tuple[Any, ...]:
        return self._rows, self._box, self._z, self._g, self._h, self._state, self._scratch
