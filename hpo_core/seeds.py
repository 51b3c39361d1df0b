"""Hashes of (seed, trial number), so that random numbers depend on nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# 2**64 / golden ratio, odd: multiples of it are spread evenly, and a product with it mixes bits upwards.
GOLDEN: Final = 0x9E3779B97F4A7C15

_MASK: Final = 2**64 - 1


@overload
def trial_seed(seed: int, number: int) -> int: ...
@overload
def trial_seed(seed: int, number: NDArray[np.int64]) -> NDArray[np.int64]: ...
def trial_seed(seed: int, number: Any) -> Any:
    """Hash (study seed, trial number) to 32 bits, which every library takes as a seed."""
    key = _splitmix64(seed & _MASK, int)
    if isinstance(number, int):
        return _splitmix64(key ^ number, int) >> 32
    import numpy as np

    return (_splitmix64(np.uint64(key) ^ number.astype(np.uint64), np.uint64) >> np.uint64(32)).astype(
        np.int64
    )


def study_seeds(seed: int, n: int) -> NDArray[np.uint64]:
    """Hash (pool seed, index of a study) to seeds of studies, (n,), in [0, 2**63)."""
    import numpy as np

    key = _splitmix64(seed & _MASK, int)
    return _splitmix64(np.uint64(key) ^ np.arange(n, dtype=np.uint64), np.uint64) >> np.uint64(1)  # type: ignore[no-any-return]


def _splitmix64(z: Any, kind: type[Any]) -> Any:
    """Return splitmix64 (Steele, Lea & Flood 2014) of an int or an array of uint64; ``kind`` says which."""
    z = (z + kind(GOLDEN)) & kind(_MASK)
    z = ((z ^ (z >> kind(30))) * kind(0xBF58476D1CE4E5B9)) & kind(_MASK)
    z = ((z ^ (z >> kind(27))) * kind(0x94D049BB133111EB)) & kind(_MASK)
    return z ^ (z >> kind(31))
