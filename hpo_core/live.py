"""The live page of a storage: ``hpo-core serve``.

The server only reads. For every study that somebody looks at it keeps a ``ReadOnlyStudy``, reads what is new
in the log when a page asks, and sends what the page does not have yet.

Who may read: on a loopback address everybody on this machine, but no page of another site. Such a page cannot
read answers of another origin, and one whose name it lets resolve to 127.0.0.1 is refused by its ``Host``. On
any other address a random token is needed.
"""

from __future__ import annotations

import gzip
import hmac
import html
import ipaddress
import json
import secrets
import socket
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from hpo_core import __version__
from hpo_core.checks import check_int
from hpo_core.errors import ArgumentError, HpoError, StudyError
from hpo_core.report import Cursor, about, as_json, asset, changes, filled_in, findings, plotly_js, text
from hpo_core.storage import open_storage
from hpo_core.study import ReadOnlyStudy, overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo_core.storage import Storage

DEFAULT_PORT: Final = 8000
_COOKIE: Final = "hpo_core_token"
_MOST_STUDIES: Final = 8  # kept open at a time
_PATIENCE: Final = 20.0  # seconds for a request to arrive
_SHARE: Final = 0.2  # of all time that computing findings, or the list of studies, may take
_LONGEST_QUERY: Final = 8_192  # characters of an address

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ANY: Final = ("0.0.0.0", "::", "")
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "html": "text/html", "json": "application/json"}
_ASSETS: Final = ("page.css", "page.js", "figures.js")


def serve(
    storage: str | Storage, *, host: str = "127.0.0.1", port: int | None = None, say: Callable[[str], object]
) -> None:
    """Serve the studies of a storage until Ctrl-C.

    Parameters
    ----------
    storage : path, URL or Storage
    host : str
        Address to listen at. If it is not a loopback address, readers need a token.
    port : int, optional
        From 0 to 65,535; 0 takes any free one. By default 8000, or any free one if 8000 is taken.
    say : callable
        Called once with the URL to open, with the token if there is one.

    Raises
    ------
    ArgumentError
        Nothing can listen at this address, ``port`` is out of range, or Plotly is not installed.
    StorageError
        The storage cannot be opened.
    """
    with Server(storage, host=host, port=port) as server:
        say(server.address)
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)


class Watched:
    """A study that pages look at.

    Attributes
    ----------
    era : str
        Identifies what has been read since the study was opened; a page that has another one starts over.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name
        self._open()

    def _open(self) -> None:
        self._study = ReadOnlyStudy(self._storage, self._name)
        self.era = secrets.token_hex(8)
        self._found: dict[str, Any] = {}
        self._found_at, self._renew_at = -1, 0.0

    def message(self, era: str, since: Cursor, position: int) -> dict[str, Any]:
        """Return what has happened since the cursor of a page.

        Raises
        ------
        StudyError
            The study has been deleted.
        """
        try:
            self._study.sync()
        except StudyError:
            self._open()  # raises again if there is no such study any more
        study = self._study
        now, due = study.history.position, self._is_due()
        if era == self.era and position == now and not due:
            return {"era": era, "same": True}
        ahead = since.trials > len(study.history) or since.ends > study.history.count_finished()
        fresh = era != self.era or ahead
        found = changes(study, Cursor() if fresh else since) | {"era": self.era, "position": now}
        if fresh:
            found["about"] = about(study, json.loads(study.description.to_json()), str(self._storage))
        if due:
            self._renew()
        return found | ({"found": self._found} if due or fresh else {})

    def _is_due(self) -> bool:
        """Whether findings are out of date, and it is not too early for new ones."""
        return self._found_at != self._study.history.position and time.monotonic() >= self._renew_at

    def _renew(self) -> None:
        start = time.monotonic()
        self._found = findings(self._study)
        self._found_at = self._study.history.position
        now = time.monotonic()
        self._renew_at = now + (now - start) / _SHARE


class Server(ThreadingHTTPServer):
    """Serves the pages of a storage.

    Attributes
    ----------
    token : str or None
        What a reader must know, None on a loopback address.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, storage: str | Storage, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        plotly_js()  # raises if there is none
        if port is not None:
            check_int("port", port, 0, 65_535, also=" or None")
        self.storage = open_storage(storage, must_exist=True)
        self.storage.studies()  # raises if it is no storage, before anybody is told of an address
        self._lock = threading.Lock()  # a storage serves one thread at a time
        self._list: list[dict[str, Any]] = []
        self._list_at = 0.0
        self._watched: OrderedDict[str, Watched] = OrderedDict()
        self.host, address = host, _resolved(host)
        self.address_family = address[0]
        self._listen(address[1], port)
        loopback = ipaddress.ip_address(str(self.server_address[0])).is_loopback
        self.token = None if loopback else secrets.token_urlsafe(24)

    def _listen(self, address: str, port: int | None) -> None:
        ports = [DEFAULT_PORT, 0] if port is None else [port]
        for attempt in ports:
            try:
                super().__init__((address, attempt), Handler)
            except OSError as error:
                if attempt != ports[-1]:
                    continue
                why = error.strerror or str(error)
                raise ArgumentError(f"port {attempt} of {self.host!r} cannot be used: {why}") from error
            else:
                return

    def server_bind(self) -> None:
        """Bind without asking a name server for our own name."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.host, self.server_address[1]

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        name = socket.gethostname() if self.host in _ANY else self.host
        host = f"[{name}]" if ":" in name else name
        token = f"?token={self.token}" if self.token else ""
        return f"http://{host}:{self.server_port}/{token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of readers that went away."""

    def studies(self) -> dict[str, Any]:
        """Return the studies of the storage."""
        with self._lock:
            start = time.monotonic()
            if start >= self._list_at:
                self._list = [_listed(facts) for facts in overview(self.storage)]
                now = time.monotonic()
                self._list_at = now + (now - start) / _SHARE
            return {"storage": text(str(self.storage)), "studies": self._list}

    def study(self, name: str, era: str, since: Cursor, position: int) -> dict[str, Any]:
        """Return what a page about a study lacks; ``gone``, with the reason, if there is no such study."""
        with self._lock:
            try:
                watched = self._watched.get(name) or Watched(self.storage, name)
                self._watched[name] = watched
                self._watched.move_to_end(name)
                if len(self._watched) > _MOST_STUDIES:
                    self._watched.popitem(last=False)
                return watched.message(era, since, position)
            except StudyError as error:
                self._watched.pop(name, None)
                return {"gone": text(str(error))}


def _listed(facts: dict[str, Any]) -> dict[str, Any]:
    """Return a study as the list shows it; a problem alone if it is damaged."""
    named = {"name": facts["name"], "shown": text(facts["name"])}
    if "problem" in facts:
        return named | {"problem": text(facts["problem"])}
    best = facts.get("best_value")
    shown = f"{facts['front']} on the front" if "front" in facts else "–" if best is None else f"{best:.6g}"
    counts = {key: facts[key] for key in ("trials", "running", "failed")}
    return named | counts | {"best": shown, "sampler": text(facts["sampler"])}


def _resolved(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return found[0][0], str(found[0][4][0])
    except (OSError, UnicodeError) as error:
        raise ArgumentError(f"host must be an address of this machine, got {host!r}") from error


class Handler(BaseHTTPRequestHandler):
    """One request: only GET, only the pages, and only for those who may read."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "hpo-core"
    sys_version = ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answer a request."""
        try:
            self._answer()
        except HpoError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, text(str(error)))
        except (BrokenPipeError, ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:  # a reader must not see a traceback
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "an error in hpo_core")

    def _answer(self) -> None:
        if len(self.path) > _LONGEST_QUERY:
            return self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
        try:
            where = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(where.query).items()}
        except ValueError:
            return self._refuse(HTTPStatus.BAD_REQUEST, "this is no address")
        if not self._is_own_host():
            return self._refuse(HTTPStatus.FORBIDDEN, "this name is not one of the server's")
        if self.server.token is not None and not self._knows(query.pop("token", None)):
            return self._refuse(HTTPStatus.UNAUTHORIZED, "open the address that the server has printed")
        page = _PAGES.get(where.path)
        if page is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
        return page(self, query)

    def _is_own_host(self) -> bool:
        """Whether the browser knows us by a name that nobody else can give out.

        Behind a token any name will do: the cookie is bound to the name under which it was set.
        """
        if self.server.token is not None:
            return True
        with suppress(ValueError):
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            return host in ("localhost", self.server.host.lower()) or ipaddress.ip_address(host).is_loopback
        return False

    def _knows(self, given: str | None) -> bool:
        """Whether the request holds the token, in its address or in the cookie that we set."""
        token = self.server.token or ""
        cookies: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookies.load(self.headers.get("Cookie", ""))
        kept = cookies[self._cookie].value if self._cookie in cookies else ""
        self._new_cookie = given is not None and hmac.compare_digest(given.encode(), token.encode())
        return self._new_cookie or hmac.compare_digest(kept.encode(), token.encode())

    @property
    def _cookie(self) -> str:
        """Cookies are shared by the ports of a host."""
        return f"{_COOKIE}_{self.server.server_port}"

    def _studies_page(self, query: dict[str, str]) -> None:
        if self._moved_without_token("", query):
            return
        self._send("html", asset("studies.html"))

    def _study_page(self, query: dict[str, str]) -> None:
        if self._moved_without_token("study", query):
            return
        self._send("html", study_page(query.get("name", "")))

    def _moved_without_token(self, page: str, query: dict[str, str]) -> bool:
        """Send a reader who came with the token to the address without it, which may be shown and kept."""
        if not getattr(self, "_new_cookie", False):
            return False
        self.send_response(HTTPStatus.SEE_OTHER)
        name = f"?name={quote(query['name'], safe='')}" if "name" in query else ""
        self.send_header("Location", f"/{page}{name}")
        self.send_header(
            "Set-Cookie", f"{self._cookie}={self.server.token}; Path=/; HttpOnly; SameSite=Strict"
        )
        self._end(b"")
        return True

    def _studies(self, _: dict[str, str]) -> None:
        self._send("json", as_json(self.server.studies()))

    def _study(self, query: dict[str, str]) -> None:
        try:
            since = Cursor(int(query.get("trials", 0)), int(query.get("ends", 0)))
            position = int(query.get("position", -1))
        except ValueError:
            return self._refuse(HTTPStatus.BAD_REQUEST, "trials, ends and position must be numbers")
        if min(since) < 0:
            return self._refuse(HTTPStatus.BAD_REQUEST, "trials and ends must be numbers >= 0")
        found = self.server.study(query.get("name", ""), query.get("era", ""), since, position)
        return self._send("json", as_json(found))

    def _plotly(self, _: dict[str, str]) -> None:
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/javascript; charset=utf-8")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self._end(_packed_plotly() if packed else plotly_js().encode())

    def _send(self, kind: str, content: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{_TYPES[kind]}; charset=utf-8")
        self._end(content.encode())

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            if status == HTTPStatus.METHOD_NOT_ALLOWED:
                self.send_header("Allow", "GET")
            self.send_header("Connection", "close")  # what the request holds is not read
            self._end(f"{why}\n".encode())
        self.close_connection = True

    def _end(self, content: bytes) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in plain text what http.server cannot read, and every method but GET."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is allowed: the server only reads")
        return self._refuse(HTTPStatus(code), message or explain or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of http.server
        """Log nothing: addresses may hold the token."""


def study_page(name: str) -> str:
    """Return the page about a study, without its data."""
    return filled_in(
        asset("study.html"),
        policy="",
        title=html.escape(text(name)),
        style='<link rel="stylesheet" href="page.css">',
        back='<p class="lead"><a href="./">All studies</a></p>',
        footer=f"hpo_core {__version__}; this page follows the study while it is open.",
        scripts="".join(
            f'<script src="{script}"></script>\n' for script in (_PLOTLY[1:], "figures.js", "page.js")
        ),
    )


@cache
def _packed_plotly() -> bytes:
    return gzip.compress(plotly_js().encode(), 6)


def _file(name: str) -> Callable[[Handler, dict[str, str]], None]:
    return lambda handler, _: handler._send(name.rpartition(".")[2], asset(name))


_PLOTLY: Final = "/plotly.js"
# Every address there is: nothing of a request ever becomes the path of a file.
_PAGES: Final[dict[str, Callable[[Handler, dict[str, str]], None]]] = {
    "/": Handler._studies_page,
    "/study": Handler._study_page,
    "/api/studies": Handler._studies,
    "/api/study": Handler._study,
    _PLOTLY: Handler._plotly,
    **{f"/{name}": _file(name) for name in _ASSETS},
}
