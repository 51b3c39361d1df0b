from libc.stdint cimport int32_t, int64_t

from hpo_core.native._domain cimport Domain, hpo_domain


cdef extern from "parzen.h" nogil:
    ctypedef struct parzen_mixture:
        int64_t capacity, size
        int64_t n_num, n_cat, ctx_num, ctx_cat
        const int64_t *dims
        double *center
        double *sigma
        double *log_norm
        double *log_weight
        double *row
        double *constant
        int32_t *order
        int64_t ordered
        int32_t *scratch
        int32_t *stale
        double *match
        double *prior_shift
        double *tail
        double *cumulative
        int64_t n_levels
        const int64_t *level_start


cdef aligned(int64_t size)


cdef class Mixture:
    cdef parzen_mixture c
    cdef readonly Domain domain
    cdef readonly object dims
    cdef object level_start
    cdef dict arrays
    cdef double *_doubles(self, str name, tuple shape)
    cdef int32_t *_indices(self, str name, tuple shape)
    cdef make_tables(self)
    cdef _fill_prior(self, const int64_t[::1] start)
