/* Goal: the first query of a small cold tenant finds its extent read in two steps, its header and
 * the rest; what came unasked costs nobody anything when it is damaged or cannot be read; a large
 * extent is not read whole.
 * Method: a database on the memory store, restarted so that nothing is at hand; reads and bytes
 * counted; flips in payloads, and each of the store's first reads made to fail. */
#include "tests/unit/engine/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM 64u
#define FEW 300u   /* 77 KB of values, some 120 KB in all: large, and read whole */
#define MANY 1500u /* 384 KB of values */
#define PAYLOAD_BYTES 100u

static void vector_of(uint64_t id, float *out) {
    for (uint32_t i = 0; i < DIM; i++) {
        out[i] = (float)((id + 1) * (i + 1) * 2654435761u % 1000);
    }
}

static void fill(struct fixture *fixture, uint64_t count) {
    char payload[PAYLOAD_BYTES + 32];
    float values[DIM];
    ins_collection_request request = {
        .collection = text("c"), .dim = DIM, .distance = INS_DISTANCE_EUCLID};
    fixture_open(fixture);
    do_ok(fixture, ins_collection_create, &request);
    for (uint64_t id = 0; id < count; id++) {
        vector_of(id, values);
        (void)snprintf(payload, sizeof(payload), "{\"n\":\"%0*llu\"}", PAYLOAD_BYTES,
                       (unsigned long long)id);
        ins_point point = {
            .id = {.low = id}, .vector = values, .dim = DIM, .payload = text(payload)};
        ins_points_request put = {.collection = text("c"), .points = &point, .point_count = 1};
        do_ok(fixture, ins_points_upsert, &put);
    }
    do_ok(fixture, ins_flush, NULL);
    fixture_restart(fixture);
}

struct cost {
    uint64_t reads, bytes;
};

static ins_status ask(struct fixture *fixture, uint64_t id, bool payload, struct cost *out_cost) {
    float query[DIM];
    vector_of(id, query);
    ins_stats before = stats_of(fixture);
    ins_points_request request = {.collection = text("c"),
                                  .vector = query,
                                  .dim = DIM,
                                  .limit = 1,
                                  .payload.kind = payload ? INS_SELECT_ALL : INS_SELECT_NONE};
    ins_call call;
    ins_status status = run(fixture, ins_points_query, &request, &call);
    if (status == INS_OK) {
        assert_int_equal(call.points.count, 1);
        assert_int_equal(call.points.items[0].id.low, id);
    }
    ins_call_release(&call);
    ins_stats after = stats_of(fixture);
    *out_cost = (struct cost){.reads = after.device_reads - before.device_reads,
                              .bytes = after.cold_bytes - before.cold_bytes};
    return status;
}

static void test_two_reads(void **state) {
    (void)state;
    struct fixture fixture = {0};
    struct cost cost;
    fill(&fixture, FEW);
    assert_int_equal(ask(&fixture, 7, true, &cost), INS_OK);
    assert_int_equal(cost.reads, 2);
    assert_in_range(cost.bytes, FEW * (DIM * 4 + PAYLOAD_BYTES), 200000);
    assert_int_equal(ask(&fixture, 290, true, &cost), INS_OK);
    assert_int_equal(cost.reads, 0);
    fixture_close(&fixture);
}

static void test_large(void **state) {
    (void)state;
    struct fixture fixture = {0};
    struct cost cost;
    fill(&fixture, MANY);
    assert_int_equal(ask(&fixture, 7, false, &cost), INS_OK);
    assert_true(cost.bytes < MANY * (DIM * 4 + 16)); /* ids and values; no payloads */
    fixture_close(&fixture);
}

/* Where the payload of point 7 lies in the only file. */
static uint64_t find_payload(ins_store *store, char *out_name) {
    char wanted[PAYLOAD_BYTES + 1];
    uint64_t size, place = 0;
    for (uint64_t file = 1; place == 0; file++) {
        assert_true(file < 64);
        (void)snprintf(out_name, 64, "segments/%016llx.seg", (unsigned long long)file);
        if (store->ops->size(store, out_name, &size, NULL) != INS_OK) {
            continue;
        }
        char *bytes = aligned_alloc(4096, size);
        assert_non_null(bytes);
        assert_int_equal(store_get(store, out_name, 0, bytes, size, NULL), INS_OK);
        (void)snprintf(wanted, sizeof(wanted), "%0*u", PAYLOAD_BYTES, 7u);
        const char *found = memmem(bytes, size, wanted, PAYLOAD_BYTES);
        place = found == NULL ? 0 : (uint64_t)(found - bytes);
        free(bytes);
    }
    return place;
}

static void test_damage(void **state) {
    (void)state;
    struct fixture fixture = {0};
    struct cost cost;
    char name[64];
    fill(&fixture, FEW);
    fixture_stop(&fixture);
    uint64_t at = find_payload(fixture.store, name);
    assert_true(store_memory_flip(fixture.store, name, at, 1));
    fixture_start(&fixture);
    assert_int_equal(ask(&fixture, 7, false, &cost), INS_OK);
    assert_int_equal(ask(&fixture, 7, true, &cost), INS_CORRUPT);
    assert_int_equal(ask(&fixture, 8, false, &cost), INS_OK);
    assert_true(store_memory_flip(fixture.store, name, at, 1)); /* as it was */
    assert_int_equal(ask(&fixture, 7, true, &cost), INS_OK);
    fixture_close(&fixture);
}

/* From the n-th call of the store on all fail, those of other lanes among them. */
static void test_failures(void **state) {
    (void)state;
    struct fixture fixture = {0};
    struct cost cost;
    fill(&fixture, FEW);
    for (uint64_t n = 1; n <= 8; n++) {
        fixture_restart(&fixture);
        store_memory_fail_at(fixture.store, n, false, INS_IO, true);
        ins_status status = ask(&fixture, n, true, &cost);
        store_memory_fail_off(fixture.store);
        assert_true(status == INS_IO || (status == INS_OK && n > 1));
        assert_int_equal(ask(&fixture, n, true, &cost), INS_OK);
    }
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_reads),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
