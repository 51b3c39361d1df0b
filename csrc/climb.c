#include "climb.h"

#include <math.h>

/* A step in u: farther than a lengthscale the quadratic model means nothing. */
#define MAX_STEP 1.0
/* Share of the slope's promise that a step must keep, and what is left of one that does not. */
#define ARMIJO 1e-4
#define SHRINK 0.3
/* Curvature along a step, relative to the lengths, below which it says nothing. */
#define LEAST_CURVATURE 1e-10

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void multiply(const double *h, const double *v, int64_t p, double *out)
{
    for (int64_t i = 0; i < p; i++) {
        out[i] = dot(h + i * p, v, p);
    }
}

static void forget(double *h, int64_t p)
{
    for (int64_t i = 0; i < p * p; i++) {
        h[i] = i % (p + 1) == 0;
    }
}

/* An ascent direction in u that no bound blocks; returns the gain along it, to first order. */
static double ascend(const climb_space *space, const double *z, const double *g, double *h, double *pull,
                     double *direction)
{
    const int64_t p = space->p;
    for (int64_t i = 0; i < p; i++) {
        const int held = (z[i] <= space->low[i] && g[i] < 0.0) || (z[i] >= space->high[i] && g[i] > 0.0);
        pull[i] = held ? 0.0 : g[i];
    }
    multiply(h, pull, p, direction);
    for (int64_t i = 0; i < p; i++) {
        direction[i] = pull[i] == g[i] ? direction[i] : 0.0;
    }
    double gain = dot(direction, pull, p);
    if (!(gain > 0.0)) {
        forget(h, p);
        for (int64_t i = 0; i < p; i++) {
            direction[i] = pull[i];
        }
        gain = dot(pull, pull, p);
    }
    const double length = sqrt(dot(direction, direction, p));
    if (length > MAX_STEP) {
        for (int64_t i = 0; i < p; i++) {
            direction[i] *= MAX_STEP / length;
        }
        gain *= MAX_STEP / length;
    }
    return gain;
}

void climb_propose(const climb_space *space, const climb_state *state, double *scratch, double *x)
{
    const int64_t p = space->p, m = space->m;
    double *direction = scratch + p;
    for (int64_t j = 0; j < m; j++) {
        const double *z = state->z + j * p;
        state->gain[j] = ascend(space, z, state->g + j * p, state->h + j * p * p, scratch, direction);
        for (int64_t i = 0; i < p; i++) {
            const double moved = z[i] + state->length[j] * direction[i] * space->scale[i];
            const double above = moved < space->low[i] ? space->low[i] : moved; /* NaN stays NaN */
            x[space->rows[i] * m + j] = above > space->high[i] ? space->high[i] : above;
        }
    }
}

/* Equation 6.17: H from a step s and the change y of -g along it. hy: (p) of scratch. */
static void learn(double *h, double *known, const double *s, const double *y, int64_t p, double *hy)
{
    const double sy = dot(s, y, p), yy = dot(y, y, p);
    if (!(sy > LEAST_CURVATURE * sqrt(dot(s, s, p) * yy) && sy > 0.0)) {
        return;
    }
    if (*known == 0.0) {
        for (int64_t i = 0; i < p; i++) {
            h[i * (p + 1)] *= sy / yy; /* equation 6.20 */
        }
        *known = 1.0;
    }
    multiply(h, y, p, hy);
    const double rho = 1.0 / sy, grown = rho * (1.0 + rho * dot(y, hy, p));
    for (int64_t i = 0; i < p; i++) {
        for (int64_t k = 0; k < p; k++) {
            h[i * p + k] += grown * s[i] * s[k] - rho * (hy[i] * s[k] + s[i] * hy[k]);
        }
    }
}

void climb_accept(const climb_space *space, const climb_state *state, const double *x, const double *value,
                  const double *slope, double *scratch)
{
    const int64_t p = space->p, m = space->m;
    double *s = scratch, *y = scratch + p;
    for (int64_t j = 0; j < m; j++) {
        double *z = state->z + j * p, *g = state->g + j * p;
        for (int64_t i = 0; i < p; i++) {
            const int active = z[i] == z[i];
            const int64_t at = space->rows[i] * m + j;
            s[i] = active ? (x[at] - z[i]) / space->scale[i] : 0.0;
            y[i] = active ? g[i] - slope[at] * space->scale[i] : 0.0;
        }
        const int accepted = value[j] >= state->value[j] + ARMIJO * dot(g, s, p);
        if (!accepted) {
            state->length[j] *= SHRINK;
            state->gain[j] *= state->length[j];
            continue;
        }
        learn(state->h + j * p * p, state->known + j, s, y, p, scratch + 2 * p);
        for (int64_t i = 0; i < p; i++) {
            z[i] = x[space->rows[i] * m + j];
            g[i] -= y[i];
        }
        state->value[j] = value[j];
        state->length[j] = 1.0;
    }
}
