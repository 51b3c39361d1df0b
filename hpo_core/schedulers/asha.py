"""Asynchronous successive halving.

Glossary
--------
rung        number j; its depth is min_steps * factor**j, in every bracket
bracket     number b: its trials are compared among themselves, at the rungs from b on
arrival     the first report of a trial at or beyond the depth of a rung, whose value counts there
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from functools import cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from hpo_core.checks import STEP_LIMIT, check_flag, check_int, check_one_of
from hpo_core.errors import ArgumentError, StudyError
from hpo_core.hints import hinting_class
from hpo_core.log import State
from hpo_core.log.columns import Move
from hpo_core.schedulers.base import GO_ON, Scheduler, Verdict
from hpo_core.schedulers.ladder import Ladder
from hpo_core.schedulers.rungs import Rung
from hpo_core.seeds import trial_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.log import History

Mode = Literal["stop", "promote"]
NEVER = 2**64  # a depth past that of any report
MOST_STEPS, MOST_FACTOR, MOST_BRACKETS = STEP_LIMIT, 1_000, 32


@hinting_class
class ASHA(Scheduler):
    """Asynchronous successive halving: at each rung the best 1/factor of the trials continue.

    Rung j is at the depth ``min_steps * factor**j``, below ``max_steps``. Trials are ranked as everywhere in
    a study: feasible ones first, then by objective, or by front and hypervolume if there are several.

    With ``mode="stop"`` a trial that arrives at a rung continues if it is among the best
    ``max(1, n // factor)`` of the n trials that have arrived there, itself included; otherwise it stops. No
    checkpoints are needed, but early trials are compared with few others.

    With ``mode="promote"`` every trial pauses at every rung. A paused trial continues once it is among the
    best ``n // factor`` of its rung, and if no more than ``n // factor`` trials have been promoted from that
    rung. Promoted trials keep their places, even if better trials arrive later, or if they are interrupted.
    Deeper rungs come first. A trial that continues should begin at its last checkpoint: see
    ``trial.checkpoint``.

    Nothing is decided at the last planned step of a trial. If one report passes several rungs, the deepest
    one counts. Reports with values that are not finite do not count.

    Parameters
    ----------
    min_steps : int
        Steps until the first rung.
    max_steps : int, optional
        Steps of a full trial. By default the number that each trial gives to ``trial.steps(n)``; with
        ``mode="stop"`` it may be unknown.
    factor : int
        At least 2.
    mode : {"stop", "promote"}
        Whether trials stop at rungs, or pause and continue later.
    brackets : int
        Trials of bracket b skip the first b rungs, and are compared among themselves. The bracket of a trial
        depends on the seed of the study and the trial's number; the shares are those of Hyperband.
    grow : bool
        Begin with two rungs, and open the next one when the two highest disagree about the ranking by more
        than the noise (PASHA). Trials at the highest open rung stay paused until the next one opens, so
        possibly no trial is complete at the end: then train the best ones further. Needs
        ``mode="promote"``, one bracket and one metric.

    Raises
    ------
    ArgumentError
        An option is outside its range.

    Notes
    -----
    PASHA estimates the noise as the 90th percentile of the final gaps between two trials whose curves crossed
    and crossed back. It compares the newest 128 trials of a rung.

    References
    ----------
    .. [1] L. Li et al. (2018), A system for massively parallel hyperparameter tuning. arXiv:1810.05934.
    .. [2] O. Bohdal et al. (2022), PASHA: efficient HPO and NAS with progressive resource allocation.
       arXiv:2207.06940.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, scheduler=hpo.ASHA(factor=3), sampler="random", seed=0)
    >>> def train(trial):
    ...     for epoch in trial.steps(9):
    ...         loss = trial["x"] + 1 / (1 + epoch)
    ...         trial.report(epoch, loss)
    ...         if trial.should_stop():
    ...             break
    ...     return loss
    >>> study.optimize(train, n_trials=30)
    >>> len(study.history.reports.step) < 30 * 9 / 2
    True
    """

    name: ClassVar[str] = "asha"
    _options: ClassVar[tuple[str, ...]] = ("min_steps", "max_steps", "factor", "mode", "brackets", "grow")

    def __init__(
        self,
        *,
        min_steps: int = 1,
        max_steps: int | None = None,
        factor: int = 3,
        mode: Mode = "stop",
        brackets: int = 1,
        grow: bool = False,
    ) -> None:
        self.min_steps = check_int("min_steps", min_steps, 1, MOST_STEPS)
        if max_steps is not None:
            max_steps = check_int("max_steps", max_steps, self.min_steps + 1, also=" or None")
        self.max_steps = max_steps
        self.factor = check_int("factor", factor, 2, MOST_FACTOR)
        self.mode = check_one_of("mode", mode, ("stop", "promote"))
        self.brackets = check_int("brackets", brackets, 1, MOST_BRACKETS)
        self.grow = check_flag("grow", grow)
        if max_steps is not None:
            most = all_brackets(self.min_steps, max_steps, self.factor)
            if self.brackets > most:
                raise ArgumentError(
                    f"brackets must be at most {most} with min_steps={self.min_steps}, "
                    f"max_steps={max_steps} and factor={self.factor}, got {self.brackets}"
                )
        if self.grow and (self.mode != "promote" or self.brackets > 1):
            raise ArgumentError(
                f"grow must be False with mode={self.mode!r} and brackets={self.brackets}, got True; trials "
                "must be able to wait at the highest rung, so write ASHA(mode='promote', grow=True)"
            )
        self.pauses = self.mode == "promote"

    def start(self, *, seed: int) -> None:
        """Bind to a study with an empty cache."""
        self._seed = seed
        self._n_reports = self._n_moves = 0  # of the history that the cache has seen
        self._rungs: dict[tuple[int, int], Rung] = {}  # by rung and bracket
        # By row: depth of the next rung; depth of the report that arrived at a rung last, the rung.
        self._places: dict[int, tuple[int, int, int]] = {}
        self._nowhere = self.min_steps, 0, -1
        self._told: dict[int, int] = {}  # rung at which a trial was told to pause, by row
        self._went_on: set[int] = set()  # rows that were told nothing since they went on
        self._ladder = Ladder() if self.grow else None
        self._depths = depths(self.min_steps, self.max_steps, self.factor)

    def decide(self, history: History, row: int) -> Verdict:
        """Decide about a running trial whose newest report has just been applied."""
        depth = history.last_step(row) + 1
        ahead, arrived, _ = self._places.get(row, self._nowhere)
        if depth < ahead and depth != arrived:
            return GO_ON
        planned = history.planned.item(row) or math.inf
        bracket = self._bracket(history, row)
        if bracket is None or (self.pauses and self.max_steps is None and planned == math.inf):
            raise StudyError(
                f"the number of steps of trial {row} must be known to {type(self).__name__}, got none; give "
                "max_steps= or iterate over trial.steps(n)"
            )
        if self._ladder is not None and len(history.metrics.rows) > 1:
            raise StudyError("grow must be False in a study with several metrics, got True")
        self._read(history)
        _, arrived, j = self._places.get(row, self._nowhere)
        if depth != arrived or depth >= min(self.max_steps or math.inf, planned):
            return GO_ON
        rung = self._rungs[j, bracket]
        if self.pauses:
            return Verdict(Move.PAUSE, j, self._reason(history, row, j, rung))
        if rung.has_among_best(row):
            return GO_ON
        return Verdict(Move.STOP, j, self._reason(history, row, j, rung))

    def resume(self, history: History, n: int) -> list[int]:
        """Return up to ``n`` paused trials that go on now: of the deepest rung first, the best first."""
        if not self.pauses:
            return []
        self._read(history)
        found: list[int] = []
        for j, bracket in sorted(self._rungs, key=lambda place: (-place[0], place[1])):
            if len(found) < n and (self._ladder is None or j < self._ladder.top):
                is_paused = partial(self._is_paused, history, j)
                found += self._rungs[j, bracket].promotable(n - len(found), is_paused)
        return found

    def rungs(self, steps: int) -> list[int]:
        """Return the depths below ``steps`` at which trials of that length are compared, ascending."""
        return depths(self.min_steps, min(steps, self.max_steps or steps), self.factor)[:-1]

    def _is_paused(self, history: History, j: int, row: int) -> bool:
        return history.state.item(row) == State.PAUSED and self._told[row] == j

    def _reason(self, history: History, row: int, j: int, rung: Rung) -> str:
        depth, metrics = self._depths[j], history.metrics
        what = "it"
        if len(metrics.rows) == 1:
            value = history.reports.value.item(history.last_report.item(row))
            what = f"{metrics.sign.item(0) * value + 0.0:.6g}"  # no -0
        standing = "waits until it is" if self.pauses else "is not"
        place = f"rung {j} ({depth:,} step{'s'[: depth > 1]})"
        return f"{place}: {what} {standing} among the best {rung.quota:,} of {len(rung):,}"

    def _read(self, history: History) -> None:
        """Bring the cache up to date."""
        for row, depth, value in self._new_reports(history):
            if self._ladder is not None:
                self._ladder.report(row, depth, value)
            if depth >= self._places.get(row, self._nowhere)[0]:
                self._arrive(history, row, depth, value)
        if self.pauses:
            self._read_moves(history)

    def _new_reports(self, history: History) -> Iterator[tuple[int, int, Any]]:
        """Yield the reports that the cache has not seen and that are finite: row, depth, value."""
        first, reports = self._n_reports, history.reports
        values = reports.value[..., first:]
        finite = np.isfinite(values)
        if values.ndim == 1:
            each = values.tolist()
        else:
            finite, each = np.logical_and.reduce(finite, axis=0), list(values.T.copy())
        rows, steps = reports.row[first:].tolist(), reports.step[first:].tolist()
        self._n_reports += len(rows)
        for k, counts in enumerate(finite.tolist()):
            if counts:
                yield rows[k], steps[k] + 1, each[k]

    def _arrive(self, history: History, row: int, depth: int, value: Any) -> None:
        """Add a result to each rung that a report passes."""
        bracket = self._bracket(history, row)
        if bracket is None:
            return
        ahead, arrived, last = self._places.get(row, self._nowhere)
        after = bisect_right(self._depths, depth)
        for j in range(max(bisect_left(self._depths, ahead), bracket), after):
            if (j, bracket) not in self._rungs:
                self._rungs[j, bracket] = Rung(history.metrics, self.factor, least=0 if self.pauses else 1)
            self._rungs[j, bracket].add(row, value)
            if self._ladder is not None:
                self._ladder.arrive(row, j, value)
            if last >= 0:
                self._rungs[last, bracket].leave(row)
            arrived, last = depth, j
        self._places[row] = self._depths[max(after, bracket)], arrived, last

    def _read_moves(self, history: History) -> None:
        """Note who was told to pause, who has paused since, and who went on."""
        moves, first = history.moves, self._n_moves
        self._n_moves = len(moves.row)
        new = moves.row[first:].tolist(), moves.kind[first:].tolist(), moves.rung[first:].tolist()
        for row, kind, j in zip(*new, strict=True):
            if kind <= Move.PAUSE:
                self._told[row] = j
                self._went_on.discard(row)
                continue
            bracket = self._bracket(history, row)
            rung = None if bracket is None else self._rungs.get((self._told[row], bracket))
            if rung is not None and kind == Move.RESUMED:
                rung.leave(row)
                self._went_on.add(row)
            elif rung is not None and row in self._went_on:
                rung.come_back(row)
            elif rung is not None:
                rung.pause(row)

    def _bracket(self, history: History, row: int) -> int | None:
        """Return the bracket of a trial, None if it depends on an unknown number of steps."""
        n = self._n_brackets(history, row)
        if n < 2:
            return n - 1 if n else None
        ends = _ends(n, self.factor)
        return bisect_right(ends, trial_seed(~self._seed, row) % ends[-1])

    def _n_brackets(self, history: History, row: int) -> int:  # noqa: ARG002 - Hyperband looks at the trial
        """Return the number of brackets that a trial may be in, 0 if that is unknown."""
        return self.brackets


def depths(min_steps: int, max_steps: int | None, factor: int) -> list[int]:
    """Return the depths of all rungs below ``max_steps``, and a last one that no trial reaches."""
    found, depth = [], min_steps
    while depth < (max_steps or MOST_STEPS):
        found.append(depth)
        depth *= factor
    return [*found, NEVER]


def all_brackets(min_steps: int, max_steps: int, factor: int) -> int:
    """Return the number of brackets of Hyperband: in the last one, trials meet one rung or none."""
    n = 1
    while min_steps * factor**n <= max_steps:
        n += 1
    return n


@cache
def _ends(n: int, factor: int) -> list[int]:
    """Return, for each of ``n`` brackets, how many of a round of trials are in it or one before it.

    Hyperband gives bracket b of n, with s = n - 1 - b, ceil(n factor**s / (s + 1)) trials: about the same
    number of steps for each bracket.
    """
    return list(accumulate(-(-n * factor**s // (s + 1)) for s in range(n - 1, -1, -1)))
