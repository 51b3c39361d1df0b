"""Parzen mixtures behind their door: kernels over mixed coordinates, one uniform component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.native._backend import module

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain

# Candidates are evaluated in vectors of 8; a smaller last one is padded.
LANES = 8


class Mixture(Protocol):
    """K kernels over D columns, numeric ones first; slot 0 is the uniform component.

    ``array(name)`` gives a view of an array of csrc/parzen.h by its name there.
    """

    @property
    def size(self) -> int: ...

    @property
    def n_columns(self) -> int: ...

    @property
    def has_context(self) -> bool: ...

    def array(self, name: str) -> NDArray[Any]: ...

    def clear(self, prior_weight: float) -> None: ...

    def place(self, k: int, x: NDArray[np.float64], trial: int, log_weight: float) -> None: ...

    def rebuild(self, floor: float) -> None: ...

    def insert(self, k: int, floor: float) -> None: ...

    def remove(self, k: int, floor: float) -> None: ...

    def attach(self, k: int, floor: float) -> None: ...

    def smooth(self, epsilon: float) -> None: ...

    def log_density(
        self, x: NDArray[np.float64], joint_out: NDArray[np.float64], context_out: NDArray[np.float64]
    ) -> None: ...

    def draw(
        self,
        column: int,
        component: NDArray[np.int32],
        u: NDArray[np.float64],
        x_out: NDArray[np.float64],
    ) -> None: ...


def new_mixture(
    domain: Domain, dims: NDArray[np.int64], n_numeric: int, n_context: tuple[int, int], capacity: int
) -> Mixture:
    """An empty mixture.

    Parameters
    ----------
    dims : (D,) int64
        Parameter of each column: numeric ones first, in each part those of the context first.
    n_numeric : int
        Numeric columns.
    n_context : (int, int)
        Numeric and categorical columns of the context.
    capacity : int
        Kernels that fit, the uniform one included.
    """
    if capacity < 1:
        raise ArgumentError(f"capacity must be an int >= 1, got {capacity}")
    kinds = domain.layout.kinds[dims] == 2
    if kinds[:n_numeric].any() or not kinds[n_numeric:].all():
        raise ArgumentError(
            f"dims must be numeric parameters first, then categorical ones, got {dims.tolist()}"
        )
    mixture: Mixture = module("parzen").Mixture(domain.handle, dims, n_numeric, *n_context, capacity)
    return mixture


def log_density(mixture: Mixture, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unnormalised log densities of candidates ``x`` (D, m), columns in the mixture's order.

    Returns
    -------
    joint, context : (m,)
        log sum_k w_k A_k B_k and log sum_k w_k A_k; the latter is meaningless without a context.
    """
    if x.ndim != 2 or x.shape[0] != mixture.n_columns:
        raise ArgumentError(f"x must have shape ({mixture.n_columns}, m), got {x.shape}")
    m = x.shape[1]
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (0, -m % LANES)), mode="edge" if m else "constant")
    joint, context = np.empty(padded.shape[1]), np.empty(padded.shape[1])
    mixture.log_density(padded, joint, context)
    return joint[:m], context[:m]
