/* Upkeep of a Parzen mixture: sorted columns, bandwidths, constants. The loops over (candidate, kernel)
 * are in parzen_kernels.h, compiled once per SIMD level. */
#include "parzen.h"

#include <math.h>
#include <string.h>

/* Vectors of candidates per pass, and kernels per fold: what registers and the first cache hold. */
enum { VECTORS = 4, CHUNK = 16, MAX_LEVELS = 1024 };

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
static HPO_DISPATCH(void, log_norms, (const double *mu, const double *sigma, int64_t n, double *out),
                    (mu, sigma, n, out))
static HPO_DISPATCH(double, level_norm,
                    (double scale, double shift, const double *centers, const double *widths, int64_t n),
                    (scale, shift, centers, widths, n))
static HPO_DISPATCH(double, draw_level,
                    (double scale, double shift, double u, const double *centers, const double *widths, int64_t n),
                    (scale, shift, u, centers, widths, n))
static HPO_DISPATCH(void, draw_continuous,
                    (const double *mu, const double *sigma, const double *u, int64_t n, double *x),
                    (mu, sigma, u, n, x))
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
    int64_t level;
    domain_levels(domain, dim, &x, 1, &level);
    return 0.5 * domain->widths[domain->table_start[dim] + level];
}

/* The larger gap to a neighbour (Bergstra 2011); at an end of the column the only one; alone, the larger
 * distance to a bound. Clipped to [floor, 1], and to at least half a cell. */
static double bandwidth(const hpo_domain *domain, int64_t dim, double x, const double *left, const double *right,
                        double floor)
{
    double sigma;
    if (left && right) {
        sigma = fmax(x - *left, *right - x);
    } else if (left || right) {
        sigma = left ? x - *left : *right - x;
    } else {
        sigma = fmax(x, 1.0 - x);
    }
    return fmin(fmax(fmax(sigma, floor), half_cell(domain, dim, x)), 1.0);
}

/* Normalisers and row entries of a column for n slots whose sigma is set. */
static void finish_column(parzen_mixture *p, const hpo_domain *domain, int64_t column, const int32_t *slots,
                          int64_t n)
{
    enum { BLOCK = 64 };
    const int64_t dim = p->dims[column];
    double mu[BLOCK], sigma[BLOCK], out[BLOCK];
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        for (int64_t i = 0; i < count; i++) {
            mu[i] = center_of(p, slots[start + i], column);
            sigma[i] = p->sigma[slots[start + i] * p->n_num + column];
        }
        if (domain->kinds[dim] == HPO_DISCRETE) {
            const int64_t first = domain->table_start[dim];
            for (int64_t i = 0; i < count; i++) {
                const double scale = SQRT_HALF / sigma[i];
                out[i] = log(level_norm(scale, -mu[i] * scale, domain->centers + first, domain->widths + first,
                                        domain->table_start[dim + 1] - first));
            }
        } else {
            log_norms(mu, sigma, count, out);
        }
        for (int64_t i = 0; i < count; i++) {
            const int64_t k = slots[start + i];
            const double scale = SQRT_HALF / sigma[i];
            p->log_norm[k * p->n_num + column] = out[i];
            p->row[k * row_length(p) + 2 * column] = scale;
            p->row[k * row_length(p) + 2 * column + 1] = -mu[i] * scale;
        }
    }
}

/* Bandwidths of the slots at ranks first..last of one sorted column. */
static void update_ranks(parzen_mixture *p, const hpo_domain *domain, int64_t column, int64_t first, int64_t last,
                         double floor)
{
    const int32_t *order = p->order + column * p->capacity;
    first = first < 0 ? 0 : first;
    last = last >= p->ordered ? p->ordered - 1 : last;
    double previous = first > 0 ? center_of(p, order[first - 1], column) : 0.0;
    double x = first <= last ? center_of(p, order[first], column) : 0.0;
    for (int64_t r = first; r <= last; r++) {
        const int has_next = r + 1 < p->ordered;
        const double next = has_next ? center_of(p, order[r + 1], column) : 0.0;
        p->sigma[order[r] * p->n_num + column] =
            bandwidth(domain, p->dims[column], x, r > 0 ? &previous : NULL, has_next ? &next : NULL, floor);
        previous = x;
        x = next;
    }
    if (first <= last) {
        finish_column(p, domain, column, order + first, last - first + 1);
    }
}

/* ---- sorted columns -------------------------------------------------------------------------------------- */

/* Ties are ordered by slot, so that the order, and with it every bandwidth, is a function of the kernels. */
static int precedes(const parzen_mixture *p, int64_t column, int32_t a, int32_t b)
{
    const double x = center_of(p, a, column), y = center_of(p, b, column);
    return x < y || (x == y && a < b);
}

static int64_t rank_of(const parzen_mixture *p, int64_t column, int32_t slot)
{
    const int32_t *order = p->order + column * p->capacity;
    int64_t low = 0, high = p->ordered;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (precedes(p, column, order[middle], slot)) {
            low = middle + 1;
        } else {
            high = middle;
        }
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

void parzen_rebuild(parzen_mixture *p, const hpo_domain *domain, double floor)
{
    p->ordered = p->size - 1;
    for (int64_t column = 0; column < p->n_num; column++) {
        sort_column(p, column);
        update_ranks(p, domain, column, 0, p->ordered - 1, floor);
    }
    parzen_constants(p, 0, p->size);
}

/* Bandwidths around one rank have changed: updates them and notes whose constants must follow. */
static int64_t update_around(parzen_mixture *p, const hpo_domain *domain, int64_t column, int64_t first,
                             int64_t last, double floor, int64_t n_stale)
{
    const int32_t *order = p->order + column * p->capacity;
    first = first < 0 ? 0 : first;
    last = last >= p->ordered ? p->ordered - 1 : last;
    update_ranks(p, domain, column, first, last, floor);
    for (int64_t r = first; r <= last; r++) {
        p->stale[n_stale++] = order[r];
    }
    return n_stale;
}

/* Slot k enters (change 1) or leaves (change -1) every sorted column. */
static void splice(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor, int64_t change)
{
    int64_t n_stale = 0;
    const int64_t before = p->ordered;
    for (int64_t column = 0; column < p->n_num; column++) {
        int32_t *order = p->order + column * p->capacity;
        p->ordered = before;
        const int64_t rank = rank_of(p, column, (int32_t)k);
        const int64_t from = change > 0 ? rank : rank + 1;
        memmove(order + from + change, order + from, (size_t)(before - from) * sizeof(int32_t));
        if (change > 0) {
            order[rank] = (int32_t)k;
        }
        p->ordered = before + change;
        n_stale = update_around(p, domain, column, rank - 1, change > 0 ? rank + 1 : rank, floor, n_stale);
    }
    p->ordered = before + change;
    parzen_constants(p, k, k + 1);
    for (int64_t i = 0; i < n_stale; i++) {
        parzen_constants(p, p->stale[i], p->stale[i] + 1);
    }
}

void parzen_insert(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
{
    splice(p, domain, k, floor, 1);
}

void parzen_remove(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
{
    splice(p, domain, k, floor, -1);
}

void parzen_attach(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor)
{
    const int32_t slot = (int32_t)k;
    for (int64_t column = 0; column < p->n_num; column++) {
        const int32_t *order = p->order + column * p->capacity;
        const int64_t rank = rank_of(p, column, slot);
        const double left = rank > 0 ? center_of(p, order[rank - 1], column) : 0.0;
        const double right = rank < p->ordered ? center_of(p, order[rank], column) : 0.0;
        p->sigma[k * p->n_num + column] =
            bandwidth(domain, p->dims[column], center_of(p, k, column), rank > 0 ? &left : NULL,
                      rank < p->ordered ? &right : NULL, floor);
        finish_column(p, domain, column, &slot, 1);
    }
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

void parzen_constants(parzen_mixture *p, int64_t k0, int64_t k1)
{
    for (int64_t k = k0; k < k1; k++) {
        const double *log_norm = p->log_norm + k * p->n_num;
        double context = p->log_weight[k], own = 0.0;
        for (int64_t c = 0; c < p->ctx_num; c++) {
            context -= log_norm[c];
        }
        for (int64_t c = p->ctx_num; c < p->n_num; c++) {
            own -= log_norm[c];
        }
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

static void draw_levels(const parzen_mixture *p, const hpo_domain *domain, int64_t column,
                        const int32_t *component, const double *u, int64_t m, double *x)
{
    const int64_t first = domain->table_start[p->dims[column]];
    const int64_t n = domain->table_start[p->dims[column] + 1] - first;
    for (int64_t j = 0; j < m; j++) {
        const double *pair = p->row + component[j] * row_length(p) + 2 * column;
        x[j] = draw_level(pair[0], pair[1], u[j], domain->centers + first, domain->widths + first, n);
    }
}

void parzen_draw(const parzen_mixture *p, const hpo_domain *domain, int64_t column, const int32_t *component,
                 const double *u, int64_t m, double *x)
{
    enum { BLOCK = 64 };
    const int64_t dim = p->dims[column];
    if (column >= p->n_num) {
        draw_category(p, domain, column, component, u, m, x);
        return;
    }
    if (domain->kinds[dim] == HPO_DISCRETE) {
        draw_levels(p, domain, column, component, u, m, x);
        return;
    }
    double mu[BLOCK], sigma[BLOCK];
    for (int64_t start = 0; start < m; start += BLOCK) {
        const int64_t count = m - start < BLOCK ? m - start : BLOCK;
        for (int64_t i = 0; i < count; i++) {
            const int64_t k = component[start + i];
            mu[i] = k ? center_of(p, k, column) : 0.5;
            sigma[i] = k ? p->sigma[k * p->n_num + column] : 0.0; /* 0: the uniform prior, x = u */
        }
        draw_continuous(mu, sigma, u + start, count, x + start);
    }
    domain_snap(domain, dim, x, m);
}
