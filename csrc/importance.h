/* How far the best trials lie from all trials, parameter by parameter.
 *
 * d, n, n'     parameters; trials; those of them that are chosen (the best)
 * cell         part of a parameter's range: a choice, a level, or one of the equal parts of a real interval
 * f, f'        share of the trials, and of the chosen ones, in each cell; trials without a value are left out
 * S            (cells, cells) Gaussian of each cell's trials over all cells, columns sum to 1; the identity for choices
 * p, p'        densities S f and S f'
 * h            standard deviation of the Gaussian: Scott's rule on the chosen trials, for both densities
 * D            Pearson divergence sum_g (p'_g - p_g)^2 / p_g, at most n/n' - 1
 * A, A'        sum_g sum_j S_gj^2 f_j / p_g, and the same of f'
 * N            noise, the part of D that comes from n' being small: (A' - 1 - D) / (n' - 1) - (A - 1) / (n - 1);
 *              A - 1 if n' is 1
 *
 * D - N has a plain meaning. Let sum_g S_gi S_gj / p_g say how near two trials i and j are: D - N is its mean over
 * pairs of different chosen trials, less its mean over pairs of different trials. It is 0 on average if trials are
 * chosen at random. To subtract the D of a random choice would be simpler, and wrong for a search that has narrowed:
 * its few scattered trials make that D large, although the best trials, all in one place, have none of that noise.
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

/* D, N, n and n' of each parameter for x (d, n), NaN where inactive; D = N = 0 where n' is 0. scratch: (7, the most
 * cells). */
void importance_divergences(const importance_grid *grid, const double *x, const uint8_t *chosen, int64_t n,
                            double *scratch, double *divergence, double *noise, int64_t *n_active,
                            int64_t *n_chosen);

#endif
