"""A small thread pool for kernels that release the GIL.

An interrupt may strike the calling thread between any two steps. ``concurrent.futures`` then sometimes keeps
a lock, and the next call waits for ever. Here each step is one call into C, which takes effect or does not.
"""

from __future__ import annotations

import _thread
import os
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from hpo_core.checks import check_int
from hpo_core.machine import available_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

# More threads than this rarely pay for a sampler that shares the machine with training.
DEFAULT_THREADS = 4
# Ranges start at multiples of a cache line's worth of vectors, so that two threads never write one.
GRAIN = 64
# More exceptions than this, one after the other, are no interrupts: perhaps the stack is full.
MOST_STRIKES = 100

T = TypeVar("T")


def finished(work: Callable[[], T], end: Callable[[], object]) -> T:
    """Call ``work`` and then ``end``, this again if an interrupt struck it; raise the first exception."""
    failure: BaseException | None = None
    tries = MOST_STRIKES
    while tries:
        try:
            if failure is None:
                result = work()
            end()
            break
        except BaseException as struck:
            if failure is None:
                failure = struck
            tries -= 1
    if failure is not None:
        try:
            raise failure
        finally:  # its traceback leads here: a circle would keep the arrays
            del failure
    return result


class _Job:
    """Ranges of work, each done by the first thread that takes it."""

    def __init__(self, fn: Callable[[int, int], object], ranges: list[tuple[int, int]]) -> None:
        self.fn, self.ranges = fn, ranges
        self.takers: dict[int, object] = {}
        self.failures: list[BaseException] = []
        self.done = [False] * len(ranges)
        self.ends = [_thread.allocate_lock() for _ in ranges]  # released once the range is done
        for end in self.ends:
            end.acquire()

    def takes(self, taker: object, k: int) -> bool:
        """Whether a range is the taker's, who takes it if nobody else has."""
        return self.takers.setdefault(k, taker) is taker

    def help(self) -> None:
        """Do what nobody has taken. Only for threads that no signal interrupts."""
        helper = object()
        for k, (start, stop) in enumerate(self.ranges):
            if self.takes(helper, k):
                try:
                    self.fn(start, stop)
                except BaseException as failure:
                    self.failures.append(failure)
                self.done[k] = True
                self.ends[k].release()

    def lead(self, helpers: _Helpers) -> None:
        """Get it done with the help of others, and return once nobody works on it any more."""
        leader = object()
        finished(lambda: self._share(helpers, leader), lambda: self._settle(leader))
        if self.failures:
            raise self.failures.pop()  # which would keep the arrays

    def _share(self, helpers: _Helpers, leader: object) -> None:
        helpers.grow(len(self.ranges) - 1)
        for _ in range(min(len(self.ranges) - 1, helpers.n)):  # without threads they would pile up
            helpers.jobs.put(self)
        for k, (start, stop) in enumerate(self.ranges):
            if self.takes(leader, k):
                self.fn(start, stop)

    def _settle(self, leader: object) -> None:
        """Take what is left, and wait for what others have taken."""
        for k, end in enumerate(self.ends):
            while not (self.takes(leader, k) or self.done[k]):
                end.acquire()


class _Helpers:
    """Threads that wait for jobs."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.n = 0

    def grow(self, n: int) -> None:
        with suppress(RuntimeError):  # no more threads to be had: then the callers do all themselves
            while self.n < n:
                _thread.start_new_thread(self.serve, ())
                self.n += 1

    def serve(self) -> None:
        while (job := self.jobs.get()) is not None:
            job.help()
            del job  # and with it the arrays of its call
        self.jobs.put(None)  # for the next thread


class _Pool:
    """The thread count, and the threads once they have been needed."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.helpers = _Helpers()

    def resize(self, n_threads: int) -> None:
        old = self.helpers
        self.n_threads, self.helpers = n_threads, _Helpers()
        old.jobs.put(None)


_pool = _Pool(min(DEFAULT_THREADS, available_cpus()))
if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=lambda: _pool.resize(_pool.n_threads))


def get_num_threads() -> int:
    """Return the number of threads that a native call may use, including the calling one.

    Returns
    -------
    int
    """
    return _pool.n_threads


def set_num_threads(n: int) -> None:
    """Set the number of threads of a native call, and of BLAS if threadpoolctl is installed.

    Results do not depend on it.

    Parameters
    ----------
    n : int
        At least 1. By default it is the number of available CPUs, at most 4.

    Raises
    ------
    ArgumentError
        ``n`` is not a positive integer.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
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
    job = _Job(fn, [(start, min(start + size, n_items)) for start in range(0, n_items, size)])
    job.lead(_pool.helpers)
