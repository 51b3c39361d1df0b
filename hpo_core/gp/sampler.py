"""Gaussian-process Bayesian optimisation: go where expected improvement is largest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hpo_core.arithmetic import usual_errors
from hpo_core.errors import SpaceExhausted
from hpo_core.gp import trust_region
from hpo_core.gp.candidates import Candidates, whole
from hpo_core.gp.chain import ChainModel
from hpo_core.gp.fit import GPSettings
from hpo_core.gp.horizon import HorizonModel, best_paused, least, likeliest, pending, promise
from hpo_core.gp.judgement import judge
from hpo_core.gp.model import GPModel
from hpo_core.gp.objective import ObjectiveModel
from hpo_core.gp.outcomes import Outcomes
from hpo_core.gp.proposal import Moves, Proposal, SearchSettings
from hpo_core.gp.warps import OUTPUT_WARPS, capped, zoom
from hpo_core.log import State
from hpo_core.native.covariance import Structure
from hpo_core.samplers.base import Sampler, Suggestion, going_on, resumable
from hpo_core.samplers.curves import ladder, read
from hpo_core.samplers.ranking import objective
from hpo_core.samplers.startup import StartupSampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.candidates import Box
    from hpo_core.gp.chain import Chain
    from hpo_core.gp.feasibility import Feasibility
    from hpo_core.gp.proposal import Surrogate
    from hpo_core.log import History
    from hpo_core.log.history import SchedulerLike
    from hpo_core.space import Space

    Array = NDArray[np.float64]
    Fit = dict[str, Any] | None

# Different values that a model needs at least.
FEWEST_VALUES = 3
# Complete trials from which on fitted lengthscales choose whole batches; with fewer, those at the modes of
# their priors choose half. Decided in bench/results/2026-11-29-batches-branches.md.
FITTED_ALONE = 50
# One turn in so many, if the scheduler would let a trial go on, one of its rung does: a model that has not
# seen how curves end may expect nothing of any. Decided in bench/results/2026-11-29-curves-ablation.md.
RULE_EVERY = 3


class GPSampler(Sampler):
    """Gaussian process and expected improvement over mixed and conditional spaces.

    The first trials are Sobol points. Then a Gaussian process (Matern-5/2, a lengthscale for each parameter,
    a factor for each group of conditional ones) is fitted to the complete trials, and the configuration of
    greatest expected improvement is proposed: the best of a pool, improved by local search over all kinds of
    parameters. Once the values of the better half of the trials are close together, every other suggestion
    comes from a model of the whole range of values. In a space with branches, predictions are less certain
    for a branch with few trials. In a batch, each member is chosen as if earlier members and running trials
    were observed. With one objective and fewer than 50 complete trials, the second half of a batch uses
    lengthscales at the modes of their priors, because the fit may be wrong.

    Failed trials are used to learn where trials work. The expected improvement is weighted by the probability
    that a trial works (see ``hpo_core.gp.feasibility``), and the first trials avoid places near failures.
    Failures that do not depend on the configuration have no effect.

    Each measured metric has its own model; known metrics are computed. With a few objectives, the criterion
    is the expected hypervolume improvement [5]_; with more, the expected improvement of a randomly weighted
    maximum (ParEGO) [6]_. The probability that all constraints hold multiplies the expected improvement.
    Until a trial is feasible, that probability alone is maximised.

    If the study has a scheduler that stops trials, or ``FreezeThaw``, with one objective and no bounds, the
    learning curves of all trials are modelled: by a Gaussian process for the first rung, and one for each
    change from a rung to the next [7]_. Configurations are chosen by the expected improvement at the last
    step, divided by the expected number of steps; with ``FreezeThaw`` paused trials are chosen in the same
    way.

    With more than 20 parameters or 500 trials, a search with one measured objective and no bounds keeps to a
    trust region. Past 1,000 trials the model uses the best trials and the nearest ones, so that a suggestion
    costs the same at any number of trials.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams (2006), Gaussian Processes for Machine Learning. MIT Press.
    .. [2] S. Ament et al. (2023), Unexpected improvements to expected improvement for Bayesian
       optimization. arXiv:2310.20708.
    .. [3] M. A. Gelbart, J. Snoek, R. P. Adams (2014), Bayesian optimization with unknown constraints.
       arXiv:1403.5607.
    .. [4] D. Eriksson et al. (2019), Scalable global optimization via local Bayesian optimization.
       NeurIPS 32.
    .. [5] S. Daulton, M. Balandat, E. Bakshy (2020), Differentiable expected hypervolume improvement for
       parallel multi-objective Bayesian optimization. NeurIPS 33.
    .. [6] J. Knowles (2006), ParEGO: a hybrid algorithm with on-line landscape approximation for expensive
       multiobjective optimization problems. IEEE Transactions on Evolutionary Computation 10.
    .. [7] L. Le Gratiet, J. Garnier (2014), Recursive co-kriging model for design of computer experiments
       with multiple levels of fidelity. International Journal for Uncertainty Quantification 4.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="gp", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> study.best_value < 1e-3
    True
    """

    name: ClassVar[str] = "gp"
    continues: ClassVar[bool] = True
    _defaults: ClassVar[SearchSettings] = SearchSettings()

    def __init__(self) -> None:
        self._settings = self._defaults

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty model."""
        settings = self._settings
        self._startup = StartupSampler()
        self._startup.start(space, seed=seed, allow_duplicates=allow_duplicates)
        self._failures = self._startup.failures
        self._n_startup = settings.n_startup or min(max(4, space.layout.size + 1), 10)
        self._candidates = Candidates(space, seed=seed, allow_duplicates=allow_duplicates)
        self._moves, self._space, self._seed = Moves(self._candidates), space, seed
        self._structure = Structure(space.layout)
        self._sharp = self._objective(OUTPUT_WARPS[settings.warp])
        self._plain = self._objective(partial(capped, n_first=self._n_startup))
        self._outcomes: Outcomes | None = None
        self._chains = ChainModel(self._structure, GPSettings())

    @usual_errors()
    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose Sobol points until the models can be fitted, then the models' choice."""
        scheduler = history.scheduler
        # By a quota the model's new curves ended no better than Sobol points, and took ten times as long: see
        # bench/results/2026-11-29-curves-ablation.md.
        if scheduler is not None and (scheduler.asks_sampler or not scheduler.pauses):
            suggestion = self._by_curves(history, scheduler, first, n)
            if suggestion is not None:
                return suggestion
        rows = self._modelled(history, n)
        if rows is None:
            return self._startup.ask(history, first, n)
        self._candidates.sync(history)
        surrogate: ObjectiveModel | Outcomes
        surrogates: tuple[Surrogate, ...]
        if history.metrics.is_plain:
            surrogate, fit = self._of_objective(history, rows, first // n)
            divided = n > 1 and len(rows) < FITTED_ALONE
            surrogates = (surrogate, surrogate.at_modes()) if divided else (surrogate,)
        else:
            surrogate, fit = self._of_outcomes(history, rows)
            surrogates = (surrogate,)
        proposal = Proposal(
            surrogates,
            self._feasibility(history),
            history.x[:, history.running],
            self._box(history, surrogate),
            self._candidates,
            self._moves,
            self._seed,
            self._settings if n == 1 and history.metrics.is_plain else self._settings.wide(),
        )
        return Suggestion(proposal.choose(first, n), self.name, fit)

    def _by_curves(self, history: History, scheduler: SchedulerLike, first: int, n: int) -> Suggestion | None:
        """Let a paused trial go on or propose new ones; None to leave the choice to the complete trials."""
        continues = n == 1 and scheduler.asks_sampler
        if not history.metrics.is_plain:
            return self._by_rule(history) if continues else None
        curves = read(history, ladder(history))
        if len(curves.rows) < self._n_startup or len(np.unique(curves.last)) < FEWEST_VALUES:
            return self._by_rule(history) if continues and len(history) > self._n_startup else None
        turn = history.count_starts()
        zoomed = turn % 2 == 1 and zoom(curves.best, self._n_startup) < self._settings.zoomed
        chain = self._chains.of(curves, least(history, curves), self._n_startup if zoomed else 0)
        if continues and turn % RULE_EVERY == 0:
            for named in resumable(history, 1):
                return going_on(history, likeliest(history, chain, named), self.name)
        row, promised = best_paused(history, chain) if continues else (-1, -np.inf)
        try:
            new = self._new_curves(history, chain, first, n)
        except SpaceExhausted:
            if row < 0:
                raise
            return going_on(history, row, self.name)
        if row >= 0 and promised >= self._promise(history, chain, new):
            return going_on(history, row, self.name)
        return Suggestion(new, self.name)

    def _new_curves(self, history: History, chain: Chain, first: int, n: int) -> Array:
        """Choose configurations for ``n`` new curves, (d, k)."""
        self._candidates.sync(history)
        proposal = Proposal(
            (HorizonModel(pending(history, chain)),),
            self._feasibility(history),
            history.x[:, :0],
            whole(len(history.x)),
            self._candidates,
            self._moves,
            self._seed,
            self._settings.for_curves(),
        )
        return proposal.choose(first, n)

    def _promise(self, history: History, chain: Chain, x: Array) -> float:
        """Return the promise of a new curve (d, 1)."""
        feasibility = self._feasibility(history)
        weight = 0.0 if feasibility is None else float(feasibility.log_weight(x)[0])
        return weight + float(promise(chain, x, np.array([-1]), np.zeros(1))[0])

    def _by_rule(self, history: History) -> Suggestion | None:
        """Let the trial go on that the scheduler names, if any."""
        return next((going_on(history, row, self.name) for row in resumable(history, 1)), None)

    def _feasibility(self, history: History) -> Feasibility | None:
        """Return the model of where trials fail; None if none has failed."""
        return self._failures.of(history)

    @usual_errors()
    def recommend(self, history: History) -> NDArray[np.int64]:
        """Return complete trials, best first, as ``judged`` has them; by value without a model."""
        found = self.judged(history)
        return super().recommend(history) if found is None else found[0]

    @usual_errors()
    def judged(self, history: History) -> tuple[NDArray[np.int64], Array, Array] | None:
        """Return complete trials, best first, and mean and deviation of their true values, (k,) each.

        Values are minimised. Of more than 256 trials, these are the best and those most like the best of all.
        None if there is no model of one objective; see ``hpo_core.gp.judgement``.
        """
        rows = self._modelled(history) if history.metrics.is_plain else None
        if rows is None:
            return None
        found = judge(self._structure, history.x[:, rows], objective(history)[rows])
        return None if found is None else (rows[found.places], found.mean, found.deviation)

    @usual_errors()
    def estimates(self, history: History) -> tuple[NDArray[np.int64], Array]:
        """Return complete trials and their outcomes by posterior mean; as observed if there is no model."""
        rows = None if history.metrics.is_plain else self._modelled(history)
        if rows is None:
            return super().estimates(history)
        places, outcomes = self._of_outcomes(history, rows)[0].estimates()
        return rows[places], outcomes

    def _of_objective(
        self, history: History, rows: NDArray[np.int64], turn: int
    ) -> tuple[ObjectiveModel, Fit]:
        """Return the model of one objective, and its hyperparameters if they were fitted again."""
        y = objective(history)[rows]
        zoomed = turn % 2 == 1 and zoom(y, self._n_startup) < self._settings.zoomed
        model = self._plain if zoomed else self._sharp
        before = model.hyper
        model.refresh(history.x[:, rows], y)
        return model, None if model.hyper is None or model.hyper is before else model.hyper.to_json()

    def _of_outcomes(self, history: History, rows: NDArray[np.int64]) -> tuple[Outcomes, Fit]:
        """Return the models of all metrics, and the hyperparameters of those that were fitted again."""
        if self._outcomes is None:
            self._outcomes = Outcomes(
                self._space, history.metrics, self._model, self._settings.max_posterior, self._seed
            )
        models, before = self._outcomes, self._outcomes.hyper()
        models.refresh(history.x[:, rows], history.outcomes[:, rows])
        after = models.hyper()
        fits = {name: hyper.to_json() for name, hyper in after.items() if hyper is not before.get(name)}
        return models, fits or None

    def _objective(self, warp: Callable[[Array], Array]) -> ObjectiveModel:
        return ObjectiveModel(self._model(), warp, self._settings.max_posterior)

    def _model(self) -> GPModel:
        """Return an empty model of one metric."""
        settings = self._settings
        return GPModel(
            self._structure,
            GPSettings(input_warp=settings.input_warp, noise_prior=(settings.noise_location, 1.0)),
            quiet=settings.quiet,
            max_fit=settings.max_fit,
        )

    def _modelled(self, history: History, n: int = 1) -> NDArray[np.int64] | None:
        """Return complete trials except penalties, in the order of finishing; None if too few for a model.

        The model takes over at the batch whose first trial is nearest to the last of start-up.
        """
        order, startup = history.finish_order, self._n_startup
        if len(order) < max(startup - n // 2, (startup + 1) // 2) or history.count(State.COMPLETE) < 2:
            return None
        rows = order[(history.state[order] == State.COMPLETE) & ~self._failures.failed(history)]
        if history.metrics.is_plain:
            return rows if len(np.unique(objective(history)[rows])) >= FEWEST_VALUES else None
        return rows if len(rows) >= FEWEST_VALUES else None

    def _box(self, history: History, surrogate: ObjectiveModel | Outcomes) -> Box:
        """Return the box to draw candidates from: a trust region if there are many parameters or trials.

        With several metrics it is the whole space: a front has no single centre, and one objective with
        bounds is searched in the same way.
        """
        settings, d = self._settings, len(history.x)
        start = 0 if d > settings.trust_dims else settings.trust_trials
        if history.count(State.COMPLETE) <= start or not d or isinstance(surrogate, Outcomes):
            return whole(d)
        order = history.finish_order
        y = objective(history)[order[history.state[order] == State.COMPLETE]]
        side = trust_region.length(y, start, d)
        return trust_region.around(surrogate.best(1)[:, 0], surrogate.lengthscale, side)

    def __getstate__(self) -> dict[str, Any]:
        return {"_settings": self._settings}


class LocalGPSampler(GPSampler):
    """``GPSampler`` with a model of 256 trials in a trust region: it refines what a long search has found.

    Half of the 256 are the best, half those most correlated with the best of all. A suggestion takes 5 to 9
    milliseconds up to 10,000 trials. Decided in bench/results/2026-11-29-long-searches.md.
    """

    _defaults: ClassVar[SearchSettings] = SearchSettings(
        n_pool=512, n_near=256, n_starts=4, max_fit=256, max_posterior=256
    )
