#include "ehvi.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define HPO_KERNELS "ehvi_kernels.h"
#include "simd_targets.h"

/* -- boxes ------------------------------------------------------------------------------------ */

/* The third objective sweeps upwards over the points. Where it stands, the region is a row of columns in the first two:
 * column i reaches from left[i] to left[i + 1] and, unbounded below, up to top[i]; it has looked so since open[i].
 * An objective that is not there is -inf in every point. */
typedef struct {
    int64_t n;
    double *left, *top, *open;
} columns_of_region;

typedef struct {
    int64_t m, stride, n;
    double *lower, *upper;
} boxes_out;

static void put(boxes_out *out, int64_t j, double lower, double upper)
{
    if (j < out->m) {
        out->lower[j * out->stride + out->n] = lower;
        out->upper[j * out->stride + out->n] = upper;
    }
}

static void emit(boxes_out *out, double left, double right, double top, double open, double close)
{
    if (!(open < close && top > -INFINITY))
        return; /* empty */
    put(out, 0, left, right);
    put(out, 1, -INFINITY, top);
    put(out, 2, open, close);
    out->n++;
}

/* Columns [from, to) from x on become one that starts at x and reaches up to y; to the left of x they stay. */
static void replace(columns_of_region *columns, int64_t from, int64_t to, double x, double y, double z)
{
    const int64_t at = from + (columns->left[from] < x);
    double *rows[3] = {columns->left, columns->top, columns->open};
    for (int i = 0; i < 3; i++)
        memmove(rows[i] + at + 1, rows[i] + to, (size_t)(columns->n - to) * sizeof(double));
    columns->left[at] = x;
    columns->top[at] = y;
    columns->open[at] = z;
    columns->n += at + 1 - to;
}

/* Closes what columns [from, to) have been from x on. */
static void close_columns(const columns_of_region *columns, int64_t from, int64_t to, double x, double right, double z,
                          boxes_out *out)
{
    for (int64_t i = from; i < to; i++)
        emit(out, fmax(columns->left[i], x), i + 1 < columns->n ? columns->left[i + 1] : right, columns->top[i],
             columns->open[i], z);
}

int64_t ehvi_boxes(const double *front, const double *reference, int64_t m, int64_t n, double *columns, double *lower,
                   double *upper)
{
    boxes_out out = {m, 2 * n + 1, 0, lower, upper};
    columns_of_region region = {1, columns, columns + n + 1, columns + 2 * (n + 1)};
    region.left[0] = region.open[0] = -INFINITY;
    region.top[0] = m > 1 ? reference[1] : INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double x = front[i], y = m > 1 ? front[n + i] : -INFINITY, z = m > 2 ? front[2 * n + i] : -INFINITY;
        int64_t from = region.n - 1;
        while (region.left[from] > x)
            from--;
        int64_t to = from;
        while (to < region.n && region.top[to] > y)
            to++;
        if (to == from)
            continue; /* dominated */
        close_columns(&region, from, to, x, reference[0], z, &out);
        replace(&region, from, to, x, y, z);
    }
    close_columns(&region, 0, region.n, -INFINITY, reference[0], m > 2 ? reference[2] : INFINITY, &out);
    return out.n;
}

/* -- bounds ----------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double clipped(double x) { return fmin(fmax(x, -WIDEST), WIDEST); }

static int64_t place(const double *bounds, int64_t n, double x)
{
    int64_t low = 0;
    while (n > 1) {
        const int64_t half = n / 2;
        low += bounds[low + half] <= x ? half : 0;
        n -= half;
    }
    return low;
}

void ehvi_index(const double *lower, const double *upper, ehvi_region *region)
{
    const int64_t k = region->k;
    for (int64_t j = 0; j < region->m; j++) {
        double *bounds = region->bounds + 2 * k * j;
        int64_t n = 0, distinct = 0;
        for (int64_t i = j * k; i < (j + 1) * k; i++) {
            bounds[n++] = clipped(upper[i]);
            if (lower[i] > -INFINITY)
                bounds[n++] = clipped(lower[i]);
        }
        qsort(bounds, (size_t)n, sizeof(double), ascending);
        for (int64_t i = 0; i < n; i++)
            if (i == 0 || bounds[i] > bounds[distinct - 1])
                bounds[distinct++] = bounds[i];
        region->n_bounds[j] = distinct;
        for (int64_t i = j * k; i < (j + 1) * k; i++) {
            region->upper[i] = place(bounds, distinct, clipped(upper[i]));
            region->lower[i] = lower[i] > -INFINITY ? place(bounds, distinct, clipped(lower[i])) : -1;
        }
    }
}

/* -- values ----------------------------------------------------------------------------------- */

HPO_DISPATCH(void, ehvi_log,
             (const ehvi_region *region, const double *mean, const double *sd, int64_t p, int64_t start, int64_t stop,
              double *scratch, double *out),
             (region, mean, sd, p, start, stop, scratch, out))
HPO_DISPATCH(void, ehvi_log_slopes,
             (const ehvi_region *region, const double *mean, const double *sd, int64_t p, int64_t start, int64_t stop,
              double *scratch, double *out, double *by_mean, double *by_sd),
             (region, mean, sd, p, start, stop, scratch, out, by_mean, by_sd))
