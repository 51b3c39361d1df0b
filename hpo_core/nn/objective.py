"""Trainings as the objective of a study, alone or in cohorts."""

from __future__ import annotations

import math
import os
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
import torch

from hpo_core.checks import DIRECTIONS, check_mapping, check_number, check_one_of
from hpo_core.errors import ArgumentError, TrialFailed, TrialStopped
from hpo_core.nn.checkpoint import about, read_checkpoint, write_checkpoint
from hpo_core.nn.cohort import check_configurations, cohorts, train_members
from hpo_core.nn.data import read_examples
from hpo_core.nn.epochs import Member
from hpo_core.nn.task import Task, default_device, seeded
from hpo_core.nn.trainer import train_single
from hpo_core.nn.training import Training
from hpo_core.trial import TrialBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from hpo_core.nn.checkpoint import Checkpoint
    from hpo_core.nn.epochs import Report
    from hpo_core.nn.trained import Trained
    from hpo_core.trial import Trial

    Result: TypeAlias = float | Mapping[str, float]


class TrainingObjective:
    """Trains a network on the trial's configuration; the value is that of the best epoch.

    An instance is an objective for ``Study.optimize``. Given one trial, it trains and validates the network,
    reports after each epoch, and stops if the trial should stop. Given a batch
    (``vectorized=True, batch_size=256``), it trains configurations of the same architecture together, see
    ``train_cohort``; with a scheduler the cohort shrinks as members are stopped or paused.

    If the study has a folder for checkpoints, a trial saves one when it is told to stop, and once a minute in
    case its worker dies. A trial that runs again continues from there: on the CPU exactly as if it had never
    paused, except that dropout in a cohort depends on its members. Without that folder it begins again. A
    checkpoint that cannot be read, or that belongs to another training, is ignored with a warning.

    Initial weights, order of examples and dropout depend on ``trial.seed``, so on one machine a trial is
    repeatable. If a training runs out of memory, takes too long or has a loss that is not finite, the trial
    fails with the reason "oom", "timeout" or "diverged".

    Parameters
    ----------
    build : callable
        ``build(params)`` returns a ``torch.nn.Module`` for a mapping of the trial's parameters.
    train, validation : pair of arrays or tensors, or map-style Dataset
        Inputs and targets, a row per example. Arrays of floats become torch's default dtype.
    loss : callable, optional
        ``loss(outputs, targets)`` returns a scalar tensor; by default the cross-entropy of logits.
    metric : callable, optional
        ``metric(outputs, targets)`` returns a number, computed once over all validation examples; by default
        the loss without label smoothing.
    result : callable, optional
        ``result(value, network)`` is called once a training has completed. It returns the result of the
        trial instead of the value: for a study with several metrics, a mapping of names to numbers. It gets
        the network of the best epoch, in evaluation mode on the device, and may raise ``TrialFailed``. Epochs
        are then not reported, because only the value is known, so a scheduler has no effect.
    direction : {"minimize", "maximize"}, default "minimize"
        Direction of the metric, and of the study.
    training : Training, optional
        Settings for which the trial has no parameter of the same name.
    vary : collection of str, default ("dropout",)
        Parameters other than training settings that may differ within a cohort. They may change the
        probability of ``nn.Dropout`` layers, and nothing else in the network.
    timeout : float, optional
        Seconds that a trial may take, > 0, checked before each step. A cohort may take this long for each of
        its members, and a resumed trial starts from 0 again.
    device : str or torch.device, optional
        By default CUDA or MPS if available, otherwise the CPU.
    folder : path, optional
        Folder in which every completed trial saves its best weights, as ``trial-12.safetensors``.

    Raises
    ------
    ArgumentError
        An argument is not allowed, now or during a trial: the loss is not a scalar, ``build`` returns no
        network or reads no parameter of the trial, or a setting is out of range.

    Notes
    -----
    On CUDA devices that compute in bfloat16, networks run under autocast.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import torch
    >>> from hpo_core.nn import Training, TrainingObjective
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> y = (x[:, 0] > 0.2).long()
    >>> def build(params):
    ...     return torch.nn.Sequential(
    ...         torch.nn.Linear(1, params["width"]), torch.nn.Tanh(), torch.nn.Linear(params["width"], 2)
    ...     )
    >>> objective = TrainingObjective(build, (x, y), (x, y), training=Training(epochs=3), device="cpu")
    >>> space = {"width": hpo.Int(2, 8), "lr": hpo.Float(1e-3, 1.0, log=True)}
    >>> study = hpo.Study(space, sampler="random", seed=0)
    >>> study.optimize(objective, n_trials=4)
    >>> study.optimize(objective, n_trials=8, batch_size=8, vectorized=True)
    >>> best = study.best_trial
    >>> objective.train(best.params, seed=best.seed).value < 0.5
    True

    Several metrics: one is measured on the trained network, and one is known before the training.

    >>> from hpo_core.nn import measure_latency
    >>> def result(value, network):
    ...     return {"loss": value, "latency_ms": 1e3 * measure_latency(network, x[:1])}
    >>> objective = TrainingObjective(build, (x, y), (x, y), result=result, device="cpu")
    >>> metrics = {
    ...     "loss": hpo.Minimize(),
    ...     "latency_ms": hpo.AtMost(5.0),
    ...     "params": hpo.Minimize(known=lambda columns: 4 * columns["width"] + 2),
    ... }
    >>> study = hpo.Study(space, metrics=metrics, sampler="random", seed=0)
    >>> study.optimize(objective, n_trials=4)
    >>> sorted(study.trials[0].values)
    ['latency_ms', 'loss', 'params']
    """

    def __init__(  # noqa: PLR0913 - three things to train on and nine options
        self,
        build: Callable[[Mapping[str, Any]], nn.Module],
        train: Any,
        validation: Any,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        metric: Callable[[Tensor, Tensor], Any] | None = None,
        result: Callable[[float, nn.Module], Result] | None = None,
        direction: Literal["minimize", "maximize"] = "minimize",
        training: Training | None = None,
        vary: Collection[str] = ("dropout",),
        timeout: float | None = None,
        device: str | torch.device | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        functions = {"build": build, "loss": loss, "metric": metric, "result": result}
        for name, function in functions.items():
            if not callable(function) and (function is not None or name == "build"):
                raise ArgumentError(f"{name} must be callable, got {function!r}")
        check_one_of("direction", direction, DIRECTIONS)
        self.build = build
        self.loss = loss
        self.metric = metric
        self.result = result
        self.direction = direction
        self.training = _read_training(training)
        self.vary = _read_vary(vary)
        self.timeout = _read_timeout(timeout)
        self.device = _read_device(device)
        self.folder = _read_folder(folder)
        self._train = read_examples("train", train, classes=loss is None)
        self._validation = read_examples("validation", validation, classes=loss is None and metric is None)
        if metric is None and direction == "maximize":
            raise ArgumentError(
                "direction must be 'minimize' if metric is None, got 'maximize'; losses are minimised"
            )

    @cached_property
    def task(self) -> Task:
        """The data on the device, and all else that the trainings share."""
        return Task(
            self.build,
            self._train.to(self.device),
            self._validation.to(self.device),
            self.loss,
            self.metric,
            self.direction == "maximize",
            self.training,
            self.device,
            self.timeout,
        )

    def __getstate__(self) -> dict[str, Any]:
        # Worker processes put the data on the device themselves.
        return {name: value for name, value in vars(self).items() if name != "task"}

    def train(self, params: Mapping[str, Any], *, seed: int) -> Trained:
        """Train one configuration as in a trial, and return the trained weights.

        Given a trial's parameters and seed, this repeats its training.

        Parameters
        ----------
        params : mapping
            The configuration, as ``trial.params``.
        seed : int
            Seed of initial weights, order of examples and dropout, in [0, 2**63).

        Returns
        -------
        Trained
            Best weights and values; with a ``reason`` if the training failed.

        Raises
        ------
        ArgumentError
            An argument is not allowed.
        """
        check_mapping("params", params)
        check_configurations([params], [seed])
        return train_single(self.task, Member(params, int(seed)), _ignore)

    @overload
    def __call__(self, trial: Trial) -> Result: ...
    @overload
    def __call__(self, trial: TrialBatch) -> list[Result | TrialFailed | TrialStopped]: ...
    def __call__(self, trial: Trial | TrialBatch) -> Result | list[Result | TrialFailed | TrialStopped]:
        """Train a running trial, or a batch of them.

        Returns
        -------
        float, mapping or list
            Value of the best epoch, or what ``result`` made of it. In a batch one for each trial, or in its
            place the exception that a single trial raises.

        Raises
        ------
        TrialFailed, TrialStopped
            The training failed, or the trial was told to stop.
        ArgumentError
            A trial shows an argument to be wrong.
        """
        if isinstance(trial, TrialBatch):
            return self._train_batch(trial)

        told = np.zeros(1, np.bool_)

        def report(epoch: int, members: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.bool_]:  # noqa: ARG001
            if self.result is None:
                trial.report(epoch, values.item(0))
            told[0] = trial.should_stop()
            return told

        trained = train_single(self.task, self._member(trial), report)
        result = self._outcome(trial, trained, told=told.item())
        if isinstance(result, TrialFailed | TrialStopped):
            raise result
        return result

    def _member(self, trial: Trial) -> Member:
        """Return the training of a trial, which goes on from the trial's checkpoint if there is one."""
        params = trial.params
        settings = self.task.settings(params)
        trial.steps(settings.epochs)  # so that the study knows
        text = about(params, settings, trial.seed)
        folder = trial.checkpoint
        start = None if folder is None else read_checkpoint(folder, text)
        save = None if trial.folder is None else partial(_save, trial, text)
        return Member(params, trial.seed, start, save)

    def _train_batch(self, batch: TrialBatch) -> list[Result | TrialFailed | TrialStopped]:
        members = [self._member(trial) for trial in batch]
        results: dict[int, Result | TrialFailed | TrialStopped] = {}
        for rows in cohorts(members, self.vary):
            part = batch[rows]
            stopped = np.zeros(len(rows), np.bool_)
            trainings = train_members(
                self.task,
                [members[row] for row in rows],
                partial(self._report, part, stopped),
                vary=self.vary,
            )
            told = stopped.tolist()
            for k, row in enumerate(rows.tolist()):
                results[row] = self._outcome(part[k], trainings[k], told=told[k])
        return [results[row] for row in range(len(batch))]

    def _report(
        self,
        batch: TrialBatch,
        stopped: NDArray[np.bool_],
        epoch: int,
        members: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        running = batch[members]
        if self.result is None:
            running.report(epoch, values)
        stopped[members] = running.should_stop()
        return stopped[members]

    def _outcome(self, trial: Trial, trained: Trained, *, told: bool) -> Result | TrialFailed | TrialStopped:
        if trained.reason is not None:
            return TrialFailed(trained.reason)
        if told and len(trained.values) < self.task.settings(trial.params).epochs:
            return TrialStopped()
        self._save(trial.number, trained)
        if self.result is None:
            return trained.value
        with seeded(trial.seed, self.device):
            network = trained.model(self.build).to(self.device)
            try:
                return self.result(trained.value, network)
            except TrialFailed as failure:
                return failure

    def _save(self, number: int, trained: Trained) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            trained.save(self.folder / f"trial-{number}.safetensors")


def train_cohort(
    objective: TrainingObjective,
    configurations: Sequence[Mapping[str, Any]],
    *,
    seeds: Sequence[int],
    report: Report | None = None,
) -> list[Trained]:
    """Train configurations of one architecture together.

    The results are the same as if each were trained alone, up to rounding. It is several times faster if the
    networks are so small that one of them does not use the processor fully. Each member has its own weights,
    order of examples and settings. A member that diverges, ends or is told to stop leaves at the end of the
    epoch, without an effect on the others. Dropout masks depend on the cohort.

    Parameters
    ----------
    objective : TrainingObjective
        The network to build, the data and the settings.
    configurations : sequence of mappings
        They may differ in ``lr``, ``momentum``, ``beta1``, ``beta2``, ``weight_decay``,
        ``label_smoothing``, ``epochs`` and the parameters in ``objective.vary``; the networks must have the
        same layers.
    seeds : sequence of int
        One per configuration, in [0, 2**63), as ``TrialBatch.seed``.
    report : callable, optional
        ``report(epoch, members, values)`` is called after each epoch with the positions (k,) of the members
        that are still training and their values (k,). It may return a mask (k,) of members to stop.

    Returns
    -------
    list of Trained
        One per configuration; it has a ``reason`` if the training failed. If memory runs out, the cohort is
        trained in halves.

    Raises
    ------
    ArgumentError
        An argument is not allowed, or the configurations differ in other parameters.

    Examples
    --------
    >>> import torch
    >>> from hpo_core.nn import Training, TrainingObjective, train_cohort
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> objective = TrainingObjective(
    ...     lambda params: torch.nn.Linear(1, 2), (x, (x[:, 0] > 0).long()), (x, (x[:, 0] > 0).long()),
    ...     training=Training(optimizer="sgd", epochs=5), device="cpu",
    ... )
    >>> slow, fast = train_cohort(objective, [{"lr": 0.001}, {"lr": 1.0}], seeds=[7, 7])
    >>> fast.value < slow.value
    True
    """
    if not isinstance(objective, TrainingObjective):
        raise ArgumentError(f"objective must be a TrainingObjective, got {objective!r}")
    seeds = check_configurations(configurations, seeds)
    if report is None:
        report = _ignore
    if not callable(report):
        raise ArgumentError(f"report must be callable or None, got {report!r}")
    members = [Member(params, seed) for params, seed in zip(configurations, seeds, strict=True)]
    return train_members(objective.task, members, report, vary=objective.vary)


def _save(trial: Trial, text: str, epoch: int, checkpoint: Checkpoint) -> None:
    with trial.save_checkpoint(epoch) as folder:
        write_checkpoint(folder, checkpoint | {"about": text})


def _ignore(epoch: int, members: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    """Report to nobody."""


def _read_training(training: object) -> Training:
    if not isinstance(training, Training | None):
        raise ArgumentError(f"training must be a Training or None, got {training!r}")
    return training or Training()


def _read_vary(vary: Any) -> frozenset[str]:
    names = None if isinstance(vary, str) or not hasattr(vary, "__iter__") else list(vary)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"vary must be a collection of parameter names, got {vary!r}")
    return frozenset(names)


def _read_timeout(timeout: Any) -> float:
    if timeout is None:
        return math.inf
    return float(check_number("timeout", timeout, "a number of seconds > 0 or None", lambda s: s > 0))


def _read_device(device: Any) -> torch.device:
    if device is None:
        return default_device()
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ArgumentError(f"device must be one that torch can use here, got {device!r}: {error}") from error


def _read_folder(folder: Any) -> Path | None:
    if not isinstance(folder, str | os.PathLike | None):
        raise ArgumentError(f"folder must be a path or None, got {folder!r}")
    return None if folder is None else Path(folder)
