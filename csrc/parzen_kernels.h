/* The loops over (candidate, kernel) of a Parzen mixture; included once per target by parzen.c.
 *
 * Lanes are candidates: a kernel's row is loaded once, broadcast, for up to VECTORS * LANES candidates.
 * Two multiply-adds per numeric column, a compare and an add per category, one exp per pair. */

/* Adds numeric columns a0..a1-1 and category columns b0..b1-1 of one kernel to the exponents of V vectors. */
HPO_INLINE void HPO_NAME(add_columns)(const parzen_mixture *p, const double *row, const double *x, int64_t m,
                                      int64_t a0, int64_t a1, int64_t b0, int64_t b1, int V, vd *exponent)
{
    for (int64_t c = a0; c < a1; c++) {
        const vd scale = vset(row[2 * c]), shift = vset(row[2 * c + 1]);
        for (int v = 0; v < V; v++) {
            const vd t = vload(x + c * m + v * LANES) * scale + shift;
            exponent[v] -= t * t;
        }
    }
    const double *codes = row + 2 * p->n_num;
    for (int64_t c = b0; c < b1; c++) {
        const vd code = vset(codes[c]), match = vset(p->match[2 * c]);
        for (int v = 0; v < V; v++) {
            exponent[v] = vadd_if_equal(exponent[v], match, vload(x + (p->n_num + c) * m + v * LANES), code);
        }
    }
}

/* The same of all columns of one kernel, unless it turns out on the way that for no candidate it counts beside `top`:
 * what is left adds `most` at most. Returns whether it may count. */
HPO_INLINE int HPO_NAME(add_unless_far)(const parzen_mixture *p, const double *row, const double *x, int64_t m, int V,
                                        const vd *top, double most, vd *exponent)
{
    int64_t c = 0;
    for (; c + STRIDE < p->n_num; c += STRIDE) {
        HPO_NAME(add_columns)(p, row, x, m, c, c + STRIDE, 0, 0, V, exponent);
        vd excess = exponent[0] - top[0];
        for (int v = 1; v < V; v++) {
            excess = vmax(excess, exponent[v] - top[v]);
        }
        if (vall_negative(excess + (most + NEGLIGIBLE))) {
            return 0;
        }
    }
    HPO_NAME(add_columns)(p, row, x, m, c, p->n_num, 0, p->n_cat, V, exponent);
    return 1;
}

/* Running log-sum-exp: folds n rows of V exponents into (maximum, sum). What is negligible beside the maximum counts
 * as nothing, however wrong its exp: it does not matter whether add_unless_far has left it out. */
HPO_INLINE void HPO_NAME(fold)(vd rows[][VECTORS], int64_t n, int V, vd *maximum, vd *sum)
{
    for (int v = 0; v < V; v++) {
        vd top = maximum[v];
        for (int64_t k = 0; k < n; k++) {
            top = vmax(top, rows[k][v]);
        }
        vd total = sum[v] * HPO_NAME(vexp_tame)(vmax(maximum[v] - top, vset(LEAST)));
        for (int64_t k = 0; k < n; k++) {
            const vd below = rows[k][v] - top;
            total = vadd_if_least(total, HPO_NAME(vexp_tame)(below), below, vset(-NEGLIGIBLE));
        }
        maximum[v] = top;
        sum[v] = total;
    }
}

/* V * LANES candidates against kernels k0..k1-1. */
HPO_INLINE void HPO_NAME(density_block)(const parzen_mixture *p, const double *x, int64_t m, int64_t k0, int64_t k1,
                                        int V, double *joint, double *context)
{
    const int64_t length = 2 * p->n_num + p->n_cat;
    vd joint_rows[CHUNK][VECTORS], context_rows[CHUNK][VECTORS];
    vd joint_max[VECTORS], joint_sum[VECTORS], context_max[VECTORS], context_sum[VECTORS];
    for (int v = 0; v < V; v++) {
        /* A finite floor: -inf - -inf would be NaN in the first fold. */
        joint_max[v] = context_max[v] = vset(-1e300);
        joint_sum[v] = context_sum[v] = vset(0.0);
    }
    double matches = 0.0;
    for (int64_t c = 0; c < p->n_cat; c++) {
        matches += p->match[2 * c];
    }
    /* The uniform component alone comes first: most of the others are negligible beside it in many dimensions. */
    for (int64_t start = k0, end; start < k1; start = end) {
        end = start == 0 ? 1 : start + CHUNK < k1 ? start + CHUNK : k1;
        int64_t n = 0;
        for (int64_t k = start; k < end; k++) {
            const double *row = p->row + k * length;
            const double *constant = p->constant + 2 * k;
            vd exponent[VECTORS];
            for (int v = 0; v < V; v++) {
                exponent[v] = vset(constant[0]);
            }
            if (!context) {
                for (int v = 0; v < V; v++) {
                    exponent[v] += constant[1];
                }
                if (!HPO_NAME(add_unless_far)(p, row, x, m, V, joint_max, matches, exponent)) {
                    continue;
                }
            } else {
                HPO_NAME(add_columns)(p, row, x, m, 0, p->ctx_num, 0, p->ctx_cat, V, exponent);
                for (int v = 0; v < V; v++) {
                    context_rows[n][v] = exponent[v];
                    exponent[v] += constant[1];
                }
                HPO_NAME(add_columns)(p, row, x, m, p->ctx_num, p->n_num, p->ctx_cat, p->n_cat, V, exponent);
            }
            for (int v = 0; v < V; v++) {
                joint_rows[n][v] = exponent[v];
            }
            n++;
        }
        HPO_NAME(fold)(joint_rows, n, V, joint_max, joint_sum);
        if (context) {
            HPO_NAME(fold)(context_rows, n, V, context_max, context_sum);
        }
    }
    for (int v = 0; v < V; v++) {
        vstore(joint + v * LANES, joint_max[v] + HPO_NAME(vlog)(joint_sum[v]));
        if (context) {
            vstore(context + v * LANES, context_max[v] + HPO_NAME(vlog)(context_sum[v]));
        }
    }
}

/* m is a multiple of HPO_MAX_LANES. */
static void HPO_NAME(density)(const parzen_mixture *p, const double *x, int64_t m, int64_t k0, int64_t k1,
                              double *joint, double *context)
{
    int64_t j = 0;
    for (; j + VECTORS * LANES <= m && m - j != 6 * LANES; j += VECTORS * LANES) { /* six are twice three */
        HPO_NAME(density_block)(p, x + j, m, k0, k1, VECTORS, joint + j, context ? context + j : NULL);
    }
    for (; j + 3 * LANES <= m; j += 3 * LANES) {
        HPO_NAME(density_block)(p, x + j, m, k0, k1, 3, joint + j, context ? context + j : NULL);
    }
    for (; j + LANES <= m; j += LANES) {
        HPO_NAME(density_block)(p, x + j, m, k0, k1, 1, joint + j, context ? context + j : NULL);
    }
}

static void HPO_NAME(context_rows)(const parzen_mixture *p, const double *x, int64_t m, double *terms)
{
    for (int64_t k = 0; k < p->size; k++) {
        const double *row = p->row + k * (2 * p->n_num + p->n_cat);
        for (int64_t j = 0; j < m; j += LANES) {
            vd exponent = vset(p->constant[2 * k]);
            HPO_NAME(add_columns)(p, row, x + j, m, 0, p->ctx_num, 0, p->ctx_cat, 1, &exponent);
            vstore(terms + k * m + j, exponent);
        }
    }
}

/* log Z of continuous kernels, the integral over [0, 1] of exp(-((x - mu)/sigma)^2 / 2), and the masses that a
 * normal distribution has below 0 and above 1. */
static void HPO_NAME(log_norms)(const double *mu, const double *sigma, int64_t n, double *out, double *below,
                                double *above)
{
    const double root_two_pi = 2.50662827463100050242;
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t count = n - i < LANES ? n - i : LANES;
        const vd s = vload_n(sigma + i, count), a = vload_n(mu + i, count);
        vd low, high;
        const vd mass = HPO_NAME(vmass_and_tails)((0.0 - a) / s, (1.0 - a) / s, &low, &high);
        vstore_n(out + i, HPO_NAME(vlog)(root_two_pi * s * mass), count);
        vstore_n(below + i, low, count);
        vstore_n(above + i, high, count);
    }
}

/* Of a discrete kernel: masses of LANES levels. */
HPO_INLINE vd HPO_NAME(level_block)(double scale, double shift, const double *centers, const double *widths,
                                    int64_t count)
{
    const vd t = vload_n(centers, count) * scale + shift;
    return vload_n(widths, count) * HPO_NAME(vexp_tame)(vmax(-t * t, vset(LEAST)));
}

/* The masses of all levels; returns Z, their sum by blocks of LANES. */
static double HPO_NAME(level_masses)(double scale, double shift, const double *centers, const double *widths,
                                     int64_t n, double *out)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t count = n - i < LANES ? n - i : LANES;
        const vd mass = HPO_NAME(level_block)(scale, shift, centers + i, widths + i, count);
        vstore_n(out + i, mass, count);
        total += vsum(mass);
    }
    return total;
}

static double HPO_NAME(draw_level)(double scale, double shift, double u, const double *centers, const double *widths,
                                   int64_t n)
{
    double mass[MAX_LEVELS + HPO_MAX_LANES], blocks[MAX_LEVELS / LANES + 1], total = 0.0;
    for (int64_t i = 0; i < n; i += LANES) {
        const vd block = HPO_NAME(level_block)(scale, shift, centers + i, widths + i, n - i < LANES ? n - i : LANES);
        vstore(mass + i, block);
        total += blocks[i / LANES] = vsum(block);
    }
    /* Counting instead of searching: a search would be mispredicted every time. */
    const double target = u * total;
    double before = 0.0, sum = 0.0;
    int64_t block = 0, lane = 0;
    for (int64_t b = 0; (b + 1) * LANES < n; b++) {
        sum += blocks[b];
        const int beyond = target > sum;
        block += beyond;
        before = beyond ? sum : before;
    }
    for (int64_t i = 0; i + 1 < LANES; i++) {
        before += mass[block * LANES + i];
        lane += target > before;
    }
    const int64_t level = block * LANES + lane;
    return centers[level < n ? level : n - 1];
}

/* Truncated normals on [0, 1] by inverse CDF; sigma 0 stands for the uniform distribution. */
static void HPO_NAME(draw_continuous)(const double *mu, const double *sigma, const double *u, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t count = n - i < LANES ? n - i : LANES;
        const vd q = vload_n(u + i, count), s = vload_n(sigma + i, count), a = vload_n(mu + i, count);
        const vi uniform = s <= 0.0;
        const vd width = vselect(uniform, vset(1.0), s);
        const vd x = a + width * HPO_NAME(vtruncated)(q, (0.0 - a) / width, (1.0 - a) / width);
        vstore_n(out + i, vselect(uniform, q, vmin(vmax(x, vset(0.0)), vset(1.0))), count);
    }
}

/* The same from the masses below 0 and above 1 of kernels with mu in [0, 1] and sigma <= 1. */
static void HPO_NAME(draw_between)(const double *mu, const double *sigma, const double *below, const double *above,
                                   const double *u, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t count = n - i < LANES ? n - i : LANES;
        const vd q = vload_n(u + i, count), s = vload_n(sigma + i, count), a = vload_n(mu + i, count);
        const vd low = vload_n(below + i, count), high = vload_n(above + i, count), mass = 1.0 - (low + high);
        const vd z = HPO_NAME(vquantile)(low + q * mass, high + (1.0 - q) * mass);
        const vd x = vmin(vmax(a + s * z, vset(0.0)), vset(1.0));
        vstore_n(out + i, vselect(s <= 0.0, q, x), count);
    }
}

static void HPO_NAME(parzen_uniforms)(uint64_t seed, uint64_t stream, uint64_t start, int64_t n, double *out)
{
    HPO_NAME(vphilox_u01)(seed, stream, start, n, out);
}
