"""A PostgreSQL server for one row: its data on this machine's disk, and each commit waits for it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = "HPO_BENCH_POSTGRES"


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Start a server that the measured process finds."""
    from tests.postgres_server import Server

    with contextlib.closing(Server(durable=True)) as running:
        os.environ[_URL] = running.url()
        try:
            yield
        finally:
            del os.environ[_URL]


def url() -> str:
    """Return where the server is, in the measured process."""
    return os.environ[_URL]
