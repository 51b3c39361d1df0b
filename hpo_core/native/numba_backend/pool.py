"""The class of _pool.pyx without its speed: it keeps the trials, and leaves every study aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.native.domain import DomainArrays

    Columns = list[tuple[NDArray[np.int64], int, int, int]]

ASIDE = 1


class Studies:
    """``pool_study`` for each seed, of which only the coordinates are needed."""

    def __init__(
        self,
        domain: DomainArrays,  # noqa: ARG002
        directions: NDArray[np.uint32],  # noqa: ARG002
        columns: Columns,  # noqa: ARG002
        settings: tuple[Any, ...],  # noqa: ARG002
        options: tuple[Any, ...],  # noqa: ARG002
        every: NDArray[np.float64],  # noqa: ARG002
        codes: NDArray[np.uint64],  # noqa: ARG002
        seeds: NDArray[np.uint64],
    ) -> None:
        self._x: list[list[NDArray[np.float64]]] = [[] for _ in seeds]

    def ask(
        self,
        studies: NDArray[np.int64],  # noqa: ARG002
        first: int,
        last: int,
        x_out: NDArray[np.float64],  # noqa: ARG002
        status_out: NDArray[np.uint8],
    ) -> None:
        """Leave studies[first:last] aside."""
        status_out[first:last] = ASIDE

    def append(self, studies: NDArray[np.int64], x: NDArray[np.float64]) -> None:
        """Column j of x (d, k) becomes a running trial of studies[j]."""
        for study, point in zip(studies.tolist(), x.T.copy(), strict=True):
            self._x[study].append(point)

    def tell(
        self, studies: NDArray[np.int64], numbers: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None:
        """Do nothing: the results of a study that is left aside are kept by those who ask it."""

    def gather(
        self, studies: NDArray[np.int64], numbers: NDArray[np.int64], x_out: NDArray[np.float64]
    ) -> None:
        """Coordinates (d, k) of trials."""
        for j, (study, number) in enumerate(zip(studies.tolist(), numbers.tolist(), strict=True)):
            x_out[:, j] = self._x[study][number]
