/* The loops over pairs of points; included once per target by covariance.c.
 *
 * Lanes are points of b, columns of every matrix: a block of V vectors is packed side by side, then every point of a
 * is broadcast against it. A subtraction and a multiply-add per number, a compare and an addition per category, a
 * square root and an exp per pair and group. Only packing and the stores know that a block may be incomplete. */

HPO_INLINE vd HPO_NAME(take)(const double *p, int64_t count) { return count < LANES ? vload_n(p, count) : vload(p); }

HPO_INLINE void HPO_NAME(put)(double *p, vd v, int64_t count)
{
    if (count < LANES) {
        vstore_n(p, v, count);
    } else {
        vstore(p, v);
    }
}

/* a where x == y, a + b where they differ. */
HPO_INLINE vd HPO_NAME(add_if_different)(vd a, vd b, vd x, vd y)
{
#if defined(__x86_64__) && LANES == 8
    /* GCC turns the mask into a vector and back otherwise. */
    return (vd)_mm512_mask_add_pd((__m512d)a, _mm512_cmp_pd_mask((__m512d)x, (__m512d)y, _CMP_NEQ_OQ), (__m512d)a,
                                  (__m512d)b);
#else
    return a + (vd)((x != y) & (vi)b);
#endif
}

/* x * scale where active, else 0; 1 if x is NaN exactly where it is not active. */
static int HPO_NAME(scale_column)(const double *x, const double *active, double scale, int64_t n, double *z)
{
    vi odd = {0}, lane;
    memcpy(&lane, LANE, sizeof lane);
    for (int64_t j = 0; j < n; j += LANES) {
        const vd value = HPO_NAME(take)(x + j, n - j);
        const vi there = HPO_NAME(take)(active + j, n - j) > 0.0, known = value == value;
        odd |= (there ^ known) & (lane < n - j);
        HPO_NAME(put)(z + j, (vd)((vi)(value * scale) & there), n - j);
    }
    return !vany(odd);
}

/* V vectors of points of b from j on: z (d, V), then active (G, V). Rows of z may be a power of two apart, where the
 * cache holds few of them at once; packed they are neighbours. */
HPO_INLINE void HPO_NAME(pack)(const covariance_kernel *kernel, const covariance_points *b, int64_t j, int64_t count,
                               int V, double *block)
{
    for (int64_t c = 0; c < kernel->n_columns + kernel->n_groups; c++) {
        const double *from = c < kernel->n_columns ? b->z + c * b->n : b->active + (c - kernel->n_columns) * b->n;
        for (int v = 0; v < V; v++) {
            vstore(block + (c * V + v) * LANES, HPO_NAME(take)(from + j + v * LANES, count));
        }
    }
}

/* r_g^2 of one point against a block. */
HPO_INLINE void HPO_NAME(square_distance)(const covariance_kernel *kernel, int64_t g, const double *row,
                                          const double *block, int V, vd *square)
{
    const int64_t first = kernel->group_start[g], last = kernel->group_start[g + 1];
    const int64_t middle = first + kernel->n_numeric[g];
    for (int v = 0; v < V; v++) {
        square[v] = vset(0.0);
    }
    for (int64_t c = first; c < middle; c++) {
        const vd p = vset(row[c]);
        for (int v = 0; v < V; v++) {
            const vd t = vload(block + (c * V + v) * LANES) - p;
            square[v] += t * t;
        }
    }
    for (int64_t c = middle; c < last; c++) {
        const vd p = vset(row[c]), step = vset(kernel->inverse[c] * kernel->inverse[c]);
        for (int v = 0; v < V; v++) {
            square[v] = HPO_NAME(add_if_different)(square[v], step, vload(block + (c * V + v) * LANES), p);
        }
    }
}

/* k_g of point i of a against a block; unless NULL also pull = -2 dk_g / d(r_g^2) and dk_g / dc. */
HPO_INLINE void HPO_NAME(factor)(const covariance_kernel *kernel, int64_t g, const covariance_points *a, int64_t i,
                                 const double *block, int V, vd *factor, vd *pull, vd *by_c)
{
    const double c = kernel->correlation[g];
    const double *active = block + (kernel->n_columns + g) * V * LANES;
    const vd one = vset(1.0), zero = vset(0.0);
    if (g > 0 && a->active[g * a->n + i] == 0.0) {
        for (int v = 0; v < V; v++) {
            const vi there = vload(active + v * LANES) > 0.0;
            factor[v] = vselect(there, vset(c), one);
            if (pull) {
                pull[v] = zero;
                by_c[v] = vselect(there, one, zero);
            }
        }
        return;
    }
    vd square[VECTORS];
    HPO_NAME(square_distance)(kernel, g, a->rows + i * kernel->n_columns, block, V, square);
    for (int v = 0; v < V; v++) {
        const vd s = vsqrt(5.0 * square[v]);
        const vd tail = HPO_NAME(vexp_tame)(-vmin(s, vset(FARTHEST)));
        const vd matern = (1.0 + s * (1.0 + s * (1.0 / 3.0))) * tail;
        const vd slope = (5.0 / 3.0) * (1.0 + s) * tail;
        if (g == 0) {
            factor[v] = matern;
            if (pull) {
                pull[v] = slope;
                by_c[v] = zero;
            }
            continue;
        }
        const vi both = vload(active + v * LANES) > 0.0;
        factor[v] = vselect(both, matern + c * c * (1.0 - matern), vset(c));
        if (pull) {
            pull[v] = vselect(both, (1.0 - c) * (1.0 + c) * slope, zero);
            by_c[v] = vselect(both, 2.0 * c * (1.0 - matern), one);
        }
    }
}

/* k of point i of a against a block. */
HPO_INLINE void HPO_NAME(pair)(const covariance_kernel *kernel, const covariance_points *a, int64_t i,
                               const double *block, int V, vd *product)
{
    vd factor[VECTORS];
    HPO_NAME(factor)(kernel, 0, a, i, block, V, product, NULL, NULL);
    for (int64_t g = 1; g < kernel->n_groups; g++) {
        HPO_NAME(factor)(kernel, g, a, i, block, V, factor, NULL, NULL);
        for (int v = 0; v < V; v++) {
            product[v] *= factor[v];
        }
    }
}

/* ---- values ---------------------------------------------------------------------------------------------- */

HPO_INLINE void HPO_NAME(cross_block)(const covariance_kernel *kernel, const covariance_points *a, int64_t first,
                                      int64_t last, const covariance_points *b, int64_t j, int64_t count, int V,
                                      double *room, double *out, int64_t stride)
{
    HPO_NAME(pack)(kernel, b, j, count, V, room);
    for (int64_t i = first; i < last; i++) {
        vd k[VECTORS];
        HPO_NAME(pair)(kernel, a, i, room, V, k);
        for (int v = 0; v < V; v++) {
            HPO_NAME(put)(out + i * stride + j + v * LANES, k[v], count);
        }
    }
}

static void HPO_NAME(cross)(const covariance_kernel *kernel, const covariance_points *a, int64_t first, int64_t last,
                            const covariance_points *b, int64_t start, int64_t stop, double *room, double *out,
                            int64_t stride)
{
    int64_t j = start;
    for (; j + VECTORS * LANES <= stop; j += VECTORS * LANES) {
        HPO_NAME(cross_block)(kernel, a, first, last, b, j, LANES, VECTORS, room, out, stride);
    }
    for (; j < stop; j += LANES) {
        HPO_NAME(cross_block)(kernel, a, first, last, b, j, stop - j, 1, room, out, stride);
    }
}

HPO_INLINE void HPO_NAME(mean_block)(const covariance_kernel *kernel, const covariance_points *a,
                                     const double *weights, int64_t n_weights, const covariance_points *b, int64_t j,
                                     int64_t count, int V, double *room, double *out)
{
    vd sum[MEANS][VECTORS];
    HPO_NAME(pack)(kernel, b, j, count, V, room);
    for (int w = 0; w < MEANS; w++) {
        for (int v = 0; v < V; v++) {
            sum[w][v] = vset(0.0);
        }
    }
    for (int64_t i = 0; i < a->n; i++) {
        vd k[VECTORS];
        HPO_NAME(pair)(kernel, a, i, room, V, k);
        for (int64_t w = 0; w < n_weights; w++) {
            for (int v = 0; v < V; v++) {
                sum[w][v] += weights[w * a->n + i] * k[v];
            }
        }
    }
    for (int64_t w = 0; w < n_weights; w++) {
        for (int v = 0; v < V; v++) {
            HPO_NAME(put)(out + w * b->n + j + v * LANES, sum[w][v], count);
        }
    }
}

/* n_weights <= MEANS */
static void HPO_NAME(cross_mean)(const covariance_kernel *kernel, const covariance_points *a, const double *weights,
                                 int64_t n_weights, const covariance_points *b, int64_t start, int64_t stop,
                                 double *room, double *out)
{
    int64_t j = start;
    for (; j + VECTORS * LANES <= stop; j += VECTORS * LANES) {
        HPO_NAME(mean_block)(kernel, a, weights, n_weights, b, j, LANES, VECTORS, room, out);
    }
    for (; j < stop; j += LANES) {
        HPO_NAME(mean_block)(kernel, a, weights, n_weights, b, j, stop - j, 1, room, out);
    }
}

/* ---- gradients ------------------------------------------------------------------------------------------- */

/* Point i of a against a vector: weight * pull, weight * dk/dc and k_g of every group into parts[g][0 .. 2], each of
 * ROWS vectors of which these are one row's. The first two with the product of the other groups' factors. */
HPO_INLINE void HPO_NAME(pair_slopes)(const covariance_kernel *kernel, const covariance_points *a, int64_t i,
                                      const double *block, vd weight, double *parts)
{
    enum { SIZE = ROWS * LANES };
    vd product = weight;
    for (int64_t g = 0; g < kernel->n_groups; g++) {
        double *own = parts + g * PARTS * SIZE;
        vd factor, pull, by_c;
        HPO_NAME(factor)(kernel, g, a, i, block, 1, &factor, &pull, &by_c);
        vstore(own, product * pull);
        vstore(own + SIZE, product * by_c);
        vstore(own + 2 * SIZE, factor);
        product *= factor;
    }
    product = vset(1.0);
    for (int64_t g = kernel->n_groups - 1; g > 0; g--) {
        const double *own = parts + g * PARTS * SIZE;
        double *before = parts + (g - 1) * PARTS * SIZE;
        product *= vload(own + 2 * SIZE);
        vstore(before, product * vload(before));
        vstore(before + SIZE, product * vload(before + SIZE));
    }
}

/* Adds U rows to the sums (d) of one group's columns: for the lengthscales if `squares`, else for the points. */
HPO_INLINE void HPO_NAME(add_columns)(const covariance_kernel *kernel, int64_t g, const double *row,
                                      const double *block, int U, const double *pull, int squares, double *sums)
{
    const int64_t first = kernel->group_start[g], last = kernel->group_start[g + 1], d = kernel->n_columns;
    const int64_t middle = first + kernel->n_numeric[g];
    for (int64_t c = first; c < middle; c++) {
        const vd z = vload(block + c * LANES);
        vd sum = vload(sums + c * LANES);
        for (int u = 0; u < U; u++) {
            const vd t = z - row[u * d + c], force = t * vload(pull + u * LANES);
            sum = squares ? sum + force * t : sum - force;
        }
        vstore(sums + c * LANES, sum);
    }
    for (int64_t c = middle; squares && c < last; c++) {
        const vd z = vload(block + c * LANES);
        vd sum = vload(sums + c * LANES);
        for (int u = 0; u < U; u++) {
            sum = HPO_NAME(add_if_different)(sum, vload(pull + u * LANES), z, vset(row[u * d + c]));
        }
        vstore(sums + c * LANES, sum);
    }
}

/* Rows i..i+U-1 of a against a vector from j on; the sums are (d), then (G) for the correlations. */
HPO_INLINE void HPO_NAME(slopes_rows)(const covariance_kernel *kernel, const covariance_points *a, int64_t i,
                                      int64_t j, int64_t count, int U, const double *weight, int64_t stride,
                                      int triangle, const double *block, double *sums, double *parts)
{
    enum { SIZE = ROWS * LANES };
    for (int u = 0; u < U; u++) {
        vd w = HPO_NAME(take)(weight + (i + u) * stride + j, count);
        if (triangle) {
            vi lane;
            memcpy(&lane, LANE, sizeof lane);
            w = vselect(lane < i + u - j, w, vset(0.0));
        }
        HPO_NAME(pair_slopes)(kernel, a, i + u, block, w, parts + u * LANES);
    }
    for (int64_t g = 0; g < kernel->n_groups; g++) {
        const double *own = parts + g * PARTS * SIZE;
        HPO_NAME(add_columns)(kernel, g, a->rows + i * kernel->n_columns, block, U, own, triangle, sums);
        double *target = sums + (kernel->n_columns + g) * LANES;
        vd sum = vload(target);
        for (int u = 0; triangle && u < U; u++) {
            sum += vload(own + SIZE + u * LANES);
        }
        vstore(target, sum);
    }
}

/* One vector of columns: rows below the diagonal if there is a by_correlation, else all. */
HPO_INLINE void HPO_NAME(slopes_block)(const covariance_kernel *kernel, const covariance_points *a,
                                       const covariance_points *b, int64_t j, int64_t count, const double *weight,
                                       int64_t stride, double *room, double *out, double *by_correlation)
{
    const int64_t d = kernel->n_columns, size = (d + kernel->n_groups) * LANES;
    const int triangle = by_correlation != NULL;
    double *block = room, *sums = room + size, *parts = sums + size;
    int64_t i = triangle ? j + 1 : 0;
    HPO_NAME(pack)(kernel, b, j, count, 1, block);
    memset(sums, 0, (size_t)size * sizeof(double));
    for (; i + ROWS <= a->n; i += ROWS) {
        HPO_NAME(slopes_rows)(kernel, a, i, j, count, ROWS, weight, stride, triangle, block, sums, parts);
    }
    for (; i < a->n; i++) {
        HPO_NAME(slopes_rows)(kernel, a, i, j, count, 1, weight, stride, triangle, block, sums, parts);
    }
    for (int64_t g = 0; g < kernel->n_groups; g++) {
        const int64_t middle = kernel->group_start[g] + kernel->n_numeric[g];
        for (int64_t c = kernel->group_start[g]; c < kernel->group_start[g + 1]; c++) {
            const double inverse = kernel->inverse[c];
            const double scale = !triangle ? inverse : c < middle ? 1.0 : inverse * inverse;
            HPO_NAME(put)(out + kernel->order[c] * b->n + j, scale * vload(sums + c * LANES), count);
        }
        if (triangle) {
            HPO_NAME(put)(by_correlation + g * b->n + j, vload(sums + (d + g) * LANES), count);
        }
    }
}

/* The two kinds of gradient are compiled apart. */
static void HPO_NAME(slopes)(const covariance_kernel *kernel, const covariance_points *a, const covariance_points *b,
                             const double *weight, int64_t stride, int64_t start, int64_t stop, double *room,
                             double *out, double *by_correlation)
{
    for (int64_t j = start; by_correlation && j < stop; j += LANES) {
        HPO_NAME(slopes_block)(kernel, a, a, j, stop - j, weight, stride, room, out, by_correlation);
    }
    for (int64_t j = start; !by_correlation && j < stop; j += LANES) {
        HPO_NAME(slopes_block)(kernel, a, b, j, stop - j, weight, stride, room, out, NULL);
    }
}
