"""Parzen mixtures: owner of the arrays that csrc/parzen.c works on."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from hpo_core.native._domain cimport Domain, hpo_domain


cdef extern from "simd.h":
    int hpo_simd_level
    void hpo_simd_init()
    int hpo_simd_set(int level)


cdef extern from "parzen.h" nogil:
    void parzen_clear(parzen_mixture *p, double prior_weight)
    void parzen_place(parzen_mixture *p, int64_t k, const double *x, int64_t stride, int64_t trial)
    void parzen_rebuild(parzen_mixture *p, const hpo_domain *domain, double floor)
    void parzen_insert(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
    void parzen_remove(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
    void parzen_attach(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
    void parzen_smooth(parzen_mixture *p, const hpo_domain *domain, double epsilon)
    void parzen_log_density(const parzen_mixture *p, const double *x, int64_t m, int64_t k0, int64_t k1,
                            double *joint, double *context)
    void parzen_draw(const parzen_mixture *p, const hpo_domain *domain, int64_t column,
                     const int32_t *component, const double *u, int64_t m, double *x)


hpo_simd_init()

# A mixture whose kernels have more levels than this computes the masses of levels with every draw: 26 kernels would
# hold 2 MB.
cdef enum:
    MOST_LEVELS = 10000


cdef aligned(int64_t size):
    """Zeros that begin at a line of the cache, one at least: a pointer is taken."""
    cdef double[::1] array = np.zeros(size + 8)
    cdef int64_t start = (64 - <size_t> &array[0] % 64) % 64 // 8
    return np.asarray(array)[start : start + max(size, 1)]


def _set_simd_level(int level):
    return hpo_simd_set(level)


def _simd_level():
    return hpo_simd_level


cdef class Mixture:
    def __cinit__(self, Domain domain, const int64_t[::1] dims, int64_t n_num, int64_t ctx_num, int64_t ctx_cat,
                  int64_t capacity):
        cdef int64_t n = dims.shape[0]
        self.domain = domain
        self.dims = np.array(dims)
        self.c.capacity, self.c.size = capacity, 1
        self.c.n_num, self.c.n_cat = n_num, n - n_num
        self.c.ctx_num, self.c.ctx_cat = ctx_num, ctx_cat
        self.arrays = {}
        cdef const int64_t[::1] owned = self.dims
        self.c.dims = &owned[0]
        self.c.center = self._doubles("center", (capacity, n))
        self.c.sigma = self._doubles("sigma", (capacity, n_num))
        self.c.log_norm = self._doubles("log_norm", (capacity, n_num))
        self.c.log_weight = self._doubles("log_weight", (capacity,))
        self.c.row = self._doubles("row", (capacity, n + n_num))
        self.c.constant = self._doubles("constant", (capacity, 2))
        self.c.match = self._doubles("match", (n - n_num, 2))
        self.c.prior_shift = self._doubles("prior_shift", (n - n_num,))
        self.c.order = self._indices("order", (n_num, capacity))
        self.c.scratch = self._indices("scratch", (capacity,))
        self.c.stale = self._indices("stale", (7, n_num))
        parzen_clear(&self.c, 1.0)

    cdef make_tables(self):
        """Let draws read what upkeep has computed."""
        cdef int64_t[::1] start = np.zeros(self.c.n_num + 1, dtype=np.int64)
        cdef int64_t c
        for c in range(self.c.n_num):
            start[c + 1] = start[c] + self.domain.c.table_start[self.c.dims[c] + 1]
            start[c + 1] -= self.domain.c.table_start[self.c.dims[c]]
        self.level_start = start
        self.c.level_start, self.c.n_levels = &start[0], start[self.c.n_num]
        self.c.tail = self._doubles("tail", (self.c.capacity, self.c.n_num, 2))
        if self.c.n_levels <= MOST_LEVELS:
            self.c.cumulative = self._doubles("cumulative", (self.c.capacity, self.c.n_levels))
            self._fill_prior(start)

    cdef _fill_prior(self, const int64_t[::1] start):
        """Running sums of slot 0, the uniform component: of widths."""
        cdef int64_t c, i, first
        cdef double total
        for c in range(self.c.n_num):
            first, total = self.domain.c.table_start[self.c.dims[c]], 0.0
            for i in range(start[c + 1] - start[c]):
                total += self.domain.c.widths[first + i]
                self.c.cumulative[start[c] + i] = total

    cdef double *_doubles(self, str name, tuple shape):
        size = int(np.prod(shape))
        array = aligned(size)
        self.arrays[name] = array[:size].reshape(shape)
        cdef double[::1] view = array
        return &view[0]

    cdef int32_t *_indices(self, str name, tuple shape):
        size = int(np.prod(shape))
        array = np.zeros(size + 1, dtype=np.int32)
        self.arrays[name] = array[:size].reshape(shape)
        cdef int32_t[::1] view = array
        return &view[0]

    @property
    def size(self):
        return self.c.size

    @property
    def n_columns(self):
        return self.c.n_num + self.c.n_cat

    @property
    def has_context(self):
        return self.c.ctx_num + self.c.ctx_cat > 0

    def array(self, str name):
        return self.arrays[name]

    def clear(self, double prior_weight):
        parzen_clear(&self.c, prior_weight)

    def place(self, int64_t k, const double[:, ::1] x, int64_t trial, double log_weight):
        self.c.log_weight[k] = log_weight
        self.c.size = max(self.c.size, k + 1)
        parzen_place(&self.c, k, &x[0, 0], x.shape[1], trial)

    def rebuild(self, double floor):
        parzen_rebuild(&self.c, &self.domain.c, floor)

    def insert(self, int64_t k, double floor):
        parzen_insert(&self.c, &self.domain.c, k, floor)

    def remove(self, int64_t k, double floor):
        parzen_remove(&self.c, &self.domain.c, k, floor)

    def attach(self, int64_t k, double floor):
        parzen_attach(&self.c, &self.domain.c, k, floor)

    def smooth(self, double epsilon):
        parzen_smooth(&self.c, &self.domain.c, epsilon)

    def log_density(self, const double[:, ::1] x, double[::1] joint_out, double[::1] context_out):
        cdef double *context = &context_out[0] if self.has_context else NULL
        cdef int64_t m = x.shape[1]
        if x.shape[0] != self.n_columns or joint_out.shape[0] != m or context_out.shape[0] != m or m % 8:
            raise ValueError("x is (columns, m), outputs are (m), m is a multiple of 8")
        with nogil:
            parzen_log_density(&self.c, &x[0, 0], m, 0, self.c.size, &joint_out[0], context)

    def draw(self, int64_t column, const int32_t[::1] component, const double[::1] u, double[::1] x_out):
        if not component.shape[0] == u.shape[0] == x_out.shape[0]:
            raise ValueError("component, u and x_out have one length")
        with nogil:
            parzen_draw(&self.c, &self.domain.c, column, &component[0], &u[0], u.shape[0], &x_out[0])
