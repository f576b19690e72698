/* Goal: a scan over 1-bit codes finds what an exact scan finds, ranks few rows for it, and its
 * bounds are as sure as they say.
 * Method: rows and queries drawn by seed, every answer compared with brute force over the same
 * rows, for metrics, dimensions, more rows than a tile, filters, batches; bounds counted; every
 * allocation made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/code4_bound.h"
#include "index/scan.h"

#define QUERIES 11u
#define LIMIT 10u

struct world {
    uint32_t count, dim;
    enum index_metric metric;
    float *rows, *queries, *centre;
    const uint64_t *allowed;
    struct arena *arena;
    struct scan *scan;
};

static double uniform(uint64_t *seed) {
    *seed = hash_u64(*seed + 1);
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static void draw(float *out, uint32_t dim, uint64_t *seed) {
    uint64_t place = hash_u64((uint64_t)(uniform(seed) * 30) + 1);
    for (uint32_t i = 0; i < dim; i++) {
        double noise = sqrt(-2 * log(uniform(seed))) * cos(2 * M_PI * uniform(seed));
        out[i] = (float)(2 + uniform(&place) * 2 + 0.5 * noise);
    }
}

static void world_open(struct world *world, uint32_t count, uint32_t dim,
                       enum index_metric metric) {
    struct arena_options options = {.limit_bytes = 256u << 20, .plain_pages = true};
    uint64_t seed = count + dim;
    options.purpose_limit_bytes[INS_MEM_CACHE] = 64u << 20;
    options.purpose_limit_bytes[INS_MEM_QUERY] = 64u << 20;
    *world = (struct world){.count = count, .dim = dim, .metric = metric};
    world->rows = malloc((size_t)count * dim * sizeof(float));
    world->queries = malloc((size_t)QUERIES * dim * sizeof(float));
    world->centre = malloc(dim * sizeof(float));
    assert_non_null(world->rows);
    assert_non_null(world->queries);
    assert_non_null(world->centre);
    assert_int_equal(arena_open(&options, &world->arena, NULL), INS_OK);
    for (uint32_t i = 0; i < count; i++) {
        draw(world->rows + (size_t)i * dim, dim, &seed);
    }
    for (uint32_t i = 0; i < QUERIES; i++) {
        draw(world->queries + (size_t)i * dim, dim, &seed);
    }
    for (uint32_t i = 0; i < dim; i++) {
        world->centre[i] = 3;
    }
}

static void world_scan(struct world *world, const float *centre) {
    struct scan_options options = {.dim = world->dim, .metric = world->metric, .seed = 5};
    assert_int_equal(
        scan_open(&options, world->count, centre, world->arena, INS_MEM_CACHE, &world->scan, NULL),
        INS_OK);
    for (uint32_t i = 0; i < world->count; i++) {
        scan_add(world->scan, world->rows + (size_t)i * world->dim);
    }
}

static void world_close(struct world *world) {
    struct arena_usage usage;
    scan_close(world->scan);
    arena_get_usage(world->arena, &usage);
    assert_int_equal(usage.used, 0);
    arena_close(world->arena);
    free(world->rows);
    free(world->queries);
    free(world->centre);
}

static float distance(const struct world *world, uint32_t query, uint32_t row) {
    const float *q = world->queries + (size_t)query * world->dim;
    const float *r = world->rows + (size_t)row * world->dim;
    return world->metric == INDEX_L2 ? kernels_get()->l2_f32(q, r, world->dim)
                                     : -kernels_get()->dot_f32(q, r, world->dim);
}

static bool is_allowed(const struct world *world, uint32_t row) {
    return world->allowed == NULL || (world->allowed[row / 64] >> row % 64 & 1) != 0;
}

static void rank(void *context, uint32_t query, const uint32_t *rows, uint32_t count, float *out) {
    const struct world *world = context;
    assert_true(count <= SCAN_RANK_MAX);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(rows[i] < world->count);
        assert_true(is_allowed(world, rows[i])); /* what is left out is not even looked at */
        out[i] = distance(world, query, rows[i]);
    }
}

static int order_floats(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static uint32_t right_ones(const struct world *world, uint32_t query, const struct topk_hit *hits,
                           uint32_t count, uint32_t limit) {
    float *all = malloc((world->count + 1) * sizeof(float));
    uint32_t allowed = 0, right = 0;
    assert_non_null(all);
    for (uint32_t row = 0; row < world->count; row++) {
        if (is_allowed(world, row)) {
            all[allowed++] = distance(world, query, row);
        }
    }
    qsort(all, allowed, sizeof(float), order_floats);
    assert_int_equal(count, allowed < limit ? allowed : limit);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(hits[i].distance == distance(world, query, hits[i].slot));
        assert_true(i == 0 || hits[i - 1].distance <= hits[i].distance);
        right += hits[i].distance <= all[count - 1];
    }
    free(all);
    return right;
}

/* Recall of all queries, `batch` in a call; out_ranked: rows ranked for a query. */
static double recall_of(struct world *world, uint32_t limit, float certainty, uint32_t batch,
                        double *out_ranked) {
    struct topk_hit *hits = malloc((size_t)batch * limit * sizeof(*hits));
    struct scan_scratch *scratch;
    uint32_t right = 0, all = 0, counts[SCAN_QUERIES_MAX];
    uint64_t ranked = 0;
    assert_non_null(hits);
    assert_int_equal(scan_scratch_make(world->scan, batch, limit, &scratch, NULL), INS_OK);
    for (uint32_t q = 0; q < QUERIES; q += batch) {
        const float *queries[SCAN_QUERIES_MAX];
        uint32_t some = QUERIES - q < batch ? QUERIES - q : batch;
        struct world moved = *world;
        moved.queries += (size_t)q * world->dim;
        for (uint32_t i = 0; i < some; i++) {
            queries[i] = moved.queries + (size_t)i * world->dim;
        }
        struct scan_ask ask = {.queries = queries,
                               .query_count = some,
                               .limit = limit,
                               .certainty = certainty,
                               .allowed = world->allowed,
                               .rank = rank,
                               .context = &moved,
                               .out = hits,
                               .out_counts = counts};
        scan_search(world->scan, scratch, &ask);
        ranked += scan_ranked(scratch);
        for (uint32_t i = 0; i < some; i++) {
            right += right_ones(&moved, i, hits + (size_t)i * limit, counts[i], limit);
            all += counts[i];
        }
    }
    *out_ranked = (double)ranked / QUERIES;
    scan_scratch_free(scratch);
    free(hits);
    return all == 0 ? 1 : (double)right / all;
}

static void expect(struct world *world, float certainty, uint32_t batch, double floor_recall,
                   double ranked_most) {
    double ranked, recall = recall_of(world, LIMIT, certainty, batch, &ranked);
    if (recall < floor_recall || ranked > ranked_most) {
        fail_msg("%u rows of %u, metric %d, certainty %.1f: recall %.3f (at least %.3f), %.0f rows "
                 "ranked (at most %.0f)",
                 world->count, world->dim, (int)world->metric, (double)certainty, recall,
                 floor_recall, ranked, ranked_most);
    }
}

static void test_recall(void **state) {
    (void)state;
    static const uint32_t dims[] = {24, 63, 64, 65, 128, 200, 512, 600};
    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        for (int metric = 0; metric < 2; metric++) {
            struct world world;
            world_open(&world, 3000, dims[i], (enum index_metric)metric);
            world_scan(&world, world.centre);
            /* A dot product's spread is small beside what is in doubt: more has to be ranked. Rows
             * of one place have signs in common, so what is missed is missed in lumps. */
            expect(&world, 3, 1, 0.97, metric == INDEX_L2 && dims[i] >= 64 ? 1000 : 3000);
            expect(&world, 4, 4, 0.99, 3000);
            world_close(&world);
        }
    }
}

/* Bounds that say nothing cost time alone; rows that end within a block, tile, or before one. */
static void test_sizes(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 9, 10, 15, 16, 17, 1023, 1024, 1025};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct world world;
        world_open(&world, counts[i], 5, INDEX_L2);
        world_scan(&world, NULL);
        expect(&world, 1000, 3, 1, counts[i]);
        world_close(&world);
    }
}

static void test_tiles(void **state) {
    (void)state;
    struct world world;
    double ranked;
    world_open(&world, 2 * SCAN_TILE_MAX + 77, 16, INDEX_L2);
    world_scan(&world, world.centre);
    expect(&world, 4, 5, 1, world.count);
    assert_true(recall_of(&world, 300, 4, 1, &ranked) == 1);
    world_close(&world);
}

/* Goal: what the filter leaves out is neither found nor ranked, at every share, whole parts too. */
static void test_filter(void **state) {
    (void)state;
    static const uint32_t shares[] = {0, 1, 5, 50, 500, 1000};
    struct world world;
    world_open(&world, SCAN_TILE_MAX + 500, 64, INDEX_L2);
    world_scan(&world, world.centre);
    uint64_t *allowed = malloc((world.count / 64 + 1) * sizeof(uint64_t));
    assert_non_null(allowed);
    world.allowed = allowed;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        memset(allowed, 0, (world.count / 64 + 1) * sizeof(uint64_t));
        for (uint32_t row = 0; row < world.count; row++) {
            bool in = hash_u64(row) % 1000 < shares[i] && (row < 9000 || row > 30000);
            allowed[row / 64] |= (uint64_t)in << row % 64;
        }
        expect(&world, 3, 2, 0.97, world.count);
    }
    world.allowed = NULL;
    free(allowed);
    world_close(&world);
}

/* Goal: bounds of rows that are allowed are those of all rows, and where few are, blocks without
 * one are not read. Method: runs of blocks of every kind, beginning in each quarter of a word; what
 * was there before stays. */
static void test_allowed_blocks(void **state) {
    (void)state;
    enum { BLOCKS = 40, ROWS = BLOCKS * CODE1_ROWS };
    struct world world;
    world_open(&world, ROWS, 72, INDEX_L2);
    world_scan(&world, NULL);
    const struct kernels *kernels = kernels_get();
    static _Alignas(64) float all[ROWS], bounds[ROWS];
    uint64_t planes[2 * CODE1_PLANES], seed = 5;
    struct code1_query query;
    size_t words = code1_words(padded_dim(72));
    float rotated[128] = {0};
    memcpy(rotated, world.queries, 72 * sizeof(float));
    code1_query_make(rotated, padded_dim(72), 2, planes, &query);
    size_t stride = code1_block_bytes(words);
    uint8_t *blocks = aligned_alloc(64, BLOCKS * stride);
    assert_non_null(blocks);
    for (uint32_t round = 0; round < 64; round++) {
        uint64_t allowed[ROWS / 64 + 1] = {0};
        uint32_t first = CODE1_ROWS * (round % 4);
        for (uint32_t b = 0; b < BLOCKS; b++) {
            uint32_t row = first + b * CODE1_ROWS, in = (uint32_t)(uniform(&seed) * 16);
            bool few = round % 2 == 0;
            uint64_t bits = uniform(&seed) < 0.5 ? 0 : few ? 1u << in : 0xffffu >> in;
            allowed[row / 64] |= bits << row % 64;
            memcpy(blocks + b * stride, row_at(&world.scan->codes, b), stride);
        }
        kernels->code1_bounds(&query, blocks, BLOCKS, words, all);
        for (uint32_t i = 0; i < ROWS; i++) {
            bounds[i] = -77;
        }
        code1_bounds_allowed(kernels, &query, blocks, BLOCKS, words, allowed, first, bounds);
        for (uint32_t i = 0; i < ROWS; i++) {
            uint32_t row = first + i;
            bool in = (allowed[row / 64] >> row % 64 & 1) != 0;
            bool any = (allowed[row / 64] >> (row % 64 / 16 * 16) & 0xffff) != 0;
            assert_true(!in || bounds[i] == all[i]);
            assert_true(any || round % 2 != 0 || bounds[i] == -77);
        }
    }
    code1_bounds_allowed(kernels, &query, blocks, 1, words, NULL, 0, bounds);
    free(blocks);
    world_close(&world);
}

static void test_equal_and_zero(void **state) {
    (void)state;
    struct world world;
    world_open(&world, 200, 40, INDEX_L2);
    memset(world.rows, 0, 200 * 40 * sizeof(float));
    memset(world.queries, 0, (size_t)QUERIES * 40 * sizeof(float));
    world_scan(&world, NULL);
    expect(&world, 2, 1, 1, 200);
    world_close(&world);
}

/* Goal: a bound lies above the distance as seldom as its certainty says. Method: all rows of some
 * dimensions against all queries; of a normal distribution 2.3 % lie beyond two deviations. */
static void test_certainty(void **state) {
    (void)state;
    static const uint32_t dims[] = {64, 128, 784};
    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        struct world world;
        uint32_t wrong = 0, wild = 0, padded = padded_dim(dims[i]);
        world_open(&world, 1600, dims[i], INDEX_L2);
        world_scan(&world, world.centre);
        uint64_t *planes = malloc(CODE1_PLANES * code1_words(padded) * sizeof(uint64_t));
        float *rotated = malloc(padded * sizeof(float));
        float *bounds = aligned_alloc(64, 1600 * sizeof(float));
        assert_true(planes != NULL && rotated != NULL && bounds != NULL);
        for (uint32_t q = 0; q < QUERIES; q++) {
            const struct rotation *rotation = &world.scan->rotation;
            struct code1_query query;
            rotation_apply(rotation, world.queries + (size_t)q * dims[i], world.centre, rotated);
            code1_query_make(rotated, padded, 2, planes, &query);
            float own = kernels_get()->dot_f32(rotated, rotated, padded);
            for (uint32_t block = 0; block < 1600 / CODE1_ROWS; block++) {
                kernels_get()->code1_bounds(&query, row_at(&world.scan->codes, block), 1,
                                            code1_words(padded), bounds + block * CODE1_ROWS);
            }
            for (uint32_t row = 0; row < 1600; row++) {
                float exact = distance(&world, q, row);
                wrong += bounds[row] + own > exact;
                wild += bounds[row] + own < 0.2f * exact;
            }
        }
        double share = (double)wrong / (1600 * QUERIES);
        if (share < 0.002 || share > 0.06 || wild > 1600 * QUERIES / 20) {
            fail_msg("%u dimensions: %.4f of the bounds are too high, %u far too low", dims[i],
                     share, wild);
        }
        free(planes);
        free(rotated);
        free(bounds);
        world_close(&world);
    }
}

/* Goal: bounds of 4-bit codes keep their certainty too, for both metrics, and are several times
 * nearer than those of signs. Method: as above; and rows too large for floats, and of zeros. */
static void check_fine(uint32_t dim, enum index_metric metric) {
    struct world world;
    uint32_t wrong = 0, padded = padded_dim(dim), bytes = code4_bound_bytes(dim);
    double gaps[2] = {0};
    world_open(&world, 1600, dim, metric);
    world_scan(&world, world.centre);
    const struct rotation *rotation = &world.scan->rotation;
    uint64_t *planes = malloc(CODE1_PLANES * code1_words(padded) * sizeof(uint64_t));
    int8_t *values = malloc(code4_slots(padded));
    float *rotated = malloc(padded * sizeof(float));
    uint8_t *codes = malloc((size_t)1600 * bytes);
    float *rough = aligned_alloc(64, 1600 * sizeof(float));
    assert_true(planes != NULL && values != NULL && rotated != NULL && codes != NULL);
    assert_non_null(rough);
    for (uint32_t row = 0; row < 1600; row++) {
        rotation_apply(rotation, world.rows + (size_t)row * dim, world.centre, rotated);
        code4_bound_encode(rotated, padded, metric, codes + (size_t)row * bytes);
    }
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = world.queries + (size_t)q * dim;
        struct code1_query signs;
        struct code4_bound_query fine;
        rotation_apply(rotation, query, metric == INDEX_L2 ? world.centre : NULL, rotated);
        code1_query_make(rotated, padded, 2, planes, &signs);
        code4_bound_query_make(rotated, padded, 2, values, &fine);
        float shift = metric == INDEX_L2 ? kernels_get()->dot_f32(rotated, rotated, padded)
                                         : -kernels_get()->dot_f32(query, world.centre, dim);
        kernels_get()->code1_bounds(&signs, row_at(&world.scan->codes, 0), 4, code1_words(padded),
                                    rough);
        for (uint32_t first = 0; first < 1600; first += 400) {
            const uint8_t *rows[400];
            float bounds[400];
            for (uint32_t i = 0; i < 400; i++) {
                rows[i] = codes + (size_t)(first + i) * bytes;
            }
            code4_bounds(kernels_get(), &fine, rows, 400, padded, bounds);
            for (uint32_t i = 0; i < 400; i++) {
                float exact = distance(&world, q, first + i);
                wrong += bounds[i] + shift > exact;
                if (first + i < 4 * CODE1_ROWS) {
                    gaps[0] += (double)(exact - (rough[i] + shift));
                    gaps[1] += (double)(exact - (bounds[i] + shift));
                }
            }
        }
    }
    double share = (double)wrong / (1600 * QUERIES);
    if (share > 0.06 || share < 0.002 || gaps[1] > gaps[0] / 4) {
        fail_msg("%u dimensions: %.4f of the bounds are too high; gaps %g, of signs %g", dim, share,
                 gaps[1], gaps[0]);
    }
    for (uint32_t i = 0; i < padded; i++) {
        rotated[i] = 1e20f;
    }
    code4_bound_encode(rotated, padded, metric, codes);
    memset(rotated, 0, padded * sizeof(float));
    code4_bound_encode(rotated, padded, metric, codes + bytes);
    const uint8_t *ends[2] = {codes, codes + bytes};
    float bounds[2];
    struct code4_bound_query zero;
    code4_bound_query_make(rotated, padded, 2, values, &zero);
    code4_bounds(kernels_get(), &zero, ends, 2, padded, bounds);
    assert_true(bounds[0] == -FLT_MAX);
    assert_true(bounds[1] == 0);
    free(planes);
    free(values);
    free(rotated);
    free(codes);
    free(rough);
    world_close(&world);
}

static void test_fine(void **state) {
    (void)state;
    static const uint32_t dims[] = {32, 100, 128, 784};
    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        check_fine(dims[i], INDEX_L2);
        check_fine(dims[i], INDEX_DOT);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    struct world world;
    struct scan_options options = {.dim = 20, .metric = INDEX_DOT, .seed = 5};
    struct scan_scratch *scratch = NULL;
    ins_status status = INS_FULL;
    world_open(&world, 50, 20, INDEX_DOT);
    for (uint64_t at = 1; status != INS_OK; at++) {
        struct arena_usage usage;
        assert_true(at < 20);
        arena_fail_at(world.arena, at);
        status =
            scan_open(&options, 50, world.centre, world.arena, INS_MEM_CACHE, &world.scan, NULL);
        arena_fail_at(world.arena, 0);
        arena_get_usage(world.arena, &usage);
        assert_true(status == INS_OK || (status == INS_FULL && usage.used == 0));
    }
    status = INS_FULL;
    for (uint64_t at = 1; status != INS_OK; at++) {
        assert_true(at < 20);
        arena_fail_at(world.arena, at);
        status = scan_scratch_make(world.scan, 3, 10, &scratch, NULL);
        arena_fail_at(world.arena, 0);
    }
    scan_scratch_free(scratch);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall),         cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_tiles),          cmocka_unit_test(test_filter),
        cmocka_unit_test(test_equal_and_zero), cmocka_unit_test(test_certainty),
        cmocka_unit_test(test_allowed_blocks), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
