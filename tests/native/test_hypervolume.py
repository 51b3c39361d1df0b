"""Fronts and hypervolume on both backends, against loops by the definition and against moocore."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hpo_core.errors import ArgumentError
from hpo_core.native import _backend
from hpo_core.native.hypervolume import (
    contribution,
    contributions,
    front_of,
    front_ranks,
    hypervolume,
    is_front,
)

pytestmark = pytest.mark.usefixtures("backend")

moocore = pytest.importorskip("moocore")

LARGEST = 5  # objectives


def cube(m, n, seed=0):
    return np.random.default_rng(seed).random((m, n))


def grid(m, n, seed=0):
    """Few values: ties in single objectives, and points that are there several times."""
    return np.random.default_rng(seed).integers(0, 4, (m, n)).astype(float)


def sphere(m, n, seed=0):
    """Points that do not dominate each other."""
    y = np.abs(np.random.default_rng(seed).normal(size=(m, n)))
    return 1.0 - y / np.linalg.norm(y, axis=0)


clouds = pytest.mark.parametrize(
    ("cloud", "reference"), [(cube, 0.9), (grid, 3.0), (sphere, 1.1)], ids=["cube", "grid", "sphere"]
)
small = st.integers(1, LARGEST).flatmap(
    lambda m: arrays(float, st.tuples(st.just(m), st.integers(0, 30)), elements=st.integers(-2, 3))
)


def dominates(y):
    """(n, n): whether the first point dominates the second."""
    a, b = y[:, :, None], y[:, None, :]
    return np.all(a <= b, axis=0) & np.any(a < b, axis=0)


def ranks_by_peeling(y):
    by, ranks, left = dominates(y), np.full(y.shape[1], -1), np.ones(y.shape[1], bool)
    for rank in range(y.shape[1]):
        front = left & ~by[left].any(axis=0)
        ranks[front] = rank
        left &= ~front
    return ranks


def losses(y, reference):
    """Hypervolume without each point in turn, taken off the whole; dominated points left out."""
    front = ~dominates(y).any(axis=0)
    lost, whole = np.zeros(y.shape[1]), moocore_volume(y, reference)
    for j in np.flatnonzero(front):
        others = front & (np.arange(y.shape[1]) != j)
        lost[j] = whole - moocore_volume(y[:, others], reference)
    return lost


def moocore_volume(y, reference):
    if len(y) == 1:
        return max(np.max(reference - y, initial=0.0), 0.0)
    return moocore.hypervolume(y.T, reference) if y.size else 0.0


@clouds
@pytest.mark.parametrize("m", range(1, LARGEST + 1))
@pytest.mark.parametrize("n", [1, 2, 13, 400])
def test_ranks_are_those_of_peeled_fronts(cloud, reference, m, n):
    y = cloud(m, n)
    expected = ranks_by_peeling(y)
    np.testing.assert_array_equal(front_ranks(y), expected)
    np.testing.assert_array_equal(is_front(y), expected == 0)


@given(small)
def test_ranks_of_any_small_cloud(y):
    expected = ranks_by_peeling(y)
    np.testing.assert_array_equal(front_ranks(y), expected)
    np.testing.assert_array_equal(is_front(y), expected == 0)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_fronts_of_many_points(m):
    """More points than any list is compared one by one, and more than the screen's window holds."""
    y = np.concatenate([cube(m, 3000), sphere(m, 800)], axis=1)
    expected = moocore.is_nondominated(y.T, keep_weakly=True)
    np.testing.assert_array_equal(is_front(y), expected)
    ranks, left, rank = front_ranks(y), np.arange(y.shape[1]), 0
    while len(left):
        front = moocore.is_nondominated(y[:, left].T, keep_weakly=True)
        assert (ranks[left] == rank).tolist() == front.tolist()
        left, rank = left[~front], rank + 1


@clouds
@pytest.mark.parametrize(("m", "n"), [(1, 9), (2, 300), (3, 300), (4, 150), (5, 30)])
def test_hypervolume_is_moocores(cloud, reference, m, n):
    y, corner = cloud(m, n), np.full(m, reference)
    assert hypervolume(y, corner) == pytest.approx(moocore_volume(y, corner), rel=1e-12, abs=0.0)


@clouds
@pytest.mark.parametrize(("m", "n"), [(1, 9), (2, 100), (3, 100), (4, 60), (5, 20)])
def test_contributions_are_what_is_lost_without_a_point(cloud, reference, m, n):
    y, corner = cloud(m, n), np.full(m, reference)
    expected = losses(y, corner)
    error = 1e-12 * hypervolume(y, corner)
    np.testing.assert_allclose(contributions(y, corner), expected, rtol=0.0, atol=error)


@clouds
@pytest.mark.parametrize("m", range(1, LARGEST + 1))
def test_one_more_point_is_on_the_front_that_sorting_it_with_the_others_gives(cloud, reference, m):
    y, more = cloud(m, 80), np.concatenate([cloud(m, 12, seed=1), cloud(m, 80)[:, :3] * reference], axis=1)
    ranks = front_ranks(y)
    order = np.argsort(ranks, kind="stable")
    starts = np.searchsorted(ranks[order], np.arange(ranks.max() + 2))
    rows = np.ascontiguousarray(y[:, order].T)
    for point in more.T.copy():
        expected = front_ranks(np.concatenate([y, point[:, None]], axis=1))[-1]
        assert front_of(rows, starts, point) == expected
    assert front_of(rows[:0], starts[:1], rows[0]) == 0


@clouds
@pytest.mark.parametrize(("m", "n"), [(2, 60), (3, 60), (4, 40), (5, 15)])
def test_what_one_more_point_adds(cloud, reference, m, n):
    y, corner = cloud(m, n), np.full(m, reference)
    y = y[:, np.all(y < corner[:, None], axis=0)]
    rows = np.ascontiguousarray(y[:, np.argsort(y[-1])].T)
    whole = hypervolume(y, corner)
    for point in np.minimum(cloud(m, 8, seed=2), 0.9 * reference).T.copy():
        gained = moocore_volume(np.concatenate([y, point[:, None]], axis=1), corner) - whole
        assert contribution(rows, corner, point) == pytest.approx(gained, rel=0.0, abs=1e-12 * whole)
    assert contribution(rows[:0], corner, corner - 0.5) == pytest.approx(0.5**m)


@given(small, st.integers(0, 3))
def test_volumes_of_small_integers_are_exact(y, reference):
    corner = np.full(len(y), float(reference))
    cells = np.stack(np.meshgrid(*[np.arange(-2.0, reference)] * len(y)), axis=-1).reshape(-1, len(y))
    covered = np.all(y.T[:, None, :] <= cells, axis=-1)
    assert hypervolume(y, corner) == covered.any(axis=0).sum()
    np.testing.assert_array_equal(contributions(y, corner), losses(y, corner))


@given(small, st.randoms(use_true_random=False))
def test_the_order_of_points_and_objectives_does_not_matter(y, random):
    points, objectives = list(range(y.shape[1])), list(range(len(y)))
    random.shuffle(points)
    random.shuffle(objectives)
    turned, corner = y[:, points][objectives], np.full(len(y), 2.5)
    assert hypervolume(turned, corner) == hypervolume(y, corner)
    np.testing.assert_array_equal(contributions(turned, corner), contributions(y, corner)[points])
    np.testing.assert_array_equal(front_ranks(turned), front_ranks(y)[points])
    np.testing.assert_array_equal(is_front(turned), is_front(y)[points])


@given(small, st.integers(1, 10))
def test_more_points_never_cover_less(y, n):
    corner = np.full(len(y), 2.5)
    assert hypervolume(y[:, :n], corner) <= hypervolume(y, corner)


@pytest.mark.parametrize("m", range(1, LARGEST + 1))
def test_both_backends_agree_to_the_last_digits(m):
    y, corner = np.concatenate([cube(m, 40), grid(m, 40) / 3, sphere(m, 40)], axis=1), np.full(m, 0.95)
    found = {}
    for name in _backend.BACKENDS:
        with _backend.use(name):
            found[name] = hypervolume(y, corner), contributions(y, corner), front_ranks(y)
    (volume, share, ranks), (twin_volume, twin_share, twin_ranks) = found.values()
    assert volume == pytest.approx(twin_volume, rel=1e-14)
    np.testing.assert_allclose(share, twin_share, rtol=0.0, atol=1e-14 * volume)
    np.testing.assert_array_equal(ranks, twin_ranks)


@pytest.mark.parametrize("m", range(1, LARGEST + 1))
def test_no_points(m):
    y, corner = np.empty((m, 0)), np.zeros(m)
    assert hypervolume(y, corner) == 0.0
    assert [len(f) for f in (front_ranks(y), is_front(y), contributions(y, corner))] == [0, 0, 0]


@pytest.mark.parametrize("m", range(1, LARGEST + 1))
def test_points_on_the_reference_or_beyond_add_nothing(m):
    corner, inside = np.ones(m), np.full((m, 1), 0.5)
    on_it = np.where(np.eye(m), 1.0, 0.0)
    y = np.concatenate([inside, on_it, np.full((m, 1), np.inf), on_it + np.eye(m)], axis=1)
    assert hypervolume(y, corner) == 0.5**m
    expected = np.zeros(y.shape[1])
    expected[0] = 0.5**m
    np.testing.assert_array_equal(contributions(y, corner), expected)
    assert hypervolume(y[:, 1:], corner) == 0.0


@pytest.mark.parametrize("m", range(2, LARGEST + 1))
def test_infinite_values(m):
    y = np.full((m, 4), 0.5)
    y[0] = [-np.inf, 0.0, np.inf, 0.25]
    y[1] = [0.75, 0.25, -np.inf, 0.0]
    np.testing.assert_array_equal(front_ranks(y), [0, 0, 0, 0])
    assert hypervolume(y, np.ones(m)) == np.inf
    corner = np.ones(m)
    shares = contributions(y, corner)
    finite = np.array([[0.0, 0.25], [0.25, 0.0]] + [[0.5, 0.5]] * (m - 2))
    bounded = np.minimum(corner, [np.inf, 0.75] + [np.inf] * (m - 2))
    assert shares[0] == np.inf
    assert shares[2] == 0.0
    assert shares[[1, 3]] == pytest.approx(contributions(finite, bounded), rel=1e-15)
    assert hypervolume(y[:, 1:], corner) == hypervolume(y[:, [1, 3]], corner) < np.inf


@pytest.mark.parametrize("function", [front_ranks, is_front])
@pytest.mark.parametrize("y", [np.ones(3), np.ones((0, 3)), np.ones((1, 2, 3))])
def test_points_of_a_wrong_shape_are_refused(function, y):
    with pytest.raises(ArgumentError, match=r"y must have shape \(m, n\) with m >= 1, got \("):
        function(y)


@pytest.mark.parametrize("function", [hypervolume, contributions])
@pytest.mark.parametrize("reference", [[1.0], [1.0, np.nan], [np.inf, 1.0], 1.0])
def test_a_wrong_reference_is_refused(function, reference):
    with pytest.raises(ArgumentError, match="reference must be 2 finite numbers, got"):
        function(np.zeros((2, 3)), np.array(reference))


def test_nan_is_refused():
    y = np.array([[0.0, np.nan, 1.0], [0.0, np.nan, np.nan]])
    for function in (front_ranks, is_front):
        with pytest.raises(ArgumentError, match="y must have no NaN, got 2 points with one"):
            function(y)
    for function in (hypervolume, contributions):
        with pytest.raises(ArgumentError, match="y must have no NaN"):
            function(y, np.ones(2))


def test_inputs_are_left_alone_and_may_be_read_only_views():
    y = cube(3, 60)
    before, corner = y.copy(), np.ones(3)
    corner.setflags(write=False)
    y.setflags(write=False)
    volume = hypervolume(y, corner)
    contributions(y, corner), front_ranks(y), is_front(y)
    np.testing.assert_array_equal(y, before)
    assert hypervolume(np.asfortranarray(y), corner) == volume
    assert hypervolume(np.repeat(y, 2, axis=1)[:, ::2], corner) == volume
