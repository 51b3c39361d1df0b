"""What stopping saved: a count by hand, and by a loop over the reports of many trials."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import Scripted, advance, make_study, study_with_pauses

import hpo_core as hpo
from hpo_core import cli
from hpo_core.analysis.savings import Rung
from hpo_core.study import savings


def test_what_was_saved_is_counted_by_hand():
    found = savings(study_with_pauses().history)
    # 1, 3, 2, 3, 1, 1, 9, 2, 2 and 9 steps; trials 0, 1, 3, 4 and 5 would have taken 9.
    assert (found.steps, found.whole) == (33, 69)
    assert found.share == pytest.approx(36 / 69)
    assert found.rungs == (Rung(1, arrived=10, went_on=7), Rung(3, arrived=4, went_on=2))


def test_without_stops_nothing_is_saved():
    study = make_study()
    assert savings(study.history) == (0, 0, ())
    trial = study.ask()
    advance(study, trial, 9)
    found = savings(study.history)
    assert (found.steps, found.whole, found.share, found.rungs) == (9, 9, 0.0, ())
    trial = study.ask()
    trial.report(4, 1.0)
    study.stop_trials(trial)  # nobody knows how many steps it has
    assert savings(study.history).whole == savings(study.history).steps == 14


@given(
    script=st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(1, 8)), st.sampled_from(["s0", "s1", "p0", "p1", "s", "p"])
    ),
    apart=st.integers(1, 3),
    planned=st.integers(3, 9),
)
def test_rungs_and_steps_are_those_of_a_loop(script, apart, planned):
    study = make_study(scheduler=Scripted(script))
    deepest, depth_of_rung = [0] * 12, {}
    for trial in study.ask(12):
        for step in trial.steps(planned):
            if step % apart:
                continue
            trial.report(step, 1.0)
            deepest[trial.number] = step + 1
            told = script.get((trial.number, step + 1))
            if told is not None:
                if told[1:]:
                    depth_of_rung.setdefault(int(told[1:]), []).append(step + 1)
                break
        study.tell(trial, 1.0)
    found, history = savings(study.history), study.history
    cut = [state in (2, 4) for state in history.state.tolist()]
    assert found.steps == sum(deepest)
    assert found.whole == sum(planned if c else d for c, d in zip(cut, deepest, strict=True))
    depths = sorted({min(each) for each in depth_of_rung.values()})
    assert found.rungs == tuple(
        (depth, sum(d >= depth for d in deepest), sum(d > depth for d in deepest)) for depth in depths
    )


def test_the_command_line_and_a_notebook_say_it(place, capsys):
    study = study_with_pauses(name="s", storage=place)
    assert cli.main(["show", place, "s"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "steps       33 of 69, 52.2% saved",
        "rungs       after 1 step (7 of 10 went on)",
        "            after 3 steps (2 of 4 went on)",
    ]
    assert cli.main(["show", "--json", place, "s"]) == 0
    said = json.loads(capsys.readouterr().out)["savings"]
    assert said == savings(study.history).to_json()
    assert said["rungs"][1] == {"depth": 3, "arrived": 4, "went_on": 2}
    assert cli.main(["ls", place]) == 0
    out = capsys.readouterr().out
    assert out == "'s'  random, scripted, minimize, 10 trials (2 paused), best 6.11111\n"
    assert "<th>steps</th><td>33 of 69, 52.2% saved</td>" in study._repr_html_()
    assert "steps" not in make_study()._repr_html_()


def test_reports_are_exported_from_the_command_line(tmp_path, capsys):
    place, file = str(tmp_path / "s.db"), str(tmp_path / "r.csv")
    study = study_with_pauses(name="s", storage=place)
    assert cli.main(["export", "--reports", "--json", place, "s", file]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": file, "trials": 10, "reports": 33}
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[0] == "number,step,value"
    assert len(lines) == 34
    assert isinstance(study, hpo.Study)
