"""Draws, conditions and keys of a search space, beside what NumPy and SciPy would do.

References that draw other numbers (Sobol points) or other hashes are compared by what both promise.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, cube, grid, mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES = grid(m=(24, 1024, 32_768), d=(5, 20))
PRIOR_TAG = 1 << 56  # of csrc/domain.h


def _random_draws(m: int, d: int) -> Prepared:
    """Continuous parameters: the draw is the uniform itself."""
    from bench.native.normal import philox
    from hpo_core.native import domain

    space = cube(d)

    def reference() -> Array:
        index = np.uint64(PRIOR_TAG) | np.arange(d, dtype=np.uint64)[:, None] << np.uint64(32)
        number = index | np.arange(m, dtype=np.uint64)
        even, odd = philox(5, np.zeros_like(number), number // np.uint64(2))
        return np.where(number % np.uint64(2) == 0, even, odd)

    work = Work(m * d, uniform=m * d, bytes=8 * m * d)
    return Prepared(lambda: domain.random_draws(space, 5, 0, 0, m), reference, work)


def _sobol_draws(m: int, d: int) -> Prepared:
    """Scrambles differ, the net does not: of the first 2^k points one lies in each cell of width 2^-k."""
    from scipy.stats import qmc

    from hpo_core.native import domain

    space, cells = cube(d), 1 << math.floor(math.log2(m))
    run = partial(domain.sobol_draws, space, 5, 0, m)

    def reference() -> Array:
        return np.asarray(qmc.Sobol(d, rng=0).random(cells).T)

    def check() -> None:
        theirs = reference()
        ours = run()[:, :cells]
        ours[:, 0] = np.nan  # point 0 is the default configuration
        for points, first in ((theirs, 0), (ours, 1)):
            for row in points[:, first:]:
                found = np.unique((row * cells).astype(np.int64))
                assert len(found) == cells - first, "two points in one cell"

    return Prepared(run, reference, Work(m * d, bytes=8 * m * d), check=check)


def _settle(m: int, d: int) -> Prepared:
    """Integers snap to the centres of 64 cells; a settled array stays as it is, so it is run in place."""
    from hpo_core.native import domain

    space = mixed(d)
    layout = space.layout
    x = domain.random_draws(space, 5, 0, 0, m)
    discrete = np.flatnonzero(layout.kinds == 1)

    def reference() -> Array:
        out = x.copy()
        out[discrete] = (np.clip(np.floor(out[discrete] * 64), 0, 63) + 0.5) / 64
        return out

    return Prepared(lambda: domain.settle(space, x), reference, Work(m * d, bytes=16 * m * d))


def conditional(d: int) -> Any:
    """Half of the parameters always active, the others where the first category is "a"; one rule forbids."""
    import hpo_core as hpo
    from hpo_core.native.domain import Domain

    space: dict[str, Any] = {"c": hpo.Categorical(["a", "b"])}
    space |= {f"x{i}": hpo.Float(0.0, 1.0) for i in range(d - 1)}
    for i in range(d // 2, d - 1):
        space[f"x{i}"] = hpo.Float(0.0, 1.0, when=hpo.param("c") == "a")
    return Domain(hpo.Space(space, forbid=[(hpo.param("x0") > 0.5) & (hpo.param("x1") > 0.5)]).layout)


def _group_mask(m: int, d: int) -> Prepared:
    from hpo_core.native import domain

    space = conditional(d)
    x = domain.random_draws(space, 5, 0, 0, m)
    category = space.layout.names.index("c")
    return Prepared(lambda: domain.group_mask(space, 1, x), lambda: x[category] == 0.0, Work(m, bytes=9 * m))


def _permitted(m: int, d: int) -> Prepared:
    from hpo_core.native import domain

    space = conditional(d)
    x = domain.random_draws(space, 5, 0, 0, m)
    a, b = (space.layout.names.index(name) for name in ("x0", "x1"))
    reference = lambda: ~((x[a] > 0.5) & (x[b] > 0.5))  # noqa: E731
    return Prepared(partial(domain.permitted, space, x), reference, Work(m, bytes=17 * m))


def _keys(m: int, d: int) -> Prepared:
    """Equal keys where and only where configurations are equal, as NumPy finds them."""
    from hpo_core.native import domain

    space = mixed(d)
    x = domain.random_draws(space, 5, 0, 0, m)
    x[:, m // 2 :] = x[:, : m - m // 2]

    def reference() -> NDArray[np.int64]:
        return np.unique(x, axis=1, return_inverse=True)[1].ravel()

    def check() -> None:
        ours = np.unique(domain.keys(space, x), return_inverse=True)[1]
        pairs = set(zip(ours.tolist(), reference().tolist(), strict=True))
        assert len(pairs) == len(np.unique(ours)) == m - m // 2

    return Prepared(partial(domain.keys, space, x), reference, Work(m * d, bytes=8 * m * d), check=check)


def _fresh(n: int, m: int) -> Prepared:
    """m keys, half of them among the n held."""
    from hpo_core.native.domain import KeySet

    rng = np.random.default_rng(0)
    held = np.unique(rng.integers(1, 1 << 63, n, dtype=np.uint64))
    asked = rng.permutation(np.concatenate([held[: m // 2], np.arange(1, m - m // 2 + 1, dtype=np.uint64)]))
    keys = KeySet()
    keys.insert(held)
    return Prepared(lambda: keys.fresh(asked), lambda: ~np.isin(asked, held), Work(m, bytes=16 * m))


KERNELS = (
    Kernel("domain", "random_draws", SIZES, _random_draws),
    Kernel("domain", "sobol_draws", SIZES, _sobol_draws),
    Kernel("domain", "settle", SIZES, _settle),
    Kernel("domain", "group_mask", SIZES, _group_mask),
    Kernel("domain", "permitted", SIZES, _permitted),
    Kernel("domain", "keys", SIZES, _keys),
    Kernel("domain", "keyset_fresh", grid(n=(1000, 100_000), m=(24, 1024)), _fresh),
)
