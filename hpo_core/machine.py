"""Limits of this machine: CPUs and memory."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Return how many CPUs this process may use; taskset, Slurm or a container may withhold some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fits_memory(n: int, numbers: int) -> bool:
    """Return whether ``n`` rows of ``numbers`` 8-byte numbers could fit into this machine's memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        memory = 2**40
    return 8 * n * numbers <= memory
