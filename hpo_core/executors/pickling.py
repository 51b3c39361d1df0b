"""Sending objectives and parameter values to another process."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from hpo_core.errors import ArgumentError
from hpo_core.executors.failures import describe


def pack(value: object, *, what: str, here: bool = True) -> bytes:
    """Pickle by reference where the worker can import it, by value (cloudpickle) elsewhere.

    Reference comes first: a module's data is then loaded by each worker instead of being copied.
    Workers that were not spawned ``here`` have another main module.

    Raises
    ------
    ArgumentError
        ``value`` can be pickled only by value, and cloudpickle is not installed or fails as well.
    """
    try:
        packed = pickle.dumps(value)
    except Exception as error:
        return _pack_by_value(value, what, error)
    if b"__main__" in packed and not (here and _main_can_be_imported()):
        return _pack_by_value(value, what, None)
    return packed


def _pack_by_value(value: object, what: str, cause: Exception | None) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        raise ArgumentError(
            f"{what} cannot be sent to a worker process by pickle: it is local, a lambda, or lives in a "
            "notebook. Move it to a module, or install cloudpickle: pip install 'hpo-core[parallel]'"
        ) from cause
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise ArgumentError(f"{what} cannot be sent to a worker process: {describe(error)}") from error


def _main_can_be_imported() -> bool:
    """Whether spawn can import the main module again: true of scripts, not of notebooks."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    return getattr(main, "__spec__", None) is not None or (path is not None and Path(path).is_file())
