"""Freeze-thaw: every trial pauses at every rung, and the sampler chooses which one goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hpo_core.hints import hinting_class
from hpo_core.schedulers.asha import ASHA
from hpo_core.schedulers.base import GO_ON, Verdict

if TYPE_CHECKING:
    from hpo_core.log import History

# A rung is left out if the rest of the training is shorter than this share of the way to the rung.
LEAST_REST = 0.5


@hinting_class
class FreezeThaw(ASHA):
    """Every trial pauses at every rung; the sampler continues one of them, or starts a new one.

    The samplers ``gp`` and ``auto`` model the learning curves, and choose the trial with the most expected
    improvement per step: see ``hpo_core.gp.horizon``. Every third time, if ASHA would promote a paused trial,
    the trial of its rung that the model expects to end best continues. Other samplers follow the rule of
    ``ASHA(mode="promote")``, and so do ``gp`` and ``auto`` if there are several metrics.

    A trial that continues should begin at its last checkpoint: see ``trial.checkpoint``.

    Parameters
    ----------
    min_steps : int
        Steps until the first rung. With fewer steps more configurations are tried, but their values say less
        about the end of the training.
    max_steps : int, optional
        Steps of a full trial. By default the number that each trial gives to ``trial.steps(n)``.
    factor : int
        Ratio of the depths of two rungs, at least 2.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    References
    ----------
    .. [1] K. Swersky, J. Snoek, R. P. Adams (2014), Freeze-thaw Bayesian optimization. arXiv:1406.3896.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler="freeze-thaw", sampler="gp", seed=0)
    >>> def train(trial):
    ...     for epoch in trial.steps(27):
    ...         loss = trial["x"] + 1 / (1 + epoch)
    ...         trial.report(epoch, loss)
    ...         if trial.should_stop():
    ...             break
    ...     return loss
    >>> study.optimize(train, n_trials=20)
    >>> len(study.history.reports.step) < 20 * 27
    True
    """

    name: ClassVar[str] = "freeze-thaw"
    _options: ClassVar[tuple[str, ...]] = ("min_steps", "max_steps", "factor")
    asks_sampler = True

    def __init__(self, *, min_steps: int = 3, max_steps: int | None = None, factor: int = 2) -> None:
        super().__init__(min_steps=min_steps, max_steps=max_steps, factor=factor, mode="promote")

    def decide(self, history: History, row: int) -> Verdict:
        """Decide about a running trial whose newest report has just been applied."""
        verdict = super().decide(history, row)
        steps, depth = self.max_steps or history.planned.item(row), history.last_step(row) + 1
        return GO_ON if 0 < steps - depth < LEAST_REST * depth else verdict

    def rungs(self, steps: int) -> list[int]:
        """Return the depths at which trials of ``steps`` steps pause."""
        return [depth for depth in super().rungs(steps) if steps - depth >= LEAST_REST * depth]
