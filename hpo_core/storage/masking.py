"""Addresses of storages without their secrets: only parts that are known to be harmless are shown.

A secret may be a parameter of the query, a user's name, or a password with an ``@`` or a ``?`` that nobody
encoded, so a list of secret words would never be complete.
"""

from __future__ import annotations

import re
from typing import Final

HARMLESS: Final = frozenset({
    "host", "hostaddr", "port", "dbname", "user", "service", "passfile", "application_name",
    "client_encoding", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
    "keepalives_count", "tcp_user_timeout", "target_session_attrs", "load_balance_hosts",
    "channel_binding", "gssencmode", "sslmode", "sslnegotiation", "sslrootcert", "sslcert", "sslkey",
    "sslcrl",
})  # fmt: skip
_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]+):(?:/+|(?<=postgres:)|(?<=postgresql:))(.*)", re.IGNORECASE | re.DOTALL
)
_PARTS: Final = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_PARAMETER: Final = re.compile(r"([^=]*)(=?)(.*)", re.DOTALL)
_OPTION: Final = re.compile(r"(\w+)(\s*=\s*)('(?:\\.|[^'\\])*'|(?:\\.|[^\s'\\])*)", re.DOTALL)  # of libpq
_SERVER: Final = r"(?:(?:[\w.-]|%2[Ff])*|\[[\da-fA-F:.]*\])(?::\d*)?"
_SERVERS: Final = re.compile(f"{_SERVER}(?:,{_SERVER})*", re.ASCII)
_PLAIN: Final = re.compile(r"[\w.,:/+-]*", re.ASCII)


def masked(storage: object) -> str:
    """Return a storage's address for printing, with stars in place of possible secrets.

    Parameters
    ----------
    storage : object
        A path, a URL or a storage.

    Returns
    -------
    str

    Examples
    --------
    >>> masked("postgresql://me:s3cret@host:5432/db?sslmode=require&sig=s3cret")
    'postgresql://me:***@host:5432/db?sslmode=require&sig=***'
    >>> masked("https://s3cret@host/db"), masked("host=db password='s3 cret'"), masked("runs/sweep.db")
    ('https://***@host/db', 'host=db password=***', 'runs/sweep.db')
    """
    text = str(storage)
    url = _URL.search(text)
    before = text if url is None else text[: url.start()]
    return _OPTION.sub(_masked_option, before) + ("" if url is None else f"{url[1]}://{_masked_url(url[2])}")


def _masked_url(rest: str) -> str:
    authority, path, query, fragment = _PARTS.fullmatch(rest).groups("")  # type: ignore[union-attr]
    if "@" in path + query + fragment:  # perhaps of a password that was not encoded
        return "***"
    login, at, servers = authority.rpartition("@")
    name, colon, _ = login.partition(":")
    login = f"{name}:***" if colon and _PLAIN.fullmatch(name) else "***"
    shown = (login + at if at else "") + (servers if _SERVERS.fullmatch(servers) else "***")
    shown += re.sub(r"[=;].*", "***", path, flags=re.DOTALL)
    if query:
        shown += "?" + "&".join(_PARAMETER.sub(_masked_option, each, 1) for each in re.split("[&;]", query))
    return shown + ("#***" if fragment else "")


def _masked_option(option: re.Match[str]) -> str:
    name, equals, value = option.groups()
    if not equals or not _PLAIN.fullmatch(name):
        return "***"
    return name + equals + (value if name.lower() in HARMLESS and _PLAIN.fullmatch(value) else "***")
