"""Every check of an argument, in one wording: ``lr must be a number > 0, got -1.0``.

A check returns the value in the form that the library works with, or raises an error that names the argument,
the allowed values and the value that came. NumPy is imported only where it is needed: the command line does
without it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hpo_core.errors import ArgumentError, SpaceError, TrialError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    Column: TypeAlias = list[Any] | tuple[Any, ...] | NDArray[Any]

SHOWN: Final = 200  # characters of a value that an error message shows
# A written value must be read back on a stack of any reasonable depth, and Python reads no int of more than
# 4,300 digits.
MAX_DEPTH: Final = 100  # of lists, tuples and mappings in a value
MAX_BITS: Final = 13_000  # of an int
STEP_LIMIT: Final = 2**63  # steps are kept as int64
DIRECTIONS: Final = ("minimize", "maximize")
SEED_LIMIT: Final = 2**63  # seeds fit a signed 64-bit integer, so that any storage can hold them

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_QUICK: Final = frozenset({float, bool, type(None)})  # nothing to look at in them

_SHORT = reprlib.Repr()  # does not look at the whole of 20 million items to show the first
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 2 * SHOWN
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxarray = 20


def shown(value: object, limit: int = SHOWN) -> str:
    """Return a value as an error message shows it: shortened, and safe even if its ``__repr__`` raises."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # the message is about the value, not about its repr
        return f"<{type(value).__name__} that has no repr>"
    if len(text) <= limit:
        return text
    return f"{text[: limit - 3]}... ({type(value).__name__})"


def some(names: Iterable[object]) -> str:
    """Return a few names or values as an error message shows them."""
    listed = list(map(shown, names))
    return ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")


def as_int(value: object) -> int | None:
    """Return a Python or numpy integer as an int; None for anything else, bools included."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    try:
        return int(value)
    except Exception:  # an integer by registration only
        return None


def as_real(value: object) -> float | None:
    """Return a Python or numpy number as a float, or an integer as an int; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = as_int(value)
    try:
        return float(value) if number is None else number
    except Exception:  # a fraction beyond all floats, say
        return None


def check_int(
    name: str,
    value: object,
    least: int,
    most: int | None = None,
    *,
    also: str = "",
    error: type[ArgumentError] = ArgumentError,
) -> int:
    """Return an integer from ``least`` to ``most`` as an int; ``also`` names what else the caller takes."""
    number = as_int(value)
    if number is None or number < least or (most is not None and number > most):
        allowed = f">= {_bound(least)}" if most is None else f"from {_bound(least)} to {_bound(most)}"
        raise error(f"{name} must be an int {allowed}{also}, got {shown(value)}")
    return number


def _bound(number: int) -> str:
    exponent = number.bit_length()
    return f"2**{exponent} - 1" if exponent > 31 and number == 2**exponent - 1 else f"{number:,}"


def check_number(
    name: str,
    value: object,
    rule: str,
    holds: Callable[[float], bool],
    *,
    error: type[ArgumentError] = ArgumentError,
) -> float:
    """Return a number for which ``holds`` is true; ``rule`` says the same in words, as in "a number > 0"."""
    number = as_real(value)
    try:
        if number is not None and holds(number):
            float(number)  # an int may be beyond all floats
            return number
    except OverflowError:
        raise error(f"{name} must be {rule}, got {shown(value)}, beyond all floats") from None
    raise error(f"{name} must be {rule}, got {shown(value)}")


def check_flag(name: str, value: object, *, error: type[ArgumentError] = ArgumentError) -> bool:
    """Return a bool."""
    if not isinstance(value, bool):
        raise error(f"{name} must be True or False, got {shown(value)}")
    return value


def check_one_of(
    name: str, value: object, allowed: Iterable[str], *, error: type[ArgumentError] = ArgumentError
) -> str:
    """Return a str that is one of ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        *most, last = map(repr, allowed)
        raise error(f"{name} must be {', '.join(most)} or {last}, got {shown(value)}")
    return value


def check_mapping(
    name: str,
    value: Any,
    what: str = "a mapping of names to values",
    *,
    error: type[ArgumentError] = ArgumentError,
) -> Mapping[str, Any]:
    """Return a mapping as it came."""
    if not isinstance(value, Mapping):
        raise error(f"{name} must be {what}, got {shown(value)}")
    return value


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
    try:
        return check_int("step", step, 0, STEP_LIMIT - 1, error=TrialError)
    except TrialError as error:
        order = "; report(step, value) takes the step first" if isinstance(step, float) else ""
        raise TrialError(f"{error}{order}") from None


def as_numbers(values: Any, k: int) -> NDArray[np.float64]:
    """Read the told values of ``k`` trials: an array, a tensor or a sequence of k numbers."""
    import numpy as np

    if hasattr(values, "detach"):  # a tensor, perhaps on a device, with a gradient or in bfloat16
        values = values.detach().cpu().tolist()
    elif isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    if isinstance(values, str | bytes) or not (isinstance(values, Sequence) or hasattr(values, "__array__")):
        raise TrialError(f"values must be an array of {k} numbers, one per trial, got {shown(values)}")
    array = np.empty(0, np.object_) if isinstance(values, Sequence) else np.asarray(values)
    if array.dtype == np.object_:
        array = np.array([as_number(value) for value in values], np.float64)
    if array.shape != (k,):
        raise TrialError(f"values must be an array of {k} numbers, one per trial, got shape {array.shape}")
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
    """Return a str, which may be of a subclass, as a plain str."""
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


def note_of_each(name: str, value: object, k: int) -> Sequence[object]:
    """Give each of ``k`` trials its note: an element of a list or array, or the one value for all."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return [value] * k
    if len(value) != k:
        raise TrialError(f"note {name!r} must hold {k} values, one per trial, got {len(value)}")
    return value


def check_columns(columns: Any) -> tuple[dict[str, Column], int]:
    """Return columns as lists or arrays, and their common length."""
    rule = "a mapping of names to columns of values"
    if not check_mapping("columns", columns, rule, error=SpaceError):
        raise SpaceError(f"columns must be {rule}, got none")
    checked = {name: _column(name, column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in checked.items()}
    if len(set(lengths.values())) > 1:
        raise SpaceError(f"columns must have the same length, got {shown(lengths)}")
    return checked, next(iter(lengths.values()))


def check_x(x: Any, d: int, what: str = "x") -> NDArray[np.float64]:
    """Return coordinates of ``d`` parameters, (d, n)."""
    import numpy as np

    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or len(array) != d:
        raise SpaceError(f"{what} must be an array of shape ({d}, n), got shape {array.shape}")
    return array


def check_given(given: Any, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Return exact values, one for each coordinate, or None."""
    import numpy as np

    if given is None:
        return None
    array = np.asarray(given)
    if array.dtype != np.float64 or array.shape != shape:
        raise SpaceError(f"given must be None or an array of floats of shape {shape}, got {shown(given)}")
    return array


def _column(name: Any, column: Any) -> Column:
    if isinstance(column, list | tuple):
        return column  # kept from numpy, which would make rows of tuples
    import numpy as np

    array = np.asarray(column)
    if array.ndim != 1:
        raise SpaceError(f"the column of {name!r} must have one dimension, got {shown(column)}")
    return array
