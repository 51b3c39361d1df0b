"""Between values as users know them and coordinates x, for one configuration or columns of many."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import shown
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import Kind
from hpo_core.space.activity import Activity
from hpo_core.space.build import build_layout
from hpo_core.space.codecs import make_codec
from hpo_core.space.columns import check_columns, check_constant, check_params, check_x, repeated, some, where
from hpo_core.space.program import Compiler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.space.conditions import Expression
    from hpo_core.space.tree import Entry, Place

    Coordinates: TypeAlias = NDArray[np.float64]
    Columns: TypeAlias = dict[str, NDArray[Any]]


class Coding:
    """Parameters by name, their values and their coordinates."""

    def __init__(self, entries: Mapping[str, Entry], forbid: Sequence[Expression]) -> None:
        self._parameters = {name: entry.declaration for name, entry in entries.items()}
        varying = {name: entry for name, entry in entries.items() if entry.is_parameter}
        fixed = {name: entry for name, entry in entries.items() if not entry.is_parameter}
        self._constants = {name: entry.declaration for name, entry in fixed.items()}
        self._row = {name: row for row, name in enumerate(varying)}
        self._codecs = [make_codec(entry.declaration) for entry in varying.values()]
        self._values = [codec.value for codec in self._codecs]
        self._places = [f"parameter {name!r}" for name in varying]  # for messages
        # An inactive owner has NaN and no choice, so these pairs say when a branch's constant exists.
        self._owners = {
            name: [self._choice(place) for place in entry.branches] for name, entry in fixed.items()
        }
        compiler = Compiler(
            rows=self._row,
            codecs=dict(zip(self._row, self._codecs, strict=True)),
            constants=self._constants,
            conditional=frozenset(name for name, owners in self._owners.items() if owners),
        )
        self._activity = Activity(build_layout(varying, compiler, forbid), self._codecs)
        self._layout = self._activity.layout

    @property
    def layout(self) -> Layout:
        """The space as samplers see it."""
        return self._layout

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, constants excluded, in the order of the rows of x."""
        return self._layout.names

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every parameter and constant by name, those of sub-spaces included; a constant is its value."""
        return MappingProxyType(self._parameters)

    def value(self, x: float, row: int) -> Any:
        """Value of the parameter in ``row`` of x at one coordinate, not NaN, as a Python scalar."""
        try:
            return self._values[row](float(x))
        except (IndexError, TypeError, ValueError):
            d = len(self._values)
            raise SpaceError(
                f"value() takes a coordinate and a row below {d}, got {shown(x)} and {shown(row)}"
            ) from None

    def coordinate(self, value: Any, row: int) -> float:
        """Coordinate of one value of the parameter in ``row`` of x.

        Raises
        ------
        SpaceError
            It is outside the parameter's domain.
        """
        try:
            return self._codecs[row].encode_one(value, self._places[row])
        except (IndexError, TypeError):
            d = len(self._codecs)
            raise SpaceError(
                f"coordinate() takes a value and a row below {d}, got {shown(value)} and {shown(row)}"
            ) from None

    @cached_property
    def reads_reals(self) -> bool:
        """Whether a condition reads a continuous parameter.

        Coordinates of the other kinds come back from their values exactly, these may lose a last bit.
        """
        reads = (self._activity.reads(group) for group in range(1, self._layout.n_groups))
        return any(self._layout.kinds[row] == Kind.CONTINUOUS for rows in reads for row in rows)

    def decode_params(self, x: Coordinates) -> dict[str, Any]:
        """Active parameters and constants of one configuration, (d,), as Python scalars."""
        if getattr(x, "shape", None) != (len(self._values),):
            raise SpaceError(f"x must be an array of shape ({len(self._values)},), got {shown(x)}")
        coordinates = x.tolist()
        params = {
            name: value(coordinate)
            for name, value, coordinate in zip(self._row, self._values, coordinates, strict=True)
            if coordinate == coordinate  # not NaN
        }
        for name, constant in self._constants.items():
            owners = self._owners[name]
            if not owners or any(coordinates[row] == choice for row, choice in owners):
                params[name] = constant
        return params

    def encode_params(self, params: Mapping[str, Any]) -> Coordinates:
        """Coordinates (d,) of one complete configuration; constants may be left out.

        Raises
        ------
        SpaceError
            A name is unknown, missing or inactive, or a value is outside its domain.
        """
        self._check_names(check_params(params))
        x = np.full((len(self.names), 1), np.nan)
        for group, rows in enumerate(self._activity.groups):
            if self._activity.active(group, x)[0]:
                for row in rows:
                    x[row, 0] = self._codecs[row].encode_one(self._given(row, params), self._where(row))
        for name, value in params.items():
            if self._is_constant(name):
                check_constant(name, self._constants[name], [value])
            elif np.isnan(x[self._row[name], 0]):
                raise SpaceError(f"parameter {name!r} is not active in {shown(dict(params))}; leave it out")
        return x[:, 0]

    def partial(self, params: Mapping[str, Any]) -> Coordinates:
        """Coordinates (d,) of some parameters, NaN for those left open.

        A parameter of a branch implies the branch: its owner need not be given.

        Raises
        ------
        SpaceError
            A name is unknown, a value is outside its domain, or a parameter cannot be active.
        """
        x = np.full((len(self.names), 1), np.nan)
        self._check_names(check_params(params))
        for name, value in params.items():
            if self._is_constant(name):
                check_constant(name, self._constants[name], [value])
            else:
                row = self._row[name]
                x[row] = self._codecs[row].encode_one(value, self._where(row))
        for group, rows in reversed(list(enumerate(self._activity.groups))):
            given = [row for row in rows if not np.isnan(x[row, 0])]
            owner = self._activity.owner(group)
            if given and owner is not None and np.isnan(x[owner.row, 0]):
                x[owner.row] = self._codecs[owner.row].every()[owner.level]
            if given and self._activity.truth(group, x)[0] == 0.0:
                name = self.names[given[0]]
                raise SpaceError(f"parameter {name!r} is not active in {shown(dict(params))}; leave it out")
        return x[:, 0]

    def encode(self, columns: Mapping[str, Any]) -> Coordinates:
        """Coordinates (d, n) of columns of values.

        Parameters
        ----------
        columns : mapping of str to array_like of length n
            A column per parameter; what it holds where the parameter is inactive does not matter,
            and a parameter that is never active needs none. Constants may be left out.

        Raises
        ------
        SpaceError
            A name is unknown or missing, or a value is outside its domain.
        """
        columns, n = check_columns(columns)
        self._check_names(columns)
        x = np.full((len(self.names), n), np.nan)
        for group, rows in enumerate(self._activity.groups):
            active = self._activity.active(group, x)
            if active.any():
                for row in rows:
                    column = where(self._given(row, columns), active)
                    x[row, active] = self._codecs[row].encode(column, self._where(row))
        for name, constant in self._constants.items():
            if name in columns:
                check_constant(name, constant, where(columns[name], self.active(name, x)))
        return x

    def decode(self, x: Coordinates) -> Columns:
        """Columns of every parameter and constant; inactive entries hold the default.

        Numbers, bools and strings have their natural dtype, mixed and other choices ``object``.
        """
        x = check_x(x, len(self._values))
        return {name: self.column(name, x) for name in self._parameters}

    def column(self, name: str, x: Coordinates) -> NDArray[Any]:
        """Column of one parameter or constant.

        Parameters
        ----------
        name : str
            A key of ``parameters``.
        x : (d, n) or (n,) array
            Coordinates of all parameters, or of this one.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 1:
            x = check_x(x, len(self._values))
        if self._is_constant(name):
            return repeated(self._constants[name], x.shape[-1])
        row = self._find(name)
        own = x[row] if x.ndim == 2 else x
        return self._codecs[row].decode(np.where(np.isnan(own), self._layout.default[row], own))

    def active(self, name: str, x: Coordinates) -> NDArray[np.bool_]:
        """Where in ``x`` (d, n) a parameter or constant exists, (n,)."""
        x = check_x(x, len(self._values))
        mask: NDArray[np.bool_]
        if not self._is_constant(name):
            mask = ~np.isnan(x[self._find(name)])
            return mask
        mask = np.full(x.shape[1], not self._owners[name], dtype=np.bool_)
        for row, choice in self._owners[name]:
            np.logical_or(mask, x[row] == choice, out=mask)
        return mask

    def impose(self, x: Coordinates, fixed: Coordinates) -> Coordinates:
        """Overwrite ``x`` (d, k) with ``fixed`` (d,) where that is not NaN, as a new array.

        Activity follows from the result; a parameter that becomes active gets its default.
        """
        x = check_x(x, len(self._values))
        given = check_x(np.reshape(fixed, (-1, 1)), len(self._values))
        return self._activity.settle(np.where(np.isnan(given), x, given))

    def _choice(self, place: Place) -> tuple[int, float]:
        row = self._row[place.owner]
        return row, float(self._codecs[row].encode([place.choice], place.owner)[0])

    def _where(self, row: int) -> str:
        return self._places[row]

    def _given(self, row: int, values: Mapping[str, Any]) -> Any:
        name = self.names[row]
        if name not in values:
            raise SpaceError(f"parameter {name!r} is missing")
        return values[name]

    def _check_names(self, names: Iterable[Any]) -> None:
        for name in names:
            if not self._is_constant(name):
                self._find(name)

    def _is_constant(self, name: Any) -> bool:
        return isinstance(name, str) and name in self._constants

    def _find(self, name: Any) -> int:
        row = self._row.get(name) if isinstance(name, str) else None
        if row is None:
            known = self._parameters
            hint = did_you_mean(name, known)
            raise SpaceError(f"unknown parameter {name!r}; the space has {some(known)}{hint}")
        return row
