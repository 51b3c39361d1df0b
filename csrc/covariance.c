/* Scaling, tiling and scratch of the covariance loops, which are in covariance_kernels.h. */
#include "covariance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Vectors of points beside each other, and rows that share a pass over the columns of a gradient. */
enum { VECTORS = 4, ROWS = 4 };
/* Rows of weights that one pass sums; what pair_slopes stores per group. */
enum { MEANS = 4, PARTS = 3 };
/* Rows of a for which all of b goes by, so that both stay near; a tile of the matrix and its mirror image. */
enum { BAND = 64, TILE = 32 };

/* sqrt(5) r beyond this counts as this: e^-700 is as good as 0 beside a diagonal of 1. */
static const double FARTHEST = 700.0;

static const int64_t LANE[] = {0, 1, 2, 3, 4, 5, 6, 7};

#define HPO_KERNELS "covariance_kernels.h"
#include "simd_targets.h"

static HPO_DISPATCH(void, cross,
                    (const covariance_kernel *kernel, const covariance_points *a, int64_t first, int64_t last,
                     const covariance_points *b, int64_t start, int64_t stop, double *room, double *out,
                     int64_t stride),
                    (kernel, a, first, last, b, start, stop, room, out, stride))
static HPO_DISPATCH(void, cross_mean,
                    (const covariance_kernel *kernel, const covariance_points *a, const double *weights,
                     int64_t n_weights, const covariance_points *b, int64_t start, int64_t stop, double *room,
                     double *out),
                    (kernel, a, weights, n_weights, b, start, stop, room, out))
static HPO_DISPATCH(void, slopes,
                    (const covariance_kernel *kernel, const covariance_points *a, const covariance_points *b,
                     const double *weight, int64_t stride, int64_t start, int64_t stop, double *room, double *out,
                     double *by_correlation),
                    (kernel, a, b, weight, stride, start, stop, room, out, by_correlation))

static HPO_DISPATCH(int, scale_column,
                    (const double *x, const double *active, double scale, int64_t n, double *z),
                    (x, active, scale, n, z))

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

int covariance_inputs(const covariance_kernel *kernel, const double *x, int64_t n, double *z, double *rows,
                      double *active)
{
    int whole = 1;
    for (int64_t g = 0; g < kernel->n_groups; g++) {
        const int64_t first = kernel->group_start[g], last = kernel->group_start[g + 1];
        double *there = active + g * n;
        for (int64_t j = 0; j < n; j++) {
            there[j] = g == 0 || (first < last && !isnan(x[kernel->order[first] * n + j])) ? 1.0 : 0.0;
        }
        for (int64_t c = first; c < last; c++) {
            const double scale = c - first < kernel->n_numeric[g] ? kernel->inverse[c] : 1.0;
            whole &= scale_column(x + kernel->order[c] * n, there, scale, n, z + c * n);
        }
    }
    /* A tile of rows stays in the first cache. */
    for (int64_t start = 0; start < n; start += TILE) {
        for (int64_t c = 0; c < kernel->n_columns; c++) {
            for (int64_t j = start; j < least(start + TILE, n); j++) {
                rows[j * kernel->n_columns + c] = z[c * n + j];
            }
        }
    }
    return whole;
}

/* Room for a block: of values, or of gradients with their sums and the parts of ROWS rows. NULL if memory is short. */
static double *new_room(const covariance_kernel *kernel, int gradients)
{
    const int64_t rows = kernel->n_columns + kernel->n_groups, parts = kernel->n_groups * PARTS * ROWS;
    const int64_t vectors = gradients ? 2 * rows + parts : rows * VECTORS;
    return malloc((size_t)(vectors * HPO_MAX_LANES) * sizeof(double));
}

int covariance_cross(const covariance_kernel *kernel, const covariance_points *a, const covariance_points *b,
                     int64_t start, int64_t stop, double *out, int64_t stride)
{
    double *room = new_room(kernel, 0);
    for (int64_t first = 0; room && first < a->n; first += BAND) {
        cross(kernel, a, first, least(first + BAND, a->n), b, start, stop, room, out, stride);
    }
    free(room);
    return room != NULL;
}

int covariance_matrix(const covariance_kernel *kernel, const covariance_points *a, int64_t start, int64_t stop,
                      double *out, int64_t stride)
{
    double *room = new_room(kernel, 0);
    for (int64_t j = start; room && j < stop; j += TILE) {
        const int64_t end = least(j + TILE, stop);
        for (int64_t first = j; first < a->n; first += TILE) {
            const int64_t last = least(first + TILE, a->n);
            cross(kernel, a, first, last, a, j, end, room, out, stride);
            for (int64_t column = j; column < end; column++) {
                for (int64_t i = first > column ? first : column + 1; i < last; i++) {
                    out[column * stride + i] = out[i * stride + column];
                }
            }
        }
        for (int64_t i = j; i < end; i++) {
            out[i * stride + i] = 1.0;
        }
    }
    free(room);
    return room != NULL;
}

int covariance_cross_mean(const covariance_kernel *kernel, const covariance_points *a, const double *weights,
                          int64_t n_weights, const covariance_points *b, int64_t start, int64_t stop, double *out)
{
    double *room = new_room(kernel, 0);
    for (int64_t w = 0; room && w < n_weights; w += MEANS) {
        cross_mean(kernel, a, weights + w * a->n, least(n_weights - w, MEANS), b, start, stop, room, out + w * b->n);
    }
    free(room);
    return room != NULL;
}

int covariance_slopes(const covariance_kernel *kernel, const covariance_points *a, const double *weight,
                      int64_t stride, int64_t start, int64_t stop, double *by_lengthscale, double *by_correlation)
{
    double *room = new_room(kernel, 1);
    if (room) {
        slopes(kernel, a, a, weight, stride, start, stop, room, by_lengthscale, by_correlation);
    }
    free(room);
    return room != NULL;
}

int covariance_cross_slopes(const covariance_kernel *kernel, const covariance_points *a, const covariance_points *b,
                            const double *weight, int64_t stride, int64_t start, int64_t stop, double *out)
{
    double *room = new_room(kernel, 1);
    if (room) {
        slopes(kernel, a, b, weight, stride, start, stop, room, out, NULL);
    }
    free(room);
    return room != NULL;
}
