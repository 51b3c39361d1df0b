#include "hypervolume.h"

#include <string.h>

/* ---- which points nothing dominates ---------------------------------------------------------------------- */

/* Whether a point is no worse than y[., j] in any objective. */
static int covers(const double *point, const double *y, int64_t m, int64_t n, int64_t j)
{
    for (int64_t i = 0; i < m; i++) {
        if (!(point[i] <= y[i * n + j])) {
            return 0;
        }
    }
    return 1;
}

static int is_covered(const double *point, const double *y, int64_t m, int64_t n, int64_t j)
{
    for (int64_t i = 0; i < m; i++) {
        if (!(y[i * n + j] <= point[i])) {
            return 0;
        }
    }
    return 1;
}

static void swap_points(double *a, double *b, int64_t m)
{
    for (int64_t i = 0; i < m; i++) {
        const double held = a[i];
        a[i] = b[i];
        b[i] = held;
    }
}

/* A point of the window that dominates another moves ahead: a few dominate most. */
void hypervolume_screen(const double *y, int64_t m, int64_t n, double *scratch, uint8_t *keep)
{
    int64_t size = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t into = size;
        keep[j] = 1;
        for (int64_t w = 0; w < size; w++) {
            double *point = scratch + w * m;
            if (covers(point, y, m, n, j)) {
                keep[j] = (uint8_t)is_covered(point, y, m, n, j);
                into = HPO_WINDOW;
                swap_points(point, scratch + w / 2 * m, m);
                break;
            }
            if (into == size && is_covered(point, y, m, n, j)) {
                into = w;
            }
        }
        if (into < HPO_WINDOW) {
            for (int64_t i = 0; i < m; i++) {
                scratch[into * m + i] = y[i * n + j];
            }
            size += into == size;
        }
    }
}

/* ---- ranks ----------------------------------------------------------------------------------------------- */

/* Earlier points are no worse in the first objective, so a front dominates a point if its least second coordinate
 * is no worse; these increase with the rank. */
void hypervolume_pair_ranks(const double *second, int64_t n, double *tail, int32_t *ranks)
{
    int64_t n_fronts = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t low = 0, high = n_fronts;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (tail[middle] <= second[j]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        n_fronts += low == n_fronts;
        tail[low] = second[j];
        ranks[j] = (int32_t)low;
    }
}

enum { FEW = 12, FEW_PAIRS = 96 }; /* compared one by one: faster than to divide further */

typedef struct {
    const int32_t *level;
    int64_t k, n;
    int32_t *tree;  /* (n + 1) Fenwick tree of maxima over the last row's levels; zeros between sweeps */
    int32_t *spare; /* (n) */
    int32_t *ranks;
} ranking;

static void compare(const ranking *r, int32_t better, int32_t worse)
{
    if (r->ranks[worse] > r->ranks[better]) {
        return;
    }
    for (int64_t i = 0; i < r->k; i++) {
        if (r->level[i * r->n + better] > r->level[i * r->n + worse]) {
            return;
        }
    }
    r->ranks[worse] = r->ranks[better] + 1;
}

/* All of `a` come no later than all of `b` in the rows that are left out here: only the last two decide. */
static void cross_sweep(const ranking *r, const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b)
{
    const int32_t *by = r->level + (r->k - 2) * r->n, *last = by + r->n;
    int64_t i = 0;
    for (int64_t j = 0; j < n_b; j++) {
        for (; i < n_a && by[a[i]] <= by[b[j]]; i++) {
            const int32_t rank = r->ranks[a[i]] + 1;
            for (int64_t node = last[a[i]] + 1; node <= r->n; node += node & -node) {
                r->tree[node] = r->tree[node] > rank ? r->tree[node] : rank;
            }
        }
        int32_t rank = r->ranks[b[j]];
        for (int64_t node = last[b[j]] + 1; node > 0; node -= node & -node) {
            rank = rank > r->tree[node] ? rank : r->tree[node];
        }
        r->ranks[b[j]] = rank;
    }
    for (; i > 0; i--) {
        for (int64_t node = last[a[i - 1]] + 1; node <= r->n && r->tree[node]; node += node & -node) {
            r->tree[node] = 0;
        }
    }
}

/* Moves points of a list below `pivot` in a row ahead of the others, both in their order; returns how many. With no
 * row, the points' own numbers count. */
static int64_t divide(const ranking *r, const int32_t *row, int32_t pivot, int32_t *list, int64_t n)
{
    int64_t below = 0, above = 0;
    for (int64_t j = 0; j < n; j++) {
        const int32_t point = list[j];
        if ((row ? row[point] : point) < pivot) {
            list[below++] = point;
        } else {
            r->spare[above++] = point;
        }
    }
    memcpy(list + below, r->spare, (size_t)above * sizeof(int32_t));
    return below;
}

static void bounds(const int32_t *row, const int32_t *list, int64_t n, int32_t *low, int32_t *high)
{
    *low = *high = row[list[0]];
    for (int64_t j = 1; j < n; j++) {
        const int32_t level = row[list[j]];
        *low = level < *low ? level : *low;
        *high = level > *high ? level : *high;
    }
}

/* Raises ranks in `b` above those of what dominates them in `a`, which are final; `rows` first rows, and the last
 * two, decide. Both lists are in the order of the sweep, and may be in another afterwards. copies: (rows, n). */
static void cross(const ranking *r, int64_t rows, int32_t *a, int64_t n_a, int32_t *b, int64_t n_b, int32_t *copies)
{
    if (n_a == 0 || n_b == 0) {
        return;
    }
    if (n_a * n_b <= FEW_PAIRS) {
        for (int64_t j = 0; j < n_b; j++) {
            for (int64_t i = 0; i < n_a; i++) {
                compare(r, a[i], b[j]);
            }
        }
        return;
    }
    if (rows == 0) {
        cross_sweep(r, a, n_a, b, n_b);
        return;
    }
    const int32_t *row = r->level + (rows - 1) * r->n;
    int32_t low_a, high_a, low_b, high_b;
    bounds(row, a, n_a, &low_a, &high_a);
    bounds(row, b, n_b, &low_b, &high_b);
    if (high_a <= low_b) {
        cross(r, rows - 1, a, n_a, b, n_b, copies);
        return;
    }
    if (low_a > high_b) {
        return;
    }
    const int32_t low = low_a < low_b ? low_a : low_b, high = high_a > high_b ? high_a : high_b;
    int32_t bit = 1; /* the highest in which levels differ: at most 31 divisions, whatever the levels */
    while ((low ^ high) >> 1 >= bit) {
        bit *= 2;
    }
    const int32_t pivot = high & ~(bit - 1);
    const int64_t below_a = divide(r, row, pivot, a, n_a), below_b = divide(r, row, pivot, b, n_b);
    int32_t *of_a = copies, *of_b = copies + below_a;
    memcpy(of_a, a, (size_t)below_a * sizeof(int32_t));
    memcpy(of_b, b + below_b, (size_t)(n_b - below_b) * sizeof(int32_t));
    cross(r, rows - 1, of_a, below_a, of_b, n_b - below_b, copies + r->n);
    cross(r, rows, a, below_a, b, below_b, copies);
    cross(r, rows, a + below_a, n_a - below_a, b + below_b, n_b - below_b, copies);
}

/* Ranks of points first..last-1, which `list` holds in the order of the sweep; those before have been compared.
 * copies: (k - 1, n). */
static void rank_range(const ranking *r, int64_t first, int64_t last, int32_t *list, int32_t *copies)
{
    if (last - first <= FEW) {
        for (int32_t j = (int32_t)first; j < last; j++) {
            for (int32_t i = (int32_t)first; i < j; i++) {
                compare(r, i, j);
            }
        }
        return;
    }
    const int64_t middle = (first + last) / 2, half = middle - first, n = last - first;
    divide(r, NULL, (int32_t)middle, list, n);
    memcpy(copies, list, (size_t)half * sizeof(int32_t)); /* what follows changes the order */
    rank_range(r, first, middle, copies, copies + half);
    memcpy(copies, list, (size_t)n * sizeof(int32_t));
    cross(r, r->k - 2, copies, half, copies + half, n - half, copies + n);
    rank_range(r, middle, last, list + half, copies);
}

void hypervolume_ranks(const int32_t *level, int64_t k, int64_t n, const int32_t *sweep, int32_t *scratch,
                       int32_t *ranks)
{
    const ranking r = {level, k, n, scratch, scratch + n + 1, ranks};
    int32_t *list = r.spare + n;
    memset(r.tree, 0, (size_t)(n + 1) * sizeof(int32_t));
    memset(ranks, 0, (size_t)n * sizeof(int32_t));
    memcpy(list, sweep, (size_t)n * sizeof(int32_t));
    rank_range(&r, 0, n, list, list + n);
}

static int is_no_worse(const double *a, const double *b, int64_t m)
{
    for (int64_t i = 0; i < m; i++) {
        if (a[i] > b[i]) {
            return 0;
        }
    }
    return 1;
}

/* What one front dominates, those before it dominate too. */
int64_t hypervolume_place(const double *points, const int64_t *starts, int64_t n_fronts, int64_t m,
                          const double *point)
{
    int64_t low = 0, high = n_fronts;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        int is_dominated = 0;
        for (int64_t j = starts[middle]; j < starts[middle + 1] && !is_dominated; j++) {
            const double *other = points + j * m;
            is_dominated = is_no_worse(other, point, m) && !is_no_worse(point, other, m);
        }
        if (is_dominated) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- volumes --------------------------------------------------------------------------------------------- */

/* The length that points span grows as the second objective does. */
static double strips_area(const double *points, int64_t n, const double *reference)
{
    double least = reference[0], area = 0.0;
    for (int64_t j = 0; j < n; j++) {
        const double *point = points + 2 * j;
        least = point[0] < least ? point[0] : least;
        area += (reference[0] - least) * ((j + 1 < n ? point[3] : reference[1]) - point[1]);
    }
    return area;
}

static double box(const double *point, const double *reference, int64_t m)
{
    double volume = 1.0;
    for (int64_t i = 0; i < m; i++) {
        volume *= reference[i] - point[i];
    }
    return volume;
}

/* Adds (a, b) to a staircase of `size` steps, x ascending and y descending; returns the area that it adds. */
static double step_add(double *x, double *y, int64_t *size, double a, double b, const double *reference)
{
    int64_t low = 0, high = *size;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (x[middle] < a) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    double top = low ? y[low - 1] : reference[1], from = a, area = 0.0;
    if (top <= b || (low < *size && x[low] == a && y[low] <= b)) {
        return 0.0;
    }
    int64_t end = low; /* steps low..end-1 are dominated */
    for (; end < *size && y[end] >= b; end++) {
        area += (x[end] - from) * (top - b);
        from = x[end];
        top = y[end];
    }
    area += ((end < *size ? x[end] : reference[0]) - from) * (top - b);
    const size_t moved = (size_t)(*size - end) * sizeof(double);
    memmove(x + low + 1, x + end, moved);
    memmove(y + low + 1, y + end, moved);
    x[low] = a;
    y[low] = b;
    *size += 1 - (end - low);
    return area;
}

/* The area that points span grows as the third objective does. */
static double sweep_volume(const double *points, int64_t n, const double *reference, double *scratch)
{
    double *x = scratch, *y = scratch + n + 1, area = 0.0, volume = 0.0;
    int64_t size = 0;
    for (int64_t j = 0; j < n; j++) {
        const double *point = points + 3 * j;
        area += step_add(x, y, &size, point[0], point[1], reference);
        volume += area * ((j + 1 < n ? point[5] : reference[2]) - point[2]);
    }
    return volume;
}

/* Copies n points, raised to the coordinates of one of them: what of it they dominate. */
static void raise_to(const double *point, const double *points, int64_t n, int64_t m, double *out)
{
    for (int64_t j = 0; j < n * m; j++) {
        const double least = point[j % m];
        out[j] = points[j] > least ? points[j] : least;
    }
}

/* Inserts a point of m objectives into points sorted by the last, without those that it dominates. */
static void keep_sorted(double *points, int64_t *n, const double *point, int64_t m)
{
    const size_t bytes = (size_t)m * sizeof(double);
    int64_t size = 0, place = -1;
    for (int64_t j = 0; j < *n; j++) {
        if (!is_no_worse(point, points + j * m, m)) {
            memmove(points + size++ * m, points + j * m, bytes);
        }
    }
    for (place = size; place > 0 && points[place * m - 1] > point[m - 1]; place--) {
    }
    memmove(points + (place + 1) * m, points + place * m, (size_t)(size - place) * bytes);
    memcpy(points + place * m, point, bytes);
    *n = size + 1;
}

/* Slices along the last objective: between two points the volume of one objective less stays as it is. */
double hypervolume_volume(const double *points, int64_t n, int64_t m, const double *reference, double *scratch)
{
    if (m == 2) {
        return strips_area(points, n, reference);
    }
    if (m == 3) {
        return sweep_volume(points, n, reference, scratch);
    }
    const int64_t room = (n + 1) * (m - 1);
    double *kept = scratch, *raised = scratch + room, slice = 0.0, volume = 0.0;
    int64_t n_kept = 0;
    for (int64_t j = 0; j < n; j++) {
        const double *point = points + j * m;
        int is_new = 1;
        for (int64_t i = 0; is_new && i < n_kept; i++) {
            is_new = !is_no_worse(kept + i * (m - 1), point, m - 1);
        }
        if (is_new) {
            raise_to(point, kept, n_kept, m - 1, raised);
            slice += box(point, reference, m - 1) -
                     hypervolume_volume(raised, n_kept, m - 1, reference, raised + room);
            keep_sorted(kept, &n_kept, point, m - 1);
        }
        volume += slice * ((j + 1 < n ? point[2 * m - 1] : reference[m - 1]) - point[m - 1]);
    }
    return volume;
}

double hypervolume_share(const double *points, int64_t n, int64_t m, const double *reference, const double *point,
                         double *scratch)
{
    raise_to(point, points, n, m, scratch);
    return box(point, reference, m) - hypervolume_volume(scratch, n, m, reference, scratch + (n + 1) * m);
}

void hypervolume_shares(const double *points, int64_t n, int64_t m, const double *reference, double *scratch,
                        double *out)
{
    double *raised = scratch, *room = scratch + (n + 1) * m;
    for (int64_t j = 0; j < n; j++) {
        const double *point = points + j * m;
        raise_to(point, points, j, m, raised);
        raise_to(point, point + m, n - j - 1, m, raised + j * m);
        out[j] = box(point, reference, m) - hypervolume_volume(raised, n - 1, m, reference, room);
    }
}
