#include "normal.h"

#define HPO_KERNELS "normal_kernels.h"
#include "simd_targets.h"

HPO_DISPATCH(void, normal_ndtr, (const double *x, int64_t n, double *out), (x, n, out))
HPO_DISPATCH(void, normal_log_ndtr, (const double *x, int64_t n, double *out), (x, n, out))
HPO_DISPATCH(void, normal_erfcx, (const double *x, int64_t n, double *out), (x, n, out))
HPO_DISPATCH(void, normal_ndtri, (const double *u, int64_t n, double *out), (u, n, out))
HPO_DISPATCH(void, normal_log_mass, (const double *a, const double *b, int64_t n, double *out), (a, b, n, out))
HPO_DISPATCH(void, normal_truncated, (const double *u, const double *a, const double *b, int64_t n, double *out),
             (u, a, b, n, out))
HPO_DISPATCH(void, vector_exp, (const double *x, int64_t n, double *out), (x, n, out))
HPO_DISPATCH(void, vector_log, (const double *x, int64_t n, double *out), (x, n, out))
HPO_DISPATCH(void, philox_of_trial, (uint64_t seed, uint64_t trial, uint64_t start, int64_t n, double *out),
             (seed, trial, start, n, out))
HPO_DISPATCH(void, philox_of_index, (uint64_t seed, uint64_t trial, uint64_t index, int64_t n, double *out),
             (seed, trial, index, n, out))
