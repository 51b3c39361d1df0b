"""The README's examples run as they stand, and its first one is the tested file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import hpo_core as hpo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_first_example_is_the_quickstart():
    assert BLOCKS[0] == QUICKSTART


def test_quickstart_finds_a_good_model(capsys):
    pytest.importorskip("sklearn")
    names: dict = {}
    exec(compile(QUICKSTART, "quickstart.py", "exec"), names)
    assert len(names["study"].trials) == 50
    assert names["study"].best_value > 0.95
    assert "best accuracy 0.9" in capsys.readouterr().out


def test_other_examples_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) >= 8
    names = {"hpo": hpo, "np": np}
    for block in BLOCKS[1:]:
        exec(compile(block, "README.md", "exec"), names)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make (\w+)", README))))
def test_targets_exist(target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^[\w -]*\b{target}\b[\w -]*:", makefile, flags=re.MULTILINE)


def table(heading: str) -> list[str]:
    """Names in the first column of the table below a heading."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([\w/.]+)`", cell)]


def test_map_names_what_exists():
    assert len(table("Map of the tree")) > 10
    for path in table("Map of the tree"):
        assert any((base / path).exists() for base in (ROOT, ROOT / "hpo_core")), path


def test_errors_named_are_public():
    named = table("When something is wrong")
    assert len(named) > 5
    assert all(issubclass(getattr(hpo, name), hpo.HpoError) for name in named)
