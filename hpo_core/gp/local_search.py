"""Local search over continuous parameters: the starts climb together, see ``hpo_core.native.climb``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.native.climb import Climb

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Slopes = Callable[[Array], tuple[Array, Array]]

MAX_STEPS = 30
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
        self._box = scale[rows], low[rows], high[rows]

    def climb(self, slopes: Slopes, x: Array) -> Array:
        """Where the starts (d, m) end; activity stays as it is.

        ``slopes`` gives values (m,) and gradients (d, m).
        """
        ends = x.copy()
        todo = np.arange(x.shape[1])
        starts = Climb(self._rows, *self._box, x, *slopes(x))
        for _ in range(MAX_STEPS):
            going = starts.accept(*slopes(starts.propose())) > TOLERANCE
            if not going.all():
                ends[:, todo[~going]] = starts.ends(~going)
                todo = todo[going]
                if not len(todo):
                    return ends
                starts.keep(going)
        ends[:, todo] = starts.ends(np.ones(len(todo), np.bool_))
        return ends
