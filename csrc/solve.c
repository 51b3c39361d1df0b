#include "solve.h"

#define HPO_KERNELS "solve_kernels.h"
#include "simd_targets.h"

HPO_DISPATCH(void, solve_lower,
             (const double *l, int64_t ld, int64_t n, double *b, int64_t ldb, int64_t m, int transposed,
              double *scratch),
             (l, ld, n, b, ldb, m, transposed, scratch))
