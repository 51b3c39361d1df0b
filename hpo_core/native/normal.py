"""The normal distribution and Philox over arrays: checked, allocated, passed to the backend.

Phi is the standard normal's distribution function; eps is 2^-52.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native import _backend

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WORD = 2**64


def ndtr(x: ArrayLike) -> NDArray[np.float64]:
    """Phi(x), to a few eps of the smaller tail; 0 or 1 beyond x = ±37.6."""
    return _apply("ndtr", x)


def log_ndtr(x: ArrayLike) -> NDArray[np.float64]:
    """Log of Phi(x), relative error below 1e-13 from -1e150 to 37, then 0."""
    return _apply("log_ndtr", x)


def erfcx(x: ArrayLike) -> NDArray[np.float64]:
    """exp(x²) erfc(x), to a few eps; inf below -26.6."""
    return _apply("erfcx", x)


def ndtri(u: ArrayLike) -> NDArray[np.float64]:
    """Inverse of Phi: abs(Phi(x) - u) <= (8 + x²) eps min(u, 1 - u), and 8 eps for -4 <= x <= 4.

    Rounding x alone costs up to x² eps / 2. NaN outside [0, 1].
    """
    return _apply("ndtri", u)


def log_mass(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Log of Phi(b) - Phi(a), relative to max(1, -log) below 1e-13; -inf where a = b.

    Raises
    ------
    ArgumentError
        If a bound is NaN or some a > b.
    """
    return _apply("log_mass", *_interval(a, b))


def truncated(u: ArrayLike, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """The u-quantile of a standard normal truncated to [a, b], an interval around its mode.

    Raises
    ------
    ArgumentError
        Unless 0 <= u <= 1 and a <= 0 <= b everywhere.
    """
    low, high = _interval(a, b)
    if not (np.all(low <= 0.0) and np.all(high >= 0.0)):
        raise ArgumentError("a and b must satisfy a <= 0 <= b: the interval holds the mode")
    quantile = np.asarray(u, dtype=np.float64)
    if not np.all((quantile >= 0.0) & (quantile <= 1.0)):
        raise ArgumentError("u must be in [0, 1] everywhere")
    return _apply("truncated", quantile, low, high)


def philox(seed: int, counter: ArrayLike) -> NDArray[np.uint32]:
    """The four random words of one block of Philox-4x32-10, low words first."""
    words = np.array(counter, dtype=np.uint32)
    if words.shape != (4,):
        raise ArgumentError(f"counter must be four words, got shape {words.shape}")
    _backend.module("normal").philox(_word("seed", seed), words)
    return words


def uniforms_of_trial(seed: int, trial: int, start: int, n: int) -> NDArray[np.float64]:
    """Uniforms number ``start`` to ``start + n - 1`` of one trial, each in (0, 1)."""
    out = np.empty(n)
    _backend.module("normal").uniforms_of_trial(
        _word("seed", seed), _word("trial", trial), _word("start", start), out
    )
    return out


def uniforms_of_index(seed: int, trial: int, index: int, n: int) -> NDArray[np.float64]:
    """Uniform number ``index`` of the trials ``trial`` to ``trial + n - 1``, each in (0, 1)."""
    out = np.empty(n)
    _backend.module("normal").uniforms_of_index(
        _word("seed", seed), _word("trial", trial), _word("index", index), out
    )
    return out


def _apply(name: str, *arrays: ArrayLike) -> NDArray[np.float64]:
    """Broadcast the arguments, flatten them, and call the backend's function of that name."""
    given = [np.asarray(array, dtype=np.float64) for array in arrays]
    if any(array.shape != given[0].shape for array in given[1:]):  # broadcasting is a third of a small call
        shape = np.broadcast_shapes(*(array.shape for array in given))
        given = [array if array.shape == shape else np.broadcast_to(array, shape) for array in given]
    out = np.empty(given[0].shape)
    flat = [np.ascontiguousarray(array).reshape(-1) for array in given]
    getattr(_backend.module("normal"), name)(*flat, out.reshape(-1))
    return out


def _interval(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not np.all(low <= high):
        raise ArgumentError("a and b must satisfy a <= b everywhere, and neither may be NaN")
    return low, high


def _word(name: str, value: int) -> int:
    if not 0 <= value < WORD:
        raise ArgumentError(f"{name} must be an int from 0 to 2**64 - 1, got {value}")
    return value
