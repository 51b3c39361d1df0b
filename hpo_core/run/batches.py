"""The results of a batch: a number for each trial, or how the trial ended."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo_core.errors import TrialError, TrialFailed, TrialStopped
from hpo_core.executors.failures import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hpo_core.metrics import ResultReader
    from hpo_core.run.protocol import StudyLike
    from hpo_core.trial import TrialBatch


class Results(NamedTuple):
    """Results of a batch as read, (measured, k), and by row the exceptions that took the place of one."""

    values: NDArray[np.float64]
    ends: dict[int, TrialFailed | TrialStopped]

    def of(self, rows: NDArray[np.int64]) -> Results:
        """Return the results of some rows."""
        ends = {k: self.ends[row] for k, row in enumerate(rows.tolist()) if row in self.ends}
        return Results(self.values[:, rows], ends)


def read_results(reader: ResultReader, result: Any, batch: TrialBatch) -> Results:
    """Read the result of an objective for a batch."""
    ends: dict[int, TrialFailed | TrialStopped] = {}
    if isinstance(result, list | tuple) or getattr(result, "dtype", None) == np.object_:
        ends = {k: each for k, each in enumerate(result) if isinstance(each, TrialFailed | TrialStopped)}
        nothing = math.nan if len(reader.measured) == 1 else (math.nan,) * len(reader.measured)
        result = [nothing if k in ends else each for k, each in enumerate(result)]
    try:
        return Results(reader.many(result, len(batch)), ends)
    except TrialError as error:
        raise TrialError(f"the objective must return a number for each trial: {error}") from None


def ends_of(study: StudyLike, batch: TrialBatch, results: Results) -> Iterator[Callable[[], None]]:
    """Yield the changes that end a batch: one completes all trials with a value, the others end the rest."""
    complete = np.ones(len(batch), np.bool_)
    ended: dict[str | None, list[int]] = {}
    for row, end in results.ends.items():
        complete[row] = False
        reason = reason_of(end) if isinstance(end, TrialFailed) else None
        ended.setdefault(reason, []).append(row)
    if complete.any():
        told = results.values[:, complete]
        yield partial(study.tell, batch[complete], told[0] if len(told) == 1 else told.T)
    for reason, rows in ended.items():
        if reason is None:
            yield partial(study._end_early, batch[rows])
        else:
            yield partial(study.fail, batch[rows], reason=reason)
