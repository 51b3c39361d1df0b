"""Thin door to csrc/normal.c; hpo_core.native.normal checks and allocates."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "simd.h" nogil:
    int hpo_simd_level
    int hpo_simd_best() noexcept
    int hpo_simd_set(int) noexcept
    void hpo_simd_init() noexcept

cdef extern from "philox.h" nogil:
    void philox4x32(uint64_t, uint32_t *) noexcept

cdef extern from "normal.h" nogil:
    void normal_ndtr(const double *x, int64_t n, double *out) noexcept
    void normal_log_ndtr(const double *x, int64_t n, double *out) noexcept
    void normal_erfcx(const double *x, int64_t n, double *out) noexcept
    void normal_ndtri(const double *u, int64_t n, double *out) noexcept
    void normal_log_mass(const double *a, const double *b, int64_t n, double *out) noexcept
    void normal_truncated(const double *u, const double *a, const double *b, int64_t n, double *out) noexcept
    void vector_exp(const double *x, int64_t n, double *out) noexcept
    void vector_log(const double *x, int64_t n, double *out) noexcept
    void philox_of_trial(uint64_t seed, uint64_t trial, uint64_t start, int64_t n, double *out) noexcept
    void philox_of_index(uint64_t seed, uint64_t trial, uint64_t index, int64_t n, double *out) noexcept

ctypedef void (*function)(const double *, int64_t, double *) noexcept nogil

hpo_simd_init()


def _simd_best():
    return hpo_simd_best()


def _simd_level():
    return hpo_simd_level


def _set_simd_level(int level):
    return hpo_simd_set(level)


cdef const double *data(const double[::1] x, Py_ssize_t n) except? NULL:
    if x.shape[0] != n:
        raise ValueError(f"an array has {x.shape[0]} entries instead of {n}")
    return &x[0] if n else NULL


cdef apply(function f, const double[::1] x, double[::1] out):
    cdef int64_t n = out.shape[0]
    cdef const double *p = data(x, n)
    if n:
        with nogil:
            f(p, n, &out[0])


def ndtr(const double[::1] x, double[::1] out):
    apply(normal_ndtr, x, out)


def log_ndtr(const double[::1] x, double[::1] out):
    apply(normal_log_ndtr, x, out)


def erfcx(const double[::1] x, double[::1] out):
    apply(normal_erfcx, x, out)


def ndtri(const double[::1] u, double[::1] out):
    apply(normal_ndtri, u, out)


def _exp(const double[::1] x, double[::1] out):
    apply(vector_exp, x, out)


def _log(const double[::1] x, double[::1] out):
    apply(vector_log, x, out)


def log_mass(const double[::1] a, const double[::1] b, double[::1] out):
    cdef int64_t n = out.shape[0]
    cdef const double *pa = data(a, n)
    cdef const double *pb = data(b, n)
    if n:
        with nogil:
            normal_log_mass(pa, pb, n, &out[0])


def truncated(const double[::1] u, const double[::1] a, const double[::1] b, double[::1] out):
    cdef int64_t n = out.shape[0]
    cdef const double *pu = data(u, n)
    cdef const double *pa = data(a, n)
    cdef const double *pb = data(b, n)
    if n:
        with nogil:
            normal_truncated(pu, pa, pb, n, &out[0])


def philox(uint64_t seed, uint32_t[::1] counter):
    if counter.shape[0] != 4:
        raise ValueError(f"counter has {counter.shape[0]} words instead of 4")
    philox4x32(seed, &counter[0])


def uniforms_of_trial(uint64_t seed, uint64_t trial, uint64_t start, double[::1] out):
    cdef int64_t n = out.shape[0]
    if n:
        with nogil:
            philox_of_trial(seed, trial, start, n, &out[0])


def uniforms_of_index(uint64_t seed, uint64_t trial, uint64_t index, double[::1] out):
    cdef int64_t n = out.shape[0]
    if n:
        with nogil:
            philox_of_index(seed, trial, index, n, &out[0])
