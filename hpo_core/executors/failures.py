"""Exceptions as text, which a trial keeps, and as bytes, which travel to another process.

Exceptions come from users' code. Whatever they do when they are printed, pickled or rebuilt, the functions
here return.
"""

from __future__ import annotations

import contextlib
import pickle
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REASON_LENGTH: Final = 10_000
TRACEBACK_LENGTH: Final = 100_000


def clip(text: str, limit: int) -> str:
    """Return text that every storage takes: cut in the middle, lone surrogates and NUL escaped."""
    if len(text) > limit:
        left_out = f"\n... ({len(text) - limit:,} characters left out) ...\n"
        half = (limit - len(left_out)) // 2
        text = f"{text[:half]}{left_out}{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def describe(error: BaseException) -> str:
    """Return the type and the message of an exception."""
    return clip(f"{type(error).__name__}: {_message(error)}", REASON_LENGTH)


def reason_of(failure: BaseException) -> str:
    """Return the message of an exception without its type; the type if the message is empty."""
    return clip(_message(failure), REASON_LENGTH) or type(failure).__name__


def trace(error: BaseException, *, skip: int = 0) -> str:
    """Return the traceback of an exception without its ``skip`` outermost entries."""
    tail = error.__traceback__
    for _ in range(skip):
        tail = tail and tail.tb_next
    try:
        text = "".join(format_exception(type(error), error, tail))
    except Exception:
        return describe(error)
    return clip(text.rstrip(), TRACEBACK_LENGTH)


def pack_error(error: BaseException) -> bytes:
    """Pickle an exception for ``unpack_error``, which returns the closest one that can be rebuilt there."""
    description = describe(error)
    pickles: list[bytes] = []
    for pickled in (_without_init, _as_it_is, _as_its_base):
        with contextlib.suppress(Exception):
            pickles.extend(pickled(error))
    pickles.sort(key=lambda packed: describe(pickle.loads(packed)) != description)
    return pickle.dumps((description, pickles))


def unpack_error(packed: bytes) -> BaseException:
    """Return the exception, else one of a base class, else a ``RuntimeError`` that names its type."""
    description, pickles = pickle.loads(packed)
    for each in pickles:
        with contextlib.suppress(Exception):
            error = pickle.loads(each)
            if isinstance(error, BaseException):
                return error
    return RuntimeError(description)


def can_travel(value: object) -> bool:
    """Return whether a value can be pickled and unpickled."""
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        return False
    return True


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"(its __str__ raised {type(second).__name__})"


def _without_init(error: BaseException) -> Iterator[bytes]:
    """Pickle the fields of an exception's built-in base, and the attributes that can be pickled.

    The exception's own ``__init__`` may take arguments that it does not keep; its reducer may lose fields.
    """
    native: Any = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
    _, arguments, *state = native.__reduce__(error)
    kept = {name: value for name, value in dict(*state).items() if can_travel(value)}
    shown = tuple(each if can_travel(each) else f"<{type(each).__name__}>" for each in arguments)
    return _pickled(_Rebuilt(type(error), native, shown, kept), type(error))


def _as_it_is(error: BaseException) -> Iterator[bytes]:
    return _pickled(error, type(error))


def _pickled(value: object, kind: type) -> Iterator[bytes]:
    for dumps in _picklers():
        with contextlib.suppress(Exception):
            packed = dumps(value)
            if type(pickle.loads(packed)) is kind:
                yield packed
                return


def _as_its_base(error: BaseException) -> Iterator[bytes]:
    """Pickle an exception of the closest class that can be built from the description."""
    description = describe(error)
    for base in type(error).__mro__[1:]:
        if base in (Exception, BaseException, object):
            return
        with contextlib.suppress(Exception):
            stand_in = base(description)
            if description in str(stand_in):
                packed = pickle.dumps(stand_in)
                pickle.loads(packed)
                yield packed


class _Rebuilt:
    """Pickled, this becomes an exception that is made without its ``__init__``."""

    def __init__(self, *parts: Any) -> None:
        self._parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._parts


def _rebuild(kind: Any, native: Any, arguments: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    error: BaseException = native.__new__(kind, *arguments)
    native.__init__(error, *arguments)
    native.__setstate__(error, state)
    return error


def _picklers() -> Iterator[Callable[[object], bytes]]:
    yield pickle.dumps
    with contextlib.suppress(ImportError):
        import cloudpickle  # it sends classes that cannot be imported, and knows its own again

        yield cloudpickle.dumps
