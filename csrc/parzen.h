/* Parzen mixtures over mixed and conditional coordinates.
 *
 * symbol  name here     shape          meaning
 * K       size          -              kernels in use; slot 0 is the uniform prior component
 * D       n_num + n_cat -              columns: numeric parameters first, then categorical ones;
 *                                      in each part those of the context come first
 * mu      center        (capacity, D)  internal coordinate, or category index
 * sigma   sigma         (capacity, n_num)  bandwidth
 * log Z   log_norm      (capacity, n_num)  log normaliser, see below
 * w       log_weight    (capacity)     log of the unnormalised weight
 *
 * Density of kernel k, relative to the uniform measure of the space (Lebesgue on [0, 1] for a
 * continuous parameter, the cell widths for a discrete one, counting measure for a category):
 *
 *   log K_k(x) = sum_num [-((x - mu) / sigma)^2 / 2 - log Z] + sum_cat [log match or log mismatch]
 *   Z = sigma sqrt(2 pi) (Phi((1 - mu)/sigma) - Phi(-mu/sigma))            continuous
 *   Z = sum_levels width exp(-((centre - mu)/sigma)^2 / 2)                 discrete
 *
 * so that log-ratios of mixtures are log-ratios of probabilities, and one exp per (candidate,
 * kernel) suffices. A column of the context takes part in A_k(s), the others in B_k(x_G):
 * the conditional density is sum_k w_k A_k B_k / sum_k w_k A_k.
 *
 * Bergstra et al. 2011 (TPE); Watanabe 2023, arXiv 2304.11127.
 */
#ifndef HPO_PARZEN_H
#define HPO_PARZEN_H

#include <stdint.h>

#include "domain.h"

typedef struct {
    int64_t capacity, size;
    int64_t n_num, n_cat;     /* columns of each part */
    int64_t ctx_num, ctx_cat; /* leading columns of each part that belong to the context */
    const int64_t *dims;      /* (D) parameter of each column */
    double *center;           /* (capacity, D) */
    double *sigma;            /* (capacity, n_num) */
    double *log_norm;         /* (capacity, n_num) */
    double *log_weight;       /* (capacity) */
    double *row;              /* (capacity, 2 n_num + n_cat): (1/sigma, -mu/sigma)/sqrt(2) pairs, categories */
    double *constant;         /* (capacity, 2): context part with the weight, own part */
    int32_t *order;           /* (n_num, capacity) slots 1.. sorted by (center, slot) */
    int64_t ordered;          /* slots in `order`; attached kernels stand behind them */
    int32_t *scratch;         /* (capacity) for sorting */
    int32_t *stale;           /* (7 n_num) slots whose bandwidth a change of a kernel changed, and its ranks */
    double *match;            /* (n_cat, 2): log match - log mismatch, log mismatch */
    double *prior_shift;      /* (n_cat) what makes a mismatch uniform, for the prior component */
    /* Of a mixture that many are drawn from; NULL else, and draws compute what they need. */
    double *tail;             /* (capacity, n_num, 2) continuous: masses beyond 0 and 1 before truncation */
    double *cumulative;       /* (capacity, n_levels) discrete: running sums of the levels' masses; of widths in slot 0 */
    int64_t n_levels;
    const int64_t *level_start; /* (n_num) first entry of a column in a row of `cumulative` */
} parzen_mixture;

/* Empties the mixture to its prior component, of the given weight. */
void parzen_clear(parzen_mixture *p, double prior_weight);

/* Writes the centres of slot k from column `trial` of x (d, stride). */
void parzen_place(parzen_mixture *p, int64_t k, const double *x, int64_t stride, int64_t trial);

/* Slot `to` becomes a copy of slot `from`, out of the sorted columns. */
void parzen_move(parzen_mixture *p, int64_t from, int64_t to);

/* Sorts every numeric column and computes all bandwidths and normalisers of slots 1..size-1. */
void parzen_rebuild(parzen_mixture *p, const hpo_domain *domain, double floor);

/* Takes slot k (< size, placed) into, or out of, the sorted columns; its neighbours' bandwidths follow.
 * Leaves what parzen_rebuild would. */
void parzen_insert(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor);
void parzen_remove(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor);

/* The three of parzen_remove, parzen_place and parzen_insert. */
void parzen_replace(parzen_mixture *p, const hpo_domain *domain, int64_t k, const double *x, int64_t stride,
                    int64_t trial, double floor);

/* A kernel enters as slot k (1 <= k <= size < capacity), and those from k on move up by one; or the last one leaves.
 * Bandwidths, normalisers and constants are out of date until parzen_settle. */
void parzen_enter(parzen_mixture *p, int64_t k, const double *x, int64_t stride, int64_t trial);
void parzen_leave(parzen_mixture *p);

/* Brings every bandwidth up to date, the normalisers of those that changed, and all constants. Leaves what
 * parzen_rebuild would. */
void parzen_settle(parzen_mixture *p, const hpo_domain *domain, double floor);

/* Bandwidths of slot k among the sorted columns, which stay as they are. */
void parzen_attach(parzen_mixture *p, const hpo_domain *domain, int64_t k, double floor);

/* Smoothing of categories: weight epsilon for each choice beside 1 for the observed one. */
void parzen_smooth(parzen_mixture *p, const hpo_domain *domain, double epsilon);

/* Constants of slots k0..k1-1, each recomputed whole from log_weight and log_norm. */
void parzen_constants(parzen_mixture *p, int64_t k0, int64_t k1);

/* Unnormalised log densities of m candidates x (D, m), columns in the mixture's order: log sum_k w_k A_k B_k
 * over kernels k0..k1-1 into joint (m) and, where the mixture has a context, log sum_k w_k A_k into context (m). */
void parzen_log_density(const parzen_mixture *p, const double *x, int64_t m, int64_t k0, int64_t k1,
                        double *joint, double *context);

/* log w_k A_k(s) of every kernel for m candidates x (D, m): terms (size, m). */
void parzen_context_terms(const parzen_mixture *p, const double *x, int64_t m, double *terms);

/* Draws column c of m candidates from B_k of their component: u (m) in (0, 1), x (m) out. */
void parzen_draw(const parzen_mixture *p, const hpo_domain *domain, int64_t column, const int32_t *component,
                 const double *u, int64_t m, double *x);

/* Uniform numbers start..start+n-1 of (seed, stream). */
void parzen_uniforms(uint64_t seed, uint64_t stream, uint64_t start, int64_t n, double *out);

#endif
