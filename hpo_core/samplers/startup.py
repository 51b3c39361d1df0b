"""The first trials of samplers with a model: Sobol points, away from failed trials."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.arithmetic import usual_errors
from hpo_core.gp.failures import FailureModel
from hpo_core.native.domain import random_draws, sobol_draws
from hpo_core.samplers.base import Suggestion
from hpo_core.samplers.sobol import SobolSampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.space import Space

# Points from which the likeliest to work is proposed, while no trial has worked and once one has. While none
# has, the likeliest point is the farthest from the failures: of 16 points, a corner. With two points, a
# region inside is found as soon as without a choice, and a region at an edge sooner. See
# bench/results/2026-11-28-failures-ablation.md.
N_BLIND, N_CHOICES = 2, 16


class StartupSampler(SobolSampler):
    """Sobol points until a trial has failed; then the likeliest to work of a few points each.

    Attributes
    ----------
    failures : FailureModel
        Model of the study's failures, once started.
    """

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty model of failures."""
        super().start(space, seed=seed, allow_duplicates=allow_duplicates)
        self.failures = FailureModel(space.layout)

    @usual_errors()
    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` configurations for trials ``first .. first + n - 1``."""
        feasibility = self.failures.of(history)
        if feasibility is None:
            return super().ask(history, first, n)
        self._filter.sync(history)
        share = N_CHOICES if feasibility.any_worked else N_BLIND
        x = self._filter.fill(partial(self._choices, share * first), share * n, least=n)
        weight = feasibility.log_weight(x)
        parts = np.array_split(np.arange(x.shape[1]), min(n, x.shape[1]))
        return Suggestion(x[:, [part[weight[part].argmax()] for part in parts]], self.name)

    def _choices(self, point: int, start: int, m: int) -> NDArray[np.float64]:
        """Return Sobol points from number ``point`` on; draws from the prior in place of unusable ones."""
        domain = self._filter.domain
        if start == 0:
            return sobol_draws(domain, self._seed, point % 2**32, m)
        return random_draws(domain, self._seed, point, start, m)
