"""What the plots draw, read back from the axes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hpo_core as hpo

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from hpo_core.plots import plot_history, plot_parzen  # noqa: E402

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
    with pytest.raises(hpo.ArgumentError, match="at least one"):
        plot_parzen(hpo.Study({"lr": hpo.Float(0, 1)}, sampler="gp"), "lr")
    with pytest.raises(hpo.ArgumentError, match="one of lr, depth"):
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
    "x" * 200: "x" * 39 + "\u2026",
}


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
