"""What was probably meant by a name that is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """The end of a message about an unknown name: the known one most like it, empty if none is."""
    import difflib  # errors only: it takes as long to import as a trial takes

    names = {str(each).lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), names, n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""
