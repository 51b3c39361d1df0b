"""The base of samplers that do not look at results."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from hpo_core.native.domain import random_draws
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.samplers.filter import Filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.native.domain import Domain
    from hpo_core.space import Space


class PriorSampler(Sampler):
    """Proposes draws from the prior, without options; a subclass says which ones."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed."""
        self._filter = Filter(space, seed=seed, allow_duplicates=allow_duplicates)
        self._seed = seed

    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` draws for trials ``first .. first + n - 1``."""
        self._filter.sync(history)
        return Suggestion(self._filter.fill(partial(self._draws, first), n), self.name)

    def _draws(self, first: int, start: int, m: int) -> NDArray[Any]:
        """Return the trials' own draws, then draws that replace unusable ones."""
        domain = self._filter.domain
        if start == 0:
            return self._draw(domain, self._seed, first, m)
        return random_draws(domain, self._seed, first, start, m)

    @staticmethod
    @abstractmethod
    def _draw(domain: Domain, seed: int, first: int, m: int) -> NDArray[Any]:
        """Draws of trials ``first .. first + m - 1``, each a function of its number."""
