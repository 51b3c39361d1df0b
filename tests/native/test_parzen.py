"""Parzen mixtures on both backends and every SIMD level, against ``oracles.parzen``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.layouts import build, categorical, continuous, irregular, regular
from oracles import parzen as oracle
from scipy import stats

from hpo_core.errors import ArgumentError
from hpo_core.native import _backend, simd_level, simd_levels
from hpo_core.native.domain import Domain
from hpo_core.native.parzen import log_density, new_mixture

KINDS = {
    "continuous": (continuous(), ("continuous",)),
    "regular": (regular(5), ("discrete", [0.1, 0.3, 0.5, 0.7, 0.9], [0.2] * 5)),
    "irregular": (irregular(0.5, 0.2, 0.3), ("discrete", [0.25, 0.6, 0.85], [0.5, 0.2, 0.3])),
    "categorical": (categorical(4), ("categorical", 4)),
}
VARIANTS = [*(("native", level) for level in simd_levels()), ("numba", None)]


@pytest.fixture(params=VARIANTS, ids=str, autouse=True)
def variant(request):
    name, level = request.param
    with _backend.use(name):
        if level is None:
            yield name
        else:
            with simd_level(level):
                yield name


def random_points(kinds, n, rng):
    rows = []
    for kind in kinds:
        match KINDS[kind][1]:
            case ("continuous",):
                # A few equal values and values on the bounds: gaps of 0.
                rows.append(
                    rng.choice(
                        [rng.random(n), np.full(n, 0.5), np.zeros(n), np.ones(n)],
                        axis=0,
                        p=[0.85, 0.05, 0.05, 0.05],
                    )
                    if n
                    else rng.random(n)
                )
            case ("discrete", centers, _):
                rows.append(rng.choice(centers, n))
            case (_, choices):
                rows.append(rng.integers(choices, size=n).astype(float))
    return np.array(rows).reshape(len(kinds), n)


def mixture_of(kinds, x, log_weights, floor, epsilon, context=(0, 0), spare=4):
    domain = Domain(build(*(KINDS[kind][0] for kind in kinds)))
    n_numeric = sum(kind != "categorical" for kind in kinds)
    mixture = new_mixture(domain, np.arange(len(kinds)), n_numeric, context, x.shape[1] + 1 + spare)
    mixture.clear(np.exp(log_weights[0]))
    for k in range(x.shape[1]):
        mixture.place(1 + k, x, k, log_weights[1 + k])
    mixture.rebuild(floor)
    mixture.smooth(epsilon)
    return mixture


columns = st.lists(st.sampled_from(["continuous", "regular", "irregular"]), min_size=0, max_size=5).flatmap(
    lambda numeric: st.lists(st.just("categorical"), min_size=0 if numeric else 1, max_size=2).map(
        lambda c: numeric + c
    )
)


@settings(max_examples=40)
@given(columns, st.integers(0, 30), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.03, 0.3]))
def test_log_density_is_the_definition(kinds, n, seed, floor):
    rng = np.random.default_rng(seed)
    x, candidates = random_points(kinds, n, rng), random_points(kinds, 11, rng)
    log_weights = rng.normal(size=n + 1)
    mixture = mixture_of(kinds, x, log_weights, floor, 0.1)
    joint, _ = log_density(mixture, candidates)
    specs = [KINDS[kind][1] for kind in kinds]
    expected = [oracle.log_mixture(specs, x.T, log_weights, floor, 0.1, c) for c in candidates.T]
    np.testing.assert_allclose(joint, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("n_numeric", "width"), [(1, 0.4), (3, 0.4), (4, 0.3), (7, 0.3)])
def test_from_four_numeric_columns_on_a_kernel_is_as_wide_as_the_mean_gap(n_numeric, width):
    x = np.tile([0.1, 0.3, 0.7], (n_numeric, 1))
    mixture = mixture_of(["continuous"] * n_numeric, x, np.zeros(4), 0.01, 0.1)
    np.testing.assert_allclose(mixture.array("sigma")[2], width, rtol=1e-14)
    np.testing.assert_allclose(
        mixture.array("sigma")[[1, 3]], [[0.2] * n_numeric, [0.4] * n_numeric], rtol=1e-14
    )


def test_context_and_joint_densities_share_their_weights():
    rng = np.random.default_rng(1)
    kinds = ["continuous", "regular", "continuous", "categorical", "categorical"]
    x, candidates = random_points(kinds, 9, rng), random_points(kinds, 8, rng)
    log_weights = rng.normal(size=10)
    mixture = mixture_of(kinds, x, log_weights, 0.05, 0.2, context=(2, 1))
    joint, context = log_density(mixture, candidates)
    specs = [KINDS[kind][1] for kind in kinds]
    part = [0, 1, 3]
    for j, c in enumerate(candidates.T):
        assert joint[j] == pytest.approx(oracle.log_mixture(specs, x.T, log_weights, 0.05, 0.2, c), rel=1e-10)
        expected = oracle.log_mixture([specs[i] for i in part], x.T[:, part], log_weights, 0.05, 0.2, c[part])
        assert context[j] == pytest.approx(expected, rel=1e-10)


@settings(max_examples=25)
@given(st.integers(1, 40), st.lists(st.integers(0, 10**6), max_size=15), st.integers(0, 2**32 - 1))
def test_inserting_and_removing_leaves_what_a_rebuild_would(n, removed, seed):
    rng = np.random.default_rng(seed)
    kinds = ["continuous", "regular", "irregular", "categorical"]
    x = random_points(kinds, n, rng)
    grown = mixture_of(kinds, x[:, :0], np.zeros(1), 0.03, 0.1, spare=n + 1)
    for k in range(n):
        grown.place(1 + k, x, k, 0.0)
        grown.insert(1 + k, 0.03)
    whole = mixture_of(kinds, x, np.zeros(n + 1), 0.03, 0.1)
    for name in ("sigma", "log_norm", "constant", "row"):
        np.testing.assert_array_equal(
            grown.array(name)[1 : n + 1], whole.array(name)[1 : n + 1], err_msg=name
        )
    for k in {1 + r % n for r in removed}:  # out and in again
        grown.remove(k, 0.03)
        grown.insert(k, 0.03)
    for name in ("sigma", "log_norm", "constant", "row", "order"):
        np.testing.assert_array_equal(
            grown.array(name)[..., : n + 1][: n + 1], whole.array(name)[..., : n + 1][: n + 1], err_msg=name
        ) if name != "order" else np.testing.assert_array_equal(
            grown.array(name)[:, :n], whole.array(name)[:, :n]
        )


def test_an_attached_kernel_leaves_its_neighbours_alone():
    rng = np.random.default_rng(2)
    kinds = ["continuous", "irregular", "categorical"]
    x, extra = random_points(kinds, 12, rng), random_points(kinds, 2, rng)
    mixture = mixture_of(kinds, x, np.zeros(13), 0.03, 0.1)
    before = mixture.array("sigma")[1:13].copy()
    for k in range(2):
        mixture.place(13 + k, extra, k, 0.0)
        mixture.attach(13 + k, 0.03)
    np.testing.assert_array_equal(mixture.array("sigma")[1:13], before)
    specs = [KINDS[kind][1] for kind in kinds]
    candidates = random_points(kinds, 8, rng)
    joint, _ = log_density(mixture, candidates)
    expected = [oracle.log_mixture(specs, x.T, np.zeros(13), 0.03, 0.1, c, extra.T) for c in candidates.T]
    np.testing.assert_allclose(joint, expected, rtol=1e-10, atol=1e-10)


def test_density_ignores_the_number_of_candidates():
    rng = np.random.default_rng(3)
    kinds = ["continuous", "continuous", "regular", "categorical"]
    mixture = mixture_of(kinds, random_points(kinds, 50, rng), np.zeros(51), 0.03, 0.1)
    candidates = random_points(kinds, 120, rng)
    whole, _ = log_density(mixture, candidates)
    for size in (1, 8, 24, 33):
        part, _ = log_density(mixture, candidates[:, :size])
        np.testing.assert_array_equal(part, whole[:size])


def crowd(rng):
    """Narrow kernels in many columns, and candidates of which each is near a few of them, or near none."""
    kinds = ["continuous"] * 12 + ["regular"] * 4 + ["categorical"] * 2
    x = random_points(kinds, 60, rng)
    near = x[:, rng.integers(60, size=20)]
    near[:12] = np.clip(near[:12] + rng.normal(scale=[0.01, 0.1], size=(12, 10, 2)).reshape(12, 20), 0.0, 1.0)
    candidates = np.concatenate([near, random_points(kinds, 10, rng)], axis=1)
    return kinds, x, np.ascontiguousarray(candidates[:, rng.permutation(30)])


def test_kernels_far_from_every_candidate_count_for_nothing():
    """The density leaves kernels out half-way: what is left is the definition all the same."""
    rng = np.random.default_rng(4)
    kinds, x, candidates = crowd(rng)
    log_weights = rng.normal(size=61)
    joint, _ = log_density(mixture_of(kinds, x, log_weights, 0.01, 0.1), candidates)
    specs = [KINDS[kind][1] for kind in kinds]
    expected = [oracle.log_mixture(specs, x.T, log_weights, 0.01, 0.1, c) for c in candidates.T]
    assert np.ptp(expected) > 45.0  # some are near kernels and some are not
    np.testing.assert_allclose(joint, expected, rtol=1e-10, atol=1e-10)


def test_what_is_left_out_does_not_depend_on_the_other_candidates():
    kinds, x, candidates = crowd(np.random.default_rng(5))
    mixture = mixture_of(kinds, x, np.zeros(61), 0.01, 0.1)
    whole, _ = log_density(mixture, candidates)
    alone = [log_density(mixture, candidates[:, j : j + 1].copy())[0].item() for j in range(30)]
    np.testing.assert_array_equal(alone, whole)


@pytest.mark.parametrize("kind", ["regular", "irregular", "categorical"])
@pytest.mark.parametrize("slot", [0, 1, 2])
def test_draws_of_a_discrete_kernel_follow_its_density(kind, slot):
    n = 20_000
    spec = KINDS[kind][1]
    levels = spec[1] if kind != "categorical" else [0.0, 1.0, 2.0, 3.0]
    mixture = mixture_of([kind], np.array([[levels[0], levels[2]]]), np.zeros(3), 0.1, 0.2)
    u = (np.random.default_rng(4).permutation(n) + 0.5) / n
    out = np.empty(n)
    mixture.draw(0, np.full(n, slot, np.int32), u, out)
    center = oracle.PRIOR if slot == 0 else levels[0] if slot == 1 else levels[2]
    sigma = (
        None
        if kind == "categorical"
        else oracle.bandwidths(spec, [levels[0], levels[2]], 0.1, 1)[max(slot - 1, 0)]
    )
    mass = [np.exp(oracle.log_kernel(spec, level, center, sigma, 0.2)) for level in levels]
    if kind != "categorical":
        mass = np.multiply(mass, spec[2])
    counts = [np.isclose(out, level).sum() for level in levels]
    assert sum(counts) == n
    np.testing.assert_allclose(counts, np.multiply(mass, n), atol=2.0)  # u is a grid: off by its ends


@pytest.mark.parametrize(("center", "sigma"), [(0.5, 0.03), (0.0, 0.2), (1.0, 1.0), (0.3, 1e-3)])
def test_draws_of_a_continuous_kernel_invert_its_distribution(center, sigma):
    u = (np.arange(999) + 0.5) / 999
    mixture = mixture_of(["continuous"], np.array([[center, center]]), np.zeros(3), sigma, 0.1)
    out = np.empty(999)
    mixture.draw(0, np.full(999, 1, np.int32), u, out)
    width = mixture.array("sigma")[1, 0]
    expected = stats.truncnorm.ppf(u, -center / width, (1 - center) / width, center, width)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-12)
    assert out.min() >= 0.0
    assert out.max() <= 1.0


def test_bad_arguments_are_named():
    domain = Domain(build(continuous(), categorical(3)))
    with pytest.raises(ArgumentError, match="dims"):
        new_mixture(domain, np.array([1, 0]), 1, (0, 0), 4)
    with pytest.raises(ArgumentError, match="capacity"):
        new_mixture(domain, np.array([0, 1]), 1, (0, 0), 0)
    with pytest.raises(ArgumentError, match="x must have shape"):
        log_density(new_mixture(domain, np.array([0, 1]), 1, (0, 0), 4), np.zeros((3, 8)))
