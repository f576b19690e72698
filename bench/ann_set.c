/* `ann-set`: the largest tenant of the made world as files that `insula-bench ann` reads.
 *
 *     insula-bench ann-set DIRECTORY [ROWS [QUERIES]]
 *
 * Makes the DIRECTORY if it is not there. Writes DIRECTORY/base, query (f32) and truth (cosine; 100
 * nearest by our exact scan, their distances in double precision). ROWS: the tenant's 1,000,000, or
 * its first so many. The world is scale L's; its seed is that of the workloads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ann_private.h"
#include "suite/world.h"

#define TRUTH_NEAR 100u
#define QUERIES_DEFAULT 1000u
#define QUERIES_MAX 10000u
#define TENANT 0u /* the largest comes first */
#define SEED 1u
#define SCAN_ROWS 256u /* stay in the first cache while all queries look at them */

struct set {
    uint32_t rows, queries;
    float *base, *asked;
    struct topk *nearest;   /* [queries] */
    struct topk_hit *heaps; /* [queries][TRUTH_NEAR] */
    const struct kernels *kernels;
};

static bool write_file(const char *directory, const char *name, const uint32_t head[static 2],
                       const void *const parts[static 2], const size_t bytes[static 2]) {
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    bool good = file != NULL && fwrite(head, 2 * sizeof(*head), 1, file) == 1;
    for (int i = 0; i < 2 && good; i++) {
        good = bytes[i] == 0 || fwrite(parts[i], bytes[i], 1, file) == 1;
    }
    good = file != NULL && fclose(file) == 0 && good;
    return good || ann_complain(strerror(errno), path) == 0;
}

static bool write_matrix(const char *directory, const char *name, const float *values,
                         uint32_t count) {
    const uint32_t head[2] = {count, BENCH_DIM};
    const void *const parts[2] = {values, NULL};
    const size_t bytes[2] = {(size_t)count * BENCH_DIM * sizeof(float), 0};
    return write_file(directory, name, head, parts, bytes);
}

static void scan_some(struct set *set, uint32_t first, uint32_t count) {
    const float *rows = set->base + (size_t)first * BENCH_DIM;
    float products[SCAN_ROWS];
    for (uint32_t q = 0; q < set->queries; q++) {
        struct topk *nearest = &set->nearest[q];
        set->kernels->f32_rows[KERNEL_DOT](set->asked + (size_t)q * BENCH_DIM, rows, BENCH_DIM,
                                           count, BENCH_DIM, products);
        for (uint32_t i = 0; i < count; i++) {
            struct topk_hit evicted, hit = {-products[i], first + i, first + i};
            bool was_full;
            if (hit.distance <= topk_bound(nearest)) {
                (void)topk_offer(nearest, hit, &evicted, &was_full);
            }
        }
    }
}

static float exact(const struct set *set, uint32_t query, uint32_t row) {
    const float *q = set->asked + (size_t)query * BENCH_DIM;
    const float *x = set->base + (size_t)row * BENCH_DIM;
    double product = 0;
    for (uint32_t d = 0; d < BENCH_DIM; d++) {
        product += (double)q[d] * (double)x[d];
    }
    return (float)(1 - product);
}

static bool write_truth(struct set *set, const char *directory) {
    size_t cells = (size_t)set->queries * TRUTH_NEAR;
    uint32_t *ids = malloc(cells * sizeof(*ids));
    float *distances = malloc(cells * sizeof(*distances));
    for (uint32_t q = 0; ids != NULL && distances != NULL && q < set->queries; q++) {
        topk_sort(&set->nearest[q]);
        for (uint32_t i = 0; i < TRUTH_NEAR; i++) {
            ids[q * TRUTH_NEAR + i] = set->nearest[q].heap[i].slot;
            distances[q * TRUTH_NEAR + i] = exact(set, q, set->nearest[q].heap[i].slot);
        }
    }
    const uint32_t head[2] = {set->queries, TRUTH_NEAR};
    const void *const parts[2] = {ids, distances};
    const size_t bytes[2] = {cells * sizeof(*ids), cells * sizeof(*distances)};
    bool good =
        ids != NULL && distances != NULL && write_file(directory, "truth", head, parts, bytes);
    free(ids);
    free(distances);
    return good;
}

static bool set_open(struct set *set) {
    set->base = malloc((size_t)set->rows * BENCH_DIM * sizeof(float));
    set->asked = malloc((size_t)set->queries * BENCH_DIM * sizeof(float));
    set->nearest = malloc(set->queries * sizeof(*set->nearest));
    set->heaps = malloc((size_t)set->queries * TRUTH_NEAR * sizeof(*set->heaps));
    set->kernels = kernels_get();
    return set->base != NULL && set->asked != NULL && set->nearest != NULL && set->heaps != NULL;
}

static void set_close(struct set *set) {
    free(set->base);
    free(set->asked);
    free(set->nearest);
    free(set->heaps);
}

static bool make(struct set *set, struct world *world, const char *directory) {
    for (uint32_t i = 0; i < set->rows; i++) {
        world_vector(world, TENANT, i, 0, set->base + (size_t)i * BENCH_DIM);
    }
    for (uint32_t q = 0; q < set->queries; q++) {
        world_query(world, TENANT, q, false, set->asked + (size_t)q * BENCH_DIM);
        topk_init(&set->nearest[q], set->heaps + (size_t)q * TRUTH_NEAR, TRUTH_NEAR);
    }
    for (uint32_t row = 0; row < set->rows; row += SCAN_ROWS) {
        scan_some(set, row, set->rows - row < SCAN_ROWS ? set->rows - row : SCAN_ROWS);
    }
    return write_matrix(directory, "base", set->base, set->rows) &&
           write_matrix(directory, "query", set->asked, set->queries) &&
           write_truth(set, directory);
}

int ann_set_main(int argc, char **argv) {
    unsigned long rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned long queries = argc > 3 ? strtoul(argv[3], NULL, 10) : QUERIES_DEFAULT;
    if (argc < 2 || argc > 4 || (argc > 2 && rows < TRUTH_NEAR) || queries == 0 ||
        queries > QUERIES_MAX) {
        return ann_complain("ann-set DIRECTORY [ROWS >= 100 [QUERIES 1 .. 10000]]", "usage") + 1;
    }
    const struct bench_options options = {
        .scale = "L", .style = BENCH_STYLE_KEY, .seed = SEED, .sample = BENCH_SAMPLE};
    if (mkdir(argv[1], 0755) != 0 && errno != EEXIST) {
        return ann_complain(strerror(errno), argv[1]);
    }
    struct world world = {0};
    struct set set = {0};
    bool good = world_open(&world, &options);
    if (good) {
        uint32_t size = world.tenants[TENANT].size;
        set.rows = rows != 0 && rows < size ? (uint32_t)rows : size;
        set.queries = (uint32_t)queries;
        good =
            set_open(&set) ? make(&set, &world, argv[1]) : ann_complain("no memory", argv[1]) == 0;
    }
    set_close(&set);
    world_close(&world);
    return good ? 0 : 1;
}
