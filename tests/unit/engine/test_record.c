/* The body of a log record: what is encoded is decoded, over the borders of pieces as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/limits.h"
#include "engine/record.h"

#define ROWS_MAX 64u

struct fixture {
    struct arena *arena;
    struct island_mem islands[3];
    struct memrow *rows[ROWS_MAX];
    size_t count;
    uint8_t *body;
    size_t size;
};

static void fixture_open(struct fixture *fixture, uint64_t log_bytes) {
    *fixture = (struct fixture){0};
    struct arena_options options = {.limit_bytes = 16 * INS_PAGE_BYTES};
    options.purpose_limit_bytes[INS_MEM_LOG] = log_bytes;
    assert_int_equal(arena_open(&options, &fixture->arena, NULL), INS_OK);
    for (uint64_t i = 0; i < 3; i++) {
        fixture->islands[i].incarnation = 100 + i;
    }
}

static void fixture_close(struct fixture *fixture) {
    for (size_t i = 0; i < fixture->count; i++) {
        free(fixture->rows[i]);
    }
    free(fixture->body);
    arena_close(fixture->arena);
}

static void add(struct fixture *fixture, uint32_t island, enum memrow_kind kind, bool uuid,
                uint32_t dim, uint32_t payload_size) {
    uint32_t vectors = dim == 0 ? 0 : 1;
    uint32_t vector_bytes = vectors * (8 + dim * (uint32_t)sizeof(float));
    size_t tail = kind == MEMROW_DIRECTORY ? 8 : (size_t)vector_bytes + payload_size;
    struct memrow *row = calloc(1, sizeof(*row) + memrow_lead(kind) + tail + 8);
    assert_non_null(row);
    *row = (struct memrow){.owner = &fixture->islands[island],
                           .id_low = 7 + fixture->count,
                           .id_high = uuid ? 9 : 0,
                           .id_is_uuid = uuid,
                           .vector_count = (uint8_t)vectors,
                           .vector_bytes = vector_bytes,
                           .payload_size = payload_size,
                           .kind = (uint8_t)kind};
    uint8_t *bytes = (uint8_t *)(row + 1) + memrow_lead(kind);
    for (size_t i = 0; i < tail; i++) {
        bytes[i] = (uint8_t)(i * 31 + fixture->count);
    }
    if (vectors > 0) {
        struct vector_shape shape = {.id = 3, .datatype = INS_FLOAT32, .dim = dim};
        memcpy(bytes, &shape, sizeof(shape));
    }
    fixture->rows[fixture->count++] = row;
}

/* Encodes, verifies the pieces, and joins them as replay does. */
static void encode(struct fixture *fixture) {
    struct wal_record first;
    assert_int_equal(record_encode(fixture->arena, fixture->rows, fixture->count, 5, &first, NULL),
                     INS_OK);
    fixture->size = record_size(fixture->rows, fixture->count);
    fixture->body = malloc(fixture->size);
    size_t at = 0;
    for (const struct wal_record *piece = &first; piece != NULL; piece = piece->more) {
        assert_in_range(piece->size, 1, INS_LOG_FRAGMENT_BYTES_MAX);
        assert_int_equal(piece->crc, crc32c(piece->data, piece->size));
        assert_int_equal(piece->scope, 5);
        memcpy(fixture->body + at, piece->data, piece->size);
        at += piece->size;
    }
    assert_int_equal(at, fixture->size);
    record_free(fixture->arena, &first);
    struct arena_usage usage;
    arena_get_usage(fixture->arena, &usage);
    assert_int_equal(usage.purpose_used[INS_MEM_LOG], 0);
}

struct visit {
    const struct fixture *fixture;
    size_t count, fail_at;
};

static ins_status visit_row(void *context, uint64_t incarnation, const struct record_row *row,
                            ins_error *error) {
    (void)error;
    struct visit *visit = context;
    if (visit->fail_at != 0 && visit->count + 1 == visit->fail_at) {
        return INS_FULL;
    }
    const struct memrow *expect = visit->fixture->rows[visit->count++];
    assert_int_equal(incarnation, expect->owner->incarnation);
    assert_int_equal(row->kind, expect->kind);
    assert_int_equal(row->id.low, expect->id_low);
    assert_int_equal(row->id.high, expect->id_high);
    assert_int_equal(row->id.is_uuid, expect->id_is_uuid);
    if (row->kind == MEMROW_DIRECTORY) {
        assert_memory_equal(&row->incarnation, expect + 1, 8);
    } else if (row->kind == MEMROW_POINT || row->kind == MEMROW_PATCH) {
        assert_int_equal(row->vector_count, expect->vector_count);
        assert_int_equal(row->vector_bytes, expect->vector_bytes);
        assert_int_equal(row->payload.size, expect->payload_size);
        const uint8_t *bytes = (const uint8_t *)(expect + 1) + memrow_lead(row->kind);
        if (row->vector_bytes > 0) {
            assert_memory_equal(row->vectors, bytes, row->vector_bytes);
        }
        if (row->payload.size > 0) {
            assert_memory_equal(row->payload.data, bytes + row->vector_bytes, row->payload.size);
        }
    }
    return INS_OK;
}

static ins_status decode(struct fixture *fixture, size_t size, struct visit *visit) {
    *visit = (struct visit){.fixture = fixture, .fail_at = visit->fail_at};
    return record_decode((struct slice){.data = fixture->body, .size = size}, visit_row, visit,
                         NULL);
}

static void add_all_kinds(struct fixture *fixture) {
    add(fixture, 0, MEMROW_POINT, false, 4, 300);
    add(fixture, 0, MEMROW_POINT, true, 0, 0);
    add(fixture, 0, MEMROW_TOMBSTONE, true, 0, 0);
    add(fixture, 1, MEMROW_TOMBSTONE, false, 0, 0);
    add(fixture, 1, MEMROW_PATCH, false, 0, 40);
    add(fixture, 1, MEMROW_PATCH, true, 4, 0);
    add(fixture, 2, MEMROW_DIRECTORY, false, 0, 0);
    add(fixture, 2, MEMROW_DIRECTORY, true, 0, 0);
    add(fixture, 0, MEMROW_POINT, false, 200, 20000); /* lengths of two and three bytes */
}

/* Goal: every kind of row comes back, with its island. Method: all kinds, numbers and UUIDs. */
static void test_round_trip(void **state) {
    (void)state;
    struct fixture fixture;
    struct visit visit = {0};
    fixture_open(&fixture, 1u << 20);
    add_all_kinds(&fixture);
    encode(&fixture);
    assert_int_equal(decode(&fixture, fixture.size, &visit), INS_OK);
    assert_int_equal(visit.count, fixture.count);
    fixture_close(&fixture);
}

/* Goal: a record of several pieces is cut anywhere, in the middle of words too.
 * Method: 12 rows of some 300 KB, so that borders fall at different places of rows. */
static void test_pieces(void **state) {
    (void)state;
    struct fixture fixture;
    struct visit visit = {0};
    fixture_open(&fixture, 8u << 20);
    for (uint32_t i = 0; i < 12; i++) {
        add(&fixture, i % 3, MEMROW_POINT, i % 2 == 0, 1000 + i, 300000 + i * 7);
        add(&fixture, i % 3, MEMROW_TOMBSTONE, false, 0, 0);
    }
    encode(&fixture);
    assert_true(fixture.size > 3 * INS_LOG_FRAGMENT_BYTES_MAX);
    assert_int_equal(decode(&fixture, fixture.size, &visit), INS_OK);
    assert_int_equal(visit.count, fixture.count);
    fixture_close(&fixture);
}

/* Goal: no memory leaves nothing behind. Method: shares of the log that hold only some pieces. */
static void test_no_memory(void **state) {
    (void)state;
    for (uint64_t share = 1u << 20; share <= 4u << 20; share += 1u << 20) {
        struct fixture fixture;
        struct wal_record first;
        ins_error error = {0};
        struct arena_usage usage;
        fixture_open(&fixture, share);
        for (uint32_t i = 0; i < 20; i++) {
            add(&fixture, 0, MEMROW_POINT, false, 0, 300000);
        }
        assert_int_equal(
            record_encode(fixture.arena, fixture.rows, fixture.count, 5, &first, &error),
            INS_EXHAUSTED);
        assert_true(error.retry_after_s > 0);
        arena_get_usage(fixture.arena, &usage);
        assert_int_equal(usage.purpose_used[INS_MEM_LOG], 0);
        fixture_close(&fixture);
    }
}

/* Goal: a cut record is refused unless the cut is between two parts; never a row that was not
 * there. Method: every length. */
static void test_cut(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 1u << 20);
    add_all_kinds(&fixture);
    encode(&fixture);
    size_t whole = 0;
    for (size_t size = 0; size < fixture.size; size++) {
        struct visit visit = {0};
        ins_status status = decode(&fixture, size, &visit);
        assert_true(status == INS_OK || status == INS_CORRUPT);
        assert_true(visit.count <= fixture.count);
        whole += status == INS_OK;
    }
    assert_int_equal(whole, 4); /* nothing, and behind each part but the last */
    fixture_close(&fixture);
}

/* Goal: the visitor's error ends decoding and is the answer. Method: fails at each row. */
static void test_visitor_fails(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, 1u << 20);
    add_all_kinds(&fixture);
    encode(&fixture);
    for (size_t row = 1; row <= fixture.count; row++) {
        struct visit visit = {.fail_at = row};
        assert_int_equal(decode(&fixture, fixture.size, &visit), INS_FULL);
        assert_int_equal(visit.count, row - 1);
    }
    fixture_close(&fixture);
}

static void expect_corrupt(uint8_t head, const uint8_t *tail, size_t tail_size) {
    uint8_t body[128] = {1};
    body[28] = head;
    if (tail_size > 0) {
        memcpy(body + 37, tail, tail_size);
    }
    store_u32(body + 24, (uint32_t)(9 + tail_size));
    ins_error error = {0};
    struct fixture fixture = {0};
    struct visit visit = {.fixture = &fixture, .fail_at = 1};
    struct slice slice = {.data = body, .size = 28 + 9 + tail_size};
    assert_int_equal(record_decode(slice, visit_row, &visit, &error), INS_CORRUPT);
    assert_true(error.message[0] != '\0');
}

/* Goal: words that are out of range are refused. Method: each in turn. */
static void test_malformed(void **state) {
    (void)state;
    static const uint8_t many[] = {65, 0};
    static const uint8_t dim[] = {1, 0, 0, 0, 1, 0, 1, 0, 1, 0};      /* 65,537 */
    static const uint8_t no_dim[] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0};   /* 0 */
    static const uint8_t type[] = {1, 0, 0, 0, 99, 0, 1, 0, 0, 0, 0}; /* no datatype */
    static const uint8_t flag[] = {1, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0};
    /* A multivector of 786,433 numbers, and one of 786,432 floats. */
    static const uint8_t rows[] = {1, 0, 0, 0, 3, 1, 1, 0, 12, 0};
    static const uint8_t row_bytes[] = {1, 0, 0, 0, 1, 1, 0, 0, 12, 0};
    static const uint8_t same[] = {2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1,
                                   0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}; /* one id twice */
    static const uint8_t payload[] = {0, 0x81, 0x80, 0x40};                /* 1 MiB + 1 */
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0};
    static const uint8_t short_payload[] = {0, 5, 'a', 'b'};
    expect_corrupt(0, NULL, 0);    /* no kind */
    expect_corrupt(0x11, NULL, 0); /* an unknown bit */
    expect_corrupt(0x08, NULL, 0); /* a patch of no kind */
    expect_corrupt(0x0a, NULL, 0); /* a tombstone that is a patch */
    expect_corrupt(6, NULL, 0);    /* a UUID without its second half */
    expect_corrupt(3, NULL, 0);    /* a directory entry without its island */
    expect_corrupt(1, many, sizeof(many));
    expect_corrupt(1, dim, sizeof(dim));
    expect_corrupt(1, no_dim, sizeof(no_dim));
    expect_corrupt(1, type, sizeof(type));
    expect_corrupt(1, flag, sizeof(flag));
    expect_corrupt(1, rows, sizeof(rows));
    expect_corrupt(1, row_bytes, sizeof(row_bytes));
    expect_corrupt(1, same, sizeof(same));
    expect_corrupt(1, payload, sizeof(payload));
    expect_corrupt(1, endless, sizeof(endless));
    expect_corrupt(1, short_payload, sizeof(short_payload));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_visitor_fails), cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
