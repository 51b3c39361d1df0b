/* Kernels of solve.c, once per target. Lanes are right-hand sides.
 *
 * x (n, V * LANES) is a panel of b, padded and packed: rows of b that are a power of two apart would fall into
 * one set of the cache. R rows of L are taken at once; R and V are constants of the caller.
 */

/* Rows i..i+R-1 of x become those of L^-1 x, the rows before being done. */
HPO_INLINE void HPO_NAME(solve_forward)(int R, int V, const double *l, int64_t ld, int64_t i, double *x)
{
    vd rest[ROWS][VECTORS];
    double *rows = x + i * V * LANES;
    l += i * ld;
    for (int r = 0; r < R; r++)
        for (int v = 0; v < V; v++)
            rest[r][v] = vload(rows + (r * V + v) * LANES);
    for (int64_t j = 0; j < i; j++)
        for (int v = 0; v < V; v++) {
            const vd done = vload(x + (j * V + v) * LANES);
            for (int r = 0; r < R; r++)
                rest[r][v] -= l[r * ld + j] * done;
        }
    for (int r = 0; r < R; r++) {
        const double inverse = 1.0 / l[r * ld + i + r];
        for (int v = 0; v < V; v++) {
            for (int s = 0; s < r; s++)
                rest[r][v] -= l[r * ld + i + s] * rest[s][v];
            rest[r][v] *= inverse;
            vstore(rows + (r * V + v) * LANES, rest[r][v]);
        }
    }
}

/* Rows i..i+R-1 of x become those of L^-T x, and leave the rows before: those after have done so. */
HPO_INLINE void HPO_NAME(solve_backward)(int R, int V, const double *l, int64_t ld, int64_t i, double *x)
{
    vd done[ROWS][VECTORS];
    double *rows = x + i * V * LANES;
    l += i * ld;
    for (int r = R - 1; r >= 0; r--) {
        const double inverse = 1.0 / l[r * ld + i + r];
        for (int v = 0; v < V; v++) {
            vd rest = vload(rows + (r * V + v) * LANES);
            for (int s = R - 1; s > r; s--)
                rest -= l[s * ld + i + r] * done[s][v];
            done[r][v] = rest * inverse;
            vstore(rows + (r * V + v) * LANES, done[r][v]);
        }
    }
    for (int64_t j = 0; j < i; j++)
        for (int v = 0; v < V; v++) {
            vd rest = vload(x + (j * V + v) * LANES);
            for (int r = R - 1; r >= 0; r--)
                rest -= l[r * ld + j] * done[r][v];
            vstore(x + (j * V + v) * LANES, rest);
        }
}

/* Panels p of x, each (n, V * LANES): rows of L are fetched once for all of them. */
HPO_INLINE void HPO_NAME(solve_panels)(int V, int64_t panels, const double *l, int64_t ld, int64_t n,
                                       int transposed, double *x)
{
    const int64_t whole = n - n % ROWS, size = n * V * LANES;
    if (transposed) {
        for (int64_t i = n - 1; i >= whole; i--)
            for (int64_t p = 0; p < panels; p++)
                HPO_NAME(solve_backward)(1, V, l, ld, i, x + p * size);
        for (int64_t i = whole - ROWS; i >= 0; i -= ROWS)
            for (int64_t p = 0; p < panels; p++)
                HPO_NAME(solve_backward)(ROWS, V, l, ld, i, x + p * size);
    } else {
        for (int64_t i = 0; i < whole; i += ROWS)
            for (int64_t p = 0; p < panels; p++)
                HPO_NAME(solve_forward)(ROWS, V, l, ld, i, x + p * size);
        for (int64_t i = whole; i < n; i++)
            for (int64_t p = 0; p < panels; p++)
                HPO_NAME(solve_forward)(1, V, l, ld, i, x + p * size);
    }
}

/* Copies m columns of b into panels, padded with 0, or back: a row at a time, as b lies in memory. */
HPO_INLINE void HPO_NAME(solve_copy)(int V, int back, double *b, int64_t ldb, int64_t n, int64_t m, double *x)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j += V * LANES)
            for (int v = 0; v < V; v++) {
                const int64_t left = m - j - v * LANES, lanes = left < 0 ? 0 : left < LANES ? left : LANES;
                double *row = b + i * ldb + j + v * LANES, *packed = x + j * n + (i * V + v) * LANES;
                if (back)
                    vstore_n(row, vload(packed), lanes);
                else
                    vstore(packed, vload_n(row, lanes));
            }
}

HPO_INLINE void HPO_NAME(solve_group)(int V, const double *l, int64_t ld, int64_t n, double *b, int64_t ldb,
                                      int64_t m, int transposed, double *x)
{
    HPO_NAME(solve_copy)(V, 0, b, ldb, n, m, x);
    HPO_NAME(solve_panels)(V, (m + V * LANES - 1) / (V * LANES), l, ld, n, transposed, x);
    HPO_NAME(solve_copy)(V, 1, b, ldb, n, m, x);
}

static void HPO_NAME(solve_lower)(const double *l, int64_t ld, int64_t n, double *b, int64_t ldb, int64_t m,
                                  int transposed, double *x)
{
    const int64_t group = PANELS * VECTORS * LANES;
    for (int64_t start = 0; start < m; start += group) {
        const int64_t columns = m - start < group ? m - start : group;
        if (columns > LANES)
            HPO_NAME(solve_group)(VECTORS, l, ld, n, b + start, ldb, columns, transposed, x);
        else
            HPO_NAME(solve_group)(1, l, ld, n, b + start, ldb, columns, transposed, x);
    }
}
