"""A study in a notebook: its table, its picture, and what they do with hostile text."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from studies import noisy_study, study_with_pauses

import hpo_core as hpo

SPACE = {"x": hpo.Float(0, 1), "kind": hpo.Categorical(["a", "b"])}


def told(values, space=SPACE, **options):
    study = hpo.Study(space, sampler="random", seed=0, **options)
    study.tell(study.ask(len(values)), values)
    return study


class Page(HTMLParser):
    """The tags, the cells and the pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.pictures = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            address = dict(attrs)["src"]
            kind, data = address.split(",", 1)
            assert kind == "data:image/svg+xml;base64"
            self.pictures.append(base64.b64decode(data, validate=True).decode())

    def handle_data(self, data):
        self.cells.append(data)

    @property
    def rows(self):
        return [*zip(self.cells[::2], self.cells[1::2], strict=True)]


def words_in(svg):
    root = ET.fromstring(svg)
    return {"".join(each.itertext()).strip() for each in root.iter() if each.tag.endswith("}text")}


def test_a_study_is_its_best_trial_and_its_history():
    pytest.importorskip("matplotlib")
    study = told([3.0, 0.25, 2.0])
    page = Page(study._repr_html_())
    best = study.best_trial
    assert page.rows == [
        ("study", repr(study)), ("best trial", "1"), ("best value", "0.25"),
        ("x", repr(best["x"])), ("kind", repr(best["kind"])),
    ]  # fmt: skip
    (picture,) = page.pictures
    assert {"best value so far", "finished trials"} < words_in(picture)
    assert study._repr_html_() == study._repr_html_()  # a notebook under version control


def test_under_noise_what_to_expect_of_the_best_and_the_recommended_trial_is_shown():
    study = noisy_study()
    facts = dict(Page(study._repr_html_()).rows)
    number, expected = re.fullmatch(r"trial (\d+): expected (.* ± .*)", facts["recommended"]).groups()
    assert study.trials[int(number)].params == study.recommend() != study.best_params
    assert float(expected.split()[0]) < float(facts["expected of it"].split()[0])
    assert facts["best value"] == f"{study.best_value:.6g}", "it stays what was observed"


def test_several_objectives_are_their_hypervolume():
    pytest.importorskip("matplotlib")
    study = told([(1.0, 2.0), (2.0, 1.0)], metrics={"a": hpo.Minimize(), "b": hpo.Minimize()})
    page = Page(study._repr_html_())
    assert page.rows == [("study", repr(study))]
    assert "hypervolume" in words_in(page.pictures[0])


@pytest.mark.parametrize("state", ["empty", "running", "failed", "stopped", "infeasible", "paused"])
def test_a_study_in_any_state_is_shown(state):
    study = study_with_pauses() if state == "paused" else hpo.Study(SPACE, sampler="random", seed=0)
    if state == "infeasible":
        study = told([(1.0, 9.0)], metrics={"a": hpo.Minimize(), "b": hpo.AtMost(0.0)})
    elif state not in ("empty", "paused"):
        trial = study.ask()
        trial.report(0, 1.0)
        if state != "running":
            (study.fail if state == "failed" else study.stop_trials)(trial)
    page = Page(study._repr_html_())
    assert page.rows[0] == ("study", repr(study))
    assert len(page.pictures) == (state in ("infeasible", "paused"))


def test_a_table_is_short():
    space = {f"x{i}": hpo.Categorical(["y" * 500, "z"]) for i in range(40)}
    study = hpo.Study(space, sampler="random", seed=0)
    study.add(dict.fromkeys(space, "y" * 500), 1.0)
    rows = Page(study._repr_html_()).rows
    assert len(rows) == 3 + 16 + 1
    assert rows[-1] == ("more parameters", "24")
    assert max(len(fact) for _, fact in rows) == 80


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;", "]]>", "$\\frac$", "study"],
)
def test_hostile_text_is_shown_and_not_obeyed(text):
    pytest.importorskip("matplotlib")
    space = {text: hpo.Categorical([text, "b"]), "x": hpo.Float(0, 1)}
    study = hpo.Study(space, metrics={text: hpo.Minimize()}, sampler="random", seed=0, name=text)
    study.add({text: text, "x": 0.5}, 1.0)
    page = Page(study._repr_html_())
    assert {*page.tags} == {"table", "tr", "th", "td", "img"}
    assert (text, repr(text)) in page.rows
    assert page.rows[0] == ("study", repr(study))
    (picture,) = page.pictures
    assert text in words_in(picture)
    for element in ET.fromstring(picture).iter():
        assert element.tag.rpartition("}")[2] not in ("script", "img", "foreignObject")
        assert not any(name.startswith("on") for name in element.attrib)


def test_half_a_surrogate_pair_and_letters_without_a_glyph_are_shown():
    study = told([1.0, 2.0], metrics={"\ud800 \u8aa4\u5dee \U0001f680": hpo.Minimize()})
    page = Page(study._repr_html_())
    assert all(words_in(picture) for picture in page.pictures)


def test_without_matplotlib_there_is_the_table(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = Page(told([1.0])._repr_html_())
    assert page.rows[1:3] == [("best trial", "0"), ("best value", "1")]
    assert page.pictures == []


def test_no_display_is_needed_and_no_setting_is_changed():
    pytest.importorskip("matplotlib")
    code = """
import sys, matplotlib
matplotlib.rcParams["text.usetex"] = True  # as a user may have set it, without a TeX
before = dict(matplotlib.rcParams)
import hpo_core as hpo
study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
study.tell(study.ask(3), [3.0, 1.0, 2.0])
assert "data:image/svg+xml" in study._repr_html_()
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
"""
    environment = {"MPLBACKEND": "tkagg", "PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60)


def test_a_study_of_many_trials_makes_a_small_page():
    pytest.importorskip("matplotlib")
    study = told(np.random.default_rng(0).random(20_000) + 0.001, {"x": hpo.Float(0, 1)})
    assert len(study._repr_html_()) < 400_000
