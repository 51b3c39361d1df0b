"""Gaussian process while it is affordable, then the Tree-structured Parzen Estimator and others in turns."""

from __future__ import annotations

import math
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

from hpo_core.arithmetic import usual_errors
from hpo_core.checks import check_number
from hpo_core.cma.sampler import CMASampler
from hpo_core.gp.fit import scheduled
from hpo_core.gp.sampler import GPSampler, LocalGPSampler
from hpo_core.log import State
from hpo_core.samplers.base import Sampler, Suggestion, going_on, resumable
from hpo_core.samplers.startup import StartupSampler
from hpo_core.samplers.turns import Turns
from hpo_core.tpe.sampler import TPESampler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

# Trials up to which one Gaussian process is used, which takes at most a third of a second; past that, TPE is.
# Several may take as long together: their costs grow with the square of the trials.
MAX_TRIALS = 1000
# Trials squared times parameters and models, the cost of kernel matrices. Not reached below 200 parameters.
MAX_WORK = 2e8
# Batches up to this size go to the Gaussian process. A larger one asks for throughput.
MAX_BATCH = 64
# Most parameters and finished trials at which the local Gaussian process takes turns; both cost time.
MAX_LOCAL, MAX_LOCAL_TRIALS = 50, 10_000
# With ``max_ms``: the expected time, times this, must be within it.
MARGIN = 1.5
# Latest ratios of measured to expected time. Their median counts, which ignores an import or a busy moment.
N_RATIOS = 9


class AutoSampler(Sampler):
    """Gaussian process while it is affordable, then the Tree-structured Parzen Estimator and others in turns.

    The Gaussian process is used up to 1,000 finished trials, for batches of up to 64 trials. The limit is
    lower with more than 200 parameters, or with several metrics to model: 707 trials for two. Past the limit
    TPE is used. If trials are asked for one by one, with one objective, no bounds, no scheduler and no
    ``max_ms``, TPE takes turns with a CMA-ES of the numeric parameters and, up to 50 parameters and 10,000
    trials, with a Gaussian process of 256 trials: the best ones and their neighbours. A sampler that has
    recently found better trials gets more turns. The choice depends on the recorded trials only, so the same
    seed gives the same study; ``trial.origin`` names the chosen sampler.

    With ``max_ms`` the choice depends on measured time. The study may then differ on another machine, but its
    replay follows the recorded choices.

    Parameters
    ----------
    max_ms : float from 0.001 to 3,600,000, optional
        Milliseconds that a suggestion may take; ``ask(n)`` may take n times as long. If the Gaussian process
        is expected to take longer, TPE is used, which takes less than a tenth of a millisecond.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="auto", seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=20)
    >>> study.trials[0].origin, study.trials[-1].origin, study.best_value < 1e-3
    ('sobol', 'gp', True)
    """

    name: ClassVar[str] = "auto"
    continues: ClassVar[bool] = True

    def __init__(self, *, max_ms: float | None = None) -> None:
        if max_ms is not None:
            rule = "a number from 0.001 to 3,600,000 or None"
            max_ms = check_number("max_ms", max_ms, rule, lambda ms: 1e-3 <= ms <= 3.6e6)
        self.max_ms = max_ms

    def __getstate__(self) -> dict[str, Any]:
        return self.options()

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that recreate this sampler."""
        return {"max_ms": self.max_ms}

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with empty models."""
        self._gp, self._tpe, self._startup = GPSampler(), TPESampler(), StartupSampler()
        for sampler in (self._gp, self._tpe, self._startup):
            sampler.start(space, seed=seed, allow_duplicates=allow_duplicates)
        self._space, self._seed, self._allow_duplicates = space, seed, allow_duplicates
        self._long: LongSearch | None = None  # few searches get so far
        self._n_parameters = space.layout.size
        self._clock, self._fitted = Clock(), 0

    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` configurations for trials ``first .. first + n - 1``."""
        if not self._is_affordable(history, n):
            return self._by_turns(history, first, n)
        if self.max_ms is None:
            return self._gp.ask(history, first, n)
        models = n_models(history.metrics)
        expected = models * expected_seconds(history.count_finished(), self._n_parameters, n)
        if self._clock.predict(expected) > n * self.max_ms / 1000:
            return self._by_tpe(history, first, n)
        started = time.perf_counter()
        suggestion = self._gp.ask(history, first, n)
        fitted = scheduled(history.count(State.COMPLETE))
        if suggestion.origin == self._gp.name and fitted != self._fitted:
            self._clock.record(expected, time.perf_counter() - started)
            self._fitted = fitted
        return suggestion

    def _by_turns(self, history: History, first: int, n: int) -> Suggestion:
        """Propose where a Gaussian process of all trials is too expensive."""
        if n == 1 and history.metrics.is_plain and history.scheduler is None and self.max_ms is None:
            name = self._long_search().next(history)
            if name != self._tpe.name:
                return self._long_search().ask(history, first, name)
        return self._by_tpe(history, first, n)

    def _long_search(self) -> LongSearch:
        if self._long is None:
            self._long = LongSearch(self._space, seed=self._seed, allow_duplicates=self._allow_duplicates)
        return self._long

    @usual_errors()
    def _by_tpe(self, history: History, first: int, n: int) -> Suggestion:
        """Propose by TPE, or let the paused trial go on that the scheduler names."""
        if n == 1 and history.scheduler is not None and history.scheduler.asks_sampler:
            for row in resumable(history, 1):
                return going_on(history, row, self._tpe.name)
        return self._tpe.ask(history, first, n)

    def recommend(self, history: History) -> NDArray[np.int64]:
        """Return complete trials, best first, as ``gp`` does however many there are."""
        return self._gp.recommend(history)

    def estimates(self, history: History) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return complete trials and outcomes: posterior means while affordable, otherwise as observed."""
        return self._gp.estimates(history) if self._is_affordable(history, 1) else super().estimates(history)

    def _is_affordable(self, history: History, q: int) -> bool:
        return is_affordable(history.count_finished(), self._n_parameters, q, n_models(history.metrics))

    def ask_again(self, history: History, first: int, n: int, origin: str) -> Suggestion:
        """Propose again what ``origin`` proposed, whatever the time it took.

        The record does not say what completed an enqueued configuration: with ``max_ms`` it is always TPE.
        """
        if origin == self._tpe.name:
            return self._by_tpe(history, first, n)
        if origin == self._startup.name:
            return self._startup.ask(history, first, n)
        if origin == self._gp.name:
            if self._is_affordable(history, n):
                return self._gp.ask(history, first, n)
            return self._long_search().ask(history, first, origin)
        if origin == CMASampler.name:
            return self._long_search().ask(history, first, origin)
        return (self if self.max_ms is None else self._tpe).ask(history, first, n)


class LongSearch:
    """The samplers that take turns with TPE once a Gaussian process of all trials costs too much.

    One refines around the best trials by a model, the other by steps. The recorded trials decide the turn.

    Parameters
    ----------
    space : Space
    seed : int
    allow_duplicates : bool
    """

    def __init__(self, space: Space, *, seed: int, allow_duplicates: bool) -> None:
        d = max(space.layout.size, 1)
        n_first = min(MAX_TRIALS, math.isqrt(int(MAX_WORK) // d))
        self._d, self._turns = d, Turns(n_first)
        self._gp, self._cma = LocalGPSampler(), CMASampler(n_first)
        for sampler in (self._gp, self._cma):
            sampler.start(space, seed=seed, allow_duplicates=allow_duplicates)

    def next(self, history: History) -> str:
        """Return the name of the sampler whose turn it is."""
        names = [TPESampler.name]
        if self._cma.ready(history):
            names.insert(0, self._cma.name)
        if self._d <= MAX_LOCAL and history.count_finished() <= MAX_LOCAL_TRIALS:
            names.insert(0, self._gp.name)
        return self._turns.next(history, names)

    def ask(self, history: History, first: int, name: str) -> Suggestion:
        """Propose a configuration by the sampler of a name that is not TPE."""
        return (self._gp if name == self._gp.name else self._cma).ask(history, first, 1)


class Clock:
    """Predicts seconds, from the ratios of measured to expected time of the latest suggestions with a fit."""

    def __init__(self) -> None:
        self._ratios = deque([1.0] * 3, maxlen=N_RATIOS)

    def predict(self, expected: float) -> float:
        """Return the seconds to allow for."""
        return MARGIN * median(self._ratios) * expected

    def record(self, expected: float, measured: float) -> None:
        """Add one measurement."""
        self._ratios.append(measured / expected)


def n_models(metrics: Metrics) -> int:
    """Return the number of Gaussian processes that a study needs, at least 1."""
    return max(sum(known is None for known in metrics.known), 1)


def is_affordable(n: int, d: int, q: int, models: int = 1) -> bool:
    """Return whether Gaussian processes choose ``q`` trials after ``n`` trials of ``d`` parameters."""
    return n * n * models <= MAX_TRIALS**2 and n * n * d * models <= MAX_WORK and q <= MAX_BATCH


def expected_seconds(n: int, d: int, q: int) -> float:
    """Return the approximate seconds that one model takes one core, including a fit."""
    fit_and_search = 4e-3 + 1e-4 * d + 2e-5 * n + n * n * (1.5e-7 + 2.2e-9 * d)
    return fit_and_search + (q - 1) * (3e-4 + 3.5e-6 * n)
