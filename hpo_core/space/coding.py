"""Between values as users know them and coordinates x, for one configuration or columns of many."""

from __future__ import annotations

from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import check_columns, check_given, check_mapping, check_x, shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import Kind
from hpo_core.space.activity import Activity
from hpo_core.space.build import build_layout
from hpo_core.space.codec import make_codec
from hpo_core.space.columns import as_columns, check_constant, own_copy, repeated, where
from hpo_core.space.program import Compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
        self._mutable = {name for name, value in self._constants.items() if own_copy(value) is not value}
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
        own = {name: own_copy(self._constants[name]) for name in self._mutable}
        return MappingProxyType(self._parameters | own if own else self._parameters)

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
            return self._codecs[row].encode_one(value, self._places[row])[0]
        except (IndexError, TypeError):
            d = len(self._codecs)
            raise SpaceError(
                f"coordinate() takes a value and a row below {d}, got {shown(value)} and {shown(row)}"
            ) from None

    @cached_property
    def reads_reals(self) -> bool:
        """Whether a condition reads a continuous parameter.

        Logs of an earlier version may have lost the last bit of such a parameter.
        """
        reads = (self._activity.reads(group) for group in range(1, self._layout.n_groups))
        return any(self._layout.kinds[row] == Kind.CONTINUOUS for rows in reads for row in rows)

    def decode_params(self, x: Coordinates, given: Coordinates | None = None) -> dict[str, Any]:
        """Active parameters and constants of one configuration, (d,), as Python scalars.

        Mutable constants, such as lists, are copies.
        """
        if getattr(x, "shape", None) != (len(self._values),):
            raise SpaceError(f"x must be an array of shape ({len(self._values)},), got {shown(x)}")
        given = check_given(given, x.shape)
        coordinates = _present(x, given).tolist()
        params = {
            name: value(coordinate)
            for name, value, coordinate in zip(self._row, self._values, coordinates, strict=True)
            if coordinate == coordinate  # not NaN
        }
        if given is not None:
            for row in np.flatnonzero(np.isfinite(given)).tolist():
                number = given.item(row)
                params[self.names[row]] = int(number) if self._codecs[row].integer else number
        for name, constant in self._constants.items():
            owners = self._owners[name]
            if not owners or any(coordinates[row] == choice for row, choice in owners):
                params[name] = own_copy(constant) if name in self._mutable else constant
        return params

    def encode_params(self, params: Mapping[str, Any]) -> Coordinates:
        """Coordinates (d,) of one complete configuration; constants may be left out.

        Raises
        ------
        SpaceError
            A name is unknown, missing or inactive, or a value is outside its domain.
        """
        return self.encode_params_given(params)[0]

    def encode_params_given(
        self, params: Mapping[str, Any], *, beyond: bool = False, defaults: Mapping[str, Any] | None = None
    ) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates (d,) of one complete configuration, and its exact values ``given``.

        ``given`` (d,) holds the numbers that their coordinates do not give back to the last bit, and the
        numbers outside their ranges. It is NaN elsewhere, and None if it would hold nothing.

        Parameters
        ----------
        params : mapping
        beyond : bool
            Whether numbers outside their range are allowed.
        defaults : mapping, optional
            Values of active parameters that ``params`` leaves out.
        """
        self._check_names([*_checked(params), *_checked({} if defaults is None else defaults, "defaults")])
        x, given = self._nothing(1), self._nothing(1)
        for group, rows in enumerate(self._activity.groups):
            if self._activity.active(group, x, given)[0]:
                for row in rows:
                    value = self._given(row, params, defaults)
                    x[row, 0], given[row, 0] = self._codecs[row].encode_one(
                        value, self._where(row), beyond=beyond
                    )
        for name, value in (defaults or {}).items():
            if self._is_constant(name) and name not in params:
                check_constant(name, self._constants[name], [value])
        for name, value in params.items():
            if self._is_constant(name):
                check_constant(name, self._constants[name], [value])
            elif np.isnan(x[self._row[name], 0]):
                raise SpaceError(f"parameter {name!r} is not active in {shown(dict(params))}; leave it out")
        return x[:, 0], _or_none(given[:, 0])

    def partial(self, params: Mapping[str, Any]) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates (d,) of some parameters, NaN for the others, and their ``given``.

        A parameter of a branch implies the branch: its owner need not be given.

        Raises
        ------
        SpaceError
            A name is unknown, a value is outside its domain, or a parameter cannot be active.
        """
        x, written = self._nothing(1), self._nothing(1)
        self._check_names(_checked(params))
        for name, value in params.items():
            if self._is_constant(name):
                check_constant(name, self._constants[name], [value])
            else:
                row = self._row[name]
                x[row, 0], written[row, 0] = self._codecs[row].encode_one(value, self._where(row))
        for group, rows in reversed(list(enumerate(self._activity.groups))):
            fixed = [row for row in rows if not np.isnan(x[row, 0])]
            owner = self._activity.owner(group)
            if fixed and owner is not None and np.isnan(x[owner.row, 0]):
                x[owner.row] = self._codecs[owner.row].every()[owner.level]
            if fixed and self._activity.truth(group, x, written)[0] == 0.0:
                name = self.names[fixed[0]]
                raise SpaceError(f"parameter {name!r} is not active in {shown(dict(params))}; leave it out")
        return x[:, 0], _or_none(written[:, 0])

    def encode(self, columns: Mapping[str, Any]) -> Coordinates:
        """Coordinates (d, n) of columns of values.

        Parameters
        ----------
        columns : mapping of str to array_like of length n
            A column per parameter. Entries are ignored where the parameter is inactive, and a parameter
            that is never active needs no column. Constants may be left out.

        Raises
        ------
        SpaceError
            A name is unknown or missing, or a value is outside its domain.
        """
        return self.encode_given(columns)[0]

    def encode_given(
        self, columns: Mapping[str, Any], *, beyond: bool = False, defaults: Mapping[str, Any] | None = None
    ) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates (d, n) of columns of values, and their ``given``.

        Parameters
        ----------
        columns : mapping of str to array_like of length n
        beyond, defaults
            As for ``encode_params_given``.
        """
        columns, n = check_columns(columns)
        self._check_names([*columns, *_checked({} if defaults is None else defaults, "defaults")])
        columns = dict(columns)
        for name, value in (defaults or {}).items():
            columns[name] = self._filled(name, columns.get(name), value, n)
        encodes = [partial(codec.encode, beyond=beyond) for codec in self._codecs]
        return self._encode_columns(columns, n, encodes, {}, 0)

    def _filled(self, name: str, column: Any, default: Any, n: int) -> Any:
        """A column with the default in place of None and NaN, unless None is one of its choices."""
        if column is None:
            return [default] * n
        labels = None if self._is_constant(name) else self._codecs[self._row[name]].labels
        if labels is not None and None in labels:
            return column
        listed = column.tolist() if isinstance(column, np.ndarray) else column
        return [default if _is_missing(each) else each for each in listed]

    def restore(
        self,
        columns: Mapping[str, Any],
        *,
        absent: Mapping[str, NDArray[np.bool_]] | None = None,
        first: int = 0,
    ) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates (d, n) of recorded columns, and their ``given``.

        Every finite number is kept as it is, whatever the space was at the time.

        Parameters
        ----------
        columns : mapping of str to array_like of length n
        absent : mapping of str to (n,) mask, optional
            Trials that are older than a parameter. Their coordinates are spread over the prior, so that
            they tell a model nothing, and ``given`` is infinite.
        first : int
            Number of the first trial; coordinates of an absent parameter depend on the trial's number alone.
        """
        columns, n = check_columns(columns)
        self._check_names(columns)
        encodes = [codec.restore for codec in self._codecs]
        return self._encode_columns(columns, n, encodes, absent or {}, first)

    def _encode_columns(
        self,
        columns: Mapping[str, Any],
        n: int,
        encodes: Sequence[Callable[[Any, str], tuple[Coordinates, Coordinates | None]]],
        absent: Mapping[str, NDArray[np.bool_]],
        first: int,
    ) -> tuple[Coordinates, Coordinates | None]:
        x, given = self._nothing(n), self._nothing(n)
        for group, rows in enumerate(self._activity.groups):
            active = self._activity.active(group, x, given)
            for row in rows if active.any() else ():
                there = active
                if (missing := absent.get(self.names[row])) is not None:
                    there, lacking = active & ~missing, np.flatnonzero(active & missing)
                    x[row, lacking] = self._codecs[row].draw(_spread(row, first + lacking))
                    given[row, lacking] = np.inf
                own, exact = encodes[row](where(self._given(row, columns), there), self._where(row))
                x[row, there] = own
                if exact is not None:
                    given[row, there] = exact
        for name, constant in self._constants.items():
            if name in columns:
                check_constant(name, constant, where(columns[name], self.active(name, x, given)))
        return x, _or_none(given)

    def decode(self, x: Coordinates, given: Coordinates | None = None) -> Columns:
        """Columns of every parameter and constant; inactive entries hold the default.

        Numbers, bools and strings have their natural dtype, mixed and other choices ``object``.

        Parameters
        ----------
        x : (d, n) array
        given : (d, n) array, optional
            Exact values that ``x`` does not give back, as from ``encode_given``.
        """
        x = check_x(x, len(self._values))
        given = check_given(given, x.shape)
        return {name: self.column(name, x, given) for name in self._parameters}

    def column(self, name: str, x: Coordinates, given: Coordinates | None = None) -> NDArray[Any]:
        """Column of one parameter or constant.

        Parameters
        ----------
        name : str
            A key of ``parameters``.
        x : (d, n) or (n,) array
            Coordinates of all parameters, or of this one.
        given : array of the shape of x, optional
            As for ``decode``.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 1:
            x = check_x(x, len(self._values))
        given = check_given(given, x.shape)
        if self._is_constant(name):
            return repeated(self._constants[name], x.shape[-1])
        row = self._find(name)
        own = x[row] if x.ndim == 2 else x
        written = given[row] if given is not None and given.ndim == 2 else given
        own = _present(own, written)
        column = self._codecs[row].decode(np.where(np.isnan(own), self._layout.default[row], own))
        if written is not None and (known := np.isfinite(written)).any():
            column[known] = written[known]
        return column

    def active(self, name: str, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Where in ``x`` (d, n) a parameter or constant exists, (n,)."""
        x = check_x(x, len(self._values))
        x = _present(x, check_given(given, x.shape))
        mask: NDArray[np.bool_]
        if not self._is_constant(name):
            mask = ~np.isnan(x[self._find(name)])
            return mask
        mask = np.full(x.shape[1], not self._owners[name], dtype=np.bool_)
        for row, choice in self._owners[name]:
            np.logical_or(mask, x[row] == choice, out=mask)
        return mask

    def elsewhere(self, given: Coordinates) -> NDArray[np.bool_]:
        """Mask of the configurations that are not in this space, (n,).

        A number is outside its range or off its grid, or a parameter is younger than the trial.

        Parameters
        ----------
        given : (d, n) array
            As from ``encode_given``.
        """
        given = check_x(given, len(self._values), "given")
        mask: NDArray[np.bool_] = np.logical_or.reduce(self.outside(given), axis=0)
        return mask

    def outside(self, given: Coordinates) -> NDArray[np.bool_]:
        """Mask of the entries of ``given`` (d, n) that are not values of their parameter, (d, n)."""
        mask = np.zeros(given.shape, np.bool_)
        for row, codec in enumerate(self._codecs):
            mask[row] = codec.outside(given[row])
        return mask

    def meets(
        self,
        x: Coordinates,
        given: Coordinates | None,
        fixed: Coordinates,
        own: Coordinates | None = None,
    ) -> NDArray[np.bool_]:
        """Mask of the configurations that have the values of ``fixed`` (d,), (n,); NaN matches any value.

        Parameters
        ----------
        x : (d, n) array
        given : (d, n) array or None
            With ``x``, as from ``encode_given``.
        fixed, own : (d,) arrays
            As from ``partial``.
        """
        x = check_x(x, len(self._values))
        given, own = check_given(given, x.shape), check_given(own, (len(x),))
        wanted, exact = check_x(np.reshape(fixed, (-1, 1)), len(x)), as_columns(own)
        mask = np.ones(x.shape[1], np.bool_)
        for row in np.flatnonzero(~np.isnan(fixed)).tolist():
            mask &= self._activity.number(row, x, given) == self._activity.number(row, wanted, exact)
        return mask

    def impose(self, x: Coordinates, fixed: Coordinates, given: Coordinates | None = None) -> Coordinates:
        """Return ``x`` (d, k) with the values of ``fixed`` (d,), where these are not NaN, as a new array.

        The new values, and the exact values ``given`` (d,) of ``fixed``, decide which parameters are active.
        A parameter that becomes active gets its default.
        """
        x = check_x(x, len(self._values))
        over = check_x(np.reshape(fixed, (-1, 1)), len(self._values))
        own = as_columns(check_given(given, (len(x),)))
        return self._activity.settle(np.where(np.isnan(over), x, over), own)

    def _choice(self, place: Place) -> tuple[int, float]:
        row = self._row[place.owner]
        return row, self._codecs[row].encode_one(place.choice, place.owner)[0]

    def _nothing(self, n: int) -> Coordinates:
        return np.full((len(self.names), n), np.nan)

    def _where(self, row: int) -> str:
        return self._places[row]

    def _given(self, row: int, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Any:
        name = self.names[row]
        if name in values:
            return values[name]
        if defaults and name in defaults:
            return defaults[name]
        raise SpaceError(f"parameter {name!r} is missing")

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


def _checked(params: Any, name: str = "params") -> Mapping[str, Any]:
    return check_mapping(name, params, error=SpaceError)


def _or_none(given: Coordinates) -> Coordinates | None:
    return None if np.isnan(given).all() else given


def _present(x: Coordinates, given: Coordinates | None) -> Coordinates:
    """Coordinates, NaN also in trials that are older than the parameter."""
    return x if given is None else np.where(np.isinf(given), np.nan, x)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA
        return True
    except ValueError:  # an array
        return False


def _spread(row: int, number: NDArray[np.intp]) -> Coordinates:
    """Uniform numbers in [0, 1), evenly spread over trials; the rows differ by their phases."""
    golden = 0.6180339887498949
    return np.asarray((golden * (number + 1) + 0.754877666246693 * (row + 1)) % 1.0, np.float64)
