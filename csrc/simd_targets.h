/* Compiles HPO_KERNELS, a header, once per target; see simd.h. Include it once per source file. */
#include "simd.h"
#include "philox.h"

#ifndef HPO_KERNELS
#error "define HPO_KERNELS, the header of kernels, before including simd_targets.h"
#endif

#define HPO_SUFFIX base
#include "simd_math.h"
#include HPO_KERNELS
#undef HPO_SUFFIX

#if HPO_LEVELS > 1

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif
#define HPO_SUFFIX v3
#include "simd_math.h"
#include HPO_KERNELS
#undef HPO_SUFFIX
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx2,fma,bmi,bmi2,avx512f,avx512dq,avx512vl,avx512bw,avx512cd"))), \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,avx512f,avx512dq,avx512vl,avx512bw,avx512cd,prefer-vector-width=512")
#endif
#define HPO_SUFFIX v4
#include "simd_math.h"
#include HPO_KERNELS
#undef HPO_SUFFIX
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
