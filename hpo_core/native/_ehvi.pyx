"""Thin door to csrc/ehvi.c; hpo_core.native.ehvi checks and allocates."""

from libc.stdint cimport int64_t

cdef extern from "simd.h" nogil:
    int HPO_MAX_LANES
    int hpo_simd_level
    int hpo_simd_set(int) noexcept
    void hpo_simd_init() noexcept

cdef extern from "ehvi.h" nogil:
    ctypedef struct ehvi_region:
        int64_t m, k
        double *bounds
        int64_t *n_bounds
        int64_t *lower
        int64_t *upper

    int64_t ehvi_boxes(const double *front, const double *reference, int64_t m, int64_t n, double *columns,
                       double *lower, double *upper) noexcept
    void ehvi_index(const double *lower, const double *upper, ehvi_region *region) noexcept
    void ehvi_log(const ehvi_region *region, const double *mean, const double *sd, int64_t p, int64_t start,
                  int64_t stop, double *scratch, double *out) noexcept
    void ehvi_log_slopes(const ehvi_region *region, const double *mean, const double *sd, int64_t p,
                         int64_t start, int64_t stop, double *scratch, double *out, double *by_mean,
                         double *by_sd) noexcept

hpo_simd_init()


def _simd_level():
    return hpo_simd_level


def _set_simd_level(int level):
    return hpo_simd_set(level)


cdef int fill(ehvi_region *region, double[:, ::1] bounds, int64_t[::1] n_bounds,
              int64_t[:, :, ::1] places) except -1:
    cdef int64_t m = bounds.shape[0], k = places.shape[2]
    if not (places.shape[0] == 2 and places.shape[1] == n_bounds.shape[0] == m and bounds.shape[1] == 2 * k):
        raise ValueError("bounds is (m, 2 k), n_bounds is (m) and places is (2, m, k)")
    if not (m and k):
        raise ValueError("there is at least one objective and one box")
    region.m, region.k = m, k
    region.bounds, region.n_bounds = &bounds[0, 0], &n_bounds[0]
    region.lower, region.upper = &places[0, 0, 0], &places[1, 0, 0]
    return 0


def boxes(const double[:, ::1] front, const double[::1] reference, double[:, ::1] columns,
          double[:, ::1] lower, double[:, ::1] upper):
    cdef int64_t m = front.shape[0], n = front.shape[1]
    if not (1 <= m <= 3 and reference.shape[0] == lower.shape[0] == upper.shape[0] == m):
        raise ValueError("front, reference, lower and upper have m rows, 1 <= m <= 3")
    if not (columns.shape[0] == 3 and columns.shape[1] == n + 1
            and lower.shape[1] == upper.shape[1] == 2 * n + 1):
        raise ValueError("columns is (3, n + 1), lower and upper have 2 n + 1 columns")
    cdef const double *points = &front[0, 0] if n else NULL
    with nogil:
        n = ehvi_boxes(points, &reference[0], m, n, &columns[0, 0], &lower[0, 0], &upper[0, 0])
    return n


def index(const double[:, ::1] lower, const double[:, ::1] upper, double[:, ::1] bounds,
          int64_t[::1] n_bounds, int64_t[:, :, ::1] places):
    cdef ehvi_region region
    fill(&region, bounds, n_bounds, places)
    if not (lower.shape[0] == upper.shape[0] == region.m and lower.shape[1] == upper.shape[1] == region.k):
        raise ValueError("lower and upper are (m, k)")
    with nogil:
        ehvi_index(&lower[0, 0], &upper[0, 0], &region)


cdef int check(ehvi_region *region, const double[:, ::1] mean, const double[:, ::1] sd, int64_t start,
               int64_t stop, double[:, ::1] scratch, double[::1] out) except -1:
    if not (mean.shape[0] == sd.shape[0] == region.m and mean.shape[1] == sd.shape[1] == out.shape[0]):
        raise ValueError("mean and sd are (m, p), out is (p)")
    if not 0 <= start < stop <= out.shape[0]:
        raise ValueError("0 <= start < stop <= p")
    if not (scratch.shape[0] == region.k * (2 * region.m + 11) + 1 and scratch.shape[1] == HPO_MAX_LANES):
        raise ValueError("scratch is (k (2 m + 11) + 1, 8)")
    return 0


def log_ehvi(const double[:, ::1] mean, const double[:, ::1] sd, double[:, ::1] bounds, int64_t[::1] n_bounds,
             int64_t[:, :, ::1] places, int64_t start, int64_t stop, double[:, ::1] scratch, double[::1] out):
    cdef ehvi_region region
    fill(&region, bounds, n_bounds, places)
    check(&region, mean, sd, start, stop, scratch, out)
    with nogil:
        ehvi_log(&region, &mean[0, 0], &sd[0, 0], out.shape[0], start, stop, &scratch[0, 0], &out[0])


def log_ehvi_slopes(const double[:, ::1] mean, const double[:, ::1] sd, double[:, ::1] bounds,
                    int64_t[::1] n_bounds, int64_t[:, :, ::1] places, int64_t start, int64_t stop,
                    double[:, ::1] scratch, double[::1] out, double[:, :, ::1] slopes):
    cdef ehvi_region region
    fill(&region, bounds, n_bounds, places)
    check(&region, mean, sd, start, stop, scratch, out)
    if not (slopes.shape[0] == 2 and slopes.shape[1] == region.m and slopes.shape[2] == out.shape[0]):
        raise ValueError("slopes is (2, m, p)")
    with nogil:
        ehvi_log_slopes(&region, &mean[0, 0], &sd[0, 0], out.shape[0], start, stop, &scratch[0, 0], &out[0],
                        &slopes[0, 0, 0], &slopes[1, 0, 0])
