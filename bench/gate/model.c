#include "model.h"

#include <math.h>
#include <stdlib.h>

#include "philox.h"
#include "simd.h"

enum { JOINED = 3072, FAILED = 256 }; /* as hpo_core.surrogates.parzen asks for */

static const tpe_settings SETTINGS = {
    .gamma = 0.1,
    .max_below = 25,
    .max_above = 256,
    .newest = 64,
    .prior_weight = 1.0,
    .min_bandwidth = 0.03,
    .sharpest_bandwidth = 0.005,
    .weigh_below = 1,
};

/* One entry more than asked for: no array is empty. */
static void *room(int64_t n, size_t size)
{
    void *p = calloc((size_t)n + 1, size);
    if (!p) {
        abort();
    }
    return p;
}

double *gate_doubles(int64_t n) { return room(n, sizeof(double)); }
static int64_t *words(int64_t n) { return room(n, sizeof(int64_t)); }

/* ---- the space ------------------------------------------------------------------------------------------- */

static uint8_t kind_of(int64_t i)
{
    return i < 12 || i >= GATE_FLAT ? HPO_CONTINUOUS : i < 16 ? HPO_DISCRETE : HPO_CATEGORICAL;
}

static void domain_make(hpo_domain *domain)
{
    static const int32_t condition[] = {0, 16, 1, 0, 11, 0}; /* LOAD 16, CONST 0, EQ: see layout.Op */
    static const double zero[] = {0.0};
    static const int64_t starts[] = {0, 0, 3}, none[] = {3}, members[] = {0, GATE_FLAT, GATE_PARAMETERS};
    const int64_t d = GATE_PARAMETERS, cells = GATE_LEVELS;
    uint8_t *kinds = room(d, 1), *regular = room(d, 1);
    int64_t *levels = words(d), *table = words(d + 1), *order = words(d);
    double *centers = gate_doubles(d * cells), *edges = gate_doubles(d * cells), *widths = gate_doubles(d * cells);
    double *span = gate_doubles(d), *defaults = gate_doubles(d);
    for (int64_t i = 0; i < d; i++) {
        kinds[i] = kind_of(i);
        regular[i] = kinds[i] == HPO_DISCRETE;
        levels[i] = regular[i] ? cells : kinds[i] == HPO_CATEGORICAL ? GATE_CHOICES : 0;
        table[i + 1] = table[i] + (regular[i] ? cells : 0);
        order[i] = i;
        span[i] = 1.0;
        for (int64_t k = 0; regular[i] && k < cells; k++) {
            centers[table[i] + k] = ((double)k + 0.5) / (double)cells;
            edges[table[i] + k] = (double)(k + 1) / (double)cells;
            widths[table[i] + k] = 1.0 / (double)cells;
        }
    }
    *domain = (hpo_domain){
        .d = d, .n_groups = 2, .n_forbid = 0, .kinds = kinds, .log = room(d, 1), .regular = regular,
        .levels = levels, .table_start = table, .centers = centers, .edges = edges, .widths = widths,
        .values = centers, .offset = gate_doubles(d), .span = span, .low = gate_doubles(d), .high = span,
        .step = gate_doubles(d), .defaults = defaults, .member_start = members, .members = order,
        .program = condition, .constants = zero, .condition_start = starts, .forbid_start = none,
    };
}

void gate_space_make(gate_space *space, int64_t n)
{
    domain_make(&space->domain);
    space->n = n;
    space->x = gate_doubles(GATE_PARAMETERS * n);
    space->y = gate_doubles(n);
    space->keys = gate_doubles(TPE_KEYS * n);
    space->gain = gate_doubles(n);
    domain_random(&space->domain, 7, 0, 0, space->x, n, n);
    for (int64_t j = 0; j < n; j++) {
        space->y[j] = 0.1 * philox_u01(8, (uint64_t)j, 0);
        for (int64_t i = 0; i < 16; i++) {
            const double off = space->x[i * n + j] - 0.4;
            space->y[j] += off * off;
        }
        space->keys[n + j] = -INFINITY;
        space->keys[2 * n + j] = space->y[j];
        space->gain[j] = -space->y[j];
    }
}

/* ---- the model ------------------------------------------------------------------------------------------- */

/* Mixture of group 0 over all its parameters, or of group 1 with those as its context. */
static parzen_mixture *mixture_make(int group, int64_t capacity)
{
    const int64_t n_num = group ? 18 : 16, n_cat = 4, D = n_num + n_cat;
    int64_t *dims = words(D);
    for (int64_t c = 0; c < D; c++) {
        dims[c] = c < 16 ? c : c < n_num ? c + n_cat : c - n_num + 16;
    }
    parzen_mixture *p = room(1, sizeof *p);
    *p = (parzen_mixture){
        .capacity = capacity, .size = 1, .n_num = n_num, .n_cat = n_cat, .ctx_num = group ? 16 : 0,
        .ctx_cat = group ? 4 : 0, .dims = dims, .center = gate_doubles(capacity * D),
        .sigma = gate_doubles(capacity * n_num), .log_norm = gate_doubles(capacity * n_num),
        .log_weight = gate_doubles(capacity), .row = gate_doubles(capacity * (D + n_num)),
        .constant = gate_doubles(2 * capacity), .order = room(n_num * capacity, sizeof(int32_t)),
        .scratch = room(capacity, sizeof(int32_t)), .stale = room(7 * n_num, sizeof(int32_t)),
        .match = gate_doubles(2 * n_cat), .prior_shift = gate_doubles(n_cat),
    };
    parzen_clear(p, 1.0);
    return p;
}

/* The tables that draws from l read. */
static void tables_make(parzen_mixture *p, const hpo_domain *domain)
{
    int64_t *start = words(p->n_num + 1);
    for (int64_t c = 0; c < p->n_num; c++) {
        start[c + 1] = start[c] + domain->table_start[p->dims[c] + 1] - domain->table_start[p->dims[c]];
    }
    p->level_start = start;
    p->n_levels = start[p->n_num];
    p->tail = gate_doubles(2 * p->capacity * p->n_num);
    p->cumulative = gate_doubles(p->capacity * p->n_levels);
    for (int64_t c = 0; c < p->n_num; c++) {
        for (int64_t i = start[c]; i < start[c + 1]; i++) {
            p->cumulative[i] = (double)(i - start[c] + 1) / (double)GATE_LEVELS;
        }
    }
}

static void group_make(tpe_group *group, const hpo_domain *domain, int number)
{
    group->below = mixture_make(number, SETTINGS.max_below + 1);
    tables_make(group->below, domain);
    group->above = mixture_make(number, SETTINGS.max_above + 1 + JOINED);
    group->failed = mixture_make(number, FAILED + 1);
    group->best = room(SETTINGS.max_below + 1, sizeof(tpe_entry));
    group->placed = words(SETTINGS.max_below + 1);
    group->first = words(TPE_MIN_SPLIT);
    group->trial = words(SETTINGS.max_above + 1);
    group->birth = words(SETTINGS.max_above + 1);
    group->hash = room(SETTINGS.max_above + 1, sizeof(uint64_t));
}

static void pool_make(tpe_pool *pool, tpe_scratch *scratch, int64_t m)
{
    const int64_t wide = m + 2 * HPO_MAX_LANES; /* whole vectors, and the room that tpe.h asks for */
    pool->capacity = (m + HPO_MAX_LANES - 1) / HPO_MAX_LANES * HPO_MAX_LANES;
    pool->x = gate_doubles(GATE_PARAMETERS * pool->capacity);
    pool->log_below = gate_doubles(pool->capacity);
    pool->log_failed = gate_doubles(pool->capacity);
    pool->above_joint = gate_doubles(2 * pool->capacity);
    pool->above_context = gate_doubles(2 * pool->capacity);
    *scratch = (tpe_scratch){
        .block = gate_doubles(GATE_PARAMETERS * wide), .terms = gate_doubles((SETTINGS.max_below + 1) * wide),
        .raw = gate_doubles(2 * wide), .u = gate_doubles(wide), .value = gate_doubles(wide),
        .joint = gate_doubles(wide), .context = gate_doubles(wide), .index = room(wide, sizeof(int32_t)),
        .component = room(wide, sizeof(int32_t)), .order = room(wide, sizeof(int32_t)), .mask = room(wide, 1),
    };
}

void gate_model_make(gate_model *m, const gate_space *space, int64_t n, int64_t candidates)
{
    for (int g = 0; g < 2; g++) {
        group_make(&m->groups[g], &space->domain, g);
    }
    m->model = (tpe_model){.domain = &space->domain, .settings = SETTINGS, .seed = 3, .groups = m->groups};
    m->picks = words(candidates);
    pool_make(&m->pool, &m->scratch, candidates);
    tpe_reset(&m->model);
    gate_observe(m, space, 0, n);
    tpe_refresh(&m->model, space->x, space->n, NULL, 0);
}

void gate_observe(gate_model *m, const gate_space *space, int64_t first, int64_t k)
{
    int64_t *trials = words(k);
    for (int64_t i = 0; i < k; i++) {
        trials[i] = first + i;
    }
    tpe_observe(&m->model, space->x, space->n, space->keys, space->n, space->gain, trials, k);
    free(trials);
}

void gate_ask(gate_model *m, const gate_space *space, uint64_t stream, int64_t candidates, int64_t q,
              int64_t subset)
{
    tpe_refresh(&m->model, space->x, space->n, NULL, 0);
    tpe_draw(&m->model, stream, 0, &m->pool, candidates, &m->scratch);
    tpe_score(&m->model, &m->pool, 0, candidates, &m->scratch);
    if (tpe_choose(&m->model, &m->pool, candidates, stream, subset, q, m->picks, &m->scratch) != q) {
        abort();
    }
}
