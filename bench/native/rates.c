/* Multiply-adds and exps per second of one core, at each SIMD level it has. One JSON line a level. */
#include <stdio.h>
#include <time.h>

enum { CHAINS = 12 }; /* independent accumulators: latency 4 times 2 units, with some to spare */

#define HPO_KERNELS "rates_kernels.h"
#include "simd_targets.h"

double chains(int64_t), lanes(int64_t), exps(const double *, int64_t);
HPO_DISPATCH(double, chains, (int64_t iterations), (iterations))
HPO_DISPATCH(double, lanes, (int64_t unused), (unused))
HPO_DISPATCH(double, exps, (const double *x, int64_t n), (x, n))

enum { N = 1024, REPEATS = 15 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void)
{
    static double x[N];
    volatile double sink = 0.0; /* keeps the work from being dropped */
    const int64_t iterations = 400000, passes = 2000;
    for (int i = 0; i < N; i++)
        x[i] = -40.0 * i / N;
    for (int level = 0; level <= hpo_simd_best(); level++) {
        double fma_seconds = 1e9, exp_seconds = 1e9;
        hpo_simd_set(level);
        for (int r = 0; r < REPEATS; r++) { /* the best of several: the others were disturbed */
            double start = now();
            sink += chains(iterations);
            double middle = now();
            for (int64_t p = 0; p < passes; p++)
                sink += exps(x, N);
            double end = now();
            fma_seconds = middle - start < fma_seconds ? middle - start : fma_seconds;
            exp_seconds = end - middle < exp_seconds ? end - middle : exp_seconds;
        }
        printf("{\"level\": %d, \"lanes\": %d, \"fma_per_second\": %.4g, \"exp_per_second\": %.4g}\n", level,
               (int)lanes(0), CHAINS * lanes(0) * (double)iterations / fma_seconds, N * (double)passes / exp_seconds);
    }
    return 0;
}
