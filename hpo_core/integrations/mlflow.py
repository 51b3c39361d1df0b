"""A callback that logs a search to MLflow: a run for the study, and a nested run for each trial."""

from __future__ import annotations

import hashlib
import posixpath
import re
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from hpo_core.checks import shown
from hpo_core.errors import ArgumentError, StudyError
from hpo_core.integrations.tracking import Tracker, about, title, unique
from hpo_core.printable import printable

try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag, ViewType
    from mlflow.exceptions import MlflowException
except ImportError as error:
    raise ImportError("hpo_core.integrations.mlflow needs MLflow: pip install mlflow") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpo_core.study import Study
    from hpo_core.trial import Trial

STATUS: Final = {
    "COMPLETE": "FINISHED",
    "STOPPED": "KILLED",
    "FAILED": "FAILED",
    "PAUSED": "SCHEDULED",
}
STUDY, TRIAL, PARENT = "hpo_core.study", "hpo_core.trial", "mlflow.parentRunId"
# Limits of MLflow: characters of a name and of a value, and entries of one kind in a batch.
LONGEST_NAME, LONGEST_VALUE, LARGEST_BATCH = 240, 5000, 100


class MLflowTracker(Tracker[str]):
    """Logs each trial as a run, nested in a run of the study.

    =============  =========================================================================================
    MLflow         hpo_core
    =============  =========================================================================================
    params         parameters that are active
    metrics        reports, by step, and the result as the value of the last step
    tags           ``state``, ``reason``, ``origin``, ``notes.name``, and the number as ``hpo_core.trial``
    status         FINISHED, KILLED (stopped early), FAILED, SCHEDULED (paused), RUNNING
    =============  =========================================================================================

    The run of the study is RUNNING while one of its trials is; for a study of one objective its metric
    ``best_...`` has a step for each trial that was the best so far. A study that is resumed, here or in
    another process, continues the run with its name and seed; a trial that is resumed continues its own run.

    Characters that MLflow does not allow in names become ``_``, and the name ends in a hash. MLflow's active
    run is not changed, so an objective may log to a run of its own.

    Parameters
    ----------
    tracking_uri : str, optional
        Address of the runs; by default MLflow's own setting, such as ``MLFLOW_TRACKING_URI``.
    experiment : str, optional
        Name of the experiment; by default that of the study, or "hpo_core".

    Raises
    ------
    ArgumentError
        ``experiment`` is not a str, or is empty.

    Examples
    --------
    ::

        study.optimize(objective, n_trials=20, callbacks=[MLflowTracker("sqlite:///runs.db")])
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str | None = None) -> None:
        super().__init__()
        if experiment is not None and (not isinstance(experiment, str) or not experiment):
            raise ArgumentError(f"experiment must be a name or None, got {shown(experiment)}")
        self._client = MlflowClient(tracking_uri)
        self._experiment = experiment
        # By study: the identifiers of its experiment and its run.
        self._studies: WeakKeyDictionary[Study, tuple[str, str]] = WeakKeyDictionary()

    def _start(self, study: Study, trial: Trial) -> str:
        has_run = study._has_run(trial.number)
        experiment, parent = self._of_study(study, goes_on=has_run or trial.number > 0)
        if not any(other._study is study for other in self._runs):
            self._client.update_run(parent, status="RUNNING")
        run = self._find(experiment, {PARENT: parent, TRIAL: str(trial.number)}) if has_run else None
        if run is None:
            tags = {PARENT: parent, TRIAL: str(trial.number), "state": "running", "origin": trial.origin}
            run = self._create(experiment, f"trial {trial.number}", tags)
            params = trial.params
            names = unique(params, _allowed)
            values = [Param(names[name], _text(value)) for name, value in params.items()]
            for first in range(0, len(values), LARGEST_BATCH):
                self._client.log_batch(run, params=values[first : first + LARGEST_BATCH])
        else:
            self._client.update_run(run, status="RUNNING")
        return run

    def _of_study(self, study: Study, *, goes_on: bool) -> tuple[str, str]:
        """Return the experiment and the run of a study; if it is resumed, they may exist."""
        if study not in self._studies:
            digest = hashlib.sha256(f"{study.seed} {study.name}".encode(errors="surrogatepass"))
            tags = {STUDY: digest.hexdigest()[:16]}
            experiment = self._experiment_of(study)
            run = self._find(experiment, tags) if goes_on else None
            if run is None:
                about_study = {
                    "sampler": study.sampler.name,
                    "seed": study.seed,
                    "metrics": dict(study.metrics),
                }
                tags |= {name: _text(value) for name, value in about_study.items()}
                run = self._create(experiment, title(study), tags)
            self._studies[study] = experiment, run
        return self._studies[study]

    def _experiment_of(self, study: Study) -> str:
        name = printable(self._experiment or title(study))[:LONGEST_NAME]
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:  # another process has made it meanwhile
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _create(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(experiment, run_name=name[:LONGEST_NAME], tags=dict(tags))
        return str(run.info.run_id)

    def _find(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self._client.search_runs([experiment], query, ViewType.ACTIVE_ONLY, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _log(self, run: str, values: Mapping[str, float], step: int) -> None:
        names, now = unique(values, _allowed), int(time.time() * 1000)
        metrics = [Metric(names[name], value, now, step) for name, value in values.items()]
        self._client.log_batch(run, metrics=metrics)

    def _close(self, run: str, study: Study, trial: Trial) -> None:
        told = about(trial)
        names = unique(told, _allowed)
        tags = [RunTag(names[name], _text(value)) for name, value in told.items()]
        for first in range(0, len(tags), LARGEST_BATCH):
            self._client.log_batch(run, tags=tags[first : first + LARGEST_BATCH])
        status = STATUS[trial.state.name]
        if status == "SCHEDULED":
            self._client.update_run(run, status=status)
        else:
            self._client.set_terminated(run, status)
        _, parent = self._of_study(study, goes_on=True)
        self._log_best(parent, study, trial)
        if not any(other._study is study and other != trial for other in self._runs):
            self._client.set_terminated(parent, "FINISHED")

    def _log_best(self, parent: str, study: Study, trial: Trial) -> None:
        if study.metrics.n_objectives > 1 or trial.state.name != "COMPLETE":
            return
        try:
            best = study.best_trial
        except StudyError:
            return
        if best == trial and trial.values is not None:
            name = study.metrics.objectives[0]
            self._log(parent, {f"best_{name}": trial.values[name]}, trial.number)


def _text(value: object) -> str:
    return printable(str(value))[:LONGEST_VALUE]


def _allowed(name: str) -> str:
    """Return a name with characters that MLflow takes everywhere; one that is a path must be a plain one."""
    cleaned = re.sub(r"[^\w./ -]", "_", name)[:LONGEST_NAME].strip()
    if posixpath.normpath(cleaned) != cleaned or cleaned.startswith(("/", "..")) or cleaned == ".":
        cleaned = re.sub(r"[./]", "_", cleaned) or "_"
    return cleaned
