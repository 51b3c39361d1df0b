/* Projected BFGS steps uphill, of many starts side by side.
 *
 * A start moves p of its d parameters, those of rows. Their coordinates z lie in [low, high]; steps are taken in
 * u = z / scale, so that a unit matters alike in every direction. g is the gradient with respect to u; H estimates the
 * inverse of minus the second derivatives. Where z is NaN the parameter is inactive: it stays so, and g is 0.
 *
 * Nocedal and Wright (2006), Numerical Optimization: algorithm 3.1, equation 6.17 (H), 6.20 (its first scale).
 * Bertsekas (1982), Projected Newton methods. SIAM J. Control and Optimization 20(2).
 */
#ifndef HPO_CLIMB_H
#define HPO_CLIMB_H

#include <stdint.h>

typedef struct {
    int64_t p, m;
    const int64_t *rows;              /* (p) */
    const double *scale, *low, *high; /* (p) */
} climb_space;

/* Of m starts, one after another. */
typedef struct {
    double *z, *g;  /* (m, p) where the start is, and the gradient there */
    double *h;      /* (m, p, p) */
    double *known;  /* (m) 0 while H is the identity, 1 once it has learnt */
    double *value;  /* (m) at z */
    double *length; /* (m) share of the next step that is tried */
    double *gain;   /* (m) what the step that was proposed last still promises, to first order */
} climb_state;

/* The step each tries next: into the rows of x (d, m). scratch: (2, p). */
void climb_propose(const climb_space *space, const climb_state *state, double *scratch, double *x);

/* Takes the steps whose values (m) are high enough, learns from their slopes (d, m), and shortens the others. scratch:
 * (3, p). */
void climb_accept(const climb_space *space, const climb_state *state, const double *x, const double *value,
                  const double *slope, double *scratch);

#endif
