/* Philox over vectors: the bits of philox.h, LANES blocks at a time. Part of simd_math.h. */

/* Product of the low words of each lane. */
HPO_INLINE vu HPO_NAME(vmul_low)(vu a, vu b)
{
#if !defined(__x86_64__)
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#elif LANES == 8
    return (vu)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif LANES == 4
    return (vu)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
    return (vu)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

/* philox_unit(high word : low word). */
HPO_INLINE vd HPO_NAME(vphilox_unit)(vu high, vu low)
{
    vu cell = (high << 32 | (low & 0xFFFFFFFFu)) >> 12 | 0x3FF0000000000000u;
    return (vd)cell - (1.0 - 0x1p-53);
}

/* Both uniforms of the blocks (trial, block): numbers 2 block and 2 block + 1 of each trial. The high
 * words of the lanes hold rubbish between rounds; a multiplication reads the low words only. */
HPO_INLINE void HPO_NAME(vphilox)(uint64_t seed, vu trial, vu block, vd *even, vd *odd)
{
    vu c0 = trial, c1 = trial >> 32, c2 = block, c3 = block >> 32;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < HPO_PHILOX_ROUNDS; round++) {
        vu p0 = HPO_NAME(vmul_low)(c0, (vu){0} + HPO_PHILOX_M0);
        vu p1 = HPO_NAME(vmul_low)(c2, (vu){0} + HPO_PHILOX_M1);
        c0 = p1 >> 32 ^ c1 ^ (uint64_t)k0;
        c2 = p0 >> 32 ^ c3 ^ (uint64_t)k1;
        c1 = p1;
        c3 = p0;
        k0 += HPO_PHILOX_W0;
        k1 += HPO_PHILOX_W1;
    }
    *even = HPO_NAME(vphilox_unit)(c1, c0);
    *odd = HPO_NAME(vphilox_unit)(c3, c2);
}

HPO_INLINE vu HPO_NAME(viota)(uint64_t start)
{
    vu v;
    for (int i = 0; i < LANES; i++)
        v[i] = start + (uint64_t)i;
    return v;
}

/* out[i] = philox_u01(seed, trial, start + i): many uniforms of one trial. */
HPO_INLINE void HPO_NAME(vphilox_u01)(uint64_t seed, uint64_t trial, uint64_t start, int64_t n, double *out)
{
    int64_t i = 0;
    if (n > 0 && start % 2)
        out[i++] = philox_u01(seed, trial, start);
    vu block = HPO_NAME(viota)((start + (uint64_t)i) / 2);
    for (; i < n; i += 2 * LANES, block += LANES) {
        vd even, odd;
        double both[2 * LANES];
        HPO_NAME(vphilox)(seed, (vu){0} + trial, block, &even, &odd);
        for (int lane = 0; lane < LANES; lane++) {
            both[2 * lane] = even[lane];
            both[2 * lane + 1] = odd[lane];
        }
        memcpy(out + i, both, sizeof(double) * (n - i < 2 * LANES ? n - i : 2 * LANES));
    }
}

/* out[i] = philox_u01(seed, trial + i, index): the same uniform of many trials. */
HPO_INLINE void HPO_NAME(vphilox_trials)(uint64_t seed, uint64_t trial, uint64_t index, int64_t n, double *out)
{
    vu trials = HPO_NAME(viota)(trial), block = (vu){0} + index / 2;
    for (int64_t i = 0; i < n; i += LANES, trials += LANES) {
        vd even, odd;
        HPO_NAME(vphilox)(seed, trials, block, &even, &odd);
        vd u = index % 2 ? odd : even;
        if (n - i >= LANES)
            vstore(out + i, u);
        else
            vstore_n(out + i, u, n - i);
    }
}
