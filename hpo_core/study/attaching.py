"""A study meets its storage, and results meet trials that another process has finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.checks import as_numbers
from hpo_core.errors import StudyError
from hpo_core.log.journal import Journal
from hpo_core.storage import Storage, open_storage
from hpo_core.storage.base import DURABILITY
from hpo_core.study.description import Description, create_or_resume, describe_sampler
from hpo_core.study.recorder import trial_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hpo_core.study.study import Study


def attach(
    study: Study, storage: Any, seed: int | None, if_exists: str, durability: str | None
) -> Journal | None:
    """Return the journal of a new study, if it has a storage."""
    if if_exists not in ("resume", "error"):
        raise StudyError(f"if_exists must be 'resume' or 'error', got {if_exists!r}")
    if durability not in (*DURABILITY, None):
        raise StudyError(f"durability must be 'normal', 'full' or None, got {durability!r}")
    if storage is None:
        return None
    _check_name(study.name)
    given = Description(
        space=study.space.with_feasible(None),
        feasible=study.space.feasible is not None,
        sampler=describe_sampler(study.sampler),
        seed=study.seed,
        direction=study.direction,
        allow_duplicates=study.allow_duplicates,
        durability=durability or "normal",
    )
    opened = open_storage(storage, durability=durability or "normal")
    place, stored = create_or_resume(
        opened, study.name, given, seed_given=seed is not None, if_exists=if_exists
    )
    if durability is None and stored.durability != given.durability and not isinstance(storage, Storage):
        place = place._replace(storage=open_storage(storage, durability=stored.durability))
    study.seed = stored.seed
    return Journal(place, study.name, study.space, study._sign)


def _check_name(name: str) -> None:
    try:
        good = 1 <= len(name.encode()) <= 1024 and "\0" not in name
    except UnicodeEncodeError:
        good = False
    if not name:
        raise StudyError(
            "name must be given where a storage is, as in Study(space, storage='x.db', name='first')"
        )
    if not good:
        raise StudyError(
            f"name must be text of 1 to 1,024 bytes without NUL where a storage is given, got {name!r}"
        )


def set_late_aside(study: Study, trials: Any, values: Any = None, **what: Any) -> tuple[Any, Any]:
    """Log what is for trials that another process finished first, and return the rest."""
    journal: Any = study._ledger.journal
    rows = trial_numbers(study, trials)
    late = journal.is_late(rows)
    if not late.any():
        return trials, values
    if values is not None:
        column = as_numbers(values if len(rows) > 1 or hasattr(values, "__len__") else [values], len(rows))
        what["values"] = journal.codec.values(study._sign * column[late])
        values = column[~late]
    journal.late(rows[late], what)
    return rows[~late], values


def drop_late(
    study: Study, rows: NDArray[np.int64], notes: Sequence[Mapping[str, object]]
) -> tuple[NDArray[np.int64], Sequence[Mapping[str, object]]]:
    """Leave out the notes on trials that another process finished first: they belong to its result."""
    journal: Any = study._ledger.journal
    late = journal.is_late(rows)
    return rows[~late], [note for note, out in zip(notes, late.tolist(), strict=True) if not out]
