"""``Space``: the parameters and constraints of a search, and its coordinates."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import check_given, check_int, check_x, shown, some
from hpo_core.errors import HpoError, InfeasibleSpaceError, SpaceError
from hpo_core.hints import did_you_mean
from hpo_core.layout import Kind
from hpo_core.machine import fits_memory
from hpo_core.space.codec import SpaceCodec, as_columns
from hpo_core.space.counting import count
from hpo_core.space.display import show
from hpo_core.space.expressions import is_condition
from hpo_core.space.json import dump, load
from hpo_core.space.parameters import space_key
from hpo_core.space.tree import grow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ConfigSpace import ConfigurationSpace
    from numpy.typing import NDArray

    from hpo_core.layout import Layout
    from hpo_core.space.expressions import Expression

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
        ``Float``, ``Int``, ``Ordinal``, ``Categorical``, or any other value for a constant. Names are
        flat: a parameter of a sub-space is known by its own name, which two sub-spaces may share if its
        domain is the same in both. Sub-spaces may be nested 100 deep.
    forbid : sequence of Expression, default ()
        Conditions that no configuration may meet. A condition that reads an inactive parameter forbids
        nothing.
    feasible : callable, optional
        Function of a dict of columns, as from :meth:`decode`, that returns a bool for each row. It is
        called with many rows at a time, so write it with NumPy.

    Attributes
    ----------
    codec : SpaceCodec
        Converts between values and coordinates; for parts of this library that need more than
        :meth:`encode` and :meth:`decode`.

    Raises
    ------
    SpaceError
        A declaration is not valid; the message names the parameter, the allowed values and the value given.

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
        self.codec = SpaceCodec(entries, self._forbid)
        if feasible is not None and not callable(feasible):
            raise SpaceError(f"feasible must be a function of columns, got {shown(feasible)}")
        self._feasible = feasible

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, constants excluded, in the order of the rows of x."""
        return self.layout.names

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every parameter and constant by name, those of sub-spaces included; a constant is its value."""
        return self.codec.parameters

    @property
    def layout(self) -> Layout:
        """The space as samplers see it."""
        return self.codec.layout

    @property
    def feasible(self) -> Callable[[Columns], Any] | None:
        """The function given as ``feasible``, or None."""
        return self._feasible

    def with_feasible(self, feasible: Callable[[Columns], Any] | None) -> Space:
        """Return the space with another ``feasible`` function.

        Parameters
        ----------
        feasible : callable or None
            As for ``Space``. With None the space can be written as JSON.

        Returns
        -------
        Space
        """
        return Space(self._declarations, forbid=self._forbid, feasible=feasible)

    def default(self) -> dict[str, Any]:
        """Return the centre of every range and the first of all choices, without inactive parameters.

        Constraints are ignored.

        Returns
        -------
        dict of str to value

        Examples
        --------
        >>> from hpo_core.space import Categorical, Float, Space
        >>> Space({"x": Float(0.0, 1.0), "kind": Categorical(["a", "b"])}).default()
        {'x': 0.5, 'kind': 'a'}
        """
        x = self.codec.activity.settle(self.layout.default[:, np.newaxis].copy())
        return self.codec.decode_params(x[:, 0])

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Return whether ``params`` is a complete configuration that the constraints permit.

        Parameters
        ----------
        params : mapping of str to value
            Constants may be left out.

        Returns
        -------
        bool

        Examples
        --------
        >>> from hpo_core.space import Float, Space
        >>> space = Space({"x": Float(0.0, 1.0)})
        >>> space.contains({"x": 0.5}), space.contains({"x": 2.0})
        (True, False)
        """
        try:
            x, given = self.codec.encode_params(params)
        except SpaceError:
            return False
        return bool(self.permits(x[:, np.newaxis], as_columns(given))[0])

    def permits(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Return the mask of the configurations that are in this space and satisfy its constraints.

        Parameters
        ----------
        x : (d, n) array
            Coordinates, as from :meth:`encode`.
        given : (d, n) array, optional
            Exact values that ``x`` cannot represent, as in ``History.given``.

        Returns
        -------
        (n,) array of bool

        Examples
        --------
        >>> from hpo_core.space import Int, Space, param
        >>> space = Space({"a": Int(1, 3), "b": Int(1, 3)}, forbid=[param("a") > param("b")])
        >>> space.permits(space.encode({"a": [1, 3], "b": [2, 2]})).tolist()
        [True, False]
        """
        mask: NDArray[np.bool_] = ~self.forbidden_mask(x, given) & self.feasible_mask(x, given)
        return mask if given is None else mask & ~self.codec.elsewhere(given)

    def forbidden_mask(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Return the mask of the configurations for which a ``forbid`` expression is true.

        Parameters
        ----------
        x, given : (d, n) array
            As for :meth:`permits`.

        Returns
        -------
        (n,) array of bool
        """
        x = check_x(x, len(self.names))
        return self.codec.activity.forbidden(x, check_given(given, x.shape))

    def feasible_mask(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Return the mask of the configurations that ``feasible`` accepts; all if there is no such function.

        Parameters
        ----------
        x, given : (d, n) array
            As for :meth:`permits`.

        Returns
        -------
        (n,) array of bool

        Raises
        ------
        SpaceError
            ``feasible`` raised, or returned anything but n bools.
        """
        x = check_x(x, len(self.names))
        given, n = check_given(given, x.shape), x.shape[1]
        if self._feasible is None or n == 0:
            return np.ones(n, dtype=np.bool_)
        columns = self.decode(x, given)
        try:
            mask = np.asarray(self._feasible(columns))
        except HpoError:  # raised by this library within the function
            raise
        except Exception as error:
            raise SpaceError(_feasible_raised(error, columns)) from error
        if mask.dtype != np.bool_ or mask.shape != (n,):
            raise SpaceError(
                f"feasible must return {n} bools, one per row; got {mask.dtype} of shape {mask.shape}"
            )
        return mask

    def encode(self, columns: Mapping[str, Any]) -> Coordinates:
        """Return the coordinates of columns of values.

        Parameters
        ----------
        columns : mapping of str to array_like of length n
            A column per parameter. Entries are ignored where the parameter is inactive, and a parameter
            that is never active needs no column. Constants may be left out.

        Returns
        -------
        (d, n) array
            A row per parameter: numbers in [0, 1], categories their index, NaN where inactive.

        Raises
        ------
        SpaceError
            A name is unknown or missing, or a value is outside its domain.

        Examples
        --------
        >>> from hpo_core.space import Categorical, Float, Space
        >>> space = Space({"x": Float(0.0, 4.0), "kind": Categorical(["a", "b"])})
        >>> space.encode({"x": [1.0, 2.0], "kind": ["a", "b"]}).tolist()
        [[0.25, 0.5], [0.0, 1.0]]
        """
        return self.codec.encode(columns)[0]

    def decode(self, x: Coordinates, given: Coordinates | None = None) -> Columns:
        """Return the values of coordinates as columns; inactive entries hold the default.

        Parameters
        ----------
        x : (d, n) array
            Coordinates, as from :meth:`encode`.
        given : (d, n) array, optional
            Exact values that ``x`` cannot represent, as in ``History.given``.

        Returns
        -------
        dict of str to (n,) array
            A column per parameter and constant. Numbers, bools and strings have their natural dtype, mixed
            and other choices ``object``.

        Examples
        --------
        >>> from hpo_core.space import Float, Space
        >>> Space({"x": Float(0.0, 4.0)}).decode([[0.25, 0.5]])["x"].tolist()
        [1.0, 2.0]
        """
        x = check_x(x, len(self.names))
        given = check_given(given, x.shape)
        return {name: self.codec.column(name, x, given) for name in self.codec.parameters}

    def impose(self, x: Coordinates, fixed: Coordinates, given: Coordinates | None = None) -> Coordinates:
        """Return coordinates with some parameters replaced.

        Parameters
        ----------
        x : (d, k) array
            Coordinates.
        fixed : (d,) array
            New coordinates; NaN for parameters to keep.
        given : (d,) array, optional
            Exact values of ``fixed``.

        Returns
        -------
        (d, k) array
            A new array. The new values decide which parameters are active; a parameter that becomes active
            gets its default.
        """
        x = check_x(x, len(self.names))
        over = check_x(np.reshape(fixed, (-1, 1)), len(self.names))
        own = as_columns(check_given(given, (len(x),)))
        return self.codec.activity.settle(np.where(np.isnan(over), x, over), own)

    def sample(self, n: int, *, seed: int = 0) -> Columns:
        """Draw configurations from the prior, among those that the constraints permit.

        Parameters
        ----------
        n : int
            Number of configurations, at least 0.
        seed : int, default 0
            At least 0. The same seed gives the same configurations.

        Returns
        -------
        dict of str to (n,) array
            A column per parameter and constant, as from :meth:`decode`.

        Raises
        ------
        InfeasibleSpaceError
            The constraints rejected 65,536 draws in a row.

        Examples
        --------
        >>> from hpo_core.space import Int, Space
        >>> columns = Space({"width": Int(8, 64), "epochs": 10}).sample(3, seed=1)
        >>> columns["width"].shape, columns["epochs"].tolist()
        ((3,), [10, 10, 10])
        """
        n = check_int("n", n, 0, error=SpaceError)
        if not fits_memory(n, len(self.names)):
            raise SpaceError(f"n must be a number of configurations that fit in memory, got {n}")
        rng = np.random.Generator(np.random.Philox(check_int("seed", seed, 0, error=SpaceError)))
        kept = [np.empty((len(self.names), 0))]
        found = rejected = 0
        while found < n:
            drawn = max(n - found, 256)
            x = self.codec.activity.draw(drawn, rng)
            x = x[:, self.permits(x)]
            rejected = 0 if x.shape[1] else rejected + drawn
            if rejected >= MAX_REJECTED:
                raise InfeasibleSpaceError(f"the constraints rejected {MAX_REJECTED:,} draws in a row")
            kept.append(x)
            found += x.shape[1]
        return self.decode(np.concatenate(kept, axis=1)[:, :n])

    @cached_property
    def size(self) -> int | float:
        """Number of configurations; inf if a parameter is continuous.

        Forbidden and infeasible configurations count too. The number is exact, unless conditions with
        ``when=`` tie together parameters with more than 100,000 combinations: then it is an upper bound.
        """
        return count(self.codec.activity)

    def enumerate(self) -> Coordinates:
        """Return every configuration that the constraints permit.

        Returns
        -------
        (d, n) array
            Coordinates; :meth:`decode` returns the values.

        Raises
        ------
        SpaceError
            There are more than 2**20 configurations.

        Examples
        --------
        >>> from hpo_core.space import Int, Space, param
        >>> space = Space({"a": Int(1, 3), "b": Int(1, 3)}, forbid=[param("a") >= param("b")])
        >>> {name: column.tolist() for name, column in space.decode(space.enumerate()).items()}
        {'a': [1, 1, 2], 'b': [2, 3, 3]}
        """
        finite = not (self.layout.kinds == Kind.CONTINUOUS).any()
        x = self.codec.activity.expand(range(len(self.names)), MAX_ENUMERATED) if finite else None
        if x is None:
            raise SpaceError(
                f"a space must have at most {MAX_ENUMERATED} configurations to be enumerated, got {self.size}"
            )
        return np.ascontiguousarray(x[:, self.permits(x)])

    def to_json(self) -> str:
        """Return the space as JSON text, for :meth:`from_json`.

        Returns
        -------
        str

        Raises
        ------
        SpaceError
            The space has a ``feasible`` function, or a choice or constant that JSON cannot express.
        """
        return dump(self._declarations, self._forbid, self._feasible)

    @classmethod
    def from_json(cls, text: str) -> Space:
        """Return the space that :meth:`to_json` has written.

        Parameters
        ----------
        text : str

        Returns
        -------
        Space

        Raises
        ------
        SpaceError
            ``text`` is not the JSON of a space.

        Examples
        --------
        >>> from hpo_core.space import Float, Space
        >>> space = Space({"lr": Float(1e-5, 1e-1, log=True)})
        >>> Space.from_json(space.to_json()) == space
        True
        """
        declarations, forbid = load(text)
        return cls(declarations, forbid=forbid)

    @classmethod
    def from_configspace(cls, cs: ConfigurationSpace) -> Space:
        """Return a space with the hyperparameters, conditions and clauses of a ``ConfigurationSpace``.

        The default of a categorical hyperparameter becomes its first choice, which :meth:`default` returns.
        Other defaults are not kept: to try them first, call
        ``study.enqueue(dict(cs.get_default_configuration()))``. A constant with a condition becomes an
        ``Ordinal`` of one value.

        Parameters
        ----------
        cs : ConfigSpace.ConfigurationSpace

        Returns
        -------
        Space

        Raises
        ------
        SpaceError
            ``cs`` is not a ``ConfigurationSpace``, or a hyperparameter has weights, or a normal or beta
            distribution. The message names it.
        ImportError
            ConfigSpace is not installed.
        """
        from hpo_core.space.configspace import from_configspace

        declarations, forbid = from_configspace(cs)
        return cls(declarations, forbid=forbid)

    def to_configspace(self) -> ConfigurationSpace:
        """Return the space as a ``ConfigurationSpace`` of ConfigSpace.

        A range with steps becomes an ordinal hyperparameter, and a range of one value a constant. Bounds are
        rounded to 13 decimals, as ConfigSpace does. Parameters of a choice get a condition. Comparisons that
        ConfigSpace does not have are written out for each value.

        Returns
        -------
        ConfigSpace.ConfigurationSpace
            Its defaults are those of the space, or a permitted configuration if they are forbidden.

        Raises
        ------
        SpaceError
            ConfigSpace cannot express the space. The message names the parameter or the forbidden condition.
        ImportError
            ConfigSpace is not installed.
        """
        from hpo_core.space.configspace import to_configspace

        return to_configspace(self, grow(self._declarations)[1], self._forbid)

    @classmethod
    def from_sweep(cls, sweep: Mapping[str, Any]) -> Space:
        """Return a space with the parameters of a Weights & Biases sweep, or the properties of a JSON Schema.

        Nested parameters are named by their path, as in ``"optimizer.lr"``. Lists of numbers that rise or
        fall become an ``Ordinal``, unless they are declared categorical. Everything but the parameters is
        ignored: a ``Study`` has its own sampler, direction and scheduler.

        Parameters
        ----------
        sweep : mapping
            ``{"parameters": {name: {"distribution": ...}}}`` or ``{"properties": {name: {"type": ...}}}``.

        Returns
        -------
        Space

        Raises
        ------
        SpaceError
            A distribution is unknown or has no bounds, choices have probabilities, or a key is unknown.
            The message names the parameter.

        Examples
        --------
        >>> from hpo_core.space import Space
        >>> Space.from_sweep({"parameters": {
        ...     "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
        ...     "batch_size": {"values": [16, 32, 64]},
        ...     "epochs": {"value": 10},
        ... }})
        Space(
            lr: Float(1e-05, 0.1, log=True)
            batch_size: Ordinal([16, 32, 64])
            epochs: 10
        )
        """
        from hpo_core.space.sweep import from_sweep

        return cls(from_sweep(sweep))

    def __repr__(self) -> str:
        return show(self._declarations, self._forbid, self._feasible)

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(repr(self))}</pre>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._declarations, self._forbid, self._feasible)

    def _key(self) -> tuple[Any, ...]:
        return space_key(self._declarations), [condition.key for condition in self._forbid], self._feasible


def _check_forbid(forbid: Any) -> tuple[Expression, ...]:
    """Return the forbidden conditions as a tuple."""
    if not isinstance(forbid, list | tuple):
        raise SpaceError(f"forbid must be a list of conditions, got {shown(forbid)}")
    for k, condition in enumerate(forbid):
        if not is_condition(condition):
            raise SpaceError(
                f"forbid[{k}] must be a condition such as param('a') > 1, got {shown(condition)}"
            )
    return tuple(forbid)


def _feasible_raised(error: Exception, columns: Mapping[str, Any]) -> str:
    """Message about an exception that ``feasible`` raised, with a hint how to mend the function."""
    text = f"feasible must return a mask of its columns, but it raised {shown(error)}"
    name = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(name, str) and name not in columns:
        return f"{text}; its columns are {some(columns)}{did_you_mean(name, columns)}"
    if "truth value of an array" in str(error):
        return (
            f"{text}. It gets columns as NumPy arrays: write & for `and`, | for `or`, ~ for `not`, "
            "brackets around each comparison, and np.where(condition, a, b) for `if`"
        )
    return f"{text}. It gets columns as NumPy arrays, one for each parameter and constant"


def _rebuild(parameters: Mapping[str, Any], forbid: Sequence[Expression], feasible: Any) -> Space:
    return Space(parameters, forbid=forbid, feasible=feasible)
