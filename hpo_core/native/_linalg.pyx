"""Cholesky factors by the LAPACK of SciPy, which importing this loads, and triangular solves.

LAPACK stores columns: what it sees of a row-major L is the upper triangle of its transpose. Solves with a
matrix are those of csrc/solve.c, 2 to 4 times as fast as OpenBLAS's where this was measured (AVX-512, n from 50 to
1,000, m from 2 to 8,192). hpo_core.native.linalg checks shapes and strides.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from scipy.linalg.cython_blas cimport ddot, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf, dpotri

cdef extern from "simd.h" nogil:
    int hpo_simd_level
    int hpo_simd_set(int) noexcept
    void hpo_simd_init() noexcept

cdef extern from "solve.h" nogil:
    int SOLVE_EDGE
    int64_t solve_scratch(int64_t) noexcept
    double *solve_aligned(void *) noexcept
    void solve_lower(const double *l, int64_t ld, int64_t n, double *b, int64_t ldb, int64_t m,
                     int transposed, double *scratch) noexcept

hpo_simd_init()


def _simd_level():
    return hpo_simd_level


def _set_simd_level(int level):
    return hpo_simd_set(level)


cdef int distance(const double[:, :] a) noexcept nogil:
    """Doubles from one row to the next."""
    return <int>(a.strides[0] // sizeof(double)) if a.shape[0] > 1 else <int>max(a.shape[1], 1)


cdef int factorise(double *c, int n, int ld) noexcept nogil:
    """L in place of the lower triangle; 0, or the pivot that failed, counted from 1."""
    cdef int info = 0
    dpotrf("U", &n, c, &ld, &info)
    return info


cdef int invert(double *l, int n, int ld) noexcept nogil:
    """The lower triangle of (L L^T)^-1 in place of L."""
    cdef int info = 0
    dpotri("U", &n, l, &ld, &info)
    return info


cdef void solve_one(const double *l, int n, int ld, double *b, bint transposed) noexcept nogil:
    """L^-1 b, or L^-T b, in place of b (n)."""
    cdef int one = 1
    dtrsv("U", "N" if transposed else "T", "N", &n, <double *>l, &ld, b, &one)


def cholesky(double[:, :] c):
    cdef int n = <int>c.shape[0], ld = distance(c), info = 0
    if n:
        with nogil:
            info = factorise(&c[0, 0], n, ld)
    return info


def append_row(double[:, :] buffer, Py_ssize_t n):
    cdef int ld = distance(buffer), size = <int>n, one = 1
    cdef double *row = &buffer[n, 0]
    cdef double pivot
    with nogil:
        if n:
            dtrsv("U", "T", "N", &size, &buffer[0, 0], &ld, row, &one)
        pivot = row[n] - ddot(&size, row, &one, row, &one)
    if not pivot > 0.0:
        return n + 1
    row[n] = sqrt(pivot)
    return 0


cdef solve_rows(const double[:, :] l, double[:, :] b, bint transposed):
    cdef int64_t n = b.shape[0], m = b.shape[1]
    cdef void *room
    if n == 0 or m == 0:
        return
    room = malloc(n * solve_scratch(m) * sizeof(double) + SOLVE_EDGE)
    if room == NULL:
        raise MemoryError
    with nogil:
        solve_lower(&l[0, 0], distance(l), n, &b[0, 0], distance(b), m, transposed, solve_aligned(room))
    free(room)


cdef solve_vector(const double[:, :] l, double[:] b, bint transposed):
    cdef int n = <int>b.shape[0], ld = distance(l)
    if n:
        with nogil:
            solve_one(&l[0, 0], n, ld, &b[0], transposed)


def solve(const double[:, :] l, b):
    if b.ndim == 1:
        solve_vector(l, b, False)
    else:
        solve_rows(l, b, False)


def solve_transposed(const double[:, :] l, b):
    if b.ndim == 1:
        solve_vector(l, b, True)
    else:
        solve_rows(l, b, True)


cdef void copy_triangle(const double[:, :] l, double[:, :] out) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(l.shape[0]):
        for j in range(i + 1):
            out[i, j] = l[i, j]


cdef void mirror(double[:, :] a) noexcept nogil:
    """Copy the lower triangle above the diagonal, in squares that the first cache holds both ways."""
    cdef Py_ssize_t n = a.shape[0], top, left, i, j
    for top in range(0, n, 32):
        for left in range(0, top + 1, 32):
            for i in range(top, min(top + 32, n)):
                for j in range(left, min(left + 32, i)):
                    a[j, i] = a[i, j]


def inverse(const double[:, :] l, double[:, :] out):
    cdef int n = <int>l.shape[0], ld = distance(out)
    if n:
        with nogil:
            copy_triangle(l, out)
            invert(&out[0, 0], n, ld)
            mirror(out)
