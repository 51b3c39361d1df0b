/* Expected improvement of normal predictions below a best value; smaller is better.
 *
 * EI = sd h(z), z = (best - mean) / sd, h(z) = phi(z) + z Phi(z). Arrays of m values. Where sd = 0 EI is
 * max(best - mean, 0), and slopes are 0 where that is 0. NaN in, or sd < 0, gives NaN.
 */
#ifndef HPO_IMPROVEMENT_H
#define HPO_IMPROVEMENT_H

#include <stdint.h>

void improvement_ei(const double *mean, const double *sd, double best, int64_t m, double *out);
void improvement_log_ei(const double *mean, const double *sd, double best, int64_t m, double *out);

/* The value and its derivatives with respect to mean and sd. */
void improvement_ei_slopes(const double *mean, const double *sd, double best, int64_t m, double *out,
                           double *by_mean, double *by_sd);
void improvement_log_ei_slopes(const double *mean, const double *sd, double best, int64_t m, double *out,
                               double *by_mean, double *by_sd);

/* log of the average of EI over the k rows of mean (k, m), each with its own best (k). */
void improvement_log_ei_average(const double *mean, const double *sd, const double *best, int64_t k, int64_t m,
                                double *out);

#endif
