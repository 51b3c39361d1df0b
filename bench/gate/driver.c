/* The hot kernels and whole suggestions, for callgrind to count the instructions of. No interpreter, no clock.
 *
 * Every case dumps its counts under its name; the preparation is not instrumented. A new case is a function and a
 * line of CASES. */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

#include "improvement.h"
#include "model.h"
#include "normal.h"
#include "philox.h"
#include "process.h"
#include "simd.h"
#include "solve.h"
#include "sobol.h"

enum { N = 512, ASKS = 8, CANDIDATES = 24, POOL = 512, BATCH = 16, DRAWS = 256 };

static gate_space space;
static gate_model small, large, batch, mixture, line;
static gate_process process;
static double *u, *z, *low, *high, *out, *points, *scratch;
static uint32_t *directions;

static void exps(void) { vector_exp(low, N, out); }
static void logs(void) { vector_log(u, N, out); }
static void ndtr(void) { normal_ndtr(z, N, out); }
static void log_ndtr(void) { normal_log_ndtr(z, N, out); }
static void ndtri(void) { normal_ndtri(u, N, out); }
static void log_mass(void) { normal_log_mass(low, high, N, out); }
static void truncated(void) { normal_truncated(u, low, high, N, out); }
static void philox(void) { philox_of_trial(1, 2, 3, N, out); }

static void random_draws(void) { domain_random(&space.domain, 1, 0, 0, points, DRAWS, DRAWS); }
static void sobol_draws(void) { domain_sobol(&space.domain, directions, 1, 1, points, DRAWS, DRAWS); }
static void settle(void) { domain_settle(&space.domain, points, DRAWS, DRAWS); }
static void keys(void) { domain_keys(&space.domain, points, DRAWS, DRAWS, (uint64_t *)out); }

static void rebuild(void)
{
    parzen_rebuild(mixture.groups[0].above, &space.domain, 0.03);
}

static void splice(void)
{
    for (int64_t k = 1; k <= 8; k++) {
        parzen_remove(mixture.groups[0].above, &space.domain, k, 0.03);
        parzen_insert(mixture.groups[0].above, &space.domain, k, 0.03);
    }
}

static void density(void)
{
    parzen_log_density(mixture.groups[0].above, points, DRAWS, 0, mixture.groups[0].above->size, out, NULL);
}

/* One column: the exps and their sum weigh most. */
static void density_of_a_line(void)
{
    parzen_log_density(line.groups[0].above, points, DRAWS, 0, line.groups[0].above->size, out, NULL);
}

static void correlations(void)
{
    covariance_matrix(&process.kernel, &process.points, 0, GATE_POINTS, process.out, GATE_POINTS);
}

static void cross_correlations(void)
{
    covariance_cross(&process.kernel, &process.points, &process.others, 0, GATE_OTHERS, process.out, GATE_OTHERS);
}

static void cross_means(void)
{
    covariance_cross_mean(&process.kernel, &process.points, process.weight, 2, &process.others, 0, GATE_OTHERS,
                          process.out);
}

static void slopes(void)
{
    double *by_correlation = process.out + GATE_PARAMETERS * GATE_POINTS;
    covariance_slopes(&process.kernel, &process.points, process.weight, GATE_OTHERS, 0, GATE_POINTS, process.out,
                      by_correlation);
}

static void cross_slopes(void)
{
    covariance_cross_slopes(&process.kernel, &process.points, &process.others, process.weight, GATE_OTHERS, 0,
                            GATE_OTHERS, process.out);
}

static void log_ei(void) { improvement_log_ei(process.mean, process.sd, 0.0, GATE_OTHERS, process.out); }

static void log_ei_slopes(void)
{
    double *by_mean = process.out + GATE_OTHERS, *by_sd = by_mean + GATE_OTHERS;
    improvement_log_ei_slopes(process.mean, process.sd, 0.0, GATE_OTHERS, process.out, by_mean, by_sd);
}

/* Few right-hand sides, as an ask has, then many. */
static void solves(int transposed)
{
    double *b = process.out;
    solve_lower(process.lower, GATE_POINTS, GATE_POINTS, b, GATE_OTHERS, 1, transposed, scratch);
    solve_lower(process.lower, GATE_POINTS, GATE_POINTS, b, GATE_OTHERS, GATE_OTHERS, transposed, scratch);
}

static void solve(void) { solves(0); }
static void solve_transposed(void) { solves(1); }

/* tell and ask, ASKS times. */
static void cycle(gate_model *m, int64_t n)
{
    for (int64_t i = 0; i < ASKS; i++) {
        gate_observe(m, &space, n + i, 1);
        gate_ask(m, &space, (uint64_t)(n + i), CANDIDATES, 1, CANDIDATES);
    }
}

static void ask_at_1000(void) { cycle(&small, 1000); }
static void ask_at_10000(void) { cycle(&large, 10000); }
static void ask_batch(void) { gate_ask(&batch, &space, 1000, POOL, BATCH, CANDIDATES); }

/* Leaves the mixture its first column. */
static void narrow(parzen_mixture *p)
{
    p->n_num = 1;
    p->n_cat = 0;
    for (int64_t k = 1; k < p->size; k++) {
        parzen_place(p, k, space.x, space.n, k);
    }
    parzen_rebuild(p, &space.domain, 0.03);
}

/* Candidates of the flat space as rows of parzen_log_density: the parameters are in the mixture's order. */
static void prepare(void)
{
    gate_space_make(&space, 10000 + ASKS);
    u = gate_doubles(N), z = gate_doubles(N), low = gate_doubles(N), high = gate_doubles(N), out = gate_doubles(N);
    points = gate_doubles(space.domain.d * DRAWS);
    scratch = aligned_alloc(64, sizeof *scratch * (size_t)(GATE_POINTS * solve_scratch(GATE_OTHERS)));
    directions = calloc((size_t)(32 * space.domain.d), sizeof *directions);
    for (int64_t i = 0; i < 32 * space.domain.d; i++) {
        directions[i] = (uint32_t)1 << (31 - i % 32); /* van der Corput in each: the work is that of any table */
    }
    for (int64_t i = 0; i < N; i++) {
        u[i] = philox_u01(0, 0, (uint64_t)i);
        z[i] = 20.0 * philox_u01(0, 1, (uint64_t)i) - 10.0;
        low[i] = -5.0 * philox_u01(0, 2, (uint64_t)i);
        high[i] = 5.0 * philox_u01(0, 3, (uint64_t)i);
    }
    domain_random(&space.domain, 5, 0, 0, points, DRAWS, DRAWS);
    gate_model_make(&small, &space, 1000, CANDIDATES);
    gate_model_make(&large, &space, 10000, CANDIDATES);
    gate_model_make(&batch, &space, 1000, POOL);
    gate_model_make(&mixture, &space, 1000, CANDIDATES);
    gate_model_make(&line, &space, 1000, CANDIDATES);
    narrow(line.groups[0].above);
    gate_process_make(&process, &space);
}

typedef struct {
    const char *name;
    void (*run)(void);
} gate_case;

#define CASE(f) {#f, f}
static const gate_case CASES[] = {
    CASE(exps), CASE(logs), CASE(ndtr), CASE(log_ndtr), CASE(ndtri), CASE(log_mass), CASE(truncated), CASE(philox),
    CASE(random_draws), CASE(sobol_draws), CASE(settle), CASE(keys),
    CASE(rebuild), CASE(splice), CASE(density), CASE(density_of_a_line),
    CASE(correlations), CASE(cross_correlations), CASE(cross_means), CASE(slopes), CASE(cross_slopes),
    CASE(log_ei), CASE(log_ei_slopes), CASE(solve), CASE(solve_transposed),
    CASE(ask_at_1000), CASE(ask_at_10000), CASE(ask_batch),
};

int main(void)
{
    static const char *const LEVELS[] = {"baseline", "x86-64-v3", "x86-64-v4"};
    hpo_simd_init();
    prepare();
    CALLGRIND_START_INSTRUMENTATION;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CALLGRIND_ZERO_STATS;
        CASES[i].run();
        CALLGRIND_DUMP_STATS_AT(CASES[i].name);
    }
    puts(LEVELS[hpo_simd_level]);
    return 0;
}
