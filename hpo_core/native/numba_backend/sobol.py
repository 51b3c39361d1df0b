"""Scrambled Sobol points in numba; csrc/sobol.h names the sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from hpo_core.native.sobol_table import BITS, DIMENSIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)

_SCRAMBLE, _SHUFFLE = 0, 1
_HASH = np.uint32(0x3D20ADEA), np.uint32(0x05526C56), np.uint32(0x53A22864)
_SWAPS = tuple(
    (np.uint32(width), np.uint32(mask))
    for width, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF))
)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@njit(cache=True)
def mix64(z: Any) -> Any:
    """Finaliser of SplitMix64."""
    z = (z ^ (z >> _SHIFTS[0])) * _MIX[0]
    z = (z ^ (z >> _SHIFTS[1])) * _MIX[1]
    return z ^ (z >> _SHIFTS[2])


@njit(cache=True)
def _reverse_bits(v: Any) -> Any:
    for width, mask in _SWAPS:
        v = np.uint32((v >> width & mask) | (v & mask) << width)
    return v


@njit(cache=True)
def _owen(v: Any, seed: Any) -> Any:
    v = _reverse_bits(v)
    v = np.uint32(v ^ np.uint32(v * _HASH[0]))
    v = np.uint32(np.uint32(v + seed) * np.uint32(seed >> np.uint32(16) | np.uint32(1)))
    v = np.uint32(v ^ np.uint32(v * _HASH[1]))
    v = np.uint32(v ^ np.uint32(v * _HASH[2]))
    return _reverse_bits(v)


@njit(cache=True)
def _scramble_seed(seed: Any, purpose: int, i: int) -> Any:
    z = mix64(seed + GOLDEN)
    return np.uint32(mix64(z + GOLDEN * np.uint64(2 * i + purpose)) >> _SHIFTS[3])


@njit(cache=True)
def sobol_row(directions: Column, seed: Any, i: int, start: Any, u: Column) -> None:
    """Coordinates in (0, 1) of dimension i of the points from ``start`` on."""
    repetition, i_table = i // DIMENSIONS, i % DIMENSIONS
    scramble = _scramble_seed(seed, _SCRAMBLE, i)
    shuffle = _scramble_seed(seed, _SHUFFLE, repetition)
    for j in range(u.size):
        number = np.uint32(start + np.uint64(j))
        if repetition > 0:
            number = _owen(number, shuffle)
        gray = np.uint32(number ^ (number >> np.uint32(1)))
        v = np.uint32(0)
        for k in range(BITS):
            if gray >> np.uint32(k) & np.uint32(1):
                v = np.uint32(v ^ directions[i_table, k])
        u[j] = (float(_owen(v, scramble)) + 0.5) * 2.0**-32
