"""The TPE model in numba: upkeep, and the class of _tpe.pyx.

Functions are named as in csrc/tpe.c, which says why things are as they are; csrc/tpe.h explains symbols.
The loops over kernels are those of ``parzen``; what runs once per trial is plain Python.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.native.numba_backend.parzen import Mixture
from hpo_core.native.numba_backend.philox import philox_u64
from hpo_core.native.numba_backend.tpe_ask import Pool, choose, draw, score, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import DomainArrays

    Array = NDArray[np.float64]
    Trials = NDArray[np.int64]

__all__ = ["Mixture", "Model", "Pool"]

MIN_SPLIT = 10
SUBSAMPLE_TAG = np.uint64(2 << 56)
STEPS = 8.0
SMOOTHING = 0.5


class Settings(NamedTuple):
    """``tpe_settings``."""

    gamma: float
    max_below: int
    max_above: int
    newest: int
    prior_weight: float
    min_bandwidth: float
    sharpest_bandwidth: float
    weigh_below: int


class Entry(NamedTuple):
    """``tpe_entry``."""

    trial: int
    key: tuple[float, ...]
    gain: float


class Group:
    """``tpe_group``: what one group has observed."""

    def __init__(self, below: Mixture, above: Mixture, failed: Mixture, max_above: int) -> None:
        self.below, self.above, self.failed = below, above, failed
        self.n = self.n_failed = self.births = 0
        self.best: list[Entry] = []
        self.first: list[int] = []
        self.trial = np.zeros(max_above + 1, np.int64)
        self.hash = np.zeros(max_above + 1, np.uint64)
        self.birth = np.zeros(max_above + 1, np.int64)
        self.below_stale = self.above_stale = self.failed_stale = True
        self.scored = 0
        self.below_floor = self.above_floor = self.below_total = self.failed_total = self.above_weight = 0.0


def n_below(settings: Settings, n: int) -> int:
    """Trials below the split among n."""
    return min(math.ceil(settings.gamma * n), settings.max_below)


# ---- g: the kernels above the split ------------------------------------------------------------------------


def above_put(model: Model, group: Group, slot: int, x: Array, trial: int) -> None:
    """Write a trial into a slot of g."""
    group.trial[slot] = trial
    group.hash[slot] = philox_u64(model.seed, np.uint64(trial), SUBSAMPLE_TAG)
    group.birth[slot] = group.births
    group.births += 1
    group.above.place(slot, x, trial, 0.0)


def above_evicted(model: Model, group: Group) -> int:
    """Return the slot to give up when g is full."""
    old = 1 + np.flatnonzero(group.birth[1 : group.above.size] <= group.births - model.settings.newest)
    return int(old[group.hash[old].argmax()])


def above_add(model: Model, group: Group, x: Array, trial: int) -> None:
    """Let a trial join g, in place of another where g is full."""
    slot = group.above.size
    if slot > model.settings.max_above:
        slot = above_evicted(model, group)
        if not group.above_stale:
            group.above.remove(slot, group.above_floor)
    above_put(model, group, slot, x, trial)
    if not group.above_stale:
        group.above.insert(slot, group.above_floor)


def above_remove(group: Group, trial: int) -> None:
    """Take a trial out of g, if it is there; the last slot moves into the hole."""
    above, last = group.above, group.above.size - 1
    found = np.flatnonzero(group.trial[1 : last + 1] == trial)
    if not len(found):
        return
    slot = 1 + int(found[0])
    if not group.above_stale:
        above.remove(slot, group.above_floor)
        if slot != last:
            above.remove(last, group.above_floor)
    above.size = last
    if slot == last:
        return
    for array in (group.trial, group.hash, group.birth):
        array[slot] = array[last]
    above.move(last, slot)
    if not group.above_stale:
        above.insert(slot, group.above_floor)


def detach(group: Group) -> None:
    """Make running trials and picks leave."""
    if not group.above_stale:
        group.above.size = group.above.ordered + 1


# ---- the split ---------------------------------------------------------------------------------------------


def is_better(a: Entry, b: Entry) -> bool:
    """Whether a ranks before b."""
    return a.key < b.key


def best_insert(group: Group, entry: Entry, room: int) -> int:
    """Rank of the entry among the best."""
    rank = len(group.best)
    while rank > 0 and is_better(entry, group.best[rank - 1]):
        rank -= 1
    if rank < room:
        group.best.insert(rank, entry)
        del group.best[room:]
    return rank


def above_refill(model: Model, group: Group, split: Group, n: int, x: Array) -> None:
    """Fill g with those of the first trials that are not among the n best of ``split``."""
    group.above.size = 1
    group.births = 0
    group.above_stale = True
    best = {entry.trial for entry in split.best[:n]}
    for trial in group.first:
        if trial not in best:
            above_add(model, group, x, trial)


def shares_split(model: Model, group: Group) -> bool:
    """Whether a group has too few trials for a split of its own."""
    return group is not model.groups[0] and group.n < MIN_SPLIT


def split_add(model: Model, group: Group, entry: Entry, x: Array) -> None:
    """Take in a finished trial."""
    before = n_below(model.settings, group.n)
    if group.n < MIN_SPLIT:
        group.first.append(entry.trial)
    group.n += 1
    after = n_below(model.settings, group.n)
    rank = best_insert(group, entry, model.settings.max_below + 1)
    group.below_stale |= rank <= after
    if shares_split(model, group):
        return
    if group is not model.groups[0] and group.n == MIN_SPLIT:
        above_refill(model, group, group, after, x)
        group.below_stale = True
        return
    if rank >= after:
        above_add(model, group, x, entry.trial)
    if rank >= after > before:
        group.below_stale = True
        above_remove(group, group.best[after - 1].trial)
    elif rank < after == before:
        above_add(model, group, x, group.best[after].trial)


def failed_add(group: Group, x: Array, trial: int) -> None:
    """Take in a failed trial."""
    slot = 1 + group.n_failed % (group.failed.capacity - 1)
    group.failed.place(slot, x, trial, 0.0)
    group.n_failed += 1
    group.failed_stale = True


# ---- refresh -----------------------------------------------------------------------------------------------


def total(p: Mixture) -> float:
    """Log of the sum of weights."""
    return math.log(sum(math.exp(w) for w in p.array("log_weight")[: p.size].tolist()))


def weigh_below(model: Model, group: Group, n: int) -> None:
    """Weights of l by gain over the first trial above the split."""
    gains = np.ones(n)
    if model.settings.weigh_below and len(group.best) > n:
        gained = [entry.gain - group.best[n].gain for entry in group.best[:n]]
        if 0.0 < sum(gained) < math.inf:
            gains = np.array(gained) / sum(gained) * n
    group.below.array("log_weight")[1 : n + 1] = [math.log(gain) if gain > 0.0 else -1e3 for gain in gains]


def octaves(ratio: float) -> float:
    """Base-2 logarithm of a ratio, in steps."""
    return math.floor(math.log2(ratio) * STEPS + 0.5) / STEPS


def below_floor(settings: Settings, n: int) -> float:
    """Floor of the bandwidths of l."""
    shrunk = settings.min_bandwidth * math.exp2(-0.5 * octaves(max(n, 100) / 100.0))
    return max(shrunk, settings.sharpest_bandwidth)


def refresh_below(model: Model, group: Group, x: Array) -> None:
    """Compute l again from all its trials."""
    below, n = group.below, n_below(model.settings, group.n)
    below.size = 1
    if shares_split(model, group):
        root = model.groups[0]
        best = {entry.trial for entry in root.best[: n_below(model.settings, root.n)]}
        for trial in group.first:
            if trial in best:
                below.place(below.size, x, trial, 0.0)
    else:
        for entry in group.best[:n]:
            below.place(below.size, x, entry.trial, 0.0)
        weigh_below(model, group, n)
    group.below_floor = below_floor(model.settings, group.n)
    below.rebuild(group.below_floor)
    below.smooth(SMOOTHING * model.settings.prior_weight / below.size)
    group.below_total = total(below)
    group.below_stale = False


def subsample_log_weight(model: Model, group: Group) -> float:
    """Log weight of a kernel that stands for the trials older than the newest."""
    settings = model.settings
    older = group.n - n_below(settings, group.n) - settings.newest
    kept = settings.max_above - settings.newest
    return 0.0 if older <= kept else octaves(older / kept) * math.log(2.0)


def weigh_above(model: Model, group: Group) -> None:
    """Weights of g."""
    above, older = group.above, subsample_log_weight(model, group)
    is_old = group.birth[1 : above.size] < group.births - model.settings.newest
    log_weight = above.array("log_weight")
    weights = np.where(is_old, older, 0.0)
    for k in (1 + np.flatnonzero(log_weight[1 : above.size] != weights)).tolist():
        log_weight[k] = weights[k - 1]
        above.constants(k)
    n_old = int(is_old.sum())
    group.above_weight = model.settings.prior_weight + (above.size - 1 - n_old) + n_old * math.exp(older)


def refresh_above(model: Model, group: Group, x: Array) -> None:
    """Bring g up to date, running trials apart."""
    above, root = group.above, model.groups[0]
    if shares_split(model, group):
        above_refill(model, group, root, n_below(model.settings, root.n), x)
    if group.above_stale:
        group.above_floor = model.settings.min_bandwidth
        above.rebuild(group.above_floor)
        group.above_stale = False
    weigh_above(model, group)
    above.smooth(SMOOTHING * model.settings.prior_weight / above.size)


def refresh_failed(model: Model, group: Group) -> None:
    """Compute f again from all its trials."""
    group.failed.rebuild(model.settings.min_bandwidth)
    group.failed.smooth(model.settings.prior_weight / group.failed.size)
    group.failed_total = total(group.failed)
    group.failed_stale = False


class Model:
    """The class of _tpe.pyx."""

    def __init__(
        self,
        domain: DomainArrays,
        columns: list[tuple[Trials, int, int, int]],
        settings: tuple[Any, ...],
        seed: int,
        max_joined: int,
        max_failed: int,
    ) -> None:
        self.domain = domain
        self.settings = Settings(*settings)
        self.seed = np.uint64(seed)
        max_above = self.settings.max_above
        self.below = [Mixture(domain, *spec, self.settings.max_below + 1) for spec in columns]
        self.above = [Mixture(domain, *spec, max_above + 1 + max_joined) for spec in columns]
        self.failed = [Mixture(domain, *spec, max_failed + 1) for spec in columns]
        self.reset()

    @property
    def n_groups(self) -> int:
        """Number of groups, G."""
        return len(self.groups)

    @property
    def columns(self) -> int:
        """Columns of the widest mixture."""
        return max(mixture.n_columns for mixture in self.below)

    def is_active(self, g: int, x: Array, j: int) -> bool:
        """Whether a group is active, by its own coordinates."""
        first, last = self.domain.member_start[g : g + 2]
        return bool(first < last and not math.isnan(x[self.domain.members[first], j]))

    def reset(self) -> None:
        """Empty the model."""
        mixtures = list(zip(self.below, self.above, self.failed, strict=True))
        for mixture in (mixture for group in mixtures for mixture in group):
            mixture.clear(self.settings.prior_weight)
        self.groups = [Group(*mixtures_of, self.settings.max_above) for mixtures_of in mixtures]

    def observe(self, x: Array, keys: Array, gain: Array, trials: Trials) -> None:
        """Take in finished trials in their order of finishing."""
        for g, group in enumerate(self.groups):
            detach(group)
            group.above_stale |= len(trials) > 8 + group.above.size // 16
            for t in trials.tolist():
                if not self.is_active(g, x, t):
                    continue
                key = tuple(keys[:, t].tolist())
                if math.isnan(key[0]):
                    failed_add(group, x, t)
                else:
                    split_add(self, group, Entry(t, key, float(gain[t])), x)

    def refresh(self, x: Array, running: Trials) -> None:
        """Bring bandwidths and weights up to date and let running trials join g."""
        for g, group in enumerate(self.groups):
            detach(group)
            floor = below_floor(self.settings, group.n)
            if group.below_stale or floor != group.below_floor or shares_split(self, group):
                refresh_below(self, group, x)
            refresh_above(self, group, x)
            for t in running.tolist():
                self._join(g, x, t)
            if group.failed_stale:
                refresh_failed(self, group)

    def _join(self, g: int, x: Array, j: int) -> None:
        group = self.groups[g]
        slot = group.above.size
        if slot < group.above.capacity and self.is_active(g, x, j):
            group.above_weight += 1.0
            group.above.place(slot, x, j, 0.0)
            group.above.attach(slot, group.above_floor)

    def join(self, x: Array) -> None:
        """Let columns of x (d, k) join g as running trials do."""
        for g in range(self.n_groups):
            for j in range(x.shape[1]):
                self._join(g, x, j)

    def draw(self, pool: Pool, stream: int, attempt: int, m: int) -> None:
        """Draw m candidates from l, inactive ones NaN."""
        draw(self, pool, stream, attempt, m)

    def score(self, pool: Pool, first: int, last: int) -> None:
        """Compute the log densities of candidates first..last-1."""
        score(self, pool, first, last)

    score_range = score  # scratch is allocated by every call here

    def scores(self, pool: Pool, m: int, out: Array) -> None:
        """Score the first m candidates as they were when scored."""
        out[:m] = scores(self, pool, m)

    def choose(self, pool: Pool, m: int, stream: int, subset: int, picks_out: Trials) -> int:
        """Pick candidates one by one; each joins g before the next."""
        return choose(self, pool, m, stream, subset, picks_out)

    def propose(self, pool: Pool, stream: int, m: int, subset: int) -> Array:
        """Draw, score and choose one candidate: (d, 1)."""
        picks = np.zeros(1, np.int64)
        draw(self, pool, stream, 0, m)
        score(self, pool, 0, m)
        choose(self, pool, m, stream, subset, picks)
        return pool.x[:, picks]
