/* Asking the TPE model: candidates from l, their scores, and the choice of one or many. */
#include <math.h>
#include <string.h>

#include "philox.h"
#include "simd.h"
#include "tpe.h"

/* Random numbers of a draw: index `tag | group << 36 | column << 24 | number` of counter `attempt << 40 | stream`.
 * Rare constraints take thousands of attempts; trials never fill 40 bits. */
#define TPE_DRAW_TAG ((uint64_t)3 << 56)
#define TPE_CHOICE_TAG ((uint64_t)4 << 56)

/* Width of a block of m candidates: whole vectors, and rows that do not all start in one set of the cache. */
static int64_t padded(int64_t m)
{
    const int64_t width = (m + HPO_MAX_LANES - 1) / HPO_MAX_LANES * HPO_MAX_LANES;
    return width % 64 ? width : width + HPO_MAX_LANES;
}

static int64_t n_columns(const parzen_mixture *p) { return p->n_num + p->n_cat; }

/* ---- draws ----------------------------------------------------------------------------------------------- */

/* m uniforms, one in each of m equal strata, in random order (Fisher-Yates). raw (2 m) is room for numbers. */
static void stratified(uint64_t seed, uint64_t stream, uint64_t tag, int64_t m, double *raw, int32_t *order,
                       double *u)
{
    parzen_uniforms(seed, stream, tag, 2 * m, raw);
    for (int64_t j = 0; j < m; j++) {
        const int64_t i = (int64_t)(raw[2 * j + 1] * (double)(j + 1));
        order[j] = order[i];
        order[i] = (int32_t)j;
    }
    for (int64_t j = 0; j < m; j++) {
        u[j] = (order[j] + raw[2 * j]) / (double)m;
    }
}

/* Component of each candidate by inverse CDF of the mixture's weights. */
static void pick_components(const parzen_mixture *p, const double *u, int64_t m, double *cumulative,
                            int32_t *component)
{
    double sum = 0.0;
    for (int64_t k = 0; k < p->size; k++) {
        sum += exp(p->log_weight[k]);
        cumulative[k] = sum;
    }
    for (int64_t j = 0; j < m; j++) {
        const double target = u[j] * sum;
        int32_t n_below = 0; /* counting: a search would be mispredicted every time */
        for (int64_t k = 0; k + 1 < p->size; k++) {
            n_below += target > cumulative[k];
        }
        component[j] = n_below;
    }
}

/* The same where the weights are w_k A_k(s): terms (size, m padded) are their logs. */
static void pick_conditional(const double *terms, int64_t size, int64_t stride, const double *u, int64_t m,
                             int32_t *component)
{
    for (int64_t j = 0; j < m; j++) {
        double top = -INFINITY, sum = 0.0;
        for (int64_t k = 0; k < size; k++) {
            top = fmax(top, terms[k * stride + j]);
        }
        for (int64_t k = 0; k < size; k++) {
            sum += exp(terms[k * stride + j] - top);
        }
        double left = u[j] * sum;
        int32_t k = 0;
        for (; k + 1 < size; k++) {
            left -= exp(terms[k * stride + j] - top);
            if (left <= 0.0) {
                break;
            }
        }
        component[j] = k;
    }
}

/* Copies columns of candidates index[0..m-1] into block (columns, m padded); the padding repeats the last. */
static int64_t gather(const parzen_mixture *p, const tpe_pool *pool, const int32_t *index, int64_t m,
                      double *block)
{
    const int64_t width = padded(m);
    for (int64_t c = 0; c < n_columns(p); c++) {
        const double *from = pool->x + p->dims[c] * pool->capacity;
        double *to = block + c * width;
        for (int64_t j = 0; j < m; j++) {
            to[j] = from[index[j]];
        }
        for (int64_t j = m; j < width; j++) {
            to[j] = to[m - 1];
        }
    }
    return width;
}

/* Candidates in first..last-1 for which the group is active, by its own coordinates. */
static int64_t active(const tpe_model *model, const tpe_pool *pool, int64_t g, int64_t first, int64_t last,
                      int32_t *index)
{
    int64_t m = 0;
    for (int64_t j = first; j < last; j++) {
        index[m] = (int32_t)j;
        m += tpe_is_active(model, g, pool->x, pool->capacity, j);
    }
    return m;
}

static void draw_group(const tpe_model *model, int64_t g, uint64_t stream, uint64_t tag, tpe_pool *pool, int64_t m,
                       tpe_scratch *scratch)
{
    const parzen_mixture *below = model->groups[g].below;
    stratified(model->seed, stream, tag, m, scratch->raw, scratch->order, scratch->u);
    if (g == 0) {
        pick_components(below, scratch->u, m, scratch->terms, scratch->component);
    } else {
        const int64_t width = gather(below, pool, scratch->index, m, scratch->block);
        parzen_context_terms(below, scratch->block, width, scratch->terms);
        pick_conditional(scratch->terms, below->size, width, scratch->u, m, scratch->component);
    }
    for (int64_t c = 0; c < n_columns(below); c++) {
        if (c < below->ctx_num || (c >= below->n_num && c < below->n_num + below->ctx_cat)) {
            continue;
        }
        double *row = pool->x + below->dims[c] * pool->capacity;
        stratified(model->seed, stream, tag + ((uint64_t)(c + 1) << 24), m, scratch->raw, scratch->order,
                   scratch->u);
        parzen_draw(below, model->domain, c, scratch->component, scratch->u, m, scratch->value);
        for (int64_t j = 0; j < m; j++) {
            row[scratch->index[j]] = scratch->value[j];
        }
    }
}

void tpe_draw(const tpe_model *model, uint64_t stream, uint64_t attempt, tpe_pool *pool, int64_t m,
              tpe_scratch *scratch)
{
    const hpo_domain *domain = model->domain;
    for (int64_t g = 0; g < domain->n_groups; g++) {
        int64_t n_active = 0;
        if (g > 0) {
            domain_group_mask(domain, g, pool->x, pool->capacity, m, scratch->mask);
            for (int64_t i = domain->member_start[g]; i < domain->member_start[g + 1]; i++) {
                double *row = pool->x + domain->members[i] * pool->capacity;
                for (int64_t j = 0; j < m; j++) {
                    row[j] = NAN;
                }
            }
        }
        for (int64_t j = 0; j < m; j++) {
            scratch->index[n_active] = (int32_t)j;
            n_active += g == 0 || scratch->mask[j];
        }
        if (n_active > 0) {
            const uint64_t tag = TPE_DRAW_TAG | ((uint64_t)g << 36);
            draw_group(model, g, stream | (attempt << 40), tag, pool, n_active, scratch);
        }
    }
}

/* ---- scores ---------------------------------------------------------------------------------------------- */

/* log sum_k w_k A_k B_k and log sum_k w_k A_k of the gathered candidates; without a context the latter is the
 * given total. */
static void evaluate(const parzen_mixture *p, int64_t width, int64_t k0, int64_t k1, double total,
                     tpe_scratch *scratch)
{
    const int has_context = p->ctx_num + p->ctx_cat > 0;
    parzen_log_density(p, scratch->block, width, k0, k1, scratch->joint, has_context ? scratch->context : NULL);
    for (int64_t j = 0; !has_context && j < width; j++) {
        scratch->context[j] = total;
    }
}

static void score_group(const tpe_model *model, int64_t g, tpe_pool *pool, int64_t first, int64_t last,
                        tpe_scratch *scratch)
{
    const tpe_group *group = &model->groups[g];
    const int64_t m = active(model, pool, g, first, last, scratch->index);
    double *above_joint = pool->above_joint + g * pool->capacity;
    double *above_context = pool->above_context + g * pool->capacity;
    for (int64_t j = first; j < last; j++) {
        above_joint[j] = above_context[j] = 0.0;
    }
    if (m == 0) {
        return;
    }
    const int64_t width = gather(group->below, pool, scratch->index, m, scratch->block);
    evaluate(group->below, width, 0, group->below->size, group->below_total, scratch);
    for (int64_t j = 0; j < m; j++) {
        pool->log_below[scratch->index[j]] += scratch->joint[j] - scratch->context[j];
    }
    evaluate(group->above, width, 0, group->above->size, log(group->above_weight), scratch);
    for (int64_t j = 0; j < m; j++) {
        above_joint[scratch->index[j]] = scratch->joint[j];
        above_context[scratch->index[j]] = scratch->context[j];
    }
    if (model->groups[0].n_failed > 0) {
        evaluate(group->failed, width, 0, group->failed->size, group->failed_total, scratch);
        for (int64_t j = 0; j < m; j++) {
            pool->log_failed[scratch->index[j]] += scratch->joint[j] - scratch->context[j];
        }
    }
}

void tpe_score(const tpe_model *model, tpe_pool *pool, int64_t first, int64_t last, tpe_scratch *scratch)
{
    for (int64_t j = first; j < last; j++) {
        pool->log_below[j] = pool->log_failed[j] = 0.0;
    }
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        score_group(model, g, pool, first, last, scratch);
    }
}

static double log_add(double a, double b) { return fmax(a, b) + log1p(exp(-fabs(a - b))); }

/* log l - log g + REPULSION log P, where log_above is log g and P = (1 - p) g / [(1 - p) g + p f]. */
static double final_score(const tpe_model *model, const tpe_pool *pool, int64_t j, double log_above)
{
    const double n_failed = (double)model->groups[0].n_failed;
    const double gain = pool->log_below[j] - log_above;
    if (n_failed == 0.0) {
        return gain;
    }
    const double p = n_failed / ((double)model->groups[0].n + n_failed);
    const double works = log1p(-p) + log_above;
    return gain + TPE_REPULSION * (works - log_add(works, log(p) + pool->log_failed[j]));
}

static double log_above(const tpe_model *model, const tpe_pool *pool, int64_t j)
{
    double sum = 0.0;
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        sum += pool->above_joint[g * pool->capacity + j] - pool->above_context[g * pool->capacity + j];
    }
    return sum;
}

void tpe_scores(const tpe_model *model, const tpe_pool *pool, int64_t m, double *out)
{
    for (int64_t j = 0; j < m; j++) {
        out[j] = final_score(model, pool, j, log_above(model, pool, j));
    }
}

/* ---- choice ---------------------------------------------------------------------------------------------- */

/* log g of the n candidates listed in scratch->component, with the kernels that joined since the pool was scored. */
static void updated_log_above(const tpe_model *model, const tpe_pool *pool, int64_t n, tpe_scratch *scratch,
                              double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = 0.0;
    }
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        const tpe_group *group = &model->groups[g];
        const int64_t base = g * pool->capacity;
        int64_t m = 0;
        for (int64_t i = 0; i < n; i++) {
            scratch->order[m] = (int32_t)i;
            scratch->index[m] = scratch->component[i];
            m += tpe_is_active(model, g, pool->x, pool->capacity, scratch->component[i]);
        }
        const int joined = group->above->size > group->scored;
        if (joined && m > 0) {
            const int64_t width = gather(group->above, pool, scratch->index, m, scratch->block);
            evaluate(group->above, width, group->scored, group->above->size, 0.0, scratch);
        }
        const int has_context = group->above->ctx_num + group->above->ctx_cat > 0;
        for (int64_t i = 0; i < m; i++) {
            double joint = pool->above_joint[base + scratch->index[i]];
            double context = pool->above_context[base + scratch->index[i]];
            if (joined) {
                joint = log_add(joint, scratch->joint[i]);
                context = has_context ? log_add(context, scratch->context[i]) : log(group->above_weight);
            }
            out[scratch->order[i]] += joint - context;
        }
    }
}

/* Indices of one subset, without the candidates already taken. Consecutive ones where the pool is large enough
 * (its order is random), else drawn. */
static int64_t take_subset(const tpe_model *model, int64_t m, uint64_t stream, int64_t subset, int64_t pick,
                           int64_t q, const uint8_t *taken, int32_t *index)
{
    int64_t n = 0;
    for (int64_t i = 0; i < subset; i++) {
        int64_t j = pick * subset + i;
        if (q * subset > m) {
            const double u = philox_u01(model->seed, stream, TPE_CHOICE_TAG | (uint64_t)(pick * subset + i));
            j = (int64_t)(u * (double)m);
        }
        if (j < m && !taken[j]) {
            index[n++] = (int32_t)j;
        }
    }
    if (n > 0) {
        return n;
    }
    for (int64_t j = 0; j < m; j++) { /* nothing left there: the whole pool */
        index[n] = (int32_t)j;
        n += !taken[j];
    }
    return n;
}

int64_t tpe_choose(tpe_model *model, const tpe_pool *pool, int64_t m, uint64_t stream, int64_t subset, int64_t q,
                   int64_t *picks, tpe_scratch *scratch)
{
    memset(scratch->mask, 0, (size_t)m);
    subset = subset < m ? subset : m;
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        model->groups[g].scored = model->groups[g].above->size;
    }
    int64_t pick = 0;
    for (; pick < q; pick++) {
        int64_t n = take_subset(model, m, stream, subset, pick, q, scratch->mask, scratch->component);
        if (n == 0) {
            break;
        }
        double top = -INFINITY;
        int64_t best = scratch->component[0];
        updated_log_above(model, pool, n, scratch, scratch->value);
        for (int64_t i = 0; i < n; i++) {
            const double score = final_score(model, pool, scratch->component[i], scratch->value[i]);
            if (score > top) {
                top = score;
                best = scratch->component[i];
            }
        }
        picks[pick] = best;
        scratch->mask[best] = 1;
        if (pick + 1 < q) {
            tpe_join(model, pool->x, pool->capacity, best);
        }
    }
    return pick;
}
