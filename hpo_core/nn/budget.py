"""Costs of networks as functions of columns: a cost as a metric, and a limit on costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from hpo_core.checks import check_mapping, check_number, check_one_of
from hpo_core.errors import ArgumentError
from hpo_core.space import Space

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Counts(NamedTuple):
    """Parameters, and multiply-accumulates of a forward pass: two ints, or a column (n,) of each."""

    params: Any
    macs: Any


class CostedSpace(ABC):
    """Networks to search among, whose costs are formulas over columns."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return declarations for a ``Space``; parameters of the training may be added to them."""

    @abstractmethod
    def _count(self, columns: Mapping[str, Any]) -> Counts:
        """Costs (n,) of columns that hold every parameter; inactive entries hold anything."""

    def counts(self, params: Mapping[str, Any]) -> Counts:
        """Return trainable parameters and multiply-accumulates per image, exactly as built.

        Parameters
        ----------
        params : mapping
            Columns (n,), as from ``Space.decode`` or in a ``feasible=`` function, whose inactive entries are
            ignored; or one configuration with its active parameters. Other names are ignored.

        Returns
        -------
        Counts
            ``params`` and ``macs``, (n,) int64; two ints for one configuration.

        Raises
        ------
        ArgumentError
            A parameter is missing; for one configuration also if it is not in the space.
        """
        check_mapping("params", params, "a mapping of names to values or columns")
        if any(np.ndim(params.get(name, 0)) for name in self._space.names):
            if missing := set(self._space.names) - set(params):
                raise ArgumentError(f"params must hold a column for {min(missing)!r}, got none")
            return self._count(params)
        one = self._count(self._space.decode(self._encoded(params)))
        return Counts(int(one.params[0]), int(one.macs[0]))

    def budget(self, *, params: float | None = None, macs: float | None = None) -> Budget:
        """Return a function for ``feasible=`` that accepts networks within a budget.

        Parameters
        ----------
        params, macs : float, optional
            Largest numbers allowed, > 0; by default there is no limit.

        Returns
        -------
        Budget
        """
        return Budget(self, params=params, macs=macs)

    def counts_of(self, name: Literal["params", "macs"]) -> Count:
        """Return a function for ``known=``: one of the counts as a metric that needs no training.

        Parameters
        ----------
        name : {"params", "macs"}

        Returns
        -------
        callable
            From columns to counts, (n,).

        Raises
        ------
        ArgumentError
            There is no count of this name.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> from hpo_core.nn import LightNet
        >>> net = LightNet((1, 28, 28), 10)
        >>> columns = hpo.Space(net.parameters()).sample(3, seed=0)
        >>> net.counts_of("params")(columns) == net.counts(columns).params
        array([ True,  True,  True])
        """
        return Count(self, name)

    @cached_property
    def _space(self) -> Space:
        return Space(self.parameters())

    def _encoded(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """Coordinates (d, 1) of the network's part of a configuration."""
        check_mapping("params", params)
        own = {name: params[name] for name in self._space.names if name in params}
        return self._space.codec.encode_params(own)[0][:, np.newaxis]


@dataclass(frozen=True)
class Count:
    """A function of columns for ``known=``: one of the counts of a network."""

    of: CostedSpace
    name: Literal["params", "macs"]

    def __post_init__(self) -> None:
        check_one_of("name", self.name, Counts._fields)

    def __call__(self, columns: Mapping[str, Any]) -> NDArray[np.float64]:
        """Counts (n,) as built, exact up to 2**53."""
        return np.asarray(getattr(self.of.counts(columns), self.name), dtype=np.float64)


@dataclass(frozen=True)
class Budget:
    """A function of columns for ``feasible=`` that accepts networks within a budget.

    Parameters
    ----------
    of : LightNet or Compression
        The space of networks.
    params, macs : float, optional
        Largest numbers allowed, > 0; by default there is no limit.

    Raises
    ------
    ArgumentError
        A limit is not a number > 0.

    Examples
    --------
    >>> from hpo_core.nn import Budget, LightNet
    >>> net = LightNet((1, 28, 28), 10)
    >>> net.budget(params=50_000, macs=5e6) == Budget(net, params=50_000, macs=5e6)
    True
    """

    of: CostedSpace
    _: KW_ONLY
    params: float | None = None
    macs: float | None = None

    def __post_init__(self) -> None:
        if not callable(getattr(self.of, "counts", None)):
            raise ArgumentError(f"of must be a LightNet or a Compression, got {self.of!r}")
        for name in ("params", "macs"):
            limit = getattr(self, name)
            if limit is not None:
                check_number(name, limit, "a number > 0 or None", lambda n: n > 0)

    def __call__(self, columns: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Mask of the networks that keep both limits, (n,)."""
        counts = self.of.counts(columns)
        allowed = np.ones(np.shape(counts.params), dtype=np.bool_)
        if self.params is not None:
            allowed &= counts.params <= self.params
        if self.macs is not None:
            allowed &= counts.macs <= self.macs
        return allowed
