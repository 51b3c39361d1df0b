import numpy as np
from numpy.typing import NDArray

def ei(mean: NDArray[np.float64], sd: NDArray[np.float64], best: float, out: NDArray[np.float64]) -> None: ...
def log_ei(
    mean: NDArray[np.float64], sd: NDArray[np.float64], best: float, out: NDArray[np.float64]
) -> None: ...
def ei_slopes(
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    best: float,
    out: NDArray[np.float64],
    by_mean: NDArray[np.float64],
    by_sd: NDArray[np.float64],
) -> None: ...
def log_ei_slopes(
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    best: float,
    out: NDArray[np.float64],
    by_mean: NDArray[np.float64],
    by_sd: NDArray[np.float64],
) -> None: ...
def log_ei_average(
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    best: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def _simd_level() -> int: ...
def _set_simd_level(level: int) -> int: ...
