"""``from_optuna`` and ``to_optuna``: copies of a study for the other library.

================  =====================================  ====================================================
hpo_core          Optuna                                 comments
================  =====================================  ====================================================
complete          ``COMPLETE``                           a value that is not finite is a failure here
stopped           ``PRUNED``                             with the last report, if it has no value
failed            ``FAIL``                               the reason is a user attribute, ``REASON``
running, paused   ``RUNNING``
enqueued          ``WAITING``, with fixed parameters
reports           intermediate values                    of the first objective, the last one of each step
``AtMost(0)``     a constraint of that name              other bounds: the amount by which it is exceeded
notes             user attributes
================  =====================================  ====================================================

The space with its conditions, the metrics, and values and reports of several metrics have no place in Optuna:
they are kept in system attributes, which ``from_optuna`` reads. Constants are known from the space.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from hpo_core.checks import as_json, shown
from hpo_core.errors import ArgumentError, SpaceError, TrialError
from hpo_core.integrations.optuna.bulk import create_trials
from hpo_core.integrations.optuna.discovery import Discovery
from hpo_core.integrations.optuna.distributions import (
    choices_of,
    draw,
    from_distribution,
    listed,
    place_of,
    to_distribution,
    widened,
)
from hpo_core.integrations.optuna.mirror import CONSTRAINTS, constraints_of, metrics_of
from hpo_core.log import State
from hpo_core.metrics import Maximize, Metrics
from hpo_core.space import Categorical, Ordinal, Space, param
from hpo_core.storage import open_storage
from hpo_core.study import Study, delete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage

REASON: Final = "hpo_core.reason"
_SPACE, _METRICS = "hpo_core:space", "hpo_core:metrics"  # of a study
_NAMES = "study:metric_names"  # Optuna's own
_VALUES, _REPORTS = "hpo_core:values", "hpo_core:reports"  # of a trial
_STATES: Final = {
    State.RUNNING: TrialState.RUNNING,
    State.PAUSED: TrialState.RUNNING,
    State.COMPLETE: TrialState.COMPLETE,
    State.STOPPED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


def to_optuna(
    study: Study, storage: str | BaseStorage | None = None, name: str | None = None
) -> optuna.Study:
    """Copy a study, with all its trials, to a storage of Optuna, where ``optuna-dashboard`` shows it.

    Parameters
    ----------
    study : Study
    storage : str or optuna.storages.BaseStorage, optional
        A URL such as "sqlite:///optuna.db". By default the copy is kept in memory.
    name : str, optional
        By default that of the study.

    Returns
    -------
    optuna.Study

    Raises
    ------
    ArgumentError
        The storage has a study of that name, or cannot be used.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, name="squares", seed=0)
    >>> study.tell(study.ask(3), [0.3, 0.1, 0.2])
    >>> copied = to_optuna(study)
    >>> copied.best_value, len(copied.trials)
    (0.1, 3)
    """
    if not isinstance(study, Study):
        raise ArgumentError(f"study must be a Study of hpo_core, got {shown(study)}")
    if not isinstance(name, str | None):
        raise ArgumentError(f"name must be text or None, got {shown(name)}")
    trials = [*_finished_and_running(study), *_waiting(study)]
    copied = _create(storage, name or study.name or None, study.metrics)
    try:
        _describe(study, copied)
        create_trials(copied._storage, copied._study_id, trials)
    except Exception as error:
        copied._storage.delete_study(copied._study_id)  # nothing is left of a copy that fails
        if isinstance(error, UnicodeError | ValueError) or _is_of_database(error):
            raise ArgumentError(f"storage cannot hold the study: {error}") from error
        raise
    return copied


def _describe(study: Study, copied: optuna.Study) -> None:
    """Write what belongs to the study itself."""
    storage, number, metrics = copied._storage, copied._study_id, study.metrics
    if metrics.direction is None:
        storage.set_study_system_attr(number, _NAMES, list(metrics.objectives))
        storage.set_study_system_attr(number, _METRICS, json.dumps(metrics.to_json()))
    with suppress(SpaceError):  # it holds what JSON cannot say: from_optuna then sees what the trials say
        storage.set_study_system_attr(number, _SPACE, study.space.with_feasible(None).to_json())
    for key, note in study.notes.items():
        storage.set_study_user_attr(number, key, note)


def _is_of_database(error: Exception) -> bool:
    return type(error).__module__.startswith("sqlalchemy")


def _create(storage: Any, name: str | None, metrics: Metrics) -> optuna.Study:
    directions: Any = [
        "maximize" if isinstance(metrics[each], Maximize) else "minimize" for each in metrics.objectives
    ]
    try:
        return optuna.create_study(storage=storage, study_name=name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError as error:
        raise ArgumentError(f"name must be new in the storage, got {shown(name)}") from error
    except Exception as error:
        usual = ValueError | TypeError | OSError | ImportError | AttributeError | UnicodeError
        if isinstance(error, usual | optuna.exceptions.OptunaError) or _is_of_database(error):
            raise ArgumentError(
                f"storage must be one of Optuna's, or its URL, got {shown(storage)}: {error}"
            ) from error
        raise


class _Domains:
    """The distributions of a space, and the labels of its choices in Optuna."""

    def __init__(self, space: Space) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        self._labels: dict[str, tuple[list[Any], list[Any]]] = {}  # choices, labels; where they differ
        for name in space.names:
            declaration = space.parameters[name]
            self.distributions[name] = to_distribution(declaration)
            if isinstance(declaration, Categorical | Ordinal):
                choices = list(
                    declaration.values if isinstance(declaration, Ordinal) else declaration.choices
                )
                if choices != listed(declaration):
                    self._labels[name] = choices, listed(declaration)

    def written(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a trial as Optuna has them."""
        return {name: self._label(name, params[name]) for name in self.distributions if name in params}

    def read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a trial of Optuna as they were."""
        return {name: self._choice(name, value) for name, value in params.items()}

    def of(self, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        """Return a distribution for each value, wider for those from elsewhere."""
        return {name: widened(self.distributions[name], value) for name, value in params.items()}

    def _label(self, name: str, value: Any) -> Any:
        if name not in self._labels:
            return value
        choices, labels = self._labels[name]
        return labels[place_of(value, choices)]

    def _choice(self, name: str, value: Any) -> Any:
        if name not in self._labels:
            return value
        choices, labels = self._labels[name]
        return choices[place_of(value, labels)]


def _finished_and_running(study: Study) -> Iterator[FrozenTrial]:
    domains, metrics = _Domains(study.space), study.metrics
    batch = study.trials
    history = study.history
    constraints = dict(
        zip((f"{CONSTRAINTS}:{name}" for name in metrics.constraints), history.violation, strict=True)
    )
    columns = (batch.notes, batch.reports, batch.reason, history.started.tolist(), history.cost.tolist())
    for trial, notes, reports, reason, began, seconds in zip(batch, *columns, strict=True):
        state, values = _STATES[trial.state], trial.values
        params = domains.written(trial.params)
        system: dict[str, Any] = {}
        if state in (TrialState.FAIL, TrialState.RUNNING):
            values = None
        if values is not None:
            system = {key: float(column[trial.number]) for key, column in constraints.items()}
            if constraints:
                system[_VALUES] = values
        curve = _first_objective(reports, metrics)
        if reports and (not metrics.is_plain or len(curve) < len(reports)):
            system[_REPORTS] = reports
        start = datetime.fromtimestamp(began if math.isfinite(began) else time.time())
        end = datetime.fromtimestamp(start.timestamp() + (seconds if seconds > 0 else 0.0))
        yield FrozenTrial(
            number=-1,
            trial_id=-1,
            state=state,
            value=None,
            values=None if values is None else [values[name] for name in metrics.objectives],
            datetime_start=start,
            datetime_complete=end if state.is_finished() else None,
            params=params,
            distributions=domains.of(params),
            user_attrs=notes if state is not TrialState.FAIL else {**notes, REASON: reason},
            system_attrs=system,
            intermediate_values=curve,
        )


def _first_objective(reports: Sequence[tuple[int, Any]], metrics: Metrics) -> dict[int, float]:
    """Return the intermediate values that Optuna has: one for each step."""
    name = metrics.objectives[0]
    values = ((step, value.get(name) if isinstance(value, Mapping) else value) for step, value in reports)
    return {step: value for step, value in values if value is not None}


def _waiting(study: Study) -> Iterator[FrozenTrial]:
    domains, codec = _Domains(study.space), study.space.codec
    for queued in study.history.queue:
        params = {
            name: codec.value(queued.fixed.item(row), row)
            for row, name in enumerate(study.space.names)
            if not math.isnan(queued.fixed.item(row))
        }
        if queued.given is not None:
            params |= {
                name: type(params[name])(number)
                for name, number in zip(study.space.names, queued.given.tolist(), strict=True)
                if math.isfinite(number)
            }
        yield optuna.trial.create_trial(
            state=TrialState.WAITING, system_attrs={"fixed_params": domains.written(params)}
        )


def from_optuna(study: optuna.Study, space: Space | Mapping[str, Any] | None = None, **options: Any) -> Study:
    """Make a study of hpo_core with all trials of a study of Optuna.

    Parameters
    ----------
    study : optuna.Study
    space : Space or mapping, optional
        The space, which must have every parameter of the trials. By default it is the space that
        ``to_optuna`` has kept, or the one that the trials have suggested: each parameter has all its ranges,
        and a condition ``when=`` if a choice or an integer decides which trials have it. If none does, an
        additional choice "use NAME" decides.
    **options
        As for ``Study``: ``sampler``, ``seed``, ``scheduler``, ``name``, ``storage`` and so on.

    Returns
    -------
    Study
        Each constraint is a metric, ``AtMost(0)``; trials without constraints have the value 0, because
        Optuna counts them as feasible. Pruned trials are stopped, and waiting ones enqueued. Running trials
        are running here, too, and can be told.

    Raises
    ------
    ArgumentError
        An argument is not allowed.
    SpaceError
        A trial does not fit into the space.

    Examples
    --------
    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> theirs = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    >>> theirs.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1e-1, log=True), n_trials=20)
    >>> ours = from_optuna(theirs, seed=0)
    >>> ours.space, len(ours.trials), ours.best_value == theirs.best_value
    (Space(
        lr: Float(1e-05, 0.1, log=True)
    ), 20, True)
    """
    if not isinstance(study, optuna.Study):
        raise ArgumentError(f"study must be a study of Optuna, got {shown(study)}")
    if taken := options.keys() & {"metrics", "direction"}:
        raise ArgumentError(f"{', '.join(sorted(taken))} must be left out: the study of Optuna has it")
    trials = study.get_trials(deepcopy=False)
    system = study._storage.get_study_system_attrs(study._study_id)
    read = _read_space(trials, system, space)
    results = _Results(study, system, trials)
    if "storage" in options:
        options.setdefault("if_exists", "error")  # to resume one would add every trial again
    ours = Study(read.space, metrics=results.metrics, **options)
    try:
        _fill(ours, study, trials, read, results)
    except BaseException:
        if (
            options.get("storage") is not None and options["if_exists"] == "error"
        ):  # nothing is left of a study that was made here
            delete(open_storage(options["storage"]), options["name"])
        raise
    return ours


def _fill(
    ours: Study, study: optuna.Study, trials: Sequence[FrozenTrial], read: _Reader, results: _Results
) -> None:
    """Add the trials and notes of a study."""
    block: list[FrozenTrial] = []
    for trial in trials:
        if trial.state.is_finished():
            block.append(trial)
        elif trial.state is TrialState.RUNNING and trial.params:
            _add(ours, block, read, results)
            block = []
            _run(ours, trial, read, results)
    _add(ours, block, read, results)
    for trial in trials:
        if trial.state is TrialState.WAITING:
            fixed = trial.system_attrs.get("fixed_params", {})  # Optuna takes no notice of unknown names
            ours.enqueue(read.known({name: fixed[name] for name in fixed if name in read.space.names}))
    ours.note(**_notes(study.user_attrs))


def _add(ours: Study, trials: Sequence[FrozenTrial], read: _Reader, results: _Results) -> None:
    """Add trials that have finished."""
    if not trials:
        return
    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}
    failed = [trial.state is TrialState.FAIL for trial in trials]
    params, notes = zip(*(read.whole(trial) for trial in trials), strict=True)
    ours.add(
        params,
        [results.value(trial) for trial in trials],
        state=[states[trial.state] for trial in trials],
        reason=[
            trial.user_attrs.get(REASON, "failed in Optuna") if fails else None
            for trial, fails in zip(trials, failed, strict=True)
        ],
        reports=[results.reports(trial) for trial in trials],
        notes=[_notes(trial.user_attrs) | note for trial, note in zip(trials, notes, strict=True)],
        started=[_seconds(trial.datetime_start) for trial in trials],
        seconds=[
            max(0.0, trial.duration.total_seconds()) if trial.duration is not None else 0.0
            for trial in trials
        ],
    )


def _run(ours: Study, trial: FrozenTrial, read: _Reader, results: _Results) -> None:
    """Start a trial that runs in Optuna."""
    params, notes = read.whole(trial)
    ours.enqueue(params)
    started = ours.ask()
    started.note(**_notes(trial.user_attrs) | notes)
    for step, value in results.reports(trial) or ():
        started.report(step, value)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _notes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return user attributes as notes: those that JSON cannot say as text."""
    notes = {}
    for name, value in attributes.items():
        if name != REASON:
            try:
                notes[name] = as_json(name, value)
            except TrialError:
                notes[name] = str(value)
    return notes


class _Reader:
    """The space of a study of Optuna, and the parameters of its trials in it.

    Parameters
    ----------
    space : Space
    texts : mapping
        Domains whose choices are text in the space, because some are equal in Python, by name.
    flags : mapping
        Choices that say whether a trial has parameters, and these.
    """

    def __init__(
        self,
        space: Space,
        texts: Mapping[str, CategoricalDistribution] | None = None,
        flags: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.space = space
        self._texts, self._flags = texts or {}, flags or {}
        self._domains = _Domains(space)

    def known(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters as the space has them."""
        found = self._domains.read(params)
        for name in self._texts.keys() & found.keys():
            domain = self._texts[name]
            found[name] = choices_of(domain)[int(domain.to_internal_repr(found[name]))]
        return found

    def whole(self, trial: FrozenTrial) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the parameters of a trial, and a note about those that it lacks.

        A trial that did not run to its end may lack any: they are drawn from the prior. What it had beside
        the conditions of the space is left out.
        """
        params = self.known(trial.params)
        params |= {flag: any(name in params for name in names) for flag, names in self._flags.items()}
        if trial.state is TrialState.COMPLETE:
            return params, {}
        active = self._active(params)
        rng = np.random.default_rng(trial.number)
        domains = self._domains.distributions
        drawn = {name: draw(domains[name], rng) for name in active if name not in params}
        kept = {name: value for name, value in params.items() if name in active} | self._domains.read(drawn)
        return kept, {"not suggested": list(drawn)} if drawn else {}

    def _active(self, params: Mapping[str, Any]) -> list[str]:
        """Return the parameters that a trial with these has, as far as they decide."""
        space = self.space
        absent = {name: np.ones(1, np.bool_) for name in space.names if name not in params}
        columns = {name: [params.get(name)] for name in space.names}
        x, _ = space.codec.restore(columns, absent=absent)
        return [name for name, active in zip(space.names, ~np.isnan(x[:, 0]), strict=True) if active]


def _read_space(trials: Sequence[FrozenTrial], system: Mapping[str, Any], space: Any) -> _Reader:
    if space is not None:
        return _Reader(space if isinstance(space, Space) else Space(space))
    if _SPACE in system:
        return _Reader(Space.from_json(system[_SPACE]))
    found = Discovery()
    for trial in trials:
        found.observe(trial.params, trial.distributions, complete=trial.state is TrialState.COMPLETE)
    if not found.domains:
        raise SpaceError("space must be given, because no trial of the study has parameters")
    parameters: dict[str, Any] = {name: from_distribution(each) for name, each in found.domains.items()}
    texts = {
        name: each
        for name, each in found.domains.items()
        if isinstance(each, CategoricalDistribution) and choices_of(each) != list(each.choices)
    }
    groups: dict[tuple[bool, ...], list[str]] = {}
    complete = [trial.params for trial in trials if trial.state is TrialState.COMPLETE]
    for name, rule in found.rules.items():
        if rule is None:
            groups.setdefault(tuple(name in params for params in complete), []).append(name)
        else:
            when = rule.expression(found.domains[rule.owner], _texts_of(texts.get(rule.owner)))
            parameters[name] = replace(parameters[name], when=when)
    flags = {f"use {', '.join(names)}": names for names in groups.values()}
    for flag, names in flags.items():
        for name in names:
            parameters[name] = replace(parameters[name], when=param(flag).isin([True]))
    return _Reader(Space({flag: Categorical([True, False]) for flag in flags} | parameters), texts, flags)


def _texts_of(domain: CategoricalDistribution | None) -> Callable[[Any], Any]:
    if domain is None:
        return lambda value: value
    texts = choices_of(domain)
    return lambda value: texts[int(domain.to_internal_repr(value))]


class _Results:
    """What the results of a study of Optuna are, and those of its trials.

    Attributes
    ----------
    metrics : Metrics
    """

    def __init__(self, study: optuna.Study, system: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> None:
        self._constraints = list(dict.fromkeys(name for trial in trials for name in constraints_of(trial)))
        if _METRICS in system:
            stored = Metrics.from_json(json.loads(system[_METRICS]))
            self.metrics = stored.with_functions(lambda _: None)
            self._constraints = list(stored.constraints)
            return
        names = system.get(_NAMES)
        if names is None and len(study.directions) == 1 and not self._constraints:
            self.metrics = Metrics.of("maximize" if study.directions[0].name == "MAXIMIZE" else "minimize")
            return
        self.metrics = metrics_of(study.directions, names, self._constraints)

    def value(self, trial: FrozenTrial) -> Any:
        """Return the value of a trial, or its values by name; None if it has none."""
        if trial.values is None or trial.state is TrialState.FAIL:
            return None
        if self.metrics.is_plain:
            return trial.values[0]
        if _VALUES in trial.system_attrs:
            return trial.system_attrs[_VALUES]
        return self._named(trial, trial.values)

    def _named(self, trial: FrozenTrial, values: Sequence[float]) -> dict[str, float]:
        """Return values with the constraints of their trial, which Optuna measures from the bound."""
        metrics = self.metrics
        found = dict(zip(metrics.objectives, values, strict=True))
        bounds = zip(metrics.constraints, self._constraints, metrics.limit.tolist(), strict=True)
        exceeded = constraints_of(trial)
        for row, (name, theirs, limit) in enumerate(bounds, start=metrics.n_objectives):
            found[name] = float(metrics.sign[row]) * (limit + exceeded.get(theirs, 0.0))
        return found

    def reports(self, trial: FrozenTrial) -> list[tuple[int, Any]] | None:
        """Return the reports of a trial; with constraints, each has those of the trial."""
        if _REPORTS in trial.system_attrs:
            found = dict(map(tuple, trial.system_attrs[_REPORTS]))  # the last one of each step
        else:
            found = dict(trial.intermediate_values)
            if not self.metrics.is_plain:
                if self.metrics.n_objectives > 1:
                    return None  # a value of one objective says nothing of the others
                found = {step: self._named(trial, [value]) for step, value in found.items()}
        return sorted(found.items(), key=itemgetter(0))
