import numpy as np
from numpy.typing import NDArray

def divergences(
    cells: NDArray[np.int64],
    start: NDArray[np.int64],
    edges: NDArray[np.float64],
    x: NDArray[np.float64],
    chosen: NDArray[np.uint8],
    divergences_out: NDArray[np.float64],
    counts_out: NDArray[np.int64],
) -> None: ...
