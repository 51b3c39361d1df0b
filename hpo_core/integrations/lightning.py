"""A callback for PyTorch Lightning that reports a trial's metric and ends a training that is to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.integrations.reporting import Reporter

try:
    from pytorch_lightning import Callback
except ImportError:
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise ImportError(
            "hpo_core.integrations.lightning needs PyTorch Lightning: pip install pytorch-lightning"
        ) from error

if TYPE_CHECKING:
    from hpo_core.integrations.reporting import Monitor
    from hpo_core.trial import Trial


class ReportCallback(Callback):
    """Reports what a ``Trainer`` has logged to a trial, and sets ``trainer.should_stop`` if it is to stop.

    Normally it reports after each epoch that ended with a validation, or after each epoch if there is no
    validation; a step is then an epoch. If validations run within epochs (``val_check_interval`` below 1.0 or
    counted in batches), it reports after each of them; a step is then an optimizer step. The study learns the
    number of steps, so a scheduler needs no ``max_steps``.

    In a training on several devices, rank zero reports, and all of them stop together.

    Parameters
    ----------
    trial : Trial
    monitor : str, mapping or callable
        Name of a logged value, as in ``self.log("val_loss", ...)``. For a study of several metrics, a mapping
        of each metric to such a name. Or a function of ``trainer.callback_metrics`` that returns the value to
        report.

    Raises
    ------
    ArgumentError
        ``monitor`` does not fit the metrics of the study, or, in training, names a missing value.

    Examples
    --------
    ::

        def objective(trial):
            model = Classifier(lr=trial["lr"])
            trainer = Trainer(max_epochs=20, callbacks=[ReportCallback(trial, "val_loss")])
            trainer.fit(model, train, validation)
            return trainer.callback_metrics["val_loss"].item()
    """

    def __init__(self, trial: Trial, monitor: Monitor = "val_loss") -> None:
        super().__init__()
        self._reporter = Reporter(trial, monitor)
        self._within_epochs = False
        self._has_validated = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's signature
        """Tell the study the length of the training."""
        per_epoch = trainer.check_val_every_n_epoch is not None and trainer.val_check_interval == 1.0
        self._within_epochs = trainer.enable_validation and not per_epoch
        self._has_validated = False
        if trainer.is_global_zero:
            self._reporter.plan(
                trainer.estimated_stepping_batches if self._within_epochs else (trainer.max_epochs or 0)
            )

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Report if validations run within epochs."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._has_validated = True
        if self._within_epochs and trainer.global_step > 0:
            self._report(trainer, trainer.global_step - 1)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Report unless there is nothing new, or validations run within epochs."""
        if not self._within_epochs and (self._has_validated or not trainer.enable_validation):
            self._report(trainer, trainer.current_epoch)
        self._has_validated = False

    def _report(self, trainer: Any, step: int) -> None:
        stops = trainer.is_global_zero and self._reporter.report(step, trainer.callback_metrics)
        stops = trainer.strategy.reduce_boolean_decision(stops, all=False)
        trainer.should_stop = trainer.should_stop or stops
