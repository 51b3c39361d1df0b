/* SIMD for kernels: one source, compiled per target, chosen at run time.
 *
 * How to write a kernel
 *
 *   foo_kernels.h    static void HPO_NAME(foo)(const double *restrict x, int64_t n, double *restrict out)
 *                    {
 *                        int64_t i = 0;
 *                        for (; i + LANES <= n; i += LANES)
 *                            vstore(out + i, HPO_NAME(vexp)(vload(x + i)));
 *                        if (i < n)
 *                            vstore_n(out + i, HPO_NAME(vexp)(vload_n(x + i, n - i)), n - i);
 *                    }
 *
 *   foo.c            #define HPO_KERNELS "foo_kernels.h"
 *                    #include "simd_targets.h"
 *                    HPO_DISPATCH(void, foo, (const double *x, int64_t n, double *out), (x, n, out))
 *
 *   _foo.pyx         hpo_simd_init()                    at module level: picks the best level of this CPU
 *                    def _set_simd_level(int level):    for tests; what native.simd_level(name) calls
 *                        return hpo_simd_set(level)
 *                    def _simd_level(): return hpo_simd_level
 *
 * simd_targets.h includes simd_math.h and HPO_KERNELS once per target, with HPO_NAME(f) pasting the
 * target's suffix. HPO_DISPATCH defines the public function `foo`, a jump through a table. Each
 * extension module has its own level, hence its own `_set_simd_level`.
 *
 * A vector holds LANES doubles: 8, 4 or 2, the width of the target's registers. Never write the
 * number: GCC lowers comparisons of wider vectors than the registers one element at a time. A buffer
 * padded to a multiple of HPO_MAX_LANES serves every target.
 *
 * The types are `vd` (double), `vi` (int64_t), `vu` (uint64_t). A comparison gives a `vi` mask for
 * `vselect`. A scalar operand of an operator is broadcast; `vset(s)` broadcasts by itself.
 */
#ifndef HPO_SIMD_H
#define HPO_SIMD_H

#include <stdint.h>
#include <string.h>

/* Vectors are passed between inlined functions only, so how they would be passed does not matter. */
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define HPO_LEVELS 3
#else
#define HPO_LEVELS 1
#endif

#define HPO_MAX_LANES 8
#define HPO_INLINE static inline __attribute__((always_inline))

#define HPO_PASTE_(f, suffix) f##_##suffix
#define HPO_PASTE(f, suffix) HPO_PASTE_(f, suffix)
#define HPO_NAME(f) HPO_PASTE(f, HPO_SUFFIX)

#define LANES HPO_NAME(HPO_LANES)
#define HPO_LANES_base 2
#define HPO_LANES_v3 4
#define HPO_LANES_v4 8

#define vd HPO_NAME(hpo_vd)
#define vi HPO_NAME(hpo_vi)
#define vu HPO_NAME(hpo_vu)
#define vload HPO_NAME(hpo_load)
#define vstore HPO_NAME(hpo_store)
#define vload_n HPO_NAME(hpo_load_n)
#define vstore_n HPO_NAME(hpo_store_n)
#define vset HPO_NAME(hpo_set)
#define vselect HPO_NAME(hpo_select)
#define vmin HPO_NAME(hpo_min)
#define vmax HPO_NAME(hpo_max)
#define vabs HPO_NAME(hpo_abs)
#define vadd_if_equal HPO_NAME(hpo_add_if_equal)
#define vadd_if_least HPO_NAME(hpo_add_if_least)
#define vany HPO_NAME(hpo_any)
#define vall_negative HPO_NAME(hpo_all_negative)
#define vsqrt HPO_NAME(hpo_sqrt)
#define vsum HPO_NAME(hpo_sum)

/* The level in use, an index into every dispatch table of this extension module. Weak and hidden:
 * the sources of one module share it, two modules do not. */
__attribute__((weak, visibility("hidden"))) int hpo_simd_level = 0;

/* The best level of this CPU and its system: 0 baseline, 1 x86-64-v3, 2 x86-64-v4.
 *
 * cpuid itself is asked: __builtin_cpu_supports needs a run-time library that clang does not always link. */
static inline int hpo_simd_best(void)
{
#if HPO_LEVELS > 1
    const uint32_t fma = 1u << 12, xsave = 1u << 27; /* leaf 1, ecx */
    const uint32_t v3 = 1u << 3 | 1u << 5 | 1u << 8; /* leaf 7, ebx: bmi, avx2, bmi2 */
    const uint32_t v4 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* avx512f, dq, cd, bw, vl */
    uint32_t a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (fma | xsave)) != (fma | xsave)) {
        return 0;
    }
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0)); /* registers that the system saves */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & v3) != v3 || (saved & 0x06) != 0x06) {
        return 0;
    }
    return (b & v4) == v4 && (saved & 0xe6) == 0xe6 ? 2 : 1;
#else
    return 0;
#endif
}

/* Force a level; one the CPU lacks is lowered to its best. Returns the level now in use. */
static inline int hpo_simd_set(int level)
{
    int best = hpo_simd_best();
    hpo_simd_level = level < 0 ? 0 : level > best ? best : level;
    return hpo_simd_level;
}

static inline void hpo_simd_init(void) { hpo_simd_set(HPO_LEVELS - 1); }

#if HPO_LEVELS > 1
#define HPO_TABLE(f) {f##_base, f##_v3, f##_v4}
#else
#define HPO_TABLE(f) {f##_base}
#endif

/* Defines `ret name params`, which calls the variant of the level in use. */
#define HPO_DISPATCH(ret, name, params, args)                                                                \
    ret name params                                                                                          \
    {                                                                                                        \
        static ret(*const table[HPO_LEVELS]) params = HPO_TABLE(name);                                       \
        return table[hpo_simd_level] args;                                                                   \
    }

#endif
