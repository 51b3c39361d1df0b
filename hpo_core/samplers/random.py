"""Independent draws from the prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hpo_core.native.domain import random_draws
from hpo_core.samplers.prior import PriorSampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain


# The stream of the trials' own draws; redraws have the one of their batch's first trial.
TRIALS = 2**63


class RandomSampler(PriorSampler):
    """Draws every configuration from the prior, independently of the results.

    The prior is uniform over each parameter's range, on a logarithmic scale if ``log=True``, and over
    choices. A trial's configuration depends on the seed and the trial's number only. Configurations that the
    constraints reject, or that a finite space has used, are drawn again.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    >>> len(study.ask(1000)["x"])
    1000
    """

    name: ClassVar[str] = "random"
    quick: ClassVar[bool] = True

    @staticmethod
    def _draw(domain: Domain, seed: int, first: int, m: int) -> NDArray[Any]:
        return random_draws(domain, seed, TRIALS, first, m)
