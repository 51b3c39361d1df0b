"""A callback for LightGBM that reports a trial's metric and ends a training that is to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.integrations.reporting import Reporter

try:
    from lightgbm.callback import EarlyStopException
except ImportError as error:
    raise ImportError("hpo_core.integrations.lightgbm needs LightGBM: pip install lightgbm") from error

if TYPE_CHECKING:
    from hpo_core.integrations.reporting import Monitor
    from hpo_core.trial import Trial


class ReportCallback:
    """Reports to a trial after each boosting round, and ends the training if it is to stop.

    It works in ``lightgbm.train`` and ``lightgbm.cv``, where it reports means over the folds, and as an entry
    of ``callbacks`` in ``fit`` of the scikit-learn estimators. A step is a round; the rounds of an
    ``init_model`` count too. The study learns the number of rounds, so a scheduler needs no ``max_steps``.
    The ``best_iteration`` of a model that was stopped is its last one.

    Parameters
    ----------
    trial : Trial
    monitor : str, mapping or callable
        Name of a value: data set and metric with a hyphen, such as "valid_0-auc", or "valid-auc" in ``cv``.
        For a study of several metrics, a mapping of each metric to such a name. Or a function of all values
        by name that returns the value to report.

    Raises
    ------
    ArgumentError
        ``monitor`` does not fit the metrics of the study, or, in training, names a missing value.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import lightgbm
    >>> from sklearn.datasets import load_breast_cancer
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> def objective(trial):
    ...     train = lightgbm.Dataset(x[:400], y[:400])
    ...     validation = lightgbm.Dataset(x[400:], y[400:], reference=train)
    ...     report = ReportCallback(trial, "valid_0-binary_logloss")
    ...     params = {"objective": "binary", "learning_rate": trial["learning_rate"], "verbose": -1}
    ...     lightgbm.train(params, train, 20, valid_sets=[validation], callbacks=[report])
    ...     return trial.reports[-1][1]
    >>> space = {"learning_rate": hpo.Float(0.01, 1.0, log=True)}
    >>> study = hpo.Study(space, sampler="random", scheduler="asha", seed=0)
    >>> study.optimize(objective, n_trials=6)
    >>> len(study.trials.where("stopped")) > 0
    True
    """

    def __init__(self, trial: Trial, monitor: Monitor) -> None:
        self.before_iteration = False
        self.order = 25  # between the recording of values and early stopping, each of which may end a round
        self._reporter = Reporter(trial, monitor)

    def __call__(self, env: Any) -> None:
        """Report the values of a round."""
        if env.iteration == env.begin_iteration:
            self._reporter.plan(env.end_iteration)
        results = env.evaluation_result_list or []
        if self._reporter.report(env.iteration, {f"{each[0]}-{each[1]}": each[2] for each in results}):
            raise EarlyStopException(env.iteration, results)
