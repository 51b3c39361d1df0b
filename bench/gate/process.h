/* What a Gaussian process asks of the kernels: points of the space of model.h, and predictions of some. */
#ifndef GATE_PROCESS_H
#define GATE_PROCESS_H

#include "covariance.h"
#include "model.h"

enum { GATE_POINTS = 48, GATE_OTHERS = 128 };

typedef struct {
    covariance_kernel kernel;
    covariance_points points, others; /* GATE_POINTS and GATE_OTHERS prior draws */
    double *weight;                   /* (GATE_POINTS, GATE_OTHERS) */
    double *out;                      /* as large, and room for every gradient */
    double *mean, *sd;                /* (GATE_OTHERS) */
    double *lower;                    /* (GATE_POINTS, GATE_POINTS) a factor */
} gate_process;

void gate_process_make(gate_process *process, const gate_space *space);

#endif
