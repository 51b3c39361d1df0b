"""``Space``: the parameters and constraints of a search, and its coordinates."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hpo_core.checks import check_given, check_int, check_x, shown
from hpo_core.errors import HpoError, InfeasibleSpaceError, SpaceError
from hpo_core.layout import Kind
from hpo_core.machine import fits_memory
from hpo_core.space.coding import Coding
from hpo_core.space.columns import as_columns, check_forbid, feasible_raised
from hpo_core.space.counting import count
from hpo_core.space.display import show
from hpo_core.space.parameters import space_key
from hpo_core.space.serial import dump, load
from hpo_core.space.tree import grow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hpo_core.space.conditions import Expression

    Coordinates: TypeAlias = NDArray[np.float64]
    Columns: TypeAlias = dict[str, NDArray[Any]]

# Draws rejected in a row before what is left is taken to be empty.
MAX_REJECTED = 65_536

MAX_ENUMERATED = 2**20


class Space(Coding):
    """A search space: parameters, the conditions under which they exist, and constraints.

    Parameters
    ----------
    parameters : mapping of str to parameter or constant
        ``Float``, ``Int``, ``Ordinal``, ``Categorical``, or a plain value for a constant. Names are
        flat: a parameter of a sub-space is known by its own name, which two branches may share if
        the domain is the same. Sub-spaces may be nested 100 deep.
    forbid : sequence of Expression, default ()
        Conditions that no configuration may meet. A condition that reads an inactive parameter is
        unknown, and forbids nothing.
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
        self._forbid = check_forbid(forbid)
        super().__init__(entries, self._forbid)
        if feasible is not None and not callable(feasible):
            raise SpaceError(f"feasible must be a function of columns, got {shown(feasible)}")
        self._feasible = feasible

    @property
    def feasible(self) -> Callable[[Columns], Any] | None:
        """The function of columns that was given, None if there is none."""
        return self._feasible

    def with_feasible(self, feasible: Callable[[Columns], Any] | None) -> Space:
        """Return the space with another ``feasible`` function. Without one it can be written as JSON."""
        return Space(self._declarations, forbid=self._forbid, feasible=feasible)

    def default(self) -> dict[str, Any]:
        """Return the centre of every range and the first of every choice, as :meth:`decode_params` does.

        Constraints are ignored.
        """
        return self.decode_params(self._activity.settle(self._layout.default[:, np.newaxis].copy())[:, 0])

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether ``params`` is a complete configuration that the constraints permit."""
        try:
            x, given = self.encode_params_given(params)
        except SpaceError:
            return False
        return bool(self.permits(x[:, np.newaxis], as_columns(given))[0])

    def permits(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Mask of the configurations that are in this space and satisfy its constraints, (n,).

        Parameters
        ----------
        x : (d, n) array
        given : (d, n) array, optional
            Exact values that ``x`` does not give back, as from ``encode_given``.
        """
        mask: NDArray[np.bool_] = ~self.forbidden_mask(x, given) & self.feasible_mask(x, given)
        return mask if given is None else mask & ~self.elsewhere(given)

    def forbidden_mask(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Mask of the configurations for which a ``forbid`` expression is true, (n,)."""
        x = check_x(x, len(self.names))
        return self._activity.forbidden(x, check_given(given, x.shape))

    def feasible_mask(self, x: Coordinates, given: Coordinates | None = None) -> NDArray[np.bool_]:
        """Mask of the configurations that ``feasible`` accepts, (n,); all if there is no such function."""
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
            raise SpaceError(feasible_raised(error, columns)) from error
        if mask.dtype != np.bool_ or mask.shape != (n,):
            raise SpaceError(
                f"feasible must return {n} bools, one per row; got {mask.dtype} of shape {mask.shape}"
            )
        return mask

    def sample(self, n: int, *, seed: int = 0) -> Columns:
        """Draw ``n`` configurations from the prior that the constraints permit, as columns.

        Parameters
        ----------
        n : int
            At least 0.
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
            raise SpaceError(f"n must be a number of configurations that memory has room for, got {n}")
        rng = np.random.Generator(np.random.Philox(check_int("seed", seed, 0, error=SpaceError)))
        kept = [np.empty((len(self.names), 0))]
        found = rejected = 0
        while found < n:
            drawn = max(n - found, 256)
            x = self._activity.draw(drawn, rng)
            x = x[:, self.permits(x)]
            rejected = 0 if x.shape[1] else rejected + drawn
            if rejected >= MAX_REJECTED:
                raise InfeasibleSpaceError(f"the constraints rejected {MAX_REJECTED:,} draws in a row")
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

        Examples
        --------
        >>> from hpo_core.space import Int, Space, param
        >>> space = Space({"a": Int(1, 3), "b": Int(1, 3)}, forbid=[param("a") >= param("b")])
        >>> {name: column.tolist() for name, column in space.decode(space.enumerate()).items()}
        {'a': [1, 1, 2], 'b': [2, 3, 3]}
        """
        finite = not (self._layout.kinds == Kind.CONTINUOUS).any()
        x = self._activity.expand(range(len(self.names)), MAX_ENUMERATED) if finite else None
        if x is None:
            raise SpaceError(
                f"enumerate() lists up to {MAX_ENUMERATED} configurations, the space has {self.size}"
            )
        return np.ascontiguousarray(x[:, self.permits(x)])

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
        """Space from the text of :meth:`to_json`.

        Raises
        ------
        SpaceError
            The text is not JSON, or not of a space.

        Examples
        --------
        >>> from hpo_core.space import Float, Space
        >>> space = Space({"lr": Float(1e-5, 1e-1, log=True)})
        >>> Space.from_json(space.to_json()) == space
        True
        """
        declarations, forbid = load(text)
        return cls(declarations, forbid=forbid)

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


def _rebuild(parameters: Mapping[str, Any], forbid: Sequence[Expression], feasible: Any) -> Space:
    return Space(parameters, forbid=forbid, feasible=feasible)
