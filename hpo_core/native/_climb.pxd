from libc.stdint cimport int64_t

cdef extern from "climb.h" nogil:
    ctypedef struct climb_space:
        int64_t p, m
        const int64_t *rows
        const double *scale
        const double *low
        const double *high

    ctypedef struct climb_state:
        double *z
        double *g
        double *h
        double *known
        double *value
        double *length
        double *gain

    void climb_propose(const climb_space *space, const climb_state *state, double *scratch,
                       double *x) noexcept
    void climb_accept(const climb_space *space, const climb_state *state, const double *x,
                      const double *value, const double *slope, double *scratch) noexcept
