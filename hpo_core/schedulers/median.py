"""Stop trials that are behind those that have completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hpo_core.checks import check_int, check_number
from hpo_core.hints import hinting_class
from hpo_core.log import State
from hpo_core.log.columns import Move
from hpo_core.schedulers.base import GO_ON, Verdict
from hpo_core.schedulers.metric import MetricRule
from hpo_core.schedulers.selection import Quantile

if TYPE_CHECKING:
    from hpo_core.log import History


@hinting_class
class Percentile(MetricRule):
    """Stops a trial that is behind the best ``q`` percent of the complete ones.

    After each step the best value of the trial so far is compared with the q-th percentile of the best values
    that complete trials had so far at the same step: those that reported it. The trial stops if it is worse.
    Best values are compared with best values, so that noise favours neither side. Golovin et al. compare with
    running means, which still contain the first steps of a curve, and so stop few trials.

    Parameters
    ----------
    q : float from 0 to 100
        With a smaller value more trials stop; 50 is the median, and 0 the best complete trial.
    min_trials : int
        Number of complete trials that a step needs before anything is decided there.
    warmup_steps : int
        Number of first steps of a trial during which nothing is decided.
    metric : str, optional
        By default the objective. A study with several objectives needs a name. Bounds are ignored.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    References
    ----------
    .. [1] D. Golovin et al. (2017), Google Vizier: a service for black-box optimization. KDD.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> scheduler = hpo.Percentile(25, warmup_steps=3)
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler=scheduler, sampler="random", seed=0)
    >>> def train(trial):
    ...     for epoch in trial.steps(9):
    ...         loss = trial["x"] + 1 / (1 + epoch)
    ...         trial.report(epoch, loss)
    ...         if trial.should_stop():
    ...             break
    ...     return loss
    >>> study.optimize(train, n_trials=30)
    >>> len(study.history.reports.step) < 30 * 9
    True
    """

    name: ClassVar[str] = "percentile"
    _options: ClassVar[tuple[str, ...]] = ("q", "min_trials", "warmup_steps", "metric")

    def __init__(
        self, q: float = 25.0, *, min_trials: int = 5, warmup_steps: int = 0, metric: str | None = None
    ) -> None:
        super().__init__(metric=metric)
        self.q = check_number("q", q, "a number from 0 to 100", lambda q: 0 <= q <= 100)
        self.min_trials = check_int("min_trials", min_trials, 1)
        self.warmup_steps = check_int("warmup_steps", warmup_steps, 0)

    def start(self, *, seed: int) -> None:
        """Bind to a study with an empty cache."""
        super().start(seed=seed)
        self._n_finished = 0  # trials that the cache has seen
        self._curves: dict[int, list[tuple[int, float]]] = {}  # of unfinished trials: depth, best so far
        self._at: dict[int, Quantile] = {}  # by depth, the best so far of complete trials

    def _judge(self, history: History, row: int, depth: int) -> Verdict:
        if depth <= self.warmup_steps:
            return GO_ON
        self._read(history)
        others = self._at.get(depth)
        if others is None or len(others) < self.min_trials or row not in self._curves:
            return GO_ON
        best, limit = self._curves[row][-1][1], others.value()
        if best <= limit:
            return GO_ON
        what = "median" if self.q == 50 else f"best {self.q:g} %"
        return Verdict(
            Move.STOP,
            -1,
            f"step {depth - 1:,}: its best, {self._shown(history.metrics, best)}, is behind the {what} of "
            f"{len(others):,} complete trial{'s'[: len(others) > 1]}, {self._shown(history.metrics, limit)}",
        )

    def _read(self, history: History) -> None:
        """Bring the cache up to date."""
        for row, depth, value in self._new_reports(history):
            curve = self._curves.setdefault(row, [])
            curve.append((depth, min(value, curve[-1][1]) if curve else value))
        ended = history.finish_order[self._n_finished :].tolist()
        self._n_finished += len(ended)
        for row in ended:
            curve = self._curves.pop(row, [])
            if history.state.item(row) == State.COMPLETE:
                for depth, best in curve:
                    if depth not in self._at:
                        self._at[depth] = Quantile(self.q / 100)
                    self._at[depth].add(best)


@hinting_class
class Median(Percentile):
    """Stops a trial that is behind the median of the complete ones: ``Percentile(50)``.

    Parameters
    ----------
    min_trials, warmup_steps : int
        As in ``Percentile``.
    metric : str, optional
        By default the objective. A study with several objectives needs a name.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    References
    ----------
    .. [1] D. Golovin et al. (2017), Google Vizier: a service for black-box optimization. KDD.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler="median", sampler="random", seed=0)
    >>> def train(trial):
    ...     for epoch in trial.steps(9):
    ...         loss = trial["x"] + 1 / (1 + epoch)
    ...         trial.report(epoch, loss)
    ...         if trial.should_stop():
    ...             break
    ...     return loss
    >>> study.optimize(train, n_trials=30)
    >>> len(study.history.reports.step) < 30 * 9
    True
    """

    name: ClassVar[str] = "median"
    _options: ClassVar[tuple[str, ...]] = ("min_trials", "warmup_steps", "metric")

    def __init__(self, *, min_trials: int = 5, warmup_steps: int = 0, metric: str | None = None) -> None:
        super().__init__(50.0, min_trials=min_trials, warmup_steps=warmup_steps, metric=metric)
