/* The Tree-structured Parzen Estimator over a chain of conditional densities.
 *
 * s          the coordinates a group is conditioned on: the always-active ones and its ancestors'
 * G          a group of parameters that share a condition; group 0 is always active
 * below      l: the n_below best finished trials, max_below at most
 * above      g: the other finished trials, running ones, earlier picks of the batch
 * keys       what trials are ordered by: the first of TPE_KEYS that differs decides, less is better, and of
 *            equals the one that finished earlier. A trial whose first key is NaN has no rank: it failed
 * gain       on a scale of which differences mean something; NaN where a trial has no place on it
 * failed     f: failed trials; p is their share of the finished ones
 * P          (1 - p) g / [(1 - p) g + p f], g and f the products over the groups: that a trial works there
 * score      sum_G log l_G(x_G | s) / g_G(x_G | s) + TPE_REPULSION log P
 *
 * The model is a function of the finished trials in their order of finishing, their keys and gains, and of the
 * running ones: observing one by one or in one call leaves the same bits. When keys or gains of observed trials
 * have changed, tpe_reset comes first and all are observed again.
 *
 * Bergstra et al. 2011; Watanabe 2023, arXiv 2304.11127; Watanabe & Hutter 2022, arXiv 2211.14411, for a factor
 * that says whether a trial works.
 */
#ifndef HPO_TPE_H
#define HPO_TPE_H

#include <stdint.h>

#include "domain.h"
#include "parzen.h"

enum {
    TPE_MIN_SPLIT = 10, /* a group with fewer finished trials shares the global split */
    TPE_REPULSION = 2,  /* decided by bench/results/2026-11-28-failures-ablation.md */
    TPE_KEYS = 3
};

typedef struct {
    double gamma;          /* share of the trials that are below */
    int64_t max_below;
    int64_t max_above;     /* kernels of g; past it the newest stay and the others are subsampled */
    int64_t newest;
    double prior_weight;
    double min_bandwidth;  /* floor of a bandwidth; l's falls with n towards sharpest_bandwidth */
    double sharpest_bandwidth;
    int64_t weigh_below;   /* weights of l by gain over the first trial above the split, else uniform */
} tpe_settings;

typedef struct {
    int64_t trial;
    double key[TPE_KEYS], gain;
} tpe_entry;

/* What one group has observed. Slot arrays follow `above`. */
typedef struct {
    parzen_mixture *below, *above, *failed;
    int64_t n, n_failed;   /* finished trials active in the group, failed ones apart */
    int64_t n_best;
    tpe_entry *best;       /* (max_below + 1) best first */
    int64_t *placed;       /* (max_below + 1) trials of l's kernels, by slot - 1 */
    int64_t *first;        /* (TPE_MIN_SPLIT) the first trials */
    int64_t *trial;        /* (max_above + 1) */
    uint64_t *hash;        /* (max_above + 1) */
    int64_t *birth;        /* (max_above + 1) how many entered before */
    int64_t births;
    int64_t below_stale, above_stale, failed_stale; /* must be rebuilt before use */
    int64_t below_is_shared; /* l's kernels are those of the global split */
    int64_t scored;        /* kernels of g when the pool was scored */
    double below_floor, above_floor; /* floors their bandwidths were computed with */
    double below_total, failed_total; /* log of the sum of weights */
    double above_weight;              /* sum of weights, running trials and picks included */
} tpe_group;

typedef struct {
    const hpo_domain *domain;
    tpe_settings settings;
    uint64_t seed;
    tpe_group *groups; /* (domain->n_groups) */
} tpe_model;

/* A pool of candidates, x (d, capacity), and what scoring leaves for choosing. `capacity` is a multiple of
 * HPO_MAX_LANES. */
typedef struct {
    int64_t capacity;
    double *x;
    double *log_below;      /* (capacity) sum_G log l_G */
    double *log_failed;     /* (capacity) sum_G log f_G */
    double *above_joint;    /* (n_groups, capacity) unnormalised, 0 where the group is inactive */
    double *above_context;  /* (n_groups, capacity) */
} tpe_pool;

/* Room for one thread, HPO_MAX_LANES wider than the candidates it is for; columns is the largest number that any
 * group's mixtures have. */
typedef struct {
    double *block;      /* (columns, capacity) gathered candidates */
    double *terms;      /* (max_below + 1, capacity) */
    double *raw;        /* (2 capacity) */
    double *u, *value, *joint, *context; /* (capacity) each */
    int32_t *index, *component, *order;  /* (capacity) each */
    uint8_t *mask;      /* (capacity) */
} tpe_scratch;

/* Empties the model. */
void tpe_reset(tpe_model *model);

/* Takes in k finished trials in their order of finishing; x is (d, stride), keys (TPE_KEYS, key_stride) and gain
 * are indexed by trial like x. Not to be used before tpe_refresh. */
void tpe_observe(tpe_model *model, const double *x, int64_t stride, const double *keys, int64_t key_stride,
                 const double *gain, const int64_t *trials, int64_t k);

/* Brings bandwidths and weights up to date and lets n running trials join g. */
void tpe_refresh(tpe_model *model, const double *x, int64_t stride, const int64_t *running, int64_t n);

/* Column `column` of x joins g of every group that is active in it, with weight 1, behind the sorted kernels, whose
 * bandwidths it does not touch; where a g has no room left, it does not join. */
void tpe_join(tpe_model *model, const double *x, int64_t stride, int64_t column);

int tpe_is_active(const tpe_model *model, int64_t group, const double *x, int64_t stride, int64_t column);

/* Draws m candidates from l into pool->x, inactive ones NaN. */
void tpe_draw(const tpe_model *model, uint64_t stream, uint64_t attempt, tpe_pool *pool, int64_t m,
              tpe_scratch *scratch);

/* Log densities of candidates first..last-1 of the pool. */
void tpe_score(const tpe_model *model, tpe_pool *pool, int64_t first, int64_t last, tpe_scratch *scratch);

/* Picks q of the first m candidates, each the best by score of `subset` random ones that are left, into picks; each
 * joins g before the next is chosen. Returns the number picked, less than q only when no candidate is left. */
int64_t tpe_choose(tpe_model *model, const tpe_pool *pool, int64_t m, uint64_t stream, int64_t subset, int64_t q,
                   int64_t *picks, tpe_scratch *scratch);

/* Score of the first m candidates as they were when scored. */
void tpe_scores(const tpe_model *model, const tpe_pool *pool, int64_t m, double *out);

#endif
