"""A callback that logs a search to Weights & Biases: a run for each trial, in the group of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.checks import shown
from hpo_core.errors import ArgumentError
from hpo_core.integrations.tracking import UNNAMED, Tracker, about, plain, title
from hpo_core.printable import printable

try:
    import wandb
except ImportError as error:
    raise ImportError("hpo_core.integrations.wandb needs Weights & Biases: pip install wandb") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpo_core.study import Study
    from hpo_core.trial import Trial

LONGEST_NAME = 128  # characters of a group or a run that W&B takes


class WandbTracker(Tracker[Any]):
    """Logs each trial as a run of its own; the group is the study's name.

    Parameters are the config of a run, reports are its history with ``trial_step`` as the axis, and its
    summary has the result, ``state``, ``reason`` and the notes. The run of a failed trial is marked as
    failed; the run of a trial that was stopped early is marked as finished, with "stopped" in its summary. A
    trial that is resumed after a pause continues its run; offline runs are joined when they are uploaded.

    Runs do not capture what the objective prints. ``WANDB_MODE=offline`` keeps runs on this machine until
    ``wandb sync`` uploads them.

    Parameters
    ----------
    project : str, default "hpo_core"
        Name of the project.
    **init
        More arguments of ``wandb.init``, such as ``entity``, ``dir``, ``tags`` or ``mode``.

    Raises
    ------
    ArgumentError
        ``project`` is not a str, or is empty, or ``init`` has an argument that the tracker sets itself.

    Examples
    --------
    ::

        study.optimize(objective, n_trials=20, callbacks=[WandbTracker("digits", tags=["mlp"])])
    """

    def __init__(self, project: str = UNNAMED, **init: Any) -> None:
        super().__init__()
        if not isinstance(project, str) or not project:
            raise ArgumentError(f"project must be a name, got {shown(project)}")
        for name in ("group", "name", "id", "config", "reinit", "resume"):
            if name in init:
                raise ArgumentError(f"{name} must be left out: the tracker sets it for each trial")
        self._init = {"project": project, **init}
        self._paused: dict[Trial, str] = {}  # identifiers of their runs

    def _start(self, study: Study, trial: Trial) -> Any:
        params, before = trial.params, self._paused.pop(trial, None)
        run = wandb.init(
            **{"settings": wandb.Settings(console="off", silent=True), **self._init},
            group=title(study)[:LONGEST_NAME],
            name=f"trial-{trial.number}",
            config={
                "trial": trial.number,
                "params": {printable(name): plain(value) for name, value in params.items()},
            },
            id=before,
            resume=None if before is None else "allow",
            reinit="create_new",  # beside the runs of other trials
        )
        run.define_metric("*", step_metric="trial_step")
        return run

    def _log(self, run: Any, values: Mapping[str, float], step: int) -> None:
        run.log({"trial_step": step, **{printable(name): value for name, value in values.items()}})

    def _close(self, run: Any, study: Study, trial: Trial) -> None:  # noqa: ARG002 - of trackers
        run.summary.update({printable(name): printable(value) for name, value in about(trial).items()})
        if trial.state.name == "PAUSED":
            self._paused[trial] = run.id
        run.finish(exit_code=int(trial.state.name == "FAILED"))
