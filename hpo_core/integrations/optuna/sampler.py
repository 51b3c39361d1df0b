"""``HpoSampler``: hpo_core's samplers for a study of Optuna."""

from __future__ import annotations

import copy
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from hpo_core.checks import SEED_LIMIT, check_int, shown
from hpo_core.errors import ArgumentError
from hpo_core.integrations.optuna.discovery import Discovery
from hpo_core.integrations.optuna.distributions import draw
from hpo_core.integrations.optuna.mirror import (
    CONSTRAINTS,
    Codec,
    Mirror,
    bounded,
    constraints_of,
    metrics_of,
)
from hpo_core.metrics import Metrics, Minimize
from hpo_core.samplers import resolve
from hpo_core.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from hpo_core.samplers.base import Sampler


class HpoSampler(BaseSampler):
    """A sampler of hpo_core for ``optuna.create_study(sampler=...)``.

    A study of Optuna defines its space while it runs: the space consists of the parameters that trials have
    suggested so far, each with all its ranges. If a choice or an integer decides whether complete trials
    suggest a parameter, the parameter becomes conditional on it. If none does, the model ignores the
    parameter in trials without it. A parameter is drawn from its prior when it is new, or when the suggested
    value is outside the range of the call.

    Trials that run elsewhere are taken into account. Pruned trials count by their last step, and failed ones
    are used to avoid places where trials fail. Several objectives, constraints and threads are supported, and
    a finite space is searched without repetition until it is used up.

    Parameters
    ----------
    sampler : str or Sampler, default "auto"
        "auto", "gp", "tpe", "sobol", "random", or a ``Sampler`` of hpo_core with options, which is copied.
    space : Space, or mapping of names to distributions of Optuna or parameters of hpo_core, optional
        The space, if it is known beforehand, with its conditions and constraints. A mapping of distributions
        grows with later suggestions; parameters that a ``Space`` does not have are drawn from their priors.
    metrics : mapping of str to Minimize or Maximize, optional
        The objectives of the study in its order, to give them a ``reference``. A study with other objectives
        is refused.
    constraints_func : callable, optional
        ``constraints_func(trial)`` returns numbers that are at most 0 if a finished trial is feasible.
        Objectives may call ``trial.set_constraint`` instead.
    seed : int, optional
        In [0, 2**63). By default one is drawn.

    Raises
    ------
    ArgumentError
        An argument is not allowed.

    Examples
    --------
    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=HpoSampler("auto", seed=0))
    >>> study.optimize(lambda trial: (trial.suggest_float("x", -10, 10) - 2) ** 2, n_trials=30)
    >>> study.best_value < 0.01
    True
    """

    def __init__(
        self,
        sampler: str | Sampler = "auto",
        *,
        space: Space | Mapping[str, Any] | None = None,
        metrics: Mapping[str, Minimize] | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        seed: int | None = None,
    ) -> None:
        self._sampler = copy.deepcopy(resolve(sampler))
        self._declared, self._domains = _read_space(space)
        self._objectives = _read_metrics(metrics)
        if constraints_func is not None and not callable(constraints_func):
            raise ArgumentError(f"constraints_func must be a function or None, got {shown(constraints_func)}")
        self._constraints_func = constraints_func
        if seed is not None:
            seed = check_int("seed", seed, 0, SEED_LIMIT - 1, also=" or None")
        self._seed = int.from_bytes(os.urandom(4)) if seed is None else seed
        self._forget()

    def _forget(self) -> None:
        self._lock = RLock()
        self._view: StudyView | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_view")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def __repr__(self) -> str:
        return f"HpoSampler({self._sampler.name!r})"

    def reseed_rng(self) -> None:
        """Draw a new seed."""
        with self._lock:
            self._seed = int.from_bytes(os.urandom(4))
            self._view = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what has been suggested so far, or what was declared."""
        with self._lock:
            view = self._of(study)
            view.update(study, but=trial.number)
            return view.domains()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values for a trial; Optuna draws those that are missing by ``sample_independent``."""
        with self._lock:
            view = self._of(study)
            if not search_space:
                return {}
            if not view.is_ready_for(trial.number):
                view.update(study, but=trial.number)
            found = view.suggest(trial.number, trial.system_attrs.get("fixed_params", {}))
        return {
            name: found[name]
            for name, distribution in search_space.items()
            if name in found and distribution._contains(distribution.to_internal_repr(found[name]))
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value that depends on the seed, the trial's number and the name alone.

        It is drawn from the prior. While nothing is known of the space, it is what the sampler would begin
        with if the space were what this trial has suggested so far.
        """
        with self._lock:
            found = self._of(study).begin(trial, param_name, param_distribution)
        if found is not None:
            return found[0]
        key = (self._seed, trial.number, zlib.crc32(param_name.encode("utf-8", "surrogatepass")))
        return draw(param_distribution, np.random.default_rng(key))

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,  # noqa: ARG002
    ) -> None:
        """Keep the constraints of a trial that has just finished."""
        if self._constraints_func is None or state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return
        found = tuple(map(float, self._constraints_func(trial)))
        if any(value != value for value in found):
            raise ArgumentError(f"constraints_func must return numbers, got {shown(found)}")
        study._storage.set_trial_system_attr(trial._trial_id, CONSTRAINTS, found)

    def _check(self, study: Study) -> None:
        if self._objectives is None:
            return
        given = [each.kind for each in self._objectives.values()]
        directions = [each.name.lower() for each in study.directions]
        if given != directions:
            raise ArgumentError(
                f"metrics must have the directions of the study, {', '.join(directions)}, "
                f"got {', '.join(given)}"
            )

    def _of(self, study: Study) -> StudyView:
        """Return what is known of a study; a sampler remembers one study at a time."""
        self._check(study)
        if self._view is None or not self._view.is_of(study):
            start = None if self._declared is None else Codec.declared(self._declared)
            self._view = StudyView(study, self._sampler, start, self._domains, self._objectives, self._seed)
        return self._view


class StudyView:
    """A study of Optuna as a sampler has seen it so far.

    ``update`` reads what is new. If a parameter, a range, a rule or a constraint is new, the mirror is made
    again from all finished trials; otherwise it takes in the new ones.
    """

    def __init__(
        self,
        study: Study,
        sampler: Sampler,
        declared: Codec | None,
        domains: Mapping[str, BaseDistribution],
        objectives: Metrics | None,
        seed: int,
    ) -> None:
        self._storage, self._id = study._storage, study._study_id
        self._directions = study.directions
        self._sampler, self._declared, self._objectives, self._seed = sampler, declared, objectives, seed
        self._discovery = Discovery(domains)
        self._constraints: dict[str, None] = {}
        self._finished: list[FrozenTrial] = []
        self._open: list[int] = []  # numbers of trials that had not finished
        self._n_read = 0
        self._suggested: dict[int, dict[str, Any]] = {}  # for trials that run
        self._ready_for = -1
        self._mirror: Mirror | None = None
        self._made_for: tuple[int, int] = (-1, -1)

    def is_of(self, study: Study) -> bool:
        """Whether this is the study."""
        return self._storage is study._storage and self._id == study._study_id

    def is_ready_for(self, number: int) -> bool:
        """Whether the last update was for this trial, and nothing has been suggested since."""
        return self._ready_for == number

    def domains(self) -> dict[str, BaseDistribution]:
        """Return what each parameter that can be suggested may be."""
        return {} if self._mirror is None else dict(self._mirror.codec.domains)

    def update(self, study: Study, *, but: int) -> None:
        """Read the trials that are new, or have changed; trial ``but`` is the one to suggest for."""
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        looked_at = [trials[number] for number in self._open] + trials[self._n_read :]
        self._n_read = len(trials)
        new = [trial for trial in looked_at if trial.state.is_finished()]
        still = [trial for trial in looked_at if not trial.state.is_finished()]
        self._open = [trial.number for trial in still]
        new.sort(key=lambda trial: (trial.datetime_complete is None, trial.datetime_complete, trial.number))
        running = [trial for trial in still if trial.state is TrialState.RUNNING and trial.number != but]
        for trial in (*new, *running):
            self._observe(trial)
        self._finished += [trial for trial in new if trial.params]  # the others ended before they had any
        self._renew(new)
        if self._mirror is not None:
            values = {t.number: self._suggested.get(t.number, {}) | t.params for t in running}
            self._mirror.follow({number: params for number, params in values.items() if params})
        for trial in new:
            self._suggested.pop(trial.number, None)
        self._ready_for = but

    def begin(self, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> tuple[Any] | None:
        """Return the next value of a trial before which nothing was suggested; None if something was.

        Sobol points are placed evenly only with the first of them, and each parameter has its own coordinate
        of a point: the values are those of a space that is known beforehand, without conditions.
        """
        if self._mirror is not None or self._declared is not None:
            return None
        found = Discovery()
        found.observe(trial.params, trial.distributions, complete=False)
        found.observe({}, {name: distribution}, complete=False)
        if name not in found.searched():
            return None
        metrics = metrics_of(self._directions, None, ())
        mirror = Mirror(Codec.discovered(found), metrics, (), copy.deepcopy(self._sampler), self._seed)
        return (mirror.suggest(trial.number, {})[name],)

    def _observe(self, trial: FrozenTrial) -> None:
        if self._declared is None:
            complete = trial.state is TrialState.COMPLETE
            self._discovery.observe(trial.params, trial.distributions, complete=complete)
        if trial.system_attrs and trial.state is TrialState.COMPLETE:
            self._constraints.update(dict.fromkeys(constraints_of(trial)))

    def _renew(self, new: Sequence[FrozenTrial]) -> None:
        """Bring the mirror up to date."""
        now = (self._discovery.version, len(self._constraints))
        if self._mirror is not None and now == self._made_for:
            self._mirror.finish([t for t in new if t.params or self._mirror.follows(t.number)])
            return
        self._made_for, self._mirror = now, None
        if self._declared is None and not self._discovery.searched():
            return
        codec = Codec.discovered(self._discovery) if self._declared is None else self._declared
        constraints = tuple(self._constraints)
        if self._objectives is None:
            metrics = metrics_of(self._directions, None, constraints)
        else:
            metrics = bounded(self._objectives, constraints)
        self._mirror = Mirror(codec, metrics, constraints, copy.deepcopy(self._sampler), self._seed)
        if self._finished:
            self._mirror.finish(self._finished)

    def suggest(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Return values for a trial."""
        self._ready_for = -1
        if self._mirror is None:
            return {}
        found = self._mirror.suggest(number, fixed) | dict(fixed)
        self._suggested[number] = found
        return found


def _read_space(space: Any) -> tuple[Space | None, dict[str, BaseDistribution]]:
    """Return a space that stays as it is, or the distributions that begin one that grows."""
    if space is None:
        return None, {}
    if isinstance(space, Space):
        return space, {}
    if not isinstance(space, Mapping) or not all(isinstance(name, str) for name in space):
        raise ArgumentError(
            f"space must be a Space, or a mapping of names to distributions or parameters, got {shown(space)}"
        )
    if all(isinstance(each, BaseDistribution) for each in space.values()):
        return None, dict(space)
    return Space(space), {}


def _read_metrics(metrics: Any) -> Metrics | None:
    if metrics is None:
        return None
    found = metrics if isinstance(metrics, Metrics) else Metrics(metrics)
    if found.constraints or found.reader.known:
        raise ArgumentError(
            f"metrics must be Minimize() or Maximize() without known=, got {dict(found)!r}; "
            "bounds come from the constraints of the trials"
        )
    return found
