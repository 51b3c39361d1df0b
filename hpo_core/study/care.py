"""Looking after stored studies: deleting one, checking its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.errors import HpoError
from hpo_core.storage.base import DELETED
from hpo_core.study.opening import key_of
from hpo_core.study.study import Study

if TYPE_CHECKING:
    from hpo_core.storage import Storage


def delete(storage: Storage, name: str) -> None:
    """Give a study's name free; its log stays, and whoever has it open is told.

    Raises
    ------
    StudyError
        There is no such study.
    """
    with storage.transaction():
        storage.append(key_of(storage, name), [(DELETED, "{}")])


def examine(storage: Storage, name: str, key: int) -> dict[str, Any]:
    """Read a log from its beginning to its end or to the first damage.

    Returns
    -------
    dict
        ``study``, ``last_good`` position (-1 if there is none), and ``problem``, None if there is none.
    """
    problem = None
    try:
        Study.open(storage, name)
    except HpoError as error:
        problem = str(error)
    return {"study": name, "last_good": storage.count_good(key) - 1, "problem": problem}
