/* Goal: a graph is the same however its building is cut; one that lies in foreign blocks finds what
 * the graph itself does; rows that do not count take no place; blocks that hold anything at all are
 * walked without leaving them.
 * Method: drawn rows; building in slices of one insertion against building in one go; views over
 * copies of the parts; filters of all selectivities against brute force; random bytes as parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/graph.h"

#define COUNT 3000u
#define DIM 24u
#define QUERIES 30u
#define LIMIT 10u
#define EFFORT_FAR 300u /* where a filter's rows lie apart */
#define EFFORT 100u

struct world {
    struct arena *arena;
    struct graph *graph;
    float *rows, *queries;
    uint64_t seed;
};

static float draw(uint64_t *seed) {
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *seed = hash_u64(*seed + 1);
        sum += (float)(*seed >> 40) * 0x1p-24f - 0.5f;
    }
    return sum;
}

static const float *row_of(void *context, uint32_t row) {
    return ((const struct world *)context)->rows + (size_t)row * DIM;
}

static const struct graph_options euclid = {
    .dim = DIM, .metric = INDEX_L2, .type = ROW_F32, .seed = 7};

static int open_world(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    struct arena_options options = {.limit_bytes = 128u << 20, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_CACHE] = 32u << 20;
    options.purpose_limit_bytes[INS_MEM_JOB] = 32u << 20;
    options.purpose_limit_bytes[INS_MEM_QUERY] = 32u << 20;
    assert_int_equal(arena_open(&options, &world->arena, NULL), INS_OK);
    world->rows = malloc(COUNT * DIM * sizeof(float));
    world->queries = malloc(QUERIES * DIM * sizeof(float));
    assert_non_null(world->rows);
    assert_non_null(world->queries);
    world->seed = 11;
    for (uint32_t i = 0; i < COUNT * DIM; i++) {
        world->rows[i] = draw(&world->seed);
    }
    for (uint32_t i = 0; i < QUERIES * DIM; i++) {
        world->queries[i] = draw(&world->seed);
    }
    assert_int_equal(graph_build(&euclid, COUNT, row_of, world, world->arena, &world->graph, NULL),
                     INS_OK);
    *state = world;
    return 0;
}

static int close_world(void **state) {
    struct world *world = *state;
    struct arena_usage usage;
    graph_free(world->graph);
    arena_get_usage(world->arena, &usage);
    assert_int_equal(usage.used, 0);
    arena_close(world->arena);
    free(world->rows);
    free(world->queries);
    free(world);
    return 0;
}

static void assert_same_parts(const struct graph *left, const struct graph *right) {
    const struct row_blocks *a[] = {&left->codes, &left->factors, &left->links};
    const struct row_blocks *b[] = {&right->codes, &right->factors, &right->links};
    for (int part = 0; part < 3; part++) {
        for (uint32_t row = 0; row < COUNT; row++) {
            assert_memory_equal(row_at(a[part], row), row_at(b[part], row), a[part]->stride);
        }
    }
    assert_memory_equal(left->sample, right->sample, sizeof(left->sample));
}

static void test_slices(void **state) {
    struct world *world = *state;
    struct graph_builder *builder;
    assert_int_equal(graph_build_begin(&euclid, COUNT, world->arena, INS_MEM_JOB, &builder, NULL),
                     INS_OK);
    struct arena_usage usage;
    arena_get_usage(world->arena, &usage);
    uint64_t said = graph_build_bytes(&euclid, COUNT);
    assert_true(usage.purpose_used[INS_MEM_JOB] <= said + said / 8 + (64u << 10));
    assert_true(usage.purpose_used[INS_MEM_JOB] >= said - said / 8);
    for (uint32_t row = 0; row < COUNT; row++) {
        graph_build_add(builder, row_of(world, row));
    }
    uint32_t steps = 1, before = 0;
    for (; !graph_build_step(builder, 1); steps++) {
        assert_true(graph_build_progress(builder) >= before);
        before = graph_build_progress(builder);
    }
    assert_true(steps >= COUNT);
    assert_true(steps <= 2 * COUNT);
    struct graph *graph = graph_build_take(builder);
    assert_same_parts(world->graph, graph);
    graph_free(graph);
}

static void test_given_up(void **state) {
    struct world *world = *state;
    for (uint32_t stop = 0; stop < 3; stop++) {
        struct graph_builder *builder;
        assert_int_equal(
            graph_build_begin(&euclid, COUNT, world->arena, INS_MEM_JOB, &builder, NULL), INS_OK);
        for (uint32_t row = 0; row < COUNT && stop > 0; row++) {
            graph_build_add(builder, row_of(world, row));
        }
        if (stop == 2) {
            assert_false(graph_build_step(builder, COUNT / 2));
        }
        graph_build_free(builder);
    }
    struct arena_usage usage;
    arena_get_usage(world->arena, &usage);
    assert_int_equal(usage.purpose_used[INS_MEM_JOB], 0);
}

/* Blocks of a view: copies of the graph's, or whatever `fill` says. */
struct copies {
    const uint8_t *codes[64], *factors[64], *links[64];
};

static void copy_part(const struct row_blocks *part, const uint8_t **out, bool random,
                      uint64_t *seed) {
    uint32_t per_block = 1u << part->shift;
    for (uint32_t first = 0, block = 0; first < COUNT; first += per_block, block++) {
        uint32_t rows = COUNT - first < per_block ? COUNT - first : per_block;
        uint8_t *bytes = malloc(rows * part->stride); /* no longer: a sanitizer sees what is */
        assert_non_null(bytes);
        memcpy(bytes, row_at(part, first), rows * part->stride);
        for (size_t i = 0; i < rows * part->stride && random; i++) {
            *seed = hash_u64(*seed + 1);
            bool low =
                i % (part->stride == LINKS_BYTES ? 3 : 4) < 2; /* some links lead somewhere */
            bytes[i] = (uint8_t)(*seed >> 20 & (low || *seed >> 60 == 0 ? 0xff : 0));
        }
        out[block] = bytes;
    }
}

static void view_open(struct world *world, bool random, struct copies *copies,
                      struct graph **out_view) {
    *copies = (struct copies){0};
    copy_part(&world->graph->codes, copies->codes, random, &world->seed);
    copy_part(&world->graph->factors, copies->factors, random, &world->seed);
    copy_part(&world->graph->links, copies->links, random, &world->seed);
    struct graph_head head;
    graph_head_of(world->graph, &head);
    const struct graph_blocks blocks = {copies->codes, copies->factors, copies->links};
    assert_int_equal(graph_view(&head, &blocks, world->arena, out_view, NULL), INS_OK);
}

static void view_close(struct copies *copies, struct graph *view) {
    graph_free(view);
    for (int i = 0; i < 64; i++) {
        free((void *)(uintptr_t)copies->codes[i]);
        free((void *)(uintptr_t)copies->factors[i]);
        free((void *)(uintptr_t)copies->links[i]);
    }
}

static float distance_to(const struct world *world, const float *query, uint32_t row) {
    float sum = 0;
    for (uint32_t i = 0; i < DIM; i++) {
        float difference = query[i] - world->rows[(size_t)row * DIM + i];
        sum += difference * difference;
    }
    return sum;
}

static bool modulo(void *context, uint32_t row) {
    return hash_u64(row) % *(const uint32_t *)context == 0;
}

/* Recall among the rows that count, of the best of what the walk gave. */
static double recall_of(const struct world *world, const struct graph *graph,
                        struct graph_scratch *scratch, uint32_t every) {
    const struct graph_filter filter = {.accept = modulo, .context = &every};
    uint32_t found[EFFORT], right = 0, wanted = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = world->queries + (size_t)q * DIM;
        uint32_t count = graph_candidates(graph, scratch, query, EFFORT, &filter, found);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(found[i] < COUNT);
            assert_true(modulo(&every, found[i]));
            for (uint32_t j = 0; j < i; j++) {
                assert_int_not_equal(found[i], found[j]);
            }
        }
        for (uint32_t row = 0; row < COUNT; row++) {
            uint32_t nearer = 0;
            if (!modulo(&every, row)) {
                continue;
            }
            float own = distance_to(world, query, row);
            for (uint32_t other = 0; other < COUNT && nearer < LIMIT; other++) {
                nearer += modulo(&every, other) && distance_to(world, query, other) < own;
            }
            if (nearer < LIMIT) {
                wanted++;
                for (uint32_t i = 0; i < count; i++) {
                    right += found[i] == row;
                }
            }
        }
    }
    return (double)right / wanted;
}

static void test_view(void **state) {
    struct world *world = *state;
    struct copies copies;
    struct graph *view;
    struct graph_scratch *scratch;
    view_open(world, false, &copies, &view);
    assert_int_equal(graph_scratch_make(view, EFFORT, &scratch, NULL), INS_OK);
    for (uint32_t q = 0; q < QUERIES; q++) {
        uint32_t own[EFFORT], seen[EFFORT];
        const float *query = world->queries + (size_t)q * DIM;
        uint32_t count = graph_candidates(world->graph, scratch, query, EFFORT, NULL, own);
        assert_int_equal(count, EFFORT);
        assert_int_equal(graph_candidates(view, scratch, query, EFFORT, NULL, seen), EFFORT);
        assert_memory_equal(own, seen, sizeof(own));
        assert_true(graph_cost(scratch) > EFFORT);
        assert_true(graph_cost(scratch) < COUNT);
    }
    assert_true(recall_of(world, view, scratch, 1) >= 0.97);
    assert_true(recall_of(world, view, scratch, 2) >= 0.97);
    assert_true(recall_of(world, view, scratch, 20) >= 0.97);
    assert_true(recall_of(world, view, scratch, 300) >= 0.97);
    graph_scratch_free(scratch);
    view_close(&copies, view);
}

/* ---- Steps over rows that do not pass ---- */

struct kind { /* of rows that pass, as bits; some of them do not count */
    uint64_t bits[COUNT / 64 + 1];
    uint32_t dead_every;
    uint32_t asked_wrongly;
};

static bool in_kind(const struct kind *kind, uint32_t row) {
    return (kind->bits[row / 64] >> (row % 64) & 1) != 0;
}

static bool is_alive(const struct kind *kind, uint32_t row) {
    return kind->dead_every == 0 || hash_u64(row + 5) % kind->dead_every != 0;
}

static bool asked(void *context, uint32_t row) {
    struct kind *kind = context;
    kind->asked_wrongly += !in_kind(kind, row);
    return is_alive(kind, row);
}

/* Recall of LIMIT, among the rows of the kind that count. */
static double kind_recall(const struct world *world, const struct graph *graph,
                          struct graph_scratch *scratch, struct kind *kind) {
    const struct graph_filter filter = {
        .accept = asked, .context = kind, .passing = kind->bits, .effort_far = EFFORT_FAR};
    uint32_t found[EFFORT_FAR], right = 0, wanted = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = world->queries + (size_t)q * DIM;
        uint32_t count = graph_candidates(graph, scratch, query, EFFORT, &filter, found);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(in_kind(kind, found[i]));
            assert_true(is_alive(kind, found[i]));
        }
        for (uint32_t row = 0; row < COUNT; row++) {
            uint32_t nearer = 0, met = 0;
            float own = distance_to(world, query, row);
            if (!in_kind(kind, row) || !is_alive(kind, row)) {
                continue;
            }
            for (uint32_t other = 0; other < COUNT && nearer < LIMIT; other++) {
                nearer += in_kind(kind, other) && is_alive(kind, other) &&
                          distance_to(world, query, other) < own;
            }
            for (uint32_t i = 0; i < count && nearer < LIMIT; i++) {
                met += found[i] == row;
            }
            wanted += nearer < LIMIT;
            right += met;
        }
    }
    assert_int_equal(kind->asked_wrongly, 0);
    return wanted == 0 ? 1 : (double)right / wanted;
}

/* Rows drawn one in `every`; or the rows that are farther than most from the first query. */
static void make_kind(const struct world *world, struct kind *kind, uint32_t every, bool far) {
    memset(kind, 0, sizeof(*kind));
    float sum = 0;
    for (uint32_t row = 0; row < COUNT; row++) {
        sum += distance_to(world, world->queries, row) / COUNT;
    }
    for (uint32_t row = 0; row < COUNT; row++) {
        bool in = far ? distance_to(world, world->queries, row) > sum : hash_u64(row) % every == 0;
        kind->bits[row / 64] |= (uint64_t)in << (row % 64);
    }
}

/* The first query lies apart from the kind: a walk that is to stop there finds none and costs its
 * beginning; one without such rows, or that is not to stop, goes on. */
static void far_is_told(const struct world *world, const struct graph *graph,
                        struct graph_scratch *scratch, struct kind *kind) {
    struct graph_filter filter = {.accept = asked,
                                  .context = kind,
                                  .passing = kind->bits,
                                  .effort_far = EFFORT_FAR,
                                  .stop_far = true};
    uint32_t found[EFFORT_FAR];
    assert_int_equal(graph_candidates(graph, scratch, world->queries, EFFORT, &filter, found), 0);
    assert_true(graph_was_far(scratch));
    uint64_t begun = graph_cost(scratch);
    filter.stop_far = false;
    assert_true(graph_candidates(graph, scratch, world->queries, EFFORT, &filter, found) > 0);
    assert_true(graph_was_far(scratch));
    assert_true(graph_cost(scratch) > begun);
    assert_true(graph_candidates(graph, scratch, world->queries, EFFORT, NULL, found) > 0);
    assert_false(graph_was_far(scratch));
    memset(kind->bits, 0xff, sizeof(kind->bits));
    filter.stop_far = true;
    assert_int_equal(graph_candidates(graph, scratch, world->queries, EFFORT, &filter, found),
                     EFFORT);
    assert_false(graph_was_far(scratch));
}

/* Goal: where rows that do not pass are stepped over, those that pass are found, wherever they lie,
 * no other is ever asked for, and dead ones take no place. Method: kinds across everything, one
 * that lies away from the query, one of a single row, none. */
static void test_steps(void **state) {
    struct world *world = *state;
    struct copies copies;
    struct graph *view;
    struct graph_scratch *scratch;
    static struct kind kind;
    view_open(world, false, &copies, &view);
    assert_int_equal(graph_scratch_make(view, EFFORT_FAR, &scratch, NULL), INS_OK);
    static const uint32_t every[] = {1, 2, 5, 20};
    for (uint32_t i = 0; i < 4; i++) {
        make_kind(world, &kind, every[i], false);
        assert_true(kind_recall(world, view, scratch, &kind) >= 0.96);
        kind.dead_every = 3;
        assert_true(kind_recall(world, view, scratch, &kind) >= 0.96);
    }
    make_kind(world, &kind, 0, true);
    assert_true(kind_recall(world, view, scratch, &kind) >= 0.96);
    far_is_told(world, view, scratch, &kind);
    memset(&kind, 0, sizeof(kind));
    assert_true(kind_recall(world, view, scratch, &kind) >= 1); /* none is found */
    kind.bits[(COUNT - 1) / 64] = 1ull << ((COUNT - 1) % 64);
    assert_true(kind_recall(world, view, scratch, &kind) >= 1);
    graph_scratch_free(scratch);
    view_close(&copies, view);
}

/* Goal: what a walk with a filter found is ranked by the rows, as without one. Method: the first
 * ones of what it found, ordered by their true distances. */
static void test_ranked(void **state) {
    struct world *world = *state;
    struct graph_scratch *scratch;
    static struct kind kind;
    make_kind(world, &kind, 3, false);
    kind.dead_every = 4;
    const struct graph_filter filter = {.accept = asked, .context = &kind, .passing = kind.bits};
    assert_int_equal(graph_scratch_make(world->graph, EFFORT, &scratch, NULL), INS_OK);
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = world->queries + (size_t)q * DIM;
        struct graph_hit hits[LIMIT];
        uint32_t found[EFFORT], nearer = 0;
        uint32_t count = graph_candidates(world->graph, scratch, query, EFFORT, &filter, found);
        assert_in_range(count, 2 * LIMIT, EFFORT);
        assert_int_equal(
            graph_search(world->graph, scratch, query, LIMIT, EFFORT, 2 * LIMIT, &filter, hits),
            LIMIT);
        for (uint32_t i = 0; i < LIMIT; i++) {
            assert_true(in_kind(&kind, hits[i].id));
            assert_true(is_alive(&kind, hits[i].id));
            assert_true(i == 0 || hits[i - 1].distance <= hits[i].distance);
            float difference = hits[i].distance - distance_to(world, query, hits[i].id);
            assert_true(difference * difference < 1e-6f);
        }
        for (uint32_t i = 0; i < 2 * LIMIT; i++) { /* only these are ranked */
            nearer += distance_to(world, query, found[i]) < hits[LIMIT - 1].distance;
        }
        assert_in_range(nearer, LIMIT - 2, LIMIT);
    }
    graph_scratch_free(scratch);
}

static void test_any_bytes(void **state) {
    struct world *world = *state;
    uint64_t thirds[COUNT / 64 + 1];
    memset(thirds, 0x92, sizeof(thirds));
    for (int round = 0; round < 20; round++) {
        struct copies copies;
        struct graph *view;
        struct graph_scratch *scratch;
        view_open(world, true, &copies, &view);
        assert_int_equal(graph_scratch_make(view, EFFORT, &scratch, NULL), INS_OK);
        uint32_t found[EFFORT];
        for (uint32_t q = 0; q < QUERIES; q++) {
            uint32_t count = graph_candidates(view, scratch, world->queries + (size_t)q * DIM,
                                              EFFORT, NULL, found);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(found[i] < COUNT);
            }
            uint32_t every = 3;
            const struct graph_filter filter = {
                .accept = modulo, .context = &every, .passing = thirds};
            count = graph_candidates(view, scratch, world->queries + (size_t)q * DIM, EFFORT,
                                     &filter, found);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(found[i] < COUNT);
            }
        }
        graph_scratch_free(scratch);
        view_close(&copies, view);
    }
}

static void refuse(struct world *world, const struct graph_head *head, const char *word) {
    const uint8_t *none[1] = {NULL};
    const struct graph_blocks blocks = {none, none, none};
    struct graph *view;
    ins_error error;
    assert_int_equal(graph_view(head, &blocks, world->arena, &view, &error), INS_INVALID);
    assert_non_null(strstr(error.message, word));
}

static void test_wrong_head(void **state) {
    struct world *world = *state;
    struct graph_head good, head;
    graph_head_of(world->graph, &good);
    const uint32_t outside[1] = {COUNT};
    head = good;
    head.dim = 0;
    refuse(world, &head, "dimensions");
    head = good;
    head.count = GRAPH_ROWS_MAX + 1;
    refuse(world, &head, "rows");
    head = good;
    head.sample_count = GRAPH_SAMPLE_MAX + 1;
    refuse(world, &head, "size of the sample");
    head = good;
    head.sample_count = 1;
    head.sample = outside;
    refuse(world, &head, "sample");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slices, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_given_up, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_view, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_steps, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_ranked, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_any_bytes, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_wrong_head, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
