"""One step of local search, all starts together: propose, accept and learn, beside the same in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_STEP = 1.0


def _hill(x: Array) -> tuple[Array, Array]:
    """A concave function of points (d, m) and its gradient."""
    weight = np.linspace(1.0, 3.0, x.shape[0])[:, None]
    off = x - 0.4
    return -0.5 * np.sum(weight * off * off, axis=0), -weight * off


def _in_numpy(x: Array, g: Array, h: Array, scale: Array) -> tuple[Array, Array]:
    """Where the starts (d, m) go and H (m, d, d) after it, no bound or shortening in the way."""
    direction = np.einsum("mij,jm->im", h, g)
    length = np.sqrt(np.einsum("im,im->m", direction, direction))
    direction *= np.minimum(1.0, MAX_STEP / np.maximum(length, MAX_STEP))
    moved = x + direction * scale[:, None]
    _, slope = _hill(moved)
    s, y = direction.T, (g - slope * scale[:, None]).T
    rho = 1.0 / np.einsum("mi,mi->m", s, y)
    hy = np.einsum("mij,mj->mi", h, y)
    grown = rho * (1.0 + rho * np.einsum("mi,mi->m", y, hy))
    cross = rho[:, None, None] * (hy[:, :, None] * s[:, None, :])
    learnt = grown[:, None, None] * (s[:, :, None] * s[:, None, :]) - cross - cross.transpose(0, 2, 1)
    return moved, h + learnt


def _step(m: int, d: int) -> Prepared:
    from hpo_core.native.climb import Climb

    rng = np.random.default_rng(0)
    scale, x = rng.uniform(0.5, 1.0, d), rng.random((d, m))
    climb = Climb(np.arange(d), scale, np.full(d, -9.0), np.full(d, 9.0), x, *_hill(x))
    climb.accept(*_hill(climb.propose()))  # H has learnt
    kept = [array.copy() for array in (climb._z, climb._g, climb._h, climb._state)]
    value, slope = _hill(climb.propose())

    def run() -> tuple[Array, Array]:
        for array, before in zip((climb._z, climb._g, climb._h, climb._state), kept, strict=True):
            np.copyto(array, before)
        climb.propose()
        climb.accept(value, slope)
        return climb._z.T, climb._h

    def reference() -> tuple[Array, Array]:
        z, g, h, _ = kept
        return _in_numpy(z.T, g.T, h, scale)

    return Prepared(run, reference, Work(m, fma=6.0 * m * d * d, bytes=32.0 * m * d * d))


KERNELS = (Kernel("climb", "step", grid(m=(8,), d=(5, 20, 50)), _step),)
