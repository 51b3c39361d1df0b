"""The TPE model: owner of the mixtures, pools and scratch that csrc/tpe*.c work on."""

import numpy as np

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from hpo_core.native._domain cimport Domain, hpo_domain
from hpo_core.native._parzen cimport Mixture, aligned, parzen_mixture

from hpo_core.native._parzen import Mixture as new_mixture


cdef extern from "simd.h":
    int hpo_simd_level
    void hpo_simd_init()
    int hpo_simd_set(int level)


cdef extern from "tpe.h" nogil:
    enum:
        TPE_MIN_SPLIT

    ctypedef struct tpe_settings:
        double gamma
        int64_t max_below
        int64_t max_above
        int64_t newest
        double prior_weight
        double min_bandwidth
        double sharpest_bandwidth
        int64_t weigh_below

    ctypedef struct tpe_entry:
        int64_t trial

    ctypedef struct tpe_group:
        parzen_mixture *below
        parzen_mixture *above
        parzen_mixture *failed
        int64_t n, n_failed
        tpe_entry *best
        int64_t *placed
        int64_t *first
        int64_t *trial
        uint64_t *hash
        int64_t *birth

    ctypedef struct tpe_model:
        const hpo_domain *domain
        tpe_settings settings
        uint64_t seed
        tpe_group *groups

    ctypedef struct tpe_pool:
        int64_t capacity
        double *x
        double *log_below
        double *log_failed
        double *above_joint
        double *above_context

    ctypedef struct tpe_scratch:
        double *block
        double *terms
        double *raw
        double *u
        double *value
        double *joint
        double *context
        int32_t *index
        int32_t *component
        int32_t *order
        uint8_t *mask

    void tpe_reset(tpe_model *model)
    void tpe_observe(tpe_model *model, const double *x, int64_t stride, const double *keys,
                     int64_t key_stride, const double *gain, const int64_t *trials, int64_t k)
    void tpe_refresh(tpe_model *model, const double *x, int64_t stride, const int64_t *running, int64_t n)
    void tpe_join(tpe_model *model, const double *x, int64_t stride, int64_t column)
    void tpe_draw(const tpe_model *model, uint64_t stream, uint64_t attempt, tpe_pool *pool, int64_t m,
                  tpe_scratch *scratch)
    void tpe_score(const tpe_model *model, tpe_pool *pool, int64_t first, int64_t last, tpe_scratch *scratch)
    int64_t tpe_choose(tpe_model *model, const tpe_pool *pool, int64_t m, uint64_t stream, int64_t subset,
                       int64_t q, int64_t *picks, tpe_scratch *scratch)
    void tpe_scores(const tpe_model *model, const tpe_pool *pool, int64_t m, double *out)


hpo_simd_init()


def _set_simd_level(int level):
    return hpo_simd_set(level)


def _simd_level():
    return hpo_simd_level


cdef class Scratch:
    """Working memory of one thread, for up to ``capacity`` candidates."""

    cdef tpe_scratch c
    cdef object doubles, indices, mask

    def __cinit__(self, int64_t columns, int64_t kernels, int64_t capacity):
        capacity += 8  # the room that tpe.h asks for
        self.doubles = aligned((columns + kernels + 6) * capacity).reshape(-1, capacity)
        self.indices = np.empty((3, capacity), dtype=np.int32)
        self.mask = np.empty(capacity, dtype=np.uint8)
        cdef double[:, ::1] doubles = self.doubles
        cdef int32_t[:, ::1] indices = self.indices
        cdef uint8_t[::1] mask = self.mask
        self.c.block = &doubles[0, 0]
        self.c.terms = &doubles[columns, 0]
        self.c.u = &doubles[columns + kernels, 0]
        self.c.value = &doubles[columns + kernels + 1, 0]
        self.c.joint = &doubles[columns + kernels + 2, 0]
        self.c.context = &doubles[columns + kernels + 3, 0]
        self.c.raw = &doubles[columns + kernels + 4, 0]
        self.c.index = &indices[0, 0]
        self.c.component = &indices[1, 0]
        self.c.order = &indices[2, 0]
        self.c.mask = &mask[0]


cdef class Pool:
    """Candidates and what is known of them."""

    cdef tpe_pool c
    cdef readonly object x
    cdef object scores
    cdef Scratch scratch

    def __cinit__(self, Model model, int64_t m):
        cdef int64_t capacity = (m + 7) // 8 * 8, n_groups = model.n_groups
        self.x = aligned(model.domain.c.d * capacity).reshape(-1, capacity)
        self.scores = aligned((2 + 2 * n_groups) * capacity).reshape(-1, capacity)
        self.scratch = model.new_scratch(capacity)
        cdef double[:, ::1] x = self.x, scores = self.scores
        self.c.capacity = capacity
        self.c.x = &x[0, 0]
        self.c.log_below = &scores[0, 0]
        self.c.log_failed = &scores[1, 0]
        self.c.above_joint = &scores[2, 0]
        self.c.above_context = &scores[2 + n_groups, 0]

    @property
    def capacity(self):
        return self.c.capacity


cdef class Model:
    cdef tpe_model c
    cdef readonly Domain domain
    cdef readonly int64_t n_groups, columns
    cdef readonly list below, above, failed
    cdef list owned

    def __cinit__(self, Domain domain, list columns, tuple settings, uint64_t seed, int64_t max_joined,
                  int64_t max_failed):
        """``columns``: per group (dims, n_num, ctx_num, ctx_cat); ``settings`` in the order of tpe_settings."""
        self.domain = domain
        self.n_groups = len(columns)
        self.c.domain = &domain.c
        self.c.seed = seed
        (self.c.settings.gamma, self.c.settings.max_below, self.c.settings.max_above, self.c.settings.newest,
         self.c.settings.prior_weight, self.c.settings.min_bandwidth, self.c.settings.sharpest_bandwidth,
         self.c.settings.weigh_below) = settings
        self.c.groups = <tpe_group *> PyMem_Calloc(self.n_groups, sizeof(tpe_group))
        if self.c.groups == NULL:
            raise MemoryError
        self.owned, self.below, self.above, self.failed = [], [], [], []
        self.columns = max(len(spec[0]) for spec in columns)
        cdef int64_t max_above = self.c.settings.max_above
        cdef int64_t g
        cdef Mixture below
        for g, spec in enumerate(columns):
            self.c.groups[g].below = self._mixture(self.below, spec, self.c.settings.max_below + 1)
            below = self.below[g]
            below.make_tables()
            self.c.groups[g].placed = <int64_t *> self._bytes((self.c.settings.max_below + 1) * sizeof(int64_t))
            self.c.groups[g].above = self._mixture(self.above, spec, max_above + 1 + max_joined)
            self.c.groups[g].failed = self._mixture(self.failed, spec, max_failed + 1)
            self.c.groups[g].best = <tpe_entry *> self._bytes(
                (self.c.settings.max_below + 1) * sizeof(tpe_entry))
            self.c.groups[g].first = <int64_t *> self._bytes(TPE_MIN_SPLIT * sizeof(int64_t))
            self.c.groups[g].trial = <int64_t *> self._bytes((max_above + 1) * sizeof(int64_t))
            self.c.groups[g].hash = <uint64_t *> self._bytes((max_above + 1) * sizeof(uint64_t))
            self.c.groups[g].birth = <int64_t *> self._bytes((max_above + 1) * sizeof(int64_t))
        tpe_reset(&self.c)

    def __dealloc__(self):
        PyMem_Free(self.c.groups)

    cdef parzen_mixture *_mixture(self, list into, tuple spec, int64_t capacity):
        cdef Mixture mixture = new_mixture(self.domain, *spec, capacity)
        into.append(mixture)
        return &mixture.c

    cdef void *_bytes(self, size_t n):
        cdef int64_t[::1] words = np.zeros(n // 8, dtype=np.int64)
        self.owned.append(words)
        return &words[0]

    def new_scratch(self, int64_t capacity):
        return Scratch(self.columns, self.c.settings.max_below + 1, capacity)

    def reset(self):
        tpe_reset(&self.c)

    def observe(self, const double[:, ::1] x, const double[:, ::1] keys, const double[::1] gain,
                const int64_t[::1] trials):
        if trials.shape[0] == 0:
            return
        with nogil:
            tpe_observe(&self.c, &x[0, 0], x.shape[1], &keys[0, 0], keys.shape[1], &gain[0], &trials[0],
                        trials.shape[0])

    def refresh(self, const double[:, ::1] x, const int64_t[::1] running):
        cdef const int64_t *rows = &running[0] if running.shape[0] else NULL
        with nogil:
            tpe_refresh(&self.c, &x[0, 0], x.shape[1], rows, running.shape[0])

    def join(self, const double[:, ::1] x):
        """Columns of x (d, k) join g as running trials do."""
        cdef int64_t j
        for j in range(x.shape[1]):
            tpe_join(&self.c, &x[0, 0], x.shape[1], j)

    def draw(self, Pool pool, uint64_t stream, uint64_t attempt, int64_t m):
        with nogil:
            tpe_draw(&self.c, stream, attempt, &pool.c, m, &pool.scratch.c)

    def score(self, Pool pool, int64_t first, int64_t last):
        """Score a range with the pool's own scratch."""
        with nogil:
            tpe_score(&self.c, &pool.c, first, last, &pool.scratch.c)

    def score_range(self, Pool pool, int64_t first, int64_t last):
        """The same with scratch of its own: for ranges scored in threads."""
        cdef Scratch scratch = self.new_scratch((last - first + 7) // 8 * 8)
        with nogil:
            tpe_score(&self.c, &pool.c, first, last, &scratch.c)

    def scores(self, Pool pool, int64_t m, double[::1] out):
        tpe_scores(&self.c, &pool.c, m, &out[0])

    def choose(self, Pool pool, int64_t m, uint64_t stream, int64_t subset, int64_t[::1] picks_out):
        cdef int64_t n
        with nogil:
            n = tpe_choose(&self.c, &pool.c, m, stream, subset, picks_out.shape[0], &picks_out[0], &pool.scratch.c)
        return n

    def propose(self, Pool pool, uint64_t stream, int64_t m, int64_t subset):
        """Draw, score and choose one candidate: (d, 1)."""
        cdef double[:, ::1] x = np.empty((self.domain.c.d, 1))
        cdef int64_t i, pick = 0
        with nogil:
            tpe_draw(&self.c, stream, 0, &pool.c, m, &pool.scratch.c)
            tpe_score(&self.c, &pool.c, 0, m, &pool.scratch.c)
            tpe_choose(&self.c, &pool.c, m, stream, subset, 1, &pick, &pool.scratch.c)
            for i in range(self.domain.c.d):
                x[i, 0] = pool.c.x[i * pool.c.capacity + pick]
        return x.base
