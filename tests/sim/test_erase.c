/* Erasure. Goal: after the deadline no byte of what was deleted, overwritten or dropped is left in
 * the store, the log's files and spares included, while what lives is all there. Method: payloads
 * carry marks; after a random life the raw bytes of the store are searched for each of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "sim_runtime.h"
#include "store/memory_private.h"

enum { POINTS = 300, DIM = 16, ROUNDS = 6, TENANTS = 7 };

struct bed {
    struct sim_runtime lanes;
    struct sim_random random;
    ins_store *store;
    ins_db *db;
    uint32_t versions;     /* marks are numbers of versions */
    uint32_t live[POINTS]; /* version of each point; 0 = deleted */
};

static void fail(uint64_t seed, const char *what, uint32_t version) {
    (void)fprintf(stderr, "FAILED: seed %llu: %s, version %u\n", (unsigned long long)seed, what,
                  version);
    exit(1);
}

static void plain_done(ins_call *call) {
    *(bool *)call->user = true;
}

static void call_and_wait(struct bed *bed, ins_start start, const void *request) {
    bool done = false;
    ins_call call = {.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
    start(bed->db, request, &call);
    while (!done && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
    }
    if (call.status != INS_OK) {
        fail(0, call.error.message, 0);
    }
    ins_call_release(&call);
}

static void open_database(struct bed *bed) {
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                           .generation_bytes = 64u << 10,
                           .graph_bytes_min = 512,
                           .log_file_bytes = 256u << 10};
    ins_error error;
    if (ins_db_open(&options, &bed->lanes.runtime, &bed->db, &error) != INS_OK) {
        fail(0, error.message, 0);
    }
}

static void make_collection(struct bed *bed, const char *name, bool tenants) {
    static const char schema[] = "{\"type\":\"keyword\",\"is_tenant\":true}";
    ins_collection_request request = {.collection = {.data = name, .size = strlen(name)},
                                      .dim = DIM,
                                      .distance = INS_DISTANCE_DOT,
                                      .field = {.data = "who", .size = 3},
                                      .schema = {.data = schema, .size = sizeof(schema) - 1},
                                      .is_tenant = true};
    call_and_wait(bed, ins_collection_create, &request);
    if (tenants) {
        call_and_wait(bed, ins_index_create, &request);
    }
}

static void upsert(struct bed *bed, const char *name, uint32_t id, uint32_t version) {
    char payload[96];
    float vector[DIM] = {(float)version};
    int size = snprintf(payload, sizeof(payload), "{\"who\":\"t%u\",\"mark\":\"<%08u>\"}",
                        sim_below(&bed->random, TENANTS), version);
    ins_point point = {.id = {.low = id},
                       .vector = vector,
                       .dim = DIM,
                       .payload = {.data = payload, .size = (size_t)size}};
    ins_points_request request = {
        .collection = {.data = name, .size = strlen(name)}, .points = &point, .point_count = 1};
    call_and_wait(bed, ins_points_upsert, &request);
}

static void erase_point(struct bed *bed, uint32_t id) {
    ins_id point = {.low = id};
    ins_points_request request = {
        .collection = {.data = "kept", .size = 4}, .ids = &point, .id_count = 1};
    call_and_wait(bed, ins_points_delete, &request);
}

/* ---- The raw bytes ---- */

struct marks {
    uint8_t *seen; /* [count] by version */
    uint32_t count;
};

static void search(struct marks *marks, const uint8_t *bytes, size_t size) {
    for (const uint8_t *at = bytes; size >= 10;) {
        at = memchr(at, '<', (size_t)(bytes + size - at));
        if (at == NULL || at + 10 > bytes + size) {
            return;
        }
        if (at[9] == '>') {
            unsigned long version = strtoul((const char *)at + 1, NULL, 10);
            if (version < marks->count) {
                marks->seen[version] = 1;
            }
        }
        at++;
    }
}

static void search_store(struct bed *bed, struct marks *marks) {
    struct memory_store *store = memory_of(bed->store);
    for (const struct memory_object *object = store->objects; object != NULL;
         object = object->next) {
        if (object->removed) {
            continue; /* the file system makes a removal durable in its own time */
        }
        search(marks, object->bytes.durable, object->bytes.size);
    }
    for (const struct memory_log_file *file = store->log.files; file != NULL; file = file->next) {
        search(marks, file->bytes.durable, file->bytes.size);
    }
    for (uint32_t i = 0; i < store->log.spare_count; i++) {
        search(marks, store->log.spares[i].durable, store->log.spares[i].size);
    }
}

static void expect_erased(struct bed *bed, uint64_t seed) {
    struct marks marks = {.count = bed->versions + 1, .seen = calloc(bed->versions + 1, 1)};
    uint8_t *lives = calloc(bed->versions + 1, 1);
    if (marks.seen == NULL || lives == NULL) {
        abort();
    }
    search_store(bed, &marks);
    for (uint32_t i = 0; i < POINTS; i++) {
        lives[bed->live[i]] = 1;
    }
    for (uint32_t version = 1; version <= bed->versions; version++) {
        if (lives[version] && !marks.seen[version]) {
            fail(seed, "what lives is not in the store", version);
        }
        if (!lives[version] && marks.seen[version]) {
            fail(seed, "what is dead is still in the store", version);
        }
    }
    free(marks.seen);
    free(lives);
}

/* A receipt says that it is done no earlier than it is, with other writes and a view under way. */
static void expect_receipt(struct bed *bed, uint64_t seed) {
    ins_stats stats;
    ins_db_stats(bed->db, &stats);
    ins_erasure_request request = {.lsn = stats.lsn_sequenced};
    uint64_t steps = 0;
    bool told = false;
    call_and_wait(bed, ins_erase, NULL);
    while (!told && steps++ < 1000000 && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
        ins_db_stats(bed->db, &stats);
        told = stats.lsn_erased >= request.lsn;
    }
    if (!told) {
        fail(seed, "a receipt stays pending", 0);
    }
    expect_erased(bed, seed);
    bool done = false;
    ins_call call = {.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
    ins_erasure_get(bed->db, &request, &call);
    if (!done || call.status != INS_OK || !call.found) {
        fail(seed, "a receipt does not say so", 0);
    }
    ins_call_release(&call);
    request.lsn = stats.lsn_sequenced + 1;
    done = false;
    call = (ins_call){.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
    ins_erasure_get(bed->db, &request, &call);
    if (!done || call.status != INS_NOT_FOUND) {
        fail(seed, "a receipt of what has not happened", 0);
    }
    ins_call_release(&call);
}

/* ---- Lives ---- */

static void write_some(struct bed *bed) {
    make_collection(bed, "gone", true);
    for (uint32_t i = 0; i < POINTS; i++) {
        uint32_t id = sim_below(&bed->random, POINTS);
        bool deletes = sim_once_in(&bed->random, 4);
        if (deletes) {
            erase_point(bed, id);
        } else {
            upsert(bed, "kept", id, ++bed->versions);
        }
        bed->live[id] = deletes ? 0 : bed->versions;
        if (sim_once_in(&bed->random, 5)) {
            upsert(bed, "gone", i, ++bed->versions);
        }
        if (sim_once_in(&bed->random, 100)) {
            call_and_wait(bed, ins_flush, NULL);
        }
    }
    ins_collection_request drop = {.collection = {.data = "gone", .size = 4}};
    call_and_wait(bed, ins_collection_delete, &drop);
}

/* After the power was cut as well. */
static void expect_known(struct bed *bed, uint64_t seed, uint64_t lsn) {
    ins_stats stats;
    sim_drop_all(&bed->lanes);
    ins_db_close(bed->db);
    store_memory_crash(bed->store);
    open_database(bed);
    ins_db_stats(bed->db, &stats);
    if (stats.lsn_erased != lsn) {
        fail(seed, "what is erased is not known after a restart", 0);
    }
}

static void live(uint64_t seed) {
    static struct bed bed;
    struct store_memory_options options = {.seed = seed};
    bed = (struct bed){.random = {seed}};
    if (store_memory_open(&options, &bed.store) != INS_OK) {
        abort();
    }
    sim_runtime_init(&bed.lanes, bed.store, seed);
    open_database(&bed);
    make_collection(&bed, "kept", sim_once_in(&bed.random, 2));
    for (int round = 0; round < ROUNDS; round++) {
        write_some(&bed);
        if (sim_once_in(&bed.random, 3)) { /* a killed process: the next one erases */
            sim_drop_all(&bed.lanes);
            ins_db_close(bed.db);
            store_memory_kill(bed.store);
            open_database(&bed);
        }
        uint64_t begin_ns = bed.lanes.now_ns;
        if (sim_once_in(&bed.random, 2)) {
            expect_receipt(&bed, seed);
        }
        sim_run_until_idle(&bed.lanes, true);
        if (bed.lanes.now_ns - begin_ns > ERASE_AFTER_NS_DEFAULT) {
            fail(seed, "it took longer than the deadline", 0);
        }
        expect_erased(&bed, seed);
        ins_stats stats;
        ins_db_stats(bed.db, &stats);
        if (stats.erasures == 0 || stats.timers != 1) {
            fail(seed, "no pass, or no end of them", 0);
        }
        if (stats.lsn_erased != stats.lsn_sequenced) {
            fail(seed, "what is erased is not known to be", 0);
        }
        if (sim_once_in(&bed.random, 2)) {
            expect_known(&bed, seed, stats.lsn_erased);
        }
    }
    sim_drop_all(&bed.lanes);
    ins_db_close(bed.db);
    ins_store_close(bed.store);
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        live(seed);
    }
    (void)printf("%llu seeds\n", (unsigned long long)seeds);
    return 0;
}
