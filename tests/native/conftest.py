"""What tests of single kernels run on: every SIMD level this machine has, and numba."""

from __future__ import annotations

import pytest

from hpo_core import native
from hpo_core.native import _backend


@pytest.fixture(params=[*native.simd_levels(), "numba"], scope="module")
def variant(request):
    """Name of a SIMD level or "numba", which serves while a test of it runs."""
    if request.param == "numba":
        pytest.importorskip("numba")
        with _backend.use("numba"):
            yield request.param
        return
    with _backend.use("native"), native.simd_level(request.param):
        yield request.param


@pytest.fixture(params=["native", "numba"])
def backend(request):
    """Name of the backend that serves while a test of it runs."""
    with _backend.use(request.param):
        yield request.param
