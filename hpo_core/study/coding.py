"""Events as JSON text and back, their values as the user knows them.

Coordinates come back from values, and not always to the last bit. The history of a stored study
therefore holds what its log says, from the first moment on: ``Codec.write`` returns events as their
text gives them back, and whoever reads the log later has the same bits.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.events import Asked, Enqueued, Failed, Noted, Reported, Retried, Stopped, Told
from hpo_core.space import Categorical, Ordinal
from hpo_core.space.serial import dump_value, load_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.events import Event
    from hpo_core.space import Space

    Columns = dict[str, list[Any]]

_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Codec:
    """Writes the events of a study; ``reading`` reads them.

    Parameters
    ----------
    space : Space
    sign : float
        1 when minimising, -1 when maximising: values are written in the user's direction.

    Attributes
    ----------
    defaults : dict of str to object
        Value of each parameter where it has none.
    listed : set of str
        Parameters with values that JSON may not have.
    """

    def __init__(self, space: Space, sign: float) -> None:
        self.space = space
        self.sign = sign
        parameters = space.parameters.items()
        self.defaults = {name: space.column(name, np.array([np.nan])).tolist()[0] for name in space.names}
        self.listed = {name for name, own in parameters if isinstance(own, Categorical | Ordinal)}

    def settle(self, x: NDArray[np.float64]) -> tuple[Columns, NDArray[np.float64]]:
        """Values of coordinates (d, n), null where inactive, and the coordinates they give back."""
        if x.shape[1] == 1 and not self.space.reads_reals:
            return self._settle_one(x[:, 0].tolist())
        columns = {name: self.space.column(name, row) for name, row in zip(self.space.names, x, strict=True)}
        written = {
            name: self._written(name, column.tolist(), row == row)
            for (name, column), row in zip(columns.items(), x, strict=True)
        }
        return written, self.space.encode(columns)

    def _settle_one(self, x: list[float]) -> tuple[Columns, NDArray[np.float64]]:
        # Two array operations per parameter would take ten times as long as this.
        columns: Columns = {}
        for row, (name, own) in enumerate(zip(self.space.names, x, strict=True)):
            value = None
            if own == own:
                value = self.space.value(own, row)
                x[row] = self.space.coordinate(value, row)
                value = dump_value(value, name) if name in self.listed else value
            columns[name] = [value]
        return columns, np.array(x)[:, np.newaxis]

    def _written(self, name: str, values: list[Any], active: NDArray[np.bool_]) -> list[Any]:
        if name in self.listed:
            values = [dump_value(value, name) for value in values]
        if active.all():
            return values
        return [value if keep else None for value, keep in zip(values, active.tolist(), strict=True)]

    def write(self, event: Event) -> tuple[tuple[str, str], Event]:
        """Return kind and JSON text, and the event that they give back."""
        kind = type(event).__name__.lower()
        written: dict[str, Any]
        if isinstance(event, Asked):
            columns, x = self.settle(event.x)
            written, event = _write_asked(event, columns), replace(event, x=x)
        elif isinstance(event, Enqueued):
            written = {"params": self.fixed(event.fixed)}
            event = Enqueued(self.read_fixed(written["params"]))
        else:
            written = _WRITERS[type(event)](self, event)
        return (kind, _dumps(written)), event

    def values(self, y: NDArray[np.float64]) -> list[Any]:
        """Minimised values in the user's direction; what JSON has no number for as text."""
        return [value if math.isfinite(value) else repr(value) for value in (self.sign * y).tolist()]

    def minimised(self, values: list[Any]) -> NDArray[np.float64]:
        """Read what ``values`` wrote."""
        return self.sign * np.array(list(map(float, values)))

    def fixed(self, fixed: NDArray[np.float64]) -> dict[str, Any]:
        """Values of the parameters that an enqueued configuration fixes."""
        return {
            name: dump_value(self.space.value(float(x), row), name)
            for row, (name, x) in enumerate(zip(self.space.names, fixed, strict=True))
            if not math.isnan(x)
        }

    def read_fixed(self, params: dict[str, Any]) -> NDArray[np.float64]:
        """Read what ``fixed`` wrote."""
        return self.space.partial({name: load_value(value) for name, value in params.items()})


def _write_asked(event: Asked, columns: Columns) -> dict[str, Any]:
    written = {
        "first": event.first,
        "n": event.x.shape[1],
        "cursor": event.cursor,
        "tier": event.tier,
        "time": event.time,
        "params": columns,
    }
    rare = {"wanted": event.wanted, "worker": event.worker}
    return written | {name: value for name, value in rare.items() if value}


def _write_retried(_: Codec, event: Retried) -> dict[str, Any]:
    rows = event.rows.tolist()
    return {"rows": rows, "worker": event.worker, "reason": event.reason, "time": event.time}


def _write_valued(codec: Codec, event: Told | Stopped) -> dict[str, Any]:
    return {"rows": event.rows.tolist(), "values": codec.values(event.y[0]), "cost": event.cost.tolist()}


def _write_failed(_: Codec, event: Failed) -> dict[str, Any]:
    written = {"rows": event.rows.tolist(), "reason": event.reason, "cost": event.cost.tolist()}
    return written | ({} if event.traceback is None else {"traceback": event.traceback})


def _write_reported(codec: Codec, event: Reported) -> dict[str, Any]:
    return {"rows": event.rows.tolist(), "step": event.step, "values": codec.values(event.y)}


def _write_noted(_: Codec, event: Noted) -> dict[str, Any]:
    return {"rows": event.rows.tolist(), "notes": list(event.notes)}


_WRITERS: dict[type, Callable[[Codec, Any], dict[str, Any]]] = {
    Retried: _write_retried,
    Told: _write_valued,
    Stopped: _write_valued,
    Failed: _write_failed,
    Reported: _write_reported,
    Noted: _write_noted,
}
