"""What one ask of the gp sampler proposes: a criterion, a pool of candidates, a search, a choice.

Glossary
--------
first       number of the first trial wanted: with the seed, the key of every random number
earlier     (d, e) configurations chosen before for the same batch
pending     (d, r) running trials and ``earlier``: of the newest the values are drawn (fantasies), the others
            are taken to be at their posterior mean (settled)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.errors import SpaceExhausted
from hpo_core.gp import batch
from hpo_core.gp.criteria import LogEI, Weighted
from hpo_core.gp.maximize import Search, maximize
from hpo_core.gp.neighbours import Neighbours, discrete_rows
from hpo_core.seeds import GOLDEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.candidates import Box, Candidates
    from hpo_core.gp.criteria import Criterion
    from hpo_core.gp.feasibility import Feasibility
    from hpo_core.gp.model import GPModel
    from hpo_core.gp.posterior import Posterior
    from hpo_core.layout import Layout

    Array = NDArray[np.float64]

# Trials that candidates are drawn near to.
N_BEST = 5
# Running trials that are conditioned on: the newest.
MAX_RUNNING = 256
# Running trials whose values are drawn, the others are at their mean.
MAX_FANTASIES = 16
# Candidates that a batch is chosen from, beside those local search found.
N_BATCH = 512
# A batch is cut into parts; each is chosen given those before it.
MAX_PART = 256


@dataclass(frozen=True)
class SearchSettings:
    """Constants of the model and of the search for the next trial.

    Those marked * were decided on the development suite: ``bench/results/ablation.jsonl``.

    Attributes
    ----------
    n_startup : int
        * Trials that have finished before the model is used; 0 stands for min(max(4, d + 1), 10).
    n_pool, n_near : int
        Candidates spread over the space, and near the best trials.
    n_starts, n_rounds : int
        Of local search: candidates it begins with, and turns of discrete and continuous moves.
    warp, input_warp : str, bool
        * Of the values (see ``hpo_core.gp.warps``) and of the inputs.
    zoomed : float
        * Where the better half of the trials lies within this share of what the first trials' did, the
        warped values tell small differences among them and little of elsewhere: every other suggestion
        then comes from a model of the values as they are, the worst capped. 0 turns that off.
    noise_location : float
        * Of the prior on the log of the noise.
    quiet : float
        * Noise below which the best value seen is the incumbent; above, the best posterior mean.
    trust_dims, trust_trials : int
        * Parameters, or trials, past which candidates are drawn in a trust region.
    max_fit, max_posterior : int
        Trials that hyperparameters are fitted to, and that are conditioned on.
    max_enumerated : float
        Configurations of a finite space, times trials, up to which each is looked at.
    """

    n_startup: int = 0
    n_pool: int = 2048
    n_near: int = 512
    n_starts: int = 8
    n_rounds: int = 2
    warp: str = "half-rank"
    input_warp: bool = False
    zoomed: float = 0.3
    noise_location: float = -4.0
    quiet: float = 1e-3
    trust_dims: int = 20
    trust_trials: int = 500
    max_fit: int = 512
    max_posterior: int = 1000
    max_enumerated: float = 2e7


class Moves:
    """What local search may move in one space: all that does not change from ask to ask."""

    def __init__(self, candidates: Candidates) -> None:
        layout = candidates.domain.layout
        discrete = discrete_rows(layout)
        self.neighbours = Neighbours(candidates.domain) if len(discrete) else None
        self.continuous = np.setdiff1d(np.flatnonzero(layout.levels != 1), discrete)


@dataclass(frozen=True, eq=False)
class Proposal:
    """What an ask knows, and the choice of a batch from it.

    Attributes
    ----------
    model : GPModel
    feasibility : Feasibility or None
        None where no trial has failed.
    running : (d, r) float64
    box : Box
        Where candidates are drawn.
    candidates : Candidates
    moves : Moves
    seed : int
        The study's.
    settings : SearchSettings
    """

    model: GPModel
    feasibility: Feasibility | None
    running: Array
    box: Box
    candidates: Candidates
    moves: Moves
    seed: int
    settings: SearchSettings

    def choose(self, first: int, n: int) -> Array:
        """Choose ``n`` configurations for trials ``first`` and following, (d, k); k < n if no more are left.

        Raises
        ------
        SpaceExhausted
            Nothing is left.
        """
        x = self._part(first, min(n, MAX_PART), np.empty((len(self.running), 0)))
        while x.shape[1] % MAX_PART == 0 and x.shape[1] < n:  # a short part: the space has run out
            try:
                part = self._part(first + x.shape[1], min(n - x.shape[1], MAX_PART), x)
            except SpaceExhausted:
                break
            x = np.concatenate([x, part], axis=1)
        return x

    def _part(self, first: int, n: int, earlier: Array) -> Array:
        """Choose ``n`` configurations, given those of ``earlier``."""
        pending = np.concatenate([self.running, earlier], axis=1)[:, -MAX_RUNNING:]
        settled, fantasies = np.split(pending, [max(pending.shape[1] - MAX_FANTASIES, 0)], axis=1)
        posterior = _conditioned(self.model.posterior, settled)
        criterion = self._criterion(_conditioned(posterior, fantasies))
        pool = self._pool(first, n, earlier)
        branch = branches(self.candidates.domain.layout, pool)
        k = n if n == 1 else max(N_BATCH, 4 * n)
        ranked = maximize(criterion, pool, self._search(earlier), branch, k=k)
        if n == 1 and not pending.shape[1]:
            return ranked.x[:, :1]
        x = self.candidates.new(np.concatenate([ranked.x, self._around(ranked.x, first)], axis=1), earlier)
        feasibility = self.feasibility
        chosen = batch.choose(
            posterior,
            x,
            n,
            best=self.model.incumbent,
            bonus=np.zeros(x.shape[1]) if feasibility is None else feasibility.log_weight(x),
            pending=fantasies,
            seed=self.seed,
            first=first,
        )
        # A batch may be larger than a finite space of which everything may be tried again.
        repeats = self.candidates.allow_duplicates and len(chosen) < n
        return x[:, np.resize(chosen, n) if repeats else chosen]

    def _criterion(self, posterior: Posterior) -> Criterion:
        improvement = LogEI(posterior, self.model.incumbent)
        return improvement if self.feasibility is None else Weighted(improvement, self.feasibility)

    def _pool(self, first: int, n: int, earlier: Array) -> Array:
        """All that is left of a small finite space, else draws that the constraints permit."""
        candidates, settings = self.candidates, self.settings
        every = candidates.listed(settings.max_enumerated / len(self.model.level))
        if every is None:
            spread = candidates.spread(first, settings.n_pool, self.box)
            near = candidates.near(first, self.model.best(N_BEST), settings.n_near, self.box)
            return candidates.filled(first, n, np.concatenate([spread, near], axis=1), earlier)
        if not every.shape[1]:
            return candidates.filled(first, n, every, earlier)
        x = candidates.new(every, earlier)
        if not x.shape[1]:
            raise SpaceExhausted("every configuration of the space has been used")
        return x

    def _around(self, x: Array, first: int) -> Array:
        """Candidates near the best, for a batch: local search finds its first member, not the others."""
        near = self.candidates.near(first, x[:, : self.settings.n_starts], N_BATCH, self.box)
        return near[:, self.candidates.feasible(near)]

    def _search(self, earlier: Array) -> Search:
        settings, candidates, moves = self.settings, self.candidates, self.moves
        return Search(
            moves.continuous,
            self.model.posterior.hyper.lengthscale,
            self.box.low,
            self.box.high,
            moves.neighbours,
            candidates.domain,
            self.model.typical(candidates.domain.layout.default),
            lambda x: candidates.feasible(x) & candidates.fresh(x, earlier),
            settings.n_starts,
            settings.n_rounds,
        )


def _conditioned(posterior: Posterior, x: Array) -> Posterior:
    return posterior.conditioned(x) if x.shape[1] else posterior


def branches(layout: Layout, x: Array) -> NDArray[np.int64]:
    """A number for each combination of active groups, of configurations (d, m): (m,)."""
    if layout.n_groups == 1:
        return np.zeros(x.shape[1], np.int64)
    rows = np.searchsorted(layout.group, np.arange(1, layout.n_groups), sorter=np.argsort(layout.group))
    rows = np.argsort(layout.group, kind="stable")[rows]
    weights = np.cumprod(np.full(len(rows), GOLDEN, np.uint64))
    return (weights @ ~np.isnan(x[rows])).view(np.int64)
