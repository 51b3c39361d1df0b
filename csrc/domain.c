#include "domain.h"

#include <math.h>
#include <string.h>

#include "philox.h"

/* Configurations per pass of a program: the deepest stack (32 rows of 64) is 16 KiB and stays in the
 * first-level cache, and one dispatch of an instruction is paid once per 64. */
#define BLOCK 64

enum op { LOAD, CONST, ADD, SUB, MUL, DIV, NEG, LT, LE, GT, GE, EQ, NE, AND, OR, NOT };

/* exp(span x) overflows from here on. Also in hpo_core.layout. */
#define WIDE 700.0

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline double clip(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* ---- levels -------------------------------------------------------------------------------------- */

/* First cell whose upper edge lies above x, or the last one. */
static inline int64_t cell_of(const double *edges, int64_t n, double x)
{
    const double *base = edges;
    while (n > 1) {
        int64_t half = n / 2;
        base += base[half - 1] <= x ? half : 0;
        n -= half;
    }
    return base - edges;
}

/* Level of a coordinate as a double; NaN stays NaN. Not for CONTINUOUS. */
static inline double level_of(const hpo_domain *dom, int64_t i, double x)
{
    double n = (double)dom->levels[i], last = (double)(dom->levels[i] - 1), k; /* n may be rounded */
    if (x != x)
        return x;
    switch (dom->kinds[i]) {
    case HPO_CATEGORICAL:
        k = floor(x + 0.5);
        break;
    case HPO_STEPPED: /* cells of a log grid are of one width in the value, not in x */
        k = dom->log[i] ? (exp(dom->offset[i] + dom->span[i] * x) - dom->low[i]) / dom->step[i] + 0.5 : x * n;
        k = floor(k);
        break;
    default:
        if (!dom->regular[i])
            return (double)cell_of(dom->edges + dom->table_start[i], dom->levels[i], x);
        k = floor(x * n);
    }
    return clip(k, 0.0, last);
}

/* Centre of level k of a STEPPED parameter: the middle of the cell's edges, which on a log grid are
 * log(v -+ step / 2). */
static inline double stepped_center(const hpo_domain *dom, int64_t i, double k)
{
    if (!dom->log[i])
        return (k + 0.5) / (double)dom->levels[i];
    double v = dom->low[i] + dom->step[i] * k, half = 0.5 * dom->step[i];
    return clip((0.5 * (log(v - half) + log(v + half)) - dom->offset[i]) / dom->span[i], 0.0, 1.0);
}

void domain_snap(const hpo_domain *dom, int64_t i, double *x, int64_t m)
{
    const double *centers = dom->centers + dom->table_start[i];
    switch (dom->kinds[i]) {
    case HPO_CONTINUOUS:
        for (int64_t j = 0; j < m; j++)
            x[j] = clip(x[j], 0.0, 1.0);
        break;
    case HPO_CATEGORICAL:
        for (int64_t j = 0; j < m; j++)
            x[j] = level_of(dom, i, x[j]);
        break;
    case HPO_STEPPED:
        for (int64_t j = 0; j < m; j++)
            x[j] = stepped_center(dom, i, level_of(dom, i, x[j]));
        break;
    default:
        for (int64_t j = 0; j < m; j++) {
            double k = level_of(dom, i, x[j]);
            x[j] = k == k ? centers[(int64_t)k] : k;
        }
    }
}

void domain_levels(const hpo_domain *dom, int64_t i, const double *x, int64_t m, int64_t *out)
{
    for (int64_t j = 0; j < m; j++) {
        double k = level_of(dom, i, x[j]);
        out[j] = k == k ? (int64_t)k : -1;
    }
}

/* ---- conditions ---------------------------------------------------------------------------------- */

static inline double real_number(const hpo_domain *dom, int64_t i, double x)
{
    double low = dom->low[i], high = dom->high[i], span = dom->span[i], v;
    if (x >= 1.0)
        return high;
    if (x <= 0.0)
        return low;
    if (!dom->log[i])
        v = low + span * x;
    else /* low exp(span x) is closer than exp(offset + span x) */
        v = span > WIDE ? exp(dom->offset[i] + span * x) : low * exp(span * x);
    return clip(v, low, high);
}

/* The quotient of two integers is the double nearest to the decimal number that was meant. */
static inline double stepped_number(const hpo_domain *dom, int64_t i, double k)
{
    double low = dom->low[i], step = dom->step[i], scale = dom->scale[i];
    if (k >= (double)(dom->levels[i] - 1))
        return dom->high[i];
    return scale == 1.0 ? low + step * k : (rint(low * scale) + rint(step * scale) * k) / scale;
}

/* Value of parameter i as the program sees it. */
static void load(const hpo_domain *dom, int64_t i, const double *x, int64_t n, double *restrict out)
{
    const double *values = dom->values + dom->table_start[i];
    switch (dom->kinds[i]) {
    case HPO_CONTINUOUS:
        for (int64_t j = 0; j < n; j++)
            out[j] = real_number(dom, i, x[j]);
        break;
    case HPO_CATEGORICAL:
        memcpy(out, x, (size_t)n * sizeof *out);
        break;
    case HPO_STEPPED:
        for (int64_t j = 0; j < n; j++)
            out[j] = stepped_number(dom, i, level_of(dom, i, x[j]));
        break;
    default:
        for (int64_t j = 0; j < n; j++) {
            double k = level_of(dom, i, x[j]);
            out[j] = k == k ? values[(int64_t)k] : k;
        }
    }
}

#define BINARY(result)                      \
    do {                                    \
        top--;                              \
        for (int64_t j = 0; j < n; j++) {   \
            double a = top[0][j], b = top[1][j]; \
            top[0][j] = (result);           \
        }                                   \
    } while (0)

/* True is 1, false 0, unknown NaN. A comparison is false where the opposite one holds and otherwise
 * unknown; AND is false if either is, whatever the other. */
static void apply(int32_t op, double (*top)[BLOCK], int64_t n)
{
    switch (op) {
    case ADD: BINARY(a + b); break;
    case SUB: BINARY(a - b); break;
    case MUL: BINARY(a * b); break;
    case DIV: BINARY(a / b); break;
    case LT: BINARY(a < b ? 1.0 : a >= b ? 0.0 : NAN); break;
    case LE: BINARY(a <= b ? 1.0 : a > b ? 0.0 : NAN); break;
    case GT: BINARY(a > b ? 1.0 : a <= b ? 0.0 : NAN); break;
    case GE: BINARY(a >= b ? 1.0 : a < b ? 0.0 : NAN); break;
    case EQ: BINARY(a == b ? 1.0 : a == a && b == b ? 0.0 : NAN); break;
    case NE: BINARY(a == b ? 0.0 : a == a && b == b ? 1.0 : NAN); break;
    case AND: BINARY(a == 0.0 || b == 0.0 ? 0.0 : a * b); break;
    case OR: BINARY(a == 1.0 || b == 1.0 ? 1.0 : a + b); break;
    case NEG:
        for (int64_t j = 0; j < n; j++)
            top[0][j] = -top[0][j];
        break;
    case NOT:
        for (int64_t j = 0; j < n; j++)
            top[0][j] = 1.0 - top[0][j];
        break;
    }
}

/* Runs program[start:stop] on n <= BLOCK configurations; the result is stack[0]. */
static void evaluate(const hpo_domain *dom, int64_t start, int64_t stop, const double *x, ptrdiff_t stride,
                     int64_t n, double (*stack)[BLOCK])
{
    double (*top)[BLOCK] = stack - 1;
    for (int64_t p = start; p < stop; p++) {
        int32_t op = dom->program[2 * p], argument = dom->program[2 * p + 1];
        if (op == LOAD) {
            load(dom, argument, x + argument * stride, n, *++top);
        } else if (op == CONST) {
            double c = dom->constants[argument];
            top++;
            for (int64_t j = 0; j < n; j++)
                top[0][j] = c;
        } else {
            apply(op, top, n);
            top -= (op != NEG && op != NOT);
        }
    }
}

static void truth(const hpo_domain *dom, int64_t start, int64_t stop, const double *x, ptrdiff_t stride,
                  int64_t n, uint8_t *out)
{
    double stack[HPO_MAX_STACK][BLOCK];
    evaluate(dom, start, stop, x, stride, n, stack);
    for (int64_t j = 0; j < n; j++)
        out[j] = stack[0][j] == 1.0;
}

void domain_group_mask(const hpo_domain *dom, int64_t group, const double *x, ptrdiff_t stride, int64_t m,
                       uint8_t *out)
{
    if (group == 0) {
        memset(out, 1, (size_t)m);
        return;
    }
    for (int64_t j = 0; j < m; j += BLOCK)
        truth(dom, dom->condition_start[group], dom->condition_start[group + 1], x + j, stride,
              least(BLOCK, m - j), out + j);
}

void domain_deactivate(const hpo_domain *dom, double *x, ptrdiff_t stride, int64_t m)
{
    uint8_t active[BLOCK];
    for (int64_t start = 0; start < m; start += BLOCK) {
        int64_t n = least(BLOCK, m - start);
        for (int64_t g = 1; g < dom->n_groups; g++) {
            domain_group_mask(dom, g, x + start, stride, n, active);
            for (int64_t k = dom->member_start[g]; k < dom->member_start[g + 1]; k++) {
                double *row = x + dom->members[k] * stride + start;
                for (int64_t j = 0; j < n; j++)
                    row[j] = active[j] ? row[j] : NAN;
            }
        }
    }
}

void domain_settle(const hpo_domain *dom, double *x, ptrdiff_t stride, int64_t m)
{
    for (int64_t i = 0; i < dom->d; i++)
        domain_snap(dom, i, x + i * stride, m);
    domain_deactivate(dom, x, stride, m);
}

void domain_permitted(const hpo_domain *dom, const double *x, ptrdiff_t stride, int64_t m, uint8_t *out)
{
    uint8_t forbidden[BLOCK];
    memset(out, 1, (size_t)m);
    for (int64_t start = 0; start < m; start += BLOCK) {
        int64_t n = least(BLOCK, m - start);
        for (int64_t f = 0; f < dom->n_forbid; f++) {
            truth(dom, dom->forbid_start[f], dom->forbid_start[f + 1], x + start, stride, n, forbidden);
            for (int64_t j = 0; j < n; j++)
                out[start + j] &= !forbidden[j];
        }
    }
}

/* ---- prior draws --------------------------------------------------------------------------------- */

void domain_prior(const hpo_domain *dom, int64_t i, double *u, int64_t m)
{
    if (dom->kinds[i] != HPO_CATEGORICAL) { /* cells have their own widths: the draw is the snapped u */
        domain_snap(dom, i, u, m);
        return;
    }
    double n = (double)dom->levels[i];
    for (int64_t j = 0; j < m; j++)
        u[j] = clip(floor(u[j] * n), 0.0, n - 1.0);
}

/* Uniforms number index .. index + m - 1; one Philox block serves two of them. */
static void uniforms(uint64_t seed, uint64_t stream, uint64_t index, int64_t m, double *out)
{
    for (int64_t j = 0; j < m;) {
        uint64_t block = (index + (uint64_t)j) >> 1;
        int half = (int)((index + (uint64_t)j) & 1);
        uint32_t c[4] = {(uint32_t)stream, (uint32_t)(stream >> 32), (uint32_t)block, (uint32_t)(block >> 32)};
        philox4x32(seed, c);
        for (; half < 2 && j < m; half++)
            out[j++] = philox_unit((uint64_t)c[2 * half + 1] << 32 | c[2 * half]);
    }
}

void domain_random(const hpo_domain *dom, uint64_t seed, uint64_t stream, int64_t start, double *x,
                   ptrdiff_t stride, int64_t m)
{
    for (int64_t i = 0; i < dom->d; i++) {
        double *row = x + i * stride;
        uniforms(seed, stream, HPO_PRIOR_TAG | (uint64_t)i << 32 | (uint64_t)start, m, row);
        domain_prior(dom, i, row, m);
    }
    domain_deactivate(dom, x, stride, m);
}

/* ---- keys ---------------------------------------------------------------------------------------- */

void domain_keys(const hpo_domain *dom, const double *x, ptrdiff_t stride, int64_t m, uint64_t *out)
{
    memset(out, 0, (size_t)m * sizeof *out);
    for (int64_t i = 0; i < dom->d; i++) {
        const double *row = x + i * stride;
        for (int64_t j = 0; j < m; j++) {
            /* A level is a small integer and NaN is not: the bits of either tell them apart. Adding
             * zero makes -0 and 0 one coordinate. */
            double k = (dom->kinds[i] == HPO_CONTINUOUS ? row[j] : level_of(dom, i, row[j])) + 0.0;
            uint64_t bits = UINT64_MAX;
            if (k == k)
                memcpy(&bits, &k, sizeof bits);
            out[j] = hpo_mix64((out[j] ^ bits) + HPO_GOLDEN);
        }
    }
    for (int64_t j = 0; j < m; j++)
        out[j] += out[j] == 0;
}

static inline int64_t slot_of(const uint64_t *slots, int64_t n_slots, uint64_t key)
{
    int64_t slot = (int64_t)(key & (uint64_t)(n_slots - 1));
    while (slots[slot] && slots[slot] != key)
        slot = (slot + 1) & (n_slots - 1);
    return slot;
}

int64_t domain_keyset_insert(uint64_t *slots, int64_t n_slots, const uint64_t *keys, int64_t m)
{
    int64_t fresh = 0;
    for (int64_t j = 0; j < m; j++) {
        int64_t slot = slot_of(slots, n_slots, keys[j]);
        fresh += slots[slot] == 0;
        slots[slot] = keys[j];
    }
    return fresh;
}

int domain_keyset_holds(const uint64_t *slots, int64_t n_slots, uint64_t key)
{
    return slots[slot_of(slots, n_slots, key)] != 0;
}

int64_t domain_keyset_fresh(uint64_t *slots, int64_t n_slots, const uint64_t *keys, int64_t m,
                            int64_t *scratch, uint8_t *out)
{
    int64_t fresh = 0;
    for (int64_t j = 0; j < m; j++) {
        int64_t slot = slot_of(slots, n_slots, keys[j]);
        out[j] = slots[slot] == 0;
        if (out[j]) {
            slots[slot] = keys[j];
            scratch[fresh++] = slot;
        }
    }
    /* Nothing was inserted after these, so no probe sequence runs through them: emptying is enough. */
    for (int64_t k = 0; k < fresh; k++)
        slots[scratch[k]] = 0;
    return fresh;
}
