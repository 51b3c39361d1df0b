/* The compiled form of hpo_core.layout.Layout: prior draws, snapping, conditions, keys.
 *
 * x            internal coordinates; row i (parameter i) starts at x + i * stride, one column per
 *              configuration. Inactive entries are NaN
 * u            uniform in (0, 1); the prior transform maps it to a coordinate of one parameter
 * level        index of a discrete, stepped or categorical coordinate
 * program      pairs (op, argument) in postfix order, see hpo_core.layout.Op. The facade has checked
 *              every argument and the depth of the stack
 *
 * Random numbers: uniform i of prior draw j of stream s is philox_u01(seed, s, tag | i << 32 | j) with
 * the tag below in the top byte. Other uses of (seed, s) take another tag, or none.
 */
#ifndef HPO_DOMAIN_H
#define HPO_DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#define HPO_PRIOR_TAG ((uint64_t)1 << 56)
#define HPO_MAX_STACK 32
#define HPO_GOLDEN 0x9E3779B97F4A7C15u /* 2^64 / golden ratio */

enum hpo_kind { HPO_CONTINUOUS, HPO_DISCRETE, HPO_CATEGORICAL, HPO_STEPPED };

/* Borrowed pointers; the arrays belong to the layout and to the handle that made the struct. */
typedef struct {
    int64_t d;                      /* parameters */
    int64_t n_groups;               /* at least 1; group 0 is always active */
    int64_t n_forbid;
    const uint8_t *kinds;           /* (d) hpo_kind */
    const uint8_t *log;             /* (d) */
    const uint8_t *regular;         /* (d) DISCRETE with all cells of one width */
    const int64_t *levels;          /* (d) */
    const int64_t *table_start;     /* (d + 1) */
    const double *centers;          /* (t) */
    const double *edges, *widths;   /* (t) upper edge and width of each cell */
    const double *values;           /* (t) */
    const double *offset, *span;    /* (d) */
    const double *low, *high, *step;/* (d) */
    const double *scale;            /* (d) power of ten that makes integers of STEPPED values, or 1 */
    const double *defaults;         /* (d) */
    const int64_t *member_start;    /* (n_groups + 1) group g owns these entries of members */
    const int64_t *members;         /* (d) parameters, group by group */
    const int32_t *program;         /* (p, 2) */
    const double *constants;
    const int64_t *condition_start; /* (n_groups + 1) */
    const int64_t *forbid_start;    /* (n_forbid + 1) */
} hpo_domain;

/* A bijection of 64 bits in which each input bit flips about half of the output (the finaliser of
 * SplitMix64: Steele, Lea and Flood 2014). */
static inline uint64_t hpo_mix64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Prior transform of one parameter, in place: u -> coordinate. */
void domain_prior(const hpo_domain *dom, int64_t dim, double *u, int64_t m);

/* Moves coordinates of one parameter to the centre of their cell, in place. Values beyond the range
 * go to the nearest end; NaN stays. */
void domain_snap(const hpo_domain *dom, int64_t dim, double *x, int64_t m);

/* Level of each coordinate of one parameter, -1 where it is NaN. Not for CONTINUOUS. */
void domain_levels(const hpo_domain *dom, int64_t dim, const double *x, int64_t m, int64_t *out);

/* out[j] = 1 where the condition of `group` holds. Reads parameters of earlier groups only. */
void domain_group_mask(const hpo_domain *dom, int64_t group, const double *x, ptrdiff_t stride, int64_t m,
                       uint8_t *out);

/* Evaluates the groups in order and makes the parameters of inactive ones NaN. */
void domain_deactivate(const hpo_domain *dom, double *x, ptrdiff_t stride, int64_t m);

/* Snap every parameter, then domain_deactivate. */
void domain_settle(const hpo_domain *dom, double *x, ptrdiff_t stride, int64_t m);

/* out[j] = 0 where a forbidden expression is true. */
void domain_permitted(const hpo_domain *dom, const double *x, ptrdiff_t stride, int64_t m, uint8_t *out);

/* Prior draws start .. start + m - 1 of a stream, settled. */
void domain_random(const hpo_domain *dom, uint64_t seed, uint64_t stream, int64_t start, double *x,
                   ptrdiff_t stride, int64_t m);

/* 64-bit hash of each configuration's levels (the bits of x for CONTINUOUS), never 0. */
void domain_keys(const hpo_domain *dom, const double *x, ptrdiff_t stride, int64_t m, uint64_t *out);

/* A set of keys with open addressing: `slots` has 2^k entries, at least twice the number of keys, 0 is
 * an empty one. Both return how many keys were new. */
int64_t domain_keyset_insert(uint64_t *slots, int64_t n_slots, const uint64_t *keys, int64_t m);

/* Whether the set holds a key. */
int domain_keyset_holds(const uint64_t *slots, int64_t n_slots, uint64_t key);

/* out[j] = 1 where keys[j] is neither in the set nor among keys[:j]. The set is left as it was;
 * `scratch` (m) holds slots to give back. */
int64_t domain_keyset_fresh(uint64_t *slots, int64_t n_slots, const uint64_t *keys, int64_t m,
                            int64_t *scratch, uint8_t *out);

#endif
