"""One answer of the gp sampler: a criterion, a pool of candidates, a local search, a choice.

Glossary
--------
first       number of the first trial asked for; with the seed, the key of every random number
earlier     (d, e) configurations chosen before for the same batch
pending     (d, r) running trials and ``earlier``. The values of the newest are drawn (fantasies), the others
            are assumed to be at their posterior mean (settled)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hpo_core.errors import SpaceExhausted
from hpo_core.gp.criteria import Weighted
from hpo_core.gp.maximize import Search, maximize
from hpo_core.gp.neighbours import Neighbours, discrete_rows
from hpo_core.seeds import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hpo_core.gp.candidates import Box, Candidates
    from hpo_core.gp.criteria import Criterion
    from hpo_core.gp.feasibility import Feasibility
    from hpo_core.gp.goals import Goal
    from hpo_core.layout import Layout

    Array = NDArray[np.float64]

# Least number of candidates of either kind, however many models there are.
LEAST_POOL = 256
# Best trials, near which candidates are drawn.
N_BEST = 5
# Newest pending configurations that the model is conditioned on.
MAX_RUNNING = 256
# Newest pending configurations whose values are drawn.
MAX_FANTASIES = 16
# Candidates that a batch is chosen from: at least this many of the pool, and this many near the best.
N_BATCH = 512
# A batch is cut into parts of at most this size; each is chosen given the earlier ones.
MAX_PART = 256


@dataclass(frozen=True)
class SearchSettings:
    """Constants of the model and of the search for the next trial.

    Constants marked * were decided on the development suite: ``bench/results/ablation.jsonl``, or in
    2026-11-29-gp-latency.md beside it.

    Attributes
    ----------
    n_startup : int
        * Trials that finish before the model is used; 0 stands for min(max(4, d + 1), 10).
    n_pool, n_near : int
        * Candidates spread over the space, and candidates near the best trials.
    n_starts, n_rounds : int
        Candidates from which local search starts, and its rounds of discrete and continuous moves.
    warp, input_warp : str, bool
        * Warp of the values (see ``hpo_core.gp.warps``), and whether the inputs are warped.
    zoomed : float
        * Once the values of the better half of the trials span less than this share of the span of the first
        trials' better half, warped values show small differences among them and little of the rest of the
        space. Every other suggestion then comes from a model of the plain values, the worst capped. 0 turns
        this off.
    noise_location : float
        * Location of the prior on the log of the noise.
    quiet : float
        * Noise below which the best value seen is the incumbent; above, the best posterior mean.
    trust_dims, trust_trials : int
        * Parameters, or trials, past which candidates are drawn in a trust region.
    max_fit, max_posterior : int
        Trials that hyperparameters are fitted to, and trials that the posterior is conditioned on.
    max_enumerated : float
        A finite space is enumerated while its size, times the number of trials, is at most this.
    """

    n_startup: int = 0
    n_pool: int = 512
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

    def for_curves(self) -> SearchSettings:
        """Return settings of a search in a model of curves, which is made at each pause: a smaller one."""
        return replace(self, n_pool=min(self.n_pool, 512), n_near=min(self.n_near, 256), n_starts=4)

    def wide(self) -> SearchSettings:
        """Return settings of a search among more candidates.

        For a batch, whose members must lie apart, and for several metrics, where fewer were not measured.
        """
        return replace(self, n_pool=max(self.n_pool, 2048))


class Moves:
    """The moves of local search in one space. They do not change from ask to ask."""

    def __init__(self, candidates: Candidates) -> None:
        layout = candidates.domain.layout
        discrete = discrete_rows(layout)
        self.neighbours = Neighbours(candidates.domain) if len(discrete) else None
        self.continuous = np.setdiff1d(np.flatnonzero(layout.levels != 1), discrete)


class Surrogate(Protocol):
    """Models of the metrics, conditioned on the complete trials, and which of these are best."""

    @property
    def n(self) -> int:
        """Number of trials conditioned on."""

    @property
    def n_models(self) -> int:
        """Number of models, at least 1."""

    @property
    def lengthscale(self) -> Array:
        """Unit of each parameter in a local search, (d,)."""

    def goal(self, settled: Array, first: int) -> Goal:
        """Return the goal of the trials from number ``first`` on, as if points (d, r) were at their mean."""

    def best(self, k: int) -> Array:
        """Return the k best trials, best first, (d, k); fewer if there are fewer."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """The models and candidates of one ask, and the choice of a batch from them.

    Attributes
    ----------
    surrogates : tuple of Surrogate
        The members of a batch are divided among them; a single trial is the first one's.
    feasibility : Feasibility or None
        None if no trial has failed.
    running : (d, r) float64
        Configurations of running trials.
    box : Box
        Region from which candidates are drawn.
    candidates : Candidates
    moves : Moves
    seed : int
        Seed of the study.
    settings : SearchSettings
    """

    surrogates: tuple[Surrogate, ...]
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
        x = np.empty((len(self.running), 0))
        for surrogate, size in self._parts(n):
            try:
                part = self._part(surrogate, first + x.shape[1], size, x)
            except SpaceExhausted:
                if not x.shape[1]:
                    raise
                break
            x = np.concatenate([x, part], axis=1)
            if part.shape[1] < size:  # the space has run out
                break
        # If configurations may be tried again, a batch may be larger than the space.
        repeats = self.candidates.may_repeat and x.shape[1] < n
        return x[:, np.resize(np.arange(x.shape[1]), n)] if repeats else x

    def _parts(self, n: int) -> Iterator[tuple[Surrogate, int]]:
        """Yield who chooses how many of ``n`` configurations, in parts of a size that can be chosen from."""
        shares = -np.diff(np.linspace(n, 0, len(self.surrogates) + 1).astype(np.int64))
        for surrogate, share in zip(self.surrogates, shares, strict=True):
            for start in range(0, share, MAX_PART):
                yield surrogate, min(share - start, MAX_PART)

    def _part(self, surrogate: Surrogate, first: int, n: int, earlier: Array) -> Array:
        """Choose ``n`` configurations, given the configurations in ``earlier``."""
        pending = np.concatenate([self.running, earlier], axis=1)[:, -MAX_RUNNING:]
        n_settled = max(pending.shape[1] - MAX_FANTASIES, 0)
        settled, fantasies = pending[:, :n_settled], pending[:, n_settled:]
        goal = surrogate.goal(settled, first)
        criterion = self._weighted(goal.criterion(fantasies))
        pool = self._pool(surrogate, first, n, earlier)
        branch = branches(self.candidates.domain.layout, pool)
        k = n if n == 1 else max(N_BATCH, 4 * n)
        ranked = maximize(criterion, pool, self._search(surrogate, earlier), branch, k=k)
        if n == 1 and not pending.shape[1]:
            return ranked.x[:, :1]
        x = self.candidates.new(np.concatenate([ranked.x, self._around(ranked.x, first)], axis=1), earlier)
        if not x.shape[1] and self.candidates.may_repeat:
            x = ranked.x
        feasibility = self.feasibility
        bonus = np.zeros(x.shape[1]) if feasibility is None else feasibility.log_weight(x)
        chosen = goal.choose(x, n, bonus=bonus, pending=fantasies, seed=self.seed, first=first)
        return x[:, chosen]

    def _weighted(self, criterion: Criterion) -> Criterion:
        return criterion if self.feasibility is None else Weighted(criterion, self.feasibility)

    def _pool(self, surrogate: Surrogate, first: int, n: int, earlier: Array) -> Array:
        """Return the rest of a small finite space; otherwise draws that the constraints permit."""
        candidates, settings = self.candidates, self.settings
        every = candidates.listed(settings.max_enumerated / surrogate.n)
        if every is None:
            # Each model takes its time for each candidate.
            n_spread, n_near = (k // surrogate.n_models for k in (settings.n_pool, settings.n_near))
            spread = candidates.spread(first, max(n_spread, LEAST_POOL), self.box)
            near = candidates.near(first, surrogate.best(N_BEST), max(n_near, LEAST_POOL), self.box)
            return candidates.filled(first, n, np.concatenate([spread, near], axis=1), earlier)
        if not every.shape[1]:
            return candidates.filled(first, n, every, earlier)
        x = candidates.new(every, earlier)
        if not x.shape[1]:
            raise SpaceExhausted("every configuration of the space has been used")
        return x

    def _around(self, x: Array, first: int) -> Array:
        """Return candidates near the best, for the members of a batch that local search does not find."""
        near = self.candidates.near(first, x[:, : self.settings.n_starts], N_BATCH, self.box)
        return near[:, self.candidates.feasible(near)]

    def _search(self, surrogate: Surrogate, earlier: Array) -> Search:
        settings, candidates, moves = self.settings, self.candidates, self.moves
        layout = candidates.domain.layout
        best = surrogate.best(surrogate.n if layout.n_groups > 1 else 1)
        return Search(
            moves.continuous,
            surrogate.lengthscale,
            self.box.low,
            self.box.high,
            moves.neighbours,
            candidates.domain,
            typical(best, layout.default),
            lambda x: candidates.feasible(x) & candidates.fresh(x, earlier),
            settings.n_starts,
            settings.n_rounds,
        )


def typical(x: Array, default: Array) -> Array:
    """Return each parameter's value in the best trial that has it, (d,); the default if none has.

    The trials (d, k) come best first.
    """
    active = ~np.isnan(x)
    first = x[np.arange(len(x)), active.argmax(axis=1)]
    return np.where(active.any(axis=1), first, default)


def branches(layout: Layout, x: Array) -> NDArray[np.int64]:
    """Return a number (m,) for the combination of active groups in each configuration of x (d, m)."""
    if layout.n_groups == 1:
        return np.zeros(x.shape[1], np.int64)
    rows = np.searchsorted(layout.group, np.arange(1, layout.n_groups), sorter=np.argsort(layout.group))
    rows = np.argsort(layout.group, kind="stable")[rows]
    weights = np.cumprod(np.full(len(rows), GOLDEN, np.uint64))
    return (weights @ ~np.isnan(x[rows])).view(np.int64)
