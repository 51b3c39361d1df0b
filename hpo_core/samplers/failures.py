"""What the samplers know of failures: labelled trials, hyperparameters on schedule, the posterior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.feasibility import Feasibility, fit_failures
from hpo_core.gp.warps import penalties
from hpo_core.log import State
from hpo_core.native.covariance import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.log import History

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

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
        self._fitted: tuple[tuple[int, bytes, bytes], Feasibility] | None = None
        self._latest: tuple[int, Feasibility | None] | None = None

    def of(self, history: History) -> Feasibility | None:
        """What is known after the trials of a history that have finished; None if none has failed."""
        n = len(history.finish_order)
        if self._latest is None or self._latest[0] != n:
            self._latest = n, self._conditioned(history, n) if have_failed(history).any() else None
        return self._latest[1]

    def _conditioned(self, history: History, n: int) -> Feasibility:
        n_fit = max(scheduled(n), turn(history) + 1)
        fitted_to, trials = labelled(history, n_fit), labelled(history, n)
        inputs, ok = _labels(history, fitted_to)
        key = n_fit, fitted_to.tobytes(), ok.tobytes()
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = key, fit_failures(self._structure, inputs, ok)
        fit = self._fitted[1]
        start = fit.sites.of_others(np.isin(fitted_to, trials), np.isin(trials, fitted_to))
        return Feasibility(self._structure, fit.hyper, *_labels(history, trials), start)


def have_failed(history: History) -> Mask:
    """Which trials have failed, or got a penalty that says the same, (n,)."""
    failed: Mask = history.state == State.FAILED
    complete = history.state == State.COMPLETE
    failed[complete] = penalties(history.y[0, complete])
    return failed


def labelled(history: History, n: int) -> NDArray[np.int64]:
    """Of the first ``n`` finished trials, those that are labelled, in their order of finishing."""
    order = history.finish_order[:n]
    failed = have_failed(history)[order]
    n_leading = int((~failed).argmax())  # 0 if none has worked
    if n_leading >= MIN_LEADING:
        order, failed = order[n_leading:], failed[n_leading:]
    chosen = np.concatenate([_spread(np.flatnonzero(failed)), _spread(np.flatnonzero(~failed))])
    trials: NDArray[np.int64] = order[np.sort(chosen)]
    return trials


def _labels(history: History, trials: NDArray[np.int64]) -> tuple[Array, Mask]:
    """Inputs of trials, (d, k), and which of them worked."""
    return np.ascontiguousarray(history.x[:, trials]), ~have_failed(history)[trials]


def turn(history: History) -> int:
    """Place in the order of finishing where failures end or begin for the first time; 0 if they never do."""
    failed = have_failed(history)[history.finish_order]
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
