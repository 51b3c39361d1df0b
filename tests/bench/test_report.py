"""What the report draws and marks, on records whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bench import figures, isolate, machine, records, repeat, report, section
from bench.native import report as native
from bench.quality.statistics import Runs
from bench.samplers import report as samplers
from bench.study import report as study
from bench.study import stored
from bench.surrogates import posterior
from bench.surrogates import report as fit

MACHINE = {"cpu": "x", "cores": 2, "memory_gib": 8, "system": "Linux", "python": "3"}
OTHER = {**MACHINE, "cpu": "other"}


def timed(n, seconds, *, library="hpo_core", code="a", case="cycle"):
    return {
        "bench": "samplers",
        "case": case,
        "library": library,
        "space": "mixed20",
        "n": n,
        "seconds": {"median": seconds, "p10": 0.9 * seconds, "p90": 1.2 * seconds},
        "versions": {"code": code},
        "machine": MACHINE,
        "threads": 1,
        "date": "2026-01-01",
        "load": 0.5,
        "error": None,
    }


def test_two_passes_are_of_one_row_by_equal_code():
    held = [timed(100, 1.0), timed(100, 1.05), timed(1000, 1.0), timed(1000, 2.0, code="b"), timed(10, 3.0)]
    pairs = records.passes(held)
    assert [len(pair) for pair in pairs.values()] == [2, 1, 1]
    assert [records.drift(pair) for pair in pairs.values()] == [pytest.approx(0.05), None, None]


def test_the_last_two_passes_count():
    pair = next(iter(records.passes([timed(1, 9.0), timed(1, 1.0), timed(1, 1.2)]).values()))
    assert records.drift(pair) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("record", "figure"),
    [
        ({"seconds": {"median": 2.0}}, 2.0),
        ({"ask": {"median": 3.0}, "per_second": 9.0}, 3.0),
        ({"per_second": 5.0}, 5.0),
        ({"ns": 7.0}, 7.0),
        ({"study_over_columns": 2.0}, None),
    ],
)
def test_the_figure_of_a_row(record, figure):
    assert records.figure(record) == figure


def test_two_good_passes_complete_a_row(monkeypatch):
    monkeypatch.setattr(machine, "describe", lambda: MACHINE)
    held = [timed(5, 1.0), timed(5, 1.0, code="b"), {**timed(5, 1.0), "error": "boom"}]
    assert not records.is_done(held, {"n": 5}, {"code": "a"})
    assert records.is_done(held, {"n": 5}, None)
    assert records.is_done([*held, timed(5, 1.1)], {"n": 5}, {"code": "a"})
    assert not records.is_done(held, {"n": 6}, None)
    monkeypatch.setattr(machine, "describe", lambda: OTHER)
    assert not records.is_done([*held, timed(5, 1.1)], {"n": 5}, {"code": "a"})


def full(n, seconds, library, on, **fields):
    figures_of = dict.fromkeys(("mean", "median", "p10", "p90", "max"), seconds)
    return {
        **timed(n, seconds, library=library),
        "cpu": seconds,
        **fields,
        "seconds": figures_of,
        "machine": on,
    }


def test_no_ratio_is_of_two_machines(monkeypatch, tmp_path):
    path = tmp_path / "samplers.jsonl"
    monkeypatch.setattr(samplers, "FILE", path)
    for record in (
        full(100, 1e-5, "hpo_core", MACHINE),
        full(100, 3e-5, "optuna", MACHINE),
        full(1000, 1e-5, "hpo_core", MACHINE, case="growth"),
        full(100, 2e-5, "hpo_core", OTHER),
    ):
        records.append(path, record)
    alone, growth = samplers.section().body
    assert "| 100" not in alone  # the peer was not measured there
    assert "other" in alone
    assert "<sub>x," in growth
    records.append(path, full(100, 8e-5, "optuna", OTHER))
    *_, ratio, rust, no_ratio = samplers.section().body[0].splitlines()[4].split("|")[2:-1]
    assert (ratio.strip(), rust.strip(), no_ratio.strip()) == ("4", "-", "-")


def test_one_line_names_the_machine():
    held = [timed(1, 1.0), timed(2, 1.0)]
    assert section.signed([("a", held[:1]), ("b", held[1:])])[:2] == ["a", "b"]
    apart = section.signed([("a", held[:1]), ("b", [{**held[1], "machine": OTHER}])])
    assert ["<sub>x," in text for text in apart] == [True, False]


def test_of_each_row_two_passes_are_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    for record in (timed(1, 1.0), timed(1, 2.0), timed(1, 3.0), timed(2, 4.0)):
        records.append(path, record)
    records.keep_passes(path)
    assert [records.figure(r) for r in records.read(path)] == [2.0, 3.0, 4.0]


def test_an_unstable_row_is_marked_and_said_first(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    for record in (timed(100, 1.0), timed(100, 1.09), timed(1000, 1.0), timed(1000, 1.2), timed(7, 1.0)):
        records.append(tmp_path / "samplers.jsonl", record)
    section = repeat.section()
    assert section.losses == ["1 rows are unstable, see the table of them"]
    assert [r["unstable"] for r in records.marked(records.read(tmp_path / "samplers.jsonl"))] == [0, 1, 0]
    assert "2 rows were measured twice" in section.body[0]
    assert "1 agree within 10%. 1 were measured once" in section.body[0]
    assert "n 1000" in section.body[1]
    assert "20%" in section.body[1]


def is_png(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_pictures_are_drawn_of_whatever_is_on_file(tmp_path):
    rng = np.random.default_rng(0)
    everywhere = {(p, s): rng.random(30) for p in ("branin", "coupled_branches") for s in range(4)}
    names = ("tpe", "gp", "optuna-gp", "smac3", "botorch", "hyperopt", "plain-random")
    runs = {name: Runs(name, everywhere, 0) for name in names}
    runs["part"] = Runs("part", {("branin", s): np.zeros(20) for s in range(2)}, 0)
    assert is_png(figures.regret(runs, "x", tmp_path / "a" / "regret.png"))
    held = [
        timed(n, 1e-4 * n, library=name) for n in (100, 1000) for name in ("hpo_core", "optuna", "botorch")
    ]
    assert is_png(figures.latency(held, "x", tmp_path / "latency.png"))


def test_each_name_has_a_look_of_its_own():
    names = ["tpe", "gp", "optuna-gp", "smac3", "botorch", "hyperopt", "plain-random", "random", "optuna-tpe"]
    looks = figures.style(names)
    assert len({(look["color"], str(look.get("linestyle"))) for look in looks.values()}) == len(names)


def test_the_report_is_written_with_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    records.append(tmp_path / "samplers.jsonl", timed(100, 1.0, case="growth"))
    out = tmp_path / "README.md"
    out.write_text(f"# Title\n\n{report.MARKER}\nold")
    for module in (fit, native, posterior, samplers, stored, study):
        monkeypatch.setattr(module, "FILE", tmp_path / "nothing.jsonl")
    assert report.run(SimpleNamespace(out=out)) == 0
    text = out.read_text()
    assert text.startswith("# Title")
    assert "old" not in text
    assert text.index("Where we lose") < text.index("plots/latency.png")
    assert is_png(tmp_path / "plots" / "latency.png")


def test_storages_are_held_to_promise_and_peer(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "FILE", tmp_path / "stored.jsonl")
    for library, storage, case, seconds in (
        ("hpo_core", "sqlite", "tell", 0.25),  # 4,000/s
        ("hpo_core", "sqlite", "tells", 0.001),
        ("hpo_core", "memory", "cycle", 1.0),
        ("optuna", "memory", "cycle", 0.5),
        ("optuna", "journal", "tell", 0.01),
    ):
        measured = {"n": 1000, "seconds": {"median": seconds}, "library": library, "storage": storage}
        records.append(stored.FILE, isolate.stamped("study", case, measured))
    section = study.durable()
    assert section.losses == [
        "sqlite, tell, one by one: 4,000/s, promised 5,000",
        "memory, ask, objective, tell: 1,000/s, Optuna 2,000",
    ]
    assert "1,000,000" in section.body[0]
