#include "process.h"

#include <stdlib.h>

#include "philox.h"

/* Columns of group 0: numbers, then categories; then those of the conditional group. */
static const int64_t ORDER[GATE_PARAMETERS] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                               11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21};
static const int64_t GROUP_START[] = {0, GATE_FLAT, GATE_PARAMETERS}, NUMERIC[] = {16, 2};

static covariance_points points_make(const covariance_kernel *kernel, const gate_space *space, int64_t start, int64_t n)
{
    double *x = gate_doubles(GATE_PARAMETERS * n), *z = gate_doubles(GATE_PARAMETERS * n);
    double *rows = gate_doubles(GATE_PARAMETERS * n), *active = gate_doubles(2 * n);
    domain_random(&space->domain, 9, 0, start, x, n, n);
    if (!covariance_inputs(kernel, x, n, z, rows, active)) {
        abort();
    }
    return (covariance_points){.n = n, .z = z, .rows = rows, .active = active};
}

void gate_process_make(gate_process *process, const gate_space *space)
{
    double *inverse = gate_doubles(GATE_PARAMETERS), *correlation = gate_doubles(2);
    for (int64_t i = 0; i < GATE_PARAMETERS; i++) {
        inverse[i] = 0.2 + 0.01 * (double)i;
    }
    correlation[1] = 0.5;
    process->kernel = (covariance_kernel){
        .n_columns = GATE_PARAMETERS, .n_groups = 2, .order = ORDER, .group_start = GROUP_START,
        .n_numeric = NUMERIC, .inverse = inverse, .correlation = correlation,
    };
    process->points = points_make(&process->kernel, space, 0, GATE_POINTS);
    process->others = points_make(&process->kernel, space, GATE_POINTS, GATE_OTHERS);
    process->weight = gate_doubles(GATE_POINTS * GATE_OTHERS);
    process->out = gate_doubles((GATE_PARAMETERS + GATE_POINTS) * GATE_OTHERS);
    process->mean = gate_doubles(GATE_OTHERS);
    process->sd = gate_doubles(GATE_OTHERS);
    for (int64_t i = 0; i < GATE_POINTS * GATE_OTHERS; i++) {
        process->weight[i] = philox_u01(10, 0, (uint64_t)i) - 0.5;
    }
    process->lower = gate_doubles(GATE_POINTS * GATE_POINTS);
    for (int64_t i = 0; i < GATE_POINTS * GATE_POINTS; i++) {
        process->lower[i] = i % (GATE_POINTS + 1) ? 0.01 * process->weight[i] : 1.0;
    }
    for (int64_t i = 0; i < GATE_OTHERS; i++) {
        process->mean[i] = 4.0 * philox_u01(10, 1, (uint64_t)i) - 2.0;
        process->sd[i] = 0.1 + philox_u01(10, 2, (uint64_t)i);
    }
}
