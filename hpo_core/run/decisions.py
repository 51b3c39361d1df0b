"""Decisions about running trials: go on, or stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hpo_core.errors import HpoError
from hpo_core.executors import Decision
from hpo_core.log import State
from hpo_core.printable import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.run.protocol import StudyLike

logger = logging.getLogger("hpo_core")


def decide(study: StudyLike, rows: NDArray[np.int64]) -> list[Decision]:
    """Decide for each trial whether it goes on, from the state of the study. Nothing else decides this.

    If the storage cannot be read now, trainings go on.
    """
    try:
        is_over = study._is_over(rows)
    except HpoError as error:
        logger.info("cannot read whether running trials have ended: %s", printable(str(error)))
        is_over = (study.history.state[rows] != State.RUNNING) | (study.history.decision[rows] > 0)
    return [Decision.STOP if over else Decision.CONTINUE for over in is_over.tolist()]
