"""What the plots draw, read back from the axes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hpo_core as hpo

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from studies import make_study, study_with_pauses  # noqa: E402

from hpo_core.analysis.front import reference_point  # noqa: E402
from hpo_core.plots import (  # noqa: E402
    plot_curves,
    plot_front,
    plot_history,
    plot_hypervolume,
    plot_metrics,
    plot_parzen,
    plot_steps,
)

SPACE = {
    "lr": hpo.Float(1e-5, 1.0, log=True),
    "depth": hpo.Int(1, 4),
    "units": hpo.Int(1, 512),
    "kind": hpo.Categorical({"plain": {}, "odd": {"shift": hpo.Float(0.0, 1.0)}}),
    "seed": 3,
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def told(values, **options) -> hpo.Study:
    """A study that holds these values; NaN is a failed trial."""
    study = hpo.Study(SPACE, sampler="random", seed=0, **options)
    for value in values:
        study.tell(study.ask(), value)
    return study


@pytest.fixture(scope="module")
def tuned() -> hpo.Study:
    """Best at lr = 1e-2, depth 2, kind "odd"."""
    study = hpo.Study(SPACE, sampler="tpe", seed=0)
    for _ in range(120):
        trial = study.ask()
        loss = (math.log10(trial["lr"]) + 2) ** 2 + (trial["depth"] - 2) ** 2
        study.tell(trial, loss + (trial["kind"] == "plain"))
    return study


def line(ax, label):
    return next(drawn for drawn in ax.get_lines() if drawn.get_label() == label)


@pytest.mark.parametrize(("direction", "best"), [("minimize", min), ("maximize", max)])
def test_history_draws_the_running_best(direction, best):
    values = [3.0, 5.0, math.nan, 2.0, 4.0, 9.0]
    drawn = line(plot_history(told(values, direction=direction)), "best so far")
    expected = [
        best(v for v in values[: k + 1] if not math.isnan(v)) for k in range(len(values))
    ]  # fmt: skip
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(1, 7))
    np.testing.assert_array_equal(drawn.get_ydata(), expected)


def test_history_counts_in_order_of_finishing():
    study = hpo.Study(SPACE, sampler="random", seed=0)
    batch = study.ask(3)
    for number, value in ((2, 5.0), (0, 7.0), (1, 1.0)):
        study.tell(number, value)
    drawn = line(plot_history(study), "best so far")
    assert len(batch) == 3
    np.testing.assert_array_equal(drawn.get_ydata(), [5.0, 5.0, 1.0])


def test_history_takes_several_studies_and_given_axes():
    _, ax = plt.subplots()
    assert plot_history({"a": told([2.0, 1.0]), "b": told([3.0])}, ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert ax.get_yscale() == "linear"


def test_history_axis_is_logarithmic_for_wide_positive_values():
    assert plot_history(told([0.01, 1.0])).get_yscale() == "log"
    assert plot_history(told([-0.01, 1.0])).get_yscale() == "linear"


def test_history_refuses_what_it_cannot_draw():
    with pytest.raises(hpo.ArgumentError, match="no study"):
        plot_history({})
    with pytest.raises(hpo.ArgumentError, match="maximize and minimize"):
        plot_history({"a": told([1.0]), "b": told([1.0], direction="maximize")})
    with pytest.raises(hpo.ArgumentError, match="completed"):
        plot_history(told([math.nan]))


def test_parzen_draws_densities_in_user_units(tuned):
    upper, lower = plot_parzen(tuned, "lr")
    l, g = (line(upper, label) for label in ("l(x), good trials", "g(x), the rest"))  # noqa: E741
    values = l.get_xdata()
    assert upper.get_xscale() == lower.get_xscale() == "log"
    assert (values[0], values[-1]) == (1e-5, 1.0)
    for density in (l, g):  # the range has length 1 on its own scale
        assert np.trapezoid(density.get_ydata(), np.linspace(0, 1, len(values))) == pytest.approx(1, abs=0.01)
    assert 1e-3 < values[np.argmax(l.get_ydata())] < 1e-1
    ratio = next(drawn for drawn in lower.get_lines() if len(drawn.get_xdata()) == len(values))
    np.testing.assert_allclose(ratio.get_ydata(), l.get_ydata() / g.get_ydata(), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "labels", "likely"),
    [("depth", ["1", "2", "3", "4"], 1), ("kind", ["plain", "odd"], 1)],
)
def test_parzen_draws_discrete_parameters_as_bars(tuned, name, labels, likely):
    upper, lower = plot_parzen(tuned, name)
    heights = [[bar.get_height() for bar in bars] for bars in upper.containers]
    assert [text.get_text() for text in lower.get_xticklabels()] == labels
    for probabilities in heights:
        assert sum(probabilities) == pytest.approx(1, abs=1e-9)
    assert np.argmax(np.divide(*heights)) == likely


@pytest.mark.parametrize("name", ["units", "shift"])
def test_parzen_draws_long_integers_and_conditional_parameters(tuned, name):
    figure, axes = plt.subplots(2)
    assert plot_parzen(tuned, name, axes=tuple(axes)) == tuple(axes)
    figure.canvas.draw()
    assert axes[0].get_xscale() == "linear"


@pytest.mark.parametrize("sampler", ["auto", "gp", "random", "sobol"])
def test_parzen_draws_what_tpe_makes_of_any_study(sampler):
    study = hpo.Study({"x": hpo.Float(0, 1), "k": hpo.Int(1, 4)}, sampler=sampler, seed=0)
    for x in np.linspace(0, 1, 30):
        study.add({"x": x, "k": 1 + int(4 * x) % 4}, abs(x - 0.3))
    by_tpe = hpo.Study(study.space, sampler="tpe", seed=0)
    for trial in study.trials:
        by_tpe.add(trial.params, trial.value)
    drawn, expected = plot_parzen(study, "x")[1], plot_parzen(by_tpe, "x")[1]
    np.testing.assert_array_equal(drawn.lines[1].get_ydata(), expected.lines[1].get_ydata())
    plot_parzen(study, "k")


def test_parzen_refuses_what_it_cannot_draw(tuned):
    with pytest.raises(hpo.ArgumentError, match="must have a completed trial, got none"):
        plot_parzen(hpo.Study({"lr": hpo.Float(0, 1)}, sampler="gp"), "lr")
    with pytest.raises(hpo.ArgumentError, match="one of 'lr', 'depth'"):
        plot_parzen(tuned, "learning_rate")
    with pytest.raises(hpo.ArgumentError, match="one of"):
        plot_parzen(tuned, "seed")


# What is drawn of a name, a choice or a label.
TEXTS = {
    "$\\frac$": "$\\frac$",
    "a $x$ b": "a $x$ b",
    "$$": "$$",
    "{\\bf x}": "{\\bf x}",
    "_hidden": "_hidden",
    "%s": "%s",
    "\x1b[2Jred": "\\x1b[2Jred",
    "two\nlines": "two\\nlines",
    "\u202eevil": "\\u202eevil",
    "x" * 100 + "y" * 100: "x" * 19 + "\u2026" + "y" * 20,
}


def shortened(drawn):
    """How a text is drawn at a tick."""
    return drawn if len(drawn) < 25 else f"{drawn[:11]}\u2026{drawn[-12:]}"


@pytest.mark.parametrize(("text", "drawn"), TEXTS.items())
def test_a_picture_shows_text_as_it_is(text, drawn):
    ax = plot_history({text: told([2.0, 1.0]), "": told([3.0])})
    ax.figure.canvas.draw()
    assert [each.get_text() for each in ax.get_legend().get_texts()] == [drawn, ""]
    space = {text: hpo.Categorical([text, ("b", text)]), "n": hpo.Int(1, 30)}
    study = hpo.Study(space, sampler="tpe", seed=0, name=text)
    study.tell(study.ask(30), range(30))
    upper, lower = plot_parzen(study, text)
    upper.figure.canvas.draw()
    assert lower.get_xlabel() == lower.get_xticklabels()[0].get_text() == drawn
    assert upper.get_title(loc="left").endswith(drawn)
    assert len(upper.get_legend().get_texts()) == 2


def test_a_picture_takes_half_a_surrogate_pair():
    ax = plot_history({"\ud800": told([1.0])})
    ax.figure.canvas.draw()
    assert ax.get_legend().get_texts()[0].get_text() == "\\ud800"


METRICS = {
    "error": hpo.Minimize(),
    "size": hpo.Minimize(known=lambda columns: 10 * columns["units"]),
    "ms": hpo.AtMost(5.0),
}


def searched(metrics=METRICS, n=40, **options):
    """A study of those metrics in which about half of the trials break a bound."""
    study = hpo.Study(SPACE, metrics=metrics, **{"sampler": "random", "seed": 0} | options)

    def objective(trial):
        x = trial["units"] / 512
        found = {
            "error": 1.1 - x + trial["depth"] / 4 + trial["lr"] / 99,
            "score": x,
            "ms": 10 * trial["lr"] ** 0.1,
            "late": x**2,
        }
        return {name: found[name] for name in study.metrics.reader.measured}

    study.optimize(objective, n_trials=n)
    return study


def points(line):
    return np.array([line.get_xdata(), line.get_ydata()])


def in_order(columns):
    return columns[:, np.lexsort(columns)]


def test_a_front_shows_every_completed_trial_once():
    study = searched()
    study.fail(study.ask())
    (ax,) = plot_front(study)
    crosses, dominated, line, front, corner = (points(each) for each in ax.get_lines()[:5])
    trials = study.trials.where("complete")
    values = np.array([trials.values["error"], trials.values["size"]])
    on_front = np.isin(trials.number, study.front().number)
    for drawn, mask in (
        (crosses, ~trials.feasible), (dominated, trials.feasible & ~on_front), (front, on_front),
    ):  # fmt: skip
        assert mask.sum() > 2
        np.testing.assert_array_equal(in_order(drawn), in_order(values[:, mask]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("error (minimised)", "size (minimised)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "front", "dominated", "infeasible", "reference",
    ]  # fmt: skip
    worst, best = front.max(axis=1), front.min(axis=1)
    np.testing.assert_allclose(corner[:, 0], worst + 0.1 * (worst - best))
    np.testing.assert_array_equal(line[:, 0], [best[0], corner[1, 0]])
    np.testing.assert_array_equal(line[:, -1], [corner[0, 0], best[1]])


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_a_staircase_bounds_what_is_dominated(signs):
    kinds = {1: hpo.Minimize, -1: hpo.Maximize}
    metrics = {name: kinds[sign](reference=sign * 9.0) for name, sign in zip("ab", signs, strict=True)}
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, sampler="random", seed=0)
    y = np.array([[1.0, 2.0, 4.0, 12.0, 4.0], [7.0, 5.0, 4.0, 2.0, 6.0]]) * np.array(signs)[:, None]
    study.tell(study.ask(5), y.T)
    (ax,) = plot_front(study)
    _, dominated, line, _, _ = (points(each) for each in ax.get_lines()[:5])
    sign = np.array(signs)[:, None]
    np.testing.assert_array_equal(dominated, sign * [[4.0], [6.0]])
    corners = [[1, 1, 2, 2, 4, 4, 12, 12, 12], [9, 7, 7, 5, 5, 4, 4, 2, 2]]
    np.testing.assert_array_equal(line, sign * corners)
    (shade,) = ax.patches  # up to the reference, and no farther
    np.testing.assert_array_equal(np.abs(shade.get_xy()).max(axis=0), [9, 9])
    area = np.abs(shade.get_xy()) @ [1, 1j]
    assert abs(np.sum(area.real * (np.roll(area.imag, -1) - np.roll(area.imag, 1)))) / 2 == pytest.approx(
        study.hypervolume()
    )


def test_three_objectives_are_drawn_in_pairs():
    metrics = {"error": hpo.Minimize(), "score": hpo.Maximize(), "late": hpo.Minimize()}
    study = searched(metrics)
    axes = plot_front(study)
    assert [(ax.get_xlabel().split()[0], ax.get_ylabel().split()[0]) for ax in axes] == [
        ("error", "score"), ("error", "late"), ("score", "late"),
    ]  # fmt: skip
    for ax in axes:
        x, y = (study.front().values[label.split()[0]] for label in (ax.get_xlabel(), ax.get_ylabel()))
        np.testing.assert_array_equal(in_order(points(ax.get_lines()[3])), in_order(np.array([x, y])))


def test_fronts_of_several_studies_share_a_reference():
    one, other = searched(), searched(seed=1)
    _, ax = plt.subplots()
    assert plot_front({"one": one, "other": other}, axes=[ax]) == (ax,)
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["one", "other"]
    given = {"error": 3.0, "size": 1e5}
    (ax,) = plot_front({"one": one, "other": other}, reference=given)
    assert [3.0, 1e5] in [
        points(line)[:, 0].tolist() for line in ax.get_lines() if len(line.get_xdata()) == 1
    ]


@pytest.mark.parametrize(
    "metrics",
    [
        METRICS,
        {"error": hpo.Minimize(reference=1.0), "score": hpo.Maximize(reference=0.1)},
        {"error": hpo.Minimize(), "score": hpo.Maximize(), "late": hpo.Minimize(), "ms": hpo.AtMost(6.0)},
        {"error": hpo.Minimize(), "score": hpo.Maximize(), "late": hpo.Minimize(), "ms": hpo.Minimize()},
    ],
    ids=["known", "two", "three", "four"],
)
def test_a_hypervolume_grows_as_the_study_says(metrics):
    study = searched(metrics, n=30)
    study.fail(study.ask())
    (drawn,) = plot_hypervolume(study).get_lines()
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(32))
    reference = reference_point(study.metrics, study.history.y[:, study.front().number])
    reference = dict(
        zip(study.metrics.objectives, study.metrics.sign[: len(reference)] * reference, strict=True)
    )
    again = hpo.Study(SPACE, metrics=metrics, sampler="random", seed=0)
    expected = [0.0]
    for trial in study.trials.where("complete"):
        again.add(trial.params, [trial.values[name] for name in again.metrics.reader.measured])
        try:
            expected.append(again.hypervolume(reference))
        except hpo.StudyError:  # nothing is better yet
            expected.append(0.0)
    np.testing.assert_allclose(drawn.get_ydata()[:31], expected, rtol=1e-12, atol=1e-12 * expected[-1])
    assert drawn.get_ydata()[31] == drawn.get_ydata()[30] > 0
    assert len(np.unique(expected)) > 4


def test_results_against_a_parameter():
    study = searched()
    upper, middle, lower = plot_metrics(study, "lr")
    assert lower.get_xscale() == "log"
    assert (upper.get_ylabel(), middle.get_ylabel(), lower.get_ylabel()) == ("error", "size", "ms")
    trials = study.trials
    first = np.isin(trials.number, study.front().number)
    for ax, name in ((upper, "error"), (middle, "size"), (lower, "ms")):
        for line, mask in zip(
            ax.get_lines(), (trials.feasible & ~first, ~trials.feasible, first), strict=False
        ):
            np.testing.assert_array_equal(points(line), [trials["lr"][mask], trials.values[name][mask]])
    (bound,) = [line for line in lower.get_lines() if line.get_linestyle() == "--"]
    assert {*bound.get_ydata()} == {5.0}
    assert [text.get_text() for text in upper.get_legend().get_texts()] == [
        "front", "infeasible", "other trials",
    ]  # fmt: skip


def test_results_against_choices_leave_room_between_them():
    study = searched()
    (ax,) = plot_metrics(study, "kind", metrics=["error"])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["plain", "odd"]
    drawn = np.hstack([points(line) for line in ax.get_lines()[:3]])
    assert drawn.shape == (2, 40)
    assert (np.abs(drawn[0] - np.round(drawn[0])) <= 0.25).all()
    for x, error in drawn.T:
        (row,) = np.flatnonzero(study.trials.values["error"] == error)
        assert study.trials["kind"][row] == ["plain", "odd"][round(x)]


def test_results_leave_out_trials_without_the_parameter():
    study = searched()
    (ax,) = plot_metrics(study, "shift", metrics=["error"])
    active = study.trials.active("shift")
    assert 0 < active.sum() < 40
    drawn = np.hstack([points(line) for line in ax.get_lines()[:3]])
    expected = np.array([study.trials["shift"], study.trials.values["error"]])[:, active]
    np.testing.assert_array_equal(in_order(drawn), in_order(expected))


def test_results_of_a_study_with_a_direction():
    (ax,) = plot_metrics(told([3.0, 1.0, math.nan, 2.0], direction="maximize"), "depth")
    assert ax.get_ylabel() == "value"
    assert points(ax.get_lines()[2])[1].tolist() == [3.0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["best", "other trials"]


def test_ordinal_values_stand_side_by_side():
    study = hpo.Study({"size": hpo.Ordinal([16, 32, 256])}, sampler="random", seed=0, allow_duplicates=True)
    study.tell(study.ask(20), range(20))
    (ax,) = plot_metrics(study, "size")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["16", "32", "256"]
    for x, value in np.hstack([points(line) for line in ax.get_lines()[:3]]).T:
        assert study.trials["size"][int(value)] == [16, 32, 256][round(x)]


def test_history_counts_only_trials_that_keep_the_bounds():
    metrics = {"loss": hpo.Minimize(), "ms": hpo.AtMost(5.0)}
    study = hpo.Study(SPACE, metrics=metrics, sampler="random", seed=0)
    study.tell(study.ask(4), {"loss": [1.0, 3.0, 2.0, 0.5], "ms": [6.0, 1.0, 1.0, 5.5]})
    ax = plot_history(study)
    np.testing.assert_array_equal(line(ax, "best so far").get_ydata(), [math.nan, 3.0, 2.0, 2.0])
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), [1.0, math.nan, math.nan, 0.5])
    assert ax.get_ylabel() == "loss"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["best so far", "infeasible"]


def test_pictures_of_several_objectives_refuse_what_they_cannot_draw():
    study, empty = searched(), searched(n=0)
    with pytest.raises(hpo.ArgumentError, match=r"one objective each.*'error', 'size'; .*plot_front"):
        plot_history(study)
    for draw in (plot_front, plot_hypervolume):
        for studies, words in [
            (told([1.0]), "several objectives, got 'minimize value'; see plot_history"),
            ({}, "no study"),
            ({"a": study, "b": searched({"error": hpo.Minimize(), "ms": hpo.Minimize()})}, "same objectives"),
            (empty, "keeps all bounds, got none"),
            (3, "must be a Study, got 3"),
        ]:
            with pytest.raises(hpo.ArgumentError, match=words):
                draw(studies)
        with pytest.raises(hpo.ArgumentError, match="must name objectives"):
            draw(study, reference={"ms": 3.0})
    with pytest.raises(hpo.ArgumentError, match="reference must be worse than some trial"):
        plot_hypervolume(study, reference={"error": 0.0})
    with pytest.raises(hpo.ArgumentError, match="axes must be 1, one for each pair of objectives, got 2"):
        plot_front(study, axes=plt.subplots(2)[1])
    for arguments, words in [
        (("lrr",), "one of .*did you mean 'lr'"),
        (("lr", ["errr"]), "one of 'error', 'size', 'ms', got 'errr'; did you mean 'error'"),
        (("lr", "error"), "list of names"),
        (("lr", []), "list of names"),
    ]:
        with pytest.raises(hpo.ArgumentError, match=words):
            plot_metrics(study, arguments[0], metrics=[*arguments, None][1])
    with pytest.raises(hpo.ArgumentError, match="'lr' is active, got none"):
        plot_metrics(empty, "lr")
    with pytest.raises(hpo.ArgumentError, match="axes must be 3, one for each metric, got 1"):
        plot_metrics(study, "lr", axes=[plt.subplots()[1]])


@pytest.mark.parametrize(("text", "drawn"), TEXTS.items())
def test_pictures_of_metrics_show_names_as_they_are(text, drawn):
    metrics = {text: hpo.Minimize(), "b": hpo.Maximize()}
    study = hpo.Study({text: hpo.Categorical([text, "b"])}, metrics=metrics, sampler="random", seed=0)
    study.tell(study.ask(2), [(1.0, 2.0), (2.0, 3.0)])
    (front,) = plot_front({text: study})
    upper, lower = plot_metrics(study, text)
    for ax in (front, lower):
        ax.figure.canvas.draw()
    assert front.get_xlabel() == f"{drawn} (minimised)"
    assert front.get_legend().get_texts()[0].get_text() == drawn
    assert upper.get_ylabel() == lower.get_xlabel() == drawn
    assert lower.get_xticklabels()[0].get_text() == shortened(drawn)


def drawn_curves(ax):
    """Points of the curves by the outcome that colours them."""
    return {
        lines.get_label(): [path.vertices.tolist() for path in lines.get_paths()] for lines in ax.collections
    }


def curve_of(trial):
    return [[step + 1.0, value] for step, value in trial.reports]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_curves_show_every_report_by_outcome(direction):
    study = study_with_pauses(direction=direction)
    ax = plot_curves(study)
    expected = {
        state: [curve_of(trial) for trial in study.trials.where(state)]
        for state in ("stopped", "paused", "failed", "running", "complete")
    }
    assert drawn_curves(ax) == expected
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *(f"{state} ({len(curves)})" for state, curves in expected.items()),
        "best",
    ]
    best = next(each for each in ax.get_lines() if each.get_linewidth() > 2)
    assert points(best).T.tolist() == curve_of(study.best_trial)
    rungs = [each.get_xdata()[0] for each in ax.get_lines() if each.get_linestyle() == ":"]
    assert rungs == [1, 3]
    ax.figure.canvas.draw()


def test_curves_take_what_is_not_in_order():
    study = make_study()
    a, b, _ = study.ask(3)
    for step, value in [(0, 3.0), (2, 1.0), (0, 5.0), (1, math.nan), (2, math.inf), (3, 0.5)]:
        a.report(step, value)
    b.report(0, math.nan)
    assert drawn_curves(plot_curves(study)) == {"running": [[[1.0, 5.0], [4.0, 0.5]]]}


def test_a_picture_of_many_curves_shows_the_rare_outcomes():
    study = make_study()
    batch = study.ask(700)
    for step in range(3):
        batch.report(step, np.arange(700.0) + step)
    study.stop_trials(batch[:600])
    study.tell(batch[600:605], np.arange(5.0))
    study.fail(batch[605:610])
    drawn = drawn_curves(plot_curves(study))
    assert {name: len(curves) for name, curves in drawn.items()} == {
        "stopped": 200, "failed": 5, "running": 90, "complete": 5,
    }  # fmt: skip
    assert drawn["stopped"][0][0] == [1.0, 0.0]
    assert drawn["stopped"][-1][-1] == [3.0, 601.0]


def test_curves_of_a_metric():
    study = searched()
    trial = study.ask()
    trial.report(4, {"error": 0.5, "ms": 3.0})
    for metric, value in (("error", 0.5), ("ms", 3.0)):
        ax = plot_curves(study, metric=metric)
        assert ax.get_ylabel() == metric
        assert drawn_curves(ax) == {"running": [[[5.0, value]]]}
    assert plot_curves(study).get_ylabel() == "error"
    with pytest.raises(hpo.ArgumentError, match="metric must be one of error, ms, got 'mss'; did you mean"):
        plot_curves(study, metric="mss")
    with pytest.raises(hpo.ArgumentError, match="report of a finite value"):
        plot_curves(told([1.0]))


def test_rungs_far_apart_get_a_logarithmic_axis():
    study = make_study()
    assert plot_curves(study_with_pauses()).get_xscale() == "linear"
    study = study_with_pauses()
    for trial in study.trials.where("running"):
        for step in range(9, 30):
            trial.report(step, 1.0)
    ax = plot_curves(study)
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "3", "30"]


def steps_and_best(study):
    """Steps of all trials and the best value after each report, by a loop."""
    better = min if study.direction == "minimize" else max
    reports, deepest, spent, best, path = study.history.reports, {}, 0, None, []
    sign = study.metrics.sign[0]
    for row, step, value in zip(reports.row.tolist(), reports.step.tolist(), reports.value, strict=True):
        spent += max(0, step + 1 - deepest.get(row, 0))
        deepest[row] = max(step + 1, deepest.get(row, 0))
        if math.isfinite(value):
            best = sign * value if best is None else better(best, sign * value)
        path.append((spent, best))
    return path


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_steps_are_those_of_all_trials(direction):
    study = study_with_pauses(direction=direction)
    path = steps_and_best(study)
    ax = plot_steps(study)
    x, y = points(next(each for each in ax.get_lines() if each.get_linewidth() > 2))
    assert x[-1] == path[-1][0] == 33
    for spent, best in path:
        assert y[np.searchsorted(x, spent, side="right") - 1] == best
    dotted = next(each for each in ax.get_lines() if each.get_linewidth() < 2 and len(each.get_xdata()) == 2)
    assert points(dotted).tolist() == [[33, 69], [path[-1][1]] * 2]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["best so far, 52% of 69 steps saved"]


def test_steps_that_are_repeated_count_once_and_bounds_are_kept():
    study = hpo.Study(
        SPACE, metrics={"error": hpo.Minimize(), "ms": hpo.AtMost(5.0)}, sampler="random", seed=0
    )
    a, b = study.ask(2)
    for trial, step, error, ms in [
        (a, 0, 9.0, 1.0), (a, 1, 8.0, 9.0), (b, 1, 7.0, 5.0), (a, 0, 6.0, 1.0), (b, 3, 5.0, 6.0),
    ]:  # fmt: skip
        trial.report(step, {"error": error, "ms": ms})
    study.tell(a, {"error": 4.0, "ms": 1.0})
    study.tell(b, {"error": 3.0, "ms": 8.0})
    x, y = points(plot_steps(study).get_lines()[0])
    assert (x.tolist(), y.tolist()) == ([1, 4, 4, 6, 6], [9.0, 7.0, 6.0, 4.0, 4.0])


def test_steps_refuse_what_they_cannot_draw():
    with pytest.raises(hpo.ArgumentError, match="report of a finite value"):
        plot_steps(told([math.nan]))
    with pytest.raises(hpo.ArgumentError, match="maximize and minimize"):
        plot_steps({"a": told([1.0]), "b": told([1.0], direction="maximize")})
    with pytest.raises(hpo.ArgumentError, match="one objective each"):
        plot_steps(searched())
    ax = plot_steps({"a": study_with_pauses(), "b": study_with_pauses(seed=1)})
    assert len(ax.get_legend().get_texts()) == 2
