"""A small thread pool for kernels that release the GIL."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from hpo_core.checks import check_int
from hpo_core.machine import available_cpus

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

# More threads than this rarely pay for a sampler that shares the machine with training.
DEFAULT_THREADS = 4
# Ranges start at multiples of a cache line's worth of vectors, so that two threads never write one.
GRAIN = 64


class _Pool:
    """The thread count, and the executor once it has been needed."""

    def __init__(self) -> None:
        self.n_threads = min(DEFAULT_THREADS, available_cpus())
        self.executor: ThreadPoolExecutor | None = None

    def resize(self, n_threads: int) -> None:
        # Without a reference the old executor's threads end once their work is done.
        self.n_threads, self.executor = n_threads, None

    def forget(self) -> None:
        """Drop the executor of the parent process: its threads do not survive a fork."""
        self.executor = None

    def started(self) -> ThreadPoolExecutor:
        if self.executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self.executor = ThreadPoolExecutor(max(1, self.n_threads - 1), thread_name_prefix="hpo_core")
        return self.executor


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


def get_num_threads() -> int:
    """Threads that one call into the native code may use, the calling one included."""
    return _pool.n_threads


def set_num_threads(n: int) -> None:
    """Set the threads of one native call, and those of BLAS where threadpoolctl is installed.

    The answers do not depend on it.

    Parameters
    ----------
    n : int
        At least 1. The default is the number of available CPUs, at most 4.

    Raises
    ------
    ArgumentError
        If ``n`` is not a positive integer.
    """
    count = check_int("n", n, 1)
    _pool.resize(count)
    with suppress(ImportError):
        from threadpoolctl import threadpool_limits

        # Threads of BLAS that wait for a CPU spin: a hundred times slower where they outnumber the CPUs.
        threadpool_limits(limits=min(count, available_cpus()), user_api="blas")


def parallel(fn: Callable[[int, int], object], n_items: int, min_per_thread: int) -> None:
    """Call ``fn(start, stop)`` on ranges that cover ``n_items``, in as many threads as pay.

    Parameters
    ----------
    fn : callable
        Releases the GIL for its work, and computes each item independently of the range it is in.
    n_items : int
        Items to cover.
    min_per_thread : int
        Items below which another thread costs more than it saves (about 50 us of work).
    """
    n_ranges = max(1, min(_pool.n_threads, n_items // max(min_per_thread, 1)))
    if n_ranges == 1:
        fn(0, n_items)
        return
    size = -(-n_items // (n_ranges * GRAIN)) * GRAIN
    starts = range(size, n_items, size)
    others = [_pool.started().submit(fn, start, min(start + size, n_items)) for start in starts]
    try:
        fn(0, min(size, n_items))
    finally:
        failures = [failure for other in others if (failure := other.exception()) is not None]
    if failures:
        raise failures[0]
