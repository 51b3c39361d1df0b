import numpy as np
from numpy.typing import NDArray

from hpo_core.native._covariance import Kernel

def _set_simd_level(level: int) -> int: ...
def _simd_level() -> int: ...
def objective(
    kernel: Kernel,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    noise: float,
    w_out: NDArray[np.float64],
    gradient_out: NDArray[np.float64],
) -> float: ...
def climb_log_ei(
    kernel: Kernel,
    rows: NDArray[np.float64],
    active: NDArray[np.float64],
    factor: NDArray[np.float64],
    alpha: NDArray[np.float64],
    mean: float,
    s2: float,
    best: float,
    doubt: NDArray[np.float64],
    moved: NDArray[np.int64],
    box: NDArray[np.float64],
    max_steps: int,
    tolerance: float,
    x: NDArray[np.float64],
) -> None: ...
