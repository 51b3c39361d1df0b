/* Many small studies of one space, each with a TPE model of its own, asked in one call.
 *
 * A study proposes what a TPESampler proposes for it alone, bit for bit: Sobol points of its own seed until the
 * model can be fitted, then the model's choice. Sobol points do not keep away from failures, which takes that sampler
 * 16 ms. A study whose constraints reject draw after draw is left aside, as it was.
 *
 * n            trials of a study, numbered from 0 in the order in which they were asked
 * capacity     trials that a study has room for; it grows by a few at a time
 * x            (d, capacity) coordinates; inactive ones NaN
 * value        (capacity) what is minimised
 * finished     (capacity) trials in their order of finishing, the first n_finished entries
 * keys         (capacity) domain_keys of the trials, where configurations must not repeat
 */
#ifndef HPO_POOL_H
#define HPO_POOL_H

#include <stdint.h>

#include "domain.h"
#include "tpe.h"

enum pool_status { POOL_PROPOSED, POOL_ASIDE, POOL_EXHAUSTED, POOL_NO_MEMORY };

/* As hpo_core.log.State has them. */
enum pool_state { POOL_RUNNING = 0, POOL_COMPLETE = 1, POOL_FAILED = 3 };

typedef struct {
    const hpo_domain *domain;
    const uint32_t *directions;     /* of Sobol points */
    const parzen_mixture *shape;    /* (n_groups) columns of each group's mixtures */
    tpe_settings settings;
    int64_t n_startup, n_candidates;
    int64_t max_joined, max_failed; /* newest running trials that join g, failed ones that make up f */
    int64_t distinct;               /* no configuration twice */
    const double *every;            /* (d, n_every) all configurations of a small finite space, else NULL */
    const uint64_t *codes;          /* (n_every) their domain_keys */
    int64_t n_every;
} pool_setup;

typedef struct {
    int64_t n, capacity;
    int64_t n_finished, n_complete;
    int64_t n_observed;      /* finished trials that the model has seen */
    double *x, *value;
    int32_t *finished;
    uint64_t *keys;
    uint8_t *state;
    tpe_model model;         /* without groups until it is needed */
    int64_t room_finished, room_running, room_failed; /* trials that the model has room for */
} pool_study;

/* Proposes the next trial of k different studies, `which`, and appends it, running: column j of x (d, stride) gets
 * the coordinates, status[j] a pool_status. A study is left as it was, but for its model, unless its status is
 * POOL_PROPOSED. Returns POOL_NO_MEMORY if none was asked. */
int pool_ask(const pool_setup *setup, pool_study *studies, const int64_t *which, int64_t k, double *x,
             int64_t stride, uint8_t *status);

/* Appends a running trial with coordinates x (d) at `stride`; POOL_PROPOSED or POOL_NO_MEMORY. */
int pool_append(const pool_setup *setup, pool_study *study, const double *x, int64_t stride);

/* Finishes a running trial; it fails if the value, to be minimised, is not finite. */
void pool_tell(pool_study *study, int64_t trial, double value);

void pool_free(pool_study *study);

#endif
