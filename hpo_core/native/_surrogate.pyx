"""What a Gaussian process is asked most often, in one call each: the fit's objective, and a climb of log EI.

At 50 data the pieces take 5 microseconds each, and as long again from Python. hpo_core.native.surrogate checks and
allocates; symbols and formulas are those of hpo_core.gp.fit, hpo_core.gp.posterior and csrc/climb.h.
"""

from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, M_PI, NAN, isnan, log, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from hpo_core.native._covariance cimport (
    Kernel, covariance_cross, covariance_cross_slopes, covariance_inputs, covariance_kernel, covariance_matrix,
    covariance_points, covariance_slopes,
)
from hpo_core.native._climb cimport climb_accept, climb_propose, climb_space, climb_state
from hpo_core.native._linalg cimport factorise, invert, solve_one


cdef extern from "simd.h" nogil:
    int hpo_simd_level
    int hpo_simd_set(int) noexcept
    void hpo_simd_init() noexcept

cdef extern from "solve.h" nogil:
    int SOLVE_EDGE
    int64_t solve_scratch(int64_t) noexcept
    double *solve_aligned(void *) noexcept
    void solve_lower(const double *l, int64_t ld, int64_t n, double *b, int64_t ldb, int64_t m,
                     int transposed, double *scratch) noexcept

cdef extern from "improvement.h" nogil:
    void improvement_log_ei_slopes(const double *mean, const double *sd, double best, int64_t m, double *out,
                                   double *by_mean, double *by_sd) noexcept

hpo_simd_init()


def _simd_level():
    return hpo_simd_level


def _set_simd_level(int level):
    return hpo_simd_set(level)


cdef double dot(const double *a, const double *b, int64_t n) noexcept nogil:
    cdef double sum = 0.0
    cdef int64_t i
    for i in range(n):
        sum += a[i] * b[i]
    return sum


cdef double weigh(double *c, const double *y, int64_t n, double *room) noexcept nogil:
    """Turn C into the lower triangle of W; the value without priors. Infinity if C has no factor. room: (2, n)."""
    cdef double *rest = room
    cdef double *one = room + n
    cdef double above, s2, value = 0.0
    cdef int64_t i, j
    if factorise(c, <int>n, <int>n):
        return INFINITY
    for i in range(n):
        rest[i], one[i] = y[i], 1.0
        value += log(c[i * n + i])
    solve_one(c, <int>n, <int>n, rest, False)
    solve_one(c, <int>n, <int>n, one, False)
    above = dot(one, rest, n) / dot(one, one, n)
    for i in range(n):
        rest[i] -= above * one[i]
    s2 = dot(rest, rest, n) / n
    value += 0.5 * n * (log(2.0 * M_PI * s2) + 1.0)
    solve_one(c, <int>n, <int>n, rest, True)
    invert(c, <int>n, <int>n)
    for i in range(n):
        above = rest[i] / s2
        for j in range(i + 1):
            c[i * n + j] -= above * rest[j]
    return value


def objective(Kernel kernel, const double[:, ::1] x, const double[::1] y, double noise, double[:, ::1] w_out,
              double[::1] gradient_out):
    cdef int64_t d = kernel.c.n_columns, groups = kernel.c.n_groups, n = y.shape[0], i, j
    if not (n and x.shape[0] == d and x.shape[1] == w_out.shape[0] == w_out.shape[1] == n):
        raise ValueError("x is (d, n), y is (n), w is (n, n), n >= 1")
    if gradient_out.shape[0] != d + groups + 1:
        raise ValueError("gradient is (d + G + 1)")
    cdef double *room = <double *>malloc((3 * d + 2 * groups + 2) * n * sizeof(double))
    if room == NULL:
        raise MemoryError
    cdef double *w = &w_out[0, 0]
    cdef double *active = room + 2 * d * n
    cdef double *by = active + groups * n
    cdef covariance_points a = covariance_points(n=n, z=room, rows=room + d * n, active=active)
    cdef double value = NAN
    cdef int done = 1
    with nogil:
        if covariance_inputs(&kernel.c, &x[0, 0] if d else NULL, n, room, room + d * n, active):
            done = covariance_matrix(&kernel.c, &a, 0, n, w, n)
            for i in range(n):
                w[i * (n + 1)] += noise
            value = weigh(w, &y[0], n, by + (d + groups) * n) if done else NAN
            if done and value < INFINITY:
                done = covariance_slopes(&kernel.c, &a, w, n, 0, n, by, by + d * n)
                for i in range(d + groups):
                    gradient_out[i] = 0.0
                    for j in range(n):
                        gradient_out[i] += by[i * n + j]
                gradient_out[d + groups] = 0.0
                for i in range(n):
                    gradient_out[d + groups] += 0.5 * noise * w[i * (n + 1)]
    free(room)
    if not done:
        raise MemoryError
    return value


cdef struct model:
    const covariance_kernel *kernel
    covariance_points data
    const double *factor
    int64_t ld
    const double *alpha
    double mean, s2, best


cdef struct place:  # room for the evaluation of m points
    int64_t m
    double *z        # (d, m), (m, d), (G, m): the points as the kernel takes them
    double *columns  # (n, m)
    const double *doubt  # (m,) factor on the variance
    double *numbers  # (5, m) value, mean, sd and the slopes by them
    double *slope    # (d, m)
    double *solve


cdef int evaluate(const model *of, const double *x, const place *at) noexcept nogil:
    """Log EI and its slopes at x (d, m); 0 if memory is short."""
    cdef int64_t n = of.data.n, m = at.m, d = of.kernel.n_columns, i, j
    cdef covariance_points b = covariance_points(n=m, z=at.z, rows=at.z + d * m, active=at.z + 2 * d * m)
    cdef double *value = at.numbers
    cdef double *mean = value + m
    cdef double *sd = mean + m
    cdef double *by_mean = sd + m
    cdef double *by_sd = by_mean + m
    cdef double *row
    covariance_inputs(of.kernel, x, m, at.z, at.z + d * m, at.z + 2 * d * m)
    if not covariance_cross(of.kernel, &of.data, &b, 0, m, at.columns, m):
        return 0
    for j in range(m):
        mean[j], sd[j] = of.mean, 1.0
    for i in range(n):
        row = at.columns + i * m
        for j in range(m):
            mean[j] += of.alpha[i] * row[j]
    solve_lower(of.factor, of.ld, n, at.columns, m, m, 0, at.solve)
    for i in range(n):
        row = at.columns + i * m
        for j in range(m):
            sd[j] -= row[j] * row[j]
    for j in range(m):
        sd[j] = sqrt(of.s2 * at.doubt[j] * sd[j]) if sd[j] > 0.0 else 0.0
    improvement_log_ei_slopes(mean, sd, of.best, m, value, by_mean, by_sd)
    for j in range(m):
        by_sd[j] *= -of.s2 * at.doubt[j] / max(sd[j], DBL_MIN)  # -2 s2 times the slope by the variance
    for i in range(n):
        row = at.columns + i * m
        for j in range(m):
            row[j] *= by_sd[j]
    solve_lower(of.factor, of.ld, n, at.columns, m, m, 1, at.solve)
    for i in range(n):
        row = at.columns + i * m
        for j in range(m):
            row[j] += of.alpha[i] * by_mean[j]
    return covariance_cross_slopes(of.kernel, &of.data, &b, at.columns, m, 0, m, at.slope)


cdef void begin(const climb_space *space, const climb_state *state, const double *x, const double *value,
                const double *slope) noexcept nogil:
    cdef int64_t i, j, k, p = space.p, m = space.m, at
    for j in range(m):
        state.known[j], state.value[j], state.length[j], state.gain[j] = 0.0, value[j], 1.0, 0.0
        for i in range(p):
            at = space.rows[i] * m + j
            state.z[j * p + i] = x[at]
            state.g[j * p + i] = 0.0 if isnan(x[at]) else slope[at] * space.scale[i]
            for k in range(p):
                state.h[(j * p + i) * p + k] = i == k


cdef int ascend(const model *of, const climb_space *space, const climb_state *state, const place *at, double *tried,
                double *scratch, int64_t max_steps, double tolerance, double *x) noexcept nogil:
    """Climb from x (d, m), which becomes the ends; 0 if memory is short. A start that has ended is moved no more."""
    cdef int64_t p = space.p, m = space.m, i, j, step, left = m
    memcpy(tried, x, of.kernel.n_columns * m * sizeof(double))
    if not evaluate(of, x, at):
        return 0
    begin(space, state, x, at.numbers, at.slope)
    for j in range(m):
        scratch[3 * p + j] = 1.0  # whether it climbs
    for step in range(max_steps):
        climb_propose(space, state, scratch, tried)
        if not evaluate(of, tried, at):
            return 0
        climb_accept(space, state, tried, at.numbers, at.slope, scratch)
        for j in range(m):
            if scratch[3 * p + j] == 0.0:
                continue
            for i in range(p):
                x[space.rows[i] * m + j] = state.z[j * p + i]
            if not state.gain[j] > tolerance:
                scratch[3 * p + j] = 0.0
                left -= 1
        if not left:
            break
    return 1


def climb_log_ei(Kernel kernel, const double[:, ::1] rows, const double[:, ::1] active, const double[:, :] factor,
                 const double[::1] alpha, double mean, double s2, double best, const double[::1] doubt,
                 const int64_t[::1] moved, const double[:, ::1] box, int64_t max_steps, double tolerance, double[:, ::1] x):
    cdef int64_t d = kernel.c.n_columns, groups = kernel.c.n_groups, n = alpha.shape[0], m = x.shape[1], i
    cdef int64_t p = moved.shape[0]
    if not (n and m and p and x.shape[0] == rows.shape[1] == d and active.shape[0] == groups and doubt.shape[0] == m):
        raise ValueError("x is (d, m), rows is (n, d), active is (G, n), doubt is (m); n, m and p >= 1")
    if not (rows.shape[0] == active.shape[1] == factor.shape[0] == factor.shape[1] == n):
        raise ValueError("rows is (n, d), active is (G, n), factor is (n, n), alpha is (n)")
    if not (box.shape[0] == 3 and box.shape[1] == p) or (n > 1 and factor.strides[1] != sizeof(double)):
        raise ValueError("box is (3, p); the rows of factor are contiguous")
    for i in range(p):
        if not 0 <= moved[i] < d:
            raise ValueError("moved are rows of x")
    cdef model of = model(
        kernel=&kernel.c, data=covariance_points(n=n, z=NULL, rows=&rows[0, 0], active=&active[0, 0]),
        factor=&factor[0, 0], ld=factor.strides[0] // <int64_t>sizeof(double), alpha=&alpha[0], mean=mean, s2=s2,
        best=best,
    )
    cdef climb_space space = climb_space(
        p=p, m=m, rows=&moved[0], scale=&box[0, 0], low=&box[1, 0], high=&box[2, 0]
    )
    cdef int64_t size = (4 * d + groups + n + 9 + p * (p + 2) + 1) * m + 3 * p
    cdef double *room = <double *>malloc(size * sizeof(double))
    cdef void *solve = malloc(n * solve_scratch(m) * sizeof(double) + SOLVE_EDGE)
    cdef place at
    cdef climb_state state
    cdef int done = 0
    if room != NULL and solve != NULL:
        at.m, at.solve, at.z, at.doubt = m, solve_aligned(solve), room, &doubt[0]
        at.columns = at.z + (2 * d + groups) * m
        at.numbers = at.columns + n * m
        at.slope = at.numbers + 5 * m
        state.z = at.slope + d * m
        state.g = state.z + p * m
        state.h = state.g + p * m
        state.known = state.h + p * p * m
        state.value = state.known + m
        state.length = state.value + m
        state.gain = state.length + m
        with nogil:
            done = ascend(&of, &space, &state, &at, state.gain + m, state.gain + (d + 1) * m, max_steps, tolerance,
                          &x[0, 0])
    free(room)
    free(solve)
    if not done:
        raise MemoryError
