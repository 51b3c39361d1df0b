/* Upkeep of the TPE model: the split at the quantile, and which kernels stand for g. */
#include "tpe.h"

#include <math.h>
#include <string.h>

#include "philox.h"

#define TPE_SUBSAMPLE_TAG ((uint64_t)2 << 56)

/* What follows the number of trials, the weight of the subsample and the floor of l's bandwidths, moves in steps
 * of 1/8 octave: between steps no constant changes, and a step is within 4.4 % of the exact weight. */
static const double STEPS = 8.0;

/* Share of the prior's weight that smooths the categories of l and g, decided by
 * bench/results/2026-11-29-tpe-quality.md. */
static const double SMOOTHING = 0.5;

static double smoothing(const tpe_settings *settings, const parzen_mixture *p)
{
    return SMOOTHING * settings->prior_weight / (double)p->size;
}

static int64_t n_below(const tpe_settings *settings, int64_t n)
{
    const int64_t share = (int64_t)ceil(settings->gamma * (double)n);
    return share < settings->max_below ? share : settings->max_below;
}

int tpe_is_active(const tpe_model *model, int64_t group, const double *x, int64_t stride, int64_t trial)
{
    const hpo_domain *domain = model->domain;
    const int64_t first = domain->member_start[group];
    return first < domain->member_start[group + 1] && !isnan(x[domain->members[first] * stride + trial]);
}

/* ---- g: the kernels above the split ---------------------------------------------------------------------- */

static void above_note(const tpe_model *model, tpe_group *group, int64_t slot, int64_t trial)
{
    group->trial[slot] = trial;
    group->hash[slot] = philox_u64(model->seed, (uint64_t)trial, TPE_SUBSAMPLE_TAG);
    group->birth[slot] = group->births++;
    group->above->log_weight[slot] = 0.0;
}

/* The slot to give up when g is full: of those that are not among the newest, the one of the largest hash, so
 * that the others stay a uniform sample of everything older. */
static int64_t above_evicted(const tpe_model *model, const tpe_group *group)
{
    const int64_t old = group->births - model->settings.newest;
    int64_t worst = 1;
    uint64_t largest = 0;
    for (int64_t k = 1; k < group->above->size; k++) {
        if (group->birth[k] <= old && group->hash[k] >= largest) {
            largest = group->hash[k];
            worst = k;
        }
    }
    return worst;
}

static void above_add(tpe_model *model, tpe_group *group, const double *x, int64_t stride, int64_t trial)
{
    parzen_mixture *above = group->above;
    const int is_full = above->size > model->settings.max_above;
    const int64_t slot = is_full ? above_evicted(model, group) : above->size++;
    above_note(model, group, slot, trial);
    if (is_full && !group->above_stale) {
        parzen_replace(above, model->domain, slot, x, stride, trial, group->above_floor);
        return;
    }
    parzen_place(above, slot, x, stride, trial);
    if (!group->above_stale) {
        parzen_insert(above, model->domain, slot, group->above_floor);
    }
}

/* The last slot moves into the hole. */
static void above_remove(tpe_model *model, tpe_group *group, int64_t trial)
{
    parzen_mixture *above = group->above;
    int64_t slot = 1;
    while (slot < above->size && group->trial[slot] != trial) {
        slot++;
    }
    if (slot == above->size) {
        return; /* it was not in the subsample */
    }
    const int64_t last = above->size - 1;
    if (!group->above_stale) {
        parzen_remove(above, model->domain, slot, group->above_floor);
        if (slot != last) {
            parzen_remove(above, model->domain, last, group->above_floor);
        }
    }
    above->size = last;
    if (slot == last) {
        return;
    }
    group->trial[slot] = group->trial[last];
    group->hash[slot] = group->hash[last];
    group->birth[slot] = group->birth[last];
    parzen_move(above, last, slot);
    if (!group->above_stale) {
        parzen_insert(above, model->domain, slot, group->above_floor);
    }
}

/* Running trials and picks leave: they stand behind the sorted kernels. */
static void detach(tpe_group *group)
{
    if (!group->above_stale) {
        group->above->size = group->above->ordered + 1;
    }
}

/* ---- the split ------------------------------------------------------------------------------------------- */

/* By the first key that differs; the earlier of equals stays ahead. */
static int is_better(const tpe_entry *a, const tpe_entry *b)
{
    for (int i = 0; i < TPE_KEYS; i++) {
        if (a->key[i] != b->key[i]) {
            return a->key[i] < b->key[i];
        }
    }
    return 0;
}

/* Rank of the entry among the best; max_below + 1 or more if it is not kept. */
static int64_t best_insert(tpe_group *group, const tpe_entry *entry, int64_t room)
{
    int64_t rank = group->n_best;
    while (rank > 0 && is_better(entry, &group->best[rank - 1])) {
        rank--;
    }
    if (rank >= room) {
        return rank;
    }
    const int64_t moved = (group->n_best < room ? group->n_best : room - 1) - rank;
    memmove(group->best + rank + 1, group->best + rank, (size_t)moved * sizeof(tpe_entry));
    group->best[rank] = *entry;
    group->n_best += group->n_best < room;
    return rank;
}

static int is_among(const tpe_entry *best, int64_t n, int64_t trial)
{
    for (int64_t i = 0; i < n; i++) {
        if (best[i].trial == trial) {
            return 1;
        }
    }
    return 0;
}

/* Fills g with those of the first trials that are not among the n best of `split`. */
static void above_refill(tpe_model *model, tpe_group *group, const tpe_group *split, int64_t n, const double *x,
                         int64_t stride)
{
    group->above->size = 1;
    group->births = 0;
    group->above_stale = 1;
    for (int64_t i = 0; i < group->n && i < TPE_MIN_SPLIT; i++) {
        if (!is_among(split->best, n, group->first[i])) {
            above_add(model, group, x, stride, group->first[i]);
        }
    }
}

static int shares_split(const tpe_model *model, const tpe_group *group)
{
    return group != model->groups && group->n < TPE_MIN_SPLIT;
}

static void split_add(tpe_model *model, tpe_group *group, const tpe_entry *entry, const double *x, int64_t stride)
{
    const int64_t before = n_below(&model->settings, group->n);
    if (group->n < TPE_MIN_SPLIT) {
        group->first[group->n] = entry->trial;
    }
    group->n++;
    const int64_t after = n_below(&model->settings, group->n);
    const int64_t rank = best_insert(group, entry, model->settings.max_below + 1);
    group->below_stale |= rank <= after; /* rank == after: the threshold of the weights */
    if (shares_split(model, group)) {
        return; /* refilled by every refresh */
    }
    if (group != model->groups && group->n == TPE_MIN_SPLIT) {
        above_refill(model, group, group, after, x, stride);
        group->below_stale = 1;
        return;
    }
    if (rank >= after) {
        above_add(model, group, x, stride, entry->trial);
    }
    if (rank >= after && after > before) {
        group->below_stale = 1;
        above_remove(model, group, group->best[after - 1].trial);
    } else if (rank < after && after == before) {
        above_add(model, group, x, stride, group->best[after].trial);
    }
}

/* f is a ring of the newest failures. */
static void failed_add(tpe_group *group, const double *x, int64_t stride, int64_t trial)
{
    parzen_mixture *failed = group->failed;
    const int64_t room = failed->capacity - 1;
    const int64_t slot = 1 + group->n_failed % room;
    failed->size = slot < failed->size ? failed->size : slot + 1;
    failed->log_weight[slot] = 0.0;
    parzen_place(failed, slot, x, stride, trial);
    group->n_failed++;
    group->failed_stale = 1;
}

void tpe_reset(tpe_model *model)
{
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        tpe_group *group = &model->groups[g];
        parzen_clear(group->below, model->settings.prior_weight);
        parzen_clear(group->above, model->settings.prior_weight);
        parzen_clear(group->failed, model->settings.prior_weight);
        group->n = group->n_failed = group->n_best = group->births = 0;
        group->below_stale = group->above_stale = group->failed_stale = 1;
        group->below_floor = group->above_floor = 0.0;
        group->below_is_shared = 0;
    }
}

void tpe_observe(tpe_model *model, const double *x, int64_t stride, const double *keys, int64_t key_stride,
                 const double *gain, const int64_t *trials, int64_t k)
{
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        tpe_group *group = &model->groups[g];
        detach(group);
        /* Sorting anew is cheaper than k insertions past this. */
        group->above_stale |= k > 8 + group->above->size / 16;
        for (int64_t i = 0; i < k; i++) {
            const int64_t t = trials[i];
            if (!tpe_is_active(model, g, x, stride, t)) {
                continue;
            }
            const tpe_entry entry = {t, {keys[t], keys[key_stride + t], keys[2 * key_stride + t]}, gain[t]};
            if (isnan(entry.key[0])) {
                failed_add(group, x, stride, t);
            } else {
                split_add(model, group, &entry, x, stride);
            }
        }
    }
}

/* ---- refresh --------------------------------------------------------------------------------------------- */

static double total(const parzen_mixture *p)
{
    double sum = 0.0;
    for (int64_t k = 0; k < p->size; k++) {
        sum += exp(p->log_weight[k]);
    }
    return log(sum);
}

/* Weights by gain over the first trial above the split, of mean 1 (Watanabe 2023); uniform where they say
 * nothing: no such trial, ties, one of them without a gain. */
static void weigh_below(const tpe_model *model, tpe_group *group, int64_t n)
{
    parzen_mixture *below = group->below;
    double sum = 0.0;
    int useful = model->settings.weigh_below && group->n_best > n;
    for (int64_t i = 0; useful && i < n; i++) {
        sum += group->best[i].gain - group->best[n].gain;
    }
    useful = useful && sum > 0.0 && isfinite(sum);
    for (int64_t i = 0; i < n; i++) {
        const double gain = useful ? (group->best[i].gain - group->best[n].gain) / sum * (double)n : 1.0;
        below->log_weight[1 + i] = gain > 0.0 ? log(gain) : -1e3;
    }
}

static double octaves(double ratio) { return round(log2(ratio) * STEPS) / STEPS; }

static double below_floor(const tpe_settings *settings, int64_t n)
{
    const double shrunk = settings->min_bandwidth * exp2(-0.5 * octaves((double)(n > 100 ? n : 100) / 100.0));
    return fmax(shrunk, settings->sharpest_bandwidth);
}

/* The few trials of a group that shares the global split. */
static void rebuild_below(tpe_model *model, tpe_group *group, const double *x, int64_t stride)
{
    parzen_mixture *below = group->below;
    const tpe_group *global = model->groups;
    const int64_t n = n_below(&model->settings, global->n);
    below->size = 1;
    for (int64_t i = 0; i < group->n; i++) {
        if (is_among(global->best, n, group->first[i])) {
            below->log_weight[below->size] = 0.0;
            parzen_place(below, below->size++, x, stride, group->first[i]);
        }
    }
    parzen_rebuild(below, model->domain, group->below_floor);
}

/* The n best, of which those that were among them before are still in the same order. */
static void update_below(tpe_model *model, tpe_group *group, int64_t n, const double *x, int64_t stride)
{
    parzen_mixture *below = group->below;
    if (group->below_is_shared) {
        below->size = 1;
        below->ordered = 0;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t trial = group->best[i].trial, held = below->size - 1;
        if (i < held && group->placed[i] == trial) {
            continue;
        }
        if (below->size == below->capacity) {
            parzen_leave(below);
        }
        memmove(group->placed + i + 1, group->placed + i, (size_t)(below->size - 1 - i) * sizeof *group->placed);
        group->placed[i] = trial;
        parzen_enter(below, i + 1, x, stride, trial);
    }
    while (below->size > n + 1) {
        parzen_leave(below);
    }
    weigh_below(model, group, n);
    parzen_settle(below, model->domain, group->below_floor);
}

static void refresh_below(tpe_model *model, tpe_group *group, const double *x, int64_t stride)
{
    parzen_mixture *below = group->below;
    const int is_shared = shares_split(model, group);
    group->below_floor = below_floor(&model->settings, group->n);
    if (is_shared) {
        rebuild_below(model, group, x, stride);
    } else {
        update_below(model, group, n_below(&model->settings, group->n), x, stride);
    }
    group->below_is_shared = is_shared;
    parzen_smooth(below, model->domain, smoothing(&model->settings, below));
    group->below_total = total(below);
    group->below_stale = 0;
}

/* Weight of a kernel that stands for the trials older than the newest. */
static double subsample_log_weight(const tpe_model *model, const tpe_group *group)
{
    const tpe_settings *settings = &model->settings;
    const double older = (double)(group->n - n_below(settings, group->n) - settings->newest);
    const double kept = (double)(settings->max_above - settings->newest);
    return older <= kept ? 0.0 : octaves(older / kept) * log(2.0);
}

static void weigh_above(const tpe_model *model, tpe_group *group)
{
    const double older = subsample_log_weight(model, group);
    const int64_t old = group->births - model->settings.newest;
    int64_t n_old = 0;
    for (int64_t k = 1; k < group->above->size; k++) {
        const int is_old = group->birth[k] < old;
        const double weight = is_old ? older : 0.0;
        n_old += is_old;
        if (group->above->log_weight[k] != weight) {
            group->above->log_weight[k] = weight;
            parzen_constants(group->above, k, k + 1);
        }
    }
    group->above_weight = model->settings.prior_weight + (double)(group->above->size - 1 - n_old) +
                          (double)n_old * exp(older);
}

static void refresh_above(tpe_model *model, tpe_group *group, const double *x, int64_t stride)
{
    parzen_mixture *above = group->above;
    if (shares_split(model, group)) {
        above_refill(model, group, model->groups, n_below(&model->settings, model->groups->n), x, stride);
    }
    if (group->above_stale) {
        group->above_floor = model->settings.min_bandwidth;
        parzen_rebuild(above, model->domain, group->above_floor);
        group->above_stale = 0;
    }
    weigh_above(model, group);
    parzen_smooth(above, model->domain, smoothing(&model->settings, above));
}

static void join(const tpe_model *model, tpe_group *group, const double *x, int64_t stride, int64_t column)
{
    const int64_t slot = group->above->size;
    if (slot == group->above->capacity) {
        return;
    }
    group->above->size++;
    group->above->log_weight[slot] = 0.0;
    group->above_weight += 1.0;
    parzen_place(group->above, slot, x, stride, column);
    parzen_attach(group->above, model->domain, slot, group->above_floor);
}

void tpe_join(tpe_model *model, const double *x, int64_t stride, int64_t column)
{
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        if (tpe_is_active(model, g, x, stride, column)) {
            join(model, &model->groups[g], x, stride, column);
        }
    }
}

void tpe_refresh(tpe_model *model, const double *x, int64_t stride, const int64_t *running, int64_t n)
{
    for (int64_t g = 0; g < model->domain->n_groups; g++) {
        tpe_group *group = &model->groups[g];
        detach(group);
        const int floor_moved = group->below_floor != below_floor(&model->settings, group->n);
        if (group->below_stale || floor_moved || shares_split(model, group)) {
            refresh_below(model, group, x, stride);
        }
        refresh_above(model, group, x, stride);
        if (group->failed_stale) {
            parzen_rebuild(group->failed, model->domain, model->settings.min_bandwidth);
            parzen_smooth(group->failed, model->domain,
                          model->settings.prior_weight / (double)group->failed->size);
            group->failed_total = total(group->failed);
            group->failed_stale = 0;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        tpe_join(model, x, stride, running[i]);
    }
}
