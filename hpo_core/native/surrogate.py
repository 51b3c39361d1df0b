"""A fit's objective and a climb of log EI, in one native call each.

A Gaussian process is asked for these most often. The results are those of the pieces (``covariance``,
``linalg``, ``improvement``, ``climb``) but for rounding. At 50 data a piece takes 5 microseconds, and as long
again from Python.

symbol  meaning
n, m    data, starts
d, G    parameters, groups
W       C^-1 - alpha alpha' / s2: see ``hpo_core.gp.fit``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native._backend import module
from hpo_core.native.covariance import PARTLY_INACTIVE, Inputs, Kernel
from hpo_core.native.linalg import on_one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Likelihood(NamedTuple):
    """Minus a log likelihood, its mean and scale at their optimum, and its derivatives."""

    value: float  # infinity if C has no factor; the slopes mean nothing then
    by_log_lengthscale: Array  # (d,)
    by_correlation: Array  # (G,); 0 for group 0
    by_log_noise: float


def likelihood(kernel: Kernel, x: Array, y: Array, noise: float, w: Array) -> Likelihood:
    """Minus the log likelihood of data x (d, n), y (n,), with its gradient.

    Parameters
    ----------
    kernel : Kernel
    x : (d, n)
    y : (n,)
    noise : float
        What is added to the diagonal.
    w : (n, n)
        Its lower triangle becomes that of W.

    Raises
    ------
    ArgumentError
        Shapes that do not agree, or a point where a part of a group, or of group 0, is NaN.
    """
    d, groups, n = kernel.structure.n_columns, kernel.structure.n_groups, len(y)
    if x.shape != (d, n) or w.shape != (n, n) or not n:
        raise ArgumentError(
            f"x, y and w must have shapes ({d}, n), (n,) and (n, n) with n >= 1, "
            f"got {x.shape}, {y.shape} and {w.shape}"
        )
    gradient = np.empty(d + groups + 1)
    value = on_one_thread(module("surrogate").objective, kernel.handle, x, y, noise, w, gradient)
    if np.isnan(value):
        raise ArgumentError(PARTLY_INACTIVE)
    return Likelihood(value, gradient[:d], gradient[d:-1], float(gradient[-1]))


class Prediction(NamedTuple):
    """A posterior, as :func:`climb_log_ei` reads it: see ``hpo_core.gp.posterior``."""

    kernel: Kernel
    inputs: Inputs
    factor: Array  # (n, n)
    alpha: Array  # (n,)
    mu: float
    s2: float


def climb_log_ei(
    of: Prediction,
    best: float,
    doubt: Array,
    x: Array,
    rows: NDArray[np.int64],
    box: tuple[Array, Array, Array],
    *,
    max_steps: int,
    tolerance: float,
) -> Array:
    """Climb the log of the expected improvement below ``best`` from x (d, m), and return the ends, (d, m).

    ``doubt`` (m,) multiplies the variances. ``rows`` (p,) are the parameters that move, ``box`` is their
    unit, least and greatest value, (p,) each: see ``hpo_core.native.climb``. A climb ends after
    ``max_steps``, or once it promises to gain at most ``tolerance``.
    """
    ends = np.array(x, np.float64, order="C")
    if ends.ndim != 2 or ends.shape[0] != of.kernel.structure.n_columns or not ends.shape[1] or not len(rows):
        raise ArgumentError(
            f"x must have shape ({of.kernel.structure.n_columns}, m) with m >= 1, and rows an entry, "
            f"got {ends.shape} and {len(rows)}"
        )
    module("surrogate").climb_log_ei(
        of.kernel.handle, of.inputs.rows, of.inputs.active, of.factor, of.alpha, of.mu, of.s2, best,
        doubt, rows, np.array(box), max_steps, tolerance, ends,
    )  # fmt: skip
    return ends
