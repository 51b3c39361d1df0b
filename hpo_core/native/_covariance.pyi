import numpy as np
from numpy.typing import NDArray

class Kernel:
    def __init__(
        self,
        order: NDArray[np.int64],
        group_start: NDArray[np.int64],
        n_numeric: NDArray[np.int64],
        lengthscale: NDArray[np.float64],
        correlation: NDArray[np.float64],
    ) -> None: ...

def inputs(
    kernel: Kernel,
    x: NDArray[np.float64],
    z_out: NDArray[np.float64],
    rows_out: NDArray[np.float64],
    active_out: NDArray[np.float64],
) -> bool: ...
def matrix(
    kernel: Kernel,
    z: NDArray[np.float64],
    rows: NDArray[np.float64],
    active: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float64],
) -> None: ...
def cross(
    kernel: Kernel,
    rows: NDArray[np.float64],
    active: NDArray[np.float64],
    z: NDArray[np.float64],
    z_active: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float64],
) -> None: ...
def cross_mean(
    kernel: Kernel,
    rows: NDArray[np.float64],
    active: NDArray[np.float64],
    weights: NDArray[np.float64],
    z: NDArray[np.float64],
    z_active: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float64],
) -> None: ...
def slopes(
    kernel: Kernel,
    z: NDArray[np.float64],
    rows: NDArray[np.float64],
    active: NDArray[np.float64],
    weight: NDArray[np.float64],
    start: int,
    stop: int,
    lengthscale_out: NDArray[np.float64],
    correlation_out: NDArray[np.float64],
) -> None: ...
def cross_slopes(
    kernel: Kernel,
    rows: NDArray[np.float64],
    active: NDArray[np.float64],
    z: NDArray[np.float64],
    z_active: NDArray[np.float64],
    weight: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float64],
) -> None: ...
def _simd_level() -> int: ...
def _set_simd_level(level: int) -> int: ...
