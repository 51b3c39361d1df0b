"""The trials of an Optuna study as a history of hpo_core, kept up to date trial by trial.

Trials get their rows as they finish, or when another trial is asked for while they run. A trial that runs
counts with the values that it was given so far, and for the others with those that were suggested for it.

A parameter that a trial lacks although the space has it there (it ended before, or no rule says which trials
have it) is spread over its range from trial to trial, so that it tells a model nothing; see
``SpaceCodec.restore``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from hpo_core.errors import SpaceError, SpaceExhausted
from hpo_core.integrations.optuna.distributions import from_distribution, place_of, to_distribution
from hpo_core.log import History
from hpo_core.log.events import Asked, Enqueued, Failed, Reported, Stopped, Told
from hpo_core.metrics import AtMost, Maximize, Metrics, Minimize
from hpo_core.space import Categorical, Ordinal, Space
from hpo_core.study.enqueue import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial

    from hpo_core.integrations.optuna.discovery import Discovery
    from hpo_core.samplers.base import Sampler

CONSTRAINTS: Final = "constraints"  # the name under which Optuna keeps them
_ORIGIN: Final = "optuna"
_EVENTS: Final[dict[str, type[Told | Stopped]]] = {"complete": Told, "stopped": Stopped}
_NO_COST: Final = np.zeros(1)


class Codec:
    """Values of Optuna's parameters as coordinates of a space, either way.

    Attributes
    ----------
    space : Space
    domains : dict of str to BaseDistribution
        What each parameter of the space may be.
    """

    def __init__(
        self, space: Space, domains: Mapping[str, BaseDistribution], choices: Mapping[str, Sequence[Any]]
    ) -> None:
        self.space = space
        self.domains = dict(domains)
        self._choices = dict(choices)  # of the space, in the order of the domain's

    @classmethod
    def declared(cls, space: Space) -> Codec:
        """Return the codec of a space that was given."""
        parameters = {name: space.parameters[name] for name in space.names}
        choices = {
            name: list(each.values if isinstance(each, Ordinal) else each.choices)
            for name, each in parameters.items()
            if isinstance(each, Ordinal | Categorical)
        }
        domains: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(choices[name]) if name in choices else to_distribution(each)
            for name, each in parameters.items()
        }
        return cls(space, domains, choices)

    @classmethod
    def discovered(cls, found: Discovery) -> Codec:
        """Return the codec of a space that trials define; choices are known by their places."""
        domains = found.searched()
        parameters: dict[str, Any] = {}
        choices = {}
        for name, domain in domains.items():
            declaration = from_distribution(domain)
            if isinstance(domain, CategoricalDistribution):
                choices[name] = range(len(domain.choices))
                declaration = Categorical(choices[name])
            rule = found.rule(name)
            if rule is not None:
                owner = domains[rule.owner]
                when = rule.expression(owner, _coder(owner))
                declaration = replace(declaration, when=when)
            parameters[name] = declaration
        return cls(Space(parameters), domains, choices)

    def encode(self, params: Sequence[Mapping[str, Any]], first: int) -> NDArray[np.float64]:
        """Return the coordinates (d, k) of the trials whose rows begin at ``first``."""
        if len(params) == 1 and (x := self._encode_whole(params[0])) is not None:
            return x[:, np.newaxis]
        columns: dict[str, Any] = {}
        absent = {}
        for name, domain in self.domains.items():
            there = [each[name] for each in params if name in each]
            if name in self._choices:
                there = [self._choices[name][self._place(domain, value)] for value in there]
            if len(there) < len(params):
                absent[name] = np.array([name not in each for each in params])
                values = iter(there)
                there = [next(values) if name in each else None for each in params]
            columns[name] = there
        return self.space.codec.restore(columns, absent=absent, first=first)[0]

    def _encode_whole(self, params: Mapping[str, Any]) -> NDArray[np.float64] | None:
        """Return the coordinates (d,) of a trial with all its parameters, sooner; else None."""
        known = {name: params[name] for name in self.domains if name in params}
        for name in self._choices.keys() & known.keys():
            known[name] = self._choices[name][self._place(self.domains[name], known[name])]
        try:
            return self.space.codec.encode_params(known, beyond=True)[0]
        except SpaceError:
            return None

    def encode_some(self, params: Mapping[str, Any]) -> Enqueued | None:
        """Return fixed values as a configuration that the sampler completes; None if one is not allowed."""
        known = {name: value for name, value in params.items() if name in self.domains}
        try:
            for name in known.keys() & self._choices.keys():
                known[name] = self._choices[name][self._place(self.domains[name], known[name])]
            return Enqueued(*self.space.codec.partial(known)) if known else None
        except (SpaceError, ValueError):
            return None

    def decode(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Return the active values of one configuration (d,)."""
        params = self.space.codec.decode_params(x)
        found = {}
        for name, domain in self.domains.items():
            if name in params:
                value = params[name]
                if name in self._choices:
                    value = domain.choices[self._places(name, value)]  # type: ignore[attr-defined]
                found[name] = value
        return found

    def _places(self, name: str, value: Any) -> int:
        return value if isinstance(self._choices[name], range) else place_of(value, self._choices[name])

    @staticmethod
    def _place(domain: BaseDistribution, value: Any) -> int:
        return int(domain.to_internal_repr(value))


def _coder(domain: BaseDistribution) -> Callable[[Any], Any]:
    return lambda value: int(domain.to_internal_repr(value))


def metrics_of(
    directions: Sequence[StudyDirection], names: Sequence[str] | None, constraints: Iterable[str]
) -> Metrics:
    """Return the metrics of an Optuna study: its objectives, and each constraint as ``AtMost(0)``."""
    if names is None:
        names = ["value"] if len(directions) == 1 else [f"value_{k}" for k in range(len(directions))]
    kinds = (Maximize() if each.name == "MAXIMIZE" else Minimize() for each in directions)
    return bounded(dict(zip(names, kinds, strict=True)), constraints)


def bounded(objectives: Mapping[str, Any], constraints: Iterable[str]) -> Metrics:
    """Return objectives with constraints; a number, or the name of an objective, is no name for one."""
    found = dict(objectives)
    for name in constraints:
        wanted = f"constraint_{name}" if name.isdigit() or not name else name
        while wanted in found:
            wanted = f"{wanted}_"
        found[wanted] = AtMost(0.0)
    return Metrics(found)


def constraints_of(trial: FrozenTrial) -> dict[str, float]:
    """Return the constraints of a trial by name: numbered ones of ``constraints_func``, and those it set."""
    attributes = trial.system_attrs
    found = {str(place): value for place, value in enumerate(attributes.get(CONSTRAINTS) or ())}
    begins = f"{CONSTRAINTS}:"
    return found | {
        key.removeprefix(begins): value for key, value in attributes.items() if key.startswith(begins)
    }


class Mirror:
    """A history of an Optuna study, and a sampler that reads it.

    Parameters
    ----------
    codec : Codec
    metrics : Metrics
    constraints : sequence of str
        Optuna's names of the last metrics.
    sampler : Sampler
        Not started yet.
    seed : int
    """

    def __init__(
        self, codec: Codec, metrics: Metrics, constraints: Sequence[str], sampler: Sampler, seed: int
    ) -> None:
        self.codec, self._constraints = codec, tuple(constraints)
        self._sampler, self._seed = sampler, seed
        self._history = History(codec.space.layout, metrics)
        self._rows: dict[int, int] = {}  # of the trials that run, by number
        self._start(allow_duplicates=False)

    def _start(self, *, allow_duplicates: bool) -> None:
        self._allow_duplicates = allow_duplicates
        self._sampler.start(self.codec.space, seed=self._seed, allow_duplicates=allow_duplicates)

    def follows(self, number: int) -> bool:
        """Whether a trial counts as running."""
        return number in self._rows

    def follow(self, running: Mapping[int, Mapping[str, Any]]) -> None:
        """Count trials as running, with these values so far by their numbers."""
        for number, params in running.items():
            if number not in self._rows:
                self._rows[number] = self._append([params])
            elif params:
                self._correct(self._rows[number], params)

    def finish(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in trials that have finished, in their order."""
        if not trials:
            return
        new = [trial for trial in trials if trial.number not in self._rows]
        for trial in trials:
            if (row := self._rows.get(trial.number)) is not None and trial.params:
                self._correct(row, trial.params)
        if new:
            first = self._append([trial.params for trial in new])
            self._rows.update((trial.number, first + k) for k, trial in enumerate(new))
        ended = [(self._rows.pop(trial.number), *self._result(trial)) for trial in trials]
        for kind, group in groupby(ended, key=lambda each: each[1]):
            self._end(kind, list(group))

    def _append(self, params: Sequence[Mapping[str, Any]]) -> int:
        history = self._history
        first = len(history)
        history.apply(Asked(first, self.codec.encode(params, first), history.position, _ORIGIN))
        return first

    def _correct(self, row: int, params: Mapping[str, Any]) -> None:
        """Give a running trial the values that it has by now."""
        self._history.move_running(row, self.codec.encode([params], row)[:, 0])

    def _result(self, trial: FrozenTrial) -> tuple[str, int, tuple[float, ...]]:
        """Return how a trial ended, its last step, and its values."""
        bounds = constraints_of(trial) if self._constraints else {}
        # Optuna counts a trial without constraints as feasible.
        violations = tuple(bounds.get(name, 0.0) for name in self._constraints)
        step, values = -1, tuple(trial.values or ())
        if trial.state is TrialState.PRUNED and self._history.metrics.n_objectives == 1:
            step = trial.last_step if trial.last_step is not None else -1
            values = (trial.intermediate_values[step],) if step >= 0 else ()
        told = (*values, *violations)
        if trial.state is TrialState.FAIL or not values or not all(map(math.isfinite, told)):
            return "failed", -1, ()
        return ("stopped" if trial.state is TrialState.PRUNED else "complete"), step, told

    def _end(self, kind: str, ended: Sequence[tuple[int, str, int, tuple[float, ...]]]) -> None:
        history = self._history
        rows = np.array([row for row, *_ in ended])
        cost = np.zeros(len(rows))
        if kind == "failed":
            history.apply(Failed(rows, "failed in Optuna", cost))
            return
        y = history.metrics.signed(np.array([told for *_, told in ended], np.float64).T)
        if kind == "stopped":  # a model trusts a stopped trial by its depth
            for k, (row, _, step, _) in enumerate(ended):
                own = y[:, k : k + 1]
                history.apply(Reported(np.array([row]), max(step, 0), own[0] if len(own) == 1 else own))
        history.apply(_EVENTS[kind](rows, y, cost))

    def suggest(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Return values for a trial, by name; ``fixed`` ones are known beforehand."""
        try:
            return self.codec.decode(self._suggest(number, fixed)[:, 0])
        except SpaceExhausted:  # Optuna goes on when a finite space has been used up
            if self._allow_duplicates:
                raise
            self._start(allow_duplicates=True)
            return self.codec.decode(self._suggest(number, fixed)[:, 0])

    def _suggest(self, number: int, fixed: Mapping[str, Any]) -> NDArray[np.float64]:
        wanted = self.codec.encode_some(fixed) if fixed else None
        if wanted is not None:
            return complete(self.codec.space, self._sampler, self._history, wanted)[0]
        return self._sampler.ask(self._history, number, 1).x
