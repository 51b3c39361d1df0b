"""The gp sampler with several metrics: the front grows, bounds hold, and nothing depends on the cache."""

from __future__ import annotations

import numpy as np
import pytest
from gp.problems import central_differences

import hpo_core as hpo
from hpo_core.gp.criteria import N_BOUND, N_TIGHT
from hpo_core.gp.maximize import best_of
from hpo_core.gp.outcomes import Outcomes
from hpo_core.gp.outlook import Known, center_of, level_of
from hpo_core.gp.units import Units
from hpo_core.metrics import AtLeast, AtMost, Metrics, Minimize
from hpo_core.native.hypervolume import hypervolume, is_front

SPACE = {
    "u": hpo.Float(0, 1),
    "v": hpo.Float(0, 1),
    "layers": hpo.Int(1, 6),
    "kind": hpo.Categorical({"a": {"w": hpo.Float(0, 1)}, "b": {}}),
}


def size(columns):
    return columns["layers"] * (1.0 + columns["u"])


def result(trial):
    bent = trial["w"] - 0.3 if trial["kind"] == "a" else 0.5
    error = (trial["v"] - 0.6) ** 2 + 0.3 * bent**2 + 1.0 / (trial["layers"] + trial["u"])
    time = trial["layers"] * (0.5 + trial["v"]) + trial["u"]
    return {"error": error, "time": time, "heat": trial["u"] + trial["v"], "load": time * error}


CASES = {
    "two": {"error": Minimize(), "time": Minimize()},
    "three": {"error": Minimize(), "time": Minimize(), "load": Minimize()},
    "four": {"error": Minimize(), "time": Minimize(), "load": Minimize(), "size": Minimize(known=size)},
    "known": {"error": Minimize(), "size": Minimize(known=size)},
    "bounded": {"error": Minimize(), "heat": AtMost(0.9), "time": AtLeast(1.0)},
    "known bound": {"error": Minimize(), "time": Minimize(), "size": AtMost(4.0, known=size)},
    "only a bound is measured": {"size": Minimize(known=size), "error": AtMost(0.4)},
    "all known": {"size": Minimize(known=size), "wide": Minimize(known=lambda columns: -columns["u"])},
    "nothing is feasible": {"error": Minimize(), "time": Minimize(), "heat": AtMost(-1.0)},
    "constant": {"error": Minimize(), "time": Minimize(), "level": Minimize()},
}
every_case = pytest.mark.parametrize("case", CASES)


def told(metrics, trial):
    values = {**result(trial), "level": 2.0}
    return {name: values[name] for name, metric in metrics.items() if metric.known is None}


def study_of(case, n, space=SPACE, **options):
    study = hpo.Study(space, metrics=CASES[case], sampler="gp", seed=1, **options)
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, told(CASES[case], trial))
    return study


def fresh(study):
    sampler = hpo.GPSampler()
    sampler.start(study.space, seed=1)
    return sampler


@every_case
def test_a_rebuilt_sampler_proposes_the_same_and_batches_are_new_points(case):
    study = study_of(case, 24)
    running = study.ask(2)
    first = len(study.history)
    grown, rebuilt = (study.sampler, fresh(study))
    for n in (1, 5, 20, 70):
        x = grown.ask(study.history, first, n).x
        np.testing.assert_array_equal(x, rebuilt.ask(study.history, first, n).x)
        assert x.shape[1] == n
        everything = np.nan_to_num(np.concatenate([study.history.x, x], axis=1), nan=-1.0)
        assert np.unique(everything, axis=1).shape[1] == everything.shape[1]
    assert len(running) == 2


@every_case
def test_what_is_proposed_improves_on_startup(case):
    """The front beats that of the six first trials, or the least violation falls if nothing is feasible."""
    study = study_of(case, 30)
    history = study.history
    excess = np.maximum(history.violation, 0.0).sum(axis=0)
    if case == "nothing is feasible":
        assert excess[6:].min() < excess[:6].min()
        return
    feasible = np.flatnonzero(excess == 0.0)
    y = history.y[:, feasible]
    reference = y.max(axis=1) + 0.1
    covered, before = (hypervolume(np.ascontiguousarray(each), reference) for each in (y, y[:, feasible < 6]))
    assert covered > 1.02 * before
    if case != "only a bound is measured":  # whose optimum is at the bound, and among the first trials
        assert (excess[6:] == 0.0).mean() >= 0.4


def test_the_fit_is_recorded_by_metric():
    study = study_of("bounded", 12)
    fits = [fit for fit in study.history.fits.values() if fit is not None]
    assert set(fits[-1]) == {"error", "heat", "time"}
    assert len(fits[-1]["heat"]["lengthscale"]) == study.space.layout.size


def test_estimates_are_posterior_means_in_the_units_of_the_results():
    rng = np.random.default_rng(0)
    metrics = {"error": Minimize(), "gain": hpo.Maximize(), "size": Minimize(known=lambda c: 10 * c["u"])}
    study = hpo.Study({"u": hpo.Float(0, 1)}, metrics={**metrics, "heat": AtMost(0.5)}, sampler="gp", seed=0)
    for u in rng.random(60):
        noise = 0.3 * rng.standard_normal(3)
        study.add({"u": u}, {"error": 5 * u + noise[0], "gain": 9 + u + noise[1], "heat": u + noise[2]})
    rows, outcomes = study.sampler.estimates(study.history)
    u = study.history.x[0, rows]
    truth = np.stack([5 * u, -9 - u, 10 * u, u])
    observed = study.history.outcomes[:, rows]
    error, before = (np.sqrt(np.mean((each - truth) ** 2, axis=1)) for each in (outcomes, observed))
    assert np.all(error[[0, 1, 3]] < 0.6 * before[[0, 1, 3]])
    np.testing.assert_allclose(outcomes[2], truth[2], rtol=1e-12)


def test_before_the_models_estimates_are_what_was_observed():
    study = study_of("two", 3)
    rows, outcomes = study.sampler.estimates(study.history)
    np.testing.assert_array_equal(outcomes, study.history.outcomes[:, rows])


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [
        ("two", 1e-4),
        ("known", 1e-4),
        ("bounded", 1e-4),
        ("known bound", 1e-4),
        ("nothing is feasible", 1e-3),
        ("four", 0.1),  # an integral over nodes, and its derivative by its end
    ],
)
def test_gradient_and_bound_are_those_of_the_criterion(case, tolerance):
    study = study_of(case, 30)
    sampler = study.sampler
    models, _ = sampler._of_outcomes(study.history, sampler._modelled(study.history))
    ours = models.goal(np.empty((5, 0)), 30).criterion(study.history.x[:, :2])
    x = study.space.encode(study.space.sample(100, seed=3))
    x = np.ascontiguousarray(x[:, ours.value(x) > -np.inf])
    value, slope = ours.gradient(x)
    np.testing.assert_allclose(value, ours.value(x), rtol=1e-9)
    differences = central_differences(ours.value, x, 1e-5)  # of values down to -1e5, which are rounded
    moving = ~np.isnan(x)
    moving[[2, 3]] = False  # levels and choices, which no climb moves
    assert moving.sum() > 20
    np.testing.assert_allclose(slope[moving], differences[moving], rtol=tolerance, atol=tolerance)
    x = study.space.encode(study.space.sample(300, seed=4))
    value, bound = ours.value(x), ours.bound(x)
    closer = bound.tightened(np.arange(0, 300, 7))
    assert np.all(bound.value >= value - 1e-9)
    assert np.all(closer >= value[::7] - 1e-9)


def test_the_best_of_a_pool_found_through_bounds_are_the_best():
    metrics = Metrics({"a": Minimize(), "b": Minimize(), "c": AtMost(0.6)})
    space, rng = hpo.Space({name: hpo.Float(0, 1) for name in "uvw"}), np.random.default_rng(0)
    sampler = hpo.GPSampler()
    sampler.start(space, seed=0)
    x = rng.random((3, 3 * N_TIGHT))
    models = Outcomes(space, metrics, sampler._model, 1000, 0)
    models.refresh(x, np.stack([(x**2).sum(axis=0), ((x - 1) ** 2).sum(axis=0), x[0] + x[1] ** 2]))
    ours, pool = models.goal(np.empty((3, 0)), 0).criterion(np.empty((3, 0))), rng.random((3, 2000))
    assert ours.n > N_TIGHT > N_BOUND
    index, value = best_of(ours, pool, 20)
    whole = ours.value(pool)
    np.testing.assert_allclose(value, np.sort(whole)[::-1][:20], rtol=1e-9)
    np.testing.assert_allclose(whole[index], value, rtol=1e-9)


def test_past_the_most_trials_the_models_share_a_selection_with_the_front():
    rng, metrics = np.random.default_rng(0), Metrics({"a": Minimize(), "b": Minimize()})
    space = hpo.Space({name: hpo.Float(0, 1) for name in "uv"})
    sampler = hpo.GPSampler()
    sampler.start(space, seed=0)
    x = outcomes = rng.random((2, 150))
    models = Outcomes(space, metrics, sampler._model, 60, 0)
    models.refresh(x, outcomes)
    rows, estimates = models.estimates()
    assert len(rows) == models.n == 60
    assert np.isin(np.flatnonzero(is_front(outcomes)), rows).all()
    np.testing.assert_allclose(estimates, outcomes[:, rows], atol=0.1)


def test_units_map_there_and_back_and_the_limit_is_zero():
    rng = np.random.default_rng(0)
    metrics = Metrics(
        {"a": Minimize(reference=1.0), "b": hpo.Maximize(), "c": AtMost(2.0), "d": AtLeast(-1.0)}
    )
    outcomes = np.stack([rng.lognormal(0, 3, 40), *rng.normal(0, 2, (3, 40))])
    units = Units(metrics, outcomes)
    np.testing.assert_allclose(units.back(units.of(outcomes)), outcomes, rtol=1e-9, atol=1e-9)
    kept = outcomes[2:] <= metrics.limit[:, None]
    np.testing.assert_array_equal(units.values[2:] <= units.limit[:, None], kept)
    near, far = units.references(units.values)
    assert near[0] == far[0]
    assert near[1] < far[1]


def models_of(space, metrics, x, outcomes):
    sampler = hpo.GPSampler()
    sampler.start(space, seed=0)
    models = Outcomes(space, Metrics(metrics), sampler._model, 1000, 0)
    models.refresh(x, outcomes)
    return models


def aim_of(models):
    return models.goal(np.empty((len(models._x), 0)), 100).aim


@pytest.mark.parametrize("reference", [None, 2.0, 0.9, 0.5])
def test_the_incumbent_of_one_objective_is_below_the_reference_if_the_feasible_trials_are_poor(reference):
    space = hpo.Space({"u": hpo.Float(0, 1)})
    metrics = {"f": Minimize(reference=reference), "c": AtMost(0.1)}
    x = np.concatenate([np.linspace(0.0, 0.7, 12), [0.8, 0.97]])[None]
    aim = aim_of(models_of(space, metrics, x, np.concatenate([x, 0.85 - x])))
    front = aim.front()
    assert front.shape == (1, 1)
    if reference == 0.5:  # better than all that is feasible: to fall below it is what counts
        assert aim.level[0, 8] > aim.near[0] > aim.level[0, 7]
    else:
        assert front[0, 0] < aim.near[0] == aim.far[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_best_of_one_objective_under_a_bound_is_found_though_all_feasible_trials_are_poor(seed):
    metrics = {"f": Minimize(), "c": AtMost(0.1)}
    study = hpo.Study({"x": hpo.Float(0, 1)}, metrics=metrics, sampler="gp", seed=seed)
    study.optimize(lambda trial: {"f": trial["x"], "c": 0.85 - trial["x"]}, n_trials=30)
    assert study.best_trial.values["f"] <= 0.7501


@pytest.mark.parametrize("seed", [1, 3])
def test_under_noise_the_references_bound_the_front_of_posterior_means(seed):
    rng = np.random.default_rng(seed)
    space = hpo.Space({"u": hpo.Float(0, 1), "v": hpo.Float(0, 1)})
    x = rng.random((2, 40))
    outcomes = np.stack([x[0] ** 2 + x[1], (x[0] - 1.0) ** 2 + x[1]]) + 0.3 * rng.standard_normal((2, 40))
    models = models_of(space, {"a": Minimize(), "b": Minimize()}, x, outcomes)
    aim = aim_of(models)
    assert not np.array_equal(aim.level, models._units.values)
    front = aim.front()
    assert np.all(front < aim.far[:, None])
    assert np.all(front <= aim.near[:, None])


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e99, -1e99, 1e300])
def test_hard_values_give_proposals(value):
    study = hpo.Study(
        {"u": hpo.Float(0, 1), "v": hpo.Float(0, 1)},
        metrics={"a": Minimize(), "b": hpo.Maximize(), "c": AtMost(0.0)},
        sampler="gp",
        seed=0,
    )
    for i in range(14):
        trial = study.ask()
        study.tell(trial, (value if i % 3 == 0 else trial["u"], value * trial["v"], trial["u"] - (i % 2)))
    study.ask(4)
    x = study.history.x[:, -4:]
    assert np.all((x >= 0.0) & (x <= 1.0))


def test_a_finite_space_is_used_to_its_end():
    space = hpo.Space({"n": hpo.Int(1, 5), "c": hpo.Categorical(["a", "b", "c", "d"])})
    metrics = {"cost": Minimize(known=lambda columns: columns["n"]), "error": Minimize()}
    study = hpo.Study(space, metrics=metrics, sampler="gp", seed=0)
    study.optimize(lambda trial: 1.0 / trial["n"] + "abcd".index(trial["c"]), n_trials=12)
    assert len(study.ask(20)) == 8
    with pytest.raises(hpo.SpaceExhausted):
        study.ask()


def test_a_known_constraint_is_kept():
    """Startup points do not know it; the models' choices do."""
    study = study_of("known bound", 40)
    chosen = np.flatnonzero(study.history.origin == study.history.origins.index("gp"))
    assert (study.history.violation[0, chosen] <= 0.0).all()


def slopes_of(space, function, x):
    """Slopes (p,) of a known metric; beside its opposite, whose front is all trials, units only scale it."""
    metrics = Metrics({"a": Minimize(known=function), "b": hpo.Maximize(known=function)})
    outcomes = metrics.known_values(space, np.array([[0.0, 1.0, 1.0]]))  # the median is the greatest
    _, slopes = Known(space, metrics, Units(metrics, outcomes)).local(x)
    return slopes[0, 0] * np.ptp(outcomes[0])


@pytest.mark.parametrize(("high", "log"), [(5000, False), (5000, True), (10**9, False), (10**9, True)])
def test_the_slope_of_a_known_metric_on_a_grid_is_that_between_levels(high, log):
    space = hpo.Space({"n": hpo.Int(1, high, log=log)})
    n = np.array([40, 99, 100, 777, 2500, 4990, high - 9])
    x = space.encode({"n": n})
    slope = slopes_of(space, lambda columns: np.log(columns["n"]), x)
    exact = np.full(len(n), np.log((high + 0.5) / 0.5)) if log else high / n
    good = log | (1e4 * n > high)  # a step of 1e-5 is short beside the number
    np.testing.assert_allclose(slope[good], exact[good], rtol=1e-3)
    ends = slopes_of(space, lambda columns: np.log(columns["n"]), space.encode({"n": np.array([1, high])}))
    assert np.all(ends > 0.0)


def test_levels_and_their_centres_are_those_of_the_space():
    space = hpo.Space(
        {"a": hpo.Int(3, 9000), "b": hpo.Int(3, 9000, log=True), "c": hpo.Float(0, 5, step=1e-3)}
    )
    x = space.encode(space.sample(300, seed=0))
    for i in range(3):
        row = np.full(x.shape[1], i)
        level = level_of(space.layout, row, x[i])
        np.testing.assert_allclose(center_of(space.layout, row, level), x[i], rtol=1e-14)
        number = space.layout.low[i] + space.layout.step[i] * level
        np.testing.assert_allclose(space.decode(x)["abc"[i]], number, rtol=1e-12)


def test_only_a_parameter_that_was_active_and_moved_nothing_counts_as_without_influence():
    kinds = hpo.Categorical({"on": {"c": hpo.Float(0, 1)}, "off": {}})
    space = hpo.Space({"a": hpo.Float(0, 1), "b": hpo.Float(0, 1), "kind": kinds})
    names = space.layout.names

    def function(columns):
        c = np.where(columns["kind"] == "on", columns["c"], 0.0)
        return (columns["a"] - 0.5) ** 2 + c

    metrics = Metrics(
        {"f": Minimize(known=function), "g": Minimize(known=lambda columns: -function(columns))}
    )
    x = space.encode(space.sample(60, seed=0))
    off = np.isnan(x[names.index("c")])
    known = Known(space, metrics, Units(metrics, metrics.known_values(space, x)))
    _, slope = known.local(np.ascontiguousarray(x[:, off]))
    assert np.all(slope[0, names.index("a")] != 0.0)
    assert np.all(slope[0, names.index("b")] == 0.0)
    _, slope = known.local(np.ascontiguousarray(x[:, ~off]))
    assert np.all(slope[0, names.index("c")] > 0.0)
    assert names.index("b") not in known._moving


def test_a_known_metric_need_not_be_finite_where_the_space_permits_nothing():
    a, b = hpo.param("a"), hpo.param("b")
    space = hpo.Space({"a": hpo.Float(0, 1), "b": hpo.Float(0, 1)}, forbid=[a <= b])
    metrics = {
        "root": Minimize(known=lambda columns: np.sqrt(columns["a"] - columns["b"])),
        "log": hpo.Maximize(known=lambda columns: np.log(columns["a"] - columns["b"])),
        "error": Minimize(),
        "heat": AtMost(1.0),
    }
    study = hpo.Study(space, metrics=metrics, sampler="gp", seed=0)
    study.optimize(lambda trial: (trial["a"] - trial["b"], trial["a"] + trial["b"]), n_trials=15)
    units = Units(study.metrics, study.history.outcomes)
    known = Known(space, study.metrics, units)
    values, slopes = known.local(np.array([[0.5, 0.5, 0.2], [0.2, 0.5 - 1e-7, 0.5]]))
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()
    assert np.all(slopes[:, :, 0] != 0.0)
    assert not slopes[:, :, 1:].any()
    assert np.all(values[:, 2] > values[:, 0])
    with pytest.raises(hpo.HpoError, match="finite"), np.errstate(invalid="ignore"):
        known.values(np.array([[0.2], [0.5]]))


def test_a_given_reference_bounds_the_search():
    metrics = {"near": Minimize(reference=0.2), "far": Minimize(reference=1.2)}
    study = hpo.Study({"u": hpo.Float(0, 1), "v": hpo.Float(0, 1)}, metrics=metrics, sampler="gp", seed=0)
    study.optimize(lambda t: (t["u"] ** 2 + t["v"], (t["u"] - 1) ** 2 + t["v"]), n_trials=40)
    late = study.history.y[:, 25:]
    assert np.mean((late[0] < 0.25) & (late[1] < 1.25)) > 0.8
