/* A search space, its history and TPE models of it, as _tpe.pyx would hold them; made once, never freed.
 *
 * 12 continuous, 4 discrete (64 levels) and 4 categorical (4 choices) parameters, and 2 more that are active
 * where the first category is 0. */
#ifndef GATE_MODEL_H
#define GATE_MODEL_H

#include "tpe.h"

enum { GATE_FLAT = 20, GATE_PARAMETERS = 22, GATE_LEVELS = 64, GATE_CHOICES = 4 };

typedef struct {
    hpo_domain domain;
    int64_t n;       /* trials of the history */
    double *x;       /* (d, n) prior draws */
    double *y;       /* (n) a bowl and a little noise */
    double *keys;    /* (TPE_KEYS, n) the last is y */
    double *gain;
} gate_space;

typedef struct {
    tpe_model model;
    tpe_group groups[2];
    tpe_pool pool;
    tpe_scratch scratch;
    int64_t *picks;
} gate_model;

double *gate_doubles(int64_t n);

void gate_space_make(gate_space *space, int64_t n);

/* A model that has observed the first n trials, with room for m candidates. */
void gate_model_make(gate_model *m, const gate_space *space, int64_t n, int64_t candidates);

/* k trials from `first` on have finished. */
void gate_observe(gate_model *m, const gate_space *space, int64_t first, int64_t k);

/* q suggestions from a pool of `candidates`. */
void gate_ask(gate_model *m, const gate_space *space, uint64_t stream, int64_t candidates, int64_t q,
              int64_t subset);

#endif
