"""Processes that work on one study together."""

from __future__ import annotations

import contextlib
import multiprocessing
from pathlib import Path

SPAWN = multiprocessing.get_context("spawn")


def run_to_their_ends(workers, start):
    """Let processes begin together, and see that each ends well."""
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(1200)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def with_children(pid):
    """A process and its children: worker processes and the heart."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found
