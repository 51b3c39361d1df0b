"""Gaussian-process Bayesian optimisation: go where expected improvement is largest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hpo_core.arithmetic import usual_errors
from hpo_core.errors import SpaceExhausted
from hpo_core.gp import batch, trust_region
from hpo_core.gp.candidates import Candidates, whole
from hpo_core.gp.fit import GPSettings
from hpo_core.gp.local_search import Climber
from hpo_core.gp.maximize import Criterion, Search, maximize
from hpo_core.gp.model import GPModel
from hpo_core.gp.neighbours import Neighbours, discrete_rows
from hpo_core.gp.warps import OUTPUT_WARPS, capped, zoom
from hpo_core.log import State
from hpo_core.native.covariance import Structure
from hpo_core.native.domain import KeySet, keys
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.samplers.failures import FailureModel, have_failed
from hpo_core.samplers.pool import Pool
from hpo_core.samplers.startup import StartupSampler
from hpo_core.seeds import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.candidates import Box
    from hpo_core.gp.feasibility import Feasibility
    from hpo_core.log import History
    from hpo_core.space import Space

    Array = NDArray[np.float64]

# Values that differ, without which a model has nothing to tell.
FEWEST_VALUES = 3
# Trials that candidates are drawn near to.
N_BEST = 5
# New candidates that are enough where constraints reject most.
FEWEST_CANDIDATES = 64
# Running trials that are conditioned on: the newest.
MAX_RUNNING = 256
# Running trials whose values are drawn, the others are at their mean.
MAX_FANTASIES = 16
# Candidates that a batch is chosen from, beside those local search found.
N_BATCH = 512
# Configurations of a finite space that are kept in memory.
MAX_LISTED = 2**17
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


class GPSampler(Sampler):
    """Gaussian process and expected improvement over mixed and conditional spaces.

    The first trials are Sobol points. Then a Gaussian process (Matern-5/2, a lengthscale for each
    parameter, a factor for each group of conditional ones) is fitted to the complete trials, and the
    configuration of greatest expected improvement is proposed: the best of a pool, improved by local
    search over all kinds of parameters. Once the better half of the trials is close together, every
    other suggestion is that of a model which looks at the whole range of values again. A batch is chosen
    as if its earlier members and the running trials were observed. Failed trials, for whatever reason, teach
    where trials work: the expected improvement is weighed with that (see
    ``hpo_core.gp.feasibility``), and the first trials keep away from where others failed; failures
    that no place explains repel nothing. With more than
    20 parameters or 500 trials the search keeps to a trust region; past 1,000 trials the model keeps to
    the best and nearest of them, so that a suggestion costs the same at any number of trials.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning. MIT Press.
    .. [2] S. Ament et al. (2023), Unexpected improvements to expected improvement for Bayesian
       optimization. arXiv:2310.20708.
    .. [3] M. A. Gelbart, J. Snoek, R. P. Adams (2014), Bayesian optimization with unknown constraints.
       arXiv:1403.5607.
    .. [4] D. Eriksson et al. (2019), Scalable global optimization via local Bayesian optimization.
       NeurIPS 32.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="gp", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> study.best_value < 1e-3
    True
    """

    name: ClassVar[str] = "gp"

    def __init__(self) -> None:
        self._settings = SearchSettings()

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty model."""
        layout, settings = space.layout, self._settings
        self._startup = StartupSampler()
        self._startup.start(space, seed=seed, allow_duplicates=allow_duplicates)
        self._failures = FailureModel(layout)
        self._space, self._layout, self._seed = space, layout, seed
        self._n_startup = settings.n_startup or min(max(4, layout.size + 1), 10)
        self._pool = Pool(space, seed=seed, allow_duplicates=allow_duplicates)
        self._repeats, self._seen, self._n_seen = allow_duplicates, KeySet(), 0
        self._model = self._sharp = self._modelled_by(OUTPUT_WARPS[settings.warp])
        self._plain = self._modelled_by(partial(capped, n_first=self._n_startup))
        self._candidates = Candidates(self._pool.domain, seed)
        discrete = discrete_rows(layout)
        self._neighbours = Neighbours(self._pool.domain) if len(discrete) else None
        self._continuous = np.setdiff1d(np.flatnonzero(layout.levels != 1), discrete)
        self._every: Array | None = None

    @usual_errors()
    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose Sobol points until the model can be fitted, then what it chooses."""
        rows = self._modelled(history)
        if rows is None:
            return self._startup.ask(history, first, n)
        self._sync(history)
        y = history.y[0, rows]
        zoomed = first // n % 2 == 1 and zoom(y, self._n_startup) < self._settings.zoomed
        self._model = self._plain if zoomed else self._sharp
        self._model.refresh(history.x[:, rows], y)
        x = self._propose(history, first, min(n, MAX_PART), np.empty((self._layout.size, 0)))
        while x.shape[1] % MAX_PART == 0 and x.shape[1] < n:  # a short part: the space has run out
            try:
                part = self._propose(history, first + x.shape[1], min(n - x.shape[1], MAX_PART), x)
            except SpaceExhausted:
                break
            x = np.concatenate([x, part], axis=1)
        return Suggestion(x, self.name)

    def feasibility(self, history: History) -> Feasibility | None:
        """Where trials fail, as far as is known; None if none has failed."""
        return self._failures.of(history)

    @usual_errors()
    def recommend(self, history: History) -> NDArray[np.int64]:
        """Return complete trials by posterior mean, the least first; by value if there is no model."""
        rows = self._modelled(history)
        if rows is None:
            return super().recommend(history)
        self._sharp.refresh(history.x[:, rows], history.y[0, rows])
        return rows[self._sharp.by_mean()]

    def _modelled_by(self, warp: Callable[[Array], Array]) -> GPModel:
        """An empty model of values under a warp."""
        settings = self._settings
        return GPModel(
            Structure(self._layout),
            GPSettings(input_warp=settings.input_warp, noise_prior=(settings.noise_location, 1.0)),
            warp=warp,
            quiet=settings.quiet,
            max_fit=settings.max_fit,
            max_posterior=settings.max_posterior,
        )

    def _sync(self, history: History) -> None:
        """Take what has been asked as used, in infinite spaces too: clipping makes equal points there."""
        self._pool.sync(history)
        if self._space.size == math.inf and len(history) > self._n_seen:
            self._seen.insert(keys(self._pool.domain, history.x_buffer[:, self._n_seen : len(history)]))
            self._n_seen = len(history)

    def _modelled(self, history: History) -> NDArray[np.int64] | None:
        """Complete trials except penalties, in the order of finishing; None if too few for a model."""
        order = history.finish_order
        if len(order) < self._n_startup or history.count(State.COMPLETE) < 2:
            return None
        rows = order[(history.state[order] == State.COMPLETE) & ~have_failed(history)[order]]
        return rows if len(np.unique(history.y[0, rows])) >= FEWEST_VALUES else None

    def _propose(self, history: History, first: int, n: int, earlier: Array) -> Array:
        """Choose ``n`` configurations, (d, k), given those of ``earlier`` (d, e) in the same batch."""
        model, running = self._model, history.x[:, history.running]
        pending = np.concatenate([running, earlier], axis=1)[:, -MAX_RUNNING:]
        settled, fantasies = np.split(pending, [max(pending.shape[1] - MAX_FANTASIES, 0)], axis=1)
        posterior = model.posterior.conditioned(settled) if settled.shape[1] else model.posterior
        informed = posterior.conditioned(fantasies) if fantasies.shape[1] else posterior
        feasibility = self.feasibility(history)
        criterion = Criterion(informed, model.incumbent, feasibility)
        box = self._box(history)
        pool = self._drawn(first, n, earlier, box)
        ranked = maximize(
            criterion,
            pool,
            self._search(box, earlier),
            self._branch(pool),
            k=n if n == 1 else max(N_BATCH, 4 * n),
        )
        if n == 1 and not pending.shape[1]:
            return ranked.x[:, :1]
        x = self._new(np.concatenate([ranked.x, self._around(ranked.x, first, box)], axis=1), earlier)
        bonus = np.zeros(x.shape[1]) if feasibility is None else feasibility.log_weight(x)
        chosen = batch.choose(
            posterior,
            x,
            n,
            best=model.incumbent,
            bonus=bonus,
            pending=fantasies,
            seed=self._seed,
            first=first,
        )
        # A batch may be larger than a finite space of which everything may be tried again.
        return x[:, np.resize(chosen, n) if self._repeats and len(chosen) < n else chosen]

    def _around(self, x: Array, first: int, box: Box) -> Array:
        """Candidates near the best, for a batch: local search finds its first member, not the others."""
        near = self._candidates.near(first, x[:, : self._settings.n_starts], N_BATCH, box)
        return near[:, self._pool.feasible(near)]

    def _box(self, history: History) -> Box:
        """Where candidates are drawn: a trust region if there are many parameters or many trials."""
        settings, d = self._settings, self._layout.size
        n = history.count(State.COMPLETE)
        start = 0 if d > settings.trust_dims else settings.trust_trials
        if n <= start or not d:
            return whole(d)
        order = history.finish_order
        y = history.y[0, order[history.state[order] == State.COMPLETE]]
        side = trust_region.length(y, start, d)
        return trust_region.around(self._model.best(1)[:, 0], self._model.posterior.hyper.lengthscale, side)

    def _drawn(self, first: int, n: int, earlier: Array, box: Box) -> Array:
        """The pool: all that is left of a small finite space, else draws that the constraints permit."""
        if (
            self._space.size * len(self._model.level) <= self._settings.max_enumerated
            and self._space.size <= MAX_LISTED
        ):
            if self._every is None:
                self._every = self._space.enumerate()
            if not self._every.shape[1]:
                return self._filled(first, n, earlier, self._every)
            x = self._new(self._every, earlier)
            if not x.shape[1]:
                raise SpaceExhausted("every configuration of the space has been used")
            return x
        draw, settings = self._candidates, self._settings
        spread = draw.spread(first, 0, settings.n_pool, box)
        near = draw.near(first, self._model.best(N_BEST), settings.n_near, box)
        x = np.concatenate([spread, near], axis=1)
        return self._filled(first, n, earlier, x)

    def _filled(self, first: int, n: int, earlier: Array, x: Array) -> Array:
        feasible = self._pool.feasible(x)
        x = self._new(x if feasible.all() else x[:, feasible], earlier)
        found = x.shape[1]
        least, enough = max(n - found, 0 if found else 1), max(n, FEWEST_CANDIDATES) - found
        if enough <= 0:
            return x
        before = np.concatenate([earlier, x], axis=1)
        everywhere = whole(self._layout.size)
        try:
            more = self._pool.fill(
                lambda start, m: self._candidates.prior(first, start, m, everywhere),
                enough,
                least=least,
                earlier=before,
            )
        except SpaceExhausted:
            if not found:
                raise
            return x
        return np.concatenate([x, more], axis=1)

    def _new(self, x: Array, earlier: Array) -> Array:
        """The configurations that are neither used nor in ``earlier``, nor twice in x."""
        fresh = self._fresh(x, earlier)
        return x if fresh.all() else np.ascontiguousarray(x[:, fresh])

    def _fresh(self, x: Array, earlier: Array) -> NDArray[np.bool_]:
        both = np.concatenate([earlier, x], axis=1)
        fresh = self._pool.fresh(both) & self._seen.fresh(keys(self._pool.domain, both))
        return fresh[earlier.shape[1] :]

    def _search(self, box: Box, earlier: Array) -> Search:
        settings = self._settings
        scale = self._model.posterior.hyper.lengthscale
        climber = Climber(self._continuous, scale, box.low, box.high) if len(self._continuous) else None
        template = self._model.typical(self._layout.default)

        def allowed(x: Array) -> NDArray[np.bool_]:
            return self._pool.feasible(x) & self._fresh(x, earlier)

        return Search(
            climber,
            self._neighbours,
            self._pool.domain,
            template,
            allowed,
            settings.n_starts,
            settings.n_rounds,
        )

    def _branch(self, x: Array) -> NDArray[np.int64]:
        """A number for each combination of active groups, (m,)."""
        layout = self._layout
        if layout.n_groups == 1:
            return np.zeros(x.shape[1], np.int64)
        rows = np.searchsorted(layout.group, np.arange(1, layout.n_groups), sorter=np.argsort(layout.group))
        rows = np.argsort(layout.group, kind="stable")[rows]
        weights = np.cumprod(np.full(len(rows), GOLDEN, np.uint64))
        return (weights @ ~np.isnan(x[rows])).view(np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return {"_settings": self._settings}
