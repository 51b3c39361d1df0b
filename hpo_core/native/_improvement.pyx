"""Thin door to csrc/improvement.c; hpo_core.native.improvement checks and allocates."""

from libc.stdint cimport int64_t

cdef extern from "simd.h" nogil:
    int hpo_simd_level
    int hpo_simd_set(int) noexcept
    void hpo_simd_init() noexcept

cdef extern from "improvement.h" nogil:
    void improvement_ei(const double *mean, const double *sd, double best, int64_t m, double *out) noexcept
    void improvement_log_ei(const double *mean, const double *sd, double best, int64_t m,
                            double *out) noexcept
    void improvement_ei_slopes(const double *mean, const double *sd, double best, int64_t m, double *out,
                               double *by_mean, double *by_sd) noexcept
    void improvement_log_ei_slopes(const double *mean, const double *sd, double best, int64_t m, double *out,
                                   double *by_mean, double *by_sd) noexcept
    void improvement_log_ei_average(const double *mean, const double *sd, const double *best, int64_t k,
                                    int64_t m, double *out) noexcept

ctypedef void (*value)(const double *, const double *, double, int64_t, double *) noexcept nogil
ctypedef void (*slopes)(const double *, const double *, double, int64_t, double *, double *,
                        double *) noexcept nogil

hpo_simd_init()


def _simd_level():
    return hpo_simd_level


def _set_simd_level(int level):
    return hpo_simd_set(level)


cdef apply(value f, const double[::1] mean, const double[::1] sd, double best, double[::1] out):
    cdef int64_t m = out.shape[0]
    if not mean.shape[0] == sd.shape[0] == m:
        raise ValueError("mean, sd and out have one length")
    if m:
        with nogil:
            f(&mean[0], &sd[0], best, m, &out[0])


cdef apply_slopes(slopes f, const double[::1] mean, const double[::1] sd, double best, double[::1] out,
                  double[::1] by_mean, double[::1] by_sd):
    cdef int64_t m = out.shape[0]
    if not mean.shape[0] == sd.shape[0] == by_mean.shape[0] == by_sd.shape[0] == m:
        raise ValueError("mean, sd and the outputs have one length")
    if m:
        with nogil:
            f(&mean[0], &sd[0], best, m, &out[0], &by_mean[0], &by_sd[0])


def ei(const double[::1] mean, const double[::1] sd, double best, double[::1] out):
    apply(improvement_ei, mean, sd, best, out)


def log_ei(const double[::1] mean, const double[::1] sd, double best, double[::1] out):
    apply(improvement_log_ei, mean, sd, best, out)


def ei_slopes(const double[::1] mean, const double[::1] sd, double best, double[::1] out, double[::1] by_mean,
              double[::1] by_sd):
    apply_slopes(improvement_ei_slopes, mean, sd, best, out, by_mean, by_sd)


def log_ei_slopes(const double[::1] mean, const double[::1] sd, double best, double[::1] out,
                  double[::1] by_mean, double[::1] by_sd):
    apply_slopes(improvement_log_ei_slopes, mean, sd, best, out, by_mean, by_sd)


def log_ei_average(const double[:, ::1] mean, const double[::1] sd, const double[::1] best, double[::1] out):
    cdef int64_t k = mean.shape[0], m = mean.shape[1]
    if not (sd.shape[0] == out.shape[0] == m and best.shape[0] == k):
        raise ValueError("mean is (k, m), sd and out are (m), best is (k)")
    if m and k:
        with nogil:
            improvement_log_ei_average(&mean[0, 0], &sd[0], &best[0], k, m, &out[0])
