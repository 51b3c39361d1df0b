"""Links of pages to files of the repository outside docs/, such as records of measurements and examples.

On a forge such a link opens the file. Here each linked file becomes a page of the site, in `files/`, with
the files that it links to in turn.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from sphinx import addnodes
from sphinx.util import logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parents[2]
# Files that are pages of the site under another name.
PAGES: Final = {"README.md": "index", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}
# Pages that include a file of the root, whose links start there.
INCLUDING: Final = ("contributing", "changelog")
LANGUAGES: Final = {
    "": "text", ".c": "c", ".css": "css", ".h": "c", ".html": "html", ".json": "json", ".js": "js",
    ".py": "python", ".pyi": "python", ".pyx": "cython", ".sh": "sh", ".toml": "toml", ".txt": "text",
    ".yml": "yaml",
}  # fmt: skip
# As Furo writes a table.
TABLE: Final = '<div class="table-wrapper docutils container"><table class="docutils align-default">'
LINKS: Final = (addnodes.download_reference, addnodes.pending_xref)

logger = logging.getLogger(__name__)


def shown(file: Path) -> str:
    """Return a file's path from the root of the repository."""
    return file.relative_to(ROOT).as_posix()


class Files:
    """The linked files, and the pages that they become."""

    def __init__(self, app: Sphinx) -> None:
        self.app = app
        self.linked: dict[Path, None] = {}  # in the order of their first link

    def lead(self, app: Sphinx, doctree: nodes.document) -> None:
        """Let the links of one page to files lead to pages of the site."""
        name = app.env.docname
        links = [node for kind in LINKS for node in doctree.findall(kind) if node["reftype"] == "myst"]
        for node in links:
            file, anchor = self._target(node, name)
            if file is None:
                continue  # a page of the site, or nothing: then Sphinx complains
            if app.builder.format != "html":
                node.replace_self(node.children)
            elif page := self._known_page(file):
                anchor = "" if page == "index" else anchor  # README has other headings
                node.replace_self(
                    addnodes.pending_xref(
                        "", *node.children, reftype="myst", refdomain="doc", refdoc=name, refexplicit=True,
                        reftarget=page, reftargetid=anchor or None,
                    )
                )  # fmt: skip
            else:
                address = app.builder.get_relative_uri(name, self._page(file))
                address += f"#{anchor}" if anchor else ""
                node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=True))

    def pages(self, app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield a page for each linked file, and for those that they link to."""
        done: set[Path] = set()
        while new := [file for file in self.linked if file not in done]:
            for file in new:
                done.add(file)
                title = shown(file)
                if file.suffix == ".md":
                    title, body = self._from_markdown(file)
                elif file.suffix in LANGUAGES:
                    code = file.read_text(encoding="utf-8")
                    body = app.builder.highlighter.highlight_block(code, LANGUAGES[file.suffix])
                    body = f"<h1>{escape(title)}</h1>\n{body}"
                else:
                    body = f'<h1>{escape(title)}</h1>\n<p><a href="{self._copied(file)}">Download</a></p>'
                note = f'<p class="file-of-repository">The file <code>{escape(shown(file))}</code>.</p>'
                yield self._page(file), {"title": title, "body": body + note}, "page.html"

    def _target(self, node: nodes.Element, name: str) -> tuple[Path | None, str]:
        """Return the file outside the pages that a link leads to, None if there is none, and the anchor."""
        target, _, anchor = node["reftarget"].partition("#")
        if node.get("refdomain") == "doc":  # a page, or a Markdown file: an absolute path without its ending
            if not Path(target).is_absolute():
                return None, ""
            target, anchor = f"{target}.md", node.get("reftargetid") or ""
        folder = ROOT if name in INCLUDING else Path(self.app.srcdir, name).parent
        file = Path(os.path.normpath(folder / target))
        return (file if target and file.is_file() and file.is_relative_to(ROOT) else None), anchor

    def _known_page(self, file: Path) -> str | None:
        """Return the page that the site has of a file, None if it has none."""
        if shown(file) in PAGES:
            return PAGES[shown(file)]
        inside = file.is_relative_to(self.app.srcdir) and file.suffix == ".md"
        return self.app.env.path2doc(str(file)) if inside else None

    def _page(self, file: Path) -> str:
        """Return the name of the page that a file becomes, and let it become one."""
        self.linked[file] = None
        return f"files/{shown(file)}".removesuffix(".md")

    def _copied(self, file: Path) -> str:
        """Copy a file as it is beside its page, and return its name."""
        to = Path(self.app.outdir, "files", shown(file))
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
        return file.name

    def _from_markdown(self, file: Path) -> tuple[str, str]:
        """Return the title and the HTML of a Markdown file."""
        reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        reader.use(anchors_plugin, max_level=4)
        highlight = self.app.builder.highlighter.highlight_block
        reader.add_render_rule(
            "fence",
            lambda _, tokens, at, *__: highlight(tokens[at].content, tokens[at].info.strip() or "text"),
        )
        reader.add_render_rule("code_inline", _inline_code)
        tokens = reader.parse(file.read_text(encoding="utf-8"))
        for token in tokens:
            for child in token.children or ():
                self._lead_on(child, file)
        headings = (text.content for token, text in pairwise(tokens) if token.type == "heading_open")
        body = reader.renderer.render(tokens, reader.options, {})
        body = body.replace("<table>", TABLE).replace("</table>", "</table></div>")
        return next(headings, shown(file)).replace("`", ""), body

    def _lead_on(self, token: Token, file: Path) -> None:
        """Let a link or an image of a Markdown file lead to where the site has its target."""
        attribute = {"link_open": "href", "image": "src"}.get(token.type)
        address = str(token.attrs[attribute]) if attribute else ""
        target, _, anchor = address.partition("#")
        if attribute is None or not target or ":" in target:
            return
        found = Path(os.path.normpath(file.parent / target))
        if not found.is_file() or not found.is_relative_to(ROOT):
            logger.warning("%s links to %s, which is no file", shown(file), address)
            return
        here = self._page(file)
        if attribute == "src":
            self._copied(found)
            to = posixpath.relpath(f"files/{shown(found)}", posixpath.dirname(here))
        else:
            to = self.app.builder.get_relative_uri(here, self._known_page(found) or self._page(found))
        token.attrs[attribute] = to + (f"#{anchor}" if anchor else "")


def _inline_code(renderer: Any, tokens: list[Token], at: int, *_: Any) -> str:  # noqa: ARG001
    return f'<code class="docutils literal">{escape(tokens[at].content)}</code>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what follows links and what makes pages; pages are read in one process."""
    files = Files(app)
    app.connect("doctree-read", files.lead, priority=400)  # before Sphinx copies what is linked
    app.connect("html-collect-pages", files.pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
