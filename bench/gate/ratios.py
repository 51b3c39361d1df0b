"""Native over NumPy in one run, for a gate that a busy machine cannot trip.

Both sides do the same work, checked equal first. Their samples alternate, the least of many counts, and the
clock is the thread's own, which stands still while others run. What is left is the machine: how wide its
vectors are, and its caches.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROUNDS = 40
SAMPLE_SECONDS = 1e-3  # thousands of times the clock's resolution


@dataclass(frozen=True)
class Ratio:
    """Two functions with one answer, and the most that the first may cost in units of the second.

    The bounds, one a SIMD level, are twice the larger of what two AVX-512 machines measured, a Xeon and
    an EPYC: NumPy uses all of it whatever our level is, so that a lesser machine stays farther below.
    Twice leaves room for other caches and clocks; a kernel that lost its vectors, or calls a library's
    exp lane by lane, costs more.
    """

    name: str
    bounds: tuple[float, float, float]
    ours: Callable[[], Array]
    numpy: Callable[[], Array]
    tolerance: float = 1e-12

    def check(self) -> None:
        """Raise if the answers differ."""
        np.testing.assert_allclose(self.ours(), self.numpy(), rtol=self.tolerance, atol=self.tolerance)


def measure(ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """Least seconds of a call of ours over least seconds of theirs, samples alternating."""
    counts = [_calls(f) for f in (ours, theirs)]
    best = [float("inf")] * 2
    for _ in range(rounds):
        for i, function in enumerate((ours, theirs)):
            best[i] = min(best[i], _seconds(function, counts[i]) / counts[i])
    return best[0] / best[1]


def _calls(function: Callable[[], object]) -> int:
    """How many calls fill a sample."""
    function()
    return max(1, round(SAMPLE_SECONDS / max(_seconds(function, 3) / 3, 1e-9)))


def _seconds(function: Callable[[], object], calls: int) -> float:
    start = time.thread_time()
    for _ in range(calls):
        function()
    return time.thread_time() - start


# ---- the pairs ---------------------------------------------------------------------------------------------


def pairs() -> list[Ratio]:
    """Pairs over what nearly all of a suggestion's time goes to."""
    return [
        _exp(),
        _log_ndtr(),
        _uniforms(),
        _density(5, (0.76, 0.27, 0.2)),
        _density(20, (0.54, 0.2, 0.16)),
        _correlations(),
    ]


def _module(topic: str) -> Any:
    from hpo_core.native import _backend

    return _backend.module(topic)


def _exp() -> Ratio:
    x, out, native = np.linspace(-40.0, 0.0, 4096), np.empty(4096), _module("normal")

    def ours() -> Array:
        native._exp(x, out)
        return out

    expected = np.empty(4096)
    return Ratio("exp beside np.exp", (8.0, 3.0, 2.0), ours, lambda: np.exp(x, out=expected))


def _log_ndtr() -> Ratio:
    from scipy.special import log_ndtr

    x, out, native = np.linspace(-10.0, 10.0, 4096), np.empty(4096), _module("normal")

    def ours() -> Array:
        native.log_ndtr(x, out)
        return out

    return Ratio("log_ndtr beside SciPy's", (3.0, 1.1, 0.75), ours, lambda: np.asarray(log_ndtr(x)))


def _uniforms() -> Ratio:
    """Philox has no twin in NumPy: its uniforms stand beside NumPy's own, so only their range is compared."""
    out, native, rng = np.empty(4096), _module("normal"), np.random.Generator(np.random.Philox(0))

    def ours() -> Array:
        native.uniforms_of_trial(1, 2, 3, out)
        return out

    bounds = (1.8, 0.95, 0.5)
    return Ratio("uniforms beside NumPy's Philox", bounds, ours, lambda: rng.random(4096), tolerance=1.0)


def _correlations() -> Ratio:
    """So few pairs that one thread serves."""
    from scipy.spatial.distance import cdist

    from bench.native.covariance import Points, matern
    from hpo_core.native import covariance

    points, out = Points(64, 20, 256), np.empty((64, 256))
    a, b = points.scaled()

    def ours() -> Array:
        return covariance.cross(points.kernel, points.a, points.b, out)

    bounds = (1.5, 0.65, 0.5)
    return Ratio("correlations beside SciPy's distances", bounds, ours, lambda: matern(cdist(a, b)), 1e-10)


def _density(d: int, bounds: tuple[float, float, float]) -> Ratio:
    """Parzen log-density of 256 candidates and 257 kernels, beside its formula over whole arrays."""
    from bench.native.parzen import mixture_of

    kernels, m = 257, 256
    mixture = mixture_of(d, kernels)
    x = np.random.default_rng(1).random((d, m))
    joint, context = np.empty(m), np.empty(m)
    scale, shift = (np.ascontiguousarray(mixture.array("row")[:kernels, i : 2 * d : 2]) for i in (0, 1))
    constant = mixture.array("constant")[:kernels].sum(axis=1)
    exponent, t = np.empty((kernels, m)), np.empty((kernels, m))

    def ours() -> Array:
        mixture.log_density(x, joint, context)
        return joint

    def numpy() -> Array:
        exponent[:] = constant[:, None]
        for c in range(d):
            np.multiply(scale[:, c, None], x[c], out=t)
            np.add(t, shift[:, c, None], out=t)
            np.multiply(t, t, out=t)
            np.subtract(exponent, t, out=exponent)
        top = exponent.max(axis=0)
        np.subtract(exponent, top, out=t)
        np.exp(t, out=t)
        result: Array = top + np.log(t.sum(axis=0))
        return result

    return Ratio(f"Parzen density, d = {d}, beside NumPy", bounds, ours, numpy, tolerance=1e-10)
