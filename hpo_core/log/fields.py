"""The fields of events in JSON: the values that each allows, how it is written, and how it is read.

A field is read from many events at once, with an entry in ``values`` for each row: an object per event would
take several times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.checks import STEP_LIMIT, shown
from hpo_core.errors import StudyError
from hpo_core.log.notes import dump_note, load_note
from hpo_core.space.parameters import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hpo_core.log.codec import Codec

REQUIRED: Final = object()

_JSON_NAMES: Final = {
    int: "an int", float: "a number", str: "text", list: "a list", dict: "an object", type(None): "null",
}  # fmt: skip
INTS, NUMBERS, TEXTS = frozenset({int}), frozenset({int, float}), frozenset({str})
LISTS, OBJECTS = frozenset({list}), frozenset({dict})


class WrongFieldError(StudyError):
    """A field of an event is not what ``Codec`` writes."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        super().__init__(f"field {field!r} must be {rule}, got {shown(value, 80)}")


def wrong_type(field: str, types: tuple[type, ...], value: object) -> WrongFieldError:
    """Error that says which JSON type a field must have."""
    return WrongFieldError(field, _JSON_NAMES[types[-1]], value)


def _same(_: Codec, value: Any) -> Any:
    return value


def _listed(_: Codec, value: NDArray[Any]) -> Any:
    return value.tolist()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event.

    Attributes
    ----------
    types : tuple of type
        Types that the JSON of one event may have here.
    load : callable
        From codec, name and one value per row to the attribute of the event. None if the codec reads and
        writes the field.
    dump : callable
        From codec and the attribute of the event to JSON.
    attribute : str
        Name of the attribute, if it differs from the name in JSON.
    per_row : bool
        Whether the field is a list with an entry for each row of the event.
    default
        Value in events that do not contain the field.
    """

    types: tuple[type, ...]
    load: Callable[[Codec, str, Sequence[Any]], Any] | None = None
    dump: Callable[[Codec, Any], Any] = _same
    attribute: str = ""
    per_row: bool = False
    default: Any = REQUIRED

    def optional(self, default: Any) -> Field:
        """Return the same field, left out of the JSON if it has this value."""
        return replace(self, default=default)


def require(field: str, values: Sequence[Any], types: frozenset[type]) -> Sequence[Any]:
    """Return values, all of which must have one of the types."""
    if not types.issuperset(map(type, values)):
        wrong = next(value for value in values if type(value) not in types)
        raise WrongFieldError(field, _JSON_NAMES[float if float in types else min(types, key=str)], wrong)
    return values


def ints(field: str, values: Sequence[int]) -> NDArray[np.int64]:
    """Return ints as an array."""
    require(field, values, INTS)
    try:
        return np.fromiter(values, np.int64, len(values))
    except OverflowError:
        raise WrongFieldError(field, "below 2**63", max(values, key=abs)) from None


def reals(field: str, values: Sequence[float]) -> NDArray[np.float64]:
    """Return numbers as an array."""
    require(field, values, NUMBERS)
    return as_reals(field, values)


def as_reals(field: str, values: Sequence[float]) -> NDArray[np.float64]:
    """Return ints and floats as an array."""
    try:
        return np.fromiter(values, np.float64, len(values))
    except OverflowError:
        raise WrongFieldError(field, "a number that is a float", max(values, key=abs)) from None


def write_text(text: str) -> str | list[str]:
    """Return text in a form that JSON gives back unchanged: whole, or in pieces."""
    parts = pieces(text)
    return text if len(parts) == 1 else parts


def read_text(field: str, written: Any) -> str:
    """Read what ``write_text`` wrote."""
    if type(written) is str:
        return written
    if type(written) is not list or not all(type(piece) is str for piece in written):
        raise WrongFieldError(field, "text", written)
    return "".join(written)


def _load_rows(_: Codec, name: str, values: Sequence[int]) -> NDArray[np.int64]:
    return ints(name, values)


def _load_reals(_: Codec, name: str, values: Sequence[float]) -> NDArray[np.float64]:
    return reals(name, values)


def _load_list(_: Codec, name: str, values: Sequence[int]) -> Sequence[int]:
    return require(name, values, INTS)


def _load_step(_: Codec, name: str, values: Sequence[int]) -> NDArray[np.int64]:
    try:
        steps = ints(name, values)
        if (steps >= 0).all():
            return steps
    except WrongFieldError:
        pass
    wrong = next(value for value in values if type(value) is not int or not 0 <= value < STEP_LIMIT)
    raise WrongFieldError(name, "an int in [0, 2**63)", wrong)


def _load_names(_: Codec, name: str, values: Sequence[str]) -> Sequence[str]:
    return require(name, values, TEXTS)


def _load_texts(_: Codec, name: str, values: Sequence[Any]) -> Sequence[str]:
    return [read_text(name, value) for value in values]


def _load_some_texts(_: Codec, name: str, values: Sequence[Any]) -> Sequence[str | None]:
    return [value if value is None else read_text(name, value) for value in values]


def _load_some_objects(_: Codec, name: str, values: Sequence[Any]) -> Sequence[Any]:
    return require(name, values, OBJECTS | {type(None)})


def _load_notes(_: Codec, name: str, values: Sequence[Any]) -> Sequence[Any]:
    try:
        notes = [load_note(each) for each in values]
    except (TypeError, ValueError):
        raise WrongFieldError(name, "as they are written", values) from None
    return require(name, notes, OBJECTS)


def _dump_note(_: Codec, note: Any) -> Any:
    return dump_note(note)


def _dump_notes(_: Codec, notes: Sequence[Any]) -> list[Any]:
    return [dump_note(each) for each in notes]


def _load_results(codec: Codec, name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    return np.atleast_2d(codec.signed(values, name, finite=True))


def _load_reports(codec: Codec, name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    return codec.signed(values, name, finite=False)


def _dump_values(codec: Codec, y: NDArray[np.float64]) -> Any:
    return codec.values(y)


def _dump_text(_: Codec, text: str) -> str | list[str]:
    return write_text(text)


INT: Final = Field((int,), _load_rows)
COUNT: Final = Field((int,))
WANTED: Final = Field((int,), _load_list)
TIME: Final = Field((int, float), _load_reals)
NAME: Final = Field((str,), _load_names)
ORIGIN: Final = Field((str,), _load_names, attribute="origin")
TEXT: Final = Field((str, list), _load_texts, _dump_text)
TRACEBACK: Final = Field((str, list), _load_some_texts, _dump_text, default=None)
FIT: Final = Field((dict,), _load_some_objects, default=None)
ROWS: Final = Field((list,), _load_rows, _listed, per_row=True)
COST: Final = Field((list,), _load_reals, _listed, per_row=True)
STEP: Final = Field((int,), _load_step)
REPORTS: Final = Field((list,), _load_reports, _dump_values, attribute="y", per_row=True)
NOTE: Final = Field((dict,), _load_notes, _dump_note)
NOTES: Final = Field((list,), _load_notes, _dump_notes, per_row=True)
RESULTS: Final = Field((list,), _load_results, _dump_values, attribute="y", per_row=True)
PARAMS: Final = Field((dict,))
