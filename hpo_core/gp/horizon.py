"""The next step of the gp sampler in a study of learning curves: a trial to continue, or a new one.

Glossary
--------
horizon     the most steps that a trial may take
gain        log of the expected improvement at the horizon
cost        steps that a choice is expected to take: up to the next rung, and with the probability that the
            curve ends below the incumbent, all the rest
promise     gain minus log cost. The choice of greatest promise is made
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hpo_core.gp.proposal import MAX_RUNNING
from hpo_core.log import State
from hpo_core.native.improvement import log_ei, log_ei_slopes
from hpo_core.native.normal import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.gp.chain import Chain
    from hpo_core.log import History
    from hpo_core.samplers.curves import Curves

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
TINY = float(np.finfo(np.float64).tiny)
# Members of a batch that are chosen one after another, each given those before; others by their promise.
MAX_CHOSEN = 64
# Paused trials whose promise is computed: those of the least mean at the horizon.
MAX_PAUSED = 128
# Bounds do not pay: a search takes the criterion for one of so few data.
N_PLAIN = 64


def promise(chain: Chain, x: Array, level: Rows, z: Array) -> Array:
    """Return the promise (m,) of curves (d, m) with values z at their levels, -1 of new ones."""
    depths, incumbent = chain.curves.depths, chain.incumbent
    mean, variance = chain.at_horizon(x, level, z)
    sd = np.sqrt(np.maximum(variance, TINY))
    done = np.where(level < 0, 0, depths[level])
    following = depths[np.minimum(level + 1, len(depths) - 1)]
    cost = following - done + ndtr((incumbent - mean) / sd) * (depths[-1] - following)
    promised: Array = log_ei(mean, sd, incumbent) - np.log(cost)
    return promised


def least(history: History, curves: Curves) -> float:
    """Return the least value seen, in a curve or at the end of a trial without reports."""
    complete = history.y[0, history.state == State.COMPLETE]
    return float(min(curves.best.min(), complete.min(initial=np.inf)))


def pending(history: History, chain: Chain) -> Chain:
    """Return the chain as if the newest running trials had ended as expected."""
    running = history.running[-MAX_RUNNING:]
    level = np.full(len(history), -1)
    level[chain.curves.rows] = chain.curves.level
    return chain.conditioned(np.ascontiguousarray(history.x[:, running]), level[running])


def likeliest(history: History, chain: Chain, row: int) -> int:
    """Return the paused trial at the level of trial ``row`` that is expected to end lowest."""
    curves = chain.curves
    place = np.flatnonzero(curves.rows == row)
    if not len(place):
        return row
    level = curves.level[place[0]]
    same = _can_go_on(history, curves) & (curves.level == level)
    same[place] = True
    places = np.flatnonzero(same)
    mean = chain.mean_at_horizon(curves.x[:, places], curves.level[places], chain.z[places, level])
    return int(curves.rows[places[mean.argmin()]])


def _can_go_on(history: History, curves: Curves) -> NDArray[np.bool_]:
    """Return which curves are of paused trials that can go on, (n,)."""
    can: NDArray[np.bool_] = history.state[curves.rows] == State.PAUSED
    can &= curves.level < len(curves.depths) - 1
    if history.given is not None:  # a parameter may be newer than a trial
        can &= ~np.isinf(history.given[:, curves.rows]).any(axis=0)
    return can


def best_paused(history: History, chain: Chain) -> tuple[int, float]:
    """Return the paused trial of greatest promise, and that promise; -1 if no paused trial can go on."""
    curves = chain.curves
    places = np.flatnonzero(_can_go_on(history, curves))
    if not len(places):
        return -1, -np.inf
    if len(places) > MAX_PAUSED:
        level = curves.level[places]
        mean = chain.mean_at_horizon(curves.x[:, places], level, chain.z[places, level])
        places = places[np.sort(np.argsort(mean, kind="stable")[:MAX_PAUSED])]
    level = curves.level[places]
    promised = promise(chain, curves.x[:, places], level, chain.z[places, level])
    best = int(promised.argmax())
    return int(curves.rows[places[best]]), float(promised[best])


class Promise:
    """The criterion of new configurations: their promise; see ``hpo_core.gp.criteria``."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        depths = chain.curves.depths
        self._first, self._rest = float(depths[0]), float(depths[-1] - depths[0])

    @property
    def n(self) -> int:
        """Number of data that a search is to count on."""
        return N_PLAIN

    def value(self, x: Array) -> Array:
        """Return the promise of candidates (d, m), (m,)."""
        mean, variance, _ = self.chain.evaluate(x)
        sd = np.sqrt(np.maximum(variance, TINY))
        incumbent = self.chain.incumbent
        cost = self._first + self._rest * ndtr((incumbent - mean) / sd)
        promised: Array = log_ei(mean, sd, incumbent) - np.log(cost)
        return promised

    def gradient(self, x: Array) -> tuple[Array, Array]:
        """Return the promise (m,) and its gradient (d, m)."""
        mean, variance, parts = self.chain.evaluate(x)
        sd = np.sqrt(np.maximum(variance, TINY))
        value, by_mean, by_sd = log_ei_slopes(mean, sd, self.chain.incumbent)
        off = (self.chain.incumbent - mean) / sd
        cost = self._first + self._rest * ndtr(off)
        by_off = self._rest * np.exp(-0.5 * off * off - LOG_SQRT_2PI) / (cost * sd)
        by_variance = (by_sd + by_off * off) / np.maximum(2.0 * sd, TINY)
        return value - np.log(cost), self.chain.slopes(parts, by_mean + by_off, by_variance)

    def bound(self, x: Array) -> PromiseBound:
        """Return the promise itself."""
        return PromiseBound(self.value(x))


@dataclass(frozen=True, eq=False)
class PromiseBound:
    """Bounds (m,) that are exact."""

    value: Array

    def tightened(self, rows: Rows) -> Array:
        """Return the bounds of the candidates ``rows``."""
        return self.value[rows]


@dataclass(frozen=True, eq=False)
class HorizonGoal:
    """To improve, at the horizon, on the best value seen."""

    chain: Chain

    def criterion(self, pending: Array) -> Promise:
        """Return the promise, given pending configurations (d, r)."""
        return Promise(self.chain.conditioned(pending))

    def choose(self, x: Array, q: int, *, bonus: Array, pending: Array, seed: int, first: int) -> Rows:  # noqa: ARG002
        """Choose one after another, as if each one before had ended as expected."""
        chain, chosen = self.chain.conditioned(pending), np.empty(0, np.int64)
        left = bonus.copy()
        for _ in range(min(q, x.shape[1], MAX_CHOSEN)):
            best = int(np.argmax(Promise(chain).value(x) + left))
            left[best] = -np.inf
            chosen = np.append(chosen, best)
            chain = chain.conditioned(x[:, [best]])
        if len(chosen) < min(q, x.shape[1]):
            rest = np.argsort(-(Promise(chain).value(x) + left), kind="stable")
            chosen = np.concatenate([chosen, rest[: min(q, x.shape[1]) - len(chosen)]])
        return chosen


@dataclass(frozen=True, eq=False)
class HorizonModel:
    """The model of curves as the search for new configurations sees it; see ``hpo_core.gp.proposal``.

    Attributes
    ----------
    chain : Chain
        Conditioned on running trials.
    """

    chain: Chain

    @property
    def n(self) -> int:
        """Number of curves."""
        return len(self.chain.curves.rows)

    @property
    def n_models(self) -> int:
        """Number of rungs, each with its process."""
        return len(self.chain.steps)

    @property
    def lengthscale(self) -> Array:
        """Lengthscale of each parameter at the first rung, (d,)."""
        return self.chain.lengthscale

    def goal(self, settled: Array, first: int) -> HorizonGoal:  # noqa: ARG002
        """Return the goal of the next trials, as if points (d, r) had ended as expected."""
        return HorizonGoal(self.chain.conditioned(settled))

    def best(self, k: int) -> Array:
        """Return the k curves that are expected to end lowest, best first, (d, k)."""
        return np.ascontiguousarray(self.chain.curves.x[:, self._order[:k]])

    @cached_property
    def _order(self) -> Rows:
        curves, n = self.chain.curves, np.arange(self.n)
        mean = self.chain.mean_at_horizon(curves.x, curves.level, self.chain.z[n, curves.level])
        return np.argsort(mean, kind="stable")
