#include "importance.h"

#include <math.h>
#include <string.h>

/* Scott's rule: 1.059 min(sd, IQR / 1.349) n^(-1/5). */
static const double SCOTT = 1.059, IQR_OF_NORMAL = 1.349;

static int64_t choice_of(double x, int64_t m)
{
    int64_t k = (int64_t)x;
    return k < 0 ? 0 : k > m - 1 ? m - 1 : k;
}

/* The cell that holds x: the guess is right at once if all are of one width. */
static int64_t cell_of(const double *edges, int64_t m, double x)
{
    int64_t k = choice_of(x * (double)m, m);
    while (k > 0 && x < edges[k]) {
        k--;
    }
    while (k < m - 1 && x >= edges[k + 1]) {
        k++;
    }
    return k;
}

/* Counts by cell; gives the trials with a value, and the chosen ones of them. */
static int64_t count(const double *edges, int64_t m, const double *x, const uint8_t *chosen, int64_t n, double *all,
                     double *best, int64_t *n_best)
{
    int64_t active = 0, found = 0;
    memset(all, 0, (size_t)m * sizeof(double));
    memset(best, 0, (size_t)m * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i])) {
            continue;
        }
        int64_t k = edges ? cell_of(edges, m, x[i]) : choice_of(x[i], m);
        all[k] += 1.0;
        best[k] += chosen[i];
        active++;
        found += chosen[i];
    }
    *n_best = found;
    return active;
}

/* Centre of the cell up to which a share of the trials lies. */
static double quantile(const double *edges, const double *count, int64_t m, double rank)
{
    int64_t k = 0;
    for (double below = count[0]; below < rank && k < m - 1; below += count[k]) {
        k++;
    }
    return 0.5 * (edges[k] + edges[k + 1]);
}

static double bandwidth(const double *edges, const double *count, int64_t m, double n)
{
    double mean = 0.0, squares = 0.0;
    for (int64_t k = 0; k < m; k++) {
        mean += count[k] * 0.5 * (edges[k] + edges[k + 1]);
    }
    mean /= n;
    for (int64_t k = 0; k < m; k++) {
        double off = 0.5 * (edges[k] + edges[k + 1]) - mean;
        squares += count[k] * off * off;
    }
    double sd = n > 1.0 ? sqrt(squares / (n - 1.0)) : 0.0;
    double iqr = quantile(edges, count, m, 0.75 * n) - quantile(edges, count, m, 0.25 * n);
    double spread = iqr > 0.0 ? fmin(sd, iqr / IQR_OF_NORMAL) : sd;
    return SCOTT * spread * pow(n, -0.2);
}

/* p, p' and sums of S_gj^2 f_j and of S_gj^2 f'_j from counts; column j of S is over all cells, in proportion to
 * their widths. */
static void smooth(const double *edges, int64_t m, double h, const double *all, const double *best, double *column,
                   double *p, double *p_best, double *squares, double *squares_best)
{
    double inverse = h > 0.0 ? 1.0 / h : INFINITY;
    for (int64_t j = 0; j < m; j++) {
        if (all[j] == 0.0) {
            continue;
        }
        double center = 0.5 * (edges[j] + edges[j + 1]), sum = 0.0;
        for (int64_t g = 0; g < m; g++) {
            double z = g == j ? 0.0 : (0.5 * (edges[g] + edges[g + 1]) - center) * inverse;
            column[g] = (edges[g + 1] - edges[g]) * exp(-0.5 * z * z);
            sum += column[g];
        }
        for (int64_t g = 0; g < m; g++) {
            double s = column[g] / sum;
            p[g] += s * all[j];
            p_best[g] += s * best[j];
            squares[g] += s * s * all[j];
            squares_best[g] += s * s * best[j];
        }
    }
}

/* N, where of_all is A - 1 and of_best A' - 1. */
static double noise_of(double d, double of_all, double of_best, double a, double b)
{
    if (a < 2.0) {
        return 0.0;
    }
    return b < 2.0 ? of_all : (of_best - d) / (b - 1.0) - of_all / (a - 1.0);
}

void importance_divergences(const importance_grid *grid, const double *x, const uint8_t *chosen, int64_t n,
                            double *scratch, double *divergence, double *noise, int64_t *n_active,
                            int64_t *n_chosen)
{
    int64_t most = 1;
    for (int64_t i = 0; i < grid->d; i++) {
        most = grid->cells[i] > most ? grid->cells[i] : most;
    }
    double *all = scratch, *best = all + most, *p = best + most, *p_best = p + most, *squares = p_best + most;
    double *squares_best = squares + most, *column = squares_best + most;
    for (int64_t i = 0; i < grid->d; i++) {
        int64_t m = grid->cells[i];
        const double *edges = grid->start[i] < 0 ? 0 : grid->edges + grid->start[i];
        divergence[i] = noise[i] = 0.0;
        n_active[i] = count(edges, m, x + i * n, chosen, n, all, best, &n_chosen[i]);
        if (n_chosen[i] == 0) {
            continue;
        }
        double a = (double)n_active[i], b = (double)n_chosen[i];
        if (edges) {
            memset(p, 0, (size_t)(4 * most) * sizeof(double));
            smooth(edges, m, bandwidth(edges, best, m, b), all, best, column, p, p_best, squares, squares_best);
        } else {
            memcpy(p, all, (size_t)m * sizeof(double));
            memcpy(p_best, best, (size_t)m * sizeof(double));
            memcpy(squares, all, (size_t)m * sizeof(double));
            memcpy(squares_best, best, (size_t)m * sizeof(double));
        }
        double d = 0.0, of_all = -1.0, of_best = -1.0;
        for (int64_t g = 0; g < m; g++) {
            if (p[g] > 0.0) {
                double off = p_best[g] / b - p[g] / a;
                d += off * off / (p[g] / a);
                of_all += squares[g] / p[g];
                of_best += squares_best[g] / b / (p[g] / a);
            }
        }
        divergence[i] = d;
        noise[i] = noise_of(d, of_all, of_best, a, b);
    }
}
