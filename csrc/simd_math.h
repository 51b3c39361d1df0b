/* Vector functions, included once per target by simd_targets.h (hence no include guard).
 *
 * Everything is branch-free over a vector's lanes and inlined into the kernels. The polynomials are
 * minimax fits (Remez); the stated errors were measured against mpmath.
 */

typedef double vd __attribute__((vector_size(8 * LANES)));
typedef int64_t vi __attribute__((vector_size(8 * LANES)));
typedef uint64_t vu __attribute__((vector_size(8 * LANES)));

/* -- loads, stores, selection ----------------------------------------------------------------- */

HPO_INLINE vd vload(const double *p)
{
    vd v;
    memcpy(&v, p, sizeof v);
    return v;
}

HPO_INLINE void vstore(double *p, vd v) { memcpy(p, &v, sizeof v); }

/* The first n <= LANES elements, the other lanes 0; nothing beyond them is touched. */
HPO_INLINE vd vload_n(const double *p, int64_t n)
{
#if defined(__x86_64__) && LANES == 8
    return (vd)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1u), p);
#elif defined(__x86_64__) && LANES == 4
    return (vd)_mm256_maskload_pd(p, (__m256i)((vi){0, 1, 2, 3} < n));
#else
    double lane[LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i] = p[i];
    return vload(lane);
#endif
}

HPO_INLINE void vstore_n(double *p, vd v, int64_t n)
{
#if defined(__x86_64__) && LANES == 8
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1u), (__m512d)v);
#elif defined(__x86_64__) && LANES == 4
    _mm256_maskstore_pd(p, (__m256i)((vi){0, 1, 2, 3} < n), (__m256d)v);
#else
    double lane[LANES];
    vstore(lane, v);
    for (int64_t i = 0; i < n; i++)
        p[i] = lane[i];
#endif
}

HPO_INLINE vd vset(double s) { return s - (vd){0}; }

/* mask ? a : b, lane by lane. */
HPO_INLINE vd vselect(vi mask, vd a, vd b) { return (vd)((mask & (vi)a) | (~mask & (vi)b)); }

/* a where x != y, a + b where x == y. */
HPO_INLINE vd vadd_if_equal(vd a, vd b, vd x, vd y)
{
#if defined(__x86_64__) && LANES == 8
    /* GCC turns the mask into a vector and back otherwise. */
    return (vd)_mm512_mask_add_pd((__m512d)a, _mm512_cmp_pd_mask((__m512d)x, (__m512d)y, _CMP_EQ_OQ), (__m512d)a,
                                  (__m512d)b);
#else
    return a + (vd)((x == y) & (vi)b);
#endif
}

/* a where x < y, a + b where x >= y. */
HPO_INLINE vd vadd_if_least(vd a, vd b, vd x, vd y)
{
#if defined(__x86_64__) && LANES == 8
    return (vd)_mm512_mask_add_pd((__m512d)a, _mm512_cmp_pd_mask((__m512d)x, (__m512d)y, _CMP_GE_OQ), (__m512d)a,
                                  (__m512d)b);
#else
    return a + (vd)((x >= y) & (vi)b);
#endif
}

HPO_INLINE vd vabs(vd a) { return (vd)((vu)a & 0x7FFFFFFFFFFFFFFFu); }

/* What no vector extension expresses. vmin and vmax give b if either is NaN, as the instructions do. */
#if !defined(__x86_64__)
HPO_INLINE vd vmin(vd a, vd b) { return vselect(a < b, a, b); }
HPO_INLINE vd vmax(vd a, vd b) { return vselect(a > b, a, b); }
HPO_INLINE int vany(vi mask)
{
    int64_t any = 0;
    for (int i = 0; i < LANES; i++)
        any |= mask[i];
    return any != 0;
}
HPO_INLINE vd vsqrt(vd x)
{
    for (int i = 0; i < LANES; i++)
        x[i] = __builtin_sqrt(x[i]);
    return x;
}
#elif LANES == 8
HPO_INLINE vd vmin(vd a, vd b) { return (vd)_mm512_min_pd((__m512d)a, (__m512d)b); }
HPO_INLINE vd vmax(vd a, vd b) { return (vd)_mm512_max_pd((__m512d)a, (__m512d)b); }
HPO_INLINE int vany(vi mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }
HPO_INLINE vd vsqrt(vd x) { return (vd)_mm512_sqrt_pd((__m512d)x); }
#elif LANES == 4
HPO_INLINE vd vmin(vd a, vd b) { return (vd)_mm256_min_pd((__m256d)a, (__m256d)b); }
HPO_INLINE vd vmax(vd a, vd b) { return (vd)_mm256_max_pd((__m256d)a, (__m256d)b); }
HPO_INLINE int vany(vi mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }
HPO_INLINE vd vsqrt(vd x) { return (vd)_mm256_sqrt_pd((__m256d)x); }
#else
HPO_INLINE vd vmin(vd a, vd b) { return (vd)_mm_min_pd((__m128d)a, (__m128d)b); }
HPO_INLINE vd vmax(vd a, vd b) { return (vd)_mm_max_pd((__m128d)a, (__m128d)b); }
HPO_INLINE int vany(vi mask) { return _mm_movemask_pd((__m128d)mask) != 0; }
HPO_INLINE vd vsqrt(vd x) { return (vd)_mm_sqrt_pd((__m128d)x); }
#endif

/* Whether every lane has the sign of a negative number. */
HPO_INLINE int vall_negative(vd a)
{
#if !defined(__x86_64__)
    return !vany((vi)a >= 0);
#elif LANES == 8
    return _mm512_movepi64_mask((__m512i)a) == 0xFF;
#elif LANES == 4
    return _mm256_movemask_pd((__m256d)a) == 0xF;
#else
    return _mm_movemask_pd((__m128d)a) == 0x3;
#endif
}

/* Sum of the lanes, in halves: three dependent additions instead of seven. */
HPO_INLINE double vsum(vd a)
{
    double lane[LANES];
    vstore(lane, a);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

/* -- exp and log ------------------------------------------------------------------------------ */

/* exp(x) for -708 <= x <= 709, else garbage: for arguments that are known to be tame. <= 1 ulp.
 *
 * x = k log 2 + r; adding 1.5 * 2^52 rounds x / log 2 to the integer k and leaves k in the low bits,
 * from where a shift carries it into the exponent. */
HPO_INLINE vd HPO_NAME(vexp_tame)(vd x)
{
    vd shifted = x * 0x1.71547652b82fep+0 + 0x1.8p52;
    vd k = shifted - 0x1.8p52;
    vd r = x - k * 0x1.62e42fefa3800p-1 - k * 0x1.ef35793c76730p-45;
    vd r2 = r * r, r4 = r2 * r2;
    vd q01 = 0x1.0000000000001p-1 + r * 0x1.5555555555558p-3;
    vd q23 = 0x1.5555555553d62p-5 + r * 0x1.111111110f803p-7;
    vd q45 = 0x1.6c16c1788c42ap-10 + r * 0x1.a01a01b00c2c6p-13;
    vd q67 = 0x1.a019b90bca091p-16 + r * 0x1.71ddf6b3f10d1p-19;
    vd q89 = 0x1.289186d115cc2p-22 + r * 0x1.af632ad6abee8p-26;
    vd q = (q01 + r2 * q23) + r4 * ((q45 + r2 * q67) + r4 * q89);
    vd p = 1.0 + (r + r2 * q);
    return (vd)((vu)p + ((vu)shifted << 52));
}

/* exp(x) <= 1 ulp; 0 below -708 (where it would be about to turn subnormal), inf above 709.78. */
HPO_INLINE vd HPO_NAME(vexp)(vd x)
{
    vd y = HPO_NAME(vexp_tame)(x);
    y = vselect(x >= -708.0, y, vselect(x < -708.0, vset(0.0), x)); /* x: NaN stays NaN */
    return vselect(x > 0x1.62e42fefa39efp+9, vset(__builtin_inf()), y);
}

/* log(x) <= 1 ulp for normal x; log(0) = -inf, subnormals count as 0, NaN for x < 0.
 *
 * x = 2^k (1 + f), 1 + f in [sqrt 1/2, sqrt 2); s = f / (2 + f); log(1 + f) = log((1 + s) / (1 - s))
 * = f - f^2/2 + s (f^2/2 + R(s^2)), where the subtractions are of small corrections only. */
HPO_INLINE vd HPO_NAME(vlog)(vd x)
{
    const uint64_t half_root = 0x3FE6A09E667F3BCDu; /* sqrt(1/2) */
    vu shifted = (vu)x + (0x3FF0000000000000u - half_root);
    vd k = (vd)((shifted >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0);
    vd f = (vd)((shifted & 0x000FFFFFFFFFFFFFu) + half_root) - 1.0;
    vd s = f / (2.0 + f), z = s * s, z2 = z * z;
    vd r01 = 0x1.5555555555558p-1 + z * 0x1.9999999995224p-2;
    vd r23 = 0x1.2492492e03e05p-2 + z * 0x1.c71c62d0402aep-3;
    vd r45 = 0x1.7462ba27c8794p-3 + z * 0x1.39fdb949c5e05p-3;
    vd r = z * (r01 + z2 * (r23 + z2 * (r45 + z2 * 0x1.2b5fbed6295a5p-3)));
    vd half_square = 0.5 * f * f;
    vd low = s * (half_square + r) + k * 0x1.ef35793c76730p-45;
    vd y = k * 0x1.62e42fefa3800p-1 - ((half_square - low) - f);
    y = vselect(x < __builtin_inf(), y, x); /* inf and NaN as they are */
    vd zero_or_less = vselect(x < 0.0, vset(__builtin_nan("")), vset(-__builtin_inf()));
    return vselect(x < 0x1p-1022, zero_or_less, y);
}

#include "simd_philox.h"
#include "simd_normal.h"
