"""Events as JSON text and back. The text holds the values that the user knows, not coordinates.

A coordinate computed from a value may differ from the original in its last bits. ``Codec.write`` therefore
returns each event as its text gives it back, and the history holds that event from the first moment on. Every
later reader of the log gets the same bits. If a coordinate does not give its value back, ``given`` holds it.
"""

from __future__ import annotations

import hashlib
import json
import math
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpo_core.log.events import KINDS, NAMES, Asked, Enqueued
from hpo_core.log.fields import REQUIRED, WrongFieldError, reals
from hpo_core.space import Categorical, Ordinal
from hpo_core.space.json import dump_value, load_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hpo_core.log.events import Event
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

    Columns = dict[str, list[Any]]
    Coordinates = NDArray[np.float64]
    Settled = tuple[Coordinates, Coordinates | None]

_dumps = json.JSONEncoder(separators=(",", ":")).encode

# Fields by kind, except fields that need the space: name, attribute, default and how it is written.
_FIELDS: Final = {
    kind: [
        (name, field.attribute or name, field.default, field.dump)
        for name, field in each.fields.items()
        if field.load is not None
    ]
    for kind, each in KINDS.items()
}

_SPECIAL: Final = frozenset({"nan", "inf", "-inf"})

# Characters of JSON text. A longer choice is written once, in the space, and not with each trial.
LONG: Final = 256


class _Choices:
    """The values of a parameter, as they are written with trials.

    A long one is written as ``{"choice": "its beginning... checksum of its text"}``, which stays valid if
    choices are added later. Old logs hold every choice in full.
    """

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        self.written: dict[Any, Any] = {}
        self._long: dict[str, Any] = {}
        types: set[type] = {type(None)}
        for value in values:
            plain = dump_value(value, name)
            types.add(type(plain))
            text = _dumps(plain)
            if len(text) > LONG:
                digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
                begins = text[:32].replace("\\", "")
                self._long[f"{begins}... {digest}"] = value
                plain = {"choice": f"{begins}... {digest}"}
                types.add(dict)
            self.written[value] = plain
        self._types = frozenset(types)

    def read(self, column: Sequence[Any]) -> Sequence[Any]:
        """Read values, null for None."""
        types = set(map(type, column))
        if not types <= self._types:
            wrong = next(value for value in column if type(value) not in self._types)
            raise WrongFieldError(f"params.{self.name}", "one of its choices", wrong)
        if dict not in types:
            return column
        return [self._read_one(value) if type(value) is dict else value for value in column]

    def _read_one(self, written: dict[str, Any]) -> Any:
        try:
            return self._long[written["choice"]] if "choice" in written else load_value(written)
        except (LookupError, TypeError, ValueError):
            raise WrongFieldError(f"params.{self.name}", "one of its choices", written) from None


class Codec:
    """Writes the events of a study; ``decode`` reads them.

    Parameters
    ----------
    space : Space
    metrics : Metrics
        Values are written in the user's direction, of several metrics in the order of their names.

    Attributes
    ----------
    defaults : dict of str to object
        Value of each parameter where a trial has none.
    listed : dict of str to _Choices
        Parameters with listed values, which JSON may be unable to hold as they are.
    """

    def __init__(self, space: Space, metrics: Metrics) -> None:
        self.space = space
        self.metrics = metrics
        self.sign: float = metrics.sign.item(0)  # of the metric, if it is the only one
        self.is_single = len(metrics) == 1
        self.defaults = {
            name: space.codec.column(name, np.array([np.nan])).tolist()[0] for name in space.names
        }
        self.listed = {
            name: _Choices(name, [*(own.choices if isinstance(own, Categorical) else own.values)])
            for name, own in space.parameters.items()
            if isinstance(own, Categorical | Ordinal)
        }
        self._with_none = {
            name: row
            for row, name in enumerate(space.names)
            if name in self.listed and None in self.listed[name].written
        }

    def settle(self, x: Coordinates, given: Coordinates | None = None) -> tuple[Columns, Settled]:
        """Return the values of coordinates (d, n), null where inactive, and what is read back from them."""
        if x.shape[1] == 1 and given is None and not self.space.codec.reads_reals:
            return self._settle_one(x[:, 0].tolist())
        names = self.space.names
        columns = {name: self.space.codec.column(name, x, given) for name in names}
        written = {
            name: self._written(name, columns[name].tolist(), row == row)
            for name, row in zip(names, x, strict=True)
        }
        return written, self.space.codec.restore(columns)

    def settled(self, x: Coordinates, given: Coordinates | None) -> Coordinates:
        """Return coordinates (d, n) as they come back from the log."""
        return self.settle(x, given)[1][0]

    def _settle_one(self, x: list[float]) -> tuple[Columns, Settled]:
        # Two array operations per parameter would take ten times as long as this.
        columns: Columns = {}
        given: list[float] | None = None
        for row, (name, own) in enumerate(zip(self.space.names, x, strict=True)):
            value = None
            if own == own:
                value = self.space.codec.value(own, row)
                x[row] = again = self.space.codec.coordinate(value, row)
                if again != own and self.space.codec.value(again, row) != value:
                    given = given or [math.nan] * len(x)
                    given[row] = value
                value = self._dump(name, value)
            columns[name] = [value]
        return columns, (
            np.array(x)[:, np.newaxis],
            None if given is None else np.array(given)[:, np.newaxis],
        )

    def _written(self, name: str, values: list[Any], active: NDArray[np.bool_]) -> list[Any]:
        if name in self.listed:
            values = [*map(self.listed[name].written.__getitem__, values)]
        if active.all():
            return values
        return [value if keep else None for value, keep in zip(values, active.tolist(), strict=True)]

    def _dump(self, name: str, value: Any) -> Any:
        own = self.listed.get(name)
        return value if own is None else own.written[value]

    def written_default(self, name: str) -> Any:
        """Return the default of a parameter, as it is written with trials."""
        return self._dump(name, self.defaults[name])

    def read_choices(self, name: str, column: Sequence[Any]) -> Sequence[Any]:
        """Read the values of a listed parameter."""
        return self.listed[name].read(column)

    def write(self, event: Event) -> tuple[tuple[str, str], Event]:
        """Return kind and JSON text, and the event that they give back: the same object if possible."""
        name = NAMES[type(event)]
        written: dict[str, Any]
        if isinstance(event, Asked):
            columns, (event.x, event.given) = self.settle(event.x, event.given)
            written = self.fields(event)
            written["n"], written["params"] = event.x.shape[1], columns
            if self._with_none:
                written |= self._nones(columns, event.x)
        elif isinstance(event, Enqueued):
            written = {"params": self.fixed(event)}
            event = self.read_fixed(written["params"])
        else:
            written = self.fields(event)
        return (name, _dumps(written)), event

    def fields(self, event: Event) -> dict[str, Any]:
        """Return the fields of an event as JSON values, except those that depend on the space."""
        written = {}
        for name, attribute, default, dump in _FIELDS[NAMES[type(event)]]:
            value = getattr(event, attribute)
            if default is REQUIRED or value != default:
                written[name] = dump(self, value)
        return written

    def _nones(self, columns: Columns, x: NDArray[np.float64]) -> dict[str, Any]:
        """Return which trials have the value None: the log has null for inactive parameters too."""
        found = {
            name: [k for k, value in enumerate(columns[name]) if value is None and x[row, k] == x[row, k]]
            for name, row in self._with_none.items()
        }
        found = {name: trials for name, trials in found.items() if trials}
        return {"none": found} if found else {}

    def values(self, y: NDArray[np.float64]) -> list[Any]:
        """Return signed values (k,), or (M, k), in the user's direction: for each trial one, or a list."""
        if self.is_single:
            return _finite_or_text((self.sign * y.reshape(-1)).tolist())
        metrics = self.metrics
        columns = (metrics.sign[:, np.newaxis] * y)[metrics.places]
        return [_finite_or_text(values) for values in columns.T.tolist()]

    def signed(self, values: Sequence[Any], field: str, *, finite: bool) -> NDArray[np.float64]:
        """Read what ``values`` wrote: (k,), or (M, k)."""
        if self.is_single:
            return self.sign * _read_values(values, field, finite=finite)
        metrics, m = self.metrics, len(self.metrics)
        for each in values:
            if type(each) is not list or len(each) != m:
                raise WrongFieldError(field, f"lists of {m} numbers", each)
        flat = _read_values([*chain.from_iterable(values)], field, finite=finite)
        signed = np.empty((m, len(values)))
        signed[metrics.places] = flat.reshape(-1, m).T
        signed *= metrics.sign[:, np.newaxis]
        return signed

    def fixed(self, event: Enqueued) -> dict[str, Any]:
        """Return the values of the parameters that an enqueued configuration fixes."""
        values = self.space.codec.decode_params(event.fixed, event.given)
        return {name: self._dump(name, values[name]) for name in self.space.names if name in values}

    def read_fixed(self, params: dict[str, Any]) -> Enqueued:
        """Read what ``fixed`` wrote."""
        if type(params) is not dict:
            raise WrongFieldError("params", "an object", params)
        values = {
            name: self.read_choices(name, [value])[0] if name in self.listed else value
            for name, value in params.items()
        }
        return Enqueued(*self.space.codec.partial(values))


def _finite_or_text(values: list[float]) -> list[Any]:
    """Return numbers as JSON holds them: NaN and inf only as text."""
    return [value if math.isfinite(value) else repr(value) for value in values]


def _read_values(values: Sequence[Any], field: str, *, finite: bool) -> NDArray[np.float64]:
    if not finite and str in set(map(type, values)):
        values = [float(each) if type(each) is str and each in _SPECIAL else each for each in values]
    numbers = reals(field, values)
    if finite and not np.isfinite(numbers).all():
        raise WrongFieldError(field, "finite", numbers[~np.isfinite(numbers)].item(0))
    return numbers
