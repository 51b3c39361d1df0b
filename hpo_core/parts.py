"""Parts of a study that have a name: the samplers and the schedulers of hpo_core, and those of users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from hpo_core.checks import shown, some
from hpo_core.errors import ArgumentError, StorageError, StudyError
from hpo_core.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable


class Part(Protocol):
    """The description of a part."""

    @property
    def name(self) -> str:
        """Name of its class."""

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that make it again."""


T = TypeVar("T", bound=Part)


class Parts(Generic[T]):
    """The parts of one kind that hpo_core has.

    Parameters
    ----------
    argument : str
        The argument of a study that takes such a part.
    kind : type
        Their base class.
    classes : iterable of type
    others : str
        What else the argument may be, for messages, such as " or a Sampler".

    Attributes
    ----------
    by_name : dict of str to type
    """

    def __init__(self, argument: str, kind: type[object], classes: Iterable[type[T]], others: str) -> None:
        self._argument, self._kind, self._others = argument, kind, others
        self.by_name: dict[str, type[T]] = {str(each.name): each for each in classes}

    def is_ours(self, part: T) -> bool:
        """Return whether a part is one of hpo_core's, and not of a subclass."""
        return self.by_name.get(part.name) is type(part)

    def resolve(self, given: str | T) -> T:
        """Return the part of a name, with default options, or the part itself.

        Raises
        ------
        ArgumentError
            It is neither.
        """
        if isinstance(given, self._kind):
            return cast("T", given)
        if isinstance(given, type):
            raise ArgumentError(
                f"{self._argument} must be an instance, {given.__name__}(), got the class {given.__name__}"
            )
        if not isinstance(given, str) or given not in self.by_name:
            raise ArgumentError(
                f"{self._argument} must be {some(sorted(self.by_name))}{self._others}, got {shown(given)}"
                f"{did_you_mean(given, self.by_name)}"
            )
        return self.by_name[given]()

    def describe(self, part: T) -> dict[str, Any]:
        """Return the name of a part and, if it is one of hpo_core's, its options."""
        described = {"name": part.name}
        return described | {"options": part.options()} if self.is_ours(part) else described

    def make(self, described: dict[str, Any]) -> T:
        """Return the part of a description that was stored.

        Raises
        ------
        StudyError
            It is not one of hpo_core's.
        StorageError
            It has other options.
        """
        name = described["name"]
        if not self._can_make(described):
            raise StudyError(
                f"{self._argument} {name!r} is not one of hpo_core's: pass it as {self._argument}="
            )
        try:
            return self.by_name[name](**described["options"])
        except (TypeError, ValueError) as error:
            raise StorageError(
                f"event 0, created: field {self._argument!r} has no such options: {error}"
            ) from error

    def complete(self, described: dict[str, Any]) -> dict[str, Any]:
        """Return a stored description; options that did not exist when it was written have defaults."""
        if not self._can_make(described):
            return {"name": described["name"]}
        return self.describe(self.make(described))

    def _can_make(self, described: dict[str, Any]) -> bool:
        return "options" in described and described["name"] in self.by_name
