"""Many small studies: owner of what csrc/pool.c works on."""

import numpy as np

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from hpo_core.native._domain cimport Domain, hpo_domain
from hpo_core.native._parzen cimport parzen_mixture


cdef extern from "simd.h":
    int hpo_simd_level
    void hpo_simd_init()
    int hpo_simd_set(int level)


cdef extern from "tpe.h" nogil:
    ctypedef struct tpe_settings:
        double gamma
        int64_t max_below
        int64_t max_above
        int64_t newest
        double prior_weight
        double min_bandwidth
        double sharpest_bandwidth
        int64_t weigh_below

    ctypedef struct tpe_model:
        uint64_t seed


cdef extern from "pool.h" nogil:
    enum:
        POOL_NO_MEMORY

    ctypedef struct pool_setup:
        const hpo_domain *domain
        const uint32_t *directions
        const parzen_mixture *shape
        tpe_settings settings
        int64_t n_startup, n_candidates
        int64_t max_joined, max_failed
        int64_t distinct
        const double *every
        const uint64_t *codes
        int64_t n_every

    ctypedef struct pool_study:
        int64_t n, capacity
        int64_t n_finished, n_complete
        double *x
        tpe_model model

    int pool_ask(const pool_setup *setup, pool_study *studies, const int64_t *which, int64_t k, double *x,
                 int64_t stride, uint8_t *status)
    int pool_append(const pool_setup *setup, pool_study *study, const double *x, int64_t stride)
    void pool_tell(pool_study *study, int64_t trial, double value)
    void pool_free(pool_study *study)


hpo_simd_init()


def _set_simd_level(int level):
    return hpo_simd_set(level)


def _simd_level():
    return hpo_simd_level


cdef class Studies:
    cdef pool_setup c
    cdef pool_study *studies
    cdef parzen_mixture *shape
    cdef int64_t n_studies
    cdef Domain domain
    cdef list owned

    def __cinit__(self, Domain domain, const uint32_t[:, ::1] directions, list columns, tuple settings,
                  tuple options, const double[:, ::1] every, const uint64_t[::1] codes,
                  const uint64_t[::1] seeds):
        """``columns`` and ``settings`` as for tpe.Model; ``options`` in the order of pool_setup."""
        cdef int64_t i
        cdef const int64_t[::1] dims
        self.domain, self.n_studies, self.owned = domain, seeds.shape[0], [directions, every, codes]
        self.studies = <pool_study *> PyMem_Calloc(max(self.n_studies, 1), sizeof(pool_study))
        self.shape = <parzen_mixture *> PyMem_Calloc(len(columns), sizeof(parzen_mixture))
        if self.studies == NULL or self.shape == NULL:
            raise MemoryError
        for i in range(self.n_studies):
            self.studies[i].model.seed = seeds[i]
        for i, (dims, n_num, ctx_num, ctx_cat) in enumerate(columns):
            self.owned.append(dims)
            self.shape[i].dims = &dims[0] if dims.shape[0] else NULL
            self.shape[i].n_num, self.shape[i].n_cat = n_num, dims.shape[0] - n_num
            self.shape[i].ctx_num, self.shape[i].ctx_cat = ctx_num, ctx_cat
        self.c.domain, self.c.directions, self.c.shape = &domain.c, NULL, self.shape
        if directions.shape[0]:
            self.c.directions = &directions[0, 0]
        (self.c.settings.gamma, self.c.settings.max_below, self.c.settings.max_above, self.c.settings.newest,
         self.c.settings.prior_weight, self.c.settings.min_bandwidth, self.c.settings.sharpest_bandwidth,
         self.c.settings.weigh_below) = settings
        (self.c.n_startup, self.c.n_candidates, self.c.max_joined, self.c.max_failed, self.c.distinct) = options
        self.c.n_every = codes.shape[0]
        if self.c.n_every:
            self.c.every, self.c.codes = &every[0, 0], &codes[0]

    def __dealloc__(self):
        cdef int64_t i
        for i in range(self.n_studies if self.studies != NULL else 0):
            pool_free(&self.studies[i])
        PyMem_Free(self.studies)
        PyMem_Free(self.shape)

    def ask(self, const int64_t[::1] studies, int64_t first, int64_t last, double[:, ::1] x_out,
            uint8_t[::1] status_out):
        """Ask studies[first:last], all different; x_out (d, k) and status_out (k) are those of all k."""
        cdef int status
        with nogil:
            status = pool_ask(&self.c, self.studies, &studies[first], last - first, &x_out[0, first],
                              x_out.shape[1], &status_out[first])
        if status == POOL_NO_MEMORY:
            raise MemoryError

    def append(self, const int64_t[::1] studies, const double[:, ::1] x):
        """Column j of x (d, k) becomes a running trial of studies[j]."""
        cdef int64_t j
        for j in range(studies.shape[0]):
            if pool_append(&self.c, &self.studies[studies[j]], &x[0, j], x.shape[1]) == POOL_NO_MEMORY:
                raise MemoryError

    def tell(self, const int64_t[::1] studies, const int64_t[::1] numbers, const double[::1] values):
        """Finish running trials, in this order; values are to be minimised."""
        cdef int64_t j
        with nogil:
            for j in range(studies.shape[0]):
                pool_tell(&self.studies[studies[j]], numbers[j], values[j])

    def gather(self, const int64_t[::1] studies, const int64_t[::1] numbers, double[:, ::1] x_out):
        """Coordinates (d, k) of trials."""
        cdef int64_t i, j
        cdef pool_study *study
        with nogil:
            for j in range(studies.shape[0]):
                study = &self.studies[studies[j]]
                for i in range(x_out.shape[0]):
                    x_out[i, j] = study.x[i * study.capacity + numbers[j]]
