/* The catalog does not grow with what was there once. Goal: while collections with tenants, aliases
 * and ever new schemas come and go, the catalog's rows in files, its memory and its schemas stay as
 * many as those that live need; what lives is there after each start. Method: virtual time without
 * timers, so neither quiet nor the erasure deadline helps; a kill now and then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "sim_runtime.h"
#include "store/store.h"

enum { ROUNDS = 360, LIVE = 5, TENANTS = 8, DIM = 4, ROWS_MAX = 300 };

struct bed {
    struct sim_runtime lanes;
    ins_store *store;
    ins_db *db;
};

static void fail(const char *what, long number) {
    (void)fprintf(stderr, "FAILED: %s (%ld)\n", what, number);
    exit(1);
}

static void plain_done(ins_call *call) {
    *(bool *)call->user = true;
}

static uint64_t call_and_wait(struct bed *bed, ins_start function, const void *request) {
    bool done = false;
    ins_call call = {.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
    function(bed->db, request, &call);
    while (!done && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
    }
    if (!done || call.status != INS_OK) {
        fail(call.error.message, call.status);
    }
    uint64_t count = call.count;
    ins_call_release(&call);
    return count;
}

static void open_database(struct bed *bed) {
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN, .generation_bytes = 256u << 10};
    ins_error error;
    if (ins_db_open(&options, &bed->lanes.runtime, &bed->db, &error) != INS_OK) {
        fail(error.message, error.status);
    }
}

static void kill_and_open(struct bed *bed) {
    sim_drop_all(&bed->lanes);
    ins_db_close(bed->db);
    store_memory_kill(bed->store);
    open_database(bed);
}

static ins_text name_of(long number, char out[static 32]) {
    return (ins_text){.data = out, .size = (size_t)snprintf(out, 32, "c%ld", number)};
}

/* Two collections in a row share their schema, so it has to outlive the first of them. */
static void make(struct bed *bed, long number) {
    char name[32], settings[64], alias_text[32];
    static const char tenant[] = "{\"type\":\"keyword\",\"is_tenant\":true}";
    static const char keyword[] = "\"keyword\"";
    int size = snprintf(settings, sizeof(settings), "{\"of\":%ld}", number / 2);
    ins_collection_request request = {.collection = name_of(number, name),
                                      .dim = DIM,
                                      .distance = INS_DISTANCE_DOT,
                                      .settings = {.data = settings, .size = (size_t)size}};
    call_and_wait(bed, ins_collection_create, &request);
    request.field = (ins_text){.data = "who", .size = 3};
    request.schema = (ins_text){.data = tenant, .size = sizeof(tenant) - 1};
    request.is_tenant = true;
    call_and_wait(bed, ins_index_create, &request);
    request.field = (ins_text){.data = "kind", .size = 4};
    request.schema = (ins_text){.data = keyword, .size = sizeof(keyword) - 1};
    request.is_tenant = false;
    call_and_wait(bed, ins_index_create, &request);
    int alias_size = snprintf(alias_text, sizeof(alias_text), "alias%ld", number);
    ins_alias_change change = {.kind = INS_ALIAS_CREATE,
                               .alias = {.data = alias_text, .size = (size_t)alias_size},
                               .target = request.collection};
    ins_alias_request aliases = {.changes = &change, .change_count = 1};
    call_and_wait(bed, ins_aliases_change, &aliases);
}

static void fill(struct bed *bed, long number) {
    char name[32], payloads[TENANTS][64];
    float vector[DIM] = {1, 2, 3, 4};
    ins_point points[TENANTS];
    for (int i = 0; i < TENANTS; i++) {
        int size = snprintf(payloads[i], sizeof(payloads[i]), "{\"who\":\"tenant %d\"}", i);
        points[i] = (ins_point){.id = {.low = (uint64_t)i},
                                .vector = vector,
                                .dim = DIM,
                                .payload = {.data = payloads[i], .size = (size_t)size}};
    }
    ins_points_request request = {
        .collection = name_of(number, name), .points = points, .point_count = TENANTS};
    call_and_wait(bed, ins_points_upsert, &request);
}

static void drop(struct bed *bed, long number) {
    char name[32];
    ins_collection_request request = {.collection = name_of(number, name)};
    call_and_wait(bed, ins_collection_delete, &request);
}

static void expect_alive(struct bed *bed, long number) {
    char name[32];
    ins_points_request request = {.collection = name_of(number, name)};
    uint64_t count = call_and_wait(bed, ins_points_count, &request);
    if (count != TENANTS) {
        fail("points of a collection are lost", number);
    }
}

static uint64_t catalog_bytes(const struct bed *bed) {
    struct arena_usage usage;
    arena_get_usage(bed->db->arena, &usage);
    return usage.purpose_used[INS_MEM_CATALOG];
}

/* Of this process' thirds the last two. */
struct most {
    uint64_t bytes[3], rows;
};

static void look(struct bed *bed, long number, struct most *most) {
    const struct island *system = islands_find(&bed->db->islands, SYSTEM_INCARNATION);
    uint64_t bytes = catalog_bytes(bed), rows = island_row_count(system);
    uint64_t *third = &most->bytes[number * 3 / ROUNDS];
    *third = bytes > *third ? bytes : *third;
    most->rows = rows > most->rows ? rows : most->rows;
    if (bed->db->catalog.schemas_by_key.count > 2 * LIVE) {
        fail("schemas that nobody has are kept", (long)bed->db->catalog.schemas_by_key.count);
    }
}

int main(void) {
    static struct bed bed;
    struct most most = {.rows = 0};
    struct store_memory_options memory = {.seed = 5};
    if (store_memory_open(&memory, &bed.store) != INS_OK) {
        fail("no store", 0);
    }
    sim_runtime_init(&bed.lanes, bed.store, 5);
    open_database(&bed);
    for (long number = 0; number < ROUNDS; number++) {
        make(&bed, number);
        fill(&bed, number);
        if (number >= LIVE) {
            drop(&bed, number - LIVE);
        }
        if (number % 3 == 0) {
            call_and_wait(&bed, ins_flush, NULL);
            sim_run_until_idle(&bed.lanes, false);
        }
        if (number % 25 == 24) {
            kill_and_open(&bed);
        }
        for (long live = number - LIVE + 1; live <= number; live++) {
            if (live >= 0) {
                expect_alive(&bed, live);
            }
        }
        look(&bed, number, &most);
    }
    if (100 * most.bytes[2] > 105 * most.bytes[1]) {
        fail("the catalog's memory grows", (long)most.bytes[2]);
    }
    if (most.rows > ROWS_MAX) {
        fail("rows of what is gone stay in the catalog", (long)most.rows);
    }
    (void)printf("%d collections, at most %llu rows and %llu bytes\n", ROUNDS,
                 (unsigned long long)most.rows, (unsigned long long)most.bytes[2]);
    sim_drop_all(&bed.lanes);
    ins_db_close(bed.db);
    ins_store_close(bed.store);
    return 0;
}
