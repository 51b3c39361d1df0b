"""The site: every public name and every command has an entry, and every page is reached from the first one.

The sources are read, so no library is loaded and no page is built; `make docs` checks the rest.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hpo_core as hpo
from hpo_core import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ENTRY = re.compile(r"^\.\. (?:auto\w+|py:data):: (hpo_core[\w.]*)$", flags=re.MULTILINE)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def source(module: str) -> Path:
    """Return the file of a module, given its dotted name."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def names(module: str) -> tuple[set[str], set[str]]:
    """Return the public names of a module, and everything that it defines or lists."""
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    listed: set[str] | None = None
    defined = set()
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and not statement.name.startswith("_"):
            defined.add(statement.name)
        elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            listed = set(ast.literal_eval(statement.value))
    return (defined if listed is None else listed), defined | (listed or set())


def entries() -> list[str]:
    pages = sorted((DOCS / "api").glob("*.md"))
    return [name for page in pages for name in ENTRY.findall(page.read_text(encoding="utf-8"))]


def public_modules() -> list[str]:
    rooms = [f"hpo_core.{room}" for room in hpo._PUBLIC_ROOMS if room != "integrations"]
    return [*rooms, *(f"hpo_core.integrations.{name}" for name in hpo.integrations._MODULES)]


@pytest.mark.parametrize("module", ["hpo_core", *public_modules()])
def test_each_public_name_has_an_entry(module):
    expected = {
        f"{module}.{name}" for name in names(module)[0] - (set(hpo.__all__) if "." in module else set())
    }
    assert expected - set(entries()) == set()


def test_each_entry_is_of_a_name_and_the_only_one():
    found = entries()
    assert len(found) == len(set(found)) > 100
    for entry in found:
        module, _, name = entry.rpartition(".")
        assert name in names(module)[1], entry


def test_each_command_and_option_is_described():
    text = (DOCS / "api/command-line.md").read_text(encoding="utf-8")
    parser = cli._parser()
    (commands,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    assert len(commands.choices) > 5
    for name, command in commands.choices.items():
        assert f"`hpo-core {name}" in text, name
        for action in command._actions:
            for option in {*action.option_strings} - {"-h", "--help"}:
                assert f"`{option}" in text, (name, option)


def test_each_page_is_reached():
    reached = {"index"}
    new = ["index"]
    while new:
        page = new.pop()
        for tree in TOCTREE.findall((DOCS / f"{page}.md").read_text(encoding="utf-8")):
            folder = page.rpartition("/")[0]
            for line in tree.splitlines():
                entry = f"{folder}/{line}" if folder else line
                if line and not line.startswith(":") and (DOCS / f"{entry}.md").exists():
                    assert entry not in reached, f"{entry} is in two places"
                    reached.add(entry)
                    new.append(entry)
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert pages == reached


def test_links_of_a_built_site_are_followed(tmp_path):
    def check():
        command = [sys.executable, str(DOCS / "_ext/check_links.py"), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.splitlines()

    assert check() == (1, [f"{tmp_path} has no index.html"])
    good = '<a href="a/b.html#here">b</a><a href="https://example.org/x">x</a><img src="data:,">'
    (tmp_path / "index.html").write_text(good)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.html").write_text('<p id="here"><a href="../index.html">up</a><a href="#here">here</a>')
    assert check() == (0, [])
    (tmp_path / "index.html").write_text(good + '<a href="a/b.html#there">b</a><img src="a/c.png">')
    assert check() == (1, ["index.html: a/b.html#there is no element", "index.html: a/c.png is no file"])
    (tmp_path / "index.html").write_text(f'<a href="{__file__}">here</a><a href="../outside.md">outside</a>')
    (tmp_path.parent / "outside.md").write_text("a file of the repository, and none of the site")
    assert check() == (1, ["index.html: ../outside.md is no file", f"index.html: {__file__} is no file"])
