"""Sobol points against SciPy's, up to the scrambling; the scrambling by what it must keep."""

from __future__ import annotations

import numpy as np
import pytest
from native.layouts import build, continuous
from scipy.stats import qmc

from hpo_core.native.domain import Domain, sobol_draws
from hpo_core.native.sobol_table import BITS, DIMENSIONS, directions

pytestmark = pytest.mark.usefixtures("backend")


def points(d, m, *, seed=1, start=0):
    """Points ``start ..`` as 32-bit integers, (d, m); point 0 without the default in its place."""
    domain = Domain(build(*[continuous()] * d))
    # 2**32 is point 0 again, but not number 0, which stands for the default.
    parts = [sobol_draws(domain, seed, n, k) for n, k in ((2**32, 1), (1, m - 1))]
    x = np.concatenate(parts, axis=1) if start == 0 else sobol_draws(domain, seed, start, m)
    cells = x * 2.0**BITS - 0.5
    assert np.array_equal(cells, np.floor(cells))
    return cells.astype(np.uint64)


def common_bits(v):
    """Number of leading bits that each two neighbours have in common."""
    different = (v[..., 1:] ^ v[..., :-1]).astype(np.float64)
    return np.where(different == 0, BITS, BITS - 1 - np.floor(np.log2(np.maximum(different, 1))))


def test_directions_are_the_published_ones():
    reference = qmc.Sobol(DIMENSIONS, scramble=False, bits=30)
    unscrambled = (reference.random(1024).T * 2**32).astype(np.uint64)
    number = np.arange(1024)
    gray = number ^ number >> 1
    found = np.zeros_like(unscrambled)
    for k in range(10):
        found ^= np.where(gray >> k & 1, directions(DIMENSIONS)[:, k : k + 1], 0).astype(np.uint64)
    assert np.array_equal(found, unscrambled)


@pytest.mark.parametrize("d", [0, 1, 2, 255, 256, 300])
def test_directions_of_fewer_dimensions_are_the_first_ones(d):
    assert np.array_equal(directions(d), directions(DIMENSIONS)[:d])


def test_scrambling_is_nested():
    """Two points whose first k bits agree still agree in exactly k: the net keeps its structure."""
    unscrambled = (qmc.Sobol(40, scramble=False, bits=30).random(512).T * 2**32).astype(np.uint64)
    scrambled = points(40, 512)
    order = np.random.default_rng(0).permutation(512)
    for columns in (np.arange(512), order):
        assert np.array_equal(common_bits(scrambled[:, columns]), common_bits(unscrambled[:, columns]))


@pytest.mark.parametrize("d", [3, 530])
def test_first_points_fill_every_cell_once(d):
    cells = np.sort(points(d, 256) >> np.uint64(BITS - 8), axis=1)
    assert np.array_equal(cells, np.tile(np.arange(256, dtype=np.uint64), (d, 1)))


def test_scrambling_flips_bits_evenly():
    """Over seeds, each bit is a fair coin, and bits, points and dimensions are independent."""
    v = np.array([points(2, 2, seed=seed) for seed in range(2000)])
    lower = BITS - 1  # points 0 and 1 differ in their first bit, so the flips of the others are apart
    bits = (v[..., None] >> np.arange(lower, dtype=np.uint64) & np.uint64(1)).reshape(2000, -1)
    bits = bits.astype(np.float64)
    counts = bits.sum(axis=0)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(500)
    correlation = np.corrcoef(bits.T) - np.eye(bits.shape[1])
    assert np.abs(correlation).max() < 6 / np.sqrt(2000)


def test_dimensions_past_the_table_differ():
    v = points(530, 512).astype(np.float64)
    for i, j in ((0, 256), (0, 512), (256, 512), (5, 261)):
        assert abs(np.corrcoef(v[i], v[j])[0, 1]) < 0.2
        grid, _, _ = np.histogram2d(v[i], v[j], bins=8, range=[[0, 2**32]] * 2)
        assert grid.min() > 0, (i, j)  # 8 points expected in each cell


def test_points_integrate_better_than_random_ones():
    domain = Domain(build(*[continuous()] * 6))
    errors = {"sobol": [], "random": []}
    for seed in range(20):
        x = sobol_draws(domain, seed, 1, 512)
        y = np.random.default_rng(seed).random((6, 512))
        for name, u in (("sobol", x), ("random", y)):
            errors[name].append(np.prod(1 + (u - 0.5) / 2, axis=0).mean() - 1)
    assert np.std(errors["sobol"]) < 0.2 * np.std(errors["random"])
    assert abs(np.mean(errors["sobol"])) < 4 * np.std(errors["sobol"]) / np.sqrt(20)


def test_numbers_wrap_at_2_to_the_32():
    assert np.array_equal(points(2, 5, start=2**32 + 7), points(2, 5, start=7))
