"""Fronts and hypervolume of random points, beside moocore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.native.kernels import Kernel, Prepared, Work, grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CORNER = 1.1


def _points(m: int, n: int) -> tuple[Array, Array, Array]:
    """Points in columns and in rows, and a reference."""
    y = np.random.default_rng(0).random((m, n))
    return y, np.ascontiguousarray(y.T), np.full(m, CORNER)


def _is_front(m: int, n: int) -> Prepared:
    import moocore

    from hpo_core.native import hypervolume as ours

    y, rows, _ = _points(m, n)
    return Prepared(
        lambda: ours.is_front(y), lambda: moocore.is_nondominated(rows, keep_weakly=True), _work(m, n)
    )


def _front_ranks(m: int, n: int) -> Prepared:
    import moocore

    from hpo_core.native import hypervolume as ours

    y, rows, _ = _points(m, n)
    return Prepared(lambda: ours.front_ranks(y), lambda: moocore.pareto_rank(rows), _work(m, n))


def _hypervolume(m: int, n: int) -> Prepared:
    import moocore

    from hpo_core.native import hypervolume as ours

    y, rows, corner = _points(m, n)
    return Prepared(
        lambda: np.array([ours.hypervolume(y, corner)]),
        lambda: np.array([moocore.hypervolume(rows, corner)]),
        _work(m, n),
        tolerance=1e-12,
    )


def _contributions(m: int, n: int) -> Prepared:
    import moocore

    from hpo_core.native import hypervolume as ours

    y, rows, corner = _points(m, n)
    # moocore takes contributions below 1e-8 for 0
    return Prepared(
        lambda: ours.contributions(y, corner),
        lambda: moocore.hv_contributions(rows, corner),
        _work(m, n),
        tolerance=2e-8,
    )


def _work(m: int, n: int) -> Work:
    return Work(n, bytes=8.0 * m * n)


def _kernel(name: str, prepare: Callable[..., Prepared]) -> Kernel:
    return Kernel("hypervolume", name, grid(n=(1000, 100_000), m=(2, 3, 4)), prepare)


KERNELS = (
    _kernel("is_front", _is_front),
    _kernel("front_ranks", _front_ranks),
    _kernel("hypervolume", _hypervolume),
    _kernel("contributions", _contributions),
)
