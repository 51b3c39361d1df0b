/* The normal distribution over arrays: stable in both tails. n values each, output last.
 *
 * Beyond |x| = 37.6, where Q(x) < 1e-309, ndtr gives 0 or 1 and log_ndtr(x) 0; the logarithm of the lower
 * tail is accurate for every finite x whose square is finite.
 */
#ifndef HPO_NORMAL_H
#define HPO_NORMAL_H

#include <stdint.h>

/* Phi(x), log Phi(x) and exp(x^2) erfc(x). */
void normal_ndtr(const double *x, int64_t n, double *out);
void normal_log_ndtr(const double *x, int64_t n, double *out);
void normal_erfcx(const double *x, int64_t n, double *out);

/* log(Phi(b) - Phi(a)); -inf where a = b, NaN where a > b. */
void normal_log_mass(const double *a, const double *b, int64_t n, double *out);

/* x with Phi(x) = u; -inf at 0, inf at 1, NaN outside [0, 1]. */
void normal_ndtri(const double *u, int64_t n, double *out);

/* The u-quantile of a standard normal truncated to [a, b]. Requires a <= 0 <= b: the mode is inside. */
void normal_truncated(const double *u, const double *a, const double *b, int64_t n, double *out);

/* exp and log of simd_math.h as they are: what tests check and benchmarks compare with. */
void vector_exp(const double *x, int64_t n, double *out);
void vector_log(const double *x, int64_t n, double *out);

/* Uniforms in (0, 1), see philox.h: numbers start.. of one trial; number `index` of trials trial.. */
void philox_of_trial(uint64_t seed, uint64_t trial, uint64_t start, int64_t n, double *out);
void philox_of_index(uint64_t seed, uint64_t trial, uint64_t index, int64_t n, double *out);

#endif
