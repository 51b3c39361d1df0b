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

# Trials of each kind that are labelled, half of them the newest.
MAX_LABELLED = 64
# Hyperparameters are fitted again when there are this many times as many finished trials. This and the next:
# bench/results/2026-11-28-failures-ablation.md.
GROWTH = 1.4
# Once a trial has worked, so many failures or more before it are forgotten: something may have been broken.
# Where they were of a small region that works, what else fails says so as soon.
MIN_LEADING = 8


class FailureModel:
    """Where trials fail, a function of the finished trials in their order of finishing alone.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._structure = Structure(layout)
        self._fitted: tuple[int, Feasibility] | None = None
        self._latest: tuple[int, Feasibility] | None = None

    def of(self, history: History) -> Feasibility | None:
        """What is known after the trials of a history that have finished; None if none has failed."""
        if not history.count(State.FAILED):
            return None
        n = len(history.finish_order)
        if self._latest is None or self._latest[0] != n:
            self._latest = n, self._conditioned(history, n)
        return self._latest[1]

    def _conditioned(self, history: History, n: int) -> Feasibility:
        n_fit = max(scheduled(n), turn(history) + 1)
        fitted_to, trials = labelled(history, n_fit), labelled(history, n)
        if self._fitted is None or self._fitted[0] != n_fit:
            self._fitted = n_fit, fit_failures(self._structure, *_labels(history, fitted_to))
        fit = self._fitted[1]
        start = fit.sites.of_others(np.isin(fitted_to, trials), np.isin(trials, fitted_to))
        return Feasibility(self._structure, fit.hyper, *_labels(history, trials), start)


def labelled(history: History, n: int) -> NDArray[np.int64]:
    """Of the first ``n`` finished trials, those that are labelled, in their order of finishing."""
    order = history.finish_order[:n]
    failed = history.state[order] == State.FAILED
    n_leading = int((~failed).argmax())  # 0 if none has worked
    if n_leading >= MIN_LEADING:
        order, failed = order[n_leading:], failed[n_leading:]
    chosen = np.concatenate([_spread(np.flatnonzero(failed)), _spread(np.flatnonzero(~failed))])
    trials: NDArray[np.int64] = order[np.sort(chosen)]
    return trials


def _labels(history: History, trials: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Inputs of trials, (d, k), and which of them worked."""
    return np.ascontiguousarray(history.x[:, trials]), history.state[trials] != State.FAILED


def turn(history: History) -> int:
    """Place in the order of finishing where failures end or begin for the first time; 0 if they never do."""
    failed = history.state[history.finish_order] == State.FAILED
    return int((failed != failed[0]).argmax())


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
