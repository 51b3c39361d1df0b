/* What one core can do, at each SIMD level it has: one JSON line a level, everything per second.
 *
 * Multiply-adds, exps, logs and uniforms in the first cache; bytes read and written of sets that fit in the first
 * cache, in the second, and in neither. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHAINS = 12 }; /* independent accumulators: latency 4 times 2 units, with some to spare */

#define HPO_KERNELS "rates_kernels.h"
#include "simd_targets.h"

static HPO_DISPATCH(double, chains, (int64_t iterations), (iterations))
static HPO_DISPATCH(double, lanes, (int64_t unused), (unused))
static HPO_DISPATCH(double, exps, (const double *x, int64_t n), (x, n))
static HPO_DISPATCH(double, logs, (const double *x, int64_t n), (x, n))
static HPO_DISPATCH(double, uniforms, (double *out, int64_t n), (out, n))
static HPO_DISPATCH(double, stream, (const double *x, int64_t n, double *out), (x, n, out))

enum { N = 1024, FEW = 1 << 10, SOME = 1 << 15, MANY = 1 << 22, REPEATS = 15 };

static double negative[N], positive[N], room[N], *far_in, *far_out;
static volatile double sink; /* keeps the work from being dropped */

static double run_chains(int64_t n) { return chains(n); }
static double run_exps(int64_t n) { return n ? exps(negative, N) : 0.0; }
static double run_logs(int64_t n) { return n ? logs(positive, N) : 0.0; }
static double run_uniforms(int64_t n) { return n ? uniforms(room, N) : 0.0; }
static double run_stream(int64_t n) { return stream(far_in, n, far_out); }

/* The thread's own clock: it stands still while others run. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Least seconds of a call among several samples: the others were disturbed. */
static double least(double (*run)(int64_t), int64_t n, int calls)
{
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        const double start = now();
        for (int i = 0; i < calls; i++)
            sink += run(n);
        const double seconds = (now() - start) / calls;
        best = seconds < best ? seconds : best;
    }
    return best;
}

static double bytes_per_second(int64_t n, int calls) { return 16.0 * (double)n / least(run_stream, n, calls); }

int main(void)
{
    far_in = calloc(MANY, sizeof(double));
    far_out = calloc(MANY, sizeof(double));
    for (int i = 0; i < N; i++) {
        negative[i] = -40.0 * i / N;
        positive[i] = 1e-3 + i;
    }
    for (int level = 0; level <= hpo_simd_best(); level++) {
        const int64_t iterations = 100000;
        hpo_simd_set(level);
        const double width = lanes(0);
        printf("{\"level\": %d, \"lanes\": %.0f, \"fma\": %.4g", level, width,
               CHAINS * width * (double)iterations / least(run_chains, iterations, 1));
        printf(", \"exp\": %.4g", N / least(run_exps, 1, 500));
        printf(", \"log\": %.4g", N / least(run_logs, 1, 500));
        printf(", \"uniform\": %.4g", N / least(run_uniforms, 1, 500));
        printf(", \"bytes_near\": %.4g", bytes_per_second(FEW, 1000));
        printf(", \"bytes_middle\": %.4g", bytes_per_second(SOME, 50));
        printf(", \"bytes_far\": %.4g}\n", bytes_per_second(MANY, 1));
    }
    return 0;
}
