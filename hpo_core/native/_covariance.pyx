"""Thin door to csrc/covariance.c; hpo_core.native.covariance checks and allocates."""

import numpy as np

from libc.stdint cimport int64_t


cdef extern from "simd.h" nogil:
    int hpo_simd_level
    int hpo_simd_set(int) noexcept
    void hpo_simd_init() noexcept


hpo_simd_init()


def _set_simd_level(int level):
    return hpo_simd_set(level)


def _simd_level():
    return hpo_simd_level


cdef class Kernel:
    def __cinit__(self, const int64_t[::1] order, const int64_t[::1] group_start, const int64_t[::1] n_numeric,
                  const double[::1] lengthscale, const double[::1] correlation):
        cdef int64_t d = order.shape[0], groups = n_numeric.shape[0], i
        if lengthscale.shape[0] != d or correlation.shape[0] != groups or group_start.shape[0] != groups + 1:
            raise ValueError("order and lengthscale have one length, n_numeric and correlation another")
        self.order, self.group_start, self.n_numeric = order, group_start, n_numeric
        self.numbers = np.empty(d + groups)
        for i in range(d):
            self.numbers[i] = 1.0 / lengthscale[order[i]]
        for i in range(groups):
            self.numbers[d + i] = correlation[i]
        self.c.n_columns, self.c.n_groups = d, groups
        self.c.order = &order[0] if d else NULL
        self.c.group_start, self.c.n_numeric = &group_start[0], &n_numeric[0]
        self.c.inverse = &self.numbers[0]
        self.c.correlation = self.c.inverse + d


cdef const double *at(const double[:, ::1] x) noexcept:
    return &x[0, 0] if x.shape[0] and x.shape[1] else NULL


cdef double *room(double[:, :] out, int64_t n_rows, int64_t n_columns) except? NULL:
    if out.shape[0] != n_rows or out.shape[1] != n_columns or (n_columns > 1 and out.strides[1] != sizeof(double)):
        raise ValueError(f"an output is not ({n_rows}, {n_columns}) with contiguous rows")
    return &out[0, 0] if n_rows and n_columns else NULL


cdef int64_t check_range(int64_t start, int64_t stop, int64_t n) except -1:
    if not 0 <= start <= stop <= n:
        raise ValueError(f"columns {start} to {stop} of {n}")
    return 0


cdef covariance_points broadcast(Kernel kernel, const double[:, ::1] rows, const double[:, ::1] active):
    if rows.shape[1] != kernel.c.n_columns or active.shape[0] != kernel.c.n_groups or active.shape[1] != rows.shape[0]:
        raise ValueError("rows is (n, d), active is (G, n)")
    return covariance_points(n=rows.shape[0], z=NULL, rows=at(rows), active=at(active))


cdef covariance_points across(Kernel kernel, const double[:, ::1] z, const double[:, ::1] active):
    if z.shape[0] != kernel.c.n_columns or active.shape[0] != kernel.c.n_groups or active.shape[1] != z.shape[1]:
        raise ValueError("z is (d, m), active is (G, m)")
    return covariance_points(n=z.shape[1], z=at(z), rows=NULL, active=at(active))


cdef covariance_points both(Kernel kernel, const double[:, ::1] z, const double[:, ::1] rows,
                            const double[:, ::1] active):
    cdef covariance_points points = broadcast(kernel, rows, active)
    points.z = across(kernel, z, active).z
    return points


def inputs(Kernel kernel, const double[:, ::1] x, double[:, ::1] z_out, double[:, ::1] rows_out,
           double[:, ::1] active_out):
    cdef int64_t n = x.shape[1]
    if x.shape[0] != kernel.c.n_columns:
        raise ValueError("x is (d, n)")
    cdef double *z = room(z_out, kernel.c.n_columns, n)
    cdef double *rows = room(rows_out, n, kernel.c.n_columns)
    cdef double *active = room(active_out, kernel.c.n_groups, n)
    return bool(covariance_inputs(&kernel.c, at(x), n, z, rows, active))


def matrix(Kernel kernel, const double[:, ::1] z, const double[:, ::1] rows, const double[:, ::1] active,
           int64_t start, int64_t stop, double[:, :] out):
    cdef covariance_points a = both(kernel, z, rows, active)
    cdef double *p = room(out, a.n, a.n)
    cdef int64_t stride = out.strides[0] // <int64_t>sizeof(double)
    cdef int done
    check_range(start, stop, a.n)
    with nogil:
        done = covariance_matrix(&kernel.c, &a, start, stop, p, stride)
    if not done:
        raise MemoryError


def cross(Kernel kernel, const double[:, ::1] rows, const double[:, ::1] active, const double[:, ::1] z,
          const double[:, ::1] z_active, int64_t start, int64_t stop, double[:, :] out):
    cdef covariance_points a = broadcast(kernel, rows, active)
    cdef covariance_points b = across(kernel, z, z_active)
    cdef double *p = room(out, a.n, b.n)
    cdef int64_t stride = out.strides[0] // <int64_t>sizeof(double)
    cdef int done
    check_range(start, stop, b.n)
    with nogil:
        done = covariance_cross(&kernel.c, &a, &b, start, stop, p, stride)
    if not done:
        raise MemoryError


def cross_mean(Kernel kernel, const double[:, ::1] rows, const double[:, ::1] active, const double[:, ::1] weights,
               const double[:, ::1] z, const double[:, ::1] z_active, int64_t start, int64_t stop,
               double[:, ::1] out):
    cdef covariance_points a = broadcast(kernel, rows, active)
    cdef covariance_points b = across(kernel, z, z_active)
    cdef int64_t n_weights = weights.shape[0]
    cdef const double *w = at(weights)
    cdef double *p = room(out, n_weights, b.n)
    if weights.shape[1] != a.n:
        raise ValueError("weights is (k, n)")
    cdef int done
    check_range(start, stop, b.n)
    with nogil:
        done = covariance_cross_mean(&kernel.c, &a, w, n_weights, &b, start, stop, p)
    if not done:
        raise MemoryError


cdef const double *weight_of(const double[:, :] weight, int64_t n_rows, int64_t n_columns) except? NULL:
    if weight.shape[0] != n_rows or weight.shape[1] != n_columns:
        raise ValueError(f"weight is not ({n_rows}, {n_columns})")
    if n_columns > 1 and weight.strides[1] != sizeof(double):
        raise ValueError("the rows of weight are not contiguous")
    return &weight[0, 0] if n_rows and n_columns else NULL


def slopes(Kernel kernel, const double[:, ::1] z, const double[:, ::1] rows, const double[:, ::1] active,
           const double[:, :] weight, int64_t start, int64_t stop, double[:, ::1] lengthscale_out,
           double[:, ::1] correlation_out):
    cdef covariance_points a = both(kernel, z, rows, active)
    cdef const double *w = weight_of(weight, a.n, a.n)
    cdef double *by_lengthscale = room(lengthscale_out, kernel.c.n_columns, a.n)
    cdef double *by_correlation = room(correlation_out, kernel.c.n_groups, a.n)
    cdef int64_t stride = weight.strides[0] // <int64_t>sizeof(double)
    cdef int done
    check_range(start, stop, a.n)
    with nogil:
        done = covariance_slopes(&kernel.c, &a, w, stride, start, stop, by_lengthscale, by_correlation)
    if not done:
        raise MemoryError


def cross_slopes(Kernel kernel, const double[:, ::1] rows, const double[:, ::1] active, const double[:, ::1] z,
                 const double[:, ::1] z_active, const double[:, :] weight, int64_t start, int64_t stop,
                 double[:, ::1] out):
    cdef covariance_points a = broadcast(kernel, rows, active)
    cdef covariance_points b = across(kernel, z, z_active)
    cdef const double *w = weight_of(weight, a.n, b.n)
    cdef double *p = room(out, kernel.c.n_columns, b.n)
    cdef int64_t stride = weight.strides[0] // <int64_t>sizeof(double)
    cdef int done
    check_range(start, stop, b.n)
    with nogil:
        done = covariance_cross_slopes(&kernel.c, &a, &b, w, stride, start, stop, p)
    if not done:
        raise MemoryError
