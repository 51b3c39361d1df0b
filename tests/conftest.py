"""Settings shared by all tests.

Helpers are imported from this folder (``from oracles.normal import ...``): it is on the path, the
checkout's root is not, so that ``import hpo_core`` finds the installed package.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

SOAK = os.environ.get("HPO_CORE_SOAK", "0") not in ("", "0")

# Wall-clock deadlines fail on busy machines; a failing example is printed with its blob instead.
settings.register_profile("test", deadline=None, derandomize=True, print_blob=True, max_examples=60)
settings.register_profile(
    "soak", settings.get_profile("test"), derandomize=False, max_examples=2000,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("soak" if SOAK else "test")

# A shell starts background jobs with Ctrl-C ignored, and every child inherits that: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the long tests to `make soak`."""
    if SOAK:
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="long: run by `make soak`"))


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether this is the long run; tests scale their repetitions by it."""
    return SOAK
