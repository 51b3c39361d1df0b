"""A search over the parameters of a scikit-learn estimator, in place of its own searches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeAlias

import numpy as np

from hpo_core.checks import as_int, shown
from hpo_core.errors import ArgumentError, SpaceExhausted
from hpo_core.hints import hinting_class
from hpo_core.log import State
from hpo_core.metrics import Maximize
from hpo_core.space import Categorical, Float, Int, Space
from hpo_core.study import Study
from hpo_core.trial import TrialBatch

try:
    from joblib import effective_n_jobs
    from sklearn.base import is_classifier
    from sklearn.exceptions import FitFailedWarning
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.utils import check_random_state, get_tags
    from sklearn.utils._param_validation import HasMethods, Interval
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import _num_samples
except ImportError as error:
    raise ImportError(
        "hpo_core.integrations.sklearn needs scikit-learn: pip install 'hpo-core[sklearn]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hpo_core.trial import Trial

    Params: TypeAlias = dict[str, Any]
    Score: TypeAlias = float | dict[str, float]

__all__ = ["HpoSearchCV"]

SAMPLES: Final = "n_samples"
# Steps of a trial if the scheduler does not say: rungs at 1, 3, 9 and 27 of them.
STEPS: Final = 27
ALL_FAILED: Final = "\nAll the "  # how scikit-learn's error begins if all fits of one call fail
_LOG: Final = ("loguniform", "reciprocal")  # two names of one distribution
_ALLOWED: Final = (
    "parameter {!r} must be a parameter of this library, a list of choices, or uniform, "
    "loguniform (with loc=0) or randint of scipy.stats"
)


@hinting_class
class HpoSearchCV(BaseSearchCV):
    """Search parameters of an estimator by cross-validation, with a sampler and a scheduler of this library.

    Use it like ``RandomizedSearchCV``. It has all attributes and methods of scikit-learn's searches, such as
    ``cv_results_`` and ``best_estimator_``, and takes several metrics, callables for ``scoring`` and
    ``refit``, and metadata.

    Parameters
    ----------
    estimator : estimator
    space : Space or mapping
        Names are those of ``set_params``, such as ``"svc__C"`` in a pipeline. Values are parameters of this
        library, lists of choices, or ``scipy.stats.uniform``, ``loguniform`` and ``randint``. A mapping of
        choices to mappings gives a choice parameters of its own; choices may be estimators.
    n_trials : int, default 50
        Number of configurations to try, at least 1. The search ends earlier if a finite space is used up.
    sampler : str or Sampler, default "auto"
        As for ``Study``.
    scheduler : str or Scheduler, optional
        A scheduler with rungs, such as "asha" or "hyperband", starts each configuration with a small part of
        the resource, and gives more only to the best. Every score is a row of ``cv_results_``, with
        ``trial``, ``iter`` and ``n_resources``; the best is chosen among the rows with the most resources.
    resource : str, default "n_samples"
        The resource of the scheduler: "n_samples" to train on, stratified by class and the same for every
        configuration, or an int parameter of the estimator such as "n_estimators".
    max_resources : int or "auto", default "auto"
        The full amount of the resource, at least 1. By default every sample, or the parameter's value in
        ``estimator``.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As for ``RandomizedSearchCV``. With several metrics, ``refit`` names the one to maximise; if it is
        False or a callable, the search looks for the front of all metrics. If more workers than folds are
        free, several configurations are suggested at once, from the same results.
    random_state : int, RandomState or None, default None
        Seed of the search. The same seed, with the same number of suggestions at once, gives the same search.

    Attributes
    ----------
    study_ : Study
        The search: a trial for each configuration, whose value is the mean test score.
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, \
multimetric_, classes_, n_features_in_, feature_names_in_
        As for ``RandomizedSearchCV``.

    Raises
    ------
    ArgumentError
        In ``fit``: ``space`` holds something that cannot be searched, ``scheduler`` has no rungs,
        ``max_resources`` is out of range, or there is no such resource.

    Notes
    -----
    The splits are drawn once and are the same for all configurations. If the score of a configuration is not
    finite, its trial fails. If ``error_score`` is a number, failed fits have this score. ``fit`` raises only
    if all fits of all configurations fail.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> space = {
    ...     "C": hpo.Float(1e-2, 1e3, log=True),
    ...     "kernel": {"linear": {}, "rbf": {"gamma": hpo.Float(1e-3, 1e1, log=True)}},
    ... }
    >>> search = HpoSearchCV(SVC(), space, n_trials=20, random_state=0)
    >>> search = search.fit(*load_iris(return_X_y=True))
    >>> bool(search.best_score_ > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "space": "no_validation",
        "n_trials": [Interval(Integral, 1, None, closed="left")],
        "sampler": [str, HasMethods("ask")],
        "scheduler": [str, HasMethods("decide"), None],
        "resource": [str],
        "max_resources": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(  # noqa: PLR0913 - the arguments of scikit-learn's searches, and ours
        self,
        estimator: Any,
        space: Space | Mapping[str, Any],
        *,
        n_trials: int = 50,
        sampler: Any = "auto",
        scheduler: Any = None,
        resource: str = SAMPLES,
        max_resources: Any = "auto",
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_trials = n_trials
        self.sampler = sampler
        self.scheduler = scheduler
        self.resource = resource
        self.max_resources = max_resources
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags = deepcopy(get_tags(self.estimator).target_tags)
        return tags

    def _check_input_parameters(self, X: Any, y: Any, split_params: Any) -> None:  # noqa: N803
        super()._check_input_parameters(X, y, split_params)
        if y is None and get_tags(self.estimator).target_tags.required:
            raise ArgumentError(
                f"{type(self.estimator).__name__} requires y to be passed, but the target y is None"
            )
        self._n_samples = _num_samples(X)
        labelled = y is not None and is_classifier(self.estimator)
        self._stratify = labelled and type_of_target(y) in ("binary", "multiclass")
        self._n_classes = len(np.unique(y)) if self._stratify else 1

    def _run_search(self, evaluate_candidates: Callable[..., Any]) -> None:
        random = self.random_state
        seed = None if random is None else int(check_random_state(random).randint(2**31))
        options = {"sampler": self.sampler, "scheduler": self.scheduler, "seed": seed}
        names = None if callable(self.scoring) or isinstance(self.refit, str) else _several(self.scoring)
        study = Study(_read_space(self.space), **_goal(names), **options)
        splits = _Splits(self._checked_cv_orig, self._n_samples, self._stratify, study.seed)
        self._running = _Search(self, study, evaluate_candidates, splits, self._rungs(study))
        try:
            self._search(options)
            self._running.finish()
        finally:
            self.study_ = self._running.study
            del self._running

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_running"}  # not for the workers

    def _search(self, options: dict[str, Any]) -> None:
        """Try ``n_trials`` configurations, as many at once as the workers need."""
        left = self.n_trials
        if callable(self.scoring) and not isinstance(self.refit, str):
            with suppress(SpaceExhausted):
                self._find_metrics(options)
            left -= len(self._running.study.trials)
        study = self._running.study
        claims, at_once = study._claims(), math.ceil(effective_n_jobs(self.n_jobs) / self.n_splits_)
        while True:
            try:
                trials = claims.claim(at_once, None, left)
            except SpaceExhausted:
                left = 0
                continue
            if not isinstance(trials, TrialBatch):
                return
            left -= sum(not trial.reports for trial in trials)  # the others go on after a pause
            self._running.run([*trials])

    def _find_metrics(self, options: dict[str, Any]) -> None:
        """Try configurations until a function for ``scoring`` has shown what it returns."""
        search = self._running
        tried: list[tuple[Params, Score]] = []
        while len(tried) < self.n_trials and not search.rows.out:
            trial = search.study.ask()
            (score,) = search.scores([trial], search.rungs[-1])
            tried.append((trial.params, score))
            if not isinstance(score, dict):
                search.told(trial, score, search.rungs[-1])
                continue
            self._check_refit_for_multimetric(score)
            search.study = Study(search.study.space, **_goal(list(score)), **options)
            for params, reached in tried:
                search.study.enqueue(params)
                search.told(search.study.ask(), reached, search.rungs[-1])

    def _format_results(self, *rows: Any) -> Any:
        return self._running.evaluated(*rows)

    def _rungs(self, study: Study) -> list[_Rung]:
        """Return how much of the resource trials get, one after the other."""
        scheduler = study.scheduler
        if scheduler is None:
            return [_Rung(0, None)]
        steps = getattr(scheduler, "max_steps", None) or STEPS
        depths = scheduler.rungs(steps)
        if not depths:
            raise ArgumentError(
                "scheduler must have rungs, such as 'asha' and 'hyperband', or be None; "
                f"got {shown(self.scheduler)}"
            )
        least, most = self._resources(study.space)
        amounts = {math.ceil(most * depth / steps): depth - 1 for depth in reversed(depths)}
        rungs = [_Rung(step, amount) for amount, step in amounts.items() if least <= amount < most]
        return [*reversed(rungs), _Rung(steps - 1, most)]

    def _resources(self, space: Space) -> tuple[int, int]:
        """Return the least and the most of the resource that a trial may get."""
        params = self.estimator.get_params()
        if self.resource == SAMPLES:
            least, most = 2 * self.n_splits_ * self._n_classes, self._n_samples
            allowed = f"an int from 1 to {most:,}, the number of samples, or 'auto'"
        elif self.resource in params and self.resource not in space.parameters:
            least, most = 1, as_int(params[self.resource])
            allowed = "an int above 0, or 'auto' if the estimator has one"
        else:
            where = "also in the space" if self.resource in space.parameters else "not of the estimator"
            raise ArgumentError(
                "resource must be 'n_samples' or a parameter of the estimator that is not searched, got "
                f"{self.resource!r}, which is {where}"
            )
        given = most if self.max_resources == "auto" else as_int(self.max_resources)
        if given is None or given < 1 or (self.resource == SAMPLES and given > most):
            raise ArgumentError(f"max_resources must be {allowed}, got {shown(self.max_resources)}")
        return least, given

    @staticmethod
    def _select_best_index(refit: Any, refit_metric: Any, results: Mapping[str, Any]) -> Any:
        if callable(refit) or "n_resources" not in results:
            return BaseSearchCV._select_best_index(refit, refit_metric, results)
        scores = results[f"mean_test_{refit_metric}"]
        given = np.where(np.isfinite(scores), results["n_resources"], 0)
        return np.where(given == given.max(), scores, -np.inf).argmax()


class _Rung(NamedTuple):
    """How much of the resource a trial has after a step; None if there is no such thing."""

    step: int
    amount: int | None


@dataclass
class _Search:
    """Evaluates trials for one ``fit``, and tells their study."""

    owner: HpoSearchCV
    study: Study
    evaluate: Callable[..., Any]
    splits: _Splits
    rungs: list[_Rung]
    rows: _Rows = field(default_factory=lambda: _Rows([], 0, [], {}))  # evaluated by scikit-learn so far
    results: dict[str, Any] = field(default_factory=dict)
    lost: list[_Lost] = field(default_factory=list)
    n_rows: int = 0

    def run(self, trials: list[Trial]) -> None:
        """Take running trials to their next rungs, until all have ended or paused."""
        for trial in trials:
            trial.steps(self.rungs[-1].step + 1)
        for k, rung in enumerate(self.rungs):
            going = [trial for trial in trials if trial.state == State.RUNNING and len(trial.reports) == k]
            if going:
                for trial, score in zip(going, self.scores(going, rung), strict=True):
                    self.told(trial, score, rung)

    def told(self, trial: Trial, score: Score, rung: _Rung) -> None:
        """Tell the study what a trial has reached on a rung."""
        metric, names = self.owner.refit, list(self.study.metrics)
        if not isinstance(score, dict):  # also where all of several have the error score
            value: Score = score if len(names) == 1 else dict.fromkeys(names, score)
        else:
            value = score[metric] if isinstance(metric, str) else score
        if not np.isfinite([*value.values()] if isinstance(value, dict) else value).all():
            self.study.fail(trial, reason="the score is not finite")
            return
        trial.report(rung.step, value)
        if rung is self.rungs[-1] or trial.should_stop():
            self.study.tell(trial, value)

    def scores(self, trials: list[Trial], rung: _Rung) -> list[Score]:
        """Return the mean test score of each trial, or all such scores by name if there are several."""
        candidates, share, more = [_params(trial) for trial in trials], 1.0, {}
        if rung.amount is not None:
            more = {
                "trial": [trial.number for trial in trials],
                "iter": [self.rungs.index(rung)] * len(trials),
                "n_resources": [rung.amount] * len(trials),
            }
            if self.owner.resource == SAMPLES:
                share = rung.amount / self.splits.n_samples
            else:
                candidates = [{**params, self.owner.resource: rung.amount} for params in candidates]
        first, self.n_rows = self.n_rows, self.n_rows + len(trials)
        try:
            self.evaluate(candidates, _Part(self.splits, share), more_results=more)
        except ValueError as error:
            if self.owner.error_score == "raise" or not str(error).startswith(ALL_FAILED):
                raise
            warnings.warn(str(error), FitFailedWarning, stacklevel=2)
            self.lost.append(_Lost(first, candidates, more, error))
            return [float(self.owner.error_score)] * len(trials)
        n_splits, out = self.rows.n_splits, self.rows.out
        new = range(len(out) - len(trials) * n_splits, len(out), n_splits)
        return [self._mean([split["test_scores"] for split in out[k : k + n_splits]]) for k in new]

    def _mean(self, scores: list[Any]) -> Score:
        if not isinstance(scores[0], dict):
            return float(np.mean(scores))
        if isinstance(self.owner.refit, str):
            self.owner._check_refit_for_multimetric(scores[0])
        return {name: float(np.mean([each[name] for each in scores])) for name in scores[0]}

    def evaluated(self, *rows: Any) -> dict[str, Any]:
        """Keep the rows evaluated so far, and return a mapping that ``finish`` fills."""
        self.rows, self.results = _Rows(*rows), {}
        return self.results

    def finish(self) -> None:
        """Fill the last mapping, with rows for the configurations that scikit-learn gave up on."""
        if not self.rows.out:
            raise self.lost[-1].error
        rows = self.rows.with_lost(self.lost, self.owner.error_score)
        self.results.update(BaseSearchCV._format_results(self.owner, *rows))


class _Lost(NamedTuple):
    """Candidates of one call of which every fit failed; scikit-learn raises, but the search goes on."""

    first: int  # row
    candidates: list[Params]
    more: dict[str, list[Any]]
    error: ValueError


class _Rows(NamedTuple):
    """The arguments of scikit-learn's ``_format_results``, which makes ``cv_results_``."""

    candidates: list[Params]
    n_splits: int
    out: list[dict[str, Any]]  # of each split of each candidate
    more: dict[str, list[Any]]

    def with_lost(self, lost: list[_Lost], error_score: float) -> _Rows:
        """Return these rows and those that are lost, in the order of evaluation."""
        rows = _Rows(
            self.candidates[:], self.n_splits, self.out[:], {key: each[:] for key, each in self.more.items()}
        )
        missing: dict[str, Any] = {"fit_time": np.nan, "score_time": np.nan}
        for name in {"test_scores", "train_scores"} & self.out[0].keys():
            scores = self.out[0][name]
            missing[name] = dict.fromkeys(scores, error_score) if isinstance(scores, dict) else error_score
        for first, candidates, more, _ in lost:
            here, splits = slice(first, first), slice(first * self.n_splits, first * self.n_splits)
            rows.candidates[here] = candidates
            rows.out[splits] = [{**self.out[0], **missing}] * (len(candidates) * self.n_splits)
            for key, column in more.items():
                rows.more[key][here] = column
        return rows


@dataclass
class _Splits:
    """The splits of a search, drawn when they are first needed."""

    splitter: Any
    n_samples: int
    stratify: bool
    seed: int
    drawn: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)

    def part(self, share: float, X: Any, y: Any, params: Mapping[str, Any]) -> Iterator[Any]:  # noqa: N803
        """Yield (train, test) indices, of each training set only this share."""
        if not self.drawn:
            for k, (train, test) in enumerate(self.splitter.split(X, y, **params)):
                self.drawn.append((self._ordered(np.asarray(train), y, k), test))
        for train, test in self.drawn:
            yield np.sort(train[: max(1, round(share * len(train)))]), test

    def _ordered(self, train: NDArray[Any], y: Any, k: int) -> NDArray[Any]:
        """Return indices in an order whose every beginning is a sample of all of them."""
        train = np.random.default_rng([self.seed, k]).permutation(train)
        if not self.stratify:
            return train
        _, label, size = np.unique(np.ravel(y)[train], return_inverse=True, return_counts=True)
        by_label = np.argsort(label, kind="stable")
        place = np.empty(len(train))
        place[by_label] = np.arange(len(train)) - np.repeat(np.cumsum(size) - size, size)
        return train[np.argsort(place / size[label], kind="stable")]


class _Part(NamedTuple):
    """A share of each training set, as a splitter."""

    splits: _Splits
    share: float

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[Any]:  # noqa: N803
        """Yield (train, test) indices."""
        return self.splits.part(self.share, X, y, params)


class _Choice:
    """A choice that cannot be hashed, or is not equal to itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def _params(trial: Trial) -> Params:
    return {
        name: value.value if isinstance(value, _Choice) else value for name, value in trial.params.items()
    }


def _goal(names: Sequence[str] | None) -> dict[str, Any]:
    """Return what defines the metrics of a study: several with these names, or one."""
    return {"direction": "maximize"} if names is None else {"metrics": {name: Maximize() for name in names}}


def _several(scoring: Any) -> list[str] | None:
    """Return the names of several metrics, None if ``scoring`` is one."""
    return None if scoring is None or isinstance(scoring, str) else list(scoring)


def _read_space(space: Any) -> Space:
    """Return what a user of scikit-learn writes as a space."""
    if isinstance(space, Space):
        return space
    if not isinstance(space, Mapping):
        raise ArgumentError(
            "space must be a Space or a mapping of names to parameters, got "
            f"{shown(space)}; a choice may own parameters: "
            "{'kernel': {'rbf': {'gamma': Float(0.001, 10, log=True)}, 'linear': {}}}"
        )
    return Space(_read_all(space))


def _read_all(space: Any) -> Any:
    if not isinstance(space, Mapping):  # for Space to refuse
        return space
    return {name: _read(name, value) for name, value in space.items()}


def _read(name: str, value: Any) -> Any:
    """Return a parameter, or a constant."""
    if isinstance(value, Categorical):
        return replace(value, choices=_read_choices(value.choices))
    if isinstance(value, Mapping | Sequence | np.ndarray) and not isinstance(value, str | bytes):
        return Categorical(_read_choices(value))
    if hasattr(value, "rvs"):
        return _read_distribution(name, value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes) and not hasattr(value, "fit"):
        raise ArgumentError(f"space: {_ALLOWED.format(name)}, got {shown(value)}; list() makes a list of it")
    return value


def _read_choices(choices: Any) -> Any:
    """Return choices of which each can be hashed, and their sub-spaces."""
    if isinstance(choices, Mapping):
        return {choice: _read_all(subspace) for choice, subspace in choices.items()}
    if not isinstance(choices, Sequence | np.ndarray) or isinstance(choices, str | bytes):
        return choices
    return [choice if _is_plain(choice) else _Choice(choice) for choice in choices]


def _is_plain(choice: Any) -> bool:
    try:
        hash(choice)
        return isinstance(choice, str) or bool(choice == choice)  # NaN is not
    except TypeError:  # of pandas.NA nobody knows
        return False


def _read_distribution(name: str, value: Any) -> Float | Int:
    """Return the range that a frozen distribution of SciPy covers evenly, itself or its logarithm."""
    kind = getattr(getattr(value, "dist", None), "name", "")
    if kind == "uniform":
        return Float(*map(float, value.support()))
    if kind == "randint":
        return Int(*map(int, value.support()))
    shift = value.kwds.get("loc", value.args[2] if len(value.args) > 2 else 0) if kind in _LOG else 1
    if shift == 0:
        return Float(*map(float, value.support()), log=True)
    raise ArgumentError(f"space: {_ALLOWED.format(name)}, got {kind or shown(value)}")
