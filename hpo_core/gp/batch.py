"""Points to evaluate together: chosen one after another, each as if the earlier ones were observed.

Glossary
--------
x           (d, m) candidates; the pending points stand after them
R           (m, m) prior correlation of the candidates
V           (p, m) with R - V'V their posterior correlation: L^-1 K(data, x), and a row for each choice
lambda      noise variance in units of the outputscale s2
variance    (m,) posterior variance of the latent objective in units of s2: 1 - sum of V**2
v           row that joins V when s is chosen: (R[s] - V[:, s]'V) / sqrt(variance[s] + lambda)
fantasy     one joint draw of the values at the chosen points. With z normal the mean becomes
            mean + sqrt(s2) z v, and the expected improvement stays analytic given the draw

Conditioning on a choice costs O(p m); nothing is solved or factorised again. Sources: Snoek et al.
(2012), Practical Bayesian optimization of machine learning algorithms (fantasies); Contal et al.
(2013), Parallel GP optimization with UCB and pure exploration; Kandasamy et al. (2018), Parallelised
Bayesian optimisation via Thompson sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.criteria import doubt
from hpo_core.native import covariance
from hpo_core.native.improvement import log_ei_average
from hpo_core.native.linalg import JITTER
from hpo_core.native.normal import ndtri, uniforms_of_trial
from hpo_core.seeds import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.gp.outlook import Outlook
    from hpo_core.gp.posterior import Posterior
    from hpo_core.gp.scores import Aim

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

N_FANTASIES = 64
# Of several metrics, where each fantasy has a front of its own.
N_FRONT_FANTASIES = 8
# A batch up to the first is chosen by improvement, one of several metrics up to the second; up to the third
# its first quarter is, and the rest where least is known; a larger one is half Thompson draws, half that.
MAX_BY_IMPROVEMENT = 32
MAX_BY_SCORE = 16
MAX_BY_EXPLORATION = 64
# Two points this correlated are one point to the model: at most 0.001 lengthscales apart.
NEAR = 1.0 - 1e-6
# Streams of the study's seed that nothing else reads.
_FANTASY_STREAM = 0x66616E7461737900
_THOMPSON_STREAM = 0x74686F6D70736F6E
_FATE_STREAM = 0x6661746500000000
_WORD = 2**64 - 1


def choose(
    posterior: Posterior,
    x: Matrix,
    q: int,
    *,
    best: float,
    bonus: Vector,
    pending: Matrix,
    seed: int,
    first: int,
) -> NDArray[np.int64]:
    """Choose ``q`` candidates to evaluate together.

    Parameters
    ----------
    posterior : Posterior
        Given the data, and running trials beyond ``pending`` at their means.
    x : (d, m) float64
        Different configurations; if they are a part of the pool, the greatest log EI comes first.
    q : int
        Wanted; min(q, m) come.
    best : float
        Value to improve upon, in the units of the posterior.
    bonus : (m,) float64
        Added to the log acquisition: log of the probability that the trial does not fail.
    pending : (d, r) float64
        Running trials, of which each fantasy draws a value.
    seed, first : int
        Seed of the study and number of the batch's first trial: the same draws for the same batch.

    Returns
    -------
    (min(q, m),) int64
        Columns of ``x`` in the order of choice.
    """
    q = min(q, x.shape[1])
    key = seed, first
    if q > MAX_BY_EXPLORATION:
        return _choose_many(posterior, x, q, bonus, pending, key)
    return _choose_few(posterior, x, q, best, bonus, pending, key)


def _choose_few(
    posterior: Posterior,
    x: Matrix,
    q: int,
    best: float,
    bonus: Vector,
    pending: Matrix,
    key: tuple[int, int],
) -> NDArray[np.int64]:
    """By improvement averaged over fantasies; of a larger batch, all but the first quarter by exploration."""
    m, r = x.shape[1], pending.shape[1]
    n_improving = q if q <= MAX_BY_IMPROVEMENT else -(-q // 4)
    points = np.concatenate([x, pending], axis=1)
    candidates = CandidatePosterior.of(posterior, points, capacity=r + q)
    fantasies = Fantasies(posterior, points, best, key)
    chosen, correlation = Chosen(m), _correlations(posterior, points)
    tried = np.concatenate([posterior.x, pending], axis=1)
    for s in range(m, m + r):
        row = correlation(s)
        chosen.avoid(row[:m] > NEAR)
        fantasies.observe(s, candidates.observe(s, row))
    for k in range(q):
        if k < n_improving:
            score = fantasies.log_ei(candidates.variance * doubt(posterior.structure, tried, points))
        else:
            score = _log_sd(candidates.variance)
        s = chosen.take(score[:m] + bonus)
        tried = np.concatenate([tried, points[:, s : s + 1]], axis=1)
        row = correlation(s)
        chosen.avoid(row[:m] > NEAR)
        learnt = candidates.observe(s, row)
        if k + 1 < n_improving:
            fantasies.observe(s, learnt)
    return chosen.order()


def choose_for(
    aim: Aim, outlook: Outlook, x: Matrix, q: int, *, bonus: Vector, pending: Matrix, seed: int, first: int
) -> NDArray[np.int64]:
    """Choose ``q`` candidates to evaluate together, by all metrics.

    Parameters
    ----------
    aim : Aim
        What there is to improve on, in the units of the beliefs.
    outlook : Outlook
        Given the data, and running trials beyond ``pending`` at their means.
    x, q, bonus, pending, seed, first
        As in :func:`choose`.

    Returns
    -------
    (min(q, m),) int64
        Columns of ``x`` in the order of choice.
    """
    q = min(q, x.shape[1])
    key = seed, first
    if q > MAX_BY_EXPLORATION:
        return _choose_many_for(aim, outlook, x, q, bonus, pending, key)
    return _choose_few_for(aim, outlook, x, q, bonus, pending, key)


def _choose_few_for(
    aim: Aim, outlook: Outlook, x: Matrix, q: int, bonus: Vector, pending: Matrix, key: tuple[int, int]
) -> NDArray[np.int64]:
    """By score averaged over fantasies; of a larger batch, all but the first quarter by exploration."""
    m, r = x.shape[1], pending.shape[1]
    n_improving = q if q <= MAX_BY_SCORE else -(-q // 4)
    points = np.concatenate([x, pending], axis=1)
    candidates = CandidateOutlook(outlook, points, r + q)
    fantasies = FrontFantasies(aim, outlook, points, key)
    chosen = Chosen(m)
    for s in range(m, m + r):
        fantasies.observe(s, candidates.observe(s))
        chosen.avoid(candidates.near[:m])
    for k in range(q):
        sd = candidates.sd()
        score = fantasies.score(sd, k) if k < n_improving else _total_log_sd(sd)
        s = chosen.take(score[:m] + bonus)
        learnt = candidates.observe(s)
        chosen.avoid(candidates.near[:m])
        if k + 1 < n_improving:
            fantasies.observe(s, learnt)
    return chosen.order()


class CandidateOutlook:
    """Beliefs about all metrics at candidates (d, m), given the data and those observed so far.

    Attributes
    ----------
    near : (m,) bool
        Candidates that all models take for the one that was observed last.
    """

    def __init__(self, outlook: Outlook, x: Matrix, capacity: int) -> None:
        self.near = np.zeros(x.shape[1], np.bool_)
        self._n_metrics = len(outlook.posteriors)
        self._models = [
            (row, posterior.s2, CandidatePosterior.of(posterior, x, capacity), _correlations(posterior, x))
            for row, posterior in enumerate(outlook.posteriors)
            if posterior is not None
        ]

    def sd(self) -> Matrix:
        """Return standard deviations, (M, m)."""
        sd = np.zeros((self._n_metrics, len(self.near)))
        for row, s2, candidates, _ in self._models:
            sd[row] = np.sqrt(s2 * candidates.variance)
        return sd

    def observe(self, s: int) -> Matrix:
        """Condition on candidate ``s``; return how a deviation of its values would move all means, (M, m)."""
        moves = np.zeros((self._n_metrics, len(self.near)))
        self.near = np.ones(len(self.near), np.bool_) if self._models else np.zeros_like(self.near)
        for row, s2, candidates, correlation in self._models:
            r = correlation(s)
            self.near &= r > NEAR
            moves[row] = np.sqrt(s2) * candidates.observe(s, r)
        return moves


class FrontFantasies:
    """Joint draws of all metrics at the observed candidates: means and fronts, one for each draw."""

    def __init__(self, aim: Aim, outlook: Outlook, x: Matrix, key: tuple[int, int]) -> None:
        self._mean = np.repeat(outlook.mean(x)[None], N_FRONT_FANTASIES, axis=0)
        self._aims = [aim] * N_FRONT_FANTASIES
        self._seed, self._first = key[0] ^ _FANTASY_STREAM, key[1]
        self._drawn = 0

    def score(self, sd: Matrix, k: int) -> Vector:
        """Log of the score of the batch's member k, averaged over the fantasies, (m,)."""
        scores = [
            aim.score(self._first + k).value(mean, sd)
            for aim, mean in zip(self._aims if self._drawn else self._aims[:1], self._mean, strict=False)
        ]
        top = np.max(scores, axis=0)
        origin = np.where(np.isneginf(top), 0.0, top)
        with np.errstate(divide="ignore"):
            average: Vector = origin + np.log(np.mean(np.exp(scores - origin), axis=0))
        return average

    def observe(self, s: int, moves: Matrix) -> None:
        """Draw values at candidate ``s``, whose deviations move the means by ``moves`` (M, m)."""
        for row in np.flatnonzero(moves.any(axis=1)):
            normals = stratified_normals(self._seed, self._first, self._drawn, N_FRONT_FANTASIES)
            self._drawn += 1
            self._mean[:, row] += normals[:, None] * moves[row]
        # Use posterior means, not noisy draws, so that noise cannot extend the front.
        self._aims = [
            aim.extended(mean[:, s : s + 1]) for aim, mean in zip(self._aims, self._mean, strict=True)
        ]
        self._drawn = max(self._drawn, 1)


class CandidatePosterior:
    """Posterior of candidates, given the data and those observed so far.

    Parameters
    ----------
    rows : (p, m) float64
        V so far.
    variance : (m,) float64
    noise : float
        lambda.
    capacity : int
        How many will be observed.
    """

    def __init__(
        self,
        rows: Matrix,
        variance: Vector,
        *,
        noise: float,
        capacity: int,
    ) -> None:
        self.variance = variance
        self._noise = noise
        self._used = len(rows)
        self._rows = np.empty((len(rows) + capacity, len(variance)))
        self._rows[: self._used] = rows

    @classmethod
    def of(cls, posterior: Posterior, x: Matrix, capacity: int) -> CandidatePosterior:
        """Candidates ``x`` (d, m) given the data alone."""
        rows: Matrix = posterior.columns(x)
        variance = np.maximum(1.0 - np.einsum("ij,ij->j", rows, rows), 0.0)
        return cls(rows, variance, noise=_noise(posterior), capacity=capacity)

    def observe(self, s: int, correlation: Vector) -> Vector:
        """Condition on candidate ``s``, its correlations given; return the row v (m,) that it adds."""
        p = self._used
        row: Vector = self._rows[p]
        np.dot(self._rows[:p, s], self._rows[:p], out=row)
        np.subtract(correlation, row, out=row)
        # Without noise, a candidate that is known already leaves rounding over rounding: the floor ends it.
        row /= np.sqrt(max(self.variance[s] + self._noise, JITTER[1]))
        self._used += 1
        # Where v**2 is the whole variance, their difference rounds to either side of 0.
        self.variance = np.maximum(self.variance - row * row, 0.0)
        return row


class Fantasies:
    """Joint draws of the values at the observed candidates: means and incumbents, one for each draw."""

    def __init__(self, posterior: Posterior, x: Matrix, best: float, key: tuple[int, int]) -> None:
        self._mean = posterior.mean(x)[np.newaxis]
        self._best = np.array([best])
        self._s2 = posterior.s2
        self._seed, self._stream = key[0] ^ _FANTASY_STREAM, key[1]
        self._drawn = 0

    def log_ei(self, variance: Vector) -> Vector:
        """Log of EI averaged over the fantasies, (m,)."""
        return log_ei_average(self._mean, np.sqrt(self._s2 * variance), self._best)

    def observe(self, s: int, row: Vector) -> None:
        """Draw values at candidate ``s``, whose observation adds ``row`` (m,) to V."""
        normals = stratified_normals(self._seed, self._stream, self._drawn)
        self._drawn += 1
        self._mean = self._mean + np.sqrt(self._s2) * normals[:, np.newaxis] * row
        # The latent value's mean, not the noisy draw: an incumbent is not lucky.
        self._best = np.minimum(self._best, self._mean[:, s])


class Chosen:
    """Which candidates are taken, and which are too near to one that is."""

    def __init__(self, m: int) -> None:
        self._order: list[int] = []
        self._free = np.ones(m, np.bool_)
        self._distant = np.ones(m, np.bool_)

    def take(self, score: Vector) -> int:
        """Take the best free candidate, one to be avoided only if nothing else is left."""
        rows = np.flatnonzero(self._free & self._distant)
        if not len(rows):
            rows = np.flatnonzero(self._free)
        s = int(rows[score[rows].argmax()])
        self._order.append(s)
        self._free[s] = False
        return s

    def avoid(self, near: NDArray[np.bool_]) -> None:
        """Avoid the candidates of a mask, (m,)."""
        self._distant &= ~near

    def order(self) -> NDArray[np.int64]:
        """Columns in the order in which they were taken."""
        return np.array(self._order, np.int64)


def stratified_normals(seed: int, stream: int, index: int, n: int = N_FANTASIES) -> Vector:
    """Return n normals, one of each stratum, in an order of its own for each index."""
    order = uniforms_of_trial(seed, stream, index * n, n).argsort()
    return ndtri((order + 0.5) / n)


def _choose_many(
    posterior: Posterior, x: Matrix, q: int, bonus: Vector, pending: Matrix, key: tuple[int, int]
) -> NDArray[np.int64]:
    """Half by Thompson draws, half where these leave most unknown."""
    m, n_draws = x.shape[1], -(-q // 2)
    chosen, correlation = Chosen(m), _correlations(posterior, x)
    if pending.shape[1]:
        for row in covariance.cross(posterior.kernel, posterior.as_inputs(pending), posterior.as_inputs(x)):
            chosen.avoid(row > NEAR)
        posterior = posterior.conditioned(pending)
    draws = posterior.draws(x, n_draws, seed=_mixed(*key))
    draws[_uniforms(key, draws.shape) > np.exp(bonus)] = np.inf  # a draw of the trial's fate, too
    for draw in draws:
        chosen.avoid(correlation(chosen.take(-draw)) > NEAR)
    posterior = posterior.conditioned(x[:, chosen.order()])
    residual = posterior.covariance(x) / posterior.s2
    candidates = CandidatePosterior(
        np.empty((0, m)), residual.diagonal().clip(min=0.0), noise=_noise(posterior), capacity=q - n_draws
    )
    for _ in range(q - n_draws):
        s = chosen.take(_log_sd(candidates.variance) + bonus)
        chosen.avoid(correlation(s) > NEAR)
        candidates.observe(s, residual[s])
    return chosen.order()


def _choose_many_for(
    aim: Aim, outlook: Outlook, x: Matrix, q: int, bonus: Vector, pending: Matrix, key: tuple[int, int]
) -> NDArray[np.int64]:
    """Half by Thompson draws under random weights, half where these leave most unknown."""
    n_draws, chosen = -(-q // 2), Chosen(x.shape[1])
    everything = CandidateOutlook(outlook, np.concatenate([x, pending], axis=1), q + pending.shape[1])
    m = x.shape[1]
    for s in range(m, m + pending.shape[1]):
        everything.observe(s)
        chosen.avoid(everything.near[:m])
    for draw in _weighted_draws(aim, outlook.conditioned(pending), x, n_draws, bonus, key):
        everything.observe(chosen.take(-draw))
        chosen.avoid(everything.near[:m])
    for _ in range(q - n_draws):
        s = chosen.take(_total_log_sd(everything.sd())[:m] + bonus)
        everything.observe(s)
        chosen.avoid(everything.near[:m])
    return chosen.order()


def _weighted_draws(
    aim: Aim, outlook: Outlook, x: Matrix, n: int, bonus: Vector, key: tuple[int, int]
) -> Matrix:
    """Joint draws (n, p) of a weighted maximum of the objectives, each with weights of its own.

    A candidate whose draw violates a constraint comes after all that do not, the least violation first.
    """
    mean = outlook.mean(x)
    draws = np.repeat(mean[:, None], n, axis=1)
    for row, posterior in enumerate(outlook.posteriors):
        if posterior is not None:
            draws[row] = posterior.draws(x, n, seed=_mixed(key[0] + row, key[1]))
    m = len(aim.near)
    weights = np.array([aim.weights(key[1] + i) for i in range(n)]).T
    value: Matrix = (weights[:, :, None] * draws[:m]).max(axis=0)
    if len(aim.limit):
        violation = np.maximum(draws[m:] - aim.limit[:, None, None], 0.0).sum(axis=0)
        value = np.where(violation > 0.0, value.max() + violation, value)
    value[_uniforms(key, value.shape) > np.exp(bonus)] = np.inf  # a draw of the trial's fate, too
    return value


def _total_log_sd(sd: Matrix) -> Vector:
    """Sum of the logs of the measured metrics' deviations, (m,)."""
    with np.errstate(divide="ignore"):
        total: Vector = np.log(sd[sd.any(axis=1)]).sum(axis=0)
    return total


def _correlations(posterior: Posterior, x: Matrix) -> Callable[[int], Vector]:
    """Rows of R."""
    inputs = posterior.as_inputs(x)

    def row(s: int) -> Vector:
        found: Vector = covariance.cross(posterior.kernel, posterior.as_inputs(x[:, s : s + 1]), inputs)[0]
        return found

    return row


def _mixed(seed: int, first: int) -> int:
    """A seed for the draws of one batch."""
    return (seed ^ _THOMPSON_STREAM) + GOLDEN * first & _WORD


def _uniforms(key: tuple[int, int], shape: tuple[int, int]) -> Matrix:
    seed, first = key
    return uniforms_of_trial(seed ^ _FATE_STREAM, first, 0, shape[0] * shape[1]).reshape(shape)


def _noise(posterior: Posterior) -> float:
    return posterior.hyper.noise + posterior.jitter


def _log_sd(variance: Vector) -> Vector:
    with np.errstate(divide="ignore"):
        return 0.5 * np.log(variance)
