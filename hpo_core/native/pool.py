"""Many small studies behind their door: each has its trials and a TPE model; see csrc/pool.h."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hpo_core.native._backend import module
from hpo_core.native.domain import keys
from hpo_core.native.sobol_table import directions
from hpo_core.native.threads import parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain

    Columns = list[tuple[NDArray[np.int64], int, int, int]]
    Indices = NDArray[np.int64]

PROPOSED, ASIDE, EXHAUSTED, NO_MEMORY = range(4)  # pool_status
# Studies that are worth a thread: during start-up they take about 30 us.
MIN_PER_THREAD = 64


class Studies(Protocol):
    """The trials of every study, numbered from 0 in each, and what is derived from them."""

    def ask(
        self,
        studies: Indices,
        first: int,
        last: int,
        x_out: NDArray[np.float64],
        status_out: NDArray[np.uint8],
    ) -> None: ...

    def append(self, studies: Indices, x: NDArray[np.float64]) -> None: ...

    def tell(self, studies: Indices, numbers: Indices, values: NDArray[np.float64]) -> None: ...

    def gather(self, studies: Indices, numbers: Indices, x_out: NDArray[np.float64]) -> None: ...


def new_studies(
    domain: Domain,
    columns: Columns,
    settings: tuple[float, ...],
    options: tuple[float, ...],
    every: NDArray[np.float64],
    seeds: NDArray[np.uint64],
) -> Studies:
    """Empty studies.

    Parameters
    ----------
    columns, settings
        As for ``native.tpe.new_model``.
    options
        ``n_startup`` and what follows in ``pool_setup``.
    every
        (d, n) all configurations of a finite space that is to be searched to its last one; (d, 0) of another.
    seeds
        (n_studies,) keys of every random number.
    """
    made: Studies = module("pool").Studies(
        domain.handle, directions(domain.size), columns, settings, options, every, keys(domain, every), seeds
    )
    return made


def ask(studies: Studies, which: Indices, d: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Ask the studies ``which`` (k,), all different, for a trial each.

    Returns
    -------
    x : (d, k) float64
    status : (k,) uint8
        ``PROPOSED``, or ``ASIDE``, ``EXHAUSTED`` or ``NO_MEMORY`` for studies without a new trial: see
        csrc/pool.h.
    """
    x, status = np.empty((d, len(which))), np.full(len(which), NO_MEMORY, np.uint8)
    with suppress(MemoryError):  # the status of each study says which have a trial all the same
        parallel(lambda first, last: studies.ask(which, first, last, x, status), len(which), MIN_PER_THREAD)
    return x, status
