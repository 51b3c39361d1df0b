"""Expected hypervolume improvement on both backends and every SIMD level, against mpmath."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import ehvi as oracle

from hpo_core import native
from hpo_core.errors import ArgumentError
from hpo_core.native import ehvi, improvement

pytestmark = pytest.mark.usefixtures("variant")

INF = np.inf
every_m = pytest.mark.parametrize("m", [1, 2, 3])


@functools.cache
def front_of(m, k=6):
    """Points on a sphere, one dominated, one double, one outside the reference, and the reference."""
    rng = np.random.default_rng(m)
    front = np.abs(rng.normal(size=(m, k)))
    front /= np.linalg.norm(front, axis=0)
    others = [front[:, 0] + 0.05, front[:, 1], np.full(m, 2.0)]
    return np.column_stack([front, *others]), np.full(m, 1.1)


def candidates(m, p, seed=0):
    """Predictions anywhere about the front, some far above, their deviations of any size, some 0."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(-1.0, 2.0, (m, p)) * rng.choice([0.1, 1.0, 10.0], (m, p))
    sd = 10.0 ** rng.uniform(-3.0, 2.0, (m, p)) * rng.choice([0.0, 1.0, 1.0, 1.0], (m, p))
    return mean, sd


def near_the_front(m):
    rng = np.random.default_rng(0)
    return rng.uniform(0.2, 0.9, (m, 2)), rng.uniform(0.1, 0.5, (m, 2))


@functools.cache
def draws(m, i):
    mean, sd = near_the_front(m)
    return oracle.monte_carlo(mean[:, i], sd[:, i], *front_of(m, 3), 10**6, seed=i)


@functools.cache
def truth(m, p):
    mean, sd = candidates(m, p)
    return [oracle.log_ehvi(mean[:, i], sd[:, i], *front_of(m)) for i in range(p)]


@functools.cache
def true_slopes(m, p):
    """Where sd > 0: by mean and by sd, (p, 2, m)."""
    mean, sd = candidates(m, p)
    sd = np.where(sd == 0.0, 0.5, sd)
    slopes = [oracle.log_ehvi_slopes(mean[:, i], sd[:, i], *front_of(m)) for i in range(p)]
    return mean, sd, np.array(slopes, dtype=object)


def error(got, exact):
    """Of a logarithm: relative, and where it is small that of EHVI itself."""
    if exact == -INF:
        return 0.0 if got == -INF else INF
    return float(abs(got - exact) / max(abs(exact), 1))


# -- boxes ---------------------------------------------------------------------------------------


def inside(points, lower, upper):
    """In how many boxes each point is."""
    held = (lower[:, :, None] <= points[:, None]) & (points[:, None] < upper[:, :, None])
    return held.all(axis=0).sum(axis=0)


@every_m
@pytest.mark.parametrize("k", [0, 1, 2, 30])
def test_boxes_cover_once_all_that_improves(m, k):
    rng = np.random.default_rng(k)
    front, reference = rng.uniform(0.0, 1.2, (m, k)), np.ones(m)
    lower, upper = ehvi.boxes(front, reference)
    points = rng.uniform(-0.5, 1.1, (m, 4000))
    dominated = (front[:, :, None] <= points[:, None]).all(axis=0).any(axis=0)
    improves = (points < reference[:, None]).all(axis=0) & ~dominated
    np.testing.assert_array_equal(inside(points, lower, upper), improves)
    assert (lower < upper).all()
    assert lower.shape == upper.shape
    assert lower.shape[1] <= {1: 1, 2: k + 1, 3: 2 * k + 1}[m]


@every_m
def test_boxes_of_points_with_equal_coordinates(m):
    rng = np.random.default_rng(m)
    front, reference = rng.integers(0, 4, (m, 25)).astype(float), np.full(m, 4.0)
    lower, upper = ehvi.boxes(front, reference)
    points = rng.integers(-1, 5, (m, 3000)) + rng.choice([0.0, 0.5], (m, 3000))
    dominated = (front[:, :, None] <= points[:, None]).all(axis=0).any(axis=0)
    improves = (points < reference[:, None]).all(axis=0) & ~dominated
    np.testing.assert_array_equal(inside(points, lower, upper), improves)
    assert (lower < upper).all()


@every_m
def test_without_points_below_the_reference_there_is_one_box(m):
    for front in (np.empty((m, 0)), np.ones((m, 3)), np.full((m, 1), 7.0)):
        lower, upper = ehvi.boxes(front, np.ones(m))
        np.testing.assert_array_equal(lower, np.full((m, 1), -INF))
        np.testing.assert_array_equal(upper, np.ones((m, 1)))


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 12))
def test_a_front_and_its_dominated_points_give_the_same_volume(seed, m, k):
    rng = np.random.default_rng(seed)
    front, reference = rng.integers(0, 6, (m, k)).astype(float), np.full(m, 6.0)
    lower, upper = ehvi.boxes(front, reference)
    volume = np.prod(upper - np.maximum(lower, -1.0), axis=0).sum()
    cells = oracle.cells(front, reference)
    assert volume == sum(np.prod([high - max(low, -1.0) for low, high in cell]) for cell in cells)


# -- values --------------------------------------------------------------------------------------


@every_m
def test_log_ehvi_is_that_of_mpmath(m):
    p = 41
    got = ehvi.log_ehvi(*candidates(m, p), *ehvi.boxes(*front_of(m)))
    assert max(map(error, got.tolist(), truth(m, p))) <= 1e-13


@every_m
def test_slopes_are_differences(m):
    mean, sd, exact = true_slopes(m, 15)
    value, by_mean, by_sd = ehvi.log_ehvi_slopes(mean, sd, *ehvi.boxes(*front_of(m)))
    np.testing.assert_array_equal(value, ehvi.log_ehvi(mean, sd, *ehvi.boxes(*front_of(m))))
    of_mean, of_sd = exact[:, 0].T, exact[:, 1].T
    # The shares of the boxes lose what log EHVI loses.
    loss = 1e-12 * np.maximum(np.abs(value), 1.0)
    assert np.all(np.abs(by_mean - of_mean) <= loss * np.abs(of_mean))
    # EHVI may rise or fall with sd: what cancels is as large as the slope by mean.
    assert np.all(np.abs(by_sd - of_sd) <= loss * (np.abs(of_sd) + np.abs(of_mean)))


@every_m
def test_ehvi_is_that_of_a_million_draws(m):
    mean, sd = near_the_front(m)
    got = np.exp(ehvi.log_ehvi(mean, sd, *ehvi.boxes(*front_of(m, 3))))
    for i in range(2):
        drawn, error_of_mean = draws(m, i)
        assert abs(got[i] - drawn) <= 4.5 * error_of_mean
        assert error_of_mean <= 0.01 * got[i]


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("distance", [10.0, 100.0, 1e4])
def test_far_above_the_front_the_logarithm_is_exact(m, distance):
    front, reference = front_of(m)
    sd = np.linspace(0.01, 0.1, m)[:, None]
    mean = reference[:, None] + distance * sd
    value, by_mean, by_sd = ehvi.log_ehvi_slopes(mean, sd, *ehvi.boxes(front, reference))
    assert error(value[0], oracle.log_ehvi(mean[:, 0], sd[:, 0], front, reference)) <= 1e-14
    of_mean, of_sd = oracle.log_ehvi_slopes(mean[:, 0], sd[:, 0], front, reference)
    np.testing.assert_allclose(by_mean[:, 0], np.array(of_mean, float), rtol=1e-11)
    np.testing.assert_allclose(by_sd[:, 0], np.array(of_sd, float), rtol=1e-11)


@pytest.mark.parametrize("gap", [1e-3, 1e-9, 1e-15])
@pytest.mark.parametrize("at", [-30.0, 0.5, 1.5, 60.0])
def test_thin_boxes_lose_no_digits(gap, at):
    """Between two points whose coordinates nearly agree the difference of improvements cancels."""
    front, reference = np.array([[0.5, 0.5 + gap], [0.5 + gap, 0.5]]), np.array([0.5 + 2 * gap, 1.0])
    lower, upper = ehvi.boxes(front, reference)
    mean, sd = np.array([[at], [at]]), np.array([[1.0], [2.0]])
    thin = lower[0] > -INF  # they add little where others reach to -inf: alone they would not be seen
    got = ehvi.log_ehvi(mean, sd, lower[:, thin], upper[:, thin])
    cells = [cell for cell in oracle.cells(front, reference) if cell[0][0] > -INF]
    assert error(got[0], oracle.log_of(mean[:, 0], sd[:, 0], cells)) <= 1e-13


@pytest.mark.parametrize("at", [-40.0, -3.0, -0.1, 0.0, 0.1, 3.0, 40.0])
def test_on_both_sides_of_the_change_to_thin_boxes_no_digits_are_lost(at):
    for change in (1.0 - 1e-9, 1.0 + 1e-9):
        half = 0.0625 / (1.0 + abs(at)) * change
        mean, sd, lower, upper = np.array([0.0]), np.array([1.0]), at - half, at + half
        value, by_mean, by_sd = ehvi.log_ehvi_slopes(mean[:, None], sd[:, None], [[lower]], [[upper]])
        cells = [((lower, upper),)]
        assert error(value[0], oracle.log_of(mean, sd, cells)) <= 1e-14
        of_mean, of_sd = oracle.slopes_of(mean, sd, cells)
        floor = 1e-13 * float(max(abs(of_mean[0]), abs(of_sd[0])))
        assert abs(by_mean[0, 0] - of_mean[0]) <= 1e-12 * abs(of_mean[0]) + floor
        assert abs(by_sd[0, 0] - of_sd[0]) <= 1e-12 * abs(of_sd[0]) + floor


def test_one_objective_is_log_ei():
    rng = np.random.default_rng(0)
    z = np.concatenate([-(10.0 ** rng.uniform(-3, 8, 60)), rng.uniform(-40, 40, 60), [0.0]])
    sd = 10.0 ** rng.uniform(-3, 3, z.size)
    mean = 0.3 - z * sd
    boxes = ehvi.boxes(np.array([[0.9, 0.3, 0.4]]), np.array([0.8]))
    np.testing.assert_array_equal(boxes, [[[-INF]], [[0.3]]])
    got = ehvi.log_ehvi_slopes(mean[None], sd[None], *boxes)
    for ours, theirs in zip(got, improvement.log_ei_slopes(mean, sd, 0.3), strict=True):
        np.testing.assert_allclose(np.ravel(ours), theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("value", [-0.2, 0.3, 0.75, 1.05])
def test_a_known_objective_leaves_a_quadrature(known, value):
    """The improvement in hypervolume is piecewise linear in the other objective."""
    front, reference = front_of(2)
    mean, sd = np.full((2, 1), 0.4), np.full((2, 1), 0.3)
    mean[known], sd[known] = value, 0.0
    got, by_mean, by_sd = ehvi.log_ehvi_slopes(mean, sd, *ehvi.boxes(front, reference))
    y = np.linspace(0.4 - 12 * 0.3, reference[1 - known], 400_001)
    gain = np.zeros(y.size)
    for cell in oracle.cells(front, reference):
        (low, high), (bottom, top) = cell[known], cell[1 - known]
        gain += np.clip(high - value, 0.0, high - low) * np.clip(top - y, 0.0, top - bottom)
    density = np.exp(-0.5 * ((y - 0.4) / 0.3) ** 2) / (0.3 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.exp(got[0]), np.trapezoid(gain * density, y), rtol=1e-8)
    assert by_sd[known] == 0.0
    assert by_mean[known] < 0.0


def test_what_is_known_in_every_objective_is_its_gain():
    front, reference = np.array([[0.25, 0.5], [0.5, 0.25]]), np.ones(2)
    mean = np.array([[0.0, 0.25, 0.375, 0.25, 1.0, 2.0], [0.0, 0.25, 0.375, 0.5, 0.0, -1.0]])
    value, by_mean, by_sd = ehvi.log_ehvi_slopes(mean, np.zeros_like(mean), *ehvi.boxes(front, reference))
    np.testing.assert_allclose(np.exp(value), [0.5, 0.0625, 0.015625, 0.0, 0.0, 0.0], rtol=1e-15)
    np.testing.assert_array_equal(value[3:], -INF)
    np.testing.assert_array_equal(by_sd, 0.0)
    np.testing.assert_array_equal(by_mean[:, 3:], 0.0)
    # 1 - 0.25 of the other objective lies below each, 0.25 of it where the point improves on both.
    np.testing.assert_allclose(by_mean[:, 0] * 0.5, [-1.0, -1.0], rtol=1e-14)


@pytest.mark.parametrize("sd", [1e-300, 1e-200, 5e-324])
def test_with_hardly_any_deviation_only_what_is_lost_is_lost(sd):
    lower, upper = ehvi.boxes(np.array([[0.25, 0.5], [0.5, 0.25]]), np.ones(2))
    mean = np.array([[0.0, 0.25, 0.9], [0.0, 0.75, 0.9]])
    value, by_mean, by_sd = ehvi.log_ehvi_slopes(mean, np.full((2, 3), sd), lower, upper)
    assert value[0] == pytest.approx(np.log(0.5), abs=1e-14)
    # On the edge of the front: sd phi(0) of one objective, 1/4 of the other; the least normal sd stays so.
    edge = np.log(max(sd, 2.0**-1022)) - 0.5 * np.log(2 * np.pi) + np.log(0.25)
    assert value[1] == pytest.approx(edge, rel=1e-14)
    assert value[2] < -600.0
    for array in (value, by_mean, by_sd):
        assert np.isfinite(array).all()


numbers = st.one_of(
    st.sampled_from([0.0, INF, -INF, 1e308, -1e308, 5e-324, 1.0, 0.5]), st.floats(allow_nan=False)
)


@every_m
@given(data=st.data())
def test_what_is_not_nan_gives_no_nan(m, data):
    columns = st.lists(numbers, min_size=m, max_size=m).map(lambda row: np.array(row)[:, None])
    mean, sd = data.draw(columns), np.abs(data.draw(columns))
    for array in ehvi.log_ehvi_slopes(mean, sd, *ehvi.boxes(*front_of(m))):
        assert not np.isnan(array).any()


@every_m
def test_nan_and_negative_deviations_give_nan(m):
    mean, sd = np.zeros((m, 4)), np.ones((m, 4))
    mean[0, 0], sd[-1, 1], sd[0, 2] = np.nan, np.nan, -1.0
    for array in ehvi.log_ehvi_slopes(mean, sd, *ehvi.boxes(*front_of(m))):
        np.testing.assert_array_equal(np.isnan(np.atleast_2d(array)).any(axis=0), [True, True, True, False])


# -- invariance ----------------------------------------------------------------------------------


@every_m
def test_neither_order_nor_dominated_points_count(m):
    front, reference = front_of(m)
    mean, sd = candidates(m, 40)
    expected = ehvi.log_ehvi(mean, sd, *ehvi.boxes(front, reference))
    shuffled = front[:, np.random.default_rng(0).permutation(front.shape[1])]
    for points in (shuffled, front[:, :6]):
        np.testing.assert_allclose(
            ehvi.log_ehvi(mean, sd, *ehvi.boxes(points, reference)), expected, rtol=1e-13, atol=1e-13
        )


@pytest.mark.parametrize("order", [(1, 0), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
def test_objectives_may_change_places(order):
    m, order = len(order), list(order)
    front, reference = front_of(m)
    mean, sd = candidates(m, 40)
    value, by_mean, by_sd = ehvi.log_ehvi_slopes(mean, sd, *ehvi.boxes(front, reference))
    got = ehvi.log_ehvi_slopes(mean[order], sd[order], *ehvi.boxes(front[order], reference[order]))
    finite = np.isfinite(value)
    assert 20 < finite.sum() < 40
    np.testing.assert_allclose(got[0], value, rtol=1e-13, atol=1e-13)
    loss = 1e-12 * np.maximum(np.abs(value), 1.0)[finite]
    by_mean, by_sd = by_mean[order][:, finite], by_sd[order][:, finite]
    assert np.all(np.abs(got[1][:, finite] - by_mean) <= loss * np.abs(by_mean))
    assert np.all(np.abs(got[2][:, finite] - by_sd) <= loss * (np.abs(by_sd) + np.abs(by_mean)))


@every_m
@pytest.mark.parametrize("scale", [1e-100, 2.0**-40, 1e80])
def test_a_change_of_units_adds_its_logarithm(m, scale):
    front, reference = front_of(m)
    mean, sd = candidates(m, 40)
    value = ehvi.log_ehvi(mean, sd, *ehvi.boxes(front, reference))
    got = ehvi.log_ehvi(scale * mean, scale * sd, *ehvi.boxes(scale * front, scale * reference))
    np.testing.assert_allclose(got, value + m * np.log(scale), rtol=1e-12, atol=1e-12)


@every_m
@pytest.mark.parametrize("p", [0, 1, 7, 8, 9, 17])
def test_a_value_does_not_depend_on_its_place(m, p):
    mean, sd = candidates(m, 30)
    boxes = ehvi.boxes(*front_of(m))
    whole = ehvi.log_ehvi_slopes(mean, sd, *boxes)
    part = ehvi.log_ehvi_slopes(mean[:, 3 : 3 + p], sd[:, 3 : 3 + p], *boxes)
    for all_of_them, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(some, all_of_them[..., 3 : 3 + p])


@every_m
def test_threads_do_not_change_the_answer(m):
    mean, sd = candidates(m, 2001)
    boxes, before = ehvi.boxes(*front_of(m, 40)), native.get_num_threads()
    answers = []
    try:
        for n in (1, 2, 4):
            native.set_num_threads(n)
            answers.append(ehvi.log_ehvi_slopes(mean, sd, *boxes))
    finally:
        native.set_num_threads(before)
    for answer in answers[1:]:
        for a, b in zip(answers[0], answer, strict=True):
            np.testing.assert_array_equal(a, b)


def test_no_boxes_are_no_improvement():
    value, by_mean, by_sd = ehvi.log_ehvi_slopes(
        np.zeros((2, 3)), np.ones((2, 3)), np.empty((2, 0)), np.empty((2, 0))
    )
    np.testing.assert_array_equal(value, -INF)
    np.testing.assert_array_equal([by_mean, by_sd], 0.0)


def test_read_only_and_strided_arrays_are_taken():
    mean, sd = candidates(2, 9)
    lower, upper = ehvi.boxes(*front_of(2))
    pair = np.stack([mean.T, sd.T], axis=2)
    pair.flags.writeable = lower.flags.writeable = upper.flags.writeable = False
    np.testing.assert_array_equal(
        ehvi.log_ehvi(pair[:, :, 0].T, pair[:, :, 1].T, lower, upper), ehvi.log_ehvi(mean, sd, lower, upper)
    )


def test_arguments_are_checked():
    lower, upper = ehvi.boxes(*front_of(2))
    with pytest.raises(ArgumentError, match=r"\(4, 1\) and \(4,\)"):
        ehvi.boxes(np.zeros((4, 1)), np.ones(4))
    with pytest.raises(ArgumentError, match=r"\(2, 1\) and \(3,\)"):
        ehvi.boxes(np.zeros((2, 1)), np.ones(3))
    with pytest.raises(ArgumentError, match="finite everywhere, got nan"):
        ehvi.boxes(np.array([[0.0, np.nan]]), np.ones(1))
    with pytest.raises(ArgumentError, match="finite everywhere, got inf"):
        ehvi.boxes(np.zeros((1, 1)), np.array([INF]))
    with pytest.raises(ArgumentError, match=r"\(2, 3\), \(2, 4\)"):
        ehvi.log_ehvi(np.zeros((2, 3)), np.ones((2, 4)), lower, upper)
    with pytest.raises(ArgumentError, match=r"\(3, 4\), \(3, 4\)"):
        ehvi.log_ehvi(np.zeros((3, 4)), np.ones((3, 4)), lower, upper)
    with pytest.raises(ArgumentError, match="lower <= upper"):
        ehvi.log_ehvi(np.zeros((2, 3)), np.ones((2, 3)), upper, lower)
