"""The pictures of docs/how-it-works.md, and that the files it names exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np

import hpo_core as hpo

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "how_it_works.py"


def load():
    spec = importlib.util.spec_from_file_location("how_it_works", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_pictures_are_drawn(tmp_path, capsys):
    load().main(["--out", str(tmp_path), "--trials", "20"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["freeze_thaw.png", "tpe_densities.png"]
    assert all((EXAMPLE.parent / path.name).exists() for path in tmp_path.iterdir())
    assert tmp_path.name in capsys.readouterr().out


def test_the_good_trials_are_those_that_tpe_counts_as_good():
    module = load()
    figure = module.draw_densities(30)
    rest, good = figure.axes[0].get_lines()
    study = hpo.Study(module.search_space(), sampler="tpe", seed=0)
    study.optimize(module.plateau, n_trials=30)
    np.testing.assert_array_equal(np.sort(good.get_ydata()), np.sort(study.trials.value)[:3])
    assert len(rest.get_xdata()) == 30


def test_files_that_the_page_names_exist():
    """A name without a folder is in the folder of the one before it."""
    folder, found = "", 0
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    for block in re.findall(r"^Files?: (.*?)(?=\n\n)", text, re.MULTILINE | re.DOTALL):
        for name in re.findall(r"`([\w/]+(?:\.\w+|/))`", block):
            folder = name.rpartition("/")[0] or folder
            path = name if "/" in name else f"{folder}/{name}"
            assert (ROOT / path).exists(), path
            found += 1
    assert found > 40
