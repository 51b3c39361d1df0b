/* Scrambled Sobol points; any point directly from its number.
 *
 * directions   (min(d, HPO_SOBOL_DIMENSIONS), 32): bit k of a point's number turns on directions[.][k],
 *              the most significant bit first
 * seed, i      key of the scrambling: each dimension is scrambled on its own
 *
 * Points follow the Gray-code order. Each dimension gets a nested uniform (Owen) scramble, which keeps
 * the net: of the first 2^k points one lies in each cell of width 2^-k of a dimension. Parameters past
 * the table use it again, in another order of points: a nested uniform shuffle of the number per
 * repetition. Numbers are taken modulo 2^32.
 *
 * Joe and Kuo (2008), Constructing Sobol sequences with better two-dimensional projections. SIAM J. Sci.
 * Comput. 30.  Laine and Karras (2011), Stratified sampling for stochastic transparency. CGF 30.
 * Burley (2020), Practical hash-based Owen scrambling. JCGT 9(4).
 * Vegdahl (2021), Building a better LK hash. psychopath.io.
 */
#ifndef HPO_SOBOL_H
#define HPO_SOBOL_H

#include "domain.h"

#define HPO_SOBOL_DIMENSIONS 256

/* Coordinates in (0, 1) of dimension i of points start .. start + m - 1. */
void sobol_row(const uint32_t *directions, uint64_t seed, int64_t i, uint64_t start, int64_t m, double *u);

/* The same through the prior transform, settled; point 0 is the default configuration. */
void domain_sobol(const hpo_domain *dom, const uint32_t *directions, uint64_t seed, uint64_t start, double *x,
                  ptrdiff_t stride, int64_t m);

#endif
