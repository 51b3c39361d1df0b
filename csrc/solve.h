/* Solves with a lower triangular matrix.
 *
 * L is (n, n), its rows ld apart; what lies above the diagonal is not read. b is (n, m), its rows ldb apart, and
 * is overwritten. The bits of a column depend neither on m nor on the other columns.
 */
#ifndef HPO_SOLVE_H
#define HPO_SOLVE_H

#include <stdint.h>

/* Rows of L that are worked on together: as many accumulators hide the latency of a multiply-add. */
#define ROWS 8
/* Vectors of right-hand sides in a panel, and panels that share what is fetched of L. */
#define VECTORS 2
#define PANELS 4

/* Doubles of scratch for each row of b; it begins at a multiple of 64 bytes. */
static inline int64_t solve_scratch(int64_t m)
{
    const int64_t panel = VECTORS * 8, padded = (m + panel - 1) / panel * panel;
    return padded < PANELS * panel ? padded : PANELS * panel;
}

/* Room for SOLVE_EDGE bytes more than the scratch holds it, from here on. */
#define SOLVE_EDGE 63

static inline double *solve_aligned(void *room)
{
    return (double *)(((uintptr_t)room + SOLVE_EDGE) & ~(uintptr_t)SOLVE_EDGE);
}

/* b becomes L^-1 b, or L^-T b if transposed. */
void solve_lower(const double *l, int64_t ld, int64_t n, double *b, int64_t ldb, int64_t m, int transposed,
                 double *scratch);

#endif
