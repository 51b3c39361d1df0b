"""What a study has found: its reading half."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from hpo_core.errors import StorageError, StudyError
from hpo_core.log import State
from hpo_core.log.journal import OutdatedError
from hpo_core.printable import displayed, printable
from hpo_core.replay import Replay, replay
from hpo_core.samplers.base import Sampler
from hpo_core.study.compatibility import eras
from hpo_core.trial import Trial, TrialBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from hpo_core.log import History
    from hpo_core.log.ledger import Ledger
    from hpo_core.space import Space

logger = logging.getLogger("hpo_core")

_LONGEST_REASON = 200  # characters of a reason in a message


class Results:
    """Reads a study; ``Study`` adds what changes it."""

    space: Space
    sampler: Sampler
    direction: Literal["minimize", "maximize"]
    name: str
    seed: int
    allow_duplicates: bool
    history: History
    _sign: float
    _ledger: Ledger
    _report: Callable[[NDArray[np.int64], int, NDArray[np.float64]], None]
    _note: Callable[[NDArray[np.int64], Sequence[Mapping[str, object]]], None]
    _should_stop: Callable[[NDArray[np.int64]], NDArray[np.bool_]]

    def recommend(self) -> dict[str, Any]:
        """Return the configuration to use: one that was tried and that the space permits.

        If the sampler has a model that sees through noise, it is the best configuration by that model;
        otherwise the one with the best value. ``best_trial`` may differ: it also counts added results that
        are outside the ranges or against ``forbid`` and ``feasible``.

        Raises
        ------
        StudyError
            No trial has completed, or the space permits none of the completed configurations.
        """
        self.best_trial  # noqa: B018 - an error if there is none
        history = self.history
        for order in (self.sampler.recommend(history), Sampler.recommend(self.sampler, history)):
            permitted = self.space.permits(*history.configurations(order))
            if permitted.any():
                return Trial(self, int(order[permitted.argmax()])).params
        raise StudyError(
            "the space permits none of the completed configurations; best_params has the best of them"
        )

    def replay(self) -> Replay:
        """Derive every suggestion again from the history, and compare.

        Returns
        -------
        Replay
            True if every suggestion is the same, bit for bit, as it is on the same build; otherwise it
            names the first trial that differs.

        Examples
        --------
        >>> import hpo_core as hpo
        >>> study = hpo.Study({"x": hpo.Float(-1, 1)}, sampler="random", seed=0)
        >>> study.tell(study.ask(100), [0.5] * 100)
        >>> print(study.replay())
        100 suggestions came out again
        """
        return self._ledger.look(self._replay)

    def _replay(self) -> Replay:
        again = partial(replay, sampler=self.sampler, seed=self.seed, allow_duplicates=self.allow_duplicates)
        journal = self._ledger.journal
        if journal is None:
            return again(self.space, self.history)
        found = Replay(0)
        for codec, history, since in eras(journal, self.history):
            this = again(codec.space, history, since=since, settle=codec.settled)
            found = replace(this, checked=found.checked + this.checked)
            if not found:
                break
        return found

    @property
    def trials(self) -> TrialBatch:
        """Every trial, running ones included: ``study.trials[-1]``, ``study.trials.where("failed")``."""
        return TrialBatch(self, np.arange(len(self._latest())))

    @property
    def n_finished(self) -> int:
        """Number of trials that are complete, stopped or failed."""
        return self._latest().count_finished()

    @property
    def best_trial(self) -> Trial:
        """Complete trial with the best value, the first told among equals; ``StudyError`` without one."""
        history = self._latest()
        if history.best < 0:
            raise StudyError(_none_completed(history))
        return Trial(self, history.best)

    @property
    def best_params(self) -> dict[str, Any]:
        """Parameters of ``best_trial``."""
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        """Value of ``best_trial``."""
        number = self.best_trial.number
        return self._sign * self.history.y.item(0, number)

    def _latest(self) -> History:
        """The history, up to date with other processes if the log can be read."""
        try:
            self._ledger.look(bool)
        except OutdatedError:
            pass
        except StorageError as error:
            logger.warning("the log cannot be read; newer results of other processes are missing: %s", error)
        return self.history

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per trial (needs pandas); see ``TrialBatch.to_pandas``."""
        return self.trials.to_pandas()

    @property
    def notes(self) -> dict[str, Any]:
        """Notes of the study itself, as a new dictionary."""
        return copy.deepcopy(self._latest().study_notes)

    def close(self) -> None:
        """Close the files and connections of the storage; the next use opens them again.

        Other studies of this process in the same file, or with the same ``Storage``, share these files.
        Does nothing for a study in memory. ``with Study(..., storage=...) as study:`` closes them at its end.
        """
        with self._ledger.lock:
            if self._ledger.journal is not None:
                self._ledger.journal.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def backup(self, path: str | Path) -> None:
        """Copy the study's SQLite file, with every study in it, to a new file.

        The file may be in use meanwhile. A plain copy lacks the newest events, which are in a second file
        beside it.

        Raises
        ------
        StorageError
            The study is not in an SQLite file, ``path`` already exists, or it cannot be written.
        """
        if self._ledger.journal is None:
            raise StorageError("this study has no storage to copy: it is kept in memory")
        self._ledger.journal.storage.backup(path)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        best = f", best {self.best_value:.6g}" if self.history.best >= 0 else ""
        return displayed(
            f"Study({name}{self.sampler.name}, {self.direction}, {len(self.history)} trials{best})"
        )

    def _repr_html_(self) -> str:
        facts = {"study": repr(self)}
        if self.history.best >= 0:
            facts |= {"best trial": str(self.history.best), "best value": f"{self.best_value:.6g}"}
            facts |= {name: repr(value) for name, value in self.best_params.items()}
        import html

        rows = ([html.escape(displayed(text)) for text in row] for row in facts.items())
        return f"<table>{''.join(f'<tr><th>{name}</th><td>{fact}</td></tr>' for name, fact in rows)}</table>"


def all_failed(history: History) -> str:
    """Message if every finished trial has failed, with the most common reason; otherwise empty."""
    n = history.count(State.FAILED)
    if not n or n < history.count_finished():
        return ""
    ((reason, k),) = Counter(history.reasons.values()).most_common(1)
    shown = printable(reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}...")
    if n == 1:
        return f"the one trial that has finished failed: {shown}"
    return f"all {n} trials that have finished failed, {k} of them: {shown}"


def _none_completed(history: History) -> str:
    failed = all_failed(history)
    return f"no trial has completed yet: {history!r}{failed and f'; {failed}'}"
