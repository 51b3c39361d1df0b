"""The spaces that a stored study has had, each with the history as it was then."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hpo_core.log.codec import Codec
from hpo_core.log.decode import read
from hpo_core.log.history import History
from hpo_core.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hpo_core.log.journal import Journal

    Columns = dict[str, NDArray[Any]]

PAGE: Final = 4096  # events read at a time


class Era(NamedTuple):
    """A space that a study has had.

    Attributes
    ----------
    space : Space
    history : History
        Up to the end of the era, as it was then.
    since : int
        First trial that was asked in it.
    settle : callable or None
        Maps coordinates (d, n) of suggestions, and their ``given``, to the coordinates that the log gives
        back. None if there is no log.
    """

    space: Space
    history: History
    since: int
    settle: Callable[[NDArray[np.float64], NDArray[np.float64] | None], NDArray[np.float64]] | None


def eras(journal: Journal, history: History) -> Iterator[Era]:
    """Yield each space that a study has had, in order."""
    described = journal.storage.descriptions(journal.key)
    with_defaults = partial(_with_defaults, journal.codec.space)
    metrics = history.metrics.with_functions(with_defaults)
    since = 0
    for (_, _, text, _), (end, *_) in pairwise(described):
        declared = Space.from_json(json.dumps(json.loads(text)["space"]))
        codec = Codec(declared.with_feasible(with_defaults(journal.codec.space.feasible)), metrics)
        then, cursor = History(codec.space.layout, metrics), 0
        while records := journal.storage.read(journal.key, cursor, min(PAGE, end - cursor)):
            then.extend(read(codec, records))
            then.mark()
            cursor += len(records)
        yield Era(codec.space, then, since, codec.settled)
        since = len(then)
    yield Era(journal.codec.space, history, since, journal.codec.settled)


def _with_defaults(
    space: Space, function: Callable[[Columns], Any] | None
) -> Callable[[Columns], Any] | None:
    """Return a function of columns for earlier spaces; parameters that they lack have defaults."""
    if function is None:
        return None
    defaults = space.decode(np.full((len(space.names), 1), np.nan))

    def completed(columns: Columns) -> Any:
        n = len(next(iter(columns.values())))
        return function({name: column.repeat(n) for name, column in defaults.items()} | columns)

    return completed
