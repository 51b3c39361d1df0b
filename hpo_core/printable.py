"""Text from users made safe to show: it may hold control characters, or characters that cannot be shown."""

from __future__ import annotations

import sys


def printable(text: str, *, keep: str = "") -> str:
    r"""Return text with control and other invisible characters escaped as in ``repr``, but for those to keep.

    Examples
    --------
    >>> printable("lr\x1b[2J"), printable("rate\n"), printable("größe")
    ('lr\\x1b[2J', 'rate\\n', 'größe')
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )


def displayed(text: str) -> str:
    """Return text as standard output can show it: ``printable``, and escaped where its encoding lacks it."""
    text = printable(text)
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
