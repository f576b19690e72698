#include "tests/unit/engine/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

void fixture_start(struct fixture *fixture) {
    ins_error error = {0};
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN, .log_file_bytes = 1u << 20};
    assert_int_equal(ins_runtime_open_threads(fixture->store, &fixture->runtime, &error), INS_OK);
    ins_status status = ins_db_open(&options, fixture->runtime, &fixture->db, &error);
    if (status != INS_OK) {
        print_message("open: %s\n", error.message);
    }
    assert_int_equal(status, INS_OK);
}

/* A crash: lanes stop, nothing is flushed. */
void fixture_stop(struct fixture *fixture) {
    ins_runtime_close_threads(fixture->runtime);
    ins_db_close(fixture->db);
}

void fixture_open(struct fixture *fixture) {
    struct store_memory_options options = {.seed = 1};
    assert_int_equal(store_memory_open(&options, &fixture->store), INS_OK);
    fixture_start(fixture);
}

void fixture_close(struct fixture *fixture) {
    fixture_stop(fixture);
    ins_store_close(fixture->store);
}

void fixture_restart(struct fixture *fixture) {
    fixture_stop(fixture);
    store_memory_kill(fixture->store);
    fixture_start(fixture);
}

ins_status run(struct fixture *fixture, ins_start start, const void *request, ins_call *call) {
    *call = (ins_call){0};
    ins_status status = ins_wait(fixture->db, start, request, call);
    if (status != INS_OK) {
        print_message("[%d] %s\n", status, call->error.message);
    }
    return status;
}

void do_ok(struct fixture *fixture, ins_start start, const void *request) {
    ins_call call;
    assert_int_equal(run(fixture, start, request, &call), INS_OK);
    ins_call_release(&call);
}

ins_stats stats_of(struct fixture *fixture) {
    ins_stats stats;
    ins_stats_request request = {.out_stats = &stats};
    do_ok(fixture, ins_stats_read, &request);
    return stats;
}

/* A pass may be under way, which began before; the second did not. */
void erase(struct fixture *fixture) {
    for (int pass = 0; pass < 2; pass++) {
        uint64_t erasures = stats_of(fixture).erasures;
        do_ok(fixture, ins_erase, NULL);
        while (stats_of(fixture).erasures == erasures) {
        }
    }
}

void create(struct fixture *fixture, const char *name, bool tenants) {
    ins_collection_request request = {
        .collection = text(name), .dim = 4, .distance = INS_DISTANCE_DOT};
    do_ok(fixture, ins_collection_create, &request);
    if (tenants) {
        request.field = text("who");
        request.schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
        request.is_tenant = true;
        do_ok(fixture, ins_index_create, &request);
    }
}

void upsert(struct fixture *fixture, const char *name, uint64_t id, float value,
            const char *payload) {
    float vector[4] = {value, 1, 0, 0};
    ins_point point = {.id = {.low = id}, .vector = vector, .dim = 4, .payload = text(payload)};
    ins_points_request request = {.collection = text(name), .points = &point, .point_count = 1};
    do_ok(fixture, ins_points_upsert, &request);
}

uint64_t count_where(struct fixture *fixture, const char *name, const char *tenant) {
    ins_value value = {.kind = INS_VALUE_TEXT, .text = text(tenant != NULL ? tenant : "")};
    ins_condition condition = {
        .kind = INS_MATCH_ANY, .key = text("who"), .values = &value, .value_count = 1};
    ins_filter filter = {.must = &condition, .must_count = 1};
    ins_points_request request = {.collection = text(name),
                                  .filter = tenant != NULL ? &filter : NULL};
    ins_call call;
    assert_int_equal(run(fixture, ins_points_count, &request, &call), INS_OK);
    uint64_t count = call.count;
    ins_call_release(&call);
    return count;
}

uint64_t find_section(ins_store *store, uint16_t kind, char *out_name) {
    for (uint64_t file = 1; file < 64; file++) {
        char name[64];
        uint64_t size = 0;
        (void)snprintf(name, sizeof(name), "segments/%016llx.seg", (unsigned long long)file);
        if (store->ops->size(store, name, &size, NULL) != INS_OK) {
            continue;
        }
        uint8_t *bytes = aligned_alloc(4096, size);
        assert_non_null(bytes);
        assert_int_equal(store_get(store, name, 0, bytes, size, NULL), INS_OK);
        for (uint64_t at = 0; at + 80 < size; at += 64) {
            if (load_u32(bytes + at) != 0x54584549u) {
                continue;
            }
            for (uint32_t i = 0; i < load_u16(bytes + at + 68); i++) {
                const uint8_t *entry = bytes + at + 80 + (size_t)i * 40;
                uint64_t header =
                    80 + 40ull * load_u16(bytes + at + 68) + 8ull * load_u32(bytes + at + 64);
                uint64_t start = at + (header + 63) / 64 * 64 - load_u64(bytes + at + 72);
                if (load_u16(entry) == kind) {
                    uint64_t place = start + load_u64(entry + 8);
                    memcpy(out_name, name, sizeof(name));
                    free(bytes);
                    return place;
                }
            }
        }
        free(bytes);
    }
    fail_msg("no section of kind %u", kind);
    return 0;
}
