"""Asking one study of a pool by the sampler of a ``Study``, for cases that the native loop leaves aside."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.log import History, State
from hpo_core.samplers.sobol import SobolSampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.samplers.base import Sampler
    from hpo_core.space import Space
    from hpo_core.tpe.sampler import TPESampler

    Array = NDArray[np.float64]

MIN_COMPLETE = 2  # for TPE, whatever else has finished


class Alone:
    """Samplers of single studies, made when they are needed.

    Parameters
    ----------
    space : Space
    sampler : TPESampler
        Not started; it is copied.
    allow_duplicates : bool
    """

    def __init__(self, space: Space, sampler: TPESampler, *, allow_duplicates: bool) -> None:
        self._space, self._sampler, self._allow_duplicates = space, sampler, allow_duplicates

    def ask(
        self, seed: int, x: Array, value: Array, state: NDArray[np.uint8], order: NDArray[np.int64]
    ) -> Array:
        """Propose the next trial of a study, (d, 1).

        Parameters
        ----------
        seed : int
        x : (d, n) float64
            Coordinates of its trials.
        value, state : (n,) arrays
            What is minimised, and values of ``State``.
        order : (k,) int64
            Finished trials in their order of finishing.

        Raises
        ------
        SpaceExhausted, InfeasibleSpaceError
        """
        history = History(self._space.layout)
        if x.shape[1]:
            history.start(0, x, None, 0, 0.0, self._sampler.name)
        for rows in np.split(order, 1 + np.flatnonzero(np.diff(state[order]))) if len(order) else ():
            end, costs = int(state[rows[0]]), np.full(len(rows), np.nan)
            told = value[np.newaxis, rows] if end == State.COMPLETE else None
            history.finish(rows, end, costs, 0, told)
        sampler: Sampler = copy.copy(self._sampler)
        if len(order) < self._sampler.n_startup or history.count(State.COMPLETE) < MIN_COMPLETE:
            sampler = SobolSampler()
        sampler.start(self._space, seed=seed, allow_duplicates=self._allow_duplicates)
        return sampler.ask(history, len(history), 1).x
