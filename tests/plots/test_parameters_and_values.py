"""Pictures of parameters and values, read back from the axes beside what a loop over the trials finds."""

from __future__ import annotations

import io
import math
import time
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import hpo_core as hpo

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import colors  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from studies import make_study, study_with_pauses  # noqa: E402

from hpo_core import plots  # noqa: E402
from hpo_core.analysis.contour import contour  # noqa: E402
from hpo_core.analysis.series import ranks, timeline  # noqa: E402

SPACE = {
    "lr": hpo.Float(1e-5, 1.0, log=True),
    "depth": hpo.Int(1, 4),
    "size": hpo.Ordinal([16, 32, 256]),
    "kind": hpo.Categorical({"plain": {}, "odd": {"shift": hpo.Float(0.0, 1.0)}}),
    "epochs": 10,
}
METRICS = {"error": hpo.Minimize(), "size of it": hpo.Minimize(), "ms": hpo.AtMost(5.0)}
# One call for every picture here that takes a single study.
PICTURES = {
    "importance": plots.plot_importance,
    "slice": plots.plot_slice,
    "contour": plots.plot_contour,
    "rank": plots.plot_rank,
    "parallel": plots.plot_parallel,
    "edf": plots.plot_edf,
    "timeline": plots.plot_timeline,
}
OF_COMPLETE = {name: draw for name, draw in PICTURES.items() if name not in ("importance", "timeline")}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def values_of(batch):
    loss = (np.log10(batch["lr"]) + 2) ** 2 + (batch["depth"] - 2) ** 2 + 0.3 * (batch["kind"] == "plain")
    return {"error": loss + 0.1, "size of it": batch["size"] * batch["depth"], "ms": 2.0 * batch["depth"]}


def searched(n=80, metrics=None, space=SPACE, **options):
    """A study of one objective, or of these metrics, in which every ninth trial failed."""
    study = hpo.Study(space, metrics=metrics, sampler="random", **{"seed": 0} | options)
    batch = study.ask(n)
    failed = np.arange(n) % 9 == 4
    found, done = values_of(batch), ~failed
    told = found["error"][done] if metrics is None else {name: found[name][done] for name in metrics}
    study.tell(batch[done], told)
    study.fail(batch[failed], reason="oom")
    return study


@pytest.fixture(scope="module")
def study():
    return searched()


@pytest.fixture(scope="module")
def several():
    return searched(metrics=METRICS)


def axes_of(drawn):
    return drawn if isinstance(drawn, tuple) else (drawn,)


def texts(labels):
    return [label.get_text() for label in labels]


def legend(ax):
    return texts(ax.get_legend().get_texts())


def points(*lines):
    """Points of lines, in order; a band of trials is a line of its own."""
    found = np.hstack([np.array([line.get_xdata(), line.get_ydata()], np.float64) for line in lines])
    return found[:, np.lexsort(found)]


def test_bars_are_importances(study):
    ax = plots.plot_importance(study)
    found = study.importance()
    assert texts(ax.get_yticklabels()) == [*found]
    assert [bar.get_width() for bar in ax.patches] == [*found.values()]
    assert texts(ax.texts) == [f"{share:.0%}" for share in found.values()]
    assert (ax.get_ylim()[0] > ax.get_ylim()[1], ax.get_xlabel()) == (True, "importance")  # the first on top


@pytest.mark.parametrize(("metric", "evaluator"), [("ms", "ped-anova"), ("error", "fanova")])
def test_bars_are_those_of_a_metric_and_an_evaluator(several, metric, evaluator):
    ax = plots.plot_importance(several, metric=metric, evaluator=evaluator)
    found = several.importance(metric, evaluator=evaluator)
    assert [bar.get_width() for bar in ax.patches] == [*found.values()]
    assert ax.get_xlabel() == f"importance for {metric}"


def test_many_parameters_share_the_last_bar():
    space = {f"x{i}": hpo.Float(0, 1) for i in range(40)}
    study = hpo.Study(space, sampler="random", seed=0)
    batch = study.ask(100)
    study.tell(batch, sum(batch[f"x{i}"] * (40 - i) for i in range(40)))
    ax = plots.plot_importance(study)
    shares = [*study.importance().values()]
    assert len(ax.patches) == 25
    assert texts(ax.get_yticklabels())[-1] == "16 others"
    assert ax.patches[-1].get_width() == pytest.approx(sum(shares[24:]))


@pytest.mark.parametrize("metric", [None, "ms"])
def test_slices_show_each_trial_where_its_parameters_are(several, metric):
    panels = plots.plot_slice(several, metric=metric)
    assert [ax.get_xlabel() for ax in panels] == ["lr", "depth", "size", "kind", "shift"]
    first = {trial.number for trial in several.front()}
    places = {"size": [16, 32, 256].index, "kind": ["plain", "odd"].index}
    for ax in panels:
        name = ax.get_xlabel()
        trials = [trial for trial in several.trials.where("complete") if name in trial.params]
        expected = [[], [], []]
        for trial in trials:
            at = (places.get(name, float)(trial[name]), trial.values[metric or "error"])
            expected[2 if trial.number in first else int(not trial.feasible)].append(at)
        *others, broken, best = ax.get_lines()[:8]
        for lines, found in zip((others, [broken], [best]), expected, strict=True):
            drawn = points(*lines)
            if name in ("depth", *places):
                assert (np.abs(drawn[0] - np.rint(drawn[0])) <= 0.25).all()
                drawn[0] = np.rint(drawn[0])
                drawn = drawn[:, np.lexsort(drawn)]
            wanted = np.array(found).T
            np.testing.assert_array_equal(drawn, wanted[:, np.lexsort(wanted)])
    assert panels[0].get_xscale() == "log"
    assert legend(panels[0]) == ["front", "infeasible", "other trials, the later the darker"]
    bounds = [line for line in panels[0].get_lines() if line.get_linestyle() == "--"]
    assert [{*line.get_ydata()} for line in bounds] == ([] if metric is None else [{5.0}])


def test_later_trials_are_darker(study):
    (ax,) = plots.plot_slice(study, ["lr"])
    *others, _, _ = ax.get_lines()[:8]
    light = [sum(colors.to_rgb(line.get_color())) for line in others]
    assert light == sorted(light, reverse=True)
    number = {trial.value: trial.number for trial in study.trials.where("complete")}
    ranges = [[number[y] for y in line.get_ydata()] for line in others]
    assert all(max(a) < min(b) for a, b in pairwise(ranges))


def test_slices_of_many_parameters_are_the_most_important_ones():
    study = hpo.Study({f"x{i:02}": hpo.Float(0, 1) for i in range(15)}, sampler="random", seed=0)
    batch = study.ask(400)
    study.tell(batch, 3 * batch["x14"] + batch["x07"])
    names = [ax.get_xlabel() for ax in plots.plot_slice(study)]
    assert len(names) == 9
    assert {"x07", "x14"} < {*names}
    assert names == sorted(names)
    assert [ax.get_xlabel() for ax in plots.plot_slice(study, ["x09", "x01"])] == ["x09", "x01"]


def test_pictures_of_two_parameters_choose_the_most_important_ones(study):
    one, other = [*study.importance()][:2]
    for draw in (plots.plot_contour, plots.plot_rank):
        ax = draw(study)
        assert (ax.get_xlabel(), ax.get_ylabel()) == (one, other)
    ax = plots.plot_rank(study, ["shift", "kind"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shift", "kind")


def test_two_parameters_that_are_never_active_together_are_not_chosen():
    space = {"kind": hpo.Categorical({"a": {"x": hpo.Float(0, 1)}, "b": {"y": hpo.Float(0, 1)}})}
    study = hpo.Study(space, sampler="random", seed=0)
    for trial in study.ask(100):
        study.tell(trial, trial.params.get("x", trial.params.get("y")))
    ax = plots.plot_rank(study)
    assert "kind" in (ax.get_xlabel(), ax.get_ylabel())
    with pytest.raises(hpo.ArgumentError, match="'x' and 'y' are active, got none"):
        plots.plot_contour(study, ["x", "y"])


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_contour_is_darkest_at_the_best(direction):
    study = searched(direction=direction)
    ax = plots.plot_contour(study, ["size", "lr"])
    surface = next(each for each in ax.collections if each.get_array() is not None)
    found = contour(study, "size", "lr")
    np.testing.assert_array_equal(np.asarray(surface.get_array()).ravel(), found.mean.ravel())
    best = found.mean.min() if direction == "minimize" else found.mean.max()
    worst = found.mean.max() if direction == "minimize" else found.mean.min()
    dark, light = (sum(surface.cmap(surface.norm(value))[:3]) for value in (best, worst))
    assert dark < 1 < 1.5 < light
    (dots,) = (line for line in ax.get_lines() if len(line.get_xdata()))
    np.testing.assert_array_equal(dots.get_ydata(), study.trials.where("complete")["lr"])


def test_a_contour_fades_where_no_trial_is_near():
    study = hpo.Study({"x": hpo.Float(0, 1), "y": hpo.Float(0, 1)}, sampler="random", seed=0)
    for x in np.linspace(0, 0.3, 40):
        study.add({"x": float(x), "y": float(60 * x % 1)}, math.sin(40 * x))
    ax = plots.plot_contour(study, ["x", "y"])
    veil = ax.collections[-1].get_array()[..., 3]
    assert veil.shape == (48, 48)
    assert veil[:, :14].max() < 0.5 < 0.85 < veil[:, 36:].min()


def test_ranks_colour_the_trials(several):
    ax = plots.plot_rank(several, ["lr", "shift"], metric="ms")
    found = ranks(several, "lr", "shift", "ms")
    drawn = []
    for dots, is_feasible in zip(ax.collections[:2], (False, True), strict=True):
        rank = np.asarray(dots.get_array())
        assert (np.diff(rank) <= 0).all()  # better ones on top
        drawn += [
            (*at, share, is_feasible) for at, share in zip(dots.get_offsets().tolist(), rank, strict=True)
        ]
    columns = found.x.position, found.y.position, found.rank, found.feasible
    assert sorted(drawn) == sorted(zip(*(column.tolist() for column in columns), strict=True))
    (bar,) = (each for each in ax.figure.axes if each is not ax)
    assert (bar.get_ylabel(), texts(bar.get_yticklabels())[0]) == ("rank of ms", "best")


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_lines_cross_the_axes_where_the_parameters_are(direction):
    study = searched(direction=direction)
    ax = plots.plot_parallel(study)
    assert texts(ax.get_xticklabels()) == ["value", "lr", "depth", "size", "kind", "shift"]
    (lines,) = ax.collections
    trials = [*study.trials.where("complete")]
    trials.sort(key=lambda trial: trial.value, reverse=direction == "minimize")  # the best on top
    low, high = min(trial.value for trial in trials), max(trial.value for trial in trials)
    span = math.log(high / low)
    for path, trial in zip(lines.get_paths(), trials, strict=True):
        value, lr, depth, size, kind, shift = path.vertices[:, 1].tolist()
        assert value == pytest.approx(math.log(trial.value / low) / span, abs=1e-12)
        assert lr == pytest.approx(math.log10(trial["lr"] / 1e-5) / 5, abs=1e-12)
        assert abs(4 * depth - (trial["depth"] - 0.5)) <= 0.25 + 1e-12
        assert int(3 * size) == [16, 32, 256].index(trial["size"])
        assert int(2 * kind) == (trial["kind"] == "odd")
        assert shift == pytest.approx(trial.params.get("shift", -0.09), abs=1e-12)
    rank = np.asarray(lines.get_array())
    assert (rank[0], rank[-1]) == (1.0, 0.0)
    dark, light = (sum(lines.cmap(lines.norm(each))[:3]) for each in (0.0, 1.0))
    assert dark < light


def test_many_lines_are_thinned_and_the_best_stays():
    study = searched(3000)
    ax = plots.plot_parallel(study, ["lr"])
    (lines,) = ax.collections
    rank = np.asarray(lines.get_array())
    assert (len(rank), rank[0], rank[-1]) == (500, 1.0, 0.0)
    assert np.diff(rank).min() > -0.01
    assert legend(ax) == ["trials (500 of 2,667), the better the darker"]
    (lines,) = plots.plot_parallel(study).collections
    assert lines.get_rasterized()  # an SVG stays small


def test_lines_of_infeasible_trials_are_left_out_unless_all_are(several):
    (lines,) = plots.plot_parallel(several).collections
    assert len(lines.get_paths()) == several.trials.feasible.sum() < len(several.trials.where("complete"))
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"a": hpo.Minimize(), "b": hpo.AtMost(0)}, seed=0)
    study.tell(study.ask(3), {"a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0]})
    (lines,) = plots.plot_parallel(study).collections
    assert len(lines.get_paths()) == 3


@pytest.mark.parametrize("metric", [None, "ms"])
def test_a_distribution_is_the_share_that_is_at_most(several, metric):
    other = searched(40, METRICS, seed=1)
    ax = plots.plot_edf({"one": several, "other": other}, metric=metric)
    assert legend(ax) == ["one", "other"]
    assert ax.get_xlabel() == (metric or "error")
    for line, of in zip(ax.get_lines(), (several, other), strict=False):
        values = of.trials.values[metric or "error"][of.trials.feasible]
        x, y = line.get_xdata(), line.get_ydata()
        for value in values:
            assert y[np.searchsorted(x, value, side="right") - 1] == pytest.approx(np.mean(values <= value))
        assert line.get_drawstyle() == "steps-post"
        assert (y[0], y[-1]) == (0, 1)


@pytest.mark.parametrize("unit", [("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86400.0)])
def test_a_timeline_shows_when_trials_ran(unit):
    study = make_study()
    name, seconds = unit
    for k in range(3):
        study.add({"x": k / 3}, float(k), started=1e9 + 5 * k * seconds, seconds=(k + 1) * seconds)
    ax = plots.plot_timeline(study)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (name, "trial")
    (bars,) = ax.collections
    drawn = [path.vertices.tolist() for path in bars.get_paths()]
    np.testing.assert_allclose(drawn, [[[5 * k, k], [6 * k + 1, k]] for k in range(3)])


def test_bars_are_coloured_by_outcome():
    study = study_with_pauses()
    ax = plots.plot_timeline(study)
    counts = {state: len(study.trials.where(state)) for state in ("stopped", "paused", "failed", "running")}
    counts["complete"] = len(study.trials.where("complete"))
    assert legend(ax) == [f"{state} ({n})" for state, n in counts.items()]
    assert [len(bars.get_paths()) for bars in ax.collections] == [*counts.values()]
    found = timeline(study)
    rows = [path.vertices[0, 1] for bars in ax.collections for path in bars.get_paths()]
    assert sorted(rows) == sorted(found.number.tolist())
    assert len({bars.get_color()[0].tobytes() for bars in ax.collections}) == len(counts)


def test_the_shortest_trial_is_seen():
    study = make_study()
    study.add({"x": 0.0}, 1.0, started=0.0, seconds=0.0)
    study.add({"x": 1.0}, 1.0, started=1000.0, seconds=1000.0)
    (bars,) = plots.plot_timeline(study).collections
    (start, _), (end, _) = bars.get_paths()[0].vertices
    assert end - start == pytest.approx(0.003 * 2000 / 60)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("make", [make_study, lambda: hpo.Study({"c": 1})], ids=["empty", "constants"])
def test_a_study_without_trials_is_refused(name, make):
    with pytest.raises(hpo.ArgumentError, match=r"study must h|studies must|importance needs|got none"):
        PICTURES[name](make())


@pytest.mark.parametrize("name", OF_COMPLETE)
def test_a_study_without_results_is_refused(name):
    study = make_study()
    batch = study.ask(3)
    batch.report(0, [1.0, 2.0, 3.0])
    study.stop_trials(batch[:1])
    study.fail(batch[1:2])
    with pytest.raises(hpo.ArgumentError, match=r"must hold a completed trial.*got none"):
        OF_COMPLETE[name](study)
    plots.plot_timeline(study)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: searched(1),
        lambda: searched(12, METRICS),
        lambda: searched(30, direction="maximize"),
        lambda: searched(
            12, space={"lr": hpo.Float(1e-3, 1), "depth": hpo.Int(1, 4), "kind": "odd", "size": 1}
        ),
    ],
    ids=["one trial", "metrics", "maximised", "few parameters"],
)
def test_a_small_study_is_drawn(name, make):
    study = make()
    draw = OF_COMPLETE.get(name, plots.plot_timeline) if len(study.trials) == 1 else PICTURES[name]
    for ax in axes_of(draw(study)):
        assert ax.figure.canvas.draw() is None


def test_all_that_is_equal_is_drawn():
    study = hpo.Study(SPACE, sampler="random", seed=0)
    study.tell(study.ask(20), np.ones(20))
    for name, draw in OF_COMPLETE.items():
        for ax in axes_of(draw(study)):
            assert ax.figure.canvas.draw() is None, name


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_into_given_axes(study, name):
    figure = Figure()
    given = {"axes": [*figure.subplots(5)]} if name == "slice" else {"ax": figure.subplots()}
    drawn = PICTURES[name](study, **given)
    assert axes_of(drawn) == axes_of(tuple(given["axes"]) if name == "slice" else given["ax"])
    assert plt.get_fignums() == []


# What is drawn of a name, a choice or a label.
HOSTILE = {
    "$\\frac$": "$\\frac$",
    "_hidden": "_hidden",
    "\x1b[2Jred": "\\x1b[2Jred",
    "two\nlines": "two\\nlines",
    "\u202eevil": "\\u202eevil",
    "\ud800": "\\ud800",
    "<script>&": "<script>&",
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("text", "drawn"), HOSTILE.items())
def test_names_are_shown_as_they_are(name, text, drawn):
    metrics = {text: hpo.Minimize(), f"{text}2": hpo.AtMost(99.0)}
    space = {text: hpo.Categorical([text, "b"]), f"{text} 2": hpo.Float(0, 1)}
    study = hpo.Study(space, metrics=metrics, sampler="random", seed=0, name=text)
    batch = study.ask(30)
    study.tell(batch, {text: batch[f"{text} 2"] + (batch[text] == "b"), f"{text}2": np.ones(30)})
    given = {"metric": text} if name == "importance" else {}
    (first, *_) = axes_of(PICTURES[name]({text: study} if name == "edf" else study, **given))
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        first.figure.savefig(file, format="svg")
    root = ET.fromstring(file.getvalue())  # well-formed: no name is taken for markup
    tags = {each.tag.rpartition("}")[2] for each in root.iter()}
    assert "script" not in tags
    shown = {"".join(each.itertext()).strip() for each in root.iter() if each.tag.endswith("}text")}
    if name != "timeline":
        assert drawn in shown or any(each.endswith(f" {drawn}") for each in shown), shown


@pytest.mark.parametrize("name", PICTURES)
def test_ten_thousand_trials_are_drawn_within_a_second(name):
    study = searched(10_000)
    for ax in axes_of(PICTURES[name](searched(50))):  # loads what Matplotlib loads once
        ax.figure.canvas.draw()
    started = time.process_time()
    (ax, *_) = axes_of(PICTURES[name](study))
    ax.figure.canvas.draw()
    assert time.process_time() - started < 1.0  # 0.1 s to 0.4 s where nothing else runs
