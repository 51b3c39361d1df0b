"""Searches of scikit-learn's kind on its data sets: ours, its own, and two of other libraries.

Three searches that people run, each on data that ships with scikit-learn:

- ``digits``: an SVC with standardised inputs, ``C`` and ``gamma``; 400 images to train on, 1,397 held out.
- ``breast_cancer``: standardised inputs, the best of them by their F-value, an SVC; five parameters of mixed
  kinds; 284 rows to train on, 285 held out.
- ``diabetes``: gradient-boosted regression trees, five parameters; 221 rows to train on, 221 held out.

A search gets what is drawn for its seed, the same for all: rows to train on, and three folds of them. The
unit of cost is a configuration fitted on all folds with the whole resource; a fit with a part of it counts as
that part. ``refit`` is off, so that only the search is timed.

Settings of the peers are their defaults, but for the budget:

- ``HalvingRandomSearchCV`` tries as many candidates as its budget pays for (its default, as many as the rows
  allow, is 8 on the digits, which costs 3 units), with one search for each budget, since it cannot be cut
  short. Its resource is that of our scheduler.
- ``OptunaSearchCV``: ``TPESampler`` as it comes; its log is silenced.
- ``BayesSearchCV``: a Gaussian process with ``gp_hedge``, 10 random points first.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn import datasets
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import KFold, RandomizedSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bench import machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FOLDS = 3
TREES = 50
BUDGETS = (10, 25, 50)  # configurations on all folds with the whole resource

Range = tuple[Any, ...]  # ("log" or "float", low, high), ("int", low, high), ("choice", *choices)


class Task(NamedTuple):
    """A data set, an estimator and what to search."""

    load: Callable[..., Any]
    n_train: int
    estimator: Any
    space: dict[str, Range]
    resource: str  # of schedulers
    n_rungs: int  # that ours has then: each with a third of the trials, and thrice the resource


TASKS = {
    "digits": Task(
        datasets.load_digits,
        400,
        Pipeline([("scale", StandardScaler()), ("svc", SVC())]),
        {"svc__C": ("log", 1e-2, 1e4), "svc__gamma": ("log", 1e-6, 1e1)},
        "n_samples",
        2,
    ),
    "breast_cancer": Task(
        datasets.load_breast_cancer,
        284,
        Pipeline([("scale", StandardScaler()), ("select", SelectKBest()), ("svc", SVC())]),
        {
            "select__k": ("int", 2, 30),
            "svc__C": ("log", 1e-2, 1e4),
            "svc__gamma": ("log", 1e-6, 1e1),
            "svc__kernel": ("choice", "rbf", "poly", "sigmoid"),
            "svc__class_weight": ("choice", None, "balanced"),
        },
        "n_samples",
        3,
    ),
    "diabetes": Task(
        datasets.load_diabetes,
        221,
        GradientBoostingRegressor(n_estimators=TREES, random_state=0),
        {
            "learning_rate": ("log", 1e-3, 1.0),
            "max_depth": ("int", 1, 4),
            "min_samples_leaf": ("int", 1, 50),
            "subsample": ("float", 0.3, 1.0),
            "max_features": ("float", 0.1, 1.0),
        },
        "n_estimators",
        4,
    ),
}


class Run(NamedTuple):
    """What a search did: the rows of its results, in order, and the seconds of ``fit``."""

    params: list[dict[str, Any]]
    scores: NDArray[np.float64]
    shares: NDArray[np.float64]  # of the whole resource
    fit_and_score: float  # seconds of all fits and scores
    seconds: float

    def best(self, budget: float) -> tuple[float, dict[str, Any]]:
        """Score and configuration of the best row with the most of the resource, within a budget."""
        paid = np.cumsum(self.shares) <= budget + 1e-9
        most = paid & (self.shares == self.shares[paid].max())
        row = int(np.where(most & np.isfinite(self.scores), self.scores, -np.inf).argmax())
        return float(self.scores[row]), self.params[row]

    @property
    def overhead(self) -> float:
        """Seconds of a fit that are not those of fitting and scoring."""
        return (self.seconds - self.fit_and_score) / (FOLDS * len(self.params))


def measure(task: str, search: str, seeds: int) -> dict[str, Any]:
    """Scores after each budget, and the overhead of a fit in milliseconds, by seed."""
    warnings.filterwarnings("ignore")
    kind = TASKS[task]
    X, y = kind.load(return_X_y=True)  # noqa: N806
    row: dict[str, Any] = {"cv": {}, "held_out": {}, "overhead_ms": [], "fits": [], "spent": [], "wall": []}
    SEARCHES[search](kind, *_drawn(kind, X, y, 0)[0], 0, 12)  # imports, and what is made once
    for seed in range(seeds):
        (train, cv), test = _drawn(kind, X, y, seed)
        run = None
        for budget in BUDGETS:
            if run is None or search == "HalvingRandomSearchCV":
                run = SEARCHES[search](kind, train, cv, seed, budget if "Halving" in search else BUDGETS[-1])
            score, params = run.best(budget)
            best = clone(kind.estimator).set_params(**params).fit(*train)
            row["cv"].setdefault(str(budget), []).append(round(score, 5))
            row["held_out"].setdefault(str(budget), []).append(round(float(best.score(*test)), 5))
        row["overhead_ms"].append(round(1e3 * run.overhead, 3))
        row["fits"].append(FOLDS * len(run.params))
        row["spent"].append(round(float(run.shares.sum()), 2))
        row["wall"].append(round(run.seconds, 2))
    return {**row, "versions": machine.versions(*_libraries(search))}


def overheads(search: str, turns: int) -> dict[str, Any]:
    """Milliseconds of overhead of a fit on ``breast_cancer``, beside ``RandomizedSearchCV`` in turn."""
    warnings.filterwarnings("ignore")
    task = TASKS["breast_cancer"]
    (train, cv), _ = _drawn(task, *task.load(return_X_y=True), 0)
    ms: dict[str, list[float]] = {"ms": [], "randomized_ms": []}
    for turn in range(turns + 1):
        for name, run in (("randomized_ms", _randomized), ("ms", SEARCHES[search])):
            found = 1e3 * run(task, train, cv, turn, 50).overhead
            if turn:  # the first one imports
                ms[name].append(round(found, 3))
    return {**ms, "versions": machine.versions(*_libraries(search))}


def _libraries(search: str) -> tuple[str, ...]:
    own = {"Hpo": "hpo_core", "Bay": "scikit-optimize", "Opt": "optuna"}.get(search[:3])
    return ("scikit-learn", "numpy", *([own] if own else []))


def _drawn(task: Task, X: Any, y: Any, seed: int) -> Any:  # noqa: N803
    """Rows to train on with their folds, and rows held out."""
    labels = y if task.load is not datasets.load_diabetes else None
    X, X_test, y, y_test = train_test_split(  # noqa: N806
        X, y, train_size=task.n_train, random_state=seed, stratify=labels
    )
    folds = KFold if labels is None else StratifiedKFold
    return ((X, y), folds(FOLDS, shuffle=True, random_state=seed)), (X_test, y_test)


def _run(search: Any, train: Any, shares: Callable[[Any], Any] | None = None) -> Run:
    start = time.perf_counter()
    search.fit(*train)
    seconds = time.perf_counter() - start
    rows = search.cv_results_
    return Run(
        rows["params"],
        np.asarray(rows["mean_test_score"]),
        np.ones(len(rows["params"])) if shares is None else np.asarray(shares(rows)),
        FOLDS * float(np.sum(rows["mean_fit_time"]) + np.sum(rows["mean_score_time"])),
        seconds,
    )


def _distributions(task: Task) -> dict[str, Any]:
    """As scikit-learn takes them."""
    makers: dict[str, Callable[..., Any]] = {
        "log": stats.loguniform,
        "float": lambda low, high: stats.uniform(low, high - low),
        "int": lambda low, high: stats.randint(low, high + 1),
        "choice": lambda *choices: list(choices),
    }
    return {name: makers[kind](*rest) for name, (kind, *rest) in task.space.items()}


def _randomized(task: Task, train: Any, cv: Any, seed: int, budget: int) -> Run:
    search = RandomizedSearchCV(
        task.estimator, _distributions(task), n_iter=budget, cv=cv, refit=False, random_state=seed
    )
    return _run(search, train)


def _halving(task: Task, train: Any, cv: Any, seed: int, budget: int) -> Run:
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    if task.resource == "n_samples":
        n_classes = len(np.unique(train[1]))
        least, most = 2 * FOLDS * n_classes, len(train[1])
    else:
        least, most = 1, TREES
    n_candidates = max(n for n in range(3, 100 * budget) if _halving_cost(n, least, most) <= budget * most)
    search = HalvingRandomSearchCV(
        task.estimator,
        _distributions(task),
        n_candidates=n_candidates,
        resource=task.resource,
        max_resources=most,
        cv=cv,
        refit=False,
        random_state=seed,
    )
    return _run(search, train, lambda rows: np.asarray(rows["n_resources"]) / most)


def _halving_cost(n_candidates: int, least: int, most: int) -> int:
    """What all candidates get in all rounds, with a factor of 3."""
    rounds = 1 + int(math.log(min(most // least, n_candidates), 3) + 1e-9)
    return sum(math.ceil(n_candidates / 3**k) * least * 3**k for k in range(rounds))


def _bayes(task: Task, train: Any, cv: Any, seed: int, budget: int) -> Run:
    from skopt import BayesSearchCV
    from skopt.space import Categorical, Integer, Real

    makers: dict[str, Callable[..., Any]] = {
        "log": lambda low, high: Real(low, high, prior="log-uniform"),
        "float": Real,
        "int": Integer,
        "choice": lambda *choices: Categorical(choices),
    }
    space = {name: makers[kind](*rest) for name, (kind, *rest) in task.space.items()}
    search = BayesSearchCV(task.estimator, space, n_iter=budget, cv=cv, refit=False, random_state=seed)
    return _run(search, train)


def _optuna(task: Task, train: Any, cv: Any, seed: int, budget: int) -> Run:
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna_integration import OptunaSearchCV

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    makers: dict[str, Callable[..., Any]] = {
        "log": lambda low, high: FloatDistribution(low, high, log=True),
        "float": FloatDistribution,
        "int": IntDistribution,
        "choice": lambda *choices: CategoricalDistribution(choices),
    }
    space = {name: makers[kind](*rest) for name, (kind, *rest) in task.space.items()}
    search = OptunaSearchCV(
        task.estimator, space, n_trials=budget, cv=cv, refit=False, random_state=seed, verbose=0
    )
    start = time.perf_counter()
    search.fit(*train)
    seconds = time.perf_counter() - start
    times = [t.user_attrs["mean_fit_time"] + t.user_attrs["mean_score_time"] for t in search.trials_]
    return Run(
        [trial.params for trial in search.trials_],
        np.array([trial.value for trial in search.trials_]),
        np.ones(len(search.trials_)),
        FOLDS * float(sum(times)),
        seconds,
    )


def _hpo(sampler: str, scheduler: str | None = None) -> Callable[..., Run]:
    def run(task: Task, train: Any, cv: Any, seed: int, budget: int) -> Run:
        import hpo_core as hpo
        from hpo_core.integrations.sklearn import HpoSearchCV

        makers: dict[str, Callable[..., Any]] = {
            "log": lambda low, high: hpo.Float(low, high, log=True),
            "float": hpo.Float,
            "int": hpo.Int,
            "choice": lambda *choices: hpo.Categorical(list(choices)),
        }
        search = HpoSearchCV(
            task.estimator,
            {name: makers[kind](*rest) for name, (kind, *rest) in task.space.items()},
            n_trials=budget if scheduler is None else budget * 3 ** (task.n_rungs - 1) // task.n_rungs,
            sampler=sampler,
            scheduler=scheduler,
            resource="n_samples" if scheduler is None else task.resource,
            cv=cv,
            refit=False,
            random_state=seed,
        )
        if scheduler is None:
            return _run(search, train)
        return _run(search, train, lambda rows: rows["n_resources"] / max(rows["n_resources"]))

    return run


SEARCHES: dict[str, Callable[..., Run]] = {
    "RandomizedSearchCV": _randomized,
    "HalvingRandomSearchCV": _halving,
    "BayesSearchCV": _bayes,
    "OptunaSearchCV": _optuna,
    'HpoSearchCV("auto")': _hpo("auto"),
    'HpoSearchCV("tpe")': _hpo("tpe"),
    'HpoSearchCV("auto", "asha")': _hpo("auto", "asha"),
}
