import numpy as np
from numpy.typing import NDArray

from hpo_core.native._domain import Domain

class Studies:
    def __init__(
        self,
        domain: Domain,
        directions: NDArray[np.uint32],
        columns: list[tuple[NDArray[np.int64], int, int, int]],
        settings: tuple[float, ...],
        options: tuple[float, ...],
        every: NDArray[np.float64],
        codes: NDArray[np.uint64],
        seeds: NDArray[np.uint64],
    ) -> None: ...
    def ask(
        self,
        studies: NDArray[np.int64],
        first: int,
        last: int,
        x_out: NDArray[np.float64],
        status_out: NDArray[np.uint8],
    ) -> None: ...
    def append(self, studies: NDArray[np.int64], x: NDArray[np.float64]) -> None: ...
    def tell(
        self, studies: NDArray[np.int64], numbers: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None: ...
    def gather(
        self, studies: NDArray[np.int64], numbers: NDArray[np.int64], x_out: NDArray[np.float64]
    ) -> None: ...

def _set_simd_level(level: int) -> int: ...
def _simd_level() -> int: ...
