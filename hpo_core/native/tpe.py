"""The TPE model behind its door: mixtures of every group, pools of candidates, their choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hpo_core.native._backend import module
from hpo_core.native.parzen import Mixture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain

    Columns = list[tuple[NDArray[np.int64], int, int, int]]

__all__ = ["Mixture", "Model", "Pool", "new_model", "new_pool"]


class Pool(Protocol):
    """Candidates x (d, capacity) and their densities."""

    @property
    def x(self) -> NDArray[np.float64]: ...


class Model(Protocol):
    """l, g and f of every group; see csrc/tpe.h, whose functions these are."""

    @property
    def below(self) -> list[Mixture]: ...

    @property
    def above(self) -> list[Mixture]: ...

    @property
    def failed(self) -> list[Mixture]: ...

    def reset(self) -> None: ...

    def observe(
        self,
        x: NDArray[np.float64],
        keys: NDArray[np.float64],
        gain: NDArray[np.float64],
        trials: NDArray[np.int64],
    ) -> None: ...

    def refresh(self, x: NDArray[np.float64], running: NDArray[np.int64]) -> None: ...

    def join(self, x: NDArray[np.float64]) -> None: ...

    def draw(self, pool: Pool, stream: int, attempt: int, m: int) -> None: ...

    def score(self, pool: Pool, first: int, last: int) -> None: ...

    def score_range(self, pool: Pool, first: int, last: int) -> None: ...

    def scores(self, pool: Pool, m: int, out: NDArray[np.float64]) -> None: ...

    def choose(self, pool: Pool, m: int, stream: int, subset: int, picks_out: NDArray[np.int64]) -> int: ...

    def propose(self, pool: Pool, stream: int, m: int, subset: int) -> NDArray[np.float64]: ...


def new_model(
    domain: Domain,
    columns: Columns,
    settings: tuple[float, ...],
    seed: int,
    *,
    max_joined: int,
    max_failed: int,
) -> Model:
    """An empty model.

    Parameters
    ----------
    columns
        Per group: parameters of its columns, numeric ones, numeric and categorical context.
    settings
        In the order of ``tpe_settings``.
    max_joined, max_failed
        Running trials and picks that may join g, failed trials that make up f.
    """
    model: Model = module("tpe").Model(domain.handle, columns, settings, seed, max_joined, max_failed)
    return model


def new_pool(model: Model, m: int) -> Pool:
    """Room for ``m`` candidates of the model."""
    pool: Pool = module("tpe").Pool(model, m)
    return pool
