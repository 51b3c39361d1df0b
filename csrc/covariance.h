/* Matern-5/2 correlations of mixed and conditional points, and their gradients.
 *
 * symbol  name here     shape    meaning
 * d       n_columns     -        columns, one per parameter: group by group, in each numbers before categories
 * G       n_groups      -        groups of parameters that are active together; group 0 always is
 * 1/l     inverse       (d)      inverse lengthscale of each column
 * c       correlation   (G)      k_g of a point where g is active and one where it is not
 * z       z, rows       (d, n), (n, d)   x / l of a number, the index of a category, 0 where inactive; twice,
 *                                since one argument's points lie across the lanes and the other's are broadcast
 *         active        (G, n)   1 or 0
 *
 * k(x, x') = prod_g k_g, where k_0 = M(r_0) and, for g > 0,
 *
 *   k_g = c^2 + (1 - c^2) M(r_g) active in both, c in one, 1 in neither
 *   M(r) = (1 + s + s^2/3) exp(-s), s = sqrt(5) r
 *   r_g^2 = sum over its columns of (z - z')^2 for a number, 1/l^2 for categories that differ
 *   -2 dM / d(r^2) = 5/3 (1 + s) exp(-s), which is finite at r = 0 where dM/dr / r is not
 *
 * The product of the other groups is never a quotient: k_g may be 0. Distances are sums of squares of
 * differences. Through |z|^2 + |z'|^2 - 2 z z' points 1e-5 apart would keep 6 digits of r^2 instead of 11, and at
 * d = 20 BLAS's product takes 1.3 ns a pair where the differences take 1.6.
 *
 * Rasmussen & Williams 2006, eq. 4.17.
 */
#ifndef HPO_COVARIANCE_H
#define HPO_COVARIANCE_H

#include <stdint.h>

typedef struct {
    int64_t n_columns, n_groups;
    const int64_t *order;       /* (d) parameter of each column */
    const int64_t *group_start; /* (G + 1) group g owns columns group_start[g] .. group_start[g + 1] - 1 */
    const int64_t *n_numeric;   /* (G) how many of them, the leading ones, are numbers */
    const double *inverse;
    const double *correlation;
} covariance_kernel;

typedef struct {
    int64_t n;
    const double *z;
    const double *rows;
    const double *active;
} covariance_points;

/* Rows of a matrix are `stride` elements apart. Every function works on columns start..stop-1 of its outputs,
 * each of which depends on no other: ranges may be computed in any order, by any thread. They give 1, or 0 if memory is
 * short. */

/* Scales x (d, n) into z, rows and active; 0 if a part of a group, or of group 0, is NaN, else 1. */
int covariance_inputs(const covariance_kernel *kernel, const double *x, int64_t n, double *z, double *rows,
                      double *active);

/* The kernel matrix (n, n) from the diagonal down, and the rows that mirror these columns. */
int covariance_matrix(const covariance_kernel *kernel, const covariance_points *a, int64_t start, int64_t stop,
                       double *out, int64_t stride);

/* The kernel matrix (a.n, b.n). */
int covariance_cross(const covariance_kernel *kernel, const covariance_points *a, const covariance_points *b,
                      int64_t start, int64_t stop, double *out, int64_t stride);

/* weights (n_weights, a.n) times the kernel matrix: out (n_weights, b.n). */
int covariance_cross_mean(const covariance_kernel *kernel, const covariance_points *a, const double *weights,
                           int64_t n_weights, const covariance_points *b, int64_t start, int64_t stop, double *out);

/* f = sum_{i > j} W_ij K_ij: column j's part of df / d log l into by_lengthscale (d, n), a row per parameter, and
 * of df / dc into by_correlation (G, n). */
int covariance_slopes(const covariance_kernel *kernel, const covariance_points *a, const double *weight,
                      int64_t stride, int64_t start, int64_t stop, double *by_lengthscale, double *by_correlation);

/* sum_i W_ij dk(a_i, b_j) / db_j: out (d, b.n), a row per parameter, 0 for categories. */
int covariance_cross_slopes(const covariance_kernel *kernel, const covariance_points *a, const covariance_points *b,
                            const double *weight, int64_t stride, int64_t start, int64_t stop, double *out);

#endif
