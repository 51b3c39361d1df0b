"""Cholesky factors and triangular solves: BLAS and LAPACK of SciPy, which importing this loads.

BLAS stores columns: what it sees of a row-major L is the upper triangle of U = L', and of b (n, m) its
transpose, so that L^-1 b is b' U^-1 and L^-T b is b' U^-T. hpo_core.native.linalg checks shapes and strides.
"""

from libc.math cimport sqrt
from scipy.linalg.cython_blas cimport ddot, dtrsm, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf, dpotri


cdef int distance(const double[:, :] a) noexcept nogil:
    """Doubles from one row to the next."""
    return <int>(a.strides[0] // sizeof(double)) if a.shape[0] > 1 else <int>max(a.shape[1], 1)


def cholesky(double[:, :] c):
    cdef int n = <int>c.shape[0], ld = distance(c), info = 0
    if n:
        with nogil:
            dpotrf("U", &n, &c[0, 0], &ld, &info)
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


cdef solve_rows(const double[:, :] l, double[:, :] b, char *trans):
    cdef int n = <int>b.shape[0], m = <int>b.shape[1], ld = distance(l), ldb = distance(b)
    cdef double one = 1.0
    if n and m:
        with nogil:
            dtrsm("R", "U", trans, "N", &m, &n, &one, <double *>&l[0, 0], &ld, &b[0, 0], &ldb)


cdef solve_vector(const double[:, :] l, double[:] b, char *trans):
    cdef int n = <int>b.shape[0], ld = distance(l), one = 1
    if n:
        with nogil:
            dtrsv("U", trans, "N", &n, <double *>&l[0, 0], &ld, &b[0], &one)


def solve(const double[:, :] l, b):
    if b.ndim == 1:
        solve_vector(l, b, "T")
    else:
        solve_rows(l, b, "N")


def solve_transposed(const double[:, :] l, b):
    if b.ndim == 1:
        solve_vector(l, b, "N")
    else:
        solve_rows(l, b, "T")


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
    cdef int n = <int>l.shape[0], ld = distance(out), info = 0
    if n:
        with nogil:
            copy_triangle(l, out)
            dpotri("U", &n, &out[0, 0], &ld, &info)
            mirror(out)
