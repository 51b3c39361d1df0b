"""The arguments of ``optimize``, checked."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo_core.checks import as_int, check_flag, check_int, check_number, shown
from hpo_core.errors import ArgumentError
from hpo_core.executors import ExecutorConfig, choose
from hpo_core.hints import did_you_mean
from hpo_core.run.callbacks import METHODS, Callback, method_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.run.callbacks import AnyCallback
    from hpo_core.run.protocol import StudyLike


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The arguments of ``optimize``; an ``ArgumentError`` if one is wrong."""

    objective: Callable[[Any], object]
    n_trials: int | None
    until: int | None
    timeout: float | None
    executor: ExecutorConfig | None  # None: this thread
    callbacks: tuple[AnyCallback, ...]
    catch: tuple[type[Exception], ...]
    progress: bool
    batch_size: int | None
    vectorized: bool

    def __post_init__(self) -> None:
        if not callable(self.objective):
            raise ArgumentError(f"objective must be callable, got {self.objective!r}")
        _require_arguments("objective", self.objective, "(batch)" if self.vectorized else "(trial)")
        for name, least in (("n_trials", 0), ("until", 0), ("batch_size", 1)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, check_int(name, value, least, also=" or None"))
        check_flag("progress", self.progress)
        check_flag("vectorized", self.vectorized)
        if self.timeout is not None:
            rule = "a number of seconds >= 0 or None"
            object.__setattr__(self, "timeout", check_number("timeout", self.timeout, rule, lambda s: s >= 0))
        if self.vectorized != (self.batch_size is not None):
            raise ArgumentError(
                "vectorized=True and batch_size must be given together, got "
                f"vectorized={self.vectorized} and batch_size={self.batch_size}"
            )
        if self.vectorized and self.executor is not None:
            raise ArgumentError(f"executor must be None with vectorized=True, got {self.executor}")

    def check_that_it_ends(self, study: StudyLike) -> None:
        """Raise if nothing but Ctrl-C would end the loop."""
        if self.n_trials is not None or self.until is not None or self.timeout is not None:
            return
        if study.allow_duplicates or study.space.size == math.inf:
            raise ArgumentError(
                "n_trials, until or timeout must be given, because the trials would never run out"
            )

    def expected(self, n_finished: int) -> int | None:
        """Return how many trials this call will finish if no timeout comes first; None if unknown."""
        counts = [] if self.n_trials is None else [self.n_trials]
        if self.until is not None:
            counts.append(max(0, self.until - n_finished))
        return min(counts, default=None)


def read_executor(executor: object, n_jobs: object) -> ExecutorConfig | None:
    """Return where trials run, from the two arguments that say so."""
    jobs = as_int(n_jobs)
    if jobs is None or (jobs < 1 and jobs != -1):
        raise ArgumentError(f"n_jobs must be an int >= 1, or -1 for every CPU, got {shown(n_jobs)}")
    if executor is not None and jobs != 1:
        raise ArgumentError(f"n_jobs must be left out if executor is given, got {executor!r} and {jobs}")
    return choose(jobs if executor is None else executor)


def read_callbacks(callbacks: Any) -> tuple[AnyCallback, ...]:
    """Return the callbacks as a tuple."""
    try:
        listed = tuple(callbacks)
    except TypeError:
        raise ArgumentError(
            "callbacks must be a sequence of functions of (study, trial), or of objects with one of "
            f"{', '.join(METHODS)}, got {shown(callbacks)}"
        ) from None
    for callback in listed:
        _check_callback(callback)
    return listed


def _check_callback(callback: Any) -> None:
    if isinstance(callback, type) and any(hasattr(callback, name) for name in METHODS):
        raise ArgumentError(
            f"callbacks must be objects, got the class {callback.__name__}; write {callback.__name__}(...)"
        )
    methods = {name: method for name in METHODS if (method := method_of(callback, name)) is not None}
    if not methods and not callable(callback):
        raise ArgumentError(
            "callbacks must be functions of (study, trial), or objects with one of "
            f"{', '.join(METHODS)}, got {shown(callback)}{_like_a_method(callback)}"
        )
    if callable(callback):
        _require_arguments("callbacks", callback, "(study, trial)")
    for name, method in methods.items():
        _require_arguments(f"callbacks: {type(callback).__name__}.{name}", method, METHODS[name])


def _like_a_method(callback: object) -> str:
    """Return a hint if a public attribute of a callback looks like one of the methods."""
    names = [name for name in dir(callback) if not name.startswith("_") and not hasattr(Callback, name)]
    hints = (f", which has {name!r}{hint}" for name in names if (hint := did_you_mean(name, METHODS)))
    return next(hints, "")


def _require_arguments(name: str, function: Callable[..., object], taken: str) -> None:
    """Raise if a function cannot be called with these arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return
    try:
        signature.bind(*taken.split(","))
    except TypeError:
        raise ArgumentError(f"{name} must accept {taken}, got a function of {signature}") from None


def read_catch(catch: Any) -> tuple[type[Exception], ...]:
    """Return the exception types as a tuple."""
    kinds = tuple(catch) if isinstance(catch, tuple | list) else (catch,)
    if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise ArgumentError(f"catch must be an Exception type or a tuple of them, got {catch!r}")
    return kinds
