/* Non-domination and hypervolume; less is better in every objective.
 *
 * m, n         objectives, points
 * dominates    no worse in any objective and better in one
 * rank         of a point: 0 on the front of those that nothing dominates, else 1 + the largest rank of what
 *              dominates it; this is the front it is on once the fronts before it are taken away
 * level        (m - 1, n) number of a coordinate among the sorted distinct ones of its row, from 0
 * reference    (m) corner of the boxes that the points span; every point is below it in every objective
 *
 * Ranks of more than two objectives: divide and conquer over the order and over the bits of the levels, a sweep
 * with a Fenwick tree at the end, O(n log^(m-1) n) as in Buzdalov and Shalyto (2014), A provably asymptotically
 * fast version of the generalized Jensen algorithm for non-dominated sorting. PPSN XIII.
 * Volumes: a sweep over three objectives, and slices of what the next point adds above, as in Guerreiro and
 * Fonseca (2018), Computing and updating hypervolume contributions in up to four dimensions. IEEE TEC 22(3).
 */
#ifndef HPO_HYPERVOLUME_H
#define HPO_HYPERVOLUME_H

#include <stdint.h>

enum { HPO_WINDOW = 64 };

/* keep[j] = 0 for points of y (m, n) that one of HPO_WINDOW good ones dominates, else 1: a point that is dominated
 * may be kept. scratch: (HPO_WINDOW, m). */
void hypervolume_screen(const double *y, int64_t m, int64_t n, double *scratch, uint8_t *keep);

/* Ranks of distinct points of two objectives in lexicographic order, by their second coordinates. tail: (n). */
void hypervolume_pair_ranks(const double *second, int64_t n, double *tail, int32_t *ranks);

/* Ranks of distinct points of three objectives or more in lexicographic order, by the other rows' levels; k = m - 1.
 * sweep (n): points by level of the last row but one. scratch: (k + 2, n + 1). */
void hypervolume_ranks(const int32_t *level, int64_t k, int64_t n, const int32_t *sweep, int32_t *scratch,
                       int32_t *ranks);

/* Rank of a point among n_fronts fronts, whose points (n, m) begin at starts (n_fronts + 1): the number of them that
 * hold a point which dominates it. */
int64_t hypervolume_place(const double *points, const int64_t *starts, int64_t n_fronts, int64_t m,
                          const double *point);

/* Hypervolume of points (n, m) sorted by the last objective, m >= 2. scratch: (m, m, n + 1). */
double hypervolume_volume(const double *points, int64_t n, int64_t m, const double *reference, double *scratch);

/* What one more point adds to it. scratch: (m + 1, m, n + 1). */
double hypervolume_share(const double *points, int64_t n, int64_t m, const double *reference, const double *point,
                         double *scratch);

/* What each of such points, none of them dominated or twice there, adds to the volume of the others. scratch:
 * (m + 1, m, n + 1). */
void hypervolume_shares(const double *points, int64_t n, int64_t m, const double *reference, double *scratch,
                        double *out);

#endif
