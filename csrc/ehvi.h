/* Expected hypervolume improvement of independent normal predictions over a front; less is better.
 *
 * m, k, p      objectives, boxes, candidates
 * mean, sd     (m, p) of the predictions; sd = 0 is a value that is known exactly
 * lower, upper (m, k) disjoint boxes that cover what lies below the reference and is dominated by no point of
 *              the front; lower may be -inf
 *
 * A box that ends below at l and above at u gains, in expectation, the product over the objectives of
 *     Psi(u) - Psi(l),   Psi(a) = E max(a - Y, 0), the expected improvement below a,   Psi(-inf) = 0.
 * EHVI is the sum over the boxes. (Yang, Emmerich, Deutz, Baeck 2019, Efficient computation of expected
 * hypervolume improvement using box decomposition algorithms, J. Global Optimization 75.)
 */
#ifndef HPO_EHVI_H
#define HPO_EHVI_H

#include <stdint.h>

/* Cuts what lies below reference (m) and is not dominated by the front (m, n) into boxes, m <= 3: into rows of
 * lower and upper (m, 2 n + 1), of which it fills the first entries. Returns their number. The points lie below the
 * reference; of three objectives they ascend in the third. columns: scratch (3, n + 1). */
int64_t ehvi_boxes(const double *front, const double *reference, int64_t m, int64_t n, double *columns, double *lower,
                   double *upper);

/* The boxes by their bounds, of which they share many: objective j has n_bounds[j] of them, ascending in its row of
 * bounds (m, 2 k). */
typedef struct {
    int64_t m, k;
    double *bounds;
    int64_t *n_bounds;
    int64_t *lower, *upper; /* (m, k) places in bounds; -1 for -inf */
} ehvi_region;

void ehvi_index(const double *lower, const double *upper, ehvi_region *region);

/* log EHVI of the candidates [start, stop), and its derivatives with respect to mean and sd, (m, p). scratch:
 * (k (2 m + 11) + 1, HPO_MAX_LANES). */
void ehvi_log(const ehvi_region *region, const double *mean, const double *sd, int64_t p, int64_t start, int64_t stop,
              double *scratch, double *out);
void ehvi_log_slopes(const ehvi_region *region, const double *mean, const double *sd, int64_t p, int64_t start,
                     int64_t stop, double *scratch, double *out, double *by_mean, double *by_sd);

#endif
