/* Goal: a warming brings all that searches read, as much as it may and the better half first; what
 * a pinned tenant reads stays when others read more than there is room for; pins are bounded; reads
 * that fail or are damaged end a warming, and nothing else. Method: a database on the memory store,
 * restarted so that nothing is at hand; bytes counted; a stream of blocks that nobody else wants.
 */
#include "tests/unit/engine/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/operation.h"
#include "tenant/cache_private.h"

#define DIM 64u
#define COUNT 20000u /* 5 MB of values */
#define BATCH 500u
#define DENSE 4
#define STREAM_FILE 900000u
#define STREAM_BLOCK (1u << 20)
#define STREAM_STEP 4096u
#define STREAM_MANY (2 * (uint32_t)(INS_MEMORY_BUDGET_MIN / STREAM_BLOCK)) /* twice the arena */

static void begin(struct fixture *fixture) {
    struct store_memory_options options = {.seed = 1};
    ins_error error = {0};
    if (fixture->store == NULL) {
        assert_int_equal(store_memory_open(&options, &fixture->store), INS_OK);
    }
    ins_options db = {
        .memory_budget = INS_MEMORY_BUDGET_MIN, .log_file_bytes = 1u << 20, .scan_bytes_min = 4096};
    assert_int_equal(ins_runtime_open_threads(fixture->store, &fixture->runtime, &error), INS_OK);
    assert_int_equal(ins_db_open(&db, fixture->runtime, &fixture->db, &error), INS_OK);
}

static void vector_of(uint64_t id, float *out) {
    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = (float)(hash_u64((id * DIM + i) * 0x9e3779b97f4a7c15ull) >> 40) * 0x1p-24f - 0.5f;
    }
}

static void fill(struct fixture *fixture) {
    static float values[BATCH][DIM];
    static ins_point points[BATCH];
    ins_collection_request request = {
        .collection = text("c"), .dim = DIM, .distance = INS_DISTANCE_EUCLID};
    begin(fixture);
    do_ok(fixture, ins_collection_create, &request);
    for (uint64_t first = 0; first < COUNT; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            vector_of(first + i, values[i]);
            points[i] = (ins_point){.id = {.low = first + i},
                                    .vector = values[i],
                                    .dim = DIM,
                                    .payload = text("{\"some\":\"text\"}")};
        }
        ins_points_request upsert_request = {
            .collection = text("c"), .points = points, .point_count = BATCH};
        do_ok(fixture, ins_points_upsert, &upsert_request);
    }
    do_ok(fixture, ins_flush, NULL);
}

static void forget(struct fixture *fixture) {
    fixture_stop(fixture);
    begin(fixture);
}

static const ins_tenants_request all = {.collection = {.data = "c", .size = 1}};

static ins_status warm(struct fixture *fixture, ins_warmed *out) {
    ins_call call;
    *out = (ins_warmed){0};
    ins_status status = run(fixture, ins_tenant_warm, &all, &call);
    if (status == INS_OK) {
        *out = *call.warmed;
    }
    ins_call_release(&call);
    return status;
}

static void pin(struct fixture *fixture) {
    ins_tenants_request request = all;
    request.quota.pin = true;
    do_ok(fixture, ins_tenant_quota_set, &request);
}

/* Bytes that searches with payloads read. */
static uint64_t bytes_of_searches(struct fixture *fixture) {
    float query[DIM];
    uint64_t before = stats_of(fixture).cold_bytes;
    for (uint64_t id = 3; id < COUNT; id += 1999) {
        vector_of(id, query);
        ins_points_request request = {.collection = text("c"),
                                      .vector = query,
                                      .dim = DIM,
                                      .limit = 10,
                                      .payload = {.kind = INS_SELECT_ALL}};
        ins_call call;
        assert_int_equal(run(fixture, ins_points_query, &request, &call), INS_OK);
        assert_int_equal(call.points.items[0].id.low, id);
        ins_call_release(&call);
    }
    return stats_of(fixture).cold_bytes - before;
}

/* ---- Blocks of an object of its own, each asked for once ---- */

struct stream {
    struct operation operation;
    const uint8_t *bytes;
    uint32_t next, count;
};

static ins_status stream_step(struct operation *operation, ins_error *error) {
    struct stream *self = container_of(operation, struct stream, operation);
    struct cache *cache = operation->db->cache;
    while (self->next < self->count) {
        struct block *block;
        const uint8_t *data;
        uint64_t at = (uint64_t)self->next * STREAM_STEP;
        struct block_key key = {.file = STREAM_FILE,
                                .offset = at,
                                .size = STREAM_BLOCK,
                                .hash = hash64(self->bytes + at, STREAM_BLOCK)};
        ins_status status =
            cache_pin(cache, &key, CACHE_DATA, &operation->waiter, &block, &data, error);
        if (status != INS_OK) {
            return status;
        }
        cache_unpin(cache, block);
        self->next++;
    }
    return INS_OK;
}

struct stream_request {
    const uint8_t *bytes;
    uint32_t count;
};

static void stream_start(ins_db *db, const void *request, ins_call *call) {
    const struct stream_request *wanted = request;
    struct stream *self = operation_create(db, call, sizeof(*self), stream_step, NULL, true);
    assert_non_null(self);
    self->bytes = wanted->bytes;
    self->count = wanted->count;
    operation_run(&self->operation);
}

static void others_read(struct fixture *fixture, uint32_t blocks) {
    struct stream_request request = {.count = blocks};
    size_t size = (size_t)request.count * STREAM_STEP + STREAM_BLOCK;
    uint8_t *bytes = aligned_alloc(STORE_ALIGN, size);
    const struct store_ops *ops = fixture->store->ops;
    struct store_writer *writer = NULL;
    char name[SEGMENT_NAME_MAX];
    ins_error error;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i / 3 + i / 4099);
    }
    segment_name(STREAM_FILE, name);
    assert_int_equal(ops->put_begin(fixture->store, name, &writer, &error), INS_OK);
    for (size_t at = 0; at < size; at += STREAM_BLOCK) {
        size_t part = size - at < STREAM_BLOCK ? size - at : STREAM_BLOCK;
        assert_int_equal(ops->put_append(writer, bytes + at, part, &error), INS_OK);
    }
    assert_int_equal(ops->put_commit(writer, &error), INS_OK);
    request.bytes = bytes;
    do_ok(fixture, stream_start, &request);
    assert_int_equal(store_remove(fixture->store, name, &error), INS_OK);
    free(bytes);
}

/* ---- Tests ---- */

static void test_brings_all(void **state) {
    (void)state;
    struct fixture fixture = {0};
    ins_warmed warmed;
    fill(&fixture);
    forget(&fixture);
    assert_true(bytes_of_searches(&fixture) > 1000000);
    forget(&fixture);
    assert_int_equal(warm(&fixture, &warmed), INS_OK);
    assert_true(warmed.complete);
    assert_int_equal(warmed.islands, 1);
    assert_true(warmed.extents >= 1);
    assert_in_range(warmed.bytes, COUNT * DIM * 4, 2 * COUNT * DIM * 4);
    assert_int_equal(warmed.loaded_bytes, warmed.bytes);
    assert_int_equal(bytes_of_searches(&fixture), 0);
    uint64_t bytes = warmed.bytes;
    assert_int_equal(warm(&fixture, &warmed), INS_OK); /* again: it is there */
    assert_int_equal(warmed.bytes, bytes);
    assert_int_equal(warmed.loaded_bytes, 0);
    assert_int_equal(stats_of(&fixture).kept_bytes, 0);
    fixture_close(&fixture);
}

static void test_bounded(void **state) {
    (void)state;
    struct fixture fixture = {0};
    ins_warmed warmed;
    fill(&fixture);
    forget(&fixture);
    for (uint64_t limit = 64 << 10; limit <= 4u << 20; limit *= 4) {
        forget(&fixture);
        fixture.db->cache->limit_bytes = 2 * limit;
        assert_int_equal(warm(&fixture, &warmed), INS_OK);
        assert_false(warmed.complete);
        assert_int_equal(warmed.limit_bytes, limit);
        assert_true(warmed.bytes <= limit);
        assert_true(limit < 1u << 20 || warmed.bytes >= limit - (1u << 20)); /* two chunks less */
    }
    ins_tenants_request request = all;
    ins_call call;
    request.quota.pin = true;
    assert_int_equal(run(&fixture, ins_tenant_quota_set, &request, &call), INS_FULL);
    assert_non_null(strstr(call.error.message, "bytes on disk"));
    ins_call_release(&call);
    assert_int_equal(run(&fixture, ins_tenant_quota_get, &request, &call), INS_OK);
    assert_false(call.quota->pin);
    ins_call_release(&call);
    fixture_close(&fixture);
}

static void test_pinned_stays(void **state) {
    (void)state;
    struct fixture fixture = {0};
    ins_warmed warmed;
    fill(&fixture);
    forget(&fixture);
    assert_int_equal(warm(&fixture, &warmed), INS_OK);
    others_read(&fixture, STREAM_MANY);
    assert_true(bytes_of_searches(&fixture) > 1000000); /* that is what happens without */
    pin(&fixture);
    forget(&fixture); /* the pin is on disk */
    assert_int_equal(warm(&fixture, &warmed), INS_OK);
    assert_int_equal(stats_of(&fixture).kept_bytes, warmed.bytes);
    others_read(&fixture, STREAM_MANY);
    assert_int_equal(bytes_of_searches(&fixture), 0);
    /* More than the share: the oldest go as others do, and only as much as is too much. */
    fixture.db->cache->limit_bytes = warmed.bytes;
    others_read(&fixture, 64);
    assert_in_range(stats_of(&fixture).kept_bytes, 1, warmed.bytes / 2);
    /* Nobody asked for the rest while far more than the cache was read: it is no longer kept. */
    others_read(&fixture, STREAM_MANY);
    assert_int_equal(stats_of(&fixture).kept_bytes, 0);
    fixture_close(&fixture);
}

static void test_failures(void **state) {
    (void)state;
    struct fixture fixture = {0};
    ins_warmed warmed;
    char name[64];
    uint32_t failed = 0;
    fill(&fixture);
    for (uint64_t n = 1; n <= 12; n++) {
        forget(&fixture);
        store_memory_fail_at(fixture.store, n, false, INS_IO, false);
        ins_status status = warm(&fixture, &warmed);
        store_memory_fail_off(fixture.store);
        assert_true(status == INS_OK || status == INS_IO);
        failed += status == INS_IO;
        assert_int_equal(warm(&fixture, &warmed), INS_OK);
        assert_true(warmed.complete);
    }
    assert_true(failed > 0);
    fixture_stop(&fixture);
    uint64_t at = find_section(fixture.store, DENSE, name) + 12345 * DIM * 4;
    assert_true(store_memory_flip(fixture.store, name, at, 1));
    begin(&fixture);
    assert_int_equal(warm(&fixture, &warmed), INS_CORRUPT);
    assert_int_equal(warm(&fixture, &warmed), INS_CORRUPT);
    assert_true(store_memory_flip(fixture.store, name, at, 1));
    assert_int_equal(warm(&fixture, &warmed), INS_OK);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brings_all),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_pinned_stays),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
