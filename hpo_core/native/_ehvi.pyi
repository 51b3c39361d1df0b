import numpy as np
from numpy.typing import NDArray

def boxes(
    front: NDArray[np.float64],
    reference: NDArray[np.float64],
    columns: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> int: ...
def index(
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    bounds: NDArray[np.float64],
    n_bounds: NDArray[np.int64],
    places: NDArray[np.int64],
) -> None: ...
def log_ehvi(
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    bounds: NDArray[np.float64],
    n_bounds: NDArray[np.int64],
    places: NDArray[np.int64],
    start: int,
    stop: int,
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def log_ehvi_slopes(
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    bounds: NDArray[np.float64],
    n_bounds: NDArray[np.int64],
    places: NDArray[np.int64],
    start: int,
    stop: int,
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
    slopes: NDArray[np.float64],
) -> None: ...
def _simd_level() -> int: ...
def _set_simd_level(level: int) -> int: ...
