"""``SpaceCodec``: between values as users know them and coordinates x, for one configuration or many."""

from __future__ import annotations

import operator
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import check_columns, check_given, check_mapping, check_x, shown, some
from hpo_core.errors import SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import Kind
from hpo_core.space.activity import Activity
from hpo_core.space.compile import Compiler, compile_layout
from hpo_core.space.encoding import as_column, make_encoding
from hpo_core.space.expressions import value_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.checks import Column
    from hpo_core.layout import Layout
    from hpo_core.space.expressions import Expression
    from hpo_core.space.tree import Entry, Place

    Coordinates: TypeAlias = NDArray[np.float64]


class SpaceCodec:
    """A space's parameters and constants by name, their values and their coordinates.

    Attributes
    ----------
    activity : Activity
        Its conditions, and the encoding of each parameter.
    layout : Layout
        The space as samplers see it.
    """

    def __init__(self, entries: Mapping[str, Entry], forbid: Sequence[Expression]) -> None:
        self._parameters = {name: entry.declaration for name, entry in entries.items()}
        varying = {name: entry for name, entry in entries.items() if entry.is_parameter}
        fixed = {name: entry for name, entry in entries.items() if not entry.is_parameter}
        self._constants = {name: entry.declaration for name, entry in fixed.items()}
        self._mutable = {name for name, value in self._constants.items() if _own_copy(value) is not value}
        self._row = {name: row for row, name in enumerate(varying)}
        self._encodings = [make_encoding(entry.declaration) for entry in varying.values()]
        self._values = [encoding.value for encoding in self._encodings]
        self._places = [f"parameter {name!r}" for name in varying]  # for messages
        # An inactive owner has NaN and no choice, so these pairs say when a branch's constant exists.
        self._owners = {
            name: [self._choice(place) for place in entry.branches] for name, entry in fixed.items()
        }
        compiler = Compiler(
            rows=self._row,
            encodings=dict(zip(self._row, self._encodings, strict=True)),
            constants=self._constants,
            conditional=frozenset(name for name, owners in self._owners.items() if owners),
        )
        self.layout: Layout = compile_layout(varying, compiler, forbid)
        self.activity = Activity(self.layout, self._encodings)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every parameter and constant by name, those of sub-spaces included; a constant is its value."""
        own = {name: _own_copy(self._constants[name]) for name in self._mutable}
        return MappingProxyType(self._parameters | own if own else self._parameters)

    def value(self, x: float, row: int) -> Any:
        """Value of the parameter in ``row`` of x at one coordinate, not NaN, as a Python scalar."""
        try:
            return self._values[row](float(x))
        except (IndexError, TypeError, ValueError):
            d = len(self._values)
            raise SpaceError(
                f"x and row must be a coordinate and an int below {d}, got {shown(x)} and {shown(row)}"
            ) from None

    def coordinate(self, value: Any, row: int) -> float:
        """Coordinate of one value of the parameter in ``row`` of x.

        Raises
        ------
        SpaceError
            It is outside the parameter's domain.
        """
        try:
            return self._encodings[row].encode_one(value, self._places[row])[0]
        except (IndexError, TypeError):
            d = len(self._encodings)
            raise SpaceError(
                f"value and row must be a value and an int below {d}, got {shown(value)} and {shown(row)}"
            ) from None

    @cached_property
    def reads_reals(self) -> bool:
        """Whether a condition reads a continuous parameter.

        Logs of an earlier version may have lost the last bit of such a parameter.
        """
        reads = (self.activity.reads(group) for group in range(1, self.layout.n_groups))
        return any(self.layout.kinds[row] == Kind.CONTINUOUS for rows in reads for row in rows)

    def decode_params(self, x: Coordinates, given: Coordinates | None = None) -> dict[str, Any]:
        """Active parameters and constants of one configuration, (d,), as Python scalars.

        Mutable constants, such as lists, are copies.
        """
        if getattr(x, "shape", None) != (len(self._values),):
            raise SpaceError(f"x must be an array of shape ({len(self._values)},), got {shown(x)}")
        if given is not None:
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
                params[self.layout.names[row]] = int(number) if self._encodings[row].integer else number
        for name, constant in self._constants.items():
            owners = self._owners[name]
            if not owners or any(coordinates[row] == choice for row, choice in owners):
                params[name] = _own_copy(constant) if name in self._mutable else constant
        return params

    def encode_params(
        self, params: Mapping[str, Any], *, beyond: bool = False, defaults: Mapping[str, Any] | None = None
    ) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates (d,) of one complete configuration, constants optional, and its exact values ``given``.

        ``given`` (d,) holds the numbers that their coordinates do not give back to the last bit, and the
        numbers outside their ranges. It is NaN elsewhere, and None if it would hold nothing.

        Parameters
        ----------
        params : mapping
        beyond : bool
            Whether numbers outside their range are allowed.
        defaults : mapping, optional
            Values of active parameters that ``params`` leaves out.

        Raises
        ------
        SpaceError
            A name is unknown, missing or inactive, or a value is outside its domain.
        """
        self._check_names([*_checked_params(params), *_checked_defaults(defaults)])
        x, given = self._nothing(1), self._nothing(1)
        for group, rows in enumerate(self.activity.groups):
            if self.activity.active(group, x, given)[0]:
                for row in rows:
                    value = self._given(row, params, defaults)
                    x[row, 0], given[row, 0] = self._encodings[row].encode_one(
                        value, self._places[row], beyond=beyond
                    )
        for name, value in (defaults or {}).items():
            if self._is_constant(name) and name not in params:
                _check_constant(name, self._constants[name], [value])
        for name, value in params.items():
            if self._is_constant(name):
                _check_constant(name, self._constants[name], [value])
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
        self._check_names(_checked_params(params))
        for name, value in params.items():
            if self._is_constant(name):
                _check_constant(name, self._constants[name], [value])
            else:
                row = self._row[name]
                x[row, 0], written[row, 0] = self._encodings[row].encode_one(value, self._places[row])
        for group, rows in reversed(list(enumerate(self.activity.groups))):
            fixed = [row for row in rows if not np.isnan(x[row, 0])]
            owner = self.activity.owner(group)
            if fixed and owner is not None and np.isnan(x[owner.row, 0]):
                x[owner.row] = self._encodings[owner.row].every()[owner.level]
            if fixed and self.activity.truth(group, x, written)[0] == 0.0:
                name = self.layout.names[fixed[0]]
                raise SpaceError(f"parameter {name!r} is not active in {shown(dict(params))}; leave it out")
        return x[:, 0], _or_none(written[:, 0])

    def encode(
        self, columns: Mapping[str, Any], *, beyond: bool = False, defaults: Mapping[str, Any] | None = None
    ) -> tuple[Coordinates, Coordinates | None]:
        """Coordinates (d, n) of columns of values, and their ``given``.

        Parameters
        ----------
        columns : mapping of str to array_like of length n
            A column per parameter. Entries are ignored where the parameter is inactive, and a parameter
            that is never active needs no column. Constants may be left out.
        beyond, defaults
            As for ``encode_params``.

        Raises
        ------
        SpaceError
            A name is unknown or missing, or a value is outside its domain.
        """
        columns, n = check_columns(columns)
        self._check_names([*columns, *_checked_defaults(defaults)])
        columns = dict(columns)
        for name, value in (defaults or {}).items():
            columns[name] = self._filled(name, columns.get(name), value, n)
        encodes = [partial(encoding.encode, beyond=beyond) for encoding in self._encodings]
        return self._encode_columns(columns, n, encodes, {}, 0)

    def _filled(self, name: str, column: Any, default: Any, n: int) -> Any:
        """A column with the default in place of None and NaN, unless None is one of its choices."""
        if column is None:
            return [default] * n
        labels = None if self._is_constant(name) else self._encodings[self._row[name]].labels
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
        encodes = [encoding.restore for encoding in self._encodings]
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
        for group, rows in enumerate(self.activity.groups):
            active = self.activity.active(group, x, given)
            for row in rows if active.any() else ():
                there = active
                if (missing := absent.get(self.layout.names[row])) is not None:
                    there, lacking = active & ~missing, np.flatnonzero(active & missing)
                    x[row, lacking] = self._encodings[row].draw(_spread(row, first + lacking))
                    given[row, lacking] = np.inf
                own, exact = encodes[row](_entries(self._given(row, columns), there), self._places[row])
                x[row, there] = own
                if exact is not None:
                    given[row, there] = exact
        for name, constant in self._constants.items():
            if name in columns:
                _check_constant(name, constant, _entries(columns[name], self.active(name, x, given)))
        return x, _or_none(given)

    def column(self, name: str, x: Coordinates, given: Coordinates | None = None) -> NDArray[Any]:
        """Column of one parameter or constant.

        Parameters
        ----------
        name : str
            A key of ``parameters``.
        x : (d, n) or (n,) array
            Coordinates of all parameters, or of this one.
        given : array of the shape of x, optional
            Exact values that ``x`` does not give back, as from ``encode``.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 1:
            x = check_x(x, len(self._values))
        given = check_given(given, x.shape)
        if self._is_constant(name):
            return _repeated(self._constants[name], x.shape[-1])
        row = self._find(name)
        own = x[row] if x.ndim == 2 else x
        written = given[row] if given is not None and given.ndim == 2 else given
        own = _present(own, written)
        column = self._encodings[row].decode(np.where(np.isnan(own), self.layout.default[row], own))
        if written is not None and (known := np.isfinite(written)).any():
            column[known] = written[known]
        return column

    def active(self, name: str, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Mask of the configurations in ``x`` (d, n) that have a parameter or constant, (n,)."""
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
            As from ``encode``.
        """
        given = check_x(given, len(self._values), "given")
        mask: NDArray[np.bool_] = np.logical_or.reduce(self.outside(given), axis=0)
        return mask

    def outside(self, given: Coordinates) -> NDArray[np.bool_]:
        """Mask of the entries of ``given`` (d, n) that are not values of their parameter, (d, n)."""
        mask = np.zeros(given.shape, np.bool_)
        for row, encoding in enumerate(self._encodings):
            mask[row] = encoding.outside(given[row])
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
            With ``x``, as from ``encode``.
        fixed, own : (d,) arrays
            As from ``partial``.
        """
        x = check_x(x, len(self._values))
        given, own = check_given(given, x.shape), check_given(own, (len(x),))
        wanted, exact = check_x(np.reshape(fixed, (-1, 1)), len(x)), as_columns(own)
        mask = np.ones(x.shape[1], np.bool_)
        for row in np.flatnonzero(~np.isnan(fixed)).tolist():
            mask &= self.activity.number(row, x, given) == self.activity.number(row, wanted, exact)
        return mask

    def _choice(self, place: Place) -> tuple[int, float]:
        row = self._row[place.owner]
        return row, self._encodings[row].encode_one(place.choice, place.owner)[0]

    def _nothing(self, n: int) -> Coordinates:
        return np.full((len(self.layout.names), n), np.nan)

    def _given(self, row: int, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Any:
        name = self.layout.names[row]
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


def _checked_params(params: Any) -> Mapping[str, Any]:
    return check_mapping("params", params, error=SpaceError)


def _checked_defaults(defaults: Any) -> Mapping[str, Any]:
    return {} if defaults is None else check_mapping("defaults", defaults, error=SpaceError)


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


def _own_copy(value: Any) -> Any:
    """Return a value whose lists, mappings and arrays are copies, itself if it has none."""
    kind = type(value)
    if kind is np.ndarray:
        return value.copy()
    if kind in (list, set, bytearray):
        return kind(map(_own_copy, value))
    if kind is dict:
        return {key: _own_copy(each) for key, each in value.items()}
    if kind is tuple:
        copies = tuple(map(_own_copy, value))
        return value if all(map(operator.is_, copies, value)) else copies
    return value


def as_columns(given: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Return the ``given`` of one configuration, (d,), as (d, 1)."""
    return None if given is None else given[:, np.newaxis]


def _repeated(value: Any, n: int) -> NDArray[Any]:
    """Column of a constant, of its natural dtype; a mutable constant, such as a list, is copied."""
    if _own_copy(value) is value:
        return np.repeat(as_column([value]), n)
    return as_column([_own_copy(value) for _ in range(n)]) if n else np.empty(0, np.object_)


def _check_constant(name: str, value: Any, column: Column) -> None:
    """Every entry of a constant's column is that constant."""
    for item in column:
        if not _equal(item, value):
            raise SpaceError(f"constant {name!r} must be {shown(value)}, got {shown(item)}")


def _equal(item: Any, value: Any) -> bool:
    try:
        return item is value or value_key(item) == value_key(value) or bool(np.all(item == value))
    except Exception:  # their own methods
        return False


def _entries(column: Column, mask: NDArray[np.bool_]) -> Column:
    """Entries of a column where ``mask`` is true."""
    if mask.all():
        return column
    if isinstance(column, np.ndarray):
        return column[mask]
    return [item for item, keep in zip(column, mask.tolist(), strict=True) if keep]
