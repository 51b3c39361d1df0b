/* What a core can do; included once per target by rates.c. */

/* CHAINS * LANES multiply-adds an iteration. */
static double HPO_NAME(chains)(int64_t iterations)
{
    vd sum[CHAINS];
    const vd scale = vset(0.999999), shift = vset(1e-9);
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vset(1.0 + c);
    for (int64_t i = 0; i < iterations; i++)
        for (int c = 0; c < CHAINS; c++)
            sum[c] = sum[c] * scale + shift;
    vd total = sum[0];
    for (int c = 1; c < CHAINS; c++)
        total += sum[c];
    return vsum(total);
}

static double HPO_NAME(lanes)(int64_t unused)
{
    (void)unused;
    return LANES;
}

/* Sum of f of n values (a multiple of HPO_MAX_LANES) that stay in the first cache; four chains at a time. */
#define SUM_OF(name, f)                                                                                      \
    static double HPO_NAME(name)(const double *x, int64_t n)                                                 \
    {                                                                                                        \
        vd sum[4] = {vset(0.0), vset(0.0), vset(0.0), vset(0.0)};                                            \
        for (int64_t i = 0; i + 4 * LANES <= n; i += 4 * LANES)                                              \
            for (int c = 0; c < 4; c++)                                                                      \
                sum[c] += HPO_NAME(f)(vload(x + i + c * LANES));                                             \
        return vsum(sum[0] + sum[1] + sum[2] + sum[3]);                                                      \
    }

SUM_OF(exps, vexp)
SUM_OF(logs, vlog)
#undef SUM_OF

static double HPO_NAME(uniforms)(double *out, int64_t n)
{
    HPO_NAME(vphilox_u01)(1, 2, 0, n, out);
    return out[n - 1];
}

/* out = x + 1: a value read and a value written. */
static double HPO_NAME(stream)(const double *x, int64_t n, double *out)
{
    for (int64_t i = 0; i + LANES <= n; i += LANES)
        vstore(out + i, vload(x + i) + 1.0);
    return out[n - 1];
}
