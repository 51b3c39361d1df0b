"""Unchanged objectives written for Optuna, over the declared space of a study of hpo_core.

A call such as ``trial.suggest_float("lr", 1e-5, 1e-1, log=True)`` reads the parameter that the space
declares. The call is refused if its range differs from the declared one, because only the declared range is
searched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo_core.checks import shown
from hpo_core.errors import ArgumentError, SpaceError, TrialStopped
from hpo_core.hints import did_you_mean
from hpo_core.integrations.optuna.distributions import from_distribution
from hpo_core.space import Categorical, Ordinal
from hpo_core.space.expressions import value_key
from hpo_core.space.parameters import domain_key
from hpo_core.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optuna.distributions import BaseDistribution

    from hpo_core.trial import Trial as OurTrial


def objective(function: Callable[[Any], Any], study: Study) -> Objective:
    """Return an objective of Optuna as one for ``study.optimize``, with any executor.

    Parameters
    ----------
    function : callable
        ``function(trial)`` calls ``trial.suggest_float``, ``report``, ``should_prune``, ``set_user_attr`` and
        so on, returns the value or a tuple of values, and may raise ``optuna.TrialPruned``.
    study : Study
        Its space must declare every parameter that the function asks for, with the same range or choices. A
        constraint that the function sets must be a metric of the study.

    Returns
    -------
    Objective
        A callable, which can be sent to worker processes.

    Raises
    ------
    ArgumentError
        ``function`` is not callable, or ``study`` is not a study of hpo_core.
    SpaceError
        In a trial: the space does not declare a parameter, or declares it with another range or choices.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> def theirs(trial):
    ...     return (trial.suggest_float("x", -10, 10) - 2) ** 2
    >>> study = hpo.Study({"x": hpo.Float(-10, 10)}, seed=0)
    >>> study.optimize(objective(theirs, study), n_trials=20)
    >>> study.best_value < 0.1
    True
    """
    if not callable(function):
        raise ArgumentError(f"function must be an objective of Optuna, got {shown(function)}")
    if not isinstance(study, Study):
        raise ArgumentError(f"study must be a Study of hpo_core, got {shown(study)}")
    return Objective(function, study.space.parameters, study.metrics.objectives, study.metrics.constraints)


class Objective:
    """An objective of Optuna as one of hpo_core; it can be sent to worker processes."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        parameters: Mapping[str, Any],
        objectives: Sequence[str],
        constraints: Sequence[str],
    ) -> None:
        self._function = function
        self._parameters = dict(parameters)
        self._objectives, self._constraints = tuple(objectives), tuple(constraints)

    def __call__(self, trial: OurTrial) -> Any:
        """Run one trial."""
        own = Trial(trial, self._parameters, self._objectives, has_constraints=bool(self._constraints))
        try:
            return own._named(self._function(own))
        except optuna.TrialPruned as error:
            raise TrialStopped from error


class Trial:
    """A trial with the methods of ``optuna.Trial`` that objectives call.

    Attributes
    ----------
    number : int
    """

    def __init__(
        self,
        trial: OurTrial,
        parameters: Mapping[str, Any],
        objectives: Sequence[str],
        *,
        has_constraints: bool,
    ) -> None:
        self.number = trial.number
        self._trial, self._parameters, self._objectives = trial, parameters, objectives
        self._has_constraints = has_constraints
        self._distributions: dict[str, BaseDistribution] = {}
        self._violations: dict[str, float] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the value of a Float."""
        return float(self._value("suggest_float", name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return the value of an Int."""
        return int(self._value("suggest_int", name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the value of a Categorical, or of an Ordinal."""
        return self._value("suggest_categorical", name, CategoricalDistribution(choices))

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; note the order."""
        named = {self._objectives[0]: float(value), **self._violations}
        self._trial.report(step, named if self._has_constraints else value)

    def should_prune(self) -> bool:
        """Whether the scheduler of the study ends this trial."""
        return self._trial.should_stop()

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep a note."""
        self._trial.note(**{key: value})

    def set_constraint(self, key: str, value: float) -> None:
        """Give the value of a metric that has a bound."""
        self._violations[key] = float(value)

    @property
    def params(self) -> dict[str, Any]:
        """The values that were asked for so far."""
        return {name: self._trial[name] for name in self._distributions}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The ranges that were asked for so far."""
        return dict(self._distributions)

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The notes of the trial."""
        return self._trial.notes

    @property
    def constraints(self) -> dict[str, float]:
        """The constraints that were set so far."""
        return dict(self._violations)

    def _named(self, result: Any) -> Any:
        """Return a result with the constraints."""
        if not self._has_constraints and not self._violations:
            return result
        values = result if isinstance(result, list | tuple) else [result]
        return dict(zip(self._objectives, values, strict=True)) | self._violations

    def _value(self, call: str, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._distributions:
            _check(call, name, from_distribution(distribution), self._parameters)
            self._distributions[name] = distribution
        return self._trial[name]


def _check(call: str, name: str, asked: Any, parameters: Mapping[str, Any]) -> None:
    """Raise unless the space declares a parameter as an objective asks for it."""
    where = f"trial.{call}({name!r}, ...)"
    if name not in parameters:
        raise SpaceError(
            f"{where} asks for a parameter that is not in the space; "
            f'declare it: `"{name}": hpo.{asked!r}`{did_you_mean(name, parameters)}'
        )
    declared = parameters[name]
    if isinstance(declared, Categorical | Ordinal) and isinstance(asked, Categorical):
        same = _choices(declared) == _choices(asked)
    else:
        same = domain_key(declared) == domain_key(asked.checked(where))
    if not same:
        own = f"hpo.{declared!r}" if type(declared).__module__.startswith("hpo_core") else repr(declared)
        raise SpaceError(
            f"{where} must ask for {own}, as the space declares it, got hpo.{asked!r}; "
            f'change the call, or declare `"{name}": hpo.{asked!r}`'
        )


def _choices(declaration: Categorical | Ordinal) -> list[Any]:
    values = declaration.values if isinstance(declaration, Ordinal) else declaration.choices
    return [value_key(value) for value in values]
