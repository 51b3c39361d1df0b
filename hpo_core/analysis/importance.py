"""Which parameters matter for a metric, as shares that sum to 1.

Glossary
--------
region, target  the best ``region_quantile`` and ``target_quantile`` of the trials: all, and a tenth
gamma, gamma'   their shares of all trials
n, n'           trials of the region and of the target
alpha, beta     share of the target, and of the region, in which a parameter is active
D, N            Pearson divergence of the target's density from the region's, and what of it is noise, because
                the target is a few trials; both of trials where the parameter is active
v               variance, over the values of an active parameter, of the chance that a trial of the region
                belongs to the target

PED-ANOVA [1] shows that v = (gamma' / gamma)^2 D. Conditional PED-ANOVA [2] splits this variance by regimes,
which are here active and inactive. Differences between regimes are effects of the parameters that conditions
read, and part of their own v. A conditional parameter keeps the variance within the regime where it is
active:

    v = (gamma' / gamma)^2 alpha^2 / beta D

We differ from [1] and [2] in how D is estimated. Both densities are smoothed by the same kernel, without
a prior, and N is subtracted: with few trials D is above 0 for every parameter, most of all for one with many
choices. See csrc/importance.h. Importances are v, as shares of their sum.

The formulas are taken from the poster of [2] (KDD 2026) and the code that its authors have published. Of that
paper itself we have read the abstract and the introduction only.

References
----------
.. [1] S. Watanabe, A. Bansal, F. Hutter (2023), PED-ANOVA: efficiently quantifying hyperparameter importance
   in arbitrary subspaces. IJCAI, arXiv:2304.10255.
.. [2] K. Baba, Y. Ozaki, S. Watanabe (2026), Conditional PED-ANOVA: hyperparameter importance in hierarchical
   and dynamic search spaces. KDD, arXiv:2601.20800.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from hpo_core.analysis.series import latest
from hpo_core.checks import check_number, check_one_of, shown, some
from hpo_core.errors import StudyError
from hpo_core.hints import did_you_mean, hinting
from hpo_core.log import State
from hpo_core.native.importance import divergences
from hpo_core.samplers.ranking import Ranking, sort

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.analysis.series import StudyLike
    from hpo_core.log import History
    from hpo_core.metrics import Metrics
    from hpo_core.space import Space

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

EVALUATORS = ("ped-anova", "fanova")
TARGET, REGION = 0.1, 1.0
# The fewest trials to compare, and the fewest that count as the best: with less there is no density.
FEWEST, FEWEST_BEST = 10, 5


@hinting
def importance(
    study: StudyLike,
    metric: str | None = None,
    *,
    evaluator: Literal["ped-anova", "fanova"] = "ped-anova",
    target_quantile: float = TARGET,
    region_quantile: float = REGION,
) -> dict[str, float]:
    """Return how much each parameter matters, the most important one first.

    Stopped trials count. "ped-anova" compares trials by rank: complete trials come before stopped ones, then
    trials with more steps before those with fewer, then better values before worse ones. "fanova" takes the
    last reported value of a stopped trial as its result. Failed, paused and running trials are left out.

    Parameters
    ----------
    study : Study
    metric : str, optional
        By default the objective. If there are several objectives or bounds, "ped-anova" compares trials by
        bounds first and then by fronts. If there are several objectives, "fanova" needs the name of a metric.
    evaluator : {"ped-anova", "fanova"}, default "ped-anova"
        "ped-anova" measures how the best trials differ from the others. Only the order of the trials matters.
        It takes milliseconds for 10,000 trials, and describes the region that was searched: a value on which
        the sampler has settled gets a share, even if it has no effect.
        "fanova" measures the share of the metric's variance over the entire space that each parameter
        explains by itself, with a Gaussian process fitted to at most 500 trials. It takes seconds.
    target_quantile : float, default 0.1
        For "ped-anova": the share of trials that count as the best, in (0, ``region_quantile``), and at least
        five trials.
    region_quantile : float, default 1
        For "ped-anova": the share of trials, best first, that they are compared with, in (0, 1], and at least
        ten trials.

    Returns
    -------
    dict of str to float
        Shares of all parameters, descending, that sum to 1. The share of a conditional parameter is the
        effect of its value in trials in which it is active; the effect of being active counts for the
        parameters in its condition. If no parameter matters, all shares are equal.

    Raises
    ------
    StudyError
        An argument is not allowed, fewer than 10 trials can be compared, or all are equally good.

    References
    ----------
    .. [1] S. Watanabe, A. Bansal, F. Hutter (2023), PED-ANOVA: efficiently quantifying hyperparameter
       importance in arbitrary subspaces. IJCAI, arXiv:2304.10255.
    .. [2] K. Baba, Y. Ozaki, S. Watanabe (2026), Conditional PED-ANOVA: hyperparameter importance in
       hierarchical and dynamic search spaces. KDD, arXiv:2601.20800.
    .. [3] F. Hutter, H. Hoos, K. Leyton-Brown (2014), An efficient approach for assessing hyperparameter
       importance. ICML.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from hpo_core.analysis import importance
    >>> study = hpo.Study({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, sampler="random", seed=0)
    >>> study.optimize(lambda trial: trial["x"] + 0.1 * trial["y"], n_trials=200)
    >>> {name: round(share, 1) for name, share in importance(study).items()}
    {'x': 1.0, 'y': 0.0}
    """
    if not all(hasattr(study, name) for name in ("space", "metrics", "history", "n_finished")):
        raise StudyError(f"study must be a Study, got {shown(study)}")
    _check_metric(study.metrics, metric)
    check_one_of("evaluator", evaluator, EVALUATORS, error=StudyError)
    _check_quantiles(evaluator, target_quantile, region_quantile)
    if not study.space.names:
        raise StudyError("study must have parameters, got a space of constants")
    history = latest(study)
    if evaluator == "fanova":
        found = _by_variance(study.space, history, metric)
    else:
        found = _by_rank(study.space, history, metric, target_quantile, region_quantile)
    total = float(found.sum())
    shares = found / total if total > 0.0 else np.full(len(found), 1.0 / len(found))
    order = np.argsort(-shares, kind="stable")
    return {study.space.names[row]: float(shares[row]) for row in order.tolist()}


def _check_metric(metrics: Metrics, metric: object) -> None:
    if metric is not None and metric not in metrics.names:
        hint = did_you_mean(metric, metrics) if isinstance(metric, str) else ""
        raise StudyError(f"metric must be one of {some(metrics.names)}, or None, got {shown(metric)}{hint}")


def _check_quantiles(evaluator: str, target: object, region: object) -> None:
    rule: tuple[str, Callable[[float], bool]] = ("a number in (0, 1]", lambda share: 0.0 < share <= 1.0)
    ceiling = check_number("region_quantile", region, *rule, error=StudyError)
    share = check_number("target_quantile", target, *rule, error=StudyError)
    if share >= ceiling:
        raise StudyError(f"target_quantile must be < region_quantile, got {share} and {ceiling}")
    if evaluator == "fanova" and (share, ceiling) != (TARGET, REGION):
        raise StudyError(
            "target_quantile and region_quantile must be left out for 'fanova', "
            f"got {share} and {ceiling}; they are for 'ped-anova'"
        )


def _by_rank(space: Space, history: History, metric: str | None, target: float, region: float) -> Array:
    """Return v of each parameter, (d,), by conditional PED-ANOVA."""
    rows, keys = _ranked(history, metric)
    _require(len(rows), metric)
    among = _best(keys, max(math.ceil(region * len(rows)), FEWEST))
    best = _best(keys, max(math.ceil(target * len(rows)), FEWEST_BEST))[among]
    n, n_best = len(best), int(np.count_nonzero(best))
    if n_best == n:
        raise StudyError(f"the trials must differ, got {n} that are equally good; run more trials")
    x = np.take(history.x, rows[among], axis=1)
    if history.given is not None:  # a trial that is older than a parameter says nothing of it
        x[np.isposinf(history.given[:, rows[among]])] = np.nan
    found = divergences(space.layout, x, best)
    alpha, beta = found.n_chosen / n_best, np.maximum(found.n_active, 1) / n
    variance: Array = alpha**2 / beta * np.maximum(found.divergence - found.noise, 0.0)
    return variance * (n_best / n) ** 2


def _require(n: int, metric: str | None) -> None:
    if n < FEWEST:
        what = "results" if metric is None else f"values of {metric!r}"
        raise StudyError(f"importance needs at least {FEWEST} trials with {what}, got {n}: run more trials")


def _ranked(history: History, metric: str | None) -> tuple[Rows, Array]:
    """Return the trials that can be compared, and keys (k, n) that order them, see samplers.ranking."""
    order = history.finish_order
    if metric is None:
        ranking = Ranking()
        ranking.update(history, settle=True)
        rows = order[history.state[order] != State.FAILED]
        return rows, ranking.keys[:, rows]
    rows, values = _valued(history, metric)
    return rows, np.stack([-history.fidelity[rows], values])


def _valued(history: History, metric: str) -> tuple[Rows, Array]:
    """Return the trials that have a value of a metric, and these values, minimised."""
    order, values = history.finish_order, history.outcomes[history.metrics.rows.index(metric)]
    rows = order[(history.state[order] != State.FAILED) & ~np.isnan(values[order])]
    return rows, values[rows]


def _best(keys: Array, k: int) -> NDArray[np.bool_]:
    """Mask of the k best, and of all that are as good as the last of them."""
    if k >= keys.shape[1]:
        return np.ones(keys.shape[1], np.bool_)
    order = sort(keys)
    mask: NDArray[np.bool_] = np.all(keys == keys[:, order[k - 1], np.newaxis], axis=0)
    mask[order[:k]] = True
    return mask


def _by_variance(space: Space, history: History, metric: str | None) -> Array:
    """Return the variance that each parameter explains by itself, (d,)."""
    from hpo_core.analysis.fanova import variances  # loads SciPy

    metrics = history.metrics
    if metric is None and metrics.n_objectives > 1:
        raise StudyError(
            f"metric must be one of {some(metrics.names)} for 'fanova' of several objectives, got None"
        )
    name = metrics.objectives[0] if metric is None else metric
    rows, values = _valued(history, name)
    _require(len(rows), name)
    if not np.ptp(values) > 0.0:
        raise StudyError(f"the trials must differ in {name!r}, got {len(rows)} equal values")
    return variances(space, np.ascontiguousarray(history.x[:, rows]), values)
