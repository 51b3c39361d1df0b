"""Hyperband: successive halving that begins early in some brackets and late in others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hpo_core.hints import hinting_class
from hpo_core.schedulers.asha import ASHA, Mode, all_brackets

if TYPE_CHECKING:
    from hpo_core.log import History


@hinting_class
class Hyperband(ASHA):
    """``ASHA`` with all brackets, each of which spends about the same number of steps.

    Use it if the first steps of a training may mislead: a trial of bracket b is not judged before the depth
    ``min_steps * factor**b``. The bracket of a trial depends on the seed of the study and the trial's number.

    Parameters
    ----------
    min_steps : int
        Steps until the first rung of the first bracket.
    max_steps : int, optional
        Steps of a full trial. By default the number that each trial gives to ``trial.steps(n)``.
    factor : int
        At least 2.
    mode : {"stop", "promote"}
        As in ``ASHA``.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    References
    ----------
    .. [1] L. Li et al. (2018), Hyperband: a novel bandit-based approach to hyperparameter optimization.
       arXiv:1603.06560.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler="hyperband", sampler="random", seed=0)
    >>> def train(trial):
    ...     for epoch in trial.steps(27):
    ...         loss = trial["x"] + 1 / (1 + epoch)
    ...         trial.report(epoch, loss)
    ...         if trial.should_stop():
    ...             break
    ...     return loss
    >>> study.optimize(train, n_trials=30)
    >>> len(study.history.reports.step) < 30 * 27
    True
    """

    name: ClassVar[str] = "hyperband"
    _options: ClassVar[tuple[str, ...]] = ("min_steps", "max_steps", "factor", "mode")

    def __init__(
        self, *, min_steps: int = 1, max_steps: int | None = None, factor: int = 3, mode: Mode = "stop"
    ) -> None:
        super().__init__(min_steps=min_steps, max_steps=max_steps, factor=factor, mode=mode)

    def _n_brackets(self, history: History, row: int) -> int:
        steps = self.max_steps or history.planned.item(row)
        return all_brackets(self.min_steps, steps, self.factor) if steps else 0
