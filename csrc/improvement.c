#include "improvement.h"

#include <float.h>
#include <math.h>

#define HPO_KERNELS "improvement_kernels.h"
#include "simd_targets.h"

HPO_DISPATCH(void, improvement_ei, (const double *mean, const double *sd, double best, int64_t m, double *out),
             (mean, sd, best, m, out))
HPO_DISPATCH(void, improvement_log_ei, (const double *mean, const double *sd, double best, int64_t m, double *out),
             (mean, sd, best, m, out))
HPO_DISPATCH(void, improvement_ei_slopes,
             (const double *mean, const double *sd, double best, int64_t m, double *out, double *by_mean,
              double *by_sd),
             (mean, sd, best, m, out, by_mean, by_sd))
HPO_DISPATCH(void, improvement_log_ei_slopes,
             (const double *mean, const double *sd, double best, int64_t m, double *out, double *by_mean,
              double *by_sd),
             (mean, sd, best, m, out, by_mean, by_sd))
HPO_DISPATCH(void, improvement_log_ei_average,
             (const double *mean, const double *sd, const double *best, int64_t k, int64_t m, double *out),
             (mean, sd, best, k, m, out))
