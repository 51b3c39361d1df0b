"""Thin door to csrc/climb.c; hpo_core.native.climb checks and allocates."""

from libc.stdint cimport int64_t


cdef climb_space space_of(const int64_t[::1] rows, const double[:, ::1] box, const double[:, ::1] x) except *:
    cdef climb_space space
    cdef int64_t p = rows.shape[0], i
    if not (p > 0 and box.shape[0] == 3 and box.shape[1] == p):
        raise ValueError("rows is (p), box is (3, p), p >= 1")
    for i in range(p):
        if not 0 <= rows[i] < x.shape[0]:
            raise ValueError("rows are rows of x")
    space.p, space.m, space.rows = p, x.shape[1], &rows[0]
    space.scale, space.low, space.high = &box[0, 0], &box[1, 0], &box[2, 0]
    return space


cdef climb_state state_of(double[:, ::1] z, double[:, ::1] g, double[:, :, ::1] h, double[:, ::1] state,
                          double[:, ::1] scratch, int64_t p, int64_t m) except *:
    cdef climb_state each
    if not (z.shape[0] == g.shape[0] == h.shape[0] == state.shape[1] == m and state.shape[0] == 4):
        raise ValueError("z and g are (m, p), h is (m, p, p), state is (4, m)")
    if not z.shape[1] == g.shape[1] == h.shape[1] == h.shape[2] == p:
        raise ValueError("z and g are (m, p), h is (m, p, p)")
    if not (scratch.shape[0] >= 3 and scratch.shape[1] == p):
        raise ValueError("scratch is (3, p)")
    each.z, each.g, each.h = &z[0, 0], &g[0, 0], &h[0, 0, 0]
    each.known, each.value, each.length, each.gain = &state[0, 0], &state[1, 0], &state[2, 0], &state[3, 0]
    return each


def propose(const int64_t[::1] rows, const double[:, ::1] box, double[:, ::1] z, double[:, ::1] g,
            double[:, :, ::1] h, double[:, ::1] state, double[:, ::1] scratch, double[:, ::1] x):
    cdef climb_space space = space_of(rows, box, x)
    if not space.m:
        return
    cdef climb_state each = state_of(z, g, h, state, scratch, space.p, space.m)
    with nogil:
        climb_propose(&space, &each, &scratch[0, 0], &x[0, 0])


def accept(const int64_t[::1] rows, const double[:, ::1] box, double[:, ::1] z, double[:, ::1] g,
           double[:, :, ::1] h, double[:, ::1] state, double[:, ::1] scratch, const double[:, ::1] x,
           const double[::1] value, const double[:, ::1] slope):
    cdef climb_space space = space_of(rows, box, x)
    if not space.m:
        return
    cdef climb_state each = state_of(z, g, h, state, scratch, space.p, space.m)
    if not (value.shape[0] == space.m and slope.shape[0] == x.shape[0] and slope.shape[1] == space.m):
        raise ValueError("value is (m), slope is (d, m)")
    with nogil:
        climb_accept(&space, &each, &x[0, 0], &value[0], &slope[0, 0], &scratch[0, 0])
