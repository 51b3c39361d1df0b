/* Kernels of improvement.c, once per target.
 *
 * t = |z|, R = Q / phi the Mills ratio, D(t) = -R'(t) = 1 - t R(t), so that
 *     z < 0:   EI = phi(t) sd D(t),            Phi(z) = phi(t) R(t)
 *     z >= 0:  EI = best - mean + sd phi D,    Phi(z) = 1 - phi R
 * R and D are each one polynomial for all t >= 0: no branches to join, and no difference of nearly equal
 * numbers is left in. For z < 0 the factor phi = exp(exponent) is taken out, which keeps every quotient exact
 * however far out; the exponent is 0 elsewhere. (Ament et al. 2023, arXiv:2310.20708, on why log EI.)
 */

#ifndef HPO_IMPROVEMENT_LIMITS
#define HPO_IMPROVEMENT_LIMITS

/* Beyond this z^2 overflows in what follows: log EI saturates at -5e149. */
#define FARTHEST 1e75
/* What a larger sd counts as: inf * 0 would be NaN. */
#define WIDEST 1e300

#endif

/* What all functions start from: everything but the exponent is divided by exp(exponent). */
typedef struct {
    vd exponent, value, below, density; /* ., EI, Phi(z), phi(z) */
} HPO_NAME(improvement);

#define improvement_v HPO_NAME(improvement)

/* slopes is a constant of the caller: without it below and density are not computed. */
HPO_INLINE improvement_v HPO_NAME(improvement_parts)(vd mean, vd sd, vd best, int slopes)
{
    const vd zero = vset(0.0);
    vi valid = (mean == mean) & (best == best) & (sd >= 0.0);
    sd = vmin(sd, vset(WIDEST));
    vd diff = vselect(mean == best, zero, best - mean); /* inf - inf would be NaN */
    vi lower = (diff < 0.0) & (sd > 0.0);
    vd t = vmin(vabs(diff) / sd, vset(FARTHEST)); /* NaN, 0 / 0, becomes FARTHEST too */
    vd w = 1.0 / (t + 5.0), s = (t - 5.0) * w;
    vd exponent = -0.5 * t * t - HPO_LOG_ROOT_TWO_PI;
    vd phi = HPO_NAME(vexp)(exponent);
    vd slope = w * w * HPO_NAME(vpoly)(hpo_decay, 26, s);
    improvement_v part;
    part.value = vselect(lower, vmax(sd * slope, vset(DBL_MIN)), vmax(diff, zero) + sd * phi * slope);
    vi flat = part.value < DBL_MIN; /* 0, or subnormal: without an inverse or a logarithm */
    part.value = vselect(valid, vselect(flat, zero, part.value), vset(NAN));
    part.exponent = vselect(lower, exponent, zero);
    if (slopes) {
        vd mills = w * HPO_NAME(vpoly)(hpo_mills, 24, s);
        part.below = vselect(flat, zero, vselect(lower, mills, 1.0 - phi * mills));
        part.density = vselect(flat, zero, vselect(lower, vset(1.0), phi));
    }
    return part;
}

HPO_INLINE vd HPO_NAME(vei)(vd mean, vd sd, vd best)
{
    improvement_v part = HPO_NAME(improvement_parts)(mean, sd, best, 0);
    return part.value * HPO_NAME(vexp)(part.exponent);
}

HPO_INLINE vd HPO_NAME(vlog_ei)(vd mean, vd sd, vd best)
{
    improvement_v part = HPO_NAME(improvement_parts)(mean, sd, best, 0);
    return part.exponent + HPO_NAME(vlog)(part.value);
}

HPO_INLINE vd HPO_NAME(vei_slopes)(vd mean, vd sd, vd best, vd *by_mean, vd *by_sd)
{
    improvement_v part = HPO_NAME(improvement_parts)(mean, sd, best, 1);
    vd factor = HPO_NAME(vexp)(part.exponent);
    vi valid = part.value == part.value;
    *by_mean = vselect(valid, -part.below * factor, part.value);
    *by_sd = vselect(valid, part.density * factor, part.value);
    return part.value * factor;
}

HPO_INLINE vd HPO_NAME(vlog_ei_slopes)(vd mean, vd sd, vd best, vd *by_mean, vd *by_sd)
{
    improvement_v part = HPO_NAME(improvement_parts)(mean, sd, best, 1);
    vd inverse = 1.0 / vmax(vset(DBL_MIN), part.value);
    *by_mean = -part.below * inverse;
    *by_sd = part.density * inverse;
    return part.exponent + HPO_NAME(vlog)(part.value);
}

#define HPO_MAP(name, f)                                                                                     \
    static void HPO_NAME(name)(const double *mean, const double *sd, double best, int64_t m, double *out)    \
    {                                                                                                        \
        int64_t i = 0;                                                                                       \
        for (; i + LANES <= m; i += LANES)                                                                   \
            vstore(out + i, HPO_NAME(f)(vload(mean + i), vload(sd + i), vset(best)));                        \
        if (i < m)                                                                                           \
            vstore_n(out + i, HPO_NAME(f)(vload_n(mean + i, m - i), vload_n(sd + i, m - i), vset(best)),     \
                     m - i);                                                                                 \
    }
#define HPO_MAP_SLOPES(name, f)                                                                              \
    static void HPO_NAME(name)(const double *mean, const double *sd, double best, int64_t m, double *out,    \
                               double *by_mean, double *by_sd)                                               \
    {                                                                                                        \
        vd a, b;                                                                                             \
        int64_t i = 0;                                                                                       \
        for (; i + LANES <= m; i += LANES) {                                                                 \
            vstore(out + i, HPO_NAME(f)(vload(mean + i), vload(sd + i), vset(best), &a, &b));                \
            vstore(by_mean + i, a);                                                                          \
            vstore(by_sd + i, b);                                                                            \
        }                                                                                                    \
        if (i < m) {                                                                                         \
            int64_t n = m - i;                                                                               \
            vstore_n(out + i, HPO_NAME(f)(vload_n(mean + i, n), vload_n(sd + i, n), vset(best), &a, &b), n); \
            vstore_n(by_mean + i, a, n);                                                                     \
            vstore_n(by_sd + i, b, n);                                                                       \
        }                                                                                                    \
    }

HPO_MAP(improvement_ei, vei)
HPO_MAP(improvement_log_ei, vlog_ei)
HPO_MAP_SLOPES(improvement_ei_slopes, vei_slopes)
HPO_MAP_SLOPES(improvement_log_ei_slopes, vlog_ei_slopes)

#undef HPO_MAP
#undef HPO_MAP_SLOPES

/* Running log-sum-exp over the rows: n <= LANES columns. */
HPO_INLINE vd HPO_NAME(vlog_ei_average)(const double *mean, vd sd, const double *best, int64_t k, int64_t m,
                                        int64_t n)
{
    vd top = vset(-DBL_MAX), total = vset(0.0);
    for (int64_t row = 0; row < k; row++) {
        vd predicted = n == LANES ? vload(mean + row * m) : vload_n(mean + row * m, n);
        improvement_v part = HPO_NAME(improvement_parts)(predicted, sd, vset(best[row]), 0);
        vd higher = vmax(top, part.exponent);
        total *= HPO_NAME(vexp)(top - higher);
        total += part.value * HPO_NAME(vexp)(part.exponent - higher);
        top = higher;
    }
    return top + HPO_NAME(vlog)(total / (double)k);
}

static void HPO_NAME(improvement_log_ei_average)(const double *mean, const double *sd, const double *best, int64_t k,
                                                 int64_t m, double *out)
{
    int64_t i = 0;
    for (; i + LANES <= m; i += LANES)
        vstore(out + i, HPO_NAME(vlog_ei_average)(mean + i, vload(sd + i), best, k, m, LANES));
    if (i < m)
        vstore_n(out + i, HPO_NAME(vlog_ei_average)(mean + i, vload_n(sd + i, m - i), best, k, m, m - i), m - i);
}

#undef improvement_v
