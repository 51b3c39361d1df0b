/* Philox-4x32-10, a counter-based random number generator: no state, any number at any time.
 *
 * seed         64-bit key (low word first)
 * trial        upper half of the 128-bit counter's words: words 0 and 1
 * index        number of the uniform within the trial; one block of four words gives two uniforms, so
 *              words 2 and 3 of the counter are index / 2
 *
 * Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3. SC '11.
 * simd_math.h has the vector form, which gives the same bits.
 */
#ifndef HPO_PHILOX_H
#define HPO_PHILOX_H

#include <stdint.h>
#include <string.h>

#define HPO_PHILOX_M0 0xD2511F53u
#define HPO_PHILOX_M1 0xCD9E8D57u
#define HPO_PHILOX_W0 0x9E3779B9u
#define HPO_PHILOX_W1 0xBB67AE85u
#define HPO_PHILOX_ROUNDS 10

/* Replaces the counter c by its four random words. */
static inline void philox4x32(uint64_t seed, uint32_t c[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < HPO_PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)HPO_PHILOX_M0 * c[0], p1 = (uint64_t)HPO_PHILOX_M1 * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        k0 += HPO_PHILOX_W0;
        k1 += HPO_PHILOX_W1;
    }
}

/* 64 random bits to the centre of one of 2^52 cells: strictly inside (0, 1), and exact. */
static inline double philox_unit(uint64_t bits)
{
    uint64_t cell = (bits >> 12) | 0x3FF0000000000000u;
    double u;
    memcpy(&u, &cell, sizeof u);
    return u - (1.0 - 0x1p-53);
}

static inline uint64_t philox_u64(uint64_t seed, uint64_t trial, uint64_t index)
{
    uint64_t block = index >> 1;
    uint32_t c[4] = {(uint32_t)trial, (uint32_t)(trial >> 32), (uint32_t)block, (uint32_t)(block >> 32)};
    philox4x32(seed, c);
    int half = (int)(index & 1) * 2;
    return (uint64_t)c[half + 1] << 32 | c[half];
}

/* Uniform number `index` of trial `trial`, in (0, 1). */
static inline double philox_u01(uint64_t seed, uint64_t trial, uint64_t index)
{
    return philox_unit(philox_u64(seed, trial, index));
}

#endif
