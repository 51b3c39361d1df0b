import numpy as np
from numpy.typing import NDArray

def propose(
    rows: NDArray[np.int64],
    box: NDArray[np.float64],
    z: NDArray[np.float64],
    g: NDArray[np.float64],
    h: NDArray[np.float64],
    state: NDArray[np.float64],
    scratch: NDArray[np.float64],
    x: NDArray[np.float64],
) -> None: ...
def accept(
    rows: NDArray[np.int64],
    box: NDArray[np.float64],
    z: NDArray[np.float64],
    g: NDArray[np.float64],
    h: NDArray[np.float64],
    state: NDArray[np.float64],
    scratch: NDArray[np.float64],
    x: NDArray[np.float64],
    value: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None: ...
