"""How values from users are read, and the seed that a trial hands out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from hpo_core.checks import MAX_BITS, MAX_DEPTH, int_within, shown
from hpo_core.errors import TrialError

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_LIMIT: Final = 2**63  # steps are kept as int64

_MASK64 = 2**64 - 1
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_QUICK: Final = frozenset({float, bool, type(None)})  # nothing to look at in them


def as_number(value: object, *, rule: str = "a value must be a number") -> float:
    """Read one told value: a Python, numpy or tensor number; else a ``TrialError`` states the rule."""
    if type(value) is float:
        return value
    plain: Any = value
    if getattr(value, "size", None) == 1 or hasattr(value, "numel"):
        plain = _item(value)
    if isinstance(plain, bool | str | bytes | complex):
        raise TrialError(f"{rule}, got {shown(value)}")
    try:
        return float(plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise TrialError(f"{rule}, got {shown(value)}") from error
    except Exception as error:  # what the value's own methods raise
        raise TrialError(f"{rule}, got {shown(value)}, which raised {type(error).__name__}") from error


def _item(value: Any) -> object:
    try:
        return value.item()
    except (TypeError, ValueError, RuntimeError):  # a tensor of several elements, say
        return None


def check_step(step: object) -> int:
    """Return the step of a report as an int."""
    number = int_within(step, 0, STEP_LIMIT)
    if number is None:
        order = "; report(step, value) takes the step first" if isinstance(step, float) else ""
        raise TrialError(f"step must be an int of at least 0 and below 2**63, got {shown(step)}{order}")
    return number


def as_column(values: Any, k: int) -> NDArray[np.float64]:
    """Read the told values of ``k`` trials: an array, a tensor or a sequence of k numbers."""
    if hasattr(values, "detach"):  # a tensor, perhaps on a device, with a gradient or in bfloat16
        values = values.detach().cpu().tolist()
    elif isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    if isinstance(values, str | bytes) or not (isinstance(values, Sequence) or hasattr(values, "__array__")):
        raise TrialError(f"{k} trials need an array of {k} numbers, got {shown(values)}")
    array = np.empty(0, np.object_) if isinstance(values, Sequence) else np.asarray(values)
    if array.dtype == np.object_:
        array = np.array([as_number(value) for value in values], np.float64)
    if array.shape != (k,):
        raise TrialError(f"{k} trials need values of shape ({k},), got shape {array.shape}")
    if array.dtype.kind not in "fiu":
        raise TrialError(f"values must be numbers, got an array of dtype {array.dtype}")
    return array.astype(np.float64)


def as_json(name: str, value: object) -> object:
    """Return a private copy of a note in plain Python values, as it will be read back from a log."""
    try:
        return _plain(value, 0)
    except TrialError as error:
        raise TrialError(f"note {shown(name)} must be a JSON value: {error}") from None
    except Exception as error:  # what the value's own methods raise
        raise TrialError(f"note {shown(name)} must be a JSON value, got {shown(value)}") from error


def plain_text(text: str) -> str:
    """Return a text of a class of its own as plain text."""
    return str.__str__(text)


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return _checked(value)
    if depth == MAX_DEPTH:
        raise TrialError(f"it is nested more than {MAX_DEPTH} deep")
    if kind in (list, tuple) and _QUICK.issuperset(map(type, value)):
        return kind(value)
    if isinstance(value, list | tuple):
        items = [_plain(item, depth + 1) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, int | float | str):  # a subclass: an enum or one of numpy's
        return _checked(_exact(value))
    if hasattr(value, "tolist") and getattr(getattr(value, "dtype", None), "kind", "") not in ("m", "M"):
        listed = value.tolist()  # numpy and torch, scalars included; a longdouble stays what it is
        if type(listed) is not kind:
            return _plain(listed, depth)
    raise TrialError(f"it holds {shown(value)}")


def _exact(value: float | str) -> int | float | str:
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else str.__str__(value)


def _checked(value: Any) -> Any:
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise TrialError(f"it holds an int of {value.bit_length()} bits, more than {MAX_BITS}")
    return value


def _key(key: Any) -> Any:
    key = _exact(key) if isinstance(key, int | float | str) and type(key) is not bool else key
    if type(key) not in _SCALARS or key != key:
        raise TrialError(f"it holds the key {shown(key)}")
    return _checked(key)


def spread(name: str, value: object, k: int) -> Sequence[object]:
    """Give each of ``k`` trials its note: an element of a list or array, or the one value for all."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return [value] * k
    if len(value) != k:
        raise TrialError(f"note {name!r} has {len(value)} values for {k} trials")
    return value


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
