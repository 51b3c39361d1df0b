"""Scrambled Sobol points: draws from the prior that cover it evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hpo_core.native.domain import sobol_draws
from hpo_core.samplers.prior import PriorSampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain


class SobolSampler(PriorSampler):
    """Proposes the points of a scrambled Sobol sequence, by trial number.

    Trial 0 is the default configuration. In a conditional space, inactive parameters keep their dimension,
    so a point depends only on its number. A point that the constraints reject, or that a finite space has
    used, is replaced by a draw from the prior.

    References
    ----------
    .. [1] S. Joe and F. Y. Kuo (2008), Constructing Sobol sequences with better two-dimensional
       projections. SIAM Journal on Scientific Computing 30, 2635-2654.
    .. [2] B. Burley (2020), Practical hash-based Owen scrambling. Journal of Computer Graphics
       Techniques 9(4).

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="sobol", seed=0)
    >>> float(study.ask()["x"])
    0.5
    """

    name: ClassVar[str] = "sobol"
    quick: ClassVar[bool] = True

    @staticmethod
    def _draw(domain: Domain, seed: int, first: int, m: int) -> NDArray[Any]:
        return sobol_draws(domain, seed, first, m)
