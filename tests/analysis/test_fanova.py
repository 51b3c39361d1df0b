"""Functional ANOVA of a Gaussian process: known Sobol indices, and a brute-force grid of posterior means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from oracles.importance import main_effect_variances

import hpo_core as hpo
from hpo_core.analysis import fanova, importance
from hpo_core.gp.posterior import Hyperparameters, Posterior
from hpo_core.native.covariance import Structure
from hpo_core.space import Categorical, Float, Int, Ordinal, Space, param

MIXED = Space(
    {
        "a": Float(0.0, 1.0),
        "kind": Categorical(["u", "v", "w"]),
        "b": Float(0.0, 1.0),
        "k": Int(1, 6, log=True),
    }
)
CONDITIONAL = Space(
    {
        "kind": Categorical({"u": {"x": Float(0.0, 1.0), "z": Ordinal([1, 2, 4])}, "v": {"deep": Int(1, 3)}}),
        "b": Float(0.0, 1.0),
        "width": Int(1, 4, when=param("deep") > 1),
        "c": Categorical(["p", "q"], when=param("width") + param("deep") > 4),
    }
)


def study_of(space, f, n):
    study = hpo.Study(space, sampler="sobol", seed=0)
    batch = study.ask(n)
    study.tell(batch, f(batch))
    return study


def test_the_mixture_of_gaussians_is_a_matern():
    r = np.concatenate([[0.0], np.logspace(-6, 3, 500)])
    matern = (1 + math.sqrt(5) * r + 5 / 3 * r**2) * np.exp(-math.sqrt(5) * r)
    s, w = fanova.mixture()
    np.testing.assert_allclose(np.exp(-1.25 * r[:, None] ** 2 / s) @ w, matern, atol=1e-7)


def posterior_of(space, n, seed, lengthscale):
    """A posterior of random values with given hyperparameters."""
    rng = np.random.default_rng(seed)
    d, groups = space.layout.size, space.layout.n_groups
    hyper = Hyperparameters(
        rng.uniform(*lengthscale, d), 1e-3, np.concatenate([[1.0], rng.uniform(0.2, 0.9, groups - 1)])
    )
    x = space.codec.activity.draw(n, rng)
    return Posterior(Structure(space.layout), hyper, x, rng.normal(size=n))


def axes_of(space):
    """Every value of each parameter with its weight; of a real one the middles of equal cells."""
    found = []
    for row in range(space.layout.size):
        nodes = fanova.nodes_of(space.layout, row)
        if len(nodes.x) == fanova.N_NODES:
            nodes = fanova.Nodes((np.arange(60) + 0.5) / 60, np.full(60, 1 / 60))
        found.append(nodes)
    return found


@pytest.mark.parametrize(("space", "seed"), [(MIXED, 0), (MIXED, 1), (CONDITIONAL, 2), (CONDITIONAL, 3)])
def test_main_effects_are_those_of_the_mean_on_a_grid(space, seed):
    activity, posterior = space.codec.activity, posterior_of(space, 25, seed, (0.3, 1.5))

    def active(x):
        settled = activity.settle(x.copy())
        return ~np.isnan(settled)

    expected = main_effect_variances(posterior.mean, axes_of(space), active)
    found = fanova.main_effects(space.layout, activity, posterior)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-5 * expected.max())


@pytest.mark.parametrize("lengthscale", [0.02, 0.1])
def test_short_lengthscales_are_resolved(lengthscale):
    space = Space({"a": Float(0.0, 1.0), "b": Float(0.0, 1.0)})
    posterior = posterior_of(space, 12, 5, (lengthscale, 1.5 * lengthscale))
    grid = np.full(1000, 1 / 1000)
    axes = [((np.arange(1000) + 0.5) / 1000, grid)] * 2
    expected = main_effect_variances(posterior.mean, axes, lambda x: np.ones(x.shape, bool))
    found = fanova.main_effects(space.layout, space.codec.activity, posterior)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_combinations_of_parents_are_drawn_if_they_are_many(monkeypatch):
    posterior = posterior_of(CONDITIONAL, 25, 2, (0.3, 1.5))
    activity = CONDITIONAL.codec.activity
    exact = fanova.main_effects(CONDITIONAL.layout, activity, posterior)
    monkeypatch.setattr(fanova.Combinations, "_expand", only_drawn(fanova.Combinations._expand))
    drawn = fanova.main_effects(CONDITIONAL.layout, activity, posterior)
    assert not np.array_equal(drawn, exact)
    np.testing.assert_allclose(drawn, exact, rtol=0.1, atol=0.02 * exact.max())


def only_drawn(expand):
    return lambda self, weight, rng=None: rng is not None and expand(self, weight, rng)


def test_additive_functions_have_their_sobol_indices():
    space = {
        "a": hpo.Float(0.0, 1.0),
        "b": hpo.Float(0.0, 1.0),
        "kind": hpo.Categorical(["u", "v"]),
        "k": hpo.Int(1, 4),
        "none": hpo.Float(0.0, 1.0),
    }
    study = study_of(
        space,
        lambda batch: 3.0 * batch["a"] + batch["b"] + (batch["kind"] == "v") + batch["k"],
        200,
    )
    variance = {"a": 9 / 12, "b": 1 / 12, "kind": 1 / 4, "k": 15 / 12, "none": 0.0}
    total = sum(variance.values())
    expected = {name: each / total for name, each in variance.items()}
    assert importance(study, evaluator="fanova") == pytest.approx(expected, abs=0.01)


def test_ishigami():
    """First-order indices 0.3139, 0.4424 and 0 of the whole variance (Ishigami and Homma 1990)."""
    space = {name: hpo.Float(-math.pi, math.pi) for name in ("x1", "x2", "x3")}
    study = study_of(
        space,
        lambda batch: (
            np.sin(batch["x1"]) + 7 * np.sin(batch["x2"]) ** 2 + 0.1 * batch["x3"] ** 4 * np.sin(batch["x1"])
        ),
        400,
    )
    expected = {"x2": 0.4424 / 0.7563, "x1": 0.3139 / 0.7563, "x3": 0.0}
    assert importance(study, evaluator="fanova") == pytest.approx(expected, abs=0.02)


def test_a_conditional_parameter_explains_variance_where_it_is_active():
    """c between two levels 7 apart: 12.25; x and y: half of the trials times 9 / 12."""
    space = {
        "c": hpo.Float(0.0, 1.0),
        "x": hpo.Float(-5.0, -2.0, when=hpo.param("c") < 0.5),
        "y": hpo.Float(2.0, 5.0, when=hpo.param("c") >= 0.5),
    }
    study = study_of(space, lambda batch: np.where(batch["c"] < 0.5, batch["x"], batch["y"]), 150)
    expected = {"c": 12.25 / 13, "x": 0.375 / 13, "y": 0.375 / 13}
    assert importance(study, evaluator="fanova") == pytest.approx(expected, abs=0.01)


def test_huge_penalties_do_not_hide_the_rest():
    study = study_of({"a": hpo.Float(0, 1), "b": hpo.Float(0, 1)}, lambda batch: batch["a"], 60)
    study.add({"a": [0.2, 0.9], "b": [0.1, 0.4]}, [1e30, 1e30])
    assert importance(study, evaluator="fanova")["a"] > 0.5
