"""Thin door to csrc/domain.c and csrc/sobol.c; hpo_core.native.domain checks and allocates."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "sobol.h" nogil:
    void domain_sobol(const hpo_domain *dom, const uint32_t *directions, uint64_t seed, uint64_t start,
                      double *x, ptrdiff_t stride, int64_t m) noexcept

ctypedef fused entry:
    double
    int32_t
    int64_t
    uint8_t


cdef const entry *pointer(const entry[::1] array, Py_ssize_t size) except? NULL:
    if array.shape[0] != size:
        raise ValueError(f"an array of the layout has {array.shape[0]} entries instead of {size}")
    return &array[0] if size else NULL


cdef class Domain:
    def __init__(self, arrays):
        cdef Py_ssize_t d = len(arrays.kinds), t = len(arrays.centers)
        cdef Py_ssize_t n_groups = len(arrays.member_start) - 1, n_forbid = len(arrays.forbid_start) - 1
        self.arrays = arrays
        self.c.d, self.c.n_groups, self.c.n_forbid = d, n_groups, n_forbid
        self.c.kinds = pointer[uint8_t](arrays.kinds, d)
        self.c.log = pointer[uint8_t](arrays.log, d)
        self.c.regular = pointer[uint8_t](arrays.regular, d)
        self.c.levels = pointer[int64_t](arrays.levels, d)
        self.c.table_start = pointer[int64_t](arrays.table_start, d + 1)
        self.c.centers = pointer[double](arrays.centers, t)
        self.c.edges = pointer[double](arrays.edges, t)
        self.c.widths = pointer[double](arrays.widths, t)
        self.c.values = pointer[double](arrays.values, t)
        self.c.offset = pointer[double](arrays.offset, d)
        self.c.span = pointer[double](arrays.span, d)
        self.c.low = pointer[double](arrays.low, d)
        self.c.high = pointer[double](arrays.high, d)
        self.c.step = pointer[double](arrays.step, d)
        self.c.scale = pointer[double](arrays.scale, d)
        self.c.defaults = pointer[double](arrays.defaults, d)
        self.c.member_start = pointer[int64_t](arrays.member_start, n_groups + 1)
        self.c.members = pointer[int64_t](arrays.members, d)
        self.c.program = pointer[int32_t](arrays.program, len(arrays.program))
        self.c.constants = pointer[double](arrays.constants, len(arrays.constants))
        self.c.condition_start = pointer[int64_t](arrays.condition_start, n_groups + 1)
        self.c.forbid_start = pointer[int64_t](arrays.forbid_start, n_forbid + 1)


cdef const double *rows(Domain domain, const double[:, ::1] x) except? NULL:
    if x.shape[0] != domain.c.d:
        raise ValueError(f"x has {x.shape[0]} rows instead of {domain.c.d}")
    return &x[0, 0] if x.shape[0] and x.shape[1] else NULL


cdef int check(Py_ssize_t size, Py_ssize_t expected) except -1:
    if size != expected:
        raise ValueError(f"an array has {size} entries instead of {expected}")
    return 0


def random_draws(Domain domain, uint64_t seed, uint64_t stream, int64_t start, double[:, ::1] x_out):
    cdef double *x = <double *>rows(domain, x_out)
    with nogil:
        domain_random(&domain.c, seed, stream, start, x, x_out.shape[1], x_out.shape[1])


def sobol_draws(Domain domain, const uint32_t[:, ::1] directions, uint64_t seed, uint64_t start, double[:, ::1] x_out):
    cdef double *x = <double *>rows(domain, x_out)
    check(directions.shape[1], 32)
    check(directions.shape[0], min(domain.c.d, 256))
    with nogil:
        if x != NULL:
            domain_sobol(&domain.c, &directions[0, 0], seed, start, x, x_out.shape[1], x_out.shape[1])


def settle(Domain domain, double[:, ::1] x):
    cdef double *x_out = <double *>rows(domain, x)
    with nogil:
        domain_settle(&domain.c, x_out, x.shape[1], x.shape[1])


def group_mask(Domain domain, int64_t group, const double[:, ::1] x, uint8_t[::1] active_out):
    cdef const double *start = rows(domain, x)
    check(active_out.shape[0], x.shape[1])
    with nogil:
        if x.shape[1]:
            domain_group_mask(&domain.c, group, start, x.shape[1], x.shape[1], &active_out[0])


def permitted(Domain domain, const double[:, ::1] x, uint8_t[::1] permitted_out):
    cdef const double *start = rows(domain, x)
    check(permitted_out.shape[0], x.shape[1])
    with nogil:
        if x.shape[1]:
            domain_permitted(&domain.c, start, x.shape[1], x.shape[1], &permitted_out[0])


def keys(Domain domain, const double[:, ::1] x, uint64_t[::1] keys_out):
    cdef const double *start = rows(domain, x)
    check(keys_out.shape[0], x.shape[1])
    with nogil:
        if x.shape[1]:
            domain_keys(&domain.c, start, x.shape[1], x.shape[1], &keys_out[0])


def keyset_insert(uint64_t[::1] slots, const uint64_t[::1] keys):
    if not keys.shape[0]:
        return 0
    with nogil:
        added = domain_keyset_insert(&slots[0], slots.shape[0], &keys[0], keys.shape[0])
    return added


def keyset_fresh(uint64_t[::1] slots, const uint64_t[::1] keys, int64_t[::1] scratch, uint8_t[::1] fresh_out):
    check(scratch.shape[0], keys.shape[0])
    check(fresh_out.shape[0], keys.shape[0])
    if not keys.shape[0]:
        return
    with nogil:
        domain_keyset_fresh(&slots[0], slots.shape[0], &keys[0], keys.shape[0], &scratch[0], &fresh_out[0])
