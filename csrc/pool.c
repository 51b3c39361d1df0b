#include "pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd.h"
#include "sobol.h"

/* Draws of a pass in place of unusable ones; after so many, a small space is searched, and in another the search is
 * given up: samplers/filter.py, whose `fill` does the same for one study. */
enum { REDRAWN = 1024 };

/* Room for one thread. */
typedef struct {
    tpe_pool candidates, drawn; /* candidates; draws to be filtered, of which only x is used */
    tpe_scratch tpe;
    double *keys, *gain;        /* (TPE_KEYS, most), (most): of the trials that the model has not seen */
    int64_t *trials;            /* (most) */
    int64_t most;
    int32_t *sort, *stale;      /* of the mixtures */
    uint64_t *slots;            /* (n_slots) keys in use: a set, as domain_keyset_insert has it */
    int64_t n_slots;
    uint64_t *codes;            /* (draws) */
    uint8_t *permitted;         /* (draws) */
    double *point;              /* (d) */
} pool_scratch;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most_of(int64_t a, int64_t b) { return a > b ? a : b; }

static int filters(const pool_setup *setup) { return setup->distinct || setup->domain->n_forbid > 0; }

/* ---- memory: one block, carved into arrays ----------------------------------------------------------------- */

/* Arrays of a study begin at multiples of 8 bytes, because they are many and small; those that vectors are loaded
 * from, at multiples of a vector's size. */
enum { COMPACT = 8, ALIGNED = 64 };

typedef struct {
    size_t grain;
    char *base; /* NULL while sizes are added up */
    size_t used;
} carver;

static void *carve(carver *c, int64_t count, size_t size)
{
    void *array = c->base ? c->base + c->used : NULL;
    c->used += ((size_t)count * size + c->grain - 1) / c->grain * c->grain;
    return array;
}

static void carve_record(carver *c, const pool_setup *setup, int64_t capacity, pool_study *to)
{
    to->x = carve(c, setup->domain->d * capacity, sizeof(double));
    to->value = carve(c, capacity, sizeof(double));
    to->keys = carve(c, setup->distinct ? capacity : 0, sizeof(uint64_t));
    to->finished = carve(c, capacity, sizeof(int32_t));
    to->state = carve(c, capacity, sizeof(uint8_t));
}

static void carve_mixture(carver *c, const parzen_mixture *shape, int64_t capacity, parzen_mixture *to)
{
    const int64_t columns = shape->n_num + shape->n_cat;
    *to = *shape;
    to->capacity = capacity;
    to->center = carve(c, capacity * columns, sizeof(double));
    to->sigma = carve(c, capacity * shape->n_num, sizeof(double));
    to->log_norm = carve(c, capacity * shape->n_num, sizeof(double));
    to->log_weight = carve(c, capacity, sizeof(double));
    to->row = carve(c, capacity * (columns + shape->n_num), sizeof(double));
    to->constant = carve(c, 2 * capacity, sizeof(double));
    to->match = carve(c, 2 * shape->n_cat, sizeof(double));
    to->prior_shift = carve(c, shape->n_cat, sizeof(double));
    to->order = carve(c, capacity * shape->n_num, sizeof(int32_t));
}

/* What a model has room for. */
typedef struct {
    int64_t finished, running, failed;
} model_room;

static int64_t below_of(const tpe_settings *settings, int64_t n)
{
    return least((int64_t)ceil(settings->gamma * (double)n), settings->max_below);
}

static void carve_model(carver *c, const pool_setup *setup, const model_room *room, tpe_group *groups)
{
    const tpe_settings *settings = &setup->settings;
    const int64_t n = room->finished, below = below_of(settings, n), best = least(n, settings->max_below + 1);
    /* A trial joins g before the one that it displaces leaves. */
    const int64_t above = 1 + least(n - below + 1, settings->max_above);
    for (int64_t g = 0; g < setup->domain->n_groups; g++) {
        parzen_mixture sizes[3], *mixtures = carve(c, 3, sizeof(parzen_mixture));
        tpe_group unused, *group = c->base ? &groups[g] : &unused;
        mixtures = c->base ? mixtures : sizes;
        group->below = mixtures, group->above = mixtures + 1, group->failed = mixtures + 2;
        const int64_t good = g ? most_of(below, TPE_MIN_SPLIT) : below;
        carve_mixture(c, &setup->shape[g], 1 + good, group->below);
        group->placed = carve(c, 1 + good, sizeof(int64_t));
        carve_mixture(c, &setup->shape[g], above + least(room->running, setup->max_joined), group->above);
        carve_mixture(c, &setup->shape[g], 1 + room->failed, group->failed);
        group->best = carve(c, best, sizeof(tpe_entry));
        group->first = carve(c, TPE_MIN_SPLIT, sizeof(int64_t));
        group->trial = carve(c, above, sizeof(int64_t));
        group->hash = carve(c, above, sizeof(uint64_t));
        group->birth = carve(c, above, sizeof(int64_t));
    }
}

static int grow_record(const pool_setup *setup, pool_study *study)
{
    const int64_t capacity = study->capacity + most_of(4, study->capacity / 16);
    pool_study grown = *study;
    carver c = {.grain = COMPACT};
    carve_record(&c, setup, capacity, &grown);
    c = (carver){COMPACT, malloc(c.used), 0};
    if (!c.base) {
        return POOL_NO_MEMORY;
    }
    carve_record(&c, setup, capacity, &grown);
    const size_t n = (size_t)study->n;
    for (int64_t i = 0; n > 0 && i < setup->domain->d; i++) {
        memcpy(grown.x + i * capacity, study->x + i * study->capacity, n * sizeof(double));
    }
    if (n > 0) {
        memcpy(grown.value, study->value, n * sizeof(double));
        memcpy(grown.keys, study->keys, setup->distinct ? n * sizeof(uint64_t) : 0);
        memcpy(grown.finished, study->finished, n * sizeof(int32_t));
        memcpy(grown.state, study->state, n);
    }
    free(study->x);
    grown.capacity = capacity;
    *study = grown;
    return POOL_PROPOSED;
}

static void copy_mixture(const parzen_mixture *from, parzen_mixture *to)
{
    const size_t size = (size_t)from->size * sizeof(double);
    const size_t num = (size_t)from->n_num, columns = num + (size_t)from->n_cat;
    to->size = from->size;
    to->ordered = from->ordered;
    memcpy(to->center, from->center, size * columns);
    memcpy(to->sigma, from->sigma, size * num);
    memcpy(to->log_norm, from->log_norm, size * num);
    memcpy(to->log_weight, from->log_weight, size);
    memcpy(to->row, from->row, size * (columns + num));
    memcpy(to->constant, from->constant, 2 * size);
    memcpy(to->match, from->match, 2 * (columns - num) * sizeof(double));
    memcpy(to->prior_shift, from->prior_shift, (columns - num) * sizeof(double));
    for (int64_t c = 0; c < from->n_num; c++) {
        memcpy(to->order + c * to->capacity, from->order + c * from->capacity,
               (size_t)from->ordered * sizeof(int32_t));
    }
}

static void copy_group(const tpe_group *from, tpe_group *to)
{
    tpe_group arrays = *to;
    copy_mixture(from->below, arrays.below);
    copy_mixture(from->above, arrays.above);
    copy_mixture(from->failed, arrays.failed);
    const size_t n = (size_t)least(from->above->size, from->above->ordered + 1);
    memcpy(arrays.placed, from->placed, (size_t)(from->below->size - 1) * sizeof(int64_t));
    memcpy(arrays.best, from->best, (size_t)from->n_best * sizeof(tpe_entry));
    memcpy(arrays.first, from->first, TPE_MIN_SPLIT * sizeof(int64_t));
    memcpy(arrays.trial, from->trial, n * sizeof(int64_t));
    memcpy(arrays.hash, from->hash, n * sizeof(uint64_t));
    memcpy(arrays.birth, from->birth, n * sizeof(int64_t));
    *to = *from;
    to->below = arrays.below, to->above = arrays.above, to->failed = arrays.failed;
    to->placed = arrays.placed, to->best = arrays.best, to->first = arrays.first;
    to->trial = arrays.trial, to->hash = arrays.hash, to->birth = arrays.birth;
}

/* Makes room for the model of all finished trials and of those that run. */
static int grow_model(const pool_setup *setup, pool_study *study)
{
    const int64_t n = study->n_finished, running = study->n - n, n_groups = setup->domain->n_groups;
    const int64_t failed = least(n - study->n_complete, setup->max_failed);
    tpe_model *model = &study->model;
    model_room room = {study->room_finished, study->room_running, study->room_failed};
    if (model->groups && n <= room.finished && running <= room.running && failed <= room.failed) {
        return POOL_PROPOSED;
    }
    room.finished = n <= room.finished ? room.finished : n + most_of(3, n / 16);
    room.running = most_of(room.running, running);
    room.failed = failed <= room.failed ? room.failed : least(failed + 4, setup->max_failed);
    carver c = {.grain = COMPACT};
    carve(&c, n_groups, sizeof(tpe_group));
    carve_model(&c, setup, &room, NULL);
    c = (carver){COMPACT, malloc(c.used), 0};
    if (!c.base) {
        return POOL_NO_MEMORY;
    }
    tpe_group *groups = carve(&c, n_groups, sizeof(tpe_group)), *before = model->groups;
    carve_model(&c, setup, &room, groups);
    model->domain = setup->domain;
    model->settings = setup->settings;
    model->groups = groups;
    study->room_finished = room.finished;
    study->room_running = room.running;
    study->room_failed = room.failed;
    if (!before) {
        tpe_reset(model);
    }
    for (int64_t g = 0; before && g < n_groups; g++) {
        copy_group(&before[g], &groups[g]);
    }
    free(before);
    return POOL_PROPOSED;
}

void pool_free(pool_study *study)
{
    free(study->x);
    free(study->model.groups);
}

/* ---- scratch ------------------------------------------------------------------------------------------------ */

static void carve_scratch(carver *c, const pool_setup *setup, pool_scratch *to)
{
    const int64_t d = setup->domain->d, most = to->most, n_groups = setup->domain->n_groups;
    const int64_t few = (setup->n_candidates + HPO_MAX_LANES - 1) / HPO_MAX_LANES * HPO_MAX_LANES;
    const int64_t draws = filters(setup) ? most_of(few, REDRAWN) : few, wide = draws + HPO_MAX_LANES;
    int64_t columns = 0, n_num = 0;
    for (int64_t g = 0; g < n_groups; g++) {
        columns = most_of(columns, setup->shape[g].n_num + setup->shape[g].n_cat);
        n_num = most_of(n_num, setup->shape[g].n_num);
    }
    to->candidates.capacity = few;
    to->candidates.x = carve(c, d * few, sizeof(double));
    to->candidates.log_below = carve(c, few, sizeof(double));
    to->candidates.log_failed = carve(c, few, sizeof(double));
    to->candidates.above_joint = carve(c, n_groups * few, sizeof(double));
    to->candidates.above_context = carve(c, n_groups * few, sizeof(double));
    to->drawn.capacity = draws;
    to->drawn.x = carve(c, d * draws, sizeof(double));
    to->tpe.block = carve(c, columns * wide, sizeof(double));
    to->tpe.terms = carve(c, (setup->settings.max_below + 1) * wide, sizeof(double));
    to->tpe.raw = carve(c, 2 * wide, sizeof(double));
    to->tpe.u = carve(c, wide, sizeof(double));
    to->tpe.value = carve(c, wide, sizeof(double));
    to->tpe.joint = carve(c, wide, sizeof(double));
    to->tpe.context = carve(c, wide, sizeof(double));
    to->tpe.index = carve(c, wide, sizeof(int32_t));
    to->tpe.component = carve(c, wide, sizeof(int32_t));
    to->tpe.order = carve(c, wide, sizeof(int32_t));
    to->tpe.mask = carve(c, wide, sizeof(uint8_t));
    to->keys = carve(c, TPE_KEYS * most, sizeof(double));
    to->gain = carve(c, most, sizeof(double));
    to->trials = carve(c, most, sizeof(int64_t));
    to->sort = carve(c, 2 + most + setup->max_failed, sizeof(int32_t));
    to->stale = carve(c, 7 * n_num, sizeof(int32_t));
    to->slots = carve(c, to->n_slots, sizeof(uint64_t));
    to->codes = carve(c, draws, sizeof(uint64_t));
    to->permitted = carve(c, draws, sizeof(uint8_t));
    to->point = carve(c, d, sizeof(double));
}

static pool_scratch *new_scratch(const pool_setup *setup, int64_t most)
{
    pool_scratch sizes = {.most = most + 1, .n_slots = 64};
    while (setup->distinct && sizes.n_slots < 2 * (most + 1 + setup->n_candidates)) {
        sizes.n_slots *= 2;
    }
    carver c = {.grain = ALIGNED};
    carve(&c, 1, sizeof(pool_scratch));
    carve_scratch(&c, setup, &sizes);
    pool_scratch *scratch = malloc(c.used + ALIGNED);
    if (!scratch) {
        return NULL;
    }
    *scratch = sizes;
    const size_t past = (uintptr_t)scratch % ALIGNED;
    c = (carver){ALIGNED, (char *)scratch + (past ? ALIGNED - past : 0), 0};
    carve(&c, 1, sizeof(pool_scratch));
    carve_scratch(&c, setup, scratch);
    return scratch;
}

/* ---- draws that are permitted and new ----------------------------------------------------------------------- */

/* Draws start..start+m-1 in the place of a trial: the trial's own first, m at most the room of drawn->x. */
static void draw(const pool_setup *setup, const pool_study *study, int modelled, int64_t start, int64_t attempt,
                 int64_t m, pool_scratch *scratch)
{
    const hpo_domain *domain = setup->domain;
    tpe_pool *drawn = &scratch->drawn;
    const uint64_t stream = (uint64_t)study->n;
    if (modelled) {
        tpe_draw(&study->model, stream, (uint64_t)attempt, drawn, m, &scratch->tpe);
    } else if (start == 0) {
        domain_sobol(domain, setup->directions, study->model.seed, stream, drawn->x, drawn->capacity, m);
    } else {
        domain_random(domain, study->model.seed, stream, start, drawn->x, drawn->capacity, m);
    }
}

/* Moves the usable ones of m draws to x (d, stride) behind the `found` that are there, up to `wanted`; returns how
 * many there are then. */
static int64_t accept(const pool_setup *setup, pool_scratch *scratch, int64_t m, double *x, int64_t stride,
                      int64_t found, int64_t wanted)
{
    const hpo_domain *domain = setup->domain;
    const tpe_pool *drawn = &scratch->drawn;
    domain_permitted(domain, drawn->x, drawn->capacity, m, scratch->permitted);
    if (setup->distinct) {
        domain_keys(domain, drawn->x, drawn->capacity, m, scratch->codes);
    }
    for (int64_t j = 0; j < m && found < wanted; j++) {
        if (!scratch->permitted[j] ||
            (setup->distinct && !domain_keyset_insert(scratch->slots, scratch->n_slots, scratch->codes + j, 1))) {
            continue;
        }
        for (int64_t i = 0; i < domain->d; i++) {
            x[i * stride + found] = drawn->x[i * drawn->capacity + j];
        }
        found++;
    }
    return found;
}

/* Takes unused configurations in the place of draws, in an order that depends on the seed. */
static int64_t take_remaining(const pool_setup *setup, uint64_t seed, double *x, int64_t stride, int64_t found,
                              int64_t wanted, const pool_scratch *scratch)
{
    while (found < wanted) {
        int64_t first = -1;
        uint64_t smallest = UINT64_MAX;
        for (int64_t j = 0; j < setup->n_every; j++) {
            const uint64_t rank = (setup->codes[j] ^ seed) * HPO_GOLDEN;
            if (rank <= smallest && !domain_keyset_holds(scratch->slots, scratch->n_slots, setup->codes[j])) {
                smallest = rank;
                first = j;
            }
        }
        if (first < 0) {
            break;
        }
        domain_keyset_insert(scratch->slots, scratch->n_slots, setup->codes + first, 1);
        for (int64_t i = 0; i < setup->domain->d; i++) {
            x[i * stride + found] = setup->every[i * setup->n_every + first];
        }
        found++;
    }
    return found;
}

/* Fills x (d, stride) with `wanted` usable draws; returns how many, less only when a small space runs out, -1 where
 * the search is given up. */
static int64_t fill(const pool_setup *setup, const pool_study *study, int modelled, int64_t wanted, double *x,
                    int64_t stride, pool_scratch *scratch)
{
    if (setup->distinct) {
        memset(scratch->slots, 0, (size_t)scratch->n_slots * sizeof(uint64_t));
        domain_keyset_insert(scratch->slots, scratch->n_slots, study->keys, study->n);
    }
    int64_t found = 0, drawn = 0;
    for (int64_t attempt = 0; found < wanted && drawn < wanted + REDRAWN; attempt++) {
        const int64_t m = drawn == 0 ? wanted
                                     : least(most_of(drawn, 2 * (wanted - found)), most_of(REDRAWN, wanted - found));
        draw(setup, study, modelled, drawn, attempt, m, scratch);
        found = accept(setup, scratch, m, x, stride, found, wanted);
        drawn += m;
    }
    if (found < wanted && setup->n_every > 0) {
        return take_remaining(setup, study->model.seed, x, stride, found, wanted, scratch);
    }
    return found < wanted ? -1 : found;
}

/* ---- a suggestion ------------------------------------------------------------------------------------------- */

static int starts_up(const pool_setup *setup, const pool_study *study)
{
    return study->n_finished < setup->n_startup || study->n_complete < 2;
}

static int status_of(int64_t found) { return found < 0 ? POOL_ASIDE : found ? POOL_PROPOSED : POOL_EXHAUSTED; }

static int start_up(const pool_setup *setup, const pool_study *study, pool_scratch *scratch)
{
    if (filters(setup)) {
        return status_of(fill(setup, study, 0, 1, scratch->point, 1, scratch));
    }
    domain_sobol(setup->domain, setup->directions, study->model.seed, (uint64_t)study->n, scratch->point, 1, 1);
    return POOL_PROPOSED;
}

static void observe(const pool_setup *setup, pool_study *study, pool_scratch *scratch)
{
    const int64_t k = study->n_finished - study->n_observed, most = scratch->most;
    for (int64_t i = 0; i < k; i++) {
        const int64_t t = scratch->trials[i] = study->finished[study->n_observed + i];
        scratch->keys[t] = study->state[t] == POOL_FAILED ? NAN : 0.0;
        scratch->keys[most + t] = -INFINITY;
        scratch->keys[2 * most + t] = study->value[t];
        scratch->gain[t] = -study->value[t];
    }
    for (int64_t g = 0; g < setup->domain->n_groups; g++) {
        tpe_group *group = &study->model.groups[g];
        group->below->scratch = group->above->scratch = group->failed->scratch = scratch->sort;
        group->below->stale = group->above->stale = group->failed->stale = scratch->stale;
    }
    if (k > 0) {
        tpe_observe(&study->model, study->x, study->capacity, scratch->keys, most, scratch->gain, scratch->trials,
                    k);
    }
    study->n_observed = study->n_finished;
    int64_t n_running = 0; /* newest first, then turned: the newest may join g, oldest first */
    for (int64_t t = study->n - 1; t >= 0 && n_running < study->n - study->n_finished; t--) {
        if (study->state[t] == POOL_RUNNING) {
            scratch->trials[n_running++] = t;
        }
        if (n_running == setup->max_joined) {
            break;
        }
    }
    for (int64_t i = 0; i < n_running / 2; i++) {
        const int64_t swapped = scratch->trials[i];
        scratch->trials[i] = scratch->trials[n_running - 1 - i];
        scratch->trials[n_running - 1 - i] = swapped;
    }
    tpe_refresh(&study->model, study->x, study->capacity, scratch->trials, n_running);
}

static int suggest(const pool_setup *setup, pool_study *study, pool_scratch *scratch)
{
    if (grow_model(setup, study) != POOL_PROPOSED) {
        return POOL_NO_MEMORY;
    }
    observe(setup, study, scratch);
    tpe_model *model = &study->model;
    tpe_pool *pool = &scratch->candidates;
    const uint64_t stream = (uint64_t)study->n;
    int64_t m = setup->n_candidates;
    if (!filters(setup)) {
        tpe_draw(model, stream, 0, pool, m, &scratch->tpe);
    } else if ((m = fill(setup, study, 1, m, pool->x, pool->capacity, scratch)) <= 0) {
        return status_of(m);
    }
    int64_t pick;
    tpe_score(model, pool, 0, m, &scratch->tpe);
    tpe_choose(model, pool, m, stream, m, 1, &pick, &scratch->tpe);
    for (int64_t i = 0; i < setup->domain->d; i++) {
        scratch->point[i] = pool->x[i * pool->capacity + pick];
    }
    return POOL_PROPOSED;
}

int pool_append(const pool_setup *setup, pool_study *study, const double *x, int64_t stride)
{
    const hpo_domain *domain = setup->domain;
    if (study->n == study->capacity && grow_record(setup, study) != POOL_PROPOSED) {
        return POOL_NO_MEMORY;
    }
    const int64_t n = study->n++;
    for (int64_t i = 0; i < domain->d; i++) {
        study->x[i * study->capacity + n] = x[i * stride];
    }
    study->value[n] = NAN;
    study->state[n] = POOL_RUNNING;
    if (setup->distinct) {
        domain_keys(domain, study->x + n, study->capacity, 1, study->keys + n);
    }
    return POOL_PROPOSED;
}

static int ask(const pool_setup *setup, pool_study *study, pool_scratch *scratch, double *x, int64_t stride)
{
    /* Room first: the model grows with the record, and a proposal is not lost for want of it. */
    if (study->n == study->capacity && grow_record(setup, study) != POOL_PROPOSED) {
        return POOL_NO_MEMORY;
    }
    const int status = starts_up(setup, study) ? start_up(setup, study, scratch) : suggest(setup, study, scratch);
    if (status != POOL_PROPOSED) {
        return status;
    }
    for (int64_t i = 0; i < setup->domain->d; i++) {
        x[i * stride] = scratch->point[i];
    }
    return pool_append(setup, study, scratch->point, 1);
}

void pool_tell(pool_study *study, int64_t trial, double value)
{
    study->finished[study->n_finished++] = (int32_t)trial;
    const int works = isfinite(value) != 0;
    study->state[trial] = works ? POOL_COMPLETE : POOL_FAILED;
    study->value[trial] = works ? value : NAN;
    study->n_complete += works;
}

/* ---- many studies ------------------------------------------------------------------------------------------- */

static void fetch(const void *start, int64_t count, size_t size)
{
    const char *at = start;
    for (const char *end = at + (size_t)count * size; at < end; at += ALIGNED) {
        __builtin_prefetch(at, 1, 2);
    }
}

/* The memory of a model is read once a round; with these hints a suggestion among 10,000 studies takes a tenth less
 * time. First the headers, then what they point to. */
static void fetch_headers(const pool_setup *setup, const pool_study *study)
{
    if (study->model.groups) {
        fetch(study->model.groups, setup->domain->n_groups, sizeof(tpe_group) + 3 * sizeof(parzen_mixture));
    }
}

static void fetch_model(const pool_setup *setup, const pool_study *study)
{
    for (int64_t g = 0; study->model.groups && g < setup->domain->n_groups; g++) {
        const tpe_group *group = &study->model.groups[g];
        const parzen_mixture *above = group->above;
        const int64_t size = above->size + 1, columns = above->n_num + above->n_cat;
        fetch(above->row, size * (columns + above->n_num), sizeof(double));
        fetch(above->constant, 2 * size, sizeof(double));
        fetch(above->log_weight, size, sizeof(double));
        fetch(above->center, size * columns, sizeof(double));
        fetch(above->log_norm, size * above->n_num, sizeof(double));
        fetch(above->sigma, size * above->n_num, sizeof(double));
        fetch(above->order, above->capacity * above->n_num, sizeof(int32_t));
        fetch(group->birth, size, sizeof(int64_t));
        fetch(group->best, group->n_best, sizeof(tpe_entry));
    }
}

int pool_ask(const pool_setup *setup, pool_study *studies, const int64_t *which, int64_t k, double *x,
             int64_t stride, uint8_t *status)
{
    int64_t most = 0;
    for (int64_t j = 0; j < k; j++) {
        most = most_of(most, studies[which[j]].n);
    }
    pool_scratch *scratch = new_scratch(setup, most);
    for (int64_t j = 0; scratch && j < k; j++) {
        if (j + 2 < k) {
            fetch_headers(setup, &studies[which[j + 2]]);
        }
        if (j + 1 < k) {
            fetch_model(setup, &studies[which[j + 1]]);
        }
        status[j] = (uint8_t)ask(setup, &studies[which[j]], scratch, x + j, stride);
    }
    const int asked = scratch != NULL;
    free(scratch);
    return asked ? POOL_PROPOSED : POOL_NO_MEMORY;
}
