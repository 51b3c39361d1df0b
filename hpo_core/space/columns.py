"""Small steps on columns of values, constants and constraints."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.space.codec import as_column
from hpo_core.space.conditions import is_condition, value_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hpo_core.space.conditions import Expression

    Column: TypeAlias = list[Any] | tuple[Any, ...] | NDArray[Any]


def own_copy(value: Any) -> Any:
    """Return a value whose lists, mappings and arrays are copies, itself if it has none."""
    kind = type(value)
    if kind is np.ndarray:
        return value.copy()
    if kind in (list, set, bytearray):
        return kind(map(own_copy, value))
    if kind is dict:
        return {key: own_copy(each) for key, each in value.items()}
    if kind is tuple:
        copies = tuple(map(own_copy, value))
        return value if all(map(operator.is_, copies, value)) else copies
    return value


def as_columns(given: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Return the ``given`` of one configuration, (d,), as (d, 1)."""
    return None if given is None else given[:, np.newaxis]


def check_forbid(forbid: Any) -> tuple[Expression, ...]:
    """Return the forbidden conditions as a tuple."""
    if not isinstance(forbid, list | tuple):
        raise SpaceError(f"forbid must be a list of conditions, got {shown(forbid)}")
    for k, condition in enumerate(forbid):
        if not is_condition(condition):
            raise SpaceError(
                f"forbid[{k}] must be a condition such as param('a') > 1, got {shown(condition)}"
            )
    return tuple(forbid)


def feasible_raised(error: Exception, columns: Mapping[str, Any]) -> str:
    """Message about an exception that ``feasible`` raised, with a hint how to mend the function."""
    text = f"feasible must return a mask of its columns, but it raised {shown(error)}"
    name = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(name, str) and name not in columns:
        return f"{text}; its columns are {some(columns)}{did_you_mean(name, columns)}"
    if "truth value of an array" in str(error):
        return (
            f"{text}. It gets whole columns as numpy arrays: write & for `and`, | for `or`, ~ for `not`, "
            "brackets around each comparison, and np.where(condition, a, b) for `if`"
        )
    return f"{text}. It gets whole columns as numpy arrays, one for each parameter and constant"


def where(column: Column, mask: NDArray[np.bool_]) -> Column:
    """Entries of a column where ``mask`` is true."""
    if mask.all():
        return column
    if isinstance(column, np.ndarray):
        return column[mask]
    return [item for item, keep in zip(column, mask.tolist(), strict=True) if keep]


def repeated(value: Any, n: int) -> NDArray[Any]:
    """Column of a constant, of its natural dtype; a mutable constant, such as a list, is copied."""
    if own_copy(value) is value:
        return np.repeat(as_column([value]), n)
    return as_column([own_copy(value) for _ in range(n)]) if n else np.empty(0, np.object_)


def check_constant(name: str, value: Any, column: Column) -> None:
    """Every entry of a constant's column is that constant."""
    for item in column:
        if not _equal(item, value):
            raise SpaceError(f"constant {name!r} must be {shown(value)}, got {shown(item)}")


def _equal(item: Any, value: Any) -> bool:
    try:
        return item is value or value_key(item) == value_key(value) or bool(np.all(item == value))
    except Exception:  # their own methods
        return False
