"""Factors and solves on both backends, every SIMD level and in views of buffers, against NumPy and SciPy."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import numpy as np
import pytest
import scipy.linalg
from interrupts import interrupt

from hpo_core import native
from hpo_core.errors import ArgumentError, NotPositiveDefiniteError
from hpo_core.native import backend, linalg

SIZES = [1, 2, 3, 8, 31, 33, 64, 200]
pytestmark = pytest.mark.usefixtures("variant")


def covariance(n, noise=1e-3, seed=0):
    """A kernel matrix of n points on a line."""
    x = np.random.default_rng(seed).uniform(size=n)
    return np.exp(-0.5 * ((x[:, None] - x) / 0.2) ** 2) + noise * np.eye(n)


def placed(matrix, spare=5):
    """A copy of a matrix inside a larger buffer of NaN, and the buffer."""
    buffer = np.full(tuple(size + spare for size in matrix.shape), np.nan)
    view = buffer[: matrix.shape[0], : matrix.shape[1]]
    view[:] = matrix
    return view, buffer


def factor(c):
    """L in the lower triangle of a view of a buffer, and garbage above."""
    view, _ = placed(c)
    linalg.cholesky(view)
    view[np.triu_indices(len(c), 1)] = np.nan
    return view


@pytest.mark.parametrize("n", SIZES)
def test_cholesky_is_numpys_and_leaves_the_upper_triangle(n):
    c = covariance(n)
    above = np.triu_indices(n, 1)
    given = c.copy()
    given[above] = np.nan
    view, buffer = placed(given)
    linalg.cholesky(view)
    np.testing.assert_allclose(np.tril(view), np.linalg.cholesky(c), rtol=0, atol=1e-12)
    assert np.isnan(view[above]).all()
    assert np.isnan(buffer[n:]).all()
    assert np.isnan(buffer[:, n:]).all()


@pytest.mark.parametrize("n", [5, 60, 150])
def test_the_failing_pivot_is_named(n):
    c = covariance(n)
    c[n // 2, n // 2] = -1.0
    with pytest.raises(NotPositiveDefiniteError, match=rf"pivot {n // 2 + 1}\b"):
        linalg.cholesky(c)


@pytest.mark.parametrize("pivot", [-1.0, 0.0, np.nan])
def test_a_row_whose_pivot_is_not_positive_is_refused(pivot):
    buffer = np.zeros((4, 4))
    buffer[0, 0], buffer[1, 1], buffer[2, 2] = 1.0, 1.0, pivot
    with pytest.raises(NotPositiveDefiniteError, match=r"pivot 3\b"):
        linalg.append_row(buffer, 2)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (8,), (9,), (77,)])
@pytest.mark.parametrize("n", SIZES)
def test_solves_are_those_of_scipy(n, shape):
    lower = factor(covariance(n))
    exact = np.tril(np.linalg.cholesky(covariance(n)))
    b = np.random.default_rng(n).normal(size=(n, *shape))
    for function, trans in ((linalg.solve, 0), (linalg.solve_transposed, 1)):
        x = b.copy()
        function(lower, x)
        expected = scipy.linalg.solve_triangular(exact, b, lower=True, trans=trans)
        np.testing.assert_allclose(x, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


def test_a_column_of_the_native_solution_is_its_own(variant):
    if variant == "numba":
        pytest.skip("there the BLAS decides")
    lower = factor(covariance(50))
    b = np.random.default_rng(0).normal(size=(50, 70))
    for function in (linalg.solve, linalg.solve_transposed):
        whole = b.copy()
        function(lower, whole)
        for start, stop in ((0, 1), (3, 12), (15, 70)):
            part = b[:, start:stop].copy()
            function(lower, part)
            np.testing.assert_array_equal(part, whole[:, start:stop])


def test_solutions_do_not_depend_on_the_threads(monkeypatch):
    monkeypatch.setattr(linalg, "WORK_OF_THREAD", 1000)
    lower = factor(covariance(40))
    b = np.random.default_rng(0).normal(size=(40, 300))
    solutions = []
    before = native.get_num_threads()
    for n_threads in (1, 2, 3):
        native.set_num_threads(n_threads)
        solutions.append(b.copy())
        linalg.solve(lower, solutions[-1])
    native.set_num_threads(before)
    np.testing.assert_allclose(solutions[1], solutions[0], rtol=1e-10, atol=1e-12)
    if backend() == "native":
        np.testing.assert_array_equal(solutions[1], solutions[0])
        np.testing.assert_array_equal(solutions[2], solutions[0])


def test_answers_do_not_depend_on_what_other_threads_do():
    c = covariance(200)
    alone = factor(c)
    with ThreadPoolExecutor(4) as pool:
        for lower in pool.map(factor, [c] * 200):
            np.testing.assert_array_equal(lower, alone)


@pytest.mark.skipif(linalg._openblas()[0]() == 1, reason="BLAS has one thread")
def test_lapack_keeps_one_thread_until_the_last_caller_leaves():
    threads, begun, may_end = linalg._openblas()[0], Event(), Event()
    before, seen = threads(), []

    def longer():
        begun.set()
        may_end.wait(10)
        seen.append(threads())

    other = Thread(target=linalg.on_one_thread, args=[longer])
    other.start()
    begun.wait(10)
    linalg.on_one_thread(lambda: None)
    with pytest.raises(ZeroDivisionError):
        linalg.on_one_thread(lambda: 1 / 0)
    may_end.set()
    other.join()
    assert seen == [1]
    assert threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_fork_comes_while_another_thread_sets_the_number_of_threads(monkeypatch):
    begun, numbers = Event(), [2]

    def put(number):
        begun.set()
        time.sleep(0.1)
        numbers.append(number)

    monkeypatch.setattr(linalg, "_openblas", lambda: (lambda: numbers[-1], put))
    other = Thread(target=linalg.on_one_thread, args=[lambda: None])
    other.start()
    begun.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if numbers == [2, 1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.join()


@pytest.mark.skipif(linalg._openblas()[0]() == 1, reason="BLAS has one thread")
def test_a_number_of_threads_that_was_set_meanwhile_stays():
    get, put = linalg._openblas()
    before = get()
    try:
        linalg.on_one_thread(put, before + 1)
        assert get() == before + 1
    finally:
        put(before)


@pytest.mark.skipif(linalg._openblas()[0]() == 1, reason="BLAS has one thread")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_an_interrupt_at_any_moment_lets_lapack_go():
    dice, before = random.Random(0), linalg._openblas()[0]()
    for _ in range(50):
        delays = [dice.uniform(1e-6, 2e-5) for _ in range(200)]
        assert interrupt(lambda: linalg.on_one_thread(lambda: None), delays) > 0
        assert linalg._openblas()[0]() == before


@pytest.mark.parametrize("m", [1, 3, 20])
def test_a_right_hand_side_may_be_a_view(m):
    lower = factor(covariance(33))
    b = np.random.default_rng(0).normal(size=(33, m))
    view, buffer = placed(b)
    alone = b.copy()
    for function in (linalg.solve, linalg.solve_transposed):
        function(lower, view)
        function(lower, alone)
    np.testing.assert_array_equal(view, alone)
    assert np.isnan(buffer[:, m:]).all()
    assert np.isnan(buffer[33:]).all()


@pytest.mark.parametrize("n", SIZES)
def test_inverse_is_that_of_numpy_and_symmetric(n):
    c = covariance(n)
    lower = factor(c)
    before = lower.copy()
    got = linalg.inverse(lower)
    np.testing.assert_array_equal(got, got.T)
    np.testing.assert_allclose(got @ c, np.eye(n), rtol=0, atol=1e-9)
    view, buffer = placed(np.empty((n, n)))
    assert linalg.inverse(lower, view) is view
    np.testing.assert_array_equal(view, got)
    assert np.isnan(buffer[n:]).all()
    np.testing.assert_array_equal(lower, before)


def appended(c, start, capacity):
    """The factor of c of which rows start.. were appended, in a buffer of some capacity."""
    n = len(c)
    buffer = np.full((capacity, capacity), np.nan)
    buffer[:start, :start] = c[:start, :start]
    linalg.cholesky(buffer[:start, :start])
    for row in range(start, n):
        buffer[row, : row + 1] = c[row, : row + 1]
        linalg.append_row(buffer, row)
    assert np.isnan(buffer[n:]).all()
    return np.tril(buffer[:n, :n])


@pytest.mark.parametrize(("n", "start"), [(1, 0), (2, 1), (100, 64), (130, 1)])
@pytest.mark.parametrize("noise", [1e-1, 1e-5])
def test_appended_rows_equal_a_new_factor(n, start, noise):
    c = covariance(n, noise)
    assert np.linalg.cond(c) <= 1e8
    got, whole = appended(c, start, n + 3), np.linalg.cholesky(c)
    np.testing.assert_allclose(got, whole, rtol=0, atol=1e-8 * np.abs(whole).max())
    np.testing.assert_allclose(got @ got.T, c, rtol=0, atol=1e-13 * n)


def test_rows_do_not_depend_on_when_or_where():
    c = covariance(120)
    once = appended(c, 64, 120)
    np.testing.assert_array_equal(once, appended(c, 64, 257))
    np.testing.assert_array_equal(once[:90, :90], appended(c[:90, :90], 64, 90))


def test_a_new_row_ignores_garbage_behind():
    buffer = np.full((3, 3), np.nan)
    buffer[0, 0] = 4.0
    linalg.append_row(buffer, 0)
    assert buffer[0, 0] == 2.0
    buffer[1, :2] = 2.0, 5.0
    linalg.append_row(buffer, 1)
    np.testing.assert_array_equal(buffer[1, :2], [1.0, 2.0])


@pytest.mark.parametrize("n", [1, 2, 20, 150])
def test_eigenvectors_diagonalise(n):
    c = covariance(n)
    given = c.copy()
    values, vectors = linalg.eigh(c)
    np.testing.assert_array_equal(c, given)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(c), rtol=0, atol=1e-12)
    np.testing.assert_allclose((vectors * values) @ vectors.T, c, rtol=0, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), rtol=0, atol=1e-12)


def test_nothing_to_solve():
    empty = np.empty((0, 0))
    linalg.cholesky(empty)
    assert linalg.inverse(empty).shape == (0, 0)
    linalg.solve(empty, np.empty((0, 3)))
    linalg.solve(empty, np.empty(0))
    linalg.solve_transposed(np.eye(3), np.empty((3, 0)))


def test_a_read_only_factor_solves():
    lower = np.eye(3) * 2.0
    lower.flags.writeable = False
    for b in (np.ones(3), np.ones((3, 2))):
        linalg.solve(lower, b)
        np.testing.assert_array_equal(b, 0.5)


SQUARE = np.eye(3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: linalg.cholesky(np.ones((2, 3))), "c must have shape"),
        (lambda: linalg.cholesky(np.ones(3)), "c must have shape"),
        (lambda: linalg.cholesky(np.eye(3, dtype=np.float32)), "c must be float64 .*, got float32"),
        (lambda: linalg.cholesky(np.asfortranarray(covariance(3))), "contiguous rows"),
        (lambda: linalg.eigh(np.ones((2, 3))), "c must have shape"),
        (lambda: linalg.append_row(SQUARE, 3), "n must be .* 0 to 2, got 3"),
        (lambda: linalg.append_row(SQUARE, -1), "n must be .*, got -1"),
        (lambda: linalg.solve(SQUARE, np.ones(4)), "b must have shape"),
        (lambda: linalg.solve(SQUARE, np.ones((3, 1, 1))), "b must have shape"),
        (lambda: linalg.solve(SQUARE, np.ones(6)[::2]), "b must be float64 in contiguous rows"),
        (
            lambda: linalg.solve_transposed(SQUARE, np.ones((3, 4))[:, ::2]),
            "b must be float64 in contiguous rows",
        ),
        (lambda: linalg.inverse(SQUARE, np.empty((2, 2))), r"out must have shape .*, got \(2, 2\)"),
    ],
)
def test_arguments_are_checked(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()
