"""The Tree-structured Parzen Estimator: density l of good trials, g of the others; go where l / g is high."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hpo_core.checks import check_flag, check_int, check_number, shown, some
from hpo_core.errors import ArgumentError, SpaceExhausted
from hpo_core.hints import did_you_mean, hinting
from hpo_core.log import State
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.samplers.filter import Filter
from hpo_core.samplers.ranking import Ranking
from hpo_core.samplers.startup import StartupSampler
from hpo_core.tpe.model import ParzenSettings, TPEModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.space import Space

# A batch is cut into parts, each with one pool of candidates. A pool has at least 8 candidates per pick and
# at most this many, so that a part costs milliseconds.
MAX_PART = 1024
MAX_POOL = 8192


class TPESampler(Sampler):
    """Tree-structured Parzen Estimator over mixed and conditional spaces.

    The first trials are Sobol points, except points near failures. Then candidates are drawn from l, the
    density of the best trials, and the one with the highest l(x) / g(x) is proposed. Each group of
    conditional parameters has its own density, conditioned on the coordinates it depends on. Running trials
    are added to g. With several objectives, trials are ranked by front, and on a front by the hypervolume
    that they add; trials that break a bound come last. Failed trials have a density f: the ratio is
    multiplied by the square of the probability that a trial works, which follows from g and f.

    Parameters
    ----------
    n_startup : int from 2 to 1,000,000, default 10
        Finished trials before the model is used.
    n_candidates : int from 1 to 8,192, default 24
        Candidates per suggestion. More is greedier, not better.
    gamma : float in [0.001, 0.999], default 0.1
        Share of the trials that count as good; never more than 25 of them.
    prior_weight : float in [1e-6, 1e6], default 1.0
        Weight of the uniform component, relative to the component of a trial.
    min_bandwidth : float in [1e-6, 1], default 0.03
        Floor of a kernel's width as a share of the parameter's range.
    weigh_below : bool, default True
        Whether good trials are weighted by how much better they are than the best of the others.
    max_above : int from 256 to 1,000,000, default 256
        Largest number of kernels of g. With more trials, the newest quarter stay and the others are
        subsampled, so that a suggestion costs the same at any number of trials.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    References
    ----------
    .. [1] J. Bergstra et al. (2011), Algorithms for hyper-parameter optimization. NeurIPS 24.
    .. [2] S. Watanabe (2023), Tree-structured Parzen estimator. arXiv:2304.11127.
    .. [3] S. Watanabe, F. Hutter (2022), c-TPE: tree-structured Parzen estimator with inequality
       constraints for expensive hyperparameter optimization. arXiv:2211.14411.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler=hpo.TPESampler(n_candidates=64), seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=50)
    >>> study.best_value < 0.01
    True
    """

    name: ClassVar[str] = "tpe"
    quick: ClassVar[bool] = True

    @hinting
    def __init__(
        self,
        *,
        n_startup: int = 10,
        n_candidates: int = 24,
        gamma: float = 0.1,
        prior_weight: float = 1.0,
        min_bandwidth: float = 0.03,
        weigh_below: bool = True,
        max_above: int = 256,
    ) -> None:
        self.n_startup = check_int("n_startup", n_startup, 2, 10**6)
        self.n_candidates = check_int("n_candidates", n_candidates, 1, MAX_POOL)
        max_above = check_int("max_above", max_above, 256, 10**6)
        self._settings = ParzenSettings(
            gamma=_within("gamma", gamma, 0.001, 0.999),
            prior_weight=_within("prior_weight", prior_weight, 1e-6, 1e6),
            min_bandwidth=_within("min_bandwidth", min_bandwidth, 1e-6, 1.0),
            weigh_below=check_flag("weigh_below", weigh_below),
            max_above=max_above,
            newest=max_above // 4,
        )

    @property
    def settings(self) -> ParzenSettings:
        """Constants of the estimator."""
        return self._settings

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that recreate this sampler."""
        names = ("gamma", "prior_weight", "min_bandwidth", "weigh_below", "max_above")
        own = {"n_startup": self.n_startup, "n_candidates": self.n_candidates}
        return own | {name: getattr(self._settings, name) for name in names}

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty model."""
        self._startup = StartupSampler()
        self._startup.start(space, seed=seed, allow_duplicates=allow_duplicates)
        self._filter = Filter(space, seed=seed, allow_duplicates=allow_duplicates)
        self._model = TPEModel(self._filter.domain, self._settings, seed, Ranking())

    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose Sobol points until the model can be fitted, then the model's choice."""
        if history.count_finished() < self.n_startup or history.count(State.COMPLETE) < 2:
            return self._startup.ask(history, first, n)
        self._filter.sync(history)
        self._model.refresh(history)
        x = self._propose(first, min(n, MAX_PART), None)
        while x.shape[1] % MAX_PART == 0 and x.shape[1] < n:  # a short part: the space has run out
            self._model.refresh(history)
            self._model.join(x)
            try:
                part = self._propose(first + x.shape[1], min(n - x.shape[1], MAX_PART), x)
            except SpaceExhausted:
                break
            x = np.concatenate([x, part], axis=1)
        return Suggestion(x, self.name)

    def marginals(
        self, history: History, name: str, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the log densities of one parameter under l and g, relative to its uniform density.

        Parameters
        ----------
        history : History
            History of the study, with at least one complete trial.
        name : str
            Name of a parameter. If it is conditional, the densities hold for trials in which it is active.
        x : (m,) float64
            Internal coordinates: in [0, 1] for a numeric parameter, indices of choices otherwise.

        Returns
        -------
        log_l, log_g : (m,) float64

        Raises
        ------
        ArgumentError
            ``name`` is unknown, or the history has no complete trial.
        """
        if name not in history.layout.names:
            names = history.layout.names
            hint = did_you_mean(name, names)
            raise ArgumentError(f"name must be one of {some(names)}, got {shown(name)}{hint}")
        if not history.count(State.COMPLETE):
            raise ArgumentError("history must have a completed trial, got none")
        self._model.refresh(history)
        return self._model.marginals(history.layout.names.index(name), x)

    def _propose(self, stream: int, n: int, earlier: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Choose ``n`` configurations, (d, k), from one pool of candidates, none of them in ``earlier``."""
        model, m = self._model, min(self.n_candidates * n, max(MAX_POOL, self.n_candidates))
        if self._filter.filters:
            attempts = count()
            # Fewer candidates are better than none: the constraints may hardly permit anything.
            x = self._filter.fill(
                lambda _, k: model.draw(stream, next(attempts), k), m, least=min(n, m), earlier=earlier
            )
            m = x.shape[1]
            model.put(x)
        elif n == 1:
            return model.propose(m, stream=stream, subset=m)
        else:
            model.draw(stream, 0, m)
        return model.choose(m, min(n, m), stream=stream, subset=self.n_candidates)

    def __getstate__(self) -> dict[str, Any]:
        options = ("n_startup", "n_candidates", "_settings")
        return {name: value for name, value in vars(self).items() if name in options}


def _within(name: str, value: Any, low: float, high: float) -> float:
    """Return an option as a float in [low, high]."""
    return float(check_number(name, value, f"a number from {low:,} to {high:,}", lambda x: low <= x <= high))
