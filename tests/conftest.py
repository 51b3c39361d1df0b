"""Settings shared by all tests.

Helpers are imported from this folder (``from oracles.normal import ...``): it is on the path, the
checkout's root is not, so that ``import hpo_core`` finds the installed package.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from browsers import Watched
    from postgres_server import Server

SOAK = os.environ.get("HPO_CORE_SOAK", "0") not in ("", "0")

# Keras reads it when it is first imported, which may be to look for doctests; only PyTorch is installed.
os.environ["KERAS_BACKEND"] = "torch"

# By the fixture that a test asks for; parameters that choose such a fixture carry their mark themselves.
MARKS = {
    "dask_client": pytest.mark.cluster,
    "ray_cluster": pytest.mark.cluster,
    "postgres_database": pytest.mark.database,
    "browser": pytest.mark.browser,
}

# Wall-clock deadlines fail on busy machines; a failing example is printed with its blob instead.
settings.register_profile("test", deadline=None, derandomize=True, print_blob=True, max_examples=40)
settings.register_profile(
    "soak", settings.get_profile("test"), derandomize=False, max_examples=2000,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("soak" if SOAK else "test")

# A killed worker that is not back after 15 s would be given up: on a busy machine it starts more slowly.
os.environ["DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT"] = "10 minutes"

# A shell starts background jobs with Ctrl-C ignored, and every child inherits that: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster or a database, and leave the long tests to `make soak`."""
    for item in items:
        for name in MARKS.keys() & getattr(item, "fixturenames", ()):
            item.add_marker(MARKS[name])
        if not SOAK and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="long: run by `make soak`"))


def pytest_collection_finish() -> None:
    """Keep what was collected out of every later search for garbage: a million objects, 0.4 s each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server of our own, which tests may stop and start."""
    from postgres_server import Server

    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty database for this run, on the server that HPO_CORE_TEST_POSTGRES names if it does."""
    import psycopg

    given = os.environ.get("HPO_CORE_TEST_POSTGRES")
    url = given or request.getfixturevalue("postgres_server").url()
    name = f"hpo_core_test_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    if given:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def own_postgres_server(request: pytest.FixtureRequest, postgres: str) -> Server:
    """The server of ``postgres``, for a test that stops it."""
    if os.environ.get("HPO_CORE_TEST_POSTGRES"):
        pytest.skip("the server that HPO_CORE_TEST_POSTGRES names is not ours to stop")
    return request.getfixturevalue("postgres_server")


@pytest.fixture
def postgres(postgres_database: str) -> str:
    """URL of a PostgreSQL database without studies."""
    import psycopg

    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS hpo_core CASCADE")
    return postgres_database


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.database)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What ``storage=`` takes: each kind of storage that processes can share, without studies."""
    return str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether this is the long run; tests scale their repetitions by it."""
    return SOAK


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which other tests may not have
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from browsers import launched

    with launched() as found:
        yield found


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Open pages in contexts of their own, which end with the test: ``open_page(color_scheme="dark")``."""
    from browsers import Watched

    with contextlib.ExitStack() as stack:

        def open_one(**options: Any) -> Watched:
            watched = Watched(browser, **options)
            stack.callback(watched.context.close)
            return watched

        yield open_one


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    """A cluster of two workers of one thread each, for all tests."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """Two CPUs and what Ray is told is a GPU, for all tests."""
    # Tune would leave its own handler of Ctrl-C behind.
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
    }
    import ray

    # Workers import from the folder that Ray was started in before all else: not from the checkout.
    with contextlib.chdir(Path(__file__).parent):
        ray.init(
            num_cpus=2, num_gpus=1, object_store_memory=2**27,
            include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        )  # fmt: skip
    yield ray
    ray.shutdown()
