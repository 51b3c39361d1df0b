"""Hints for unknown names: a similar name of this library, or the counterpart of one of Optuna's.

Nothing here runs unless a name is unknown.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from hpo_core.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

P = ParamSpec("P")
T = TypeVar("T")


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return the end of a message about an unknown name: a similar known one, empty if there is none."""
    import difflib  # takes as long to import as many trials take

    names = {str(each).lower(): each for each in known}
    text = str(name).lower()
    begun = [each for each in names if len(text) > 1 and each.startswith(text)]
    close = begun[:1] if len(begun) == 1 else difflib.get_close_matches(text, names, n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""


def _call(function: str, *args: object, **options: object) -> str:
    """Return a call as Python text."""
    written = [*map(shown, args), *(f"{name}={shown(value)}" for name, value in options.items())]
    return f"{function}({', '.join(written)})"


def _declared(kind: str, **more: object) -> Callable[..., str]:
    """Return the hint for a call such as ``suggest_float("lr", 1e-5, 1e-1, log=True)``."""

    def hint(name: str = "name", *args: object, **options: object) -> str:
        declaration = _call(f"hpo.{kind}", *args, **options, **more)
        return f'declare `"{name}": {declaration}` in the space of the study, and read `trial["{name}"]`'

    return hint


def _noted(owner: str) -> Callable[..., str]:
    """Return the hint for a call such as ``set_user_attr("data", "digits")`` of an owner of notes."""

    def hint(key: str = "key", value: object = None) -> str:
        note = f"{key}={shown(value)}" if str(key).isidentifier() else f"**{{{key!r}: {shown(value)}}}"
        return f"write `{owner}.note({note})`"

    return hint


def _written(call: str) -> Callable[..., str]:
    """Return the hint for a call that keeps its arguments."""
    return lambda *args, **options: f"write `{_call(call, *args, **options)}`"


def _created(**options: object) -> str:
    written = (_keyword(name, value) or f"{name}={shown(value)}" for name, value in options.items())
    return f"write `hpo.Study({', '.join(['space', *written])})`"


def _discrete(name: str = "name", low: object = 0, high: object = 1, q: object = 1) -> str:
    return _declared("Float")(name, low, high, step=q)


# By Optuna's name: for a function, the hint made from a call's arguments; for anything else, a text.
Hints: TypeAlias = "Mapping[str, Callable[..., str] | str]"
TRIAL: Final[Hints] = {
    "suggest_float": _declared("Float"),
    "suggest_int": _declared("Int"),
    "suggest_categorical": _declared("Categorical"),
    "suggest_uniform": _declared("Float"),
    "suggest_loguniform": _declared("Float", log=True),
    "suggest_discrete_uniform": _discrete,
    "set_user_attr": _noted("trial"),
    "should_prune": _written("trial.should_stop"),
    "user_attrs": "read `trial.notes`",
}
STUDY: Final[Hints] = {
    "enqueue_trial": _written("study.enqueue"),
    "add_trial": lambda *_, **__: "write `study.add(params, value)`",
    "get_trials": lambda *_, **__: "read `study.trials`",
    "trials_dataframe": lambda *_, **__: "write `study.to_pandas()`",
    "set_metric_names": lambda names=("error",), *_: (
        "names come first: write `hpo.Study(space, metrics={"
        f"{', '.join(f'{shown(name)}: hpo.Minimize()' for name in names)}}})`"
    ),
    "directions": "read `study.metrics`",
    "user_attrs": "read `study.notes`",
    "set_user_attr": _noted("study"),
    "best_score": "read `study.best_value`",
    "best_config": "read `study.best_params`",
    "delete": "write `hpo-core delete FILE NAME` in a shell",
    "metric_names": "read `study.metrics`",
}
POOL: Final[Hints] = {
    "best_trial": "read `pool.best_trials`, one row for each study that has a result",
    "best_value": "read `pool.best_values`, one for each study",
    "optimize": lambda *_, **__: "write `batch = pool.ask()` and `pool.tell(batch, values)` in a loop",
    "report": lambda *_, **__: "reports belong to a Study",
    "scheduler": "schedulers belong to a Study",
}
MODULE: Final[Hints] = {
    "create_study": _created,
    "load_study": lambda study_name="name", storage="storage", **_: (
        f"write `{_call('hpo.Study.open', storage, study_name)}`"
    ),
    "TrialPruned": "raise `hpo.TrialStopped()`",
    "visualization": "see `hpo.plots`",
    **{
        name: _written("hpo.Float")
        for name in ("Uniform", "UniformFloat", "FloatDistribution", "UniformDistribution", "Real")
    },
    **{name: _written("hpo.Int") for name in ("UniformInt", "IntDistribution", "Integer", "IntUniform")},
    **{
        name: lambda *args, **options: f"write `{_call('hpo.Float', *args, **(options | {'log': True}))}`"
        for name in ("LogUniform", "LogUniformDistribution")
    },
    **{name: _written("hpo.Categorical") for name in ("Choice", "CategoricalDistribution")},
    **dict.fromkeys(("Bool", "Boolean"), "write `hpo.Categorical([False, True])`"),
    **dict.fromkeys(("SuccessiveHalvingPruner", "ASHAScheduler"), "write `hpo.ASHA()`"),
    "HyperbandPruner": "write `hpo.Hyperband()`",
    "MedianPruner": "write `hpo.Median()`",
    "PercentilePruner": "write `hpo.Percentile(25)`",
    "EarlyStopping": "write `hpo.callbacks.NoImprovement(30)`",
    # Hyperopt's and Ray Tune's.
    "choice": "write `hpo.Categorical([...])`",
    "fmin": "write `hpo.Study(space).optimize(objective, n_trials=100)`",
    "Tuner": "see `hpo_core.integrations.ray`",
    "uniform": "write `hpo.Float(low, high)`",
    "quniform": "write `hpo.Float(low, high, step=q)`",
    "loguniform": "write `hpo.Float(low, high, log=True)`, with the values themselves as bounds",
    "randint": "write `hpo.Int(low, high)`, which includes high",
    "lograndint": "write `hpo.Int(low, high, log=True)`, which includes high",
}
PLOTS: Final[Hints] = {
    name: f"write `hpo.plots.{own}(study)`"
    for name, own in {
        "plot_hypervolume_history": "plot_hypervolume",
        "plot_intermediate_values": "plot_curves",
        "plot_optimization_history": "plot_history",
        "plot_parallel_coordinate": "plot_parallel",
        "plot_param_importances": "plot_importance",
        "plot_pareto_front": "plot_front",
    }.items()
}
KEYWORDS: Final[Mapping[str, str]] = {
    "show_progress_bar": "progress",
    "study_name": "name",
    "func": "objective",
    "n_startup_trials": "n_startup",
    "n_ei_candidates": "n_candidates",
    "q": "step",
    "n_iter": "n_trials",
    "max_evals": "n_trials",
    "num_samples": "n_trials",
    "random_state": "seed",
    "eta": "factor",
    "reduction_factor": "factor",
    "min_resource": "min_steps",
    "max_resource": "max_steps",
    "grace_period": "min_steps",
    "max_t": "max_steps",
    "learning_rate": "lr",
}
# Arguments that belong elsewhere.
ELSEWHERE: Final[Mapping[str, str]] = {
    "feasible": "it belongs to the space, as in hpo.Study(hpo.Space(parameters, feasible=function))",
    "forbid": "it belongs to the space, as in hpo.Study(hpo.Space(parameters, forbid=[condition]))",
    "metric": "one result needs no name, and metrics={'loss': hpo.Minimize(), ...} names several",
    "maximize": "write direction='maximize'",
    "mode": "write direction='minimize' or direction='maximize'",
    "pruner": "schedulers stop trials early, as in hpo.Study(space, scheduler='asha')",
    "scheduler": "it belongs to the study, as in hpo.Study(space, scheduler='asha')",
    "param_distributions": "the space comes second, "
    "as in HpoSearchCV(SVC(), {'C': hpo.Float(0.01, 100, log=True)})",
    "constraints_func": "bounds belong to the study, as in "
    "hpo.Study(space, metrics={'error': hpo.Minimize(), 'latency_ms': hpo.AtMost(5.0)})",
}


def refuse(owner: str, name: str, hint: Callable[..., str] | str) -> Callable[..., None]:
    """Return a function that refuses a call of Optuna's ``name`` and shows the call to write instead.

    Raises
    ------
    AttributeError
        At once, if ``name`` is not a function in Optuna.
    """
    if isinstance(hint, str):
        raise AttributeError(f"{owner} has no {name!r}; {hint}")

    def call(*args: object, **options: object) -> None:
        try:
            text = hint(*args, **options)
        except TypeError:  # not a call that Optuna takes
            text = hint()
        raise AttributeError(f"{owner} has no {name!r}; {text}")

    return call


class _Refused:
    """An attribute that only raises a hint; ``__getattr__`` would slow down all other attributes."""

    def __init__(self, name: str, hint: Callable[..., str] | str) -> None:
        self._name, self._hint = name, hint

    def __get__(self, instance: object, owner: type) -> Any:
        return self if instance is None else refuse(owner.__name__, self._name, self._hint)


def refusing(hints: Hints) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that refuses the names in ``hints`` and hides them from ``dir``."""

    def decorate(kind: type[T]) -> type[T]:
        for name, hint in hints.items():
            setattr(kind, name, _Refused(name, hint))
        kind.__dir__ = lambda self: [name for name in object.__dir__(self) if name not in hints]  # type: ignore[method-assign]
        return kind

    return decorate


def _keyword(name: str, value: object) -> str:
    """Return one of Optuna's arguments as it is written here, empty if it has no counterpart."""
    if name == "load_if_exists":
        return f'if_exists="{"resume" if value else "error"}"'
    if name == "directions":
        return _directions(value)
    return f"{KEYWORDS[name]}={shown(value)}" if name in KEYWORDS else ""


def _directions(directions: object) -> str:
    """Return Optuna's directions as they are written here, with names to be replaced."""
    listed = directions if isinstance(directions, list | tuple) else ("minimize", "maximize")
    kinds = ["maximize" if str(each).lower().endswith("maximize") else "minimize" for each in listed]
    if len(kinds) == 1:
        return f"direction={kinds[0]!r}"
    metrics = (f'"objective_{k}": hpo.{kind.title()}()' for k, kind in enumerate(kinds))
    return f"metrics={{{', '.join(metrics)}}}"


def hinting(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose ``TypeError`` about an unknown keyword suggests the right one."""

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> T:
        try:
            return function(*args, **options)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise  # from within the function
            unknown = re.search(r"unexpected keyword argument '(\w+)'$", str(error))
            if unknown is not None:
                hint = _hint(function, unknown[1], options[unknown[1]])
            elif function.__qualname__ == "Study.__init__" and str(error).endswith("argument: 'space'"):
                hint = '; the space comes first, as in hpo.Study({"lr": hpo.Float(1e-5, 1e-1, log=True)})'
            elif "positional argument" in str(error):
                hint = f"; write {_signature(function)}"
            else:
                raise
            raise TypeError(f"{error}{hint}") from None

    return call


def _hint(function: Callable[..., Any], name: str, value: object) -> str:
    import inspect

    known = [each for each in inspect.signature(function).parameters if each not in ("self", "space")]
    if name in ELSEWHERE:
        return f"; {ELSEWHERE[name]}"
    written = _keyword(name, value)
    if written.partition("=")[0] in known:
        return f"; write {written}"
    return did_you_mean(name, known) or f"; allowed: {', '.join(known)}"


def _signature(function: Callable[..., Any]) -> str:
    """Return the name and arguments of a function or constructor, without types."""
    import inspect

    own = inspect.signature(function).parameters.values()
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in own if each.name != "self"]
    return f"{function.__qualname__.removesuffix('.__init__')}{inspect.Signature(bare)}"


def hinting_class(kind: type[T]) -> type[T]:
    """Make the constructor of a class ``hinting``."""
    kind.__init__ = hinting(kind.__init__)  # type: ignore[method-assign]
    return kind
