"""SMAC3 through its facades' ask and tell, conditions declared in ConfigSpace.

``facade`` is one of ``FACADES``: the random forest that its documentation advises for hyperparameters,
or the Gaussian process that it advises for a few continuous ones (an ask of some seconds). Settings
that are not at their defaults:

``n_trials``       the length of the run, of which SMAC3 takes a quarter for its initial design
``deterministic``  True: a trial is not spent on a second look at an incumbent, since what counts here
                   is the best that was observed
``crash_cost``     1000, which a trial that fails is told with the status of a crash: beyond every value of
                   the problems that fail. Its default, inf, ends the random forest with an error
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Float,
    GreaterThanCondition,
    InCondition,
    Integer,
    OrdinalHyperparameter,
)
from smac import BlackBoxFacade, HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue

if TYPE_CHECKING:
    from bench.quality.optimiser import Optimiser
    from bench.quality.spec import Config, Parameter, Problem

CRASH_COST = 1e3
FACADES = {"forest": HyperparameterOptimizationFacade, "gp": BlackBoxFacade}


def declare(parameter: Parameter) -> Any:
    """A ConfigSpace hyperparameter; of a choice its index, which needs no look at the choice's type."""
    name, bounds = parameter.name, (parameter.low, parameter.high)
    match parameter.kind:
        case "float":
            return Float(name, bounds, log=parameter.log)
        case "int":
            return Integer(name, (int(parameter.low), int(parameter.high)), log=parameter.log)
        case "ordinal":
            return OrdinalHyperparameter(name, list(range(len(parameter.choices))))
        case "categorical":
            return CategoricalHyperparameter(name, list(range(len(parameter.choices))))


def condition(parameter: Parameter, parents: dict[str, Parameter], space: Any) -> Any:
    when = parameter.when
    assert when is not None
    child, parent, choices = space[parameter.name], space[when.parent], parents[when.parent].choices
    if when.at_least is not None:
        return GreaterThanCondition(child, parent, when.at_least - 1)  # parents of this kind are integers
    return InCondition(child, parent, [choices.index(v) for v in when.values])


def configuration_space(problem: Problem) -> Any:
    parents = {p.name: p for p in problem.parameters}
    space = ConfigurationSpace()
    space.add([declare(p) for p in problem.parameters])
    space.add([condition(p, parents, space) for p in problem.parameters if p.when is not None])
    return space


def value_of(parameter: Parameter, value: Any) -> Any:
    """Inverse of ``declare`` for a value of the configuration."""
    if parameter.choices:
        return parameter.choices[int(value)]
    return int(value) if parameter.kind == "int" else float(value)


class Smac3:
    def __init__(self, problem: Problem, seed: int, settings: dict[str, Any]) -> None:
        self._parameters = problem.parameters
        options = dict(settings)
        facade = FACADES[options.pop("facade")]
        folder = tempfile.mkdtemp(prefix="smac3-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        space = configuration_space(problem)
        fixed = {"deterministic": True, "crash_cost": CRASH_COST, "output_directory": folder}
        self._scenario = Scenario(space, seed=seed, **fixed, **options)
        self._facade = facade(self._scenario, logging_level=False, overwrite=True)

    def load(self, configs: list[Config], values: list[float]) -> None:
        kind, scenario = type(self._facade), self._scenario
        none = kind.get_initial_design(scenario, n_configs=0, additional_configs=[])
        self._facade = kind(scenario, initial_design=none, logging_level=False, overwrite=True)
        choices = {p.name: p.choices for p in self._parameters if p.choices}
        for config, value in zip(configs, values, strict=True):
            given = {k: choices[k].index(v) if k in choices else v for k, v in config.items()}
            info = TrialInfo(Configuration(scenario.configspace, values=given), seed=0)
            self.tell(info, value)

    def ask(self) -> tuple[TrialInfo, Config]:
        info = self._facade.ask()
        given = dict(info.config)
        return info, {p.name: value_of(p, given[p.name]) for p in self._parameters if p.name in given}

    def tell(self, handle: TrialInfo, value: float) -> None:
        self._facade.tell(handle, TrialValue(cost=value), save=False)

    def fail(self, handle: TrialInfo) -> None:
        crash = TrialValue(cost=CRASH_COST, status=StatusType.CRASHED)
        self._facade.tell(handle, crash, save=False)


def create(problem: Problem, seed: int, settings: dict[str, Any]) -> Optimiser:
    return Smac3(problem, seed, settings)
