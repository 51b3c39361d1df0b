"""The report: one file, what it says and draws, in a real browser, and that nothing of a study runs in it."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from typing import Any

import numpy as np
import pytest
from browsers import Watched
from report.pages import HOSTILE, front_study, learning_study, numbers
from studies import noisy_study

import hpo_core as hpo
from hpo_core import cli
from hpo_core.analysis import series
from hpo_core.errors import ArgumentError
from hpo_core.report.columns import changes, kept
from hpo_core.report.page import as_json, asset
from hpo_core.report.recommendation import Expected
from hpo_core.storage import open_storage
from hpo_core.study.stored import ReadOnlyStudy

ALL = (
    "history",
    "importance",
    "slice",
    "contour",
    "rank",
    "parallel",
    "edf",
    "timeline",
    "curves",
    "front",
    "hypervolume",
)


def data_of(path: Any) -> dict[str, Any]:
    """What a report embeds."""
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)[1])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.html"


DRAW = "Promise.all(hpoPage.pictures.filter(p => !p.element.hidden).map(p => p.draw()))"


def draw_all(watched: Watched, path: Any) -> None:
    """Open a report, and draw what is below the fold too."""
    watched.page.goto(path.as_uri())
    watched.until("globalThis.hpoPage")
    watched.page.evaluate(DRAW)


@pytest.fixture
def opened(open_page, path):
    """Write the report of a study and open it."""

    def open_report(study: hpo.Study, **options: Any) -> Watched:
        study.report(path)
        watched = open_page(**options)
        draw_all(watched, path)
        return watched

    return open_report


@pytest.fixture(scope="module")
def shared_page(browser, tmp_path_factory):
    """The report of a study, open for several tests."""
    study, path = learning_study(), tmp_path_factory.mktemp("report") / "report.html"
    study.report(path)
    watched = Watched(browser)
    draw_all(watched, path)
    yield study, watched
    watched.context.close()


@pytest.fixture
def learned(shared_page):
    """The study and its open report, as a reader with a wide screen by day sees it."""
    _, watched = shared_page
    watched.page.emulate_media(color_scheme="light")
    watched.page.set_viewport_size({"width": 1280, "height": 900})
    watched.page.evaluate("Promise.resolve(hpoPage.redraw())")
    return shared_page


@pytest.fixture(scope="module")
def empty_page(browser, tmp_path_factory):
    """The report of a study without trials, for what other studies draw in its place."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0).report(path)
    watched = Watched(browser)
    watched.page.goto(path.as_uri())
    watched.until("globalThis.hpoPage")
    yield watched
    watched.context.close()


@pytest.fixture
def draw(empty_page, path):
    """Draw the report of a study in a page that is open: Plotly takes seconds to load."""

    def draw_report(study: hpo.Study) -> Watched:
        study.report(path)
        empty_page.errors.clear()
        empty_page.page.evaluate("data => hpoOpen(data)", data_of(path))
        empty_page.page.evaluate(DRAW)
        return empty_page

    return draw_report


def drawn(watched: Any, picture: str, what: str) -> Any:
    """A JavaScript expression over the traces of a picture."""
    return watched.page.evaluate(
        f"(({{data, layout}}) => {what})(document.querySelector('#picture-{picture} .plot'))"
    )


def test_a_report_is_one_file_that_names_its_scripts_and_allows_nothing_else(path):
    learning_study().report(path)
    page = path.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert page.index("Content-Security-Policy") < page.index("<script")
    assert "connect-src" not in policy  # so that default-src forbids it
    assert not re.search(r'(?:src|href)="(?!#)', page[: page.index('id="data"')])
    assert page.count("<script") == page.count("</script>") == 4


def test_a_report_holds_every_trial(path):
    study = learning_study()
    study.report(path)
    data = data_of(path)
    assert data["cursor"] == [40, 40]
    told = numbers(data["ends"]["values"][0])
    np.testing.assert_array_equal(told, study.history.outcomes[0, study.history.finish_order])
    lr = numbers(data["trials"]["params"][0])
    np.testing.assert_array_equal(lr, study.trials["lr"])
    momentum = numbers(data["trials"]["params"][3])
    np.testing.assert_array_equal(~np.isnan(momentum), study.trials.active("momentum"))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_under_noise_the_recommended_trial_stands_beside_the_best_observed_one(path, direction):
    sign = 1.0 if direction == "minimize" else -1.0
    study = noisy_study(direction, storage=path.with_suffix(".db"), name="s")
    study.report(path)
    observed, recommended = data_of(path)["found"]["best"]["shown"]
    assert observed["number"] == study.best_trial.number
    assert study.trials[recommended["number"]].params == study.recommend() != study.best_params
    first, second = (float(each["expected"].split(" ± ")[0]) for each in (observed, recommended))
    assert sign * second < sign * first, "it is expected to be better, in the user's direction"
    assert sign * first > sign * observed["values"][0], "the best observed one was lucky"
    ReadOnlyStudy(open_storage(path.with_suffix(".db")), "s").report(path)
    assert data_of(path)["found"]["best"]["shown"] == [observed, recommended]


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (0.123456, 0.0123, "0.1235 ± 0.012"),
        (1000000.53, 0.29, "1000000.53 ± 0.29"),
        (-12345.6, 900.0, "-1.235e+04 ± 9e+02"),
        (0.0, 0.5, "0 ± 0.5"),
        (3.0, 0.0, "3 ± 0"),
        (1e300, 1e-300, "1.0000000000000001e+300 ± 1e-300"),
        (math.inf, 1.0, "inf ± 1"),
        (1.0, math.inf, "1 ± inf"),
        (math.nan, 1.0, "nan ± 1"),
        (1.0, math.nan, "1 ± nan"),
    ],
)
def test_expected_values_have_the_digits_of_their_deviation(mean, deviation, text):
    assert str(Expected(0, mean, deviation)) == text


def test_nothing_is_expected_if_noise_does_not_set_the_recommended_trial_apart(path):
    study = hpo.Study({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, sampler="gp", seed=0)
    study.optimize(lambda trial: (trial["x"] - 0.4) ** 2 + (trial["y"] - 0.5) ** 2, n_trials=20)
    study.add({"x": 1.5, "y": 0.5}, study.best_value - 1e-3)  # outside the space: never recommended
    assert study.recommend() != study.best_params
    study.report(path)
    (best,) = data_of(path)["found"]["best"]["shown"]
    assert "expected" not in best


def test_the_best_configuration_is_code_that_runs(path):
    study = learning_study()
    study.report(path)
    (best,) = data_of(path)["found"]["best"]["shown"]
    names: dict[str, Any] = {}
    exec(best["code"], names)
    assert names["params"] == study.best_params
    other = hpo.Study(study.space, sampler="random", seed=1)
    exec(best["enqueue"], {"study": other})
    assert other.ask().params == study.best_params


@pytest.mark.parametrize("make", [learning_study, front_study])
def test_the_study_can_be_made_again_from_the_code_of_its_report(make, path):
    study = make()
    study.report(path)
    names: dict[str, Any] = {}
    exec(data_of(path)["about"]["reproduce"]["code"], names)
    again = names["study"]
    assert (again.space, again.seed, again.metrics.to_json()) == (
        study.space,
        study.seed,
        study.metrics.to_json(),
    )
    assert again.ask(5).params.keys() == study.trials.params.keys()
    assert [trial.params for trial in again.trials] == [study.trials[i].params for i in range(5)]


def test_choices_that_json_cannot_hold_are_left_to_the_user(path):
    study = hpo.Study({"kind": hpo.Categorical([np.tanh, np.exp])}, sampler="random", seed=0)
    study.tell(study.ask(2), [1.0, 2.0])
    study.report(path)
    about = data_of(path)["about"]
    assert "space = ...  # your own" in about["reproduce"]["code"]
    assert about["parameters"][0]["levels"] == ["<ufunc 'tanh'>", "<ufunc 'exp'>"]


def test_failures_have_reasons_counts_and_where_they_were_raised(path):
    study = learning_study()
    study.report(path)
    failures = data_of(path)["found"]["failures"]["reasons"]
    assert {each["reason"]: each["count"] for each in failures} == series.outcomes(study).failed
    assert all('raise ValueError(f"loss' in each["traceback"] for each in failures)


def test_what_stopping_saved_is_said(path):
    from hpo_core.analysis.savings import savings

    study = learning_study()
    study.report(path)
    assert data_of(path)["found"]["saved"] == savings(study.history).to_json()


def test_text_of_users_cannot_leave_its_element():
    text = as_json({"name": HOSTILE})
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text)["name"] == HOSTILE


@pytest.mark.parametrize("most", [1, 500, 2000])
def test_a_long_study_keeps_its_best_trials_and_an_even_sample(most):
    study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0)
    x = np.random.default_rng(0).random(1000)
    study.add({"x": x}, x)
    rows = kept(study, most)
    improved = np.flatnonzero(np.minimum.accumulate(x) == x)
    assert np.isin(improved, rows).all()
    assert most // 8 <= len(rows) <= most // 8 + len(improved) + 1
    message = changes(study, rows=rows)
    np.testing.assert_array_equal(numbers(message["trials"]["number"]), rows)
    np.testing.assert_array_equal(rows[numbers(message["ends"]["trial"])], rows)
    np.testing.assert_array_equal(numbers(message["ends"]["place"]), rows + 1)
    np.testing.assert_array_equal(numbers(message["ends"]["values"][0]), x[rows])
    assert kept(study) is None


def test_ten_thousand_trials_take_less_than_three_seconds_and_ten_megabytes(path):
    rng = np.random.default_rng(0)
    space = {f"x{i}": hpo.Float(0, 1) for i in range(32)}
    study = hpo.Study(space, sampler="random", seed=0)
    study.add({name: rng.random(10_000) for name in space}, rng.random(10_000))
    start = time.perf_counter()
    study.report(path)
    assert time.perf_counter() - start < 3.0
    assert path.stat().st_size < 10e6


def test_the_command_writes_a_report(place, path, capsys):
    learning_study(storage=place)
    assert cli.main(["report", place, "digits", "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(path), "trials": 40}
    reproduce = data_of(path)["about"]["reproduce"]
    assert reproduce["seed"] == "0"
    assert json.loads(reproduce["options"])["sampler"]["name"] == "random"
    assert "hpo-core show " in reproduce["commands"]


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("none/r.html", "there is no folder"),
        (".", "must be the path of a file"),
        ("s.db", "is part of the storage"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line(target, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    learning_study(8, storage="s.db")
    before = (tmp_path / "s.db").read_bytes()
    assert cli.main(["report", "s.db", "digits", "-o", target]) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert (tmp_path / "s.db").read_bytes() == before


def test_without_plotly_the_extra_is_named(path, monkeypatch):
    from hpo_core.report.page import plotly_js

    plotly_js.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ArgumentError, match=re.escape("needs plotly: pip install 'hpo-core[report]'")):
        learning_study(8).report(path)
    assert not path.exists()


def test_the_script_parses_no_html():
    for name in ("page.js", "figures.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", asset(name)
        )


# ---- in a browser


def test_every_picture_that_applies_is_drawn(draw, learned):
    _, watched = learned
    shown = watched.page.evaluate("hpoPage.pictures.filter(p => p.plot.data?.length).map(p => p.figure.id)")
    assert set(shown) == set(ALL) - {"front", "hypervolume"}
    assert watched.page.locator("figure:visible").count() == len(shown)
    watched = draw(front_study())
    shown = watched.page.evaluate("hpoPage.pictures.filter(p => p.plot.data?.length).map(p => p.figure.id)")
    assert {"front", "hypervolume"} <= set(shown)
    assert "curves" not in shown
    assert not watched.errors


def test_pictures_draw_the_columns_that_matplotlib_draws(learned):
    study, watched = learned
    progress = series.progress(study)
    complete = np.flatnonzero(np.isfinite(progress.value))
    assert drawn(watched, "history", "[...data[0].x]") == (complete + 1).tolist()
    assert drawn(watched, "history", "[...data[0].y]") == progress.value[complete].tolist()
    steps = dict(zip(*(drawn(watched, "history", f"[...data.at(-1).{axis}]") for axis in "xy"), strict=True))
    finite = progress.best[np.isfinite(progress.best)]
    assert [*dict.fromkeys(steps.values())] == [*dict.fromkeys(finite.tolist())]
    found = series.distribution(study)
    np.testing.assert_allclose(drawn(watched, "edf", "[...data[0].x]"), found.value)
    np.testing.assert_allclose(drawn(watched, "edf", "[...data[0].y]"), found.share)
    shares = study.importance()
    bars = drawn(watched, "importance", "[...data[0].x]")
    np.testing.assert_allclose(bars, [*shares.values()][::-1])
    assert drawn(watched, "importance", "layout.yaxis.ticktext") == [*shares][::-1]
    names = [
        label["title"]["text"]
        for label in (drawn(watched, "rank", "layout.xaxis"), drawn(watched, "rank", "layout.yaxis"))
    ]
    ranks = series.ranks(study, *names)
    at = {trial: i for i, trial in enumerate(ranks.number.tolist())}
    order = [at[study.history.finish_order[e]] for e in drawn(watched, "rank", "data[0].customdata")]
    np.testing.assert_allclose(drawn(watched, "rank", "[...data[0].marker.color]"), ranks.rank[order])
    assert sorted(order) == sorted(at.values())


def test_the_front_and_its_growth_are_those_of_the_study(draw):
    study = front_study()
    watched = draw(study)
    front = study.front()
    told = drawn(watched, "front", "[[...data.at(-1).x], [...data.at(-1).y]]")
    order = np.argsort(front.values["error"])
    np.testing.assert_allclose(told, [front.values["error"][order], front.values["speed"][order]])
    np.testing.assert_allclose(drawn(watched, "hypervolume", "data[0].y.at(-1)"), study.hypervolume())
    assert drawn(watched, "history", "data.some(t => t.name === 'breaks a bound')")


def test_a_report_asks_the_network_for_nothing(learned):
    _, watched = learned
    watched.page.wait_for_timeout(300)
    assert [url for url in watched.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert (
        watched.page.evaluate("fetch('https://example.com/').then(() => 'allowed', () => 'refused')")
        == "refused"
    )


def test_hostile_text_is_shown_and_does_nothing(opened):
    choices = [HOSTILE, "<a href='javascript:alert(3)'>x</a>", "<b>bold</b>"]
    space = {"<i>name</i>": hpo.Categorical(choices), "<b>x</b>": hpo.Float(0, 1)}
    metrics = {"<u>loss</u>": hpo.Minimize()}
    study = hpo.Study(space, metrics=metrics, sampler="random", seed=0, name=HOSTILE)
    batch = study.ask(12)
    study.fail(batch[0], reason=HOSTILE)
    study.tell(batch[1:], np.arange(11.0))
    watched = opened(study)
    page = watched.page
    assert page.locator("h1").inner_text() == HOSTILE.replace("\u2028", "\\u2028")
    assert page.title().startswith("<script>alert(1)</script>")
    assert "<u>loss</u>" in page.locator("#picture-history .plot").text_content()
    assert "<b>bold</b>" in page.locator("#picture-slice .plot").text_content()
    assert page.locator(".plot b, .plot i, .plot u, .plot a[href], main img, main script").count() == 0
    assert page.locator("#trials-rows").get_by_text("<b>bold</b>").count() > 0
    page.locator("#picture-history .plot .point").first.hover(force=True)
    watched.until("document.querySelector('#picture-history .hovertext')")
    assert "<i>name</i> = " in page.locator("#picture-history .hovertext").text_content()
    assert (watched.dialogs, watched.errors) == ([], [])


def test_a_reader_without_a_mouse_reaches_everything(learned):
    _, watched = learned
    page = watched.page
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0), getSelection().collapse(document.body, 0)")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        told = "(one => [one.tagName, one.ariaLabel || one.textContent])(document.activeElement)"
        seen.append(page.evaluate(told))
        if seen[-1][1] == "Copy the configuration":
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            page.keyboard.press("Enter")
            watched.until("document.activeElement.textContent === 'Copied'")
            assert page.evaluate("navigator.clipboard.readText()").startswith("params = {")
        if seen[-1][1].startswith("value"):
            page.keyboard.press("Enter")
            assert page.locator("th[aria-sort=ascending]").inner_text().startswith("value")
            assert page.evaluate("document.activeElement.textContent").startswith("value")
            break
    tags = {tag for tag, _ in seen}
    assert {"BUTTON", "SELECT", "PRE"} <= tags
    assert page.locator("button:not([type=button])").count() == 0


def test_the_table_is_sorted_and_paged(learned):
    study, watched = learned
    page = watched.page
    page.get_by_role("button", name="lr").click()
    column = [float(each) for each in page.locator("#trials-rows tr td:nth-child(6)").all_inner_texts()]
    expected = np.sort(study.trials["lr"])
    np.testing.assert_allclose(column, expected[:25], rtol=1e-4)
    page.get_by_role("button", name="Next").click()
    assert page.locator("#trials-where").inner_text() == "26 to 40 of 40 trials"
    page.get_by_role("button", name="lr").click()
    first = float(page.locator("#trials-rows tr td:nth-child(6)").first.inner_text())
    np.testing.assert_allclose(first, expected[-1], rtol=1e-4)


def test_dark_mode_reaches_page_and_pictures(learned):
    _, watched = learned
    page = watched.page
    page.locator("#picture-history").scroll_into_view_if_needed()
    ink = "layout.font.color"
    watched.until(f"document.querySelector('#picture-history .plot').{ink} === '#1c2128'")
    page.emulate_media(color_scheme="dark")
    watched.until(f"document.querySelector('#picture-history .plot').{ink} === '#e6e9ee'")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"


def test_a_narrow_screen_needs_no_scrolling_sideways(learned):
    _, watched = learned
    watched.page.set_viewport_size({"width": 360, "height": 700})
    watched.page.evaluate(DRAW)
    assert watched.page.evaluate("document.documentElement.scrollWidth <= 360")
    assert watched.page.evaluate(
        "[...document.querySelectorAll('.plot')].every(p => p.hidden || p.clientWidth < 360)"
    )


def test_a_printed_report_has_every_picture_on_white(learned):
    _, watched = learned
    watched.page.emulate_media(color_scheme="dark")
    watched.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert drawn(watched, "edf", "layout.font.color") == "#000"
    pages = watched.page.pdf()
    assert pages.startswith(b"%PDF")


@pytest.mark.parametrize("kind", ["empty", "failed", "running", "one", "no parameters", "infeasible"])
def test_a_study_with_little_in_it_makes_a_sensible_page(kind, draw):
    space = (
        {"constant": 3}
        if kind == "no parameters"
        else {"x": hpo.Float(0, 1), "c": hpo.Categorical({"a": {"m": hpo.Int(1, 9)}, "b": {}})}
    )
    metrics = {"f": hpo.Minimize(), "g": hpo.AtMost(0.0)} if kind == "infeasible" else None
    study = hpo.Study(space, metrics=metrics, sampler="random", seed=0)
    if kind != "empty":
        batch = study.ask(1 if kind in ("one", "no parameters") else 4)
        if kind == "failed":
            study.fail(batch, reason="no memory")
        elif kind == "infeasible":
            study.tell(batch, {"f": [1.0, 2.0, 3.0, 4.0], "g": [1.0, 2.0, 3.0, 4.0]})
        elif kind != "running":
            study.tell(batch, [1.5])
    watched = draw(study)
    said = watched.page.locator("#best-body").inner_text()
    expected = {
        "empty": "No trial has completed yet.",
        "failed": "All trials have failed.",
        "running": "No trial has completed yet.",
        "infeasible": "this one violates them least",
    }
    assert expected.get(kind, "Trial 0: value 1.5") in said
    assert not watched.errors
    assert watched.page.locator("#failures:visible").count() == (kind == "failed")


def test_a_noisy_study_says_which_trial_to_use(draw):
    study = noisy_study()
    watched = draw(study)
    recommended = next(trial.number for trial in study.trials if trial.params == study.recommend())
    said = watched.page.locator("#best-body").inner_text()
    assert f"the model expects trial {recommended} to be better, and recommend() returns it" in said
    assert f"Trial {study.best_trial.number}: value {study.best_value:.6g}"[:20] in said
    watched.page.locator("#best-body select").select_option("1")
    assert "expected" in watched.page.locator("#best-body").inner_text().split(f"Trial {recommended}:")[1]
    assert not watched.errors


def test_a_hundred_thousand_trials_stay_usable(opened, path):
    rng = np.random.default_rng(0)
    study = hpo.Study({f"x{i}": hpo.Float(0, 1) for i in range(8)}, sampler="random", seed=0)
    y = rng.random(100_000)
    study.add({name: rng.random(100_000) for name in study.space.names}, y)
    watched = opened(study)
    assert path.stat().st_size < 11e6
    dots = drawn(watched, "history", "data[0].x.length")
    assert 300 < dots <= 2000
    improved = np.flatnonzero(np.minimum.accumulate(y) == y) + 1
    assert set(improved.tolist()) <= set(drawn(watched, "history", "[...data[0].x]"))
    assert "of 100,000" in watched.page.locator("#trials-where").inner_text()
    assert drawn(watched, "history", "Math.max(...data.at(-1).x)") == 100_000
    before = "document.querySelector('#picture-history .plot')"
    watched.page.evaluate(f"Plotly.relayout({before}, {{'xaxis.range[0]': 50000, 'xaxis.range[1]': 51000}})")
    watched.until(f"Math.min(...{before}.data[0].x) >= 50000")
    assert drawn(watched, "history", "data[0].x.length") > 100
