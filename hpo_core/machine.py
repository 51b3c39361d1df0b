"""What this machine has room for: CPUs and memory."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """CPUs this process may use: fewer than there are under taskset, Slurm or a container's cpuset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fits_memory(n: int, numbers: int) -> bool:
    """Whether ``n`` rows of so many 8-byte numbers could be in this machine's memory at all."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        memory = 2**40
    return 8 * n * numbers <= memory
