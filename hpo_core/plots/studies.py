"""Checks of the studies, metrics and parameters that pictures are drawn of, and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal, Protocol

from hpo_core.analysis import importance
from hpo_core.analysis.axes import check_parameter
from hpo_core.analysis.series import StudyLike, metric_row
from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError, StudyError
from hpo_core.hints import did_you_mean
from hpo_core.plots.style import text

if TYPE_CHECKING:
    from hpo_core.samplers import Sampler
    from hpo_core.trial import TrialBatch


class Study(StudyLike, Protocol):
    """The part of ``hpo_core.Study`` that pictures need."""

    seed: int

    @property
    def sampler(self) -> Sampler:
        """The sampler, which proposes configurations."""

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Direction of its one objective."""

    @property
    def trials(self) -> TrialBatch:
        """All trials."""

    @property
    def best_trials(self) -> TrialBatch:
        """The front, or the trial that violates the bounds least."""

    def front(self) -> TrialBatch:
        """Return the trials that no other one dominates."""


Studies = Study | Mapping[str, Study]


def check_study(argument: str, study: object) -> None:
    """Raise unless an argument is a study."""
    if not all(hasattr(study, name) for name in ("space", "metrics", "history", "trials")):
        raise ArgumentError(f"{argument} must be a Study, got {shown(study)}")


def checked_metrics(study: Study, metrics: Sequence[str] | None) -> Sequence[str]:
    """Return names of metrics, by default all."""
    if metrics is None:
        return study.metrics.names
    if isinstance(metrics, str) or not isinstance(metrics, Sequence) or not len(metrics):
        raise ArgumentError(f"metrics must be a list of names of metrics, got {shown(metrics)}")
    for metric in metrics:
        if metric not in study.metrics:
            hint = did_you_mean(metric, study.metrics)
            raise ArgumentError(f"metrics must be one of {some(study.metrics)}, got {shown(metric)}{hint}")
    return metrics


def chosen(study: Study, names: Sequence[str] | None, metric: str | None, *, most: int) -> Sequence[str]:
    """Return names of parameters: as given, or all, or the most important ones in the space's order."""
    if not study.space.names:
        raise ArgumentError("study must have parameters, got a space of constants")
    if names is None:
        kept = {*by_importance(study, metric)[:most]}
        return [name for name in study.space.names if name in kept]
    if isinstance(names, str) or not isinstance(names, Sequence) or not len(names):
        raise ArgumentError(f"names must be a list of names of parameters, got {shown(names)}")
    return [check_parameter("names", name, study.space) for name in names]


def pair(study: Study, names: Sequence[str] | None, metric: str | None) -> tuple[str, str]:
    """Return the names of two parameters: as given, or the most important ones that are active together."""
    if names is None:
        return _most_important_pair(study, metric)
    found = chosen(study, names, metric, most=2)
    if len(found) != 2 or found[0] == found[1]:
        raise ArgumentError(f"names must be two different parameters, got {some(found)}")
    return found[0], found[1]


def by_importance(study: Study, metric: str | None) -> list[str]:
    """Return the parameters by importance for a metric, by default the first objective, descending.

    While too few trials can be compared, they are in the space's order.
    """
    if metric is None and study.metrics.n_objectives > 1:
        metric = study.metrics.objectives[0]
    metric_row(study, metric)
    try:
        return [*importance(study, metric)]
    except StudyError:
        return [*study.space.names]


def _most_important_pair(study: Study, metric: str | None) -> tuple[str, str]:
    trials = study.trials.where("complete")
    active = {name: trials.active(name) for name in study.space.names}
    for one, other in combinations(by_importance(study, metric), 2):
        if (active[one] & active[other]).any():
            return one, other
    raise ArgumentError("study must hold a completed trial in which two parameters are active, got none")


def labelled(label: str, studies: Studies) -> Mapping[str, Study]:
    """Return studies by their labels; a single one gets ``label``."""
    found = studies if isinstance(studies, Mapping) else {label: studies}
    for study in found.values():
        check_study("studies", study)
    return found


def shared_direction(studies: Mapping[str, Study]) -> str:
    """Return the direction of studies, all of which must have one objective, of the same direction."""
    for study in studies.values():
        if study.metrics.n_objectives > 1:
            raise ArgumentError(
                f"studies must have one objective each, got {some(study.metrics.objectives)}; "
                "for several see plot_front and plot_hypervolume"
            )
    directions = {study.direction for study in studies.values()}
    if len(directions) != 1:
        found = " and ".join(sorted(directions)) or "no study"
        raise ArgumentError(f"studies must be one or more of the same direction, got {found}")
    return directions.pop()


def with_shared_objectives(studies: Mapping[str, Study]) -> Mapping[str, Study]:
    """Return studies, all of which must have the same objectives, several, in the same order."""
    found = {
        tuple(f"{study.metrics[name].kind} {name}" for name in study.metrics.objectives)
        for study in studies.values()
    }
    if len(found) != 1:
        got = " and ".join(sorted(some(each) for each in found)) or "no study"
        raise ArgumentError(f"studies must be one or more with the same objectives, got {got}")
    (objectives,) = found
    if len(objectives) == 1:
        raise ArgumentError(f"studies must have several objectives, got {some(objectives)}; see plot_history")
    return studies


def objective_label(studies: Mapping[str, Study]) -> str:
    """Return the name of the objective, if all studies gave it the same one."""
    names = {study.metrics.objectives[0] for study in studies.values() if not study.metrics.direction}
    return text(names.pop()) if len(names) == 1 else "objective"
