"""What a kernel under measurement is: a call, a reference of the same answer, the work it cannot avoid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPICS = (
    "normal",
    "domain",
    "parzen",
    "tpe",
    "covariance",
    "improvement",
    "ehvi",
    "climb",
    "hypervolume",
    "linalg",
)

Size = dict[str, int]


@dataclass(frozen=True)
class Work:
    """What one call does at the least.

    ``items`` is what its nanoseconds are divided by. The others are totals: multiply-adds, vector
    functions, uniforms of Philox, bytes read and written once, and floating-point operations that BLAS
    does in matrix products and triangular solves.
    """

    items: float
    fma: float = 0.0
    exp: float = 0.0
    log: float = 0.0
    uniform: float = 0.0
    bytes: float = 0.0
    gemm: float = 0.0
    trsm: float = 0.0


@dataclass(frozen=True)
class Prepared:
    """A kernel at one size. ``check`` compares the answers where they are not two equal arrays."""

    run: Callable[[], Any]
    reference: Callable[[], Any]
    work: Work
    tolerance: float = 1e-10
    check: Callable[[], None] | None = None

    def verify(self) -> None:
        """Raise AssertionError if the kernel's answer is not the reference's."""
        if self.check is not None:
            self.check()
            return
        ours, theirs = self.run(), self.reference()
        ours, theirs = (a if isinstance(a, tuple) else (a,) for a in (ours, theirs))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=self.tolerance, atol=self.tolerance)


@dataclass(frozen=True)
class Kernel:
    """A function of the native room, and the grid it is measured on."""

    topic: str
    name: str
    sizes: tuple[Size, ...]
    prepare: Callable[..., Prepared]


def grid(**axes: tuple[int, ...]) -> tuple[Size, ...]:
    """Every combination of the values of the axes."""
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def kernels(topic: str) -> tuple[Kernel, ...]:
    """The kernels of a topic: ``KERNELS`` of ``bench.native.<topic>``."""
    found: tuple[Kernel, ...] = import_module(f"bench.native.{topic}").KERNELS
    return found


def cases() -> Iterator[tuple[Kernel, Size]]:
    """Every kernel at every size."""
    for topic in TOPICS:
        for kernel in kernels(topic):
            for size in kernel.sizes:
                yield kernel, size


def missing(topic: str) -> str | None:
    """Why the backend in use does not have a topic; None if it does."""
    from hpo_core.native import _backend

    try:
        _backend.module(topic)
    except ImportError as error:
        return str(error)
    return None


def cube(d: int) -> Any:
    """The compiled space of d continuous parameters on [0, 1]."""
    import hpo_core as hpo
    from hpo_core.native.domain import Domain

    return Domain(hpo.Space({f"x{i}": hpo.Float(0.0, 1.0) for i in range(d)}).layout)


def mixed(d: int) -> Any:
    """The compiled space of d parameters: half continuous, a quarter integer, a quarter categorical."""
    import hpo_core as hpo
    from hpo_core.native.domain import Domain

    half, quarter = d - 2 * (d // 4), d // 4
    space: dict[str, Any] = {f"x{i}": hpo.Float(0.0, 1.0) for i in range(half)}
    space |= {f"i{i}": hpo.Int(1, 64) for i in range(quarter)}
    space |= {f"c{i}": hpo.Categorical(["a", "b", "c", "d"]) for i in range(quarter)}
    return Domain(hpo.Space(space).layout)
