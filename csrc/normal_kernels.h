/* Kernels of normal.c, once per target. For symbols see simd_normal.h. */

/* log(1 - q), 0 <= q < 1: the rounding error of 1 - q is put back to first order. */
HPO_INLINE vd HPO_NAME(vlog1m)(vd q)
{
    vd rest = 1.0 - q;
    return HPO_NAME(vlog)(rest) - ((rest - 1.0) + q) / rest;
}

/* log Q(z), z >= 0. */
HPO_INLINE vd HPO_NAME(vlog_tail)(vd z)
{
    return HPO_NAME(vlog)(HPO_NAME(vmills)(z)) - (0.5 * z * z + HPO_LOG_ROOT_TWO_PI);
}

HPO_INLINE vd HPO_NAME(vndtr)(vd x)
{
    vd tail = HPO_NAME(vtail)(vabs(x));
    return vselect(x > 0.0, 1.0 - tail, tail);
}

HPO_INLINE vd HPO_NAME(vlog_ndtr)(vd x)
{
    vd z = vabs(x);
    return vselect(x > 0.0, HPO_NAME(vlog1m)(HPO_NAME(vtail)(z)), HPO_NAME(vlog_tail)(z));
}

HPO_INLINE vd HPO_NAME(verfcx)(vd x)
{
    const double root_two = 0x1.6a09e667f3bcdp+0, root_two_by_pi = 0x1.9884533d43651p-1;
    vd z = vabs(x), y = root_two_by_pi * HPO_NAME(vmills)(root_two * z);
    return vselect(x < 0.0, 2.0 * HPO_NAME(vexp_square)(z, 1.0) - y, y);
}

/* log of the integral of phi over a short interval of the given middle: Gauss-Legendre of phi relative
 * to the middle, where the integrand is within a factor e of 1. */
HPO_INLINE vd HPO_NAME(vlog_mass_short)(vd middle, vd length)
{
    vd sum = vset(0.0);
    for (int i = 0; i < 4; i++) {
        vd t = 0.5 * hpo_gauss[0][i] * length;
        vd both = HPO_NAME(vexp_tame)(t * middle) + HPO_NAME(vexp_tame)(-t * middle);
        sum += 0.5 * hpo_gauss[1][i] * HPO_NAME(vexp_tame)(-0.5 * t * t) * both;
    }
    return HPO_NAME(vlog)(length * sum) - (0.5 * middle * middle + HPO_LOG_ROOT_TWO_PI);
}

/* Both ends on one side of 0: log(Q(near) - Q(far)) = log Q(near) + log(1 - exp(-drop)). */
HPO_INLINE vd HPO_NAME(vlog_mass_aside)(vd a, vd b)
{
    vd near = vmin(vabs(a), vabs(b)), far = vmax(vabs(a), vabs(b));
    vd ratio = HPO_NAME(vmills)(near) / HPO_NAME(vmills)(far);
    vd drop = 0.5 * (far - near) * (far + near) + HPO_NAME(vlog)(ratio);
    return HPO_NAME(vlog_tail)(near) + HPO_NAME(vlog1m)(HPO_NAME(vexp)(-drop));
}

HPO_INLINE vd HPO_NAME(vlog_mass)(vd a, vd b)
{
    vd length = b - a, middle = a + 0.5 * length;
    vi around = (a <= 0.0) & (b >= 0.0), brief = length * (1.0 + vabs(middle)) < 1.0;
    vd y = HPO_NAME(vlog1m)(HPO_NAME(vtail)(-a) + HPO_NAME(vtail)(b));
    if (vany(~around))
        y = vselect(around, y, HPO_NAME(vlog_mass_aside)(a, b));
    if (vany(brief))
        y = vselect(brief, HPO_NAME(vlog_mass_short)(middle, length), y);
    return vselect(a > b, vset(__builtin_nan("")), y);
}

/* AS 241, and one Newton step where its error counts most: in the tails Phi magnifies it by x^2. */
HPO_INLINE vd HPO_NAME(vndtri)(vd u)
{
    vd p = vmin(u, 1.0 - u), z = HPO_NAME(vtail_inverse)(p);
    vd density = HPO_INV_ROOT_TWO_PI * HPO_NAME(vexp_square)(z, -0.5);
    vi refine = (z > 1.0) & (z < 37.6);
    z = vselect(refine, z + (HPO_NAME(vtail)(z) - p) / density, z);
    z = vselect(p >= 0.0, z, vset(__builtin_nan("")));
    return vselect(u > 0.5, z, -z);
}

/* Applies a function of one or more vectors to whole arrays; the last few values go through a buffer. */
#define HPO_MAP(name, params, whole, part)                                                                   \
    static void HPO_NAME(name) params                                                                        \
    {                                                                                                        \
        int64_t i = 0;                                                                                       \
        for (; i + LANES <= n; i += LANES)                                                                   \
            vstore(out + i, whole);                                                                          \
        if (i < n)                                                                                           \
            vstore_n(out + i, part, n - i);                                                                  \
    }
#define HPO_MAP1(name, f)                                                                                    \
    HPO_MAP(name, (const double *x, int64_t n, double *out), HPO_NAME(f)(vload(x + i)),                      \
            HPO_NAME(f)(vload_n(x + i, n - i)))

HPO_MAP1(normal_ndtr, vndtr)
HPO_MAP1(normal_log_ndtr, vlog_ndtr)
HPO_MAP1(normal_erfcx, verfcx)
HPO_MAP1(normal_ndtri, vndtri)
HPO_MAP1(vector_exp, vexp)
HPO_MAP1(vector_log, vlog)
HPO_MAP(normal_log_mass, (const double *a, const double *b, int64_t n, double *out),
        HPO_NAME(vlog_mass)(vload(a + i), vload(b + i)),
        HPO_NAME(vlog_mass)(vload_n(a + i, n - i), vload_n(b + i, n - i)))
HPO_MAP(normal_truncated, (const double *u, const double *a, const double *b, int64_t n, double *out),
        HPO_NAME(vtruncated)(vload(u + i), vload(a + i), vload(b + i)),
        HPO_NAME(vtruncated)(vload_n(u + i, n - i), vload_n(a + i, n - i), vload_n(b + i, n - i)))

#undef HPO_MAP
#undef HPO_MAP1

static void HPO_NAME(philox_of_trial)(uint64_t seed, uint64_t trial, uint64_t start, int64_t n, double *out)
{
    HPO_NAME(vphilox_u01)(seed, trial, start, n, out);
}

static void HPO_NAME(philox_of_index)(uint64_t seed, uint64_t trial, uint64_t index, int64_t n, double *out)
{
    HPO_NAME(vphilox_trials)(seed, trial, index, n, out);
}
