"""A callback for Keras that reports a trial's metric and ends a training that is to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.integrations.reporting import Reporter

try:
    from keras.callbacks import Callback
except ImportError as error:
    raise ImportError(
        "hpo_core.integrations.keras needs Keras and its backend: pip install keras torch, "
        "and set the environment variable KERAS_BACKEND to torch"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpo_core.integrations.reporting import Monitor
    from hpo_core.trial import Trial


class ReportCallback(Callback):
    """Reports to a trial after each epoch of ``fit``, and sets ``model.stop_training`` if it is to stop.

    A step is an epoch, counted from ``initial_epoch``. The study learns the number of epochs, so a scheduler
    needs no ``max_steps``.

    Parameters
    ----------
    trial : Trial
    monitor : str, mapping or callable
        Name of a value of the epoch's ``logs``. For a study of several metrics, a mapping of each metric to
        such a name. Or a function of the ``logs`` that returns the value to report.

    Raises
    ------
    ArgumentError
        ``monitor`` does not fit the metrics of the study, or, in training, names a missing value.

    Examples
    --------
    ::

        def objective(trial):
            model = build(trial["width"])
            report = ReportCallback(trial, "val_loss")
            fitted = model.fit(x, y, validation_split=0.2, epochs=20, callbacks=[report])
            return fitted.history["val_loss"][-1]
    """

    def __init__(self, trial: Trial, monitor: Monitor = "val_loss") -> None:
        super().__init__()
        self._reporter = Reporter(trial, monitor)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - of Keras
        """Tell the study the length of the training."""
        self._reporter.plan(self.params.get("epochs") or 0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the values of an epoch."""
        if self._reporter.report(epoch, logs or {}):
            self.model.stop_training = True
