"""The studies that pictures are drawn of: what they must have, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpo_core.checks import some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.plots.style import text
from hpo_core.study import Study

Studies = Study | Mapping[str, Study]


def check_study(argument: str, study: object) -> None:
    """Raise unless an argument is a study."""
    if not isinstance(study, Study):
        raise ArgumentError(f"{argument} must be a Study, got {study!r}")


def checked_metrics(study: Study, metrics: Sequence[str] | None) -> Sequence[str]:
    """Return names of metrics, by default all."""
    if metrics is None:
        return study.metrics.names
    if isinstance(metrics, str) or not isinstance(metrics, Sequence) or not len(metrics):
        raise ArgumentError(f"metrics must be a list of names of metrics, got {metrics!r}")
    for metric in metrics:
        if metric not in study.metrics:
            names = ", ".join(study.metrics)
            raise ArgumentError(
                f"metrics must be among {names}, got {metric!r}{did_you_mean(metric, study.metrics)}"
            )
    return metrics


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
    names = {study.metrics.objectives for study in studies.values() if not study.metrics.direction}
    return text(*names.pop()) if len(names) == 1 else "objective"
