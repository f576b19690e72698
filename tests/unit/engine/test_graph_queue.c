/* Goal: islands that are asked for come first, and none is lost or comes twice. Method: a queue of
 * islands that are nothing else, taken in every state of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/graph_queue.h"

#define COUNT 6u

static void take_is(struct graph_queue *queue, const struct island *expected) {
    struct island *island = graph_queue_take(queue);
    assert_ptr_equal(island, expected);
    if (island != NULL) {
        assert_false(island->graph_queued);
        assert_false(island->graph_asked);
        assert_null(island->graph_next);
    }
}

static void test_order(void **state) {
    (void)state;
    struct graph_queue queue = {0};
    struct island islands[COUNT];
    memset(islands, 0, sizeof(islands));
    take_is(&queue, NULL);
    graph_queue_ask(&islands[0]); /* not queued: nothing */
    assert_false(islands[0].graph_asked);
    for (uint32_t i = 0; i < COUNT; i++) {
        graph_queue_add(&queue, &islands[i]);
    }
    graph_queue_ask(&islands[5]);
    graph_queue_ask(&islands[3]);
    take_is(&queue, &islands[3]);
    take_is(&queue, &islands[5]); /* the last */
    graph_queue_add(&queue, &islands[5]);
    take_is(&queue, &islands[0]);
    graph_queue_ask(&islands[1]); /* the first */
    take_is(&queue, &islands[1]);
    take_is(&queue, &islands[2]);
    take_is(&queue, &islands[4]);
    take_is(&queue, &islands[5]);
    take_is(&queue, NULL);
    graph_queue_add(&queue, &islands[2]);
    take_is(&queue, &islands[2]);
}

/* Beyond so many nobody is looked for: the first is taken. */
static void test_long(void **state) {
    (void)state;
    struct graph_queue queue = {0};
    struct island *islands = calloc(GRAPH_QUEUE_LOOK + 2, sizeof(*islands));
    assert_non_null(islands);
    for (uint32_t i = 0; i < GRAPH_QUEUE_LOOK + 2; i++) {
        graph_queue_add(&queue, &islands[i]);
    }
    graph_queue_ask(&islands[GRAPH_QUEUE_LOOK + 1]);
    take_is(&queue, &islands[0]);
    take_is(&queue, &islands[1]);
    take_is(&queue, &islands[GRAPH_QUEUE_LOOK + 1]);
    free(islands);
}

static void test_random(void **state) {
    (void)state;
    struct graph_queue queue = {0};
    struct island islands[COUNT];
    uint32_t queued = 0;
    memset(islands, 0, sizeof(islands));
    for (uint64_t round = 0; round < 10000; round++) {
        struct island *island = &islands[hash_u64(round) % COUNT];
        switch (hash_u64(round + 1000000) % 3) {
        case 0:
            queued += !island->graph_queued;
            if (!island->graph_queued) {
                graph_queue_add(&queue, island);
            }
            break;
        case 1:
            graph_queue_ask(island);
            break;
        default:
            assert_true((graph_queue_take(&queue) != NULL) == (queued > 0));
            queued -= queued > 0;
            break;
        }
    }
    while (queued > 0) {
        assert_non_null(graph_queue_take(&queue));
        queued--;
    }
    take_is(&queue, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
