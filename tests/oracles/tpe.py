"""The TPE model by its definition: every split, mixture and score from scratch, one candidate at a time.

A trial is (x, state, fidelity, y): x one coordinate per parameter, NaN where inactive; state "complete",
"stopped", "failed" or "running"; fidelity inf if complete, else the last step reported. Values are minimised.
A group is (own, context): parameters that are active together, and those that are active whenever they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from oracles.parzen import count_numeric, log_mixture

MIN_SPLIT = 10


@dataclass(frozen=True)
class Trial:
    x: tuple[float, ...]
    state: str
    fidelity: float = -math.inf
    y: float = math.nan


@dataclass(frozen=True)
class Settings:
    gamma: float
    max_below: int
    prior_weight: float
    min_bandwidth: float
    sharpest_bandwidth: float
    weigh_below: bool


@dataclass(frozen=True)
class Density:
    """A mixture over the columns of a group: prior first in ``log_weights``; ``extra`` of weight 1."""

    kernels: list[Trial]
    log_weights: list[float]
    floor: float
    epsilon: float
    extra: tuple[Trial, ...] = ()

    def log(self, columns, parameters, x, n_numeric):
        def part(trial):
            return tuple(trial.x[i] for i in parameters)

        return log_mixture(
            [columns[i] for i in parameters],
            [part(k) for k in self.kernels],
            self.log_weights,
            self.floor,
            self.epsilon,
            [x[i] for i in parameters],
            [part(k) for k in self.extra],
            n_numeric,
        )

    def log_conditional(self, columns, group, x):
        own, context = group
        both = [*context, *own]
        n_numeric = count_numeric([columns[i] for i in both])
        return self.log(columns, both, x, n_numeric) - self.log(columns, context, x, n_numeric)


def n_below(settings, n):
    return min(math.ceil(settings.gamma * n), settings.max_below)


def ranked(trials):
    """Best first; the earlier of equals stays ahead."""
    return sorted(trials, key=lambda t: (-t.fidelity, t.y))


def best(settings, trials):
    return ranked(trials)[: n_below(settings, len(trials))]


def contains(trials, trial):
    return any(t is trial for t in trials)


def above_in_order(settings, trials, own_split):
    """The trials above the split, in the order that decides between equal coordinates.

    Who enters stands last; who leaves is replaced by the last.
    """
    start = MIN_SPLIT if own_split else 1
    order = [t for t in trials[:start] if not contains(best(settings, trials[:start]), t)]
    for n in range(start + 1, len(trials) + 1):
        below = best(settings, trials[:n])
        order += [t for t in trials[:n] if not contains(below, t) and not contains(order, t)]
        for leaving in [t for t in order if contains(below, t)]:
            i = next(i for i, t in enumerate(order) if t is leaving)
            last = order.pop()
            if last is not leaving:
                order[i] = last
    return order


def improvements(settings, trials, n):
    """Log weights of the n best: how much better they are than the next one, with mean 1."""
    order = ranked(trials)
    if not settings.weigh_below or len(order) <= n or not math.isinf(order[n].fidelity):
        return [0.0] * n
    gains = [order[n].y - t.y for t in order[:n]]
    mean = sum(gains) / max(n, 1)
    if not 0.0 < mean < math.inf:
        return [0.0] * n
    return [math.log(g / mean) if g > 0.0 else -1e3 for g in gains]


def below_floor(settings, n):
    """The floor falls with the root of n, in steps of 1/8 octave of n."""
    steps = round(8 * math.log2(max(n, 100) / 100)) / 8
    return max(settings.min_bandwidth / math.sqrt(2.0**steps), settings.sharpest_bandwidth)


class Model:
    """l, g and f of every group of a history: finished trials in their order of finishing, running ones."""

    def __init__(self, columns, groups, settings, finished, running):
        self.columns, self.groups, self.settings = columns, groups, settings
        self.n_failed = sum(t.state == "failed" for t in finished)
        self.n = len(finished)
        self.densities = [self._densities(g, finished, running) for g in range(len(groups))]

    def _densities(self, g, finished, running):
        first = self.groups[g][0][0]
        settings, weight = self.settings, math.log(self.settings.prior_weight)

        def density(kernels, log_weights, floor, extra=(), smoothing=0.5):
            epsilon = smoothing * settings.prior_weight / (len(kernels) + 1)
            return Density(kernels, [weight, *log_weights], floor, epsilon, tuple(extra))

        here = [t for t in finished if not math.isnan(t.x[first])]
        trials = [t for t in here if t.state != "failed"]
        if g > 0 and len(trials) < MIN_SPLIT:
            good = best(settings, [t for t in finished if t.state != "failed"])
            below = [t for t in trials if contains(good, t)]
            above = [t for t in trials if not contains(good, t)]
            log_weights = [0.0] * len(below)
        else:
            below = best(settings, trials)
            above = above_in_order(settings, trials, own_split=g > 0)
            log_weights = improvements(settings, trials, len(below))
        failed = [t for t in here if t.state == "failed"]
        joined = [t for t in running if not math.isnan(t.x[first])]
        return (
            density(below, log_weights, below_floor(settings, len(trials))),
            density(above, [0.0] * len(above), settings.min_bandwidth, joined),
            density(failed, [0.0] * len(failed), settings.min_bandwidth, smoothing=1.0),
        )

    def log_densities(self, x):
        """Log l, log g and log f of a candidate: sums over its active groups."""
        sums = [0.0, 0.0, 0.0]
        for group, densities in zip(self.groups, self.densities, strict=True):
            if not math.isnan(x[group[0][0]]):
                for i, density in enumerate(densities):
                    sums[i] += density.log_conditional(self.columns, group, x)
        return sums

    def score(self, x):
        log_l, log_g, log_f = self.log_densities(x)
        p = self.n_failed / self.n if self.n else 0.0
        works = (1.0 - p) * math.exp(log_g)
        return log_l - log_g + 2.0 * math.log(works / (works + p * math.exp(log_f)))
