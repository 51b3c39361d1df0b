"""The first trials of the samplers that model: Sobol points, away from where trials have failed."""

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

# Points of which the likeliest to work is proposed, while none has worked and once one has. Where nothing has
# worked the likeliest is the farthest: of 16 points a corner. Of two, a region inside is found as soon as
# without any choice, and one at an edge sooner. See bench/results/2026-11-28-failures-ablation.md.
N_BLIND, N_CHOICES = 2, 16


class StartupSampler(SobolSampler):
    """Sobol points until a trial has failed; then, of a few points each, the one that likeliest works.

    Attributes
    ----------
    failures : FailureModel
        Of the study, once started.
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
        """Sobol points from number ``point`` on, then draws from the prior for those that cannot be used."""
        domain = self._filter.domain
        if start == 0:
            return sobol_draws(domain, self._seed, point % 2**32, m)
        return random_draws(domain, self._seed, point, start, m)
