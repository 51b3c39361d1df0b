"""README and the pages of docs/ quote only figures that stand in bench/README.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")
# The section of each page whose tables are compared.
SECTIONS = {
    "README.md": "## How it compares\n",
    "docs/comparison.md": "## Measured\n",
    "docs/early-stopping.md": "## Does it pay?\n",
}


def tables(text):
    """The rows of every table, each a list of cells."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[line.strip("| ").split("|") for line in block.splitlines()[2:]] for block in blocks]


def rounded(number, digits):
    return f"{float(number.replace(',', '')):.{digits - 1}e}"


def digits_of(quoted):
    """Significant ones: zeros at the end count after a decimal point alone."""
    bare = quoted.replace(",", "").lstrip("0.")
    return len((bare if "." in quoted else bare.rstrip("0")).replace(".", "")) or 1


def stands(quoted, table):
    digits = digits_of(quoted)
    held = {rounded(n, digits) for row in table for cell in row for n in NUMBER.findall(cell)}
    return rounded(quoted, digits) in held


def unfounded(page, heading, measured):
    """Rows of a section's tables whose figures do not stand together in one table of what was measured."""
    compared = tables(page.split(heading)[1].split("\n## ")[0])
    assert compared
    rows = [(row[0].strip(), NUMBER.findall(" ".join(row[1:]))) for table in compared for row in table]
    return [name for name, quoted in rows if not any(all(stands(q, t) for q in quoted) for t in measured)]


@pytest.fixture(scope="module")
def measured():
    return tables((ROOT / "bench" / "README.md").read_text())


@pytest.mark.parametrize("page", SECTIONS)
def test_every_comparison_row_has_a_table(page, measured):
    assert unfounded((ROOT / page).read_text(encoding="utf-8"), SECTIONS[page], measured) == []


def test_a_figure_that_was_not_measured_is_found():
    heading = "## Figures\n"
    head = "| | us | them |\n|---|---|---|\n"
    first, second = "| fast | 0.081 ms | 10.0 ms (123×) |\n", "| many | 22,400 | - |\n"
    page = f"{heading}\n{head}{first}\n### More\n\n{head}{second}\n## Other\n\n{head}| else | 7 | 8 |\n"
    bench = "| n | us | them | ratio |\n|---|---|---|---|\n| 100 | 0.0813 (0.07) | 10 (9.4) | 123 |\n"
    more = "\n| n | per second |\n|---|---|\n| 10,000 | 22,375 |\n"
    assert unfounded(page, heading, tables(bench + more)) == []
    assert unfounded(page.replace("123", "124"), heading, tables(bench + more)) == ["fast"]
    assert unfounded(page.replace("22,400", "22,500"), heading, tables(bench + more)) == ["many"]
    assert unfounded(page, heading, tables(bench)) == ["many"]
