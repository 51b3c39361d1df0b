"""Parzen mixtures over a search space: the chain of conditional densities behind TPE.

Glossary
--------
group       parameters that share an activity condition; group 0 is always active
context     parameters of the groups that are certainly active whenever a group is
below       l, the mixture of the best trials; above: g, of the others; failed: f, of the failed ones
pool        candidates drawn from l, with their densities

References
----------
.. [1] J. Bergstra et al. (2011), Algorithms for hyper-parameter optimization. NeurIPS 24.
.. [2] S. Watanabe (2023), Tree-structured Parzen estimator. arXiv:2304.11127.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from hpo_core.layout import Kind
from hpo_core.log import State
from hpo_core.native import parallel
from hpo_core.native import tpe as native

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.log import History
    from hpo_core.native.domain import Domain
    from hpo_core.samplers.ranking import Ranking

    Spec = tuple[NDArray[np.int64], int, int, int]

# Most running trials and earlier picks that join g. More would cost every candidate more than they are worth:
# such a large batch spreads by itself.
MAX_JOINED = 1024
MAX_FAILED = 256
# Pools of different sizes that are kept for the next suggestion.
MAX_POOLS = 4
NONE: Final = np.empty(0, np.int64)
# Candidates that are worth a thread: with the smallest mixtures they take about 50 us.
MIN_PER_THREAD = 256


@dataclass(frozen=True)
class ParzenSettings:
    """Constants of the estimator, in the order of ``tpe_settings`` in csrc/tpe.h.

    Each was decided on the development suite: ``bench/results/ablation.jsonl``, and for ``max_above``
    (no worse than 2,048 to 1,000 trials) and the structure ``2026-11-24-design-ablations.md`` beside it.
    """

    gamma: float = 0.1
    max_below: int = 25
    max_above: int = 256
    newest: int = 64
    prior_weight: float = 1.0
    min_bandwidth: float = 0.03
    sharpest_bandwidth: float = 0.005
    weigh_below: bool = True


def mixture_columns(layout: Layout, group: int) -> Spec:
    """Return a group's columns, and how many are numeric, numeric context and categorical context."""
    in_context = np.isin(layout.group, np.flatnonzero(layout.context[group]))
    in_group = layout.group == group
    categorical = layout.kinds == Kind.CATEGORICAL
    parts = [
        np.flatnonzero(chosen & (categorical == kind))
        for kind in (False, True)
        for chosen in (in_context, in_group)
    ]
    sizes = [len(part) for part in parts]
    return np.concatenate(parts).astype(np.int64), sizes[0] + sizes[1], sizes[0], sizes[2]


class TPEModel:
    """l, g and f of every group, kept up to date as trials finish.

    Its state is a function of the finished trials in their order of finishing, their ranking, and the running
    trials. It proposes the same whether trials are observed one by one or all at once.

    Parameters
    ----------
    domain : Domain
        The compiled space.
    settings : ParzenSettings
    seed : int
        64-bit key of every random number.
    ranking : Ranking
        Decides which trials are below; empty at first.
    """

    def __init__(self, domain: Domain, settings: ParzenSettings, seed: int, ranking: Ranking) -> None:
        self._layout = domain.layout
        self._columns = [mixture_columns(self._layout, group) for group in range(self._layout.n_groups)]
        self._native = native.new_model(
            domain, self._columns, astuple(settings), seed, max_joined=3 * MAX_JOINED, max_failed=MAX_FAILED
        )
        self._ranking, self._version, self._n_seen = ranking, ranking.version, 0
        self._pools: dict[int, native.Pool] = {}

    def refresh(self, history: History) -> None:
        """Add the trials that have finished; of the running trials, the newest join g."""
        ranking, x, n = self._ranking, history.x_buffer, history.count_finished()
        if n != self._n_seen:
            ranking.update(history)
            if ranking.version != self._version:
                self._native.reset()
                self._version, self._n_seen = ranking.version, 0
            self._native.observe(x, ranking.keys, ranking.gain, history.finish_order[self._n_seen :])
            self._n_seen = n
        running = history.running[-MAX_JOINED:] if history.count(State.RUNNING) else NONE
        self._native.refresh(x, running)

    def join(self, x: NDArray[np.float64]) -> None:
        """Let the newest of the configurations ``x`` (d, k) join g, as running trials do."""
        self._native.join(np.ascontiguousarray(x[:, -MAX_JOINED:]))

    def draw(self, stream: int, attempt: int, m: int) -> NDArray[np.float64]:
        """Draw ``m`` candidates from l, keyed by (stream, attempt): a view (d, m), inactive NaN."""
        pool = self._pool(m)
        self._native.draw(pool, stream, attempt, m)
        return pool.x[:, :m]

    def put(self, x: NDArray[np.float64]) -> None:
        """Make ``x`` (d, m) the candidates, instead of drawn ones."""
        self._pool(x.shape[1]).x[:, : x.shape[1]] = x

    def propose(self, m: int, *, stream: int, subset: int) -> NDArray[np.float64]:
        """Draw ``m`` candidates and choose one, (d, 1): ``draw`` and ``choose`` at once."""
        if m < 2 * MIN_PER_THREAD:
            return self._native.propose(self._pool(m), stream, m, subset)
        self.draw(stream, 0, m)
        return self.choose(m, 1, stream=stream, subset=subset)

    def choose(self, m: int, n: int, *, stream: int, subset: int) -> NDArray[np.float64]:
        """Choose the best by log l - log g of ``n`` random subsets of the ``m`` candidates drawn or put last.

        Each joins g before the next is chosen. Returns (d, k), k < n only when every candidate was chosen.
        """
        pool, model = self._pool(m), self._native
        if m < 2 * MIN_PER_THREAD:
            model.score(pool, 0, m)
        else:
            parallel(lambda first, last: model.score_range(pool, first, last), m, MIN_PER_THREAD)
        picks = np.empty(n, np.int64)
        k = model.choose(pool, m, stream, subset, picks)
        return pool.x[:, picks[:k]]

    def marginals(
        self, parameter: int, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log densities of one parameter under l and g, at coordinates ``x`` (m,).

        They are relative to the uniform density; if the parameter is conditional, given that it is active.
        """
        group = int(self._layout.group[parameter])
        column = int(np.flatnonzero(self._columns[group][0] == parameter)[0])
        below, above = self._native.below[group], self._native.above[group]
        return marginal(below, column, x), marginal(above, column, x)

    def _pool(self, m: int) -> native.Pool:
        pool = self._pools.get(m)
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                self._pools.clear()
            pool = self._pools[m] = native.new_pool(self._native, m)
        return pool


def marginal(mixture: native.Mixture, column: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density of one column of a mixture at coordinates ``x`` (m,), relative to the uniform."""
    center = mixture.array("center")[1 : mixture.size, column, None]
    log_weight = mixture.array("log_weight")[: mixture.size]
    n_numeric = mixture.array("sigma").shape[1]
    if column < n_numeric:
        sigma = mixture.array("sigma")[1 : mixture.size, column, None]
        log_norm = mixture.array("log_norm")[1 : mixture.size, column, None]
        kernels = -0.5 * ((x - center) / sigma) ** 2 - log_norm
    else:
        log_match, log_mismatch = mixture.array("match")[column - n_numeric]
        prior = mixture.array("prior_shift")[column - n_numeric] + log_mismatch
        kernels = np.where(center == x, log_match + log_mismatch, log_mismatch) - prior
    terms = np.concatenate([np.zeros((1, len(x))), kernels]) + log_weight[:, None]
    density: NDArray[np.float64] = np.logaddexp.reduce(terms, axis=0) - np.logaddexp.reduce(log_weight)
    return density
