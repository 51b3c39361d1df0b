/* How far the best trials lie from all trials, parameter by parameter.
 *
 * d, n, n'     parameters; trials; those of them that are chosen (the best)
 * cell         part of a parameter's range: a choice, a level, or one of the equal parts of a real interval
 * f, f'        share of the trials, and of the chosen ones, in each cell; trials without a value are left out
 * S            (cells, cells) Gaussian of each cell's trials over all cells, columns sum to 1; the identity for choices
 * p, p'        densities S f and S f'
 * h            standard deviation of the Gaussian: Scott's rule on the chosen trials, for both densities
 * D            Pearson divergence sum_g (p'_g - p_g)^2 / p_g, at most n/n' - 1
 * E            its expectation had the n' trials been chosen at random without replacement:
 *              (n - n') / (n' (n - 1)) sum_g (sum_j S_gj^2 f_j - p_g^2) / p_g
 *
 * One h for both: a wider one for p' alone would be a divergence by itself. As chosen trials are trials,
 * p' <= n/n' p, and no cell needs a prior to keep the quotient finite.
 *
 * Watanabe, Bansal, Hutter (2023), PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
 * subspaces. IJCAI. Scott (1992), Multivariate density estimation. Wiley.
 */
#ifndef HPO_IMPORTANCE_H
#define HPO_IMPORTANCE_H

#include <stdint.h>

typedef struct {
    int64_t d;
    const int64_t *cells;  /* (d) number of cells, at least 1 */
    const int64_t *start;  /* (d) first of the cells + 1 edges of each in `edges`; -1: x is the cell, a choice */
    const double *edges;   /* ascending, from 0 to 1 */
} importance_grid;

/* D, E, n and n' of each parameter for x (d, n), NaN where inactive; D = E = 0 where n' is 0. scratch: (6, the most
 * cells). */
void importance_divergences(const importance_grid *grid, const double *x, const uint8_t *chosen, int64_t n,
                            double *scratch, double *divergence, double *expected, int64_t *n_active,
                            int64_t *n_chosen);

#endif
