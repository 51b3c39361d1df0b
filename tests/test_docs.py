"""The examples in the pages of docs/ run as they stand, each page's in order, and links lead somewhere."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NAMED = {  # where the distribution has another name than the library
    "Hugging Face Transformers": "transformers",
    "Keras": "keras",
    "MLflow": "mlflow-skinny",
    "Optuna Dashboard": "optuna-dashboard",
    "PyTorch": "torch",
    "PyTorch Lightning": "pytorch-lightning",
    "Ray Tune": "ray",
    "Weights & Biases": "wandb",
    "XGBoost": "xgboost-cpu",
}
UNVERSIONED = ("PostgreSQL", "Sweep dictionaries, JSON Schema")  # a server, and nothing to install
NEEDS = {  # the library without which a page's examples cannot run
    "importance.md": "scipy",
    "optuna.md": "optuna",
    "pictures.md": "matplotlib",
    "report.md": "plotly",
    "sklearn.md": "sklearn",
    "spaces-from-elsewhere.md": "ConfigSpace",
    "trackers.md": "tensorboard",
    "training.md": "xgboost",
}
BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
EXAMPLES = [page for page in PAGES if BLOCK.search((DOCS / page).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run_in_order(page, tmp_path, monkeypatch):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": page}
    for block in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (DOCS / link).exists(), link
    headings = {
        re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)", text, re.M)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in headings, anchor


def test_what_it_works_with_is_installed_and_tested():
    rows = (DOCS / "works-with.md").read_text(encoding="utf-8").splitlines()[6:]
    assert len(rows) > 15
    for row in rows:
        library, version, _, tests, _ = (cell.strip() for cell in row.strip("|").split("|"))
        distribution = re.match(r"\[?([^]:]+)", library)[1]
        if distribution not in UNVERSIONED:
            installed = importlib.metadata.version(NAMED.get(distribution, distribution))
            assert installed.partition("+")[0] == version, library
        for test in re.findall("`(.*?)`", tests):
            assert (DOCS.parent / test).exists(), test
