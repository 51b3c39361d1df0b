"""NumPy's error settings wherever this library computes with values."""

from __future__ import annotations

import numpy as np


def usual_errors() -> np.errstate:
    """NumPy's default settings, as a decorator: a user's settings for other code must not end a search.

    The squares of values under 1e-154 underflow, which is harmless; with ``np.seterr(all="raise")`` it is
    an exception.
    """
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
