"""A callback for XGBoost that reports a trial's metric and ends a training that is to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.checks import check_int
from hpo_core.integrations.reporting import Reporter

try:
    from xgboost import Booster
    from xgboost.callback import TrainingCallback
except ImportError as error:
    raise ImportError("hpo_core.integrations.xgboost needs XGBoost: pip install xgboost") from error

if TYPE_CHECKING:
    from hpo_core.integrations.reporting import Monitor
    from hpo_core.trial import Trial


class ReportCallback(TrainingCallback):
    """Reports to a trial after each boosting round, and ends the training if it is to stop.

    It works in ``xgboost.train`` and ``xgboost.cv``, where it reports means over the folds, and as an entry
    of ``callbacks`` of the scikit-learn estimators. A step is a round; the rounds of an
    ``xgb_model`` count too.

    Parameters
    ----------
    trial : Trial
    monitor : str, mapping or callable
        Name of a value: data set and metric with a hyphen, such as "validation_0-logloss", or "test-auc" in
        ``cv``. For a study of several metrics, a mapping of each metric to such a name. Or a function of all
        values by name that returns the value to report.
    steps : int, optional
        Number of new rounds, at least 1: ``num_boost_round`` or ``n_estimators``, which XGBoost does not tell
        its callbacks. If it is given, a scheduler needs no ``max_steps``.

    Raises
    ------
    ArgumentError
        ``monitor`` does not fit the metrics of the study, ``steps`` is not an int above 0, or, in training,
        ``monitor`` names a value that is not measured.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import xgboost
    >>> from sklearn.datasets import load_breast_cancer
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> train, validation = xgboost.DMatrix(x[:400], y[:400]), xgboost.DMatrix(x[400:], y[400:])
    >>> def objective(trial):
    ...     report = ReportCallback(trial, "validation-logloss", steps=20)
    ...     params = {"objective": "binary:logistic", "eta": trial["eta"]}
    ...     evals = [(validation, "validation")]
    ...     xgboost.train(params, train, 20, evals=evals, callbacks=[report], verbose_eval=False)
    ...     return trial.reports[-1][1]
    >>> space = {"eta": hpo.Float(0.01, 1.0, log=True)}
    >>> study = hpo.Study(space, sampler="random", scheduler="asha", seed=0)
    >>> study.optimize(objective, n_trials=6)
    >>> len(study.trials.where("stopped")) > 0
    True
    """

    def __init__(self, trial: Trial, monitor: Monitor, *, steps: int | None = None) -> None:
        super().__init__()
        self._reporter = Reporter(trial, monitor)
        self._steps = None if steps is None else check_int("steps", steps, 1, also=" or None")

    def before_training(self, model: Any) -> Any:
        """Tell the study the length of the training."""
        if self._steps is not None:
            before = model.num_boosted_rounds() if isinstance(model, Booster) else 0
            self._reporter.plan(before + self._steps)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report; True ends the training."""
        found = {
            f"{data}-{metric}": log[-1] for data, logs in evals_log.items() for metric, log in logs.items()
        }
        means = {name: last[0] if isinstance(last, tuple) else last for name, last in found.items()}
        if isinstance(model, Booster):
            return self._reporter.report(model.num_boosted_rounds() - 1, means)
        stops = self._reporter.report(epoch, means)
        if stops:  # ``cv`` returns results up to this round
            model.set_attr(best_iteration=str(epoch))
        return stops
