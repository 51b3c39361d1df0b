"""pytest-benchmark over every kernel of every backend; each answer is checked before it is timed.

    python -m pytest bench/native/test_kernels.py --benchmark-only --benchmark-autosave
    pytest-benchmark compare --group-by group --sort mean        what is on file, side by side
    pytest-benchmark compare 0001 0002                           two runs: before and after a change

A group is one kernel at one size: our SIMD levels, numba, and NumPy or SciPy stand in one table.
``-k 'parzen and not numba'`` chooses.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.native.kernels import Kernel, Size, cases, missing
from hpo_core import native
from hpo_core.native import _backend


@pytest.fixture(params=[*native.simd_levels(), "numba", "reference"], scope="module")
def variant(request: pytest.FixtureRequest) -> Any:
    """What is timed: a SIMD level, numba, or the reference (with the best level's answer to check it)."""
    before = native.get_num_threads()
    native.set_num_threads(1)
    with _backend.use("numba" if request.param == "numba" else "native"):
        if request.param in native.simd_levels():
            with native.simd_level(request.param):
                yield request.param
        else:
            yield request.param
    native.set_num_threads(before)


def _label(value: Any) -> str:
    if isinstance(value, Kernel):
        return f"{value.topic}-{value.name}"
    return "-".join(f"{k}{v}" for k, v in value.items())


@pytest.mark.parametrize(("kernel", "size"), list(cases()), ids=_label)
def test_kernel(benchmark: Any, variant: str, kernel: Kernel, size: Size) -> None:
    if reason := missing(kernel.topic):
        pytest.skip(f"not built: {reason}")
    prepared = kernel.prepare(**size)
    prepared.verify()
    benchmark.group = f"{_label(kernel)} {_label(size)}"
    benchmark.extra_info.update(size, items=prepared.work.items)
    benchmark(prepared.reference if variant == "reference" else prepared.run)
