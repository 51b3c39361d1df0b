"""A trial away from its study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo_core.checks import as_json, as_number, check_step
from hpo_core.errors import TrialError
from hpo_core.hints import TRIAL, did_you_mean, refusing
from hpo_core.printable import displayed

if TYPE_CHECKING:
    from collections.abc import Mapping


@refusing(TRIAL)
class RemoteTrial:
    """What an objective gets in a worker process in place of a ``Trial``.

    Reports and notes are checked at once, kept, and travel home with the result.

    Attributes
    ----------
    number : int
        The trial's number in the study.
    params : dict
        Active parameters and constants.
    seed : int
        32-bit seed for the trial's own randomness.
    reports : list of (step, value)
        What ``report`` recorded.
    """

    __slots__ = ("_notes", "number", "params", "reports", "seed")

    def __init__(self, number: int, params: Mapping[str, Any], seed: int) -> None:
        self.number = number
        self.params = dict(params)
        self.seed = seed
        self.reports: list[tuple[int, float]] = []
        self._notes: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.params:
            raise TrialError(
                f"parameter {name!r} is not active in trial {self.number}; "
                f"active are {', '.join(map(repr, self.params))}{did_you_mean(name, self.params)}"
            )
        return self.params[name]

    def __contains__(self, name: object) -> bool:
        return name in self.params

    def __repr__(self) -> str:
        return displayed(f"Trial({self.number}, running, params={self.params})")

    @property
    def notes(self) -> dict[str, Any]:
        """What ``note`` recorded, as a new dictionary."""
        return dict(self._notes)

    def report(self, step: int, value: float) -> None:
        """Record an intermediate value; see ``Trial.report``."""
        self.reports.append((check_step(step), as_number(value)))

    def should_stop(self) -> bool:
        """Whether the trial ought to end early. False without a scheduler."""
        return False

    def note(self, /, **notes: object) -> None:
        """Attach JSON values; see ``Trial.note``."""
        self._notes.update({name: as_json(name, value) for name, value in notes.items()})
