"""Checks of arguments that every part of the library needs."""

from __future__ import annotations

import os
import reprlib
from numbers import Integral, Real
from typing import Final

SHOWN: Final = 200  # characters of a value that an error message shows
# What is written must be read back from a stack of any reasonable depth, and Python reads no int of more
# than 4,300 digits.
MAX_DEPTH: Final = 100  # of lists, tuples and mappings in a value
MAX_BITS: Final = 13_000  # of an int

_SHORT = reprlib.Repr()  # does not look at the whole of 20 million items to show the first
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 2 * SHOWN
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxarray = 20


def shown(value: object, limit: int = SHOWN) -> str:
    """Return a value as an error message shows it: shortened, and whatever its own ``__repr__`` does."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # the message is about the value, not about its repr
        return f"<{type(value).__name__} that has no repr>"
    if len(text) <= limit:
        return text
    return f"{text[: limit - 3]}... ({type(value).__name__})"


def as_int(value: object) -> int | None:
    """Return a Python or numpy integer as an int, None if it is something else; a bool is."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    try:
        return int(value)
    except Exception:  # an integer by registration only
        return None


def as_real(value: object) -> float | None:
    """Return a Python or numpy number as a float, an int as an int; None if it is something else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = as_int(value)
    try:
        return float(value) if number is None else number
    except Exception:  # a fraction beyond all floats, say
        return None


def fits_memory(n: int, numbers: int) -> bool:
    """Whether ``n`` rows of so many 8-byte numbers could be in this machine's memory at all."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        memory = 2**40
    return 8 * n * numbers <= memory


def int_within(value: object, low: int, high: int | None = None) -> int | None:
    """Return an integer in [low, high) as an int, None if it is something else."""
    number = as_int(value)
    if number is None or number < low or (high is not None and number >= high):
        return None
    return number
