"""Independent draws from the prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hpo_core.native.domain import random_draws
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.samplers.pool import Pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.history import History
    from hpo_core.space import Space


class RandomSampler(Sampler):
    """Draws every configuration from the prior, whatever came back so far.

    The prior is uniform over each parameter's range, in the logarithm where ``log=True``, and over
    choices. A trial's configuration depends on the seed and on the first number of its batch alone,
    but for redraws: of what the constraints reject, and in a finite space of what was used.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    >>> len(study.ask(1000)["x"])
    1000
    """

    name: ClassVar[str] = "random"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def start(self, space: Space, *, seed: int, allow_duplicates: bool = False) -> None:
        """Bind to a space and a seed."""
        self._seed = seed
        self._pool = Pool(space, seed=seed, allow_duplicates=allow_duplicates)

    def ask(self, history: History, first: int, n: int) -> Suggestion:
        """Propose ``n`` draws of the stream numbered ``first``."""
        pool, seed = self._pool, self._seed
        pool.sync(history)

        def draw(start: int, m: int) -> NDArray[Any]:
            return random_draws(pool.domain, seed, first, start, m)

        return Suggestion(pool.fill(draw, n), self.name)
