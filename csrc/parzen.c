/* Upkeep of a Parzen mixture: sorted columns, bandwidths, constants. The loops over (candidate, kernel)
 * are in parzen_kernels.h, compiled once per SIMD level. */
#include "parzen.h"

#include <math.h>
#include <string.h>

/* Vectors of candidates per pass, and kernels per fold: what registers and the first cache hold. */
enum { VECTORS = 4, CHUNK = 16, MAX_LEVELS = 1024, BLOCK = 64 };

/* Columns after which a kernel is held against the maximum so far, and by how much its exponent must be below that not
 * to count: 257 times e^-45 is a tenth of the rounding error of 1. */
enum { STRIDE = 6 };
static const double NEGLIGIBLE = 45.0;

/* Exponents are raised to this before exp: e^-700 is as good as 0 beside a term of 1. */
static const double LEAST = -700.0;

#define HPO_KERNELS "parzen_kernels.h"
#include "simd_targets.h"

static const double SQRT_HALF = 0.70710678118654752440;

static HPO_DISPATCH(void, density,
                    (const parzen_mixture *p, const double *x, int64_t m, int64_t k0, int64_t k1, double *joint,
                     double *context), (p, x, m, k0, k1, joint, context))
static HPO_DISPATCH(void, context_rows, (const parzen_mixture *p, const double *x, int64_t m, double *terms),
                    (p, x, m, terms))
static HPO_DISPATCH(void, log_norms,
                    (const double *mu, const double *sigma, int64_t n, double *out, double *below, double *above),
                    (mu, sigma, n, out, below, above))
static HPO_DISPATCH(double, level_masses,
                    (double scale, double shift, const double *centers, const double *widths, int64_t n, double *out),
                    (scale, shift, centers, widths, n, out))
static HPO_DISPATCH(double, draw_level,
                    (double scale, double shift, double u, const double *centers, const double *widths, int64_t n),
                    (scale, shift, u, centers, widths, n))
static HPO_DISPATCH(void, draw_continuous,
                    (const double *mu, const double *sigma, const double *u, int64_t n, double *x),
                    (mu, sigma, u, n, x))
static HPO_DISPATCH(void, draw_between,
                    (const double *mu, const double *sigma, const double *below, const double *above, const double *u,
                     int64_t n, double *x),
                    (mu, sigma, below, above, u, n, x))
HPO_DISPATCH(void, parzen_uniforms, (uint64_t seed, uint64_t stream, uint64_t start, int64_t n, double *out),
             (seed, stream, start, n, out))

static int64_t columns(const parzen_mixture *p) { return p->n_num + p->n_cat; }
static int64_t row_length(const parzen_mixture *p) { return 2 * p->n_num + p->n_cat; }

static double center_of(const parzen_mixture *p, int64_t k, int64_t column)
{
    return p->center[k * columns(p) + column];
}

/* ---- placing kernels ------------------------------------------------------------------------------------- */

void parzen_clear(parzen_mixture *p, double prior_weight)
{
    p->size = 1;
    p->ordered = 0;
    p->log_weight[0] = log(prior_weight);
    memset(p->row, 0, (size_t)(2 * p->n_num) * sizeof(double));
    memset(p->log_norm, 0, (size_t)p->n_num * sizeof(double));
    for (int64_t c = 0; c < p->n_cat; c++) {
        p->row[2 * p->n_num + c] = -1.0; /* matches no category */
    }
}

void parzen_place(parzen_mixture *p, int64_t k, const double *x, int64_t stride, int64_t trial)
{
    double *center = p->center + k * columns(p);
    for (int64_t c = 0; c < columns(p); c++) {
        center[c] = x[p->dims[c] * stride + trial];
    }
    memcpy(p->row + k * row_length(p) + 2 * p->n_num, center + p->n_num, (size_t)p->n_cat * sizeof(double));
}

void parzen_move(parzen_mixture *p, int64_t from, int64_t to)
{
    const int64_t D = columns(p), length = row_length(p);
    memcpy(p->center + to * D, p->center + from * D, (size_t)D * sizeof(double));
    memcpy(p->row + to * length, p->row + from * length, (size_t)length * sizeof(double));
    p->log_weight[to] = p->log_weight[from];
}

/* ---- bandwidths ------------------------------------------------------------------------------------------ */

static double half_cell(const hpo_domain *domain, int64_t dim, double x)
{
    if (domain->kinds[dim] != HPO_DISCRETE) {
        return 0.0;
    }
    int64_t level = 0;
    if (!domain->regular[dim]) {
        domain_levels(domain, dim, &x, 1, &level);
    }
    return 0.5 * domain->widths[domain->table_start[dim] + level];
}

static double larger(double a, double b) { return a > b ? a : b; }

/* From so many numeric columns on, kernels as wide as the larger gap (Bergstra 2011) are too wide, and the mean gap
 * is better; with two columns it is worse. See bench/results/2026-11-29-tpe-quality.md. */
enum { MANY = 4 };

/* The larger or the mean gap to the neighbours; at an end of the column the only one; alone, the larger distance to
 * a bound. Clipped to [floor, 1], and to at least half a cell. */
static double bandwidth(const parzen_mixture *p, const hpo_domain *domain, int64_t dim, double x, const double *left,
                        const double *right, double floor)
{
    double sigma;
    if (left && right) {
        sigma = p->n_num < MANY ? larger(x - *left, *right - x) : 0.5 * (*right - *left);
    } else if (left || right) {
        sigma = left ? x - *left : *right - x;
    } else {
        sigma = larger(x, 1.0 - x);
    }
    sigma = larger(larger(sigma, floor), half_cell(domain, dim, x));
    return sigma < 1.0 ? sigma : 1.0;
}

/* Continuous kernels, each of a slot and a column, whose bandwidth is new. */
typedef struct {
    int64_t n;
    int32_t slot[BLOCK], column[BLOCK];
} pending;

static void set_scale(parzen_mixture *p, int64_t slot, int64_t column)
{
    const double scale = SQRT_HALF / p->sigma[slot * p->n_num + column];
    double *pair = p->row + slot * row_length(p) + 2 * column;
    pair[0] = scale;
    pair[1] = -center_of(p, slot, column) * scale;
}

/* Normalisers and row entries of the pending kernels. */
static void finish(parzen_mixture *p, pending *kernels)
{
    double mu[BLOCK], sigma[BLOCK], norm[BLOCK], below[BLOCK], above[BLOCK];
    for (int64_t i = 0; i < kernels->n; i++) {
        mu[i] = center_of(p, kernels->slot[i], kernels->column[i]);
        sigma[i] = p->sigma[kernels->slot[i] * p->n_num + kernels->column[i]];
    }
    log_norms(mu, sigma, kernels->n, norm, below, above);
    for (int64_t i = 0; i < kernels->n; i++) {
        const int64_t at = kernels->slot[i] * p->n_num + kernels->column[i];
        p->log_norm[at] = norm[i];
        if (p->tail) {
            p->tail[2 * at] = below[i];
            p->tail[2 * at + 1] = above[i];
        }
        set_scale(p, kernels->slot[i], kernels->column[i]);
    }
    kernels->n = 0;
}

/* The same of one discrete kernel. */
static void finish_levels(parzen_mixture *p, const hpo_domain *domain, int64_t slot, int64_t column)
{
    const int64_t dim = p->dims[column], first = domain->table_start[dim];
    const int64_t n = domain->table_start[dim + 1] - first;
    double room[MAX_LEVELS], *mass = room;
    if (p->cumulative) {
        mass = p->cumulative + slot * p->n_levels + p->level_start[column];
    }
    set_scale(p, slot, column);
    const double *pair = p->row + slot * row_length(p) + 2 * column;
    const double total = level_masses(pair[0], pair[1], domain->centers + first, domain->widths + first, n, mass);
    p->log_norm[slot * p->n_num + column] = log(total);
    for (int64_t i = 1; p->cumulative && i < n; i++) {
        mass[i] += mass[i - 1];
    }
}

/* The kernel at a rank of a sorted column has a new bandwidth. */
static void put(parzen_mixture *p, const hpo_domain *domain, int64_t slot, int64_t column, pending *kernels)
{
    if (domain->kinds[p->dims[column]] == HPO_DISCRETE) {
        finish_levels(p, domain, slot, column);
        return;
    }
    kernels->slot[kernels->n] = (int32_t)slot;
    kernels->column[kernels->n++] = (int32_t)column;
    if (kernels->n == BLOCK) {
        finish(p, kernels);
    }
}

/* Bandwidth of the kernel at a rank of one sorted column. */
static double bandwidth_at(const parzen_mixture *p, const hpo_domain *domain, int64_t column, int64_t rank,
                           double floor)
{
    const int32_t *order = p->order + column * p->capacity;
    const int has_next = rank + 1 < p->ordered;
    const double left = rank > 0 ? center_of(p, order[rank - 1], column) : 0.0;
    const double right = has_next ? center_of(p, order[rank + 1], column) : 0.0;
    return bandwidth(p, domain, p->dims[column], center_of(p, order[rank], column), rank > 0 ? &left : NULL,
                     has_next ? &right : NULL, floor);
}

/* ---- sorted columns -------------------------------------------------------------------------------------- */

/* Ties are ordered by slot, so that the order, and with it every bandwidth, is a function of the kernels. */
static int precedes(const parzen_mixture *p, int64_t column, int32_t a, int32_t b)
{
    const double x = center_of(p, a, column), y = center_of(p, b, column);
    return (x < y) | ((x == y) & (a < b));
}

/* Rank of a slot among the first n of a sorted column: halving without branches, as nothing predicts them. */
static int64_t rank_of(const parzen_mixture *p, int64_t column, int32_t slot, int64_t n)
{
    const int32_t *order = p->order + column * p->capacity;
    int64_t low = 0;
    while (n > 0) {
        const int64_t half = (n + 1) / 2;
        low += precedes(p, column, order[low + half - 1], slot) * half;
        n -= half;
    }
    return low;
}

/* Bottom-up merge sort: no allocation, and near linear on the almost sorted columns it usually meets. */
static void sort_column(parzen_mixture *p, int64_t column)
{
    int32_t *order = p->order + column * p->capacity;
    for (int64_t i = 0; i < p->ordered; i++) {
        order[i] = (int32_t)(i + 1);
    }
    for (int64_t width = 1; width < p->ordered; width *= 2) {
        for (int64_t start = 0; start + width < p->ordered; start += 2 * width) {
            const int64_t middle = start + width;
            const int64_t end = middle + width < p->ordered ? middle + width : p->ordered;
            if (precedes(p, column, order[middle - 1], order[middle])) {
                continue;
            }
            memcpy(p->scratch, order + start, (size_t)width * sizeof(int32_t));
            int64_t i = 0, j = middle, out = start;
            while (i < width) {
                order[out++] = j < end && precedes(p, column, order[j], p->scratch[i]) ? order[j++] : p->scratch[i++];
            }
        }
    }
}

/* Bandwidths of all sorted kernels; those that are as before keep their normalisers unless `whole`. */
static void settle(parzen_mixture *p, const hpo_domain *domain, double floor, int whole)
{
    pending kernels = {.n = 0};
    for (int64_t column = 0; column < p->n_num; column++) {
        const int32_t *order = p->order + column * p->capacity;
        for (int64_t rank = 0; rank < p->ordered; rank++) {
            double *sigma = p->sigma + order[rank] * p->n_num + column;
            const double now = bandwidth_at(p, domain, column, rank, floor);
            if (whole || *sigma != now) {
                *sigma = now;
                put(p, domain, order[rank], column, &kernels);
            }
        }
    }
    finish(p, &kernels);
    parzen_constants(p, 0, p->size);
}

void parzen_rebuild(parzen_mixture *p, const hpo_domain *domain, double floor)
{
    p->ordered = p->size - 1;
    for (int64_t column = 0; column < p->n_num; column++) {
        sort_column(p, column);
    }
    settle(p, domain, floor, 1);
}

void parzen_settle(parzen_mixture *p, const hpo_domain *domain, double floor) { settle(p, domain, floor, 0); }

/* Ranks of slot k among the first n of every sorted column. One loop, so that the searches overlap. */
static void ranks_of(const parzen_mixture *p, int64_t k, int64_t n, int32_t *rank)
{
    for (int64_t column = 0; column < p->n_num; column++) {
        rank[column] = (int32_t)rank_of(p, column, (int32_t)k, n);
    }
}

/* The slot at a rank leaves a sorted column of n slots, or slot k enters there. */
static void leave(parzen_mixture *p, int64_t column, int64_t rank, int64_t n)
{
    int32_t *order = p->order + column * p->capacity;
    memmove(order + rank, order + rank + 1, (size_t)(n - rank - 1) * sizeof(int32_t));
}

static void enter(parzen_mixture *p, int64_t column, int64_t k, int64_t rank, int64_t n)
{
    int32_t *order = p->order + column * p->capacity;
    memmove(order + rank + 1, order + rank, (size_t)(n - rank) * sizeof(int32_t));
    order[rank] = (int32_t)k;
}

/* New bandwidths at ranks first..last of one column; returns how many slots are stale now. */
static int64_t update_ranks(parzen_mixture *p, const hpo_domain *domain, int64_t column, int64_t first,
                            int64_t last, double floor, pending *kernels, int64_t n_stale)
{
    const int32_t *order = p->order + column * p->capacity;
    last = last < p->ordered ? last : p->ordered - 1;
    for (int64_t rank = first < 0 ? 0 : first; rank <= last; rank++) {
        p->sigma[order[rank] * p->n_num + column] = bandwidth_at(p, domain, column, rank, floor);
        put(p, domain, order[rank], column, kernels);
        p->stale[n_stale++] = order[rank];
    }
    return n_stale;
}

/* Normalisers of the last pending kernels, then the constants of each stale slot, once. */
static void finish_stale(parzen_mixture *p, pending *kernels, int64_t n_stale)
{
    finish(p, kernels);
    for (int64_t i = 0; i < n_stale; i++) {
        p->scratch[p->stale[i]] = 1;
    }
    for (int64_t i = 0; i < n_stale; i++) {
        const int32_t slot = p->stale[i];
        if (p->scratch[slot]) {
            p->scratch[slot] = 0;
            parzen_constants(p, slot, slot + 1);
        }
    }
}

void parzen_insert(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
{
    pending kernels = {.n = 0};
    int64_t n_stale = 0;
    int32_t *rank = p->stale + 5 * p->n_num;
    const int64_t before = p->ordered++;
    ranks_of(p, k, before, rank);
    for (int64_t column = 0; column < p->n_num; column++) {
        enter(p, column, k, rank[column], before);
        n_stale = update_ranks(p, domain, column, rank[column] - 1, rank[column] + 1, floor, &kernels, n_stale);
    }
    finish_stale(p, &kernels, n_stale);
    parzen_constants(p, k, k + 1); /* there may be no numeric column */
}

void parzen_remove(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
{
    pending kernels = {.n = 0};
    int64_t n_stale = 0;
    int32_t *rank = p->stale + 5 * p->n_num;
    const int64_t before = p->ordered--;
    ranks_of(p, k, before, rank);
    for (int64_t column = 0; column < p->n_num; column++) {
        leave(p, column, rank[column], before);
        n_stale = update_ranks(p, domain, column, rank[column] - 1, rank[column], floor, &kernels, n_stale);
    }
    finish_stale(p, &kernels, n_stale);
}

void parzen_replace(parzen_mixture *p, const hpo_domain *domain, int64_t k, const double *x, int64_t stride,
                    int64_t trial, double floor)
{
    pending kernels = {.n = 0};
    int32_t *left = p->stale + 5 * p->n_num, *entered = left + p->n_num;
    int64_t n_stale = 0;
    ranks_of(p, k, p->ordered, left);
    for (int64_t column = 0; column < p->n_num; column++) {
        leave(p, column, left[column], p->ordered);
    }
    parzen_place(p, k, x, stride, trial);
    ranks_of(p, k, p->ordered - 1, entered);
    for (int64_t column = 0; column < p->n_num; column++) {
        const int64_t rank = entered[column], gap = left[column];
        enter(p, column, k, rank, p->ordered - 1);
        n_stale = update_ranks(p, domain, column, rank - 1, rank + 1, floor, &kernels, n_stale);
        /* Its former neighbours have moved up by one if it is below them now. */
        for (int64_t old = gap - 1; old <= gap; old++) {
            const int64_t now = old + (old >= rank);
            if (now < rank - 1 || now > rank + 1) {
                n_stale = update_ranks(p, domain, column, now, now, floor, &kernels, n_stale);
            }
        }
    }
    finish_stale(p, &kernels, n_stale);
    parzen_constants(p, k, k + 1);
}

/* Rows k..k+n-1 of an array move up by one. */
static void shift(double *array, int64_t width, int64_t k, int64_t n)
{
    memmove(array + (k + 1) * width, array + k * width, (size_t)(n * width) * sizeof(double));
}

void parzen_enter(parzen_mixture *p, int64_t k, const double *x, int64_t stride, int64_t trial)
{
    const int64_t n = p->size - k, before = p->ordered++;
    shift(p->center, columns(p), k, n);
    shift(p->sigma, p->n_num, k, n);
    shift(p->log_norm, p->n_num, k, n);
    shift(p->log_weight, 1, k, n);
    shift(p->row, row_length(p), k, n);
    if (p->tail) {
        shift(p->tail, 2 * p->n_num, k, n);
    }
    if (p->cumulative) {
        shift(p->cumulative, p->n_levels, k, n);
    }
    p->size++;
    parzen_place(p, k, x, stride, trial);
    for (int64_t column = 0; column < p->n_num; column++) {
        int32_t *order = p->order + column * p->capacity;
        for (int64_t rank = 0; rank < before; rank++) {
            order[rank] += order[rank] >= k;
        }
        enter(p, column, k, rank_of(p, column, (int32_t)k, before), before);
        p->sigma[k * p->n_num + column] = 0.0; /* no bandwidth: it is new to parzen_settle */
    }
}

void parzen_leave(parzen_mixture *p)
{
    const int64_t before = p->ordered--;
    p->size--;
    for (int64_t column = 0; column < p->n_num; column++) {
        leave(p, column, rank_of(p, column, (int32_t)p->size, before), before);
    }
}

void parzen_attach(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
{
    pending kernels = {.n = 0};
    for (int64_t column = 0; column < p->n_num; column++) {
        const int32_t *order = p->order + column * p->capacity;
        const int64_t rank = rank_of(p, column, (int32_t)k, p->ordered);
        const double left = rank > 0 ? center_of(p, order[rank - 1], column) : 0.0;
        const double right = rank < p->ordered ? center_of(p, order[rank], column) : 0.0;
        p->sigma[k * p->n_num + column] =
            bandwidth(p, domain, p->dims[column], center_of(p, k, column), rank > 0 ? &left : NULL,
                      rank < p->ordered ? &right : NULL, floor);
        put(p, domain, k, column, &kernels);
    }
    finish(p, &kernels);
    parzen_constants(p, k, k + 1);
}

/* ---- categories and constants ---------------------------------------------------------------------------- */

void parzen_smooth(parzen_mixture *p, const hpo_domain *domain, double epsilon)
{
    for (int64_t c = 0; c < p->n_cat; c++) {
        const double choices = (double)domain->levels[p->dims[p->n_num + c]];
        const double log_total = log1p(choices * epsilon);
        p->match[2 * c] = log1p(1.0 / epsilon);
        p->match[2 * c + 1] = log(epsilon) - log_total;
        p->prior_shift[c] = -log(choices) - p->match[2 * c + 1];
    }
    parzen_constants(p, 0, 1);
}

/* In four parts: one addition need not wait for the one before. */
static double sum_of(const double *x, int64_t n)
{
    double part[4] = {0.0, 0.0, 0.0, 0.0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int j = 0; j < 4; j++) {
            part[j] += x[i + j];
        }
    }
    for (; i < n; i++) {
        part[0] += x[i];
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

void parzen_constants(parzen_mixture *p, int64_t k0, int64_t k1)
{
    for (int64_t k = k0; k < k1; k++) {
        const double *log_norm = p->log_norm + k * p->n_num;
        double context = p->log_weight[k] - sum_of(log_norm, p->ctx_num);
        double own = -sum_of(log_norm + p->ctx_num, p->n_num - p->ctx_num);
        if (k == 0) { /* the prior matches nothing: its own constant makes the mismatch uniform */
            for (int64_t c = 0; c < p->n_cat; c++) {
                *(c < p->ctx_cat ? &context : &own) += p->prior_shift[c];
            }
        }
        p->constant[2 * k] = context;
        p->constant[2 * k + 1] = own;
    }
}

/* Log density of mismatch in every category column: what each kernel has before matches are counted. */
static double mismatch(const parzen_mixture *p, int64_t first, int64_t last)
{
    double sum = 0.0;
    for (int64_t c = first; c < last; c++) {
        sum += p->match[2 * c + 1];
    }
    return sum;
}

/* ---- evaluation and draws -------------------------------------------------------------------------------- */

void parzen_log_density(const parzen_mixture *p, const double *x, int64_t m, int64_t k0, int64_t k1,
                        double *joint, double *context)
{
    density(p, x, m, k0, k1, joint, context);
    const double context_base = mismatch(p, 0, p->ctx_cat);
    const double joint_base = context_base + mismatch(p, p->ctx_cat, p->n_cat);
    for (int64_t j = 0; j < m; j++) {
        joint[j] += joint_base;
    }
    for (int64_t j = 0; context && j < m; j++) {
        context[j] += context_base;
    }
}

void parzen_context_terms(const parzen_mixture *p, const double *x, int64_t m, double *terms)
{
    context_rows(p, x, m, terms);
}

static void draw_category(const parzen_mixture *p, const hpo_domain *domain, int64_t column,
                          const int32_t *component, const double *u, int64_t m, double *x)
{
    const int64_t c = column - p->n_num;
    const double choices = (double)domain->levels[p->dims[column]];
    const double hit = exp(p->match[2 * c] + p->match[2 * c + 1]);
    for (int64_t j = 0; j < m; j++) {
        const double code = p->row[component[j] * row_length(p) + column + p->n_num];
        /* The prior shares all choices, a kernel those that it misses. Both are computed and one selected: the
         * branch would be mispredicted. */
        const double share = code < 0.0 ? choices : choices - 1.0;
        const double v = code < 0.0 ? u[j] : (u[j] - hit) / (1.0 - hit);
        const double other = fmax(fmin(floor(v * share), share - 1.0), 0.0);
        const double missed = other + (code >= 0.0 && other >= code);
        x[j] = ((code >= 0.0) & (u[j] < hit)) ? code : fmin(missed, choices - 1.0);
    }
}

/* Level by running sums of masses: halving without branches, which would be mispredicted every time. */
static int64_t level_at(const double *cumulative, int64_t n, double u)
{
    const double target = u * cumulative[n - 1];
    int64_t low = 0;
    while (n > 1) {
        const int64_t half = n / 2;
        low += (cumulative[low + half - 1] < target) * half;
        n -= half;
    }
    return low;
}

static void draw_levels(const parzen_mixture *p, const hpo_domain *domain, int64_t column,
                        const int32_t *component, const double *u, int64_t m, double *x)
{
    const int64_t first = domain->table_start[p->dims[column]];
    const int64_t n = domain->table_start[p->dims[column] + 1] - first;
    for (int64_t j = 0; j < m; j++) {
        if (p->cumulative) {
            const double *row = p->cumulative + component[j] * p->n_levels + p->level_start[column];
            x[j] = domain->centers[first + level_at(row, n, u[j])];
        } else {
            const double *pair = p->row + component[j] * row_length(p) + 2 * column;
            x[j] = draw_level(pair[0], pair[1], u[j], domain->centers + first, domain->widths + first, n);
        }
    }
}

static void draw_numbers(const parzen_mixture *p, int64_t column, const int32_t *component, const double *u,
                         int64_t m, double *x)
{
    double mu[BLOCK], sigma[BLOCK], below[BLOCK], above[BLOCK];
    for (int64_t i = 0; i < m; i++) {
        const int64_t k = component[i], at = k * p->n_num + column;
        mu[i] = k ? center_of(p, k, column) : 0.5;
        sigma[i] = k ? p->sigma[at] : 0.0; /* 0: the uniform prior, x = u */
        below[i] = p->tail ? p->tail[2 * at] : 0.0;
        above[i] = p->tail ? p->tail[2 * at + 1] : 0.0;
    }
    if (p->tail) {
        draw_between(mu, sigma, below, above, u, m, x);
    } else {
        draw_continuous(mu, sigma, u, m, x);
    }
}

void parzen_draw(const parzen_mixture *p, const hpo_domain *domain, int64_t column, const int32_t *component,
                 const double *u, int64_t m, double *x)
{
    const int64_t dim = p->dims[column];
    if (column >= p->n_num) {
        draw_category(p, domain, column, component, u, m, x);
        return;
    }
    if (domain->kinds[dim] == HPO_DISCRETE) {
        draw_levels(p, domain, column, component, u, m, x);
        return;
    }
    for (int64_t start = 0; start < m; start += BLOCK) {
        draw_numbers(p, column, component + start, u + start, m - start < BLOCK ? m - start : BLOCK, x + start);
    }
    domain_snap(domain, dim, x, m);
}
