"""How values from users are read, and the seed that a trial hands out."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, overload

import numpy as np

from hpo_core.errors import TrialError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MASK64 = 2**64 - 1

SHOWN = 60  # characters of a value in a message
_SHORT = reprlib.Repr()  # does not look at the whole of 20 million items to show the first
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 2 * SHOWN


def is_int(value: object) -> TypeGuard[int]:
    """Whether a value is a Python or numpy integer; a bool is not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_number(value: object, *, rule: str = "a value must be a number") -> float:
    """Read one told value: a Python, numpy or tensor number; else a ``TrialError`` states the rule."""
    if type(value) is float:
        return value
    plain: Any = value
    if getattr(value, "size", None) == 1 or hasattr(value, "numel"):
        plain = _item(value)
    if isinstance(plain, bool | str | bytes | complex):
        raise TrialError(f"{rule}, got {_shown(value)}")
    try:
        return float(plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise TrialError(f"{rule}, got {_shown(value)}") from error


def _item(value: Any) -> object:
    try:
        return value.item()
    except (TypeError, ValueError, RuntimeError):  # a tensor of several elements, say
        return None


def as_column(values: Any, k: int) -> NDArray[np.float64]:
    """Read the told values of ``k`` trials: an array, a tensor or a sequence of k numbers."""
    if hasattr(values, "detach"):  # a tensor, perhaps on a device, with a gradient or in bfloat16
        values = values.detach().cpu().tolist()
    elif isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    if isinstance(values, str | bytes) or not (isinstance(values, Sequence) or hasattr(values, "__array__")):
        raise TrialError(f"{k} trials need an array of {k} numbers, got {_shown(values)}")
    array = np.empty(0, np.object_) if isinstance(values, Sequence) else np.asarray(values)
    if array.dtype == np.object_:
        array = np.array([as_number(value) for value in values], np.float64)
    if array.shape != (k,):
        raise TrialError(f"{k} trials need values of shape ({k},), got shape {array.shape}")
    if array.dtype.kind not in "fiu":
        raise TrialError(f"values must be numbers, got an array of dtype {array.dtype}")
    return array.astype(np.float64)


def as_json(name: str, value: object) -> object:
    """Return a private copy of a note as JSON gives it back."""
    import json

    try:
        return json.loads(json.dumps(value, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise TrialError(f"note {name!r} must be a JSON value, got {_shown(value)}") from error


def _plain(value: Any) -> object:
    if hasattr(value, "tolist"):  # numpy and torch, scalars included
        return value.tolist()
    raise TypeError(type(value).__name__)


def spread(name: str, value: object, k: int) -> Sequence[object]:
    """Give each of ``k`` trials its note: an element of a list or array, or the one value for all."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return [value] * k
    if len(value) != k:
        raise TrialError(f"note {name!r} has {len(value)} values for {k} trials")
    return value


def _shown(value: object) -> str:
    try:
        text = _SHORT.repr(value)
    except Exception:  # the user's own __repr__
        text = object.__repr__(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}... ({type(value).__name__})"


@overload
def trial_seed(seed: int, number: int) -> int: ...
@overload
def trial_seed(seed: int, number: NDArray[np.int64]) -> NDArray[np.int64]: ...
def trial_seed(seed: int, number: Any) -> Any:
    """Hash (study seed, trial number) to 32 bits, what every library takes as a seed."""
    key = _splitmix64(seed & _MASK64)
    if isinstance(number, int):
        return _splitmix64(key ^ number) >> 32
    return (_splitmix64(np.uint64(key) ^ number.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def _splitmix64(z: Any) -> Any:
    """Finalise splitmix64 (Steele, Lea & Flood 2014) on a Python int or a uint64 array."""
    kind = int if isinstance(z, int) else np.uint64
    z = (z + kind(0x9E3779B97F4A7C15)) & kind(_MASK64)
    z = ((z ^ (z >> kind(30))) * kind(0xBF58476D1CE4E5B9)) & kind(_MASK64)
    z = ((z ^ (z >> kind(27))) * kind(0x94D049BB133111EB)) & kind(_MASK64)
    return z ^ (z >> kind(31))
