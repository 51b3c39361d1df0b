"""Hugging Face ``Trainer``: a callback that reports to a trial, and a search over training arguments."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError
from hpo_core.hints import did_you_mean
from hpo_core.integrations.reporting import Reporter
from hpo_core.metrics import Maximize, Minimize
from hpo_core.space import Float, Int, Ordinal, Space
from hpo_core.study import Study

try:
    from transformers import TrainerCallback
    from transformers.hyperparameter_search import (
        ALL_HYPERPARAMETER_SEARCH_BACKENDS,
        HyperParamSearchBackendBase,
    )
    from transformers.trainer_utils import (
        BestRun,
        HPSearchBackend,
        default_compute_objective,
        number_of_arguments,
    )
except ImportError as error:
    raise ImportError(
        "hpo_core.integrations.transformers needs Transformers: pip install 'transformers[torch]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hpo_core.integrations.reporting import Monitor
    from hpo_core.trial import Trial

    Direction: TypeAlias = Literal["minimize", "maximize"]

NAME: Final = "hpo_core"  # of the backend


class ReportCallback(TrainerCallback):
    """Reports to a trial after each evaluation of a ``Trainer``, and ends a training that is to stop.

    With ``eval_strategy="epoch"`` a step is an epoch, otherwise an optimizer step. The study learns the
    number of steps, so a scheduler needs no ``max_steps``. Evaluations outside ``train`` are not reported.

    In a training on several devices, the first process reports, and all of them stop together.

    Parameters
    ----------
    trial : Trial
    monitor : str, mapping or callable
        Name of a metric of ``evaluate``, such as "eval_loss". For a study of several metrics, a mapping of
        each metric to such a name. Or a function of all metrics by name that returns the value to report.

    Raises
    ------
    ArgumentError
        ``monitor`` does not fit the metrics of the study, or, in training, names a missing value.

    Examples
    --------
    ::

        def objective(trial):
            arguments = TrainingArguments("runs", eval_strategy="epoch", learning_rate=trial["lr"])
            trainer = Trainer(
                build(), arguments, train_dataset=train, eval_dataset=validation,
                callbacks=[ReportCallback(trial, "eval_loss")],
            )
            trainer.train()
            return trainer.evaluate()["eval_loss"]
    """

    def __init__(self, trial: Trial, monitor: Monitor = "eval_loss") -> None:
        self._reporter = Reporter(trial, monitor)
        self._is_training = False
        self._found: dict[str, Any] = {}  # not reported yet: each of several data sets has its own evaluation

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Tell the study the length of the training."""
        self._is_training = True
        if state.is_world_process_zero:
            self._reporter.plan(int(state.num_train_epochs if _by_epoch(args) else state.max_steps))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any], **_: Any) -> None:
        """Report once all monitored values are there."""
        if not self._is_training or not state.global_step:
            return
        self._found.update(metrics)
        if not self._reporter.knows(self._found):
            return
        step = max(round(state.epoch), 1) if _by_epoch(args) else state.global_step
        stops = state.is_world_process_zero and self._reporter.report(step - 1, self._found)
        self._found.clear()
        if _of_first_process(stops, args):
            control.should_training_stop = True

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Raise if a monitored value was missing in the evaluations."""
        if self._found:
            self._reporter.report(state.global_step, self._found)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Raise an error like ``on_step_begin``."""
        self.on_step_begin(args, state, control)
        self._is_training = False


def _by_epoch(args: Any) -> bool:
    return str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "epoch"


def _of_first_process(stops: bool, args: Any) -> bool:  # noqa: FBT001
    """Return what the first process has decided."""
    if args.world_size == 1:
        return stops
    from accelerate.utils import broadcast_object_list

    return bool(broadcast_object_list([stops])[0])


def default_space() -> Space:
    """Return the default space of the other backends of ``hyperparameter_search``."""
    return Space(
        {
            "learning_rate": Float(1e-6, 1e-4, log=True),
            "num_train_epochs": Int(1, 5),
            "seed": Int(1, 40),
            "per_device_train_batch_size": Ordinal([4, 8, 16, 32, 64]),
        }
    )


def search(
    trainer: Any,
    space: Space | Mapping[str, Any] | None = None,
    *,
    n_trials: int | None = 20,
    direction: Direction | Sequence[Direction] = "minimize",
    compute_objective: Callable[[dict[str, float]], Any] | None = None,
    hp_name: Callable[[Trial], str] | None = None,
    study: Study | None = None,
    **optimize: Any,
) -> Any:
    """Search training arguments of a ``Trainer``, as its ``hyperparameter_search`` does.

    Each trial makes a new model with ``model_init``, sets the arguments, trains, and reports each evaluation.
    Afterwards the trainer has its original arguments.

    Parameters
    ----------
    trainer : transformers.Trainer
        It must have a ``model_init``; if that takes an argument, it gets the ``Trial``.
    space : Space or mapping, optional
        Names are fields of ``TrainingArguments``; ``model_init`` may read others. By default the space of the
        other backends: learning rate, epochs, seed and batch size.
    n_trials : int, optional
        As for ``Study.optimize``.
    direction : {"minimize", "maximize"}, or a list of them
        A list for several objectives; ``compute_objective`` then returns as many numbers.
    compute_objective : callable, optional
        ``compute_objective(metrics)`` returns the value of an evaluation. By default its loss, or the sum of
        the other metrics if there are any.
    hp_name : callable, optional
        ``hp_name(trial)`` names the folder of a trial in ``output_dir``; "run-0" and so on by default.
    study : Study, optional
        Replaces ``space`` and ``direction``: a study with its own sampler, scheduler, storage or metrics.
    **optimize
        Other arguments of ``Study.optimize``: ``until``, ``timeout``, ``callbacks``, ``catch``, ``progress``.

    Returns
    -------
    transformers.trainer_utils.BestRun
        ``run_id``, ``objective``, ``hyperparameters``, and the ``Study`` as ``run_summary``. A list of them,
        for the trials on the front, if there are several objectives.

    Raises
    ------
    ArgumentError
        The trainer has no ``model_init`` or trains in several processes, a parameter is neither a training
        argument nor read by ``model_init``, or both ``space`` and ``study`` are given.

    Examples
    --------
    ::

        best = search(trainer, {"learning_rate": Float(1e-5, 1e-3, log=True)}, n_trials=10)
        study = Study(default_space(), scheduler="asha", storage="runs.db", name="bert")
        best = search(trainer, study=study, until=50)
    """
    if study is None:
        study = Study(default_space() if space is None else space, **_goal(direction))
    elif space is not None:
        raise ArgumentError("space must be left out if study is given")
    _check_trainer(trainer, study.space)
    objective = partial(
        _train,
        trainer,
        compute_objective=compute_objective or default_compute_objective,
        hp_name=hp_name or (lambda trial: f"run-{trial.number}"),
    )
    before = _arguments(trainer, study.space) | {"output_dir": trainer.args.output_dir}
    try:
        study.optimize(
            partial(_with_arguments, trainer, before, objective),
            n_trials=None if "until" in optimize else n_trials,
            **optimize,
        )
    finally:
        _set_arguments(trainer, before)
    if study.metrics.n_objectives == 1:
        return _best_run(study.best_trial, study)
    return [_best_run(trial, study) for trial in study.front()]


def _goal(direction: Any) -> dict[str, Any]:
    """Return the arguments of a study for a direction or several."""
    if isinstance(direction, str):
        return {"direction": direction}
    kinds: dict[str, type[Minimize]] = {"minimize": Minimize, "maximize": Maximize}
    if not isinstance(direction, list | tuple) or not direction or not set(direction) <= set(kinds):
        raise ArgumentError(
            f"direction must be 'minimize', 'maximize' or a list of these, got {shown(direction)}"
        )
    return {"metrics": {f"objective_{k}": kinds[each]() for k, each in enumerate(direction)}}


def _check_trainer(trainer: Any, space: Space) -> None:
    if getattr(trainer, "model_init", None) is None:
        raise ArgumentError(
            f"trainer must have a model_init, which makes the model of each trial; got {shown(trainer)}"
        )
    if trainer.args.world_size > 1:
        raise ArgumentError("trainer must train in one process: write an objective with ReportCallback")
    strange = [name for name in space.parameters if not hasattr(trainer.args, name)]
    if strange and not number_of_arguments(trainer.model_init):
        hint = did_you_mean(strange[0], vars(trainer.args))
        raise ArgumentError(
            f"space: {some(strange)} must be fields of TrainingArguments, or model_init must take the "
            f"trial{hint}"
        )


def _arguments(trainer: Any, space: Space) -> dict[str, Any]:
    return {name: getattr(trainer.args, name) for name in space.parameters if hasattr(trainer.args, name)}


def _with_arguments(
    trainer: Any, before: Mapping[str, Any], objective: Callable[[Trial], Any], trial: Trial
) -> Any:
    # An argument that is inactive in this trial keeps the value that it had before the search.
    chosen = {name: value for name, value in trial.params.items() if name in before}
    _set_arguments(trainer, {**before, **chosen})
    return objective(trial)


def _set_arguments(trainer: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        old = getattr(trainer.args, name)
        cast = value if old is None or value is None else type(old)(value)
        setattr(trainer.args, name, cast)
    trainer._train_batch_size = trainer.args.train_batch_size
    trainer.create_accelerator_and_postprocess()


def _train(
    trainer: Any,
    trial: Trial,
    *,
    compute_objective: Callable[[dict[str, float]], Any],
    hp_name: Callable[[Trial], str],
) -> Any:
    """Train once and return the objective of the last evaluation."""
    last: list[Any] = []

    def read(metrics: Mapping[str, float]) -> Any:
        last[:] = [compute_objective(dict(metrics))]
        return last[0]

    trainer.args.output_dir = os.path.join(trainer.args.output_dir, hp_name(trial))  # noqa: PTH118 - may be a URL
    report, model_init = ReportCallback(trial, read), trainer.model_init
    trainer.add_callback(report)
    if number_of_arguments(model_init):  # ``train`` takes only the trials of other backends
        trainer.model_init = partial(model_init, trial)
    try:
        trainer.train()
    finally:
        trainer.model_init = model_init
        trainer.remove_callback(report)
    if not last:
        read(trainer.evaluate())
    return last[0]


def _best_run(trial: Trial, study: Study) -> Any:
    values = trial.values or {}
    objective = [values[name] for name in study.metrics.objectives]
    return BestRun(str(trial.number), objective[0] if len(objective) == 1 else objective, trial.params, study)


class Backend(HyperParamSearchBackendBase):
    """The backend that ``register`` adds to ``Trainer.hyperparameter_search``."""

    name = NAME
    pip_package = "hpo-core"

    @staticmethod
    def is_available() -> bool:
        """Return True."""
        return True

    def default_hp_space(self, trial: Any) -> Space:  # noqa: ARG002 - of Transformers
        """Return the default space."""
        return default_space()

    def run(self, trainer: Any, n_trials: int, direction: Any, **options: Any) -> Any:
        """Search; ``options`` are those of ``search``."""
        # Trainer knows only its own backends, so it must not see this one while it trains.
        trainer.hp_search_backend = None
        space = None if "study" in options else trainer.hp_space(None)
        return search(
            trainer,
            space,
            n_trials=n_trials,
            direction=direction,
            compute_objective=trainer.compute_objective,
            hp_name=trainer.hp_name,
            **options,
        )


def register() -> None:
    """Make ``trainer.hyperparameter_search(backend="hpo_core")`` run ``search``.

    ``hp_space`` is then a function that returns a space. Other arguments of ``search``, such as ``study=``,
    ``timeout=`` or ``callbacks=``, are passed on.

    Examples
    --------
    ::

        register()
        best = trainer.hyperparameter_search(
            backend="hpo_core", n_trials=10, hp_space=lambda _: {"learning_rate": Float(1e-5, 1e-3, log=True)}
        )
    """
    if NAME not in HPSearchBackend._value2member_map_:
        # Transformers has no function for this: its backends are the members of an enumeration.
        member = str.__new__(HPSearchBackend, NAME)
        member._name_, member._value_ = NAME.upper(), NAME
        HPSearchBackend._member_map_[member._name_] = member
        HPSearchBackend._value2member_map_[NAME] = member
        HPSearchBackend._member_names_.append(member._name_)
    ALL_HYPERPARAMETER_SEARCH_BACKENDS[HPSearchBackend(NAME)] = Backend
