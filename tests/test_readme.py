"""The README is short, its example is the tested file, and what it and the tables beside it name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hpo_core as hpo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_its_example_is_the_quickstart():
    assert BLOCKS == [QUICKSTART]


def test_quickstart_finds_a_good_model(capsys):
    pytest.importorskip("sklearn")
    names: dict = {}
    exec(compile(QUICKSTART, "quickstart.py", "exec"), names)
    assert len(names["study"].trials) == 50
    assert names["study"].best_value > 0.95
    assert "best accuracy 0.9" in capsys.readouterr().out


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)(?:#.*?)?\)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make (\w+)", README))))
def test_targets_exist(target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^[\w -]*\b{target}\b[\w -]*:", makefile, flags=re.MULTILINE)


def table(page: str, heading: str) -> list[str]:
    """Names in the first column of the table below a heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([\w/.]+)`", cell)]


def test_map_names_what_exists():
    named = table("CONTRIBUTING.md", "Map of the tree")
    assert len(named) > 10
    for path in named:
        assert any((base / path).exists() for base in (ROOT, ROOT / "hpo_core")), path


def test_every_public_error_is_explained():
    named = table("docs/errors.md", "Error types")
    public = {
        name
        for name in dir(hpo)
        if isinstance(kind := getattr(hpo, name), type) and issubclass(kind, hpo.HpoError)
    }
    assert set(named) == public - {"HpoError", "TrialFailed", "TrialStopped"}  # these are in its text
