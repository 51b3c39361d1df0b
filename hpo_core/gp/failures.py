"""The model of failures: labelled trials, hyperparameters fitted on schedule, the posterior."""

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
# If at least this many trials failed before the first one worked, they are forgotten, because something may
# have been broken. If only a small region works, later failures show that as soon.
MIN_LEADING = 8


class FailureModel:
    """Models where trials fail, as a function of the finished trials in their order of finishing alone.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._structure = Structure(layout)
        self._fitted: tuple[tuple[int, bytes, bytes], Feasibility] | None = None
        self._latest: tuple[int, Feasibility | None] | None = None
        self._failed: Mask = np.zeros(0, np.bool_)

    def failed(self, history: History) -> Mask:
        """Return which finished trials have failed, in their order of finishing; see ``have_failed``."""
        if len(self._failed) != history.count_finished():
            self._failed = have_failed(history)
        return self._failed

    def of(self, history: History) -> Feasibility | None:
        """Return the posterior given the finished trials of a history; None if none has failed."""
        n = history.count_finished()
        if self._latest is None or self._latest[0] != n:
            failed = self.failed(history)
            self._latest = n, self._conditioned(history, failed) if failed.any() else None
        return self._latest[1]

    def _conditioned(self, history: History, failed: Mask) -> Feasibility:
        n_fit = max(scheduled(len(failed)), turn(failed) + 1)
        fitted_to, places = labelled(failed[:n_fit]), labelled(failed)
        key = n_fit, fitted_to.tobytes(), failed[fitted_to].tobytes()
        if self._fitted is None or self._fitted[0] != key:
            labels = _inputs(history, fitted_to), ~failed[fitted_to]
            self._fitted = key, fit_failures(self._structure, *labels)
        fit = self._fitted[1]
        start = fit.sites.of_others(np.isin(fitted_to, places), np.isin(places, fitted_to))
        return Feasibility(self._structure, fit.hyper, _inputs(history, places), ~failed[places], start)


def _inputs(history: History, places: NDArray[np.int64]) -> Array:
    return np.ascontiguousarray(history.x[:, history.finish_order[places]])


def have_failed(history: History) -> Mask:
    """Return which of the k finished trials have failed, or have a penalty as a value, (k,).

    They are in their order of finishing. Whether a value is a penalty depends on all values.
    """
    order = history.finish_order
    failed: Mask = history.state[order] == State.FAILED
    complete = history.state[order] == State.COMPLETE
    for outcome in history.outcomes[:, order[complete]]:
        failed[complete] |= penalties(outcome)
    return failed


def labelled(failed: Mask) -> NDArray[np.int64]:
    """Return the places of the finished trials to label, ascending, given which trials have failed."""
    n_leading = int((~failed).argmax())  # 0 if none has worked
    first = n_leading if n_leading >= MIN_LEADING else 0
    kept = failed[first:]
    chosen = np.concatenate([_spread(np.flatnonzero(kept)), _spread(np.flatnonzero(~kept))])
    places: NDArray[np.int64] = first + np.sort(chosen)
    return places


def turn(failed: Mask) -> int:
    """Return the place, in the order of finishing, of the first trial whose label differs; 0 if none does."""
    return int((failed != failed[0]).argmax())


def _spread(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most ``MAX_LABELLED`` places: half are the newest, half are evenly spaced older ones."""
    if len(places) <= MAX_LABELLED:
        return places
    half = MAX_LABELLED // 2
    older = places[:-half]
    return np.concatenate([older[np.linspace(0, len(older) - 1, half).astype(np.int64)], places[-half:]])


def scheduled(n: int) -> int:
    """Return to how many of ``n`` finished trials, the first ones, hyperparameters are fitted."""
    fitted = 1
    while (following := math.ceil(GROWTH * fitted)) <= n:
        fitted = following
    return fitted
