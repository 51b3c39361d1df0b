"""Looking after stored studies: read one without taking part, delete one, check its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from hpo_core.errors import HpoError, StudyError
from hpo_core.log import History
from hpo_core.log.journal import Journal
from hpo_core.log.ledger import until_written
from hpo_core.samplers import Sampler
from hpo_core.storage.base import DELETED
from hpo_core.study.description import find, key_of
from hpo_core.study.study import Study

if TYPE_CHECKING:
    from hpo_core.storage import Record, Storage
    from hpo_core.study.description import Description


class ReadOnlyStudy(Study):
    """A stored study to look at. It waits for no lock, and any change raises ``StudyError``.

    Its sampler has the right name and nothing else, so that a study can be read even if its sampler or its
    ``feasible`` function is the user's own.

    Attributes
    ----------
    description : Description
        The study as its log describes it.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        place, stored = find(storage, name)
        self.description = stored
        self.space, self.metrics, self.seed = stored.space, stored.metrics, stored.seed
        self.sampler = type("Absent", (_AbsentSampler,), {"name": stored.sampler["name"]})()
        self.name, self.allow_duplicates = name, stored.allow_duplicates
        self.scheduler = self.checkpoints = None
        self.keep_checkpoints = True
        self.history = History(self.space.layout, self.metrics)
        self._journal = Journal(place, name, self.space, self.metrics)
        self._last: list[Record] = []
        self._keep(self._journal, read_only=True)

    def sync(self) -> None:
        """Read what has been added to the log.

        Raises
        ------
        StudyError
            The study has been deleted, its space has been changed, or the storage has been put back to an
            earlier state. Open the study again, if it is there.
        StorageError
            The storage cannot be read.
        """
        with self._ledger.lock:
            self._check_end()
            self._ledger.look(bool)
            end = self._journal.cursor
            self._last = self._journal.storage.read(self._journal.key, end - 1, 1) if end else []

    def _check_end(self) -> None:
        """Raise unless the log still holds the last event that was read from it."""
        storage, key = self._journal.storage, self._journal.key
        if storage.studies().get(self.name) != key:
            raise StudyError(f"study {self.name!r} has been deleted from {storage}")
        if self._last and storage.read(key, self._last[0][0], 1) != self._last:
            raise StudyError(
                f"the log of study {self.name!r} is not the one that was read: the storage has been put back "
                "to an earlier state"
            )

    def _described(self) -> Description:
        return self.description

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadOnlyStudy, (self._ledger.storage, self.name)


class _AbsentSampler(Sampler):
    """Stands in for the sampler, which is not needed for reading."""

    def start(self, *_: Any, **__: Any) -> NoReturn:
        raise StudyError("this study was opened for reading only")

    def ask(self, *_: Any) -> NoReturn:
        raise StudyError("this study was opened for reading only")


def delete(storage: Storage, name: str) -> None:
    """Free the name of a study. Its log stays, and processes that have the study open get an error.

    Raises
    ------
    StudyError
        There is no such study.
    """

    def delete_it() -> None:
        with storage.transaction():
            storage.append(key_of(storage, name), [(DELETED, "{}")])

    until_written(delete_it)


def check(storage: Storage, name: str, key: int) -> dict[str, Any]:
    """Read a log up to its end or to the first damage.

    Returns
    -------
    dict
        ``study``, ``last_good`` position (-1 if there is none), and ``problem``, None if there is none.
    """
    problem = None
    try:
        ReadOnlyStudy(storage, name)
    except Exception as error:  # any: this looks for damage that other code does not expect
        problem = str(error) if isinstance(error, HpoError) else f"it cannot be read: {error!r}"
    return {"study": name, "last_good": storage.count_good(key) - 1, "problem": problem}
