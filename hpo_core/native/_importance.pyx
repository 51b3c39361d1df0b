"""Thin door to csrc/importance.c; hpo_core.native.importance checks and allocates."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t

cdef extern from "importance.h" nogil:
    ctypedef struct importance_grid:
        int64_t d
        const int64_t *cells
        const int64_t *start
        const double *edges
    void importance_divergences(const importance_grid *grid, const double *x, const uint8_t *chosen, int64_t n,
                                double *scratch, double *divergence, double *noise, int64_t *n_active,
                                int64_t *n_chosen) noexcept


def divergences(const int64_t[::1] cells, const int64_t[::1] start, const double[::1] edges,
                const double[:, ::1] x, const uint8_t[::1] chosen, double[:, ::1] divergences_out,
                int64_t[:, ::1] counts_out):
    cdef int64_t d = x.shape[0], n = x.shape[1]
    cdef importance_grid grid
    cdef double[::1] scratch
    if not (cells.shape[0] == start.shape[0] == divergences_out.shape[1] == counts_out.shape[1] == d
            and chosen.shape[0] == n and divergences_out.shape[0] == counts_out.shape[0] == 2):
        raise ValueError("arrays do not fit together")
    if not d or not n:
        return
    scratch = np.empty(7 * np.max(cells))
    grid.d, grid.cells, grid.start = d, &cells[0], &start[0]
    grid.edges = &edges[0] if edges.shape[0] else NULL
    with nogil:
        importance_divergences(&grid, &x[0, 0], &chosen[0], n, &scratch[0], &divergences_out[0, 0],
                               &divergences_out[1, 0], &counts_out[0, 0], &counts_out[1, 0])
