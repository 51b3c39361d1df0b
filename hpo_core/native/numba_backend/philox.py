"""Philox-4x32-10 in numba, bit for bit csrc/philox.h.

Everything is np.uint64: numba turns a mixture of uint64 and int64 into float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
ONE, TWELVE, WORD = np.uint64(1), np.uint64(12), np.uint64(32)
ROUNDS = 10


@njit(cache=True)
def philox4x32(
    seed: np.uint64, c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The four random words of the counter (c0, c1, c2, c3), all below 2**32."""
    k0, k1 = seed & LOW, seed >> WORD
    for _ in range(ROUNDS):
        p0, p1 = M0 * c0, M1 * c2
        c0, c2 = (p1 >> WORD) ^ c1 ^ k0, (p0 >> WORD) ^ c3 ^ k1
        c1, c3 = p1 & LOW, p0 & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3


@njit(cache=True)
def philox_u64(seed: np.uint64, trial: np.uint64, index: np.uint64) -> np.uint64:
    """64 random bits: number ``index`` of trial ``trial``."""
    block = index >> ONE
    c0, c1, c2, c3 = philox4x32(seed, trial & LOW, trial >> WORD, block & LOW, block >> WORD)
    if index & ONE:
        return (c3 << WORD) | c2
    return (c1 << WORD) | c0


@njit(cache=True)
def philox_u01(seed: np.uint64, trial: np.uint64, index: np.uint64) -> float:
    """Uniform number ``index`` of trial ``trial``: the centre of one of 2**52 cells of (0, 1)."""
    cell = philox_u64(np.uint64(seed), np.uint64(trial), np.uint64(index)) >> TWELVE
    return (np.float64(cell) + 0.5) * 2.0**-52


@njit(cache=True, nogil=True)
def _of_trial(seed: np.uint64, trial: np.uint64, start: np.uint64, out: NDArray[np.float64]) -> None:
    for i in range(out.size):
        out[i] = philox_u01(seed, trial, start + np.uint64(i))


@njit(cache=True, nogil=True)
def _of_index(seed: np.uint64, trial: np.uint64, index: np.uint64, out: NDArray[np.float64]) -> None:
    for i in range(out.size):
        out[i] = philox_u01(seed, trial + np.uint64(i), index)


def philox(seed: int, counter: NDArray[np.uint32]) -> None:
    """Replace a counter by its four random words."""
    counter[:] = philox4x32(np.uint64(seed), *counter.astype(np.uint64))


def uniforms_of_trial(seed: int, trial: int, start: int, out: NDArray[np.float64]) -> None:
    """Uniforms number ``start``.. of one trial."""
    _of_trial(np.uint64(seed), np.uint64(trial), np.uint64(start), out)


def uniforms_of_index(seed: int, trial: int, index: int, out: NDArray[np.float64]) -> None:
    """Uniform number ``index`` of the trials ``trial``.."""
    _of_index(np.uint64(seed), np.uint64(trial), np.uint64(index), out)
