/* What the tests of payload/ share: an arena, a pool, a parser, short forms. */
#ifndef INS_TESTS_PAYLOAD_TEST_H
#define INS_TESTS_PAYLOAD_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "payload/payload.h"

#define TEST_ARENA_BYTES ((uint64_t)64 << 20)

static struct arena *test_arena;
static struct pool test_pool;
static struct json_parser *test_parser;

static int setup(void **state) {
    (void)state;
    struct arena_options options = {.limit_bytes = TEST_ARENA_BYTES, .plain_pages = true};
    options.purpose_limit_bytes[INS_MEM_QUERY] = TEST_ARENA_BYTES;
    if (arena_open(&options, &test_arena, NULL) != INS_OK) {
        return -1;
    }
    pool_init(&test_pool, test_arena, INS_MEM_QUERY, TEST_ARENA_BYTES);
    test_parser = json_parser_create(INS_PAYLOAD_BYTES_MAX, INS_JSON_DEPTH_MAX);
    return test_parser == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    json_parser_destroy(test_parser);
    pool_fini(&test_pool);
    arena_close(test_arena);
    return 0;
}

static inline ins_text text_of(const char *text) {
    return (ins_text){text, strlen(text)};
}

static inline struct payload_path path_of(const char *text) {
    struct payload_path path;
    assert_int_equal(payload_path_parse(text_of(text), NULL, &path, NULL), INS_OK);
    return path;
}

static inline void assert_text(ins_text text, const char *expected) {
    if (text.data == NULL || text.size != strlen(expected) ||
        memcmp(text.data, expected, text.size) != 0) {
        fail_msg("got %.*s, expected %s", (int)text.size, text.data, expected);
    }
}

struct draws {
    uint64_t seed;
};

static inline uint32_t draw(struct draws *draws, uint32_t bound) {
    draws->seed = draws->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(draws->seed >> 33) % bound;
}

#endif
