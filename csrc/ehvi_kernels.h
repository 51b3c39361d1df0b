/* Kernels of ehvi.c, once per target.
 *
 * For a bound a: gap = a - mean, t = |gap| / sd; R, D and phi(t) as in simd_normal.h. Then
 *     Psi(a) = sd phi D + max(gap, 0),     Phi(a) = phi R where gap <= 0, 1 - phi R where gap > 0.
 * An interval [l, u] of one objective weighs W = Psi(u) - Psi(l) > 0; the derivatives of W are
 *     by mean  -(Phi(u) - Phi(l)),    by sd  phi(u) - phi(l).
 * Where all of it lies below the mean, phi at u is taken out as exp(exponent) and sd as a factor, so that nothing
 * underflows however far out: with q = phi(l) / phi(u), W = sd phi(u) (D(u) - q D(l)).
 * A thin interval would leave little of such a difference. There W, the integral of Phi over the interval, is
 * expanded about the middle, where the derivatives of Phi are phi times Hermite polynomials.
 */

#ifndef HPO_EHVI_LIMITS
#define HPO_EHVI_LIMITS

/* Beyond this z^2 overflows in what follows: log EHVI saturates at -5e299 for each objective. */
#define FARTHEST 1e150
/* What larger numbers count as: inf - inf would be NaN. */
#define WIDEST 1e300
/* Intervals with length / sd (1 + |middle|) below it are expanded: the first term left out is 7e-16 of the sum there,
 * and a difference keeps all but four bits. */
#define THIN 0.125

#endif

typedef struct {
    vd gap, t, decay, density, mills; /* mills is -R where gap > 0: Phi = density mills, + 1 there */
} HPO_NAME(ehvi_bound);

/* W and its derivatives divided by exp(exponent), and W by sd where below is set. */
typedef struct {
    vd exponent, value, mass, rise; /* ., W, Phi(u) - Phi(l), phi(u) - phi(l) */
    vi below;
} HPO_NAME(ehvi_part);

/* What an objective gives to a box. */
typedef struct {
    vd log_value, by_mean, by_sd;
} HPO_NAME(ehvi_side);

/* sd >= DBL_MIN unless it is 0; log_sd its logarithm. */
typedef struct {
    vd mean, sd, log_sd;
    vi valid;
} HPO_NAME(ehvi_normal);

#define bound_v HPO_NAME(ehvi_bound)
#define part_v HPO_NAME(ehvi_part)
#define side_v HPO_NAME(ehvi_side)
#define normal_v HPO_NAME(ehvi_normal)

HPO_INLINE normal_v HPO_NAME(ehvi_normal_at)(const double *mean, const double *sd, int64_t n)
{
    normal_v y = {.mean = vload_n(mean, n), .sd = vload_n(sd, n)};
    y.valid = (y.mean == y.mean) & (y.sd >= 0.0);
    y.mean = vmin(vmax(y.mean, vset(-WIDEST)), vset(WIDEST));
    y.sd = vmin(vselect(y.sd > 0.0, vmax(y.sd, vset(DBL_MIN)), vset(0.0)), vset(WIDEST));
    y.log_sd = HPO_NAME(vlog)(vmax(y.sd, vset(DBL_MIN)));
    return y;
}

/* slopes is a constant of the caller: without it mills is not computed. */
HPO_INLINE bound_v HPO_NAME(ehvi_bound_at)(double at, normal_v y, int slopes)
{
    bound_v b = {.gap = at - y.mean};
    b.t = vmin(vabs(b.gap) / y.sd, vset(FARTHEST)); /* NaN, 0 / 0, becomes FARTHEST too */
    vd w = 1.0 / (b.t + 5.0), s = (b.t - 5.0) * w;
    b.decay = w * w * HPO_NAME(vpoly)(hpo_decay, 26, s);
    b.density = HPO_NAME(vexp)(-0.5 * b.t * b.t - HPO_LOG_ROOT_TWO_PI);
    if (slopes) {
        vd mills = w * HPO_NAME(vpoly)(hpo_mills, 24, s);
        b.mills = vselect(b.gap > 0.0, -mills, mills);
    }
    return b;
}

/* From -inf to u. */
HPO_INLINE part_v HPO_NAME(ehvi_up_to)(bound_v u, normal_v y)
{
    const vd zero = vset(0.0), one = vset(1.0);
    vi above = u.gap > 0.0, below = ~above & (y.sd > 0.0);
    part_v part = {.below = below};
    part.exponent = vselect(below, -0.5 * u.t * u.t - HPO_LOG_ROOT_TWO_PI, zero);
    part.rise = vselect(below, one, u.density);
    part.value = vselect(below, u.decay, y.sd * u.density * u.decay + vmax(u.gap, zero));
    part.mass = vselect(above, one, zero) + part.rise * u.mills;
    return part;
}

/* From l to u, by differences. */
HPO_INLINE part_v HPO_NAME(ehvi_between)(bound_v l, bound_v u, double width, vd length, normal_v y)
{
    const vd zero = vset(0.0);
    part_v part = HPO_NAME(ehvi_up_to)(u, y);
    vi l_above = l.gap > 0.0;
    vd near = part.rise, far = l.density;
    if (vany(part.below))
        far = vselect(part.below, HPO_NAME(vexp)(-0.5 * length * (u.t + l.t)), far);
    vd drop = near * u.decay - far * l.decay;
    vd certain = vselect(l_above, vset(width), vmax(u.gap, zero)); /* gained even where sd = 0 */
    part.value = vselect(part.below, drop, y.sd * drop + certain);
    part.mass -= vselect(l_above, vset(1.0), zero) + far * l.mills;
    part.rise = near - far;
    return part;
}

/* From l to u, about the middle c: with h the length and s = h |c|,
 *     integral of Phi = h (Phi(c) + phi(c) sum over i of h^2i / (4^i (2i + 1)!) (-He_(2i - 1)(c))),
 * and those of its first and second derivatives likewise. */
HPO_INLINE part_v HPO_NAME(ehvi_thin)(bound_v l, bound_v u, double width, vd h, normal_v y)
{
    vd c = 0.5 * (u.gap + l.gap) / y.sd, t = vmin(vabs(c), vset(FARTHEST));
    vd s = h * t, s2 = s * s, h2 = h * h, exponent = -0.5 * t * t - HPO_LOG_ROOT_TWO_PI;
    const double a1 = 1.0 / 24.0, a2 = 1.0 / 1920.0, a3 = 1.0 / 322560.0;
    vd odd = a1 + a2 * (s2 - 3.0 * h2) + a3 * (s2 * (s2 - 10.0 * h2) + 15.0 * h2 * h2);
    vd even = 1.0 + a1 * (s2 - h2) + a2 * (s2 * (s2 - 6.0 * h2) + 3.0 * h2 * h2) +
              a3 * (s2 * (s2 * (s2 - 15.0 * h2) + 45.0 * h2 * h2) - 15.0 * h2 * h2 * h2);
    vd third = 1.0 + a1 * (s2 - 3.0 * h2) + a2 * (s2 * (s2 - 10.0 * h2) + 15.0 * h2 * h2) +
               a3 * (s2 * (s2 * (s2 - 21.0 * h2) + 105.0 * h2 * h2) - 105.0 * h2 * h2 * h2);
    vd average = HPO_NAME(vmills)(t) + h * s * odd;
    part_v part = {.below = (c <= 0.0) & (y.sd > 0.0)};
    vd density = vselect(part.below, vset(1.0), HPO_NAME(vexp)(exponent));
    part.exponent = vselect(part.below, exponent, vset(0.0));
    part.value = vselect(part.below, h * average, width * (1.0 - density * average));
    part.mass = density * h * even;
    part.rise = density * s * vselect(part.below, third, -third);
    return part;
}

HPO_INLINE part_v HPO_NAME(ehvi_choose)(vi mask, part_v a, part_v b)
{
    part_v part = {.below = (mask & a.below) | (~mask & b.below)};
    part.exponent = vselect(mask, a.exponent, b.exponent);
    part.value = vselect(mask, a.value, b.value);
    part.mass = vselect(mask, a.mass, b.mass);
    part.rise = vselect(mask, a.rise, b.rise);
    return part;
}

HPO_INLINE part_v HPO_NAME(ehvi_interval)(bound_v l, bound_v u, double width, normal_v y)
{
    vd length = vmin(width / y.sd, vset(FARTHEST)), middle = 0.5 * vabs(u.gap + l.gap);
    vi thin = length * (y.sd + middle) < THIN * y.sd;
    if (!vany(thin))
        return HPO_NAME(ehvi_between)(l, u, width, length, y);
    if (!vany(~thin))
        return HPO_NAME(ehvi_thin)(l, u, width, length, y);
    return HPO_NAME(ehvi_choose)(thin, HPO_NAME(ehvi_thin)(l, u, width, length, y),
                                 HPO_NAME(ehvi_between)(l, u, width, length, y));
}

HPO_INLINE side_v HPO_NAME(ehvi_side_of)(part_v part, normal_v y)
{
    side_v side;
    side.log_value = part.exponent + HPO_NAME(vlog)(part.value) + vselect(part.below, y.log_sd, vset(0.0));
    vd inverse = vmin(1.0 / (part.value * vselect(part.below, y.sd, vset(1.0))), vset(1.0 / DBL_MIN));
    side.by_mean = -part.mass * inverse;
    side.by_sd = part.rise * inverse;
    return side;
}

/* Adds to the logarithms of the boxes (k) what one objective gives to each. slope: (k, 2), unless slopes is 0. */
HPO_INLINE void HPO_NAME(ehvi_add)(const ehvi_region *region, int64_t j, normal_v y, bound_v *table, vd *log_value,
                                   vd *slope, int slopes)
{
    const int64_t k = region->k, *lower = region->lower + j * k, *upper = region->upper + j * k;
    const double *bounds = region->bounds + 2 * k * j;
    for (int64_t i = 0; i < region->n_bounds[j]; i++)
        table[i] = HPO_NAME(ehvi_bound_at)(bounds[i], y, slopes);
    for (int64_t i = 0; i < k; i++) {
        part_v part;
        if (lower[i] < 0)
            part = HPO_NAME(ehvi_up_to)(table[upper[i]], y);
        else
            part = HPO_NAME(ehvi_interval)(table[lower[i]], table[upper[i]], bounds[upper[i]] - bounds[lower[i]], y);
        side_v side = HPO_NAME(ehvi_side_of)(part, y);
        log_value[i] += side.log_value;
        if (slopes) {
            slope[2 * i] = side.by_mean;
            slope[2 * i + 1] = side.by_sd;
        }
    }
}

/* The scratch of n <= LANES candidates: bounds of one objective, logarithms of the boxes, slopes (m, k, 2). */
typedef struct {
    bound_v *table;
    vd *log_value, *slope;
} HPO_NAME(ehvi_scratch);

/* Log EHVI of the candidates that start at mean and sd; log_value becomes the share of each box in it. */
HPO_INLINE vd HPO_NAME(ehvi_total)(const ehvi_region *region, const double *mean, const double *sd, int64_t p,
                                   int64_t n, HPO_NAME(ehvi_scratch) at, int slopes)
{
    const int64_t k = region->k;
    vd top = vset(-DBL_MAX), total = vset(0.0);
    vi valid = total == 0.0;
    for (int64_t i = 0; i < k; i++)
        at.log_value[i] = vset(0.0);
    for (int64_t j = 0; j < region->m; j++) {
        normal_v y = HPO_NAME(ehvi_normal_at)(mean + j * p, sd + j * p, n);
        valid &= y.valid;
        HPO_NAME(ehvi_add)(region, j, y, at.table, at.log_value, at.slope + 2 * j * k, slopes);
    }
    for (int64_t i = 0; i < k; i++)
        top = vmax(at.log_value[i], top);
    for (int64_t i = 0; i < k; i++) {
        at.log_value[i] = HPO_NAME(vexp)(at.log_value[i] - top);
        total += at.log_value[i];
    }
    vd inverse = 1.0 / vmax(total, vset(DBL_MIN));
    for (int64_t i = 0; slopes && i < k; i++)
        at.log_value[i] *= inverse;
    return vselect(valid, top + HPO_NAME(vlog)(total), vset(NAN));
}

HPO_INLINE HPO_NAME(ehvi_scratch) HPO_NAME(ehvi_scratch_of)(const ehvi_region *region, double *scratch)
{
    const uintptr_t size = sizeof(vd), first = ((uintptr_t)scratch + size - 1) / size * size;
    HPO_NAME(ehvi_scratch) at = {.table = (bound_v *)first};
    at.log_value = (vd *)(at.table + 2 * region->k);
    at.slope = at.log_value + region->k;
    return at;
}

static void HPO_NAME(ehvi_log)(const ehvi_region *region, const double *mean, const double *sd, int64_t p,
                               int64_t start, int64_t stop, double *scratch, double *out)
{
    const HPO_NAME(ehvi_scratch) at = HPO_NAME(ehvi_scratch_of)(region, scratch);
    for (int64_t i = start; i < stop; i += LANES) {
        const int64_t n = stop - i < LANES ? stop - i : LANES;
        vstore_n(out + i, HPO_NAME(ehvi_total)(region, mean + i, sd + i, p, n, at, 0), n);
    }
}

static void HPO_NAME(ehvi_log_slopes)(const ehvi_region *region, const double *mean, const double *sd, int64_t p,
                                      int64_t start, int64_t stop, double *scratch, double *out, double *by_mean,
                                      double *by_sd)
{
    const HPO_NAME(ehvi_scratch) at = HPO_NAME(ehvi_scratch_of)(region, scratch);
    for (int64_t i = start; i < stop; i += LANES) {
        const int64_t n = stop - i < LANES ? stop - i : LANES, k = region->k;
        vd value = HPO_NAME(ehvi_total)(region, mean + i, sd + i, p, n, at, 1);
        vstore_n(out + i, value, n);
        for (int64_t j = 0; j < region->m; j++) {
            vd a = vset(0.0), b = vset(0.0);
            for (int64_t box = 0; box < k; box++) {
                a += at.log_value[box] * at.slope[2 * (j * k + box)];
                b += at.log_value[box] * at.slope[2 * (j * k + box) + 1];
            }
            vstore_n(by_mean + j * p + i, vselect(value == value, a, value), n);
            vstore_n(by_sd + j * p + i, vselect(value == value, b, value), n);
        }
    }
}

#undef bound_v
#undef part_v
#undef side_v
#undef normal_v
