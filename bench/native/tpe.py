"""The TPE model's steps over d continuous parameters, beside NumPy and SciPy doing the same from scratch."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, cube, grid
from bench.native.parzen import bandwidths, log_density

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES = grid(n=(1000, 10_000), d=(5, 20))
POOLS = grid(n=(1000,), d=(5, 20), m=(24, 1032))


class Model:
    """A model of n finished trials and a pool of m candidates."""

    def __init__(self, n: int, d: int, m: int) -> None:
        from hpo_core.native.tpe import new_model, new_pool
        from hpo_core.tpe.model import ParzenSettings

        rng = np.random.default_rng(0)
        self.n, self.m = n, m
        self.x = rng.random((d, n + 1))
        self.y = ((self.x - 0.4) ** 2).sum(axis=0)
        self._keys = np.stack([np.zeros(n + 1), np.full(n + 1, -np.inf), self.y])
        columns = [(np.arange(d), d, 0, 0)]
        self._new: Callable[[], Any] = lambda: new_model(
            cube(d), columns, astuple(ParzenSettings()), 3, max_joined=3072, max_failed=256
        )
        self.model = self.fresh()
        self.pool = new_pool(self.model, m)
        self.model.draw(self.pool, 7, 0, m)

    def fresh(self) -> Any:
        """A model that has observed all, from nothing."""
        model = self._new()
        model.observe(self.x, self._keys, -self.y, np.arange(self.n))
        model.refresh(self.x, np.empty(0, np.int64))
        return model

    def refresh(self) -> None:
        self.model.refresh(self.x, np.empty(0, np.int64))

    def scores(self) -> Array:
        out = np.empty(self.m)
        self.model.score(self.pool, 0, self.m)
        self.model.scores(self.pool, self.m, out)
        return out

    def kernels(self, mixture: Any) -> tuple[Array, Array, Array]:
        """Centres, bandwidths and log weights of a mixture."""
        k = mixture.size
        center, sigma = (mixture.array(name)[1:k].copy() for name in ("center", "sigma"))
        return center, sigma, mixture.array("log_weight")[:k].copy()


def _observe(n: int, d: int) -> Prepared:
    """n trials from nothing, and the bandwidths: l holds the 25 best, g the newest 64 at least."""
    bench = Model(n, d, 8)

    def reference() -> tuple[Array, Array]:
        order = np.argsort(bench.y[: bench.n], kind="stable")
        below, above = bench.x[:, order[:25]].T, bench.x[:, np.sort(order[25:])[-256:]].T
        return below, bandwidths(above)

    def check() -> None:
        model = bench.fresh()
        center, _, _ = bench.kernels(model.below[0])
        np.testing.assert_array_equal(np.sort(center, axis=0), np.sort(reference()[0], axis=0))
        newest = reference()[1].shape[0]
        assert model.above[0].size - 1 == newest

    return Prepared(bench.fresh, reference, Work(n), check=check)


def _score(n: int, d: int, m: int) -> Prepared:
    bench = Model(n, d, m)
    below, above = (bench.kernels(mixture[0]) for mixture in (bench.model.below, bench.model.above))
    x = bench.pool.x[:, :m].copy()

    def reference() -> Array:
        logs = [log_density(x, *p) - np.logaddexp.reduce(p[2]) for p in (below, above)]
        return np.asarray(logs[0] - logs[1])

    pairs = (len(below[2]) + len(above[2])) * m
    return Prepared(bench.scores, reference, Work(pairs, fma=2.0 * d * pairs, exp=pairs), tolerance=1e-9)


def _draw(n: int, d: int, m: int) -> Prepared:
    """Candidates from l: in the unit cube, and in each column distributed as SciPy's mixture of normals."""
    from scipy.stats import ks_2samp, truncnorm

    bench = Model(n, d, m)
    center, sigma, log_weight = bench.kernels(bench.model.below[0])
    rng = np.random.default_rng(0)

    def run() -> Array:
        bench.model.draw(bench.pool, 7, 0, m)
        return bench.pool.x[:, :m]

    def reference() -> Array:
        weight = np.exp(log_weight)
        k = rng.choice(len(weight), m, p=weight / weight.sum())
        mu, s = (np.concatenate([np.full((1, d), fill), a])[k] for fill, a in ((0.5, center), (1.0, sigma)))
        drawn = truncnorm.rvs(-mu / s, (1 - mu) / s, mu, s, random_state=rng)
        return np.where(k[:, None] == 0, rng.random((m, d)), drawn).T

    def check() -> None:
        ours, theirs = run(), reference()
        assert ((ours >= 0) & (ours <= 1)).all()
        assert min(ks_2samp(a, b).pvalue for a, b in zip(ours, theirs, strict=True)) > 1e-6

    work = Work(m * d, fma=64.0 * m * d, exp=2 * m * d, log=m * d, uniform=2 * m * d)
    return Prepared(run, reference, work, check=check)


def _choose(n: int, d: int, m: int) -> Prepared:
    """One pick of all candidates: the highest score."""
    bench = Model(n, d, m)
    scores = bench.scores()
    picks = np.empty(1, np.int64)

    def run() -> NDArray[np.int64]:
        bench.model.choose(bench.pool, m, 7, m, picks)
        return picks

    return Prepared(run, lambda: np.array([np.argmax(scores)]), Work(m, bytes=24.0 * m))


def _refresh(n: int, d: int) -> Prepared:
    """Nothing has changed: what an ask pays before it draws."""
    bench = Model(n, d, 8)
    before = bench.kernels(bench.model.above[0])

    def run() -> tuple[Array, ...]:
        bench.refresh()
        return bench.kernels(bench.model.above[0])

    return Prepared(bench.refresh, lambda: bandwidths(before[0]), Work(1), check=lambda: _same(run(), before))


def _same(ours: tuple[Array, ...], theirs: tuple[Array, ...]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(ours[1], bandwidths(ours[0]), rtol=1e-12)


KERNELS = (
    Kernel("tpe", "observe", SIZES, _observe),
    Kernel("tpe", "refresh", SIZES, _refresh),
    Kernel("tpe", "draw", POOLS, _draw),
    Kernel("tpe", "score", POOLS, _score),
    Kernel("tpe", "choose", POOLS, _choose),
)
