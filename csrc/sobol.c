#include "sobol.h"

#define BLOCK 64
#define BITS 32

enum purpose { SCRAMBLE, SHUFFLE };

static inline uint32_t reverse_bits(uint32_t v)
{
    v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
    v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
    v = (v >> 4 & 0x0F0F0F0Fu) | (v & 0x0F0F0F0Fu) << 4;
    v = (v >> 8 & 0x00FF00FFu) | (v & 0x00FF00FFu) << 8;
    return v >> 16 | v << 16;
}

/* Flips each bit of v by a hash of the bits above it. A hash in the manner of Laine and Karras carries
 * from low to high only, hence the reversals. The steps are Vegdahl's: with those of the paper the
 * flips of neighbouring cells are correlated, up to 0.6. */
static inline uint32_t owen(uint32_t v, uint32_t seed)
{
    v = reverse_bits(v);
    v ^= v * 0x3D20ADEAu;
    v = (v + seed) * (seed >> 16 | 1u);
    v ^= v * 0x05526C56u;
    v ^= v * 0x53A22864u;
    return reverse_bits(v);
}

static uint32_t scramble_seed(uint64_t seed, enum purpose purpose, int64_t i)
{
    uint64_t z = hpo_mix64(seed + HPO_GOLDEN);
    return (uint32_t)(hpo_mix64(z + HPO_GOLDEN * (2 * (uint64_t)i + purpose)) >> 32);
}

static inline uint32_t gray(uint32_t v) { return v ^ v >> 1; }

/* XOR of the directions that the bits of each number turn on; all BLOCK of them, for constant trips. */
static void combine(const uint32_t *restrict directions, const uint32_t *restrict number, uint32_t *restrict v)
{
    uint32_t any = 0;
    for (int j = 0; j < BLOCK; j++) {
        any |= number[j];
        v[j] = 0;
    }
    for (int k = 0; k < BITS && any >> k; k++)
        for (int j = 0; j < BLOCK; j++)
            v[j] ^= -(number[j] >> k & 1u) & directions[k];
}

void sobol_row(const uint32_t *directions, uint64_t seed, int64_t i, uint64_t start, int64_t m, double *u)
{
    int64_t repetition = i / HPO_SOBOL_DIMENSIONS;
    uint32_t number[BLOCK], v[BLOCK];
    uint32_t scramble = scramble_seed(seed, SCRAMBLE, i), shuffle = scramble_seed(seed, SHUFFLE, repetition);
    directions += i % HPO_SOBOL_DIMENSIONS * BITS;
    for (int64_t done = 0; done < m; done += BLOCK) {
        int64_t n = m - done < BLOCK ? m - done : BLOCK;
        for (int64_t j = 0; j < BLOCK; j++)
            number[j] = j < n ? (uint32_t)(start + (uint64_t)(done + j)) : 0;
        for (int64_t j = 0; j < BLOCK && repetition > 0; j++)
            number[j] = owen(number[j], shuffle);
        for (int64_t j = 0; j < BLOCK; j++)
            number[j] = gray(number[j]);
        combine(directions, number, v);
        for (int64_t j = 0; j < n; j++)
            u[done + j] = (owen(v[j], scramble) + 0.5) * 0x1p-32;
    }
}

void domain_sobol(const hpo_domain *dom, const uint32_t *directions, uint64_t seed, uint64_t start, double *x,
                  ptrdiff_t stride, int64_t m)
{
    for (int64_t i = 0; i < dom->d; i++) {
        double *row = x + i * stride;
        sobol_row(directions, seed, i, start, m, row);
        domain_prior(dom, i, row, m);
        if (start == 0 && m > 0)
            row[0] = dom->defaults[i];
    }
    domain_deactivate(dom, x, stride, m);
}
