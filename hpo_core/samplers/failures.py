"""What the samplers know of failures: labelled trials, hyperparameters on schedule, the posterior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.history import State
from hpo_core.native.covariance import Structure
from hpo_core.surrogates.feasibility import Feasibility, fit_failures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.history import History
    from hpo_core.layout import Layout
    from hpo_core.surrogates.feasibility import FailureHyperparameters

# Trials of each kind that are labelled, half of them the newest.
MAX_LABELLED = 64
# Hyperparameters are fitted again when there are this many times as many finished trials.
GROWTH = 1.25


class FailureModel:
    """Where trials fail, a function of the finished trials in their order of finishing alone.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._structure = Structure(layout)
        self._fitted: tuple[int, FailureHyperparameters] | None = None
        self._latest: tuple[int, Feasibility] | None = None

    def of(self, history: History) -> Feasibility | None:
        """What is known after the trials of a history that have finished; None if none has failed."""
        if not history.count(State.FAILED):
            return None
        n = len(history.finish_order)
        if self._latest is None or self._latest[0] != n:
            self._latest = n, Feasibility(self._structure, self._hyper(history, n), *labelled(history, n))
        return self._latest[1]

    def _hyper(self, history: History, n: int) -> FailureHyperparameters:
        n_fit = max(scheduled(n), first_failure(history) + 1)
        if self._fitted is None or self._fitted[0] != n_fit:
            self._fitted = n_fit, fit_failures(self._structure, *labelled(history, n_fit))
        return self._fitted[1]


def labelled(history: History, n: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Of the first ``n`` finished trials, those that are labelled: their inputs (d, k), and which worked."""
    order = history.finish_order[:n]
    failed = history.state[order] == State.FAILED
    chosen = np.sort(np.concatenate([_spread(np.flatnonzero(failed)), _spread(np.flatnonzero(~failed))]))
    return np.ascontiguousarray(history.x[:, order[chosen]]), ~failed[chosen]


def first_failure(history: History) -> int:
    """Place of the first failed trial in the order of finishing."""
    return int((history.state[history.finish_order] == State.FAILED).argmax())


def _spread(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most ``MAX_LABELLED``: the newest half, and evenly spaced ones of those before."""
    if len(places) <= MAX_LABELLED:
        return places
    half = MAX_LABELLED // 2
    older = places[:-half]
    return np.concatenate([older[np.linspace(0, len(older) - 1, half).astype(np.int64)], places[-half:]])


def scheduled(n: int) -> int:
    """Of ``n`` finished trials, the first ones that hyperparameters are fitted to."""
    fitted = 1
    while (following := math.ceil(GROWTH * fitted)) <= n:
        fitted = following
    return fitted
