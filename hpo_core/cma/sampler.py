"""A CMA-ES that starts from the best of many trials of any origin.

Glossary
--------
base        configuration (d,) whose numeric parameters vary; the others stay
coordinates the k numeric parameters that are active in the base
generation  the next lam finished trials that this sampler chose
foreign     a trial that another sampler or the user chose
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hpo_core.arithmetic import usual_errors
from hpo_core.cma.strategy import MAX_FULL, Strategy, population
from hpo_core.layout import Kind
from hpo_core.log import State
from hpo_core.native.domain import random_draws, settle
from hpo_core.native.normal import ndtri, uniforms_of_trial
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.samplers.filter import POOL, Filter
from hpo_core.samplers.ranking import objective
from hpo_core.samplers.turns import worth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.log import History
    from hpo_core.space import Space

    Array = NDArray[np.float64]

# Step size, as a share of the range, below which a run has converged.
CONVERGED = 1e-9
# So has one whose generations' best values differ by nothing that counts: this many, and 30 k / lam more.
PATIENCE = 10
# The next run begins with this step size, and with twice as many trials in a generation as the one before,
# at most 32 times the usual number.
AGAIN, MOST_DOUBLINGS = 0.2, 5
# Deviation of a draw between levels, in halves of a cell, at the least: one in ten leaves its cell.
LEAST_DEVIATION = 0.6


class CMASampler(Sampler):
    """CMA-ES of the numeric parameters; the others stay as they are in the best trial.

    The first run [1] starts at the best trial, with a step size from the spread of the best few [3]. A
    generation is the next lam of its own trials to finish. A better trial from elsewhere takes part in it [4]
    or, if the generation is far behind, becomes the mean. A run that has converged is followed by one with a
    large step size and twice as many trials in a generation [2], or by one from the best trials if these have
    changed. Integers keep a least probability of changing [5].

    Parameters
    ----------
    n_first : int
        Finished trials that it goes on from.

    References
    ----------
    .. [1] N. Hansen (2016), The CMA evolution strategy: a tutorial. arXiv:1604.00772.
    .. [2] A. Auger, N. Hansen (2005), A restart CMA evolution strategy with increasing population size.
       Congress on Evolutionary Computation.
    .. [3] M. Nomura et al. (2021), Warm starting CMA-ES for hyperparameter optimization. AAAI 35.
    .. [4] N. Hansen (2011), Injecting external solutions into CMA-ES. arXiv:1110.4181.
    .. [5] R. Hamano et al. (2022), CMA-ES with margin: lower-bounding marginal probability for mixed-integer
       black-box optimization. GECCO.
    """

    name: ClassVar[str] = "cma"

    def __init__(self, n_first: int) -> None:
        self._n_first = n_first

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed with an empty state."""
        self._filter = Filter(space, seed=seed, allow_duplicates=allow_duplicates)
        self._layout, self._seed = space.layout, seed
        self._n = 0  # finished trials taken in
        self._best, self._is_news = -1, False  # the best of them; whether it is foreign and not used yet
        self._settled, self._doublings = -1, 0  # best when the run from the best trials ended; runs since
        self._run: Run | None = None

    @usual_errors()
    def ready(self, history: History) -> bool:
        """Whether there is a trial to go on from, and a number in it to vary."""
        self._learn(history)
        return self._run is not None

    @usual_errors()
    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` configurations; only if it is ready."""
        self._learn(history)
        self._filter.sync(history)
        return Suggestion(self._filter.fill(partial(self._draws, first), n), self.name)

    def _draws(self, first: int, start: int, m: int) -> Array:
        """Return draws of the run; later ones of the prior, as all near the mean may be used or forbidden."""
        if self._run is None or start >= POOL:
            return random_draws(self._filter.domain, self._seed, first, start, m)
        k = len(self._run.coordinates)
        z = ndtri(uniforms_of_trial(self._seed, first, start * k, k * m)).reshape(m, k).T
        return settle(self._filter.domain, self._run.draw(z))

    def _learn(self, history: History) -> None:
        """Take in the trials that have finished since the last call, one by one, whenever that was."""
        order, y, state = history.finish_order, objective(history), history.state
        if len(order) < self._n_first:
            return
        ours = history.origins.index(self.name) if self.name in history.origins else -1
        for n in range(self._n + 1, len(order) + 1):
            row = order.item(n - 1)
            is_ours = history.origin.item(row) == ours
            if state.item(row) == State.COMPLETE and not y.item(row) >= self._least(y):
                self._best, self._is_news = row, not is_ours
            self._n = n
            if n < self._n_first or self._best < 0:
                continue
            if self._run is None:
                self._begin(history)
            elif is_ours:
                self._run.members.append(row)
                if len(self._run.members) == self._run.strategy.lam:
                    self._end_generation(history, self._run)

    def _least(self, y: Array) -> float:
        return y.item(self._best) if self._best >= 0 else np.inf

    def _begin(self, history: History, doublings: int = 0) -> None:
        """Begin a run at the best trial."""
        self._is_news = False
        run = Run(history.x[:, self._best], self._layout, doublings)
        self._run = run if len(run.coordinates) else None
        if self._run is not None and not doublings:
            run.move(history.x[:, self._elite(history, run)])

    def _elite(self, history: History, run: Run) -> NDArray[np.int64]:
        """Return the best trials, as many as are in a generation, best first."""
        rows = history.finish_order[: self._n]
        rows = rows[history.state[rows] == State.COMPLETE]
        return np.take(rows, np.argsort(objective(history)[rows], kind="stable")[: run.strategy.lam])

    def _end_generation(self, history: History, run: Run) -> None:
        rows, y = run.ranked(history)
        best, elite = history.x[:, self._best], None
        if self._is_news and not run.doublings:
            self._is_news = False
            if not run.varies_to(best):
                self._begin(history)
                return
            elite = self._elite(history, run)
            if y[0] <= objective(history)[elite[len(elite) // 2]]:
                rows, elite = np.concatenate([[self._best], rows[:-1]]), None
        run.learn(history.x[:, rows])
        if elite is not None:
            run.move(history.x[:, elite])
        run.keep_levels(best)
        if run.has_converged(float(y[0]), worth(history, self._n_first)):
            self._follow(history, run)

    def _follow(self, history: History, run: Run) -> None:
        """Begin the next run: from the best trials if these are other ones than it left, else a wide one."""
        if run.doublings and self._best != self._settled:
            self._begin(history)
            return
        self._settled = self._best
        self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)
        self._begin(history, self._doublings)


class Run:
    """A CMA-ES around a configuration (d,), its base.

    Attributes
    ----------
    coordinates : (k,) int64
        Parameters that vary: the numeric ones that are active in the base.
    members : list of int
        Trials of the generation so far.
    doublings : int
        How often the number of trials in a generation was doubled; 0 for a run from the best trials.
    """

    def __init__(self, base: Array, layout: Layout, doublings: int) -> None:
        numeric = layout.kinds != Kind.CATEGORICAL
        self.coordinates = np.flatnonzero(numeric & ~np.isnan(base))
        self._base, self._defaults = np.where(np.isnan(base), layout.default, base), layout.default
        discrete = layout.kinds[self.coordinates] == Kind.DISCRETE
        levels = np.maximum(layout.levels[self.coordinates], 1)
        self._least = np.where(discrete, LEAST_DEVIATION * 0.5 / levels, 0.0)
        self.members: list[int] = []
        self.doublings = doublings
        self._lows: deque[float] = deque()
        k = len(self.coordinates)
        if k:
            lam = population(k) << doublings
            self.strategy = Strategy(base[self.coordinates], AGAIN, lam, full=k <= MAX_FULL)
            self._patience = PATIENCE + 30 * k // lam

    def draw(self, z: Array) -> Array:
        """Return configurations (d, m) of standard normal ``z`` (k, m), not settled."""
        x = np.repeat(self._base[:, np.newaxis], z.shape[1], axis=1)
        mean = self.strategy.mean[:, np.newaxis]
        x[self.coordinates] = np.clip(mean + self._widening() * (self.strategy.draw(z) - mean), 0.0, 1.0)
        return x

    def _widening(self) -> Array:
        """Return by how much draws between levels are wider than the strategy's, (k, 1)."""
        return np.maximum(1.0, self._least / self.strategy.deviations)[:, np.newaxis]

    def part(self, x: Array) -> Array:
        """Return the coordinates (k, m) of configurations (d, m); where one is inactive, the mean's."""
        part = x[self.coordinates]
        return np.where(np.isnan(part), self.strategy.mean[:, np.newaxis], part)

    def move(self, x: Array) -> None:
        """Go to the first of the best configurations (d, m), with the step size that they have among them."""
        around = self.part(x)
        self.strategy.move(around[:, 0], around)

    def varies_to(self, x: Array) -> bool:
        """Whether a configuration (d,) differs from the base in the coordinates alone."""
        same = np.where(np.isnan(x), self._defaults, x) == self._base
        same[self.coordinates] = True
        return bool(same.all())

    def ranked(self, history: History) -> tuple[NDArray[np.int64], Array]:
        """End the generation: return its trials and their values, best first; failed ones have infinity."""
        rows = np.array(self.members)
        self.members = []
        y = objective(history)[rows]
        y = np.where((history.state[rows] == State.COMPLETE) & ~np.isnan(y), y, np.inf)
        order = np.argsort(y, kind="stable")
        return rows[order], y[order]

    def learn(self, x: Array) -> None:
        """Learn from the configurations (d, lam) of a generation, best first."""
        mean = self.strategy.mean[:, np.newaxis]
        narrowed = mean + (self.part(x) - mean) / self._widening()
        self.strategy.update(self.strategy.shortened(narrowed))

    def keep_levels(self, best: Array) -> None:
        """Let the mean have the levels of the best configuration (d,) where draws were widened."""
        widened = self._widening()[:, 0] > 1.0
        if widened.any():
            self.strategy.mean = np.where(widened, self.part(best[:, np.newaxis])[:, 0], self.strategy.mean)

    def has_converged(self, low: float, worth: float) -> bool:
        """Whether the run is at its end, given the least value of the latest generation and what counts."""
        self._lows.append(low)
        if len(self._lows) > self._patience:
            self._lows.popleft()
            if max(self._lows) - min(self._lows) <= worth:
                return True
        return self.strategy.sigma * float(self.strategy.lengths.max()) < CONVERGED
