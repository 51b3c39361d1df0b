"""``Space``: what may be tried, and the way between values and coordinates."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.errors import InfeasibleSpaceError, SpaceError
from hpo_core.layout import Kind
from hpo_core.space.activity import Activity
from hpo_core.space.build import build_layout
from hpo_core.space.codecs import make_codec
from hpo_core.space.columns import check_columns, check_constant, check_params, repeated, some, where
from hpo_core.space.conditions import Expression, is_condition
from hpo_core.space.counting import count
from hpo_core.space.display import show
from hpo_core.space.parameters import space_key
from hpo_core.space.program import Compiler
from hpo_core.space.serial import dump, load
from hpo_core.space.tree import Place, grow

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.layout import Layout

    Coordinates: TypeAlias = NDArray[np.float64]
    Columns: TypeAlias = dict[str, NDArray[Any]]

# Draws rejected in a row before what is left is taken to be empty.
MAX_REJECTED = 65_536

MAX_ENUMERATED = 2**20


class Space:
    """A search space: parameters, the conditions under which they exist, and constraints.

    Parameters
    ----------
    parameters : mapping of str to parameter or constant
        ``Float``, ``Int``, ``Ordinal``, ``Categorical``, or a plain value for a constant. Names are
        flat: a parameter of a sub-space is known by its own name, which two branches may share if
        the domain is the same.
    forbid : sequence of Expression
        Conditions that no configuration may meet; one that is unknown, because it reads an
        inactive parameter, forbids nothing.
    feasible : callable, optional
        Function of a dict of columns (as from :meth:`decode`) that returns a bool per row. It is
        called with many rows at a time, so write it with numpy.

    Raises
    ------
    SpaceError
        The space cannot exist; the message names the parameter, what came and what is allowed.

    Notes
    -----
    ``x`` is the internal coordinate that samplers work in, (d, n) with a row per parameter: numeric
    parameters in [0, 1], categories their index, inactive parameters NaN.

    Examples
    --------
    >>> from hpo_core.space import Categorical, Float, Int, Space, param
    >>> space = Space({
    ...     "optimizer": Categorical({"sgd": {"momentum": Float(0.0, 0.99)}, "adam": {}}),
    ...     "depth": Int(1, 4, doc="layers"),
    ...     "width_4": Int(8, 256, log=True, when=param("depth") >= 4),
    ... })
    >>> space
    Space(
        optimizer: Categorical
            'sgd':
                momentum: Float(0.0, 0.99)
            'adam'
        depth: Int(1, 4)  # layers
        width_4: Int(8, 256, log=True) when depth >= 4
    )
    >>> space.default()
    {'optimizer': 'sgd', 'momentum': 0.495, 'depth': 2}
    >>> space.contains({"optimizer": "adam", "depth": 4, "width_4": 64})
    True
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        *,
        forbid: Sequence[Expression] = (),
        feasible: Callable[[Columns], Any] | None = None,
    ) -> None:
        self._declarations, entries = grow(parameters)
        self._forbid = _check_forbid(forbid)
        if feasible is not None and not callable(feasible):
            raise SpaceError(f"feasible must be a function of columns, got {feasible!r}")
        self._feasible = feasible
        self._parameters = {name: entry.declaration for name, entry in entries.items()}
        varying = {name: entry for name, entry in entries.items() if entry.is_parameter}
        fixed = {name: entry for name, entry in entries.items() if not entry.is_parameter}
        self._constants = {name: entry.declaration for name, entry in fixed.items()}
        self._row = {name: row for row, name in enumerate(varying)}
        self._codecs = [make_codec(entry.declaration) for entry in varying.values()]
        self._values = [codec.value for codec in self._codecs]
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
        self._activity = Activity(build_layout(varying, compiler, self._forbid), self._codecs)
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

    @property
    def has_feasible(self) -> bool:
        """Whether a ``feasible`` function was given."""
        return self._feasible is not None

    # -- one configuration ---------------------------------------------------------------------

    def value(self, x: float, row: int) -> Any:
        """Value of the parameter in ``row`` at coordinate ``x``, not NaN, as a Python scalar."""
        return self._values[row](float(x))

    def decode_params(self, x: Coordinates) -> dict[str, Any]:
        """Active parameters and constants of one configuration, (d,), as Python scalars."""
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
        columns = {name: [value] for name, value in check_params(params).items()}
        x = self._encode(columns, 1)[:, 0]
        for name in params:
            if name in self._row and np.isnan(x[self._row[name]]):
                raise SpaceError(f"parameter {name!r} is not active in {dict(params)!r}; leave it out")
        return x

    def partial(self, params: Mapping[str, Any]) -> Coordinates:
        """Coordinates (d,) of some parameters, NaN for those left open.

        A parameter of a branch implies the branch: its owner need not be given.

        Raises
        ------
        SpaceError
            A name is unknown, a value is outside its domain, or a parameter cannot be active.
        """
        x = np.full((len(self.names), 1), np.nan)
        for name, value in check_params(params).items():
            if name in self._constants:
                check_constant(name, self._constants[name], [value])
            else:
                row = self._find(name)
                x[row] = self._codecs[row].encode([value], f"parameter {name!r}")
        for group, rows in reversed(list(enumerate(self._activity.groups))):
            given = [row for row in rows if not np.isnan(x[row, 0])]
            owner = self._activity.owner(group)
            if given and owner is not None and np.isnan(x[owner.row, 0]):
                x[owner.row] = self._codecs[owner.row].every()[owner.level]
            if given and self._activity.truth(group, x)[0] == 0.0:
                name = self.names[given[0]]
                raise SpaceError(f"parameter {name!r} is not active in {dict(params)!r}; leave it out")
        return x[:, 0]

    def default(self) -> dict[str, Any]:
        """Return the centre of every range and the first of every choice, as :meth:`decode_params` does.

        Constraints are not looked at.
        """
        return self.decode_params(self._activity.settle(self._layout.default[:, np.newaxis].copy())[:, 0])

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether ``params`` is a complete configuration that the constraints permit."""
        try:
            x = self.encode_params(params)[:, np.newaxis]
        except SpaceError:
            return False
        return bool(self._permitted(x)[0])

    # -- columns -------------------------------------------------------------------------------

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
        return self._encode(*check_columns(columns))

    def _encode(self, columns: Mapping[str, Any], n: int) -> Coordinates:
        for name in columns:
            if name not in self._constants:
                self._find(name)
        x = np.full((len(self.names), n), np.nan)
        for group, rows in enumerate(self._activity.groups):
            active = self._activity.active(group, x)
            if not active.any():
                continue
            for row in rows:
                name = self.names[row]
                if name not in columns:
                    raise SpaceError(f"parameter {name!r} is missing")
                x[row, active] = self._codecs[row].encode(where(columns[name], active), f"parameter {name!r}")
        for name, constant in self._constants.items():
            if name in columns:
                check_constant(name, constant, where(columns[name], self.active(name, x)))
        return x

    def decode(self, x: Coordinates) -> Columns:
        """Columns of every parameter and constant; inactive entries hold the default."""
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
        if name in self._constants:
            return repeated(self._constants[name], x.shape[-1])
        row = self._find(name)
        own = x[row] if x.ndim == 2 else x
        return self._codecs[row].decode(np.where(np.isnan(own), self._layout.default[row], own))

    def active(self, name: str, x: Coordinates) -> NDArray[np.bool_]:
        """Where in ``x`` (d, n) a parameter or constant exists, (n,)."""
        if name not in self._constants:
            return ~np.isnan(x[self._find(name)])
        owners = self._owners[name]
        if not owners:
            return np.ones(x.shape[1], dtype=np.bool_)
        return np.logical_or.reduce([x[row] == choice for row, choice in owners])

    def impose(self, x: Coordinates, fixed: Coordinates) -> Coordinates:
        """Overwrite ``x`` (d, k) with ``fixed`` (d,) where that is not NaN, as a new array.

        Activity follows from the result; a parameter that becomes active gets its default.
        """
        return self._activity.settle(np.where(np.isnan(fixed)[:, np.newaxis], x, fixed[:, np.newaxis]))

    # -- constraints, the whole space ----------------------------------------------------------

    def forbidden_mask(self, x: Coordinates) -> NDArray[np.bool_]:
        """Where any ``forbid`` expression is true, (n,)."""
        return self._activity.forbidden(x)

    def feasible_mask(self, x: Coordinates) -> NDArray[np.bool_]:
        """Where the ``feasible`` function holds, (n,); everywhere if there is none."""
        n = x.shape[1]
        if self._feasible is None or n == 0:
            return np.ones(n, dtype=np.bool_)
        mask = np.asarray(self._feasible(self.decode(x)))
        if mask.dtype != np.bool_ or mask.shape != (n,):
            raise SpaceError(
                f"feasible must return {n} bools, one per row; got {mask.dtype} of shape {mask.shape}"
            )
        return mask

    def sample(self, n: int, *, seed: int = 0) -> Columns:
        """Draw ``n`` configurations from the prior that the constraints permit, as columns.

        Raises
        ------
        InfeasibleSpaceError
            The constraints rejected 65,536 draws in a row.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise SpaceError(f"n must be an int >= 0, got {n!r}")
        rng = np.random.Generator(np.random.Philox(seed))
        kept = [np.empty((len(self.names), 0))]
        found = rejected = 0
        while found < n:
            drawn = max(int(n) - found, 256)
            x = self._activity.draw(drawn, rng)
            x = x[:, self._permitted(x)]
            rejected = 0 if x.shape[1] else rejected + drawn
            if rejected >= MAX_REJECTED:
                raise InfeasibleSpaceError(f"the constraints rejected {rejected} draws in a row")
            kept.append(x)
            found += x.shape[1]
        return self.decode(np.concatenate(kept, axis=1)[:, :n])

    @cached_property
    def size(self) -> int | float:
        """Number of configurations, inf if a parameter is continuous.

        Forbidden and infeasible configurations are counted too. Exact, unless conditions other than
        "the owner has this choice" tie together parents with more than 100,000 combinations: then
        it is an upper bound, in which a tied parameter that may be inactive has a level more.
        """
        return count(self._activity)

    def enumerate(self) -> Coordinates:
        """Return every configuration that the constraints permit, as coordinates (d, n).

        Raises
        ------
        SpaceError
            There are more than 2**20, or infinitely many.
        """
        finite = not (self._layout.kinds == Kind.CONTINUOUS).any()
        x = self._activity.expand(range(len(self.names)), MAX_ENUMERATED) if finite else None
        if x is None:
            raise SpaceError(
                f"enumerate() lists up to {MAX_ENUMERATED} configurations, the space has {self.size}"
            )
        return np.ascontiguousarray(x[:, self._permitted(x)])

    # -- text ----------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the space as JSON text, for :meth:`from_json`.

        Raises
        ------
        SpaceError
            It holds a function: ``feasible``, or a choice or constant that JSON cannot express.
        """
        return dump(self._declarations, self._forbid, self._feasible)

    @classmethod
    def from_json(cls, text: str) -> Space:
        """Space from the text of :meth:`to_json`."""
        declarations, forbid = load(text)
        return cls(declarations, forbid=forbid)

    def __repr__(self) -> str:
        return show(self._declarations, self._forbid, self._feasible)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Space) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._declarations, self._forbid, self._feasible)

    def _key(self) -> tuple[Any, ...]:
        return space_key(self._declarations), [condition.key for condition in self._forbid], self._feasible

    def _permitted(self, x: Coordinates) -> NDArray[np.bool_]:
        return ~self.forbidden_mask(x) & self.feasible_mask(x)

    def _find(self, name: str) -> int:
        row = self._row.get(name)
        if row is None:
            raise SpaceError(f"unknown parameter {name!r}; the space has {some(self._parameters)}")
        return row

    def _choice(self, place: Place) -> tuple[int, float]:
        row = self._row[place.owner]
        return row, float(self._codecs[row].encode([place.choice], place.owner)[0])


def _check_forbid(forbid: Any) -> tuple[Expression, ...]:
    if isinstance(forbid, Expression) or not isinstance(forbid, Sequence) or isinstance(forbid, str):
        raise SpaceError(f"forbid must be a list of conditions, got {forbid!r}")
    for k, condition in enumerate(forbid):
        if not is_condition(condition):
            raise SpaceError(f"forbid[{k}] must be a condition such as param('a') > 1, got {condition!r}")
    return tuple(forbid)


def _rebuild(parameters: Mapping[str, Any], forbid: Sequence[Expression], feasible: Any) -> Space:
    return Space(parameters, forbid=forbid, feasible=feasible)
