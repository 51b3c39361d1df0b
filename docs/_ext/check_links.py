"""Check a built site: each link and picture leads to a file of it, and each anchor to an element.

python docs/_ext/check_links.py build/docs
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The ids of a page, and the addresses that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Note what one element is called and leads to."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.addresses.add(value)


def problems(site: Path) -> list[str]:
    """Return a line for each link that leads nowhere."""
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        for address in sorted(page.addresses):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not (target.is_relative_to(site) and target.is_file()):
                found.append(f"{file.relative_to(site)}: {address} is no file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                found.append(f"{file.relative_to(site)}: {address} is no element")
    return found


def main(folder: str) -> int:
    """Print the problems of the site in a folder; 1 if there are any, or no page."""
    site = Path(folder).resolve()
    found = problems(site) if (site / "index.html").is_file() else [f"{site} has no index.html"]
    for line in found:
        print(line, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
