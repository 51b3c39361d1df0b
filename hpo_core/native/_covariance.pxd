from libc.stdint cimport int64_t


cdef extern from "covariance.h" nogil:
    ctypedef struct covariance_kernel:
        int64_t n_columns, n_groups
        const int64_t *order
        const int64_t *group_start
        const int64_t *n_numeric
        const double *inverse
        const double *correlation

    ctypedef struct covariance_points:
        int64_t n
        const double *z
        const double *rows
        const double *active

    int covariance_inputs(const covariance_kernel *kernel, const double *x, int64_t n, double *z,
                          double *rows, double *active) noexcept
    int covariance_matrix(const covariance_kernel *kernel, const covariance_points *a, int64_t start,
                          int64_t stop, double *out, int64_t stride) noexcept
    int covariance_cross(const covariance_kernel *kernel, const covariance_points *a,
                         const covariance_points *b, int64_t start, int64_t stop, double *out,
                         int64_t stride) noexcept
    int covariance_cross_mean(const covariance_kernel *kernel, const covariance_points *a,
                              const double *weights, int64_t n_weights, const covariance_points *b,
                              int64_t start, int64_t stop, double *out) noexcept
    int covariance_slopes(const covariance_kernel *kernel, const covariance_points *a, const double *weight,
                          int64_t stride, int64_t start, int64_t stop, double *by_lengthscale,
                          double *by_correlation) noexcept
    int covariance_cross_slopes(const covariance_kernel *kernel, const covariance_points *a,
                                const covariance_points *b, const double *weight, int64_t stride,
                                int64_t start, int64_t stop, double *out) noexcept


cdef class Kernel:
    cdef covariance_kernel c
    cdef const int64_t[::1] order, group_start, n_numeric
    cdef double[::1] numbers  # inverse (d), correlation (G)
