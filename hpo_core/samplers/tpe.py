"""The Tree-structured Parzen Estimator: l of the good trials, g of the others, go where l / g is high."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hpo_core.errors import ArgumentError
from hpo_core.samplers.base import Sampler, Suggestion
from hpo_core.samplers.sobol import SobolSampler
from hpo_core.surrogates.parzen import ParzenModel, ParzenSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.history import History
    from hpo_core.space import Space

# A batch is cut into parts that share one pool of candidates; a pool is at least 8 per pick and at
# most this large, so that a part costs milliseconds.
MAX_PART = 1024
MAX_POOL = 8192


class TPESampler(Sampler):
    """Tree-structured Parzen Estimator over mixed and conditional spaces.

    The first trials are Sobol points. Then candidates are drawn from l, the density of the best
    trials, and the one with the highest l(x) / g(x) is proposed; groups of conditional parameters
    have densities of their own, conditioned on the coordinates they depend on. Running trials join
    g; failed ones have a density of their own, which repels.

    Parameters
    ----------
    n_startup : int, default 10
        Finished trials before the model is used, at least 2.
    n_candidates : int, default 24
        Candidates per suggestion. More is greedier, not better.
    gamma : float in (0, 1), default 0.1
        Share of the trials that count as good; never more than 25 of them.
    prior_weight : float > 0, default 1.0
        Weight of the uniform component beside one trial's.
    min_bandwidth : float in (0, 1], default 0.03
        Floor of a kernel's width as a share of the parameter's range.
    weigh_below : bool, default True
        Whether good trials count by how much better they are than the first that is not.
    max_above : int, default 2048
        Kernels of g. Past it the newest quarter stay and the others are subsampled, so that a
        suggestion costs the same at any number of trials.

    Raises
    ------
    ArgumentError
        An option outside its range.

    References
    ----------
    .. [1] J. Bergstra et al. (2011), Algorithms for hyper-parameter optimization. NeurIPS 24.
    .. [2] S. Watanabe (2023), Tree-structured Parzen estimator. arXiv:2304.11127.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler=hpo.TPESampler(n_candidates=64), seed=0)
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=50)
    >>> study.best_value < 0.01
    True
    """

    name: ClassVar[str] = "tpe"

    def __init__(
        self,
        *,
        n_startup: int = 10,
        n_candidates: int = 24,
        gamma: float = 0.1,
        prior_weight: float = 1.0,
        min_bandwidth: float = 0.03,
        weigh_below: bool = True,
        max_above: int = 2048,
    ) -> None:
        ...
