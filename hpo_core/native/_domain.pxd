from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "domain.h" nogil:
    ctypedef struct hpo_domain:
        int64_t d
        int64_t n_groups
        int64_t n_forbid
        const uint8_t *kinds
        const uint8_t *log
        const uint8_t *regular
        const int64_t *levels
        const int64_t *table_start
        const double *centers
        const double *edges
        const double *widths
        const double *values
        const double *offset
        const double *span
        const double *low
        const double *high
        const double *step
        const double *scale
        const double *defaults
        const int64_t *member_start
        const int64_t *members
        const int32_t *program
        const double *constants
        const int64_t *condition_start
        const int64_t *forbid_start

    void domain_group_mask(const hpo_domain *dom, int64_t group, const double *x, ptrdiff_t stride, int64_t m,
                           uint8_t *out) noexcept
    void domain_settle(const hpo_domain *dom, double *x, ptrdiff_t stride, int64_t m) noexcept
    void domain_permitted(const hpo_domain *dom, const double *x, ptrdiff_t stride, int64_t m,
                          uint8_t *out) noexcept
    void domain_random(const hpo_domain *dom, uint64_t seed, uint64_t stream, int64_t start, double *x,
                       ptrdiff_t stride, int64_t m) noexcept
    void domain_keys(const hpo_domain *dom, const double *x, ptrdiff_t stride, int64_t m,
                     uint64_t *out) noexcept
    int64_t domain_keyset_insert(uint64_t *slots, int64_t n_slots, const uint64_t *keys, int64_t m) noexcept
    int64_t domain_keyset_fresh(uint64_t *slots, int64_t n_slots, const uint64_t *keys, int64_t m,
                                int64_t *scratch, uint8_t *out) noexcept


cdef class Domain:
    """The C struct of a layout and the arrays it points into."""

    cdef hpo_domain c
    cdef object arrays
