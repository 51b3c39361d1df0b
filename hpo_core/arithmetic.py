"""How numpy's arithmetic treats what leaves float64, wherever this library computes with values."""

from __future__ import annotations

import numpy as np


def usual_errors() -> np.errstate:
    """Numpy's own settings, as a decorator: what a user chose for other code must not end a search.

    Values under 1e-154 have squares that vanish, which is right; ``np.seterr(all="raise")`` makes an
    exception of that.
    """
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
