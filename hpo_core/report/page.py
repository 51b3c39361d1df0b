"""HTML around the data of a study."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hpo_core import __version__
from hpo_core.errors import ArgumentError
from hpo_core.report.columns import changes, kept, text
from hpo_core.report.facts import about, findings
from hpo_core.storage.files import refuse_databases, require_path, written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpo_core.report.columns import Pictured

# Only scripts with these hashes run, and nothing is fetched. Plotly needs inline styles.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
# Characters that end a script element or begin a comment in it, and line ends of older JavaScript.
_HARMLESS = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def write_report(
    study: Pictured, path: Any, described: Mapping[str, Any], storage: str | None = None
) -> None:
    """Write a study as one HTML file.

    Parameters
    ----------
    study : Pictured
    path : str or Path
    described : mapping
        The study as the first event of its log says it.
    storage : str, optional
        Where the study is kept.

    Raises
    ------
    ArgumentError
        The file cannot be written or is part of a storage, or Plotly is not installed.
    StorageError
        ``path`` is not a path.
    """
    path = require_path("path", path)
    page = report_html(study, described, storage)
    try:
        refuse_databases(path, storage)
        with written_whole(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
            file.write(page)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ArgumentError(f"path {path!r} cannot be written: {error.strerror}") from error


def report_html(study: Pictured, described: Mapping[str, Any], storage: str | None) -> str:
    """Return a report as text."""
    scripts = [plotly_js(), asset("figures.js"), asset("page.js")]
    data = changes(study, rows=kept(study))
    place = None if storage is None else storage if "://" in storage else os.path.basename(storage)  # noqa: PTH119
    data |= {"about": about(study, described, place), "found": findings(study)}
    policy = _POLICY.format(scripts=" ".join(map(_hash_of, scripts)))
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return filled_in(
        asset("study.html"),
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        style=f"<style>{asset('page.css')}</style>",
        title=html.escape(text(study.name) if study.name else "A study without a name"),
        back="",
        footer=f"Written by hpo_core {__version__} on {now}.",
        scripts=f'<script type="application/json" id="data">{as_json(data)}</script>\n'
        + "\n".join(f"<script>{script}</script>" for script in scripts),
    )


def filled_in(page: str, **parts: str) -> str:
    """Return a page with a part in the place of each comment ``<!--name-->``."""
    pieces = page.split("<!--")
    found = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("-->")
        found += [parts[name], rest]
    return "".join(found)


def as_json(data: Any) -> str:
    """Return JSON that can stand inside a script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_HARMLESS)


@cache
def asset(name: str) -> str:
    """Return a file of the page."""
    return files("hpo_core.report").joinpath(name).read_text("utf-8")


@cache
def plotly_js() -> str:
    """Return the library that draws, as the installed plotly brings it.

    Raises
    ------
    ArgumentError
        It is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ArgumentError("a report needs plotly: pip install 'hpo-core[report]'") from error
    return str(get_plotlyjs())


def _hash_of(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
