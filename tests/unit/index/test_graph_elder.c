/* Goal: a graph that begins with an older one's links finds what one made from nothing finds, over
 * many turns of a set whose rows come and go; links that are nonsense cost time, not answers.
 * Method: a window over made rows moves on by shares, at random and by places; at each turn recall
 * of both graphs against brute force at equal effort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/graph_elder.h"

#define DIM 24u
#define LIVE 1500u
#define LIMIT 10u
#define QUERIES 60u
#define EFFORT 60u
#define PLACES 30u

static double uniform(uint64_t *seed) {
    *seed = hash_u64(*seed + 1);
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static float normal(uint64_t *seed) {
    return (float)(sqrt(-2 * log(uniform(seed))) * cos(2 * M_PI * uniform(seed)));
}

/* Row `id` is drawn of its number alone: a row that comes back is the same. */
static void draw(uint64_t id, float *out) {
    uint64_t seed = id * 977 + 5, place = hash_u64(id % PLACES + 1);
    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = 0.7f * normal(&place) + 0.5f * normal(&seed);
    }
}

struct set {
    struct arena *arena;
    struct graph_options options;
    uint64_t ids[2 * LIVE]; /* ascending */
    uint32_t count;
    uint64_t next; /* id of the next new row */
    float row[DIM];
};

static const float *row_of(void *context, uint32_t row) {
    struct set *set = context;
    draw(set->ids[row], set->row);
    return set->row;
}

static void set_open(struct set *set, enum index_metric metric, enum row_type type) {
    struct arena_options options = {.limit_bytes = 256u << 20, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_CACHE] = 64u << 20;
    options.purpose_limit_bytes[INS_MEM_QUERY] = 64u << 20;
    *set = (struct set){.options = {.dim = DIM, .metric = metric, .type = type, .seed = 3}};
    assert_int_equal(arena_open(&options, &set->arena, NULL), INS_OK);
    for (; set->count < LIVE; set->count++) {
        set->ids[set->count] = set->next++;
    }
}

static void set_close(struct set *set) {
    struct arena_usage usage;
    arena_get_usage(set->arena, &usage);
    assert_int_equal(usage.used, 0);
    arena_close(set->arena);
}

static struct graph *fresh(struct set *set) {
    struct graph *graph;
    assert_int_equal(graph_build(&set->options, set->count, row_of, set, set->arena, &graph, NULL),
                     INS_OK);
    return graph;
}

static int order_hits(const void *left, const void *right) {
    const struct graph_hit *a = left, *b = right;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

static float rows[2 * LIVE][DIM];

/* The distance of the last of the nearest of `rows`. */
static float bound_of(struct set *set, const float *query, struct graph_hit *all) {
    for (uint32_t i = 0; i < set->count; i++) {
        const float *row = rows[i];
        float dot = 0, l2 = 0;
        for (uint32_t d = 0; d < DIM; d++) {
            dot += row[d] * query[d];
            l2 += (row[d] - query[d]) * (row[d] - query[d]);
        }
        all[i] = (struct graph_hit){.distance = set->options.metric == INDEX_DOT ? -dot : l2};
    }
    qsort(all, set->count, sizeof(*all), order_hits);
    return all[LIMIT - 1].distance;
}

static double recall_of(struct set *set, struct graph *graph) {
    struct graph_scratch *scratch;
    static struct graph_hit all[2 * LIVE];
    uint32_t right = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        draw(set->ids[i], rows[i]);
    }
    assert_int_equal(graph_scratch_make(graph, EFFORT, &scratch, NULL), INS_OK);
    for (uint64_t q = 0; q < QUERIES; q++) {
        float query[DIM];
        struct graph_hit hits[LIMIT];
        draw(1000000 + q, query);
        float bound = bound_of(set, query, all);
        assert_int_equal(graph_search(graph, scratch, query, LIMIT, EFFORT, 0, NULL, hits), LIMIT);
        for (uint32_t i = 0; i < LIMIT; i++) {
            right += hits[i].distance <= bound + fabsf(bound) * 2e-3f;
        }
    }
    graph_scratch_free(scratch);
    return (double)right / (QUERIES * LIMIT);
}

/* Where the ids of `before` stand in the set now. */
static void tell_rows(struct graph_elder *elder, const struct set *before, const struct set *now) {
    uint32_t at = 0;
    for (uint32_t old = 0; old < before->count; old++) {
        while (at < now->count && now->ids[at] < before->ids[old]) {
            at++;
        }
        if (at < now->count && now->ids[at] == before->ids[old]) {
            graph_elder_row(elder, old, at);
        }
    }
}

static ins_status inherit(const struct set *before, struct set *now, const struct graph *old,
                          struct graph **out) {
    struct graph_elder *elder;
    struct graph_builder *build;
    ins_status status =
        graph_elder_make(before->count, old->turns, now->arena, INS_MEM_CACHE, &elder, NULL);
    if (status != INS_OK) {
        return status;
    }
    tell_rows(elder, before, now);
    for (uint32_t row = 0; row < before->count; row++) {
        graph_elder_links(elder, row, row_at(&old->links, row));
    }
    status = graph_build_begin(&now->options, now->count, now->arena, INS_MEM_CACHE, &build, NULL);
    if (status != INS_OK) {
        graph_elder_free(elder);
        return status;
    }
    for (uint32_t row = 0; row < now->count; row++) {
        graph_build_add(build, row_of(now, row));
    }
    graph_build_elder(build, elder);
    while (!graph_build_step(build, 7)) {
    }
    *out = graph_build_take(build);
    return INS_OK;
}

/* `share` of the rows go, of one half of the places where `places`, and as many come. */
static void turn(struct set *set, double share, bool places, uint64_t *seed) {
    struct set before = *set;
    set->count = 0;
    uint32_t gone = 0, most = (uint32_t)(share * before.count);
    for (uint32_t i = 0; i < before.count; i++) {
        bool in_reach = !places || before.ids[i] % PLACES < PLACES / 2;
        if (in_reach && gone < most && uniform(seed) < (places ? 2 * share : share)) {
            gone++;
        } else {
            set->ids[set->count++] = before.ids[i];
        }
    }
    while (set->count < LIVE) {
        set->ids[set->count++] = set->next++;
    }
}

static void turns_with(enum index_metric metric, enum row_type type, double share, bool places) {
    struct set set;
    set_open(&set, metric, type);
    struct graph *graph = fresh(&set);
    uint64_t seed = 11;
    double lost = 0;
    for (uint32_t i = 1; i <= GRAPH_TURNS_MAX; i++) {
        struct set before = set;
        struct graph *next, *made;
        turn(&set, share, places, &seed);
        assert_int_equal(inherit(&before, &set, graph, &next), INS_OK);
        assert_int_equal(next->turns, i);
        graph_free(graph);
        graph = next;
        made = fresh(&set);
        lost += recall_of(&set, made) - recall_of(&set, graph);
        graph_free(made);
    }
    graph_free(graph);
    set_close(&set);
    if (lost / GRAPH_TURNS_MAX > 0.01) {
        fail_msg("metric %d, type %d, share %.2f, places %d: %.4f of recall lost", (int)metric,
                 (int)type, share, (int)places, lost / GRAPH_TURNS_MAX);
    }
}

static void test_turns(void **state) {
    (void)state;
    turns_with(INDEX_L2, ROW_F16, 0.1, false);
    turns_with(INDEX_L2, ROW_F32, 0.22, false);
    turns_with(INDEX_L2, ROW_REST, 0.15, true);
    turns_with(INDEX_DOT, ROW_F16, 0.15, false);
}

/* Rows that only come, more than there were; and none of either. */
static void test_growth(void **state) {
    (void)state;
    struct set set;
    set_open(&set, INDEX_L2, ROW_F16);
    struct graph *graph = fresh(&set), *next, *same;
    struct set before = set;
    while (set.count < 2 * LIVE) {
        set.ids[set.count++] = set.next++;
    }
    assert_int_equal(inherit(&before, &set, graph, &next), INS_OK);
    assert_int_equal(next->turns, 1);
    assert_true(recall_of(&set, next) >= 0.97);
    assert_int_equal(inherit(&set, &set, next, &same), INS_OK);
    assert_int_equal(same->turns, 1); /* it is the same graph */
    assert_true(recall_of(&set, same) >= 0.97);
    graph_free(graph);
    graph_free(next);
    graph_free(same);
    set_close(&set);
}

/* Most rows are gone: the links are not worth it. */
static void test_not_worth(void **state) {
    (void)state;
    struct set set;
    set_open(&set, INDEX_L2, ROW_F16);
    struct graph *graph = fresh(&set), *next;
    struct set before = set;
    uint64_t seed = 5;
    turn(&set, 0.4, false, &seed);
    assert_int_equal(inherit(&before, &set, graph, &next), INS_OK);
    assert_int_equal(next->turns, 0);
    assert_true(recall_of(&set, next) >= 0.97);
    graph_free(graph);
    graph_free(next);
    set_close(&set);
}

/* Links as no graph has them: to itself, twice, out of range, none at all. */
static void test_nonsense(void **state) {
    (void)state;
    struct set set;
    set_open(&set, INDEX_L2, ROW_F16);
    struct graph *graph = fresh(&set), *next;
    struct set before = set;
    for (uint32_t row = 0; row < set.count; row++) {
        uint32_t links[GRAPH_DEGREE];
        uint8_t *at = row_at(&graph->links, row);
        links_load(at, links);
        links[0] = row;
        links[1] = links[2];
        links[3] = row % 3 == 0 ? LINK_NONE - 1 : set.count;
        links_store(at, links, row % 10 == 0 ? 0 : GRAPH_DEGREE);
    }
    uint64_t seed = 5;
    turn(&set, 0.1, false, &seed);
    assert_int_equal(inherit(&before, &set, graph, &next), INS_OK);
    for (uint32_t row = 0; row < set.count; row++) {
        uint32_t links[GRAPH_DEGREE];
        links_load(row_at(&next->links, row), links);
        for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] != LINK_NONE; i++) {
            assert_true(links[i] < set.count && links[i] != row);
            for (uint32_t j = 0; j < i; j++) {
                assert_int_not_equal(links[i], links[j]);
            }
        }
    }
    assert_true(recall_of(&set, next) >= 0.97);
    graph_free(graph);
    graph_free(next);
    set_close(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_not_worth),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
