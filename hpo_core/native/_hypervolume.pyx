"""Thin door to csrc/hypervolume.c; hpo_core.native.hypervolume sorts and checks."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "hypervolume.h" nogil:
    int64_t HPO_WINDOW
    void hypervolume_screen(const double *y, int64_t m, int64_t n, double *scratch, uint8_t *keep) noexcept
    void hypervolume_pair_ranks(const double *second, int64_t n, double *tail, int32_t *ranks) noexcept
    void hypervolume_ranks(const int32_t *level, int64_t k, int64_t n, const int32_t *sweep,
                           int32_t *scratch, int32_t *ranks) noexcept
    int64_t hypervolume_place(const double *points, const int64_t *starts, int64_t n_fronts, int64_t m,
                              const double *point) noexcept
    double hypervolume_volume(const double *points, int64_t n, int64_t m, const double *reference,
                              double *scratch) noexcept
    double hypervolume_share(const double *points, int64_t n, int64_t m, const double *reference,
                             const double *point, double *scratch) noexcept
    void hypervolume_shares(const double *points, int64_t n, int64_t m, const double *reference,
                            double *scratch, double *out) noexcept


cdef int check(bint fits) except -1:
    if not fits:
        raise ValueError("arrays do not fit together")
    return 0


def screen(const double[:, ::1] y, uint8_t[::1] keep_out):
    cdef int64_t m = y.shape[0], n = y.shape[1]
    cdef double[::1] scratch = np.empty(HPO_WINDOW * m)
    check(keep_out.shape[0] == n)
    if n:
        with nogil:
            hypervolume_screen(&y[0, 0], m, n, &scratch[0], &keep_out[0])


def pair_ranks(const double[::1] second, int32_t[::1] ranks_out):
    cdef int64_t n = second.shape[0]
    cdef double[::1] tail = np.empty(n)
    check(ranks_out.shape[0] == n)
    if n:
        with nogil:
            hypervolume_pair_ranks(&second[0], n, &tail[0], &ranks_out[0])


def ranks(const int32_t[:, ::1] level, const int32_t[::1] sweep, int32_t[::1] ranks_out):
    cdef int64_t k = level.shape[0], n = level.shape[1]
    cdef int32_t[::1] scratch = np.empty((k + 2) * (n + 1), np.int32)
    check(k >= 2 and sweep.shape[0] == n == ranks_out.shape[0])
    if n:
        with nogil:
            hypervolume_ranks(&level[0, 0], k, n, &sweep[0], &scratch[0], &ranks_out[0])


def place(const double[:, ::1] points, const int64_t[::1] starts, const double[::1] point):
    cdef int64_t n_fronts = starts.shape[0] - 1
    check(n_fronts >= 0 and points.shape[1] == point.shape[0] and starts[n_fronts] <= points.shape[0])
    return hypervolume_place(&points[0, 0], &starts[0], n_fronts, point.shape[0], &point[0]) if n_fronts else 0


def volume(const double[:, ::1] points, const double[::1] reference):
    cdef int64_t n = points.shape[0], m = points.shape[1]
    cdef double[::1] scratch = np.empty(m * m * (n + 1))
    cdef double found
    check(m >= 2 and reference.shape[0] == m)
    if not n:
        return 0.0
    with nogil:
        found = hypervolume_volume(&points[0, 0], n, m, &reference[0], &scratch[0])
    return found


def share(const double[:, ::1] points, const double[::1] reference, const double[::1] point):
    cdef int64_t n = points.shape[0], m = points.shape[1]
    cdef double[::1] scratch = np.empty((m + 1) * m * (n + 1))
    cdef const double *rows = &points[0, 0] if n else NULL
    check(m >= 2 and reference.shape[0] == m == point.shape[0])
    return hypervolume_share(rows, n, m, &reference[0], &point[0], &scratch[0])


def shares(const double[:, ::1] points, const double[::1] reference, double[::1] shares_out):
    cdef int64_t n = points.shape[0], m = points.shape[1]
    cdef double[::1] scratch = np.empty((m + 1) * m * (n + 1))
    check(m >= 3 and reference.shape[0] == m and shares_out.shape[0] == n)
    if n:
        with nogil:
            hypervolume_shares(&points[0, 0], n, m, &reference[0], &scratch[0], &shares_out[0])
