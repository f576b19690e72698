/* Writers are slowed, not refused. Goal: while a flush does not come forward, writes wait in their
 * order and none fails; what waits longer than the bound is refused, and changes nothing; a slow
 * flush lets them in bit by bit. Method: the background lane stands still, then runs; 64 writers
 * under way, each starts its next write when one is answered. Changes of the catalog stand in the
 * same line. What has no memory to begin a flush begins it a little later, and one that
 * begins during a merge does not wait for its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "sim_runtime.h"
#include "store/store.h"

enum { WRITERS = 64, DIM = 256, GENERATION = 1 << 20 };

struct bed {
    struct sim_runtime lanes;
    ins_store *store;
    ins_db *db;
    uint64_t next, acknowledged, refused;
    uint64_t last_done; /* number of the write answered last */
    bool in_order, more;
};

struct writer {
    struct bed *bed;
    ins_call call;
    ins_points_request request;
    ins_point point;
    float vector[DIM];
    uint64_t number;
};

static void fail(const char *what) {
    (void)fprintf(stderr, "FAILED: %s\n", what);
    exit(1);
}

static void expect(bool what, const char *text) {
    if (!what) {
        fail(text);
    }
}

static void write_next(struct writer *writer);

static void write_done(ins_call *call) {
    struct writer *writer = call->user;
    struct bed *bed = writer->bed;
    expect(call->status == INS_OK || call->status == INS_EXHAUSTED, call->error.message);
    bed->acknowledged += call->status == INS_OK;
    bed->refused += call->status == INS_EXHAUSTED;
    bed->in_order = bed->in_order && writer->number > bed->last_done;
    bed->last_done = writer->number;
    ins_call_release(call);
    if (bed->more) {
        write_next(writer);
    }
}

static void write_next(struct writer *writer) {
    struct bed *bed = writer->bed;
    writer->number = ++bed->next;
    writer->point =
        (ins_point){.id = {.low = writer->number % 2000}, .vector = writer->vector, .dim = DIM};
    writer->request = (ins_points_request){
        .collection = {.data = "room", .size = 4}, .points = &writer->point, .point_count = 1};
    writer->call = (ins_call){.done = write_done, .user = writer, .lane = INS_LANE_REQUEST};
    ins_points_upsert(bed->db, &writer->request, &writer->call);
}

static void plain_done(ins_call *call) {
    *(bool *)call->user = true;
}

/* ---- Changes of the catalog ---- */

enum { CHANGES = 4 };

struct changes {
    bool done[CHANGES];
    ins_call calls[CHANGES];
    ins_collection_request create, drop;
    ins_alias_change change;
    ins_alias_request aliases;
    ins_collection_request shard;
};

static void start_changes(struct bed *bed, struct changes *changes) {
    *changes = (struct changes){.create = {.collection = {.data = "later", .size = 5},
                                           .dim = DIM,
                                           .distance = INS_DISTANCE_DOT},
                                .drop = {.collection = {.data = "gone", .size = 4}},
                                .change = {.kind = INS_ALIAS_CREATE,
                                           .alias = {.data = "alias", .size = 5},
                                           .target = {.data = "room", .size = 4}}};
    changes->shard = (ins_collection_request){.collection = {.data = "sharded", .size = 7},
                                              .shard_key = {.text = {.data = "key", .size = 3}}};
    changes->aliases = (ins_alias_request){.changes = &changes->change, .change_count = 1};
    for (int i = 0; i < CHANGES; i++) {
        changes->calls[i] =
            (ins_call){.done = plain_done, .user = &changes->done[i], .lane = INS_LANE_REQUEST};
    }
    ins_collection_create(bed->db, &changes->create, &changes->calls[0]);
    ins_collection_delete(bed->db, &changes->drop, &changes->calls[1]);
    ins_aliases_change(bed->db, &changes->aliases, &changes->calls[2]);
    ins_shard_key_create(bed->db, &changes->shard, &changes->calls[3]);
}

static void expect_changes(struct changes *changes, bool done) {
    for (int i = 0; i < CHANGES; i++) {
        expect(changes->done[i] == done, "a change of the catalog did not wait, or waits still");
        if (done) {
            expect(changes->calls[i].status == INS_OK, changes->calls[i].error.message);
            ins_call_release(&changes->calls[i]);
        }
    }
    expect(!done || changes->calls[1].found, "the collection was not there");
}

static void create(struct bed *bed, const char *name, bool sharded) {
    bool done = false;
    ins_call call = {.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
    ins_collection_request request = {.collection = {.data = name, .size = strlen(name)},
                                      .dim = DIM,
                                      .distance = INS_DISTANCE_DOT,
                                      .sharded = sharded};
    ins_collection_create(bed->db, &request, &call);
    while (!done && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
    }
    expect(call.status == INS_OK, "create");
    ins_call_release(&call);
}

static void open_bed(struct bed *bed) {
    struct store_memory_options memory = {.seed = 3};
    *bed = (struct bed){.in_order = true, .more = true};
    expect(store_memory_open(&memory, &bed->store) == INS_OK, "no store");
    sim_runtime_init(&bed->lanes, bed->store, 3);
    ins_options options = {.memory_budget = INS_MEMORY_BUDGET_MIN, .generation_bytes = GENERATION};
    ins_error error;
    expect(ins_db_open(&options, &bed->lanes.runtime, &bed->db, &error) == INS_OK, "open");
    create(bed, "room", false);
    create(bed, "gone", false);
    create(bed, "sharded", true);
}

static void step(struct bed *bed, uint64_t until_ns) {
    while (bed->lanes.now_ns < until_ns && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
    }
}

static uint32_t in_line(const struct bed *bed) {
    return bed->db->room.waiting;
}

/* The n-th allocation after it was asked for fails: a new generation, its table, the job. */
static void expect_flushed(struct bed *bed, struct writer *writer) {
    for (uint64_t nth = 2; nth <= 5; nth++) {
        write_next(writer);
        sim_run_until_idle(&bed->lanes, false);
        uint64_t begin_ns = bed->lanes.now_ns;
        bool done = false;
        ins_call call = {.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
        arena_fail_at(bed->db->arena, nth);
        ins_flush(bed->db, NULL, &call);
        while (!done && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
        }
        arena_fail_at(bed->db->arena, 0);
        expect(done && call.status == INS_OK, "a flush that had no memory at first failed");
        expect(bed->lanes.now_ns - begin_ns < 1000000000, "and was not tried again soon");
        ins_call_release(&call);
    }
}

static void start_flush(struct bed *bed, struct writer *writer, ins_call *call, bool *done) {
    write_next(writer);
    sim_run_until_idle(&bed->lanes, false);
    *done = false;
    *call = (ins_call){.done = plain_done, .user = done, .lane = INS_LANE_REQUEST};
    ins_flush(bed->db, NULL, call);
}

/* The disk is full while a file is written: who asked for the flush is told, nothing stops, and it
 * is tried again after a second, then two. */
static void expect_full_disk(struct bed *bed, struct writer *writer) {
    uint64_t flushes = bed->db->flush_count, wait_ns = 1000000000;
    for (int failures = 0; failures < 2; failures++, wait_ns *= 2) {
        bool done;
        ins_call call;
        if (failures == 0) {
            sim_run_until_idle(&bed->lanes, true);
            write_next(writer);
            step(bed, bed->lanes.now_ns + 3000000000ull); /* the log has closed its tail */
            done = false;
            call = (ins_call){.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
        }
        store_memory_fail_at(bed->store, 1, true, INS_FULL, true);
        if (failures == 0) {
            ins_flush(bed->db, NULL, &call);
            while (!done && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
            }
            expect(call.status == INS_FULL, call.status == INS_OK
                                                ? "a flush found room on a full disk"
                                                : call.error.message);
            ins_call_release(&call);
        } else {
            step(bed, bed->db->put_off_until_ns + 20000000);
        }
        store_memory_fail_off(bed->store);
        expect(!bed->db->writes_stopped && bed->db->put_off.status == INS_FULL, "writes stopped");
        expect(bed->db->put_offs == (uint32_t)failures + 1, "it was not tried once");
        expect(bed->db->put_off_until_ns >= bed->lanes.now_ns + wait_ns / 2, "tried again at once");
        expect(bed->db->flush_count == flushes, "something was flushed");
    }
    step(bed, bed->db->put_off_until_ns + 1000000000);
    expect(bed->db->flush_count > flushes, "it was not tried again");
    expect(bed->db->put_off.status == INS_OK && bed->db->put_offs == 0, "the failure is kept");
}

/* A merge is under way and stands still; a flush that begins then lands before it. */
static void expect_flush_first(struct bed *bed, struct writer *writer) {
    ins_call call;
    bool done;
    for (uint32_t flushes = 0; bed->db->merge == NULL; flushes++) {
        expect(flushes <= 4 * INS_RUNS_MERGE, "nothing is merged");
        start_flush(bed, writer, &call, &done);
        while (!done && (sim_step(&bed->lanes) || sim_run_timer(&bed->lanes))) {
        }
        ins_call_release(&call);
    }
    bed->lanes.held = 1u << INS_LANE_BACKGROUND;
    uint64_t merges = bed->db->merge_count, flushes = bed->db->flush_count;
    start_flush(bed, writer, &call, &done);
    step(bed, bed->lanes.now_ns + 1000000000);
    expect(bed->db->flush != NULL && bed->db->merge != NULL, "no flush in the middle of a merge");
    bed->lanes.held = 0;
    while (bed->db->flush_count == flushes) {
        expect(sim_step(&bed->lanes), "neither goes on");
    }
    expect(bed->db->merge != NULL && bed->db->merge_count == merges, "the flush waited");
    sim_run_until_idle(&bed->lanes, true);
    expect(done && call.status == INS_OK && bed->db->merge_count > merges, "one did not land");
    ins_call_release(&call);
}

int main(void) {
    static struct bed bed;
    static struct changes changes;
    static struct writer writers[WRITERS];
    open_bed(&bed);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].bed = &bed;
        write_next(&writers[i]);
    }
    /* Nothing is flushed: one generation and half of the other one, then all of them wait. */
    bed.lanes.held = 1u << INS_LANE_BACKGROUND;
    uint64_t begin_ns = bed.lanes.now_ns;
    step(&bed, begin_ns + ROOM_WAIT_NS / 2);
    expect(in_line(&bed) == WRITERS, "not all writers wait");
    expect(bed.refused == 0, "a write was refused before its time");
    const struct generation *active = bed.db->reading.generations[bed.db->reading.active_slot];
    expect(active->bytes > GENERATION * 2 / 5 && active->bytes <= GENERATION / 2 + 65536,
           "the second generation is not half full");
    start_changes(&bed, &changes);
    step(&bed, bed.lanes.now_ns + 1000000000);
    expect_changes(&changes, false);
    /* The flush goes on: they are let in, in their order, and nobody is refused. */
    bed.lanes.held = 0;
    uint64_t before = bed.acknowledged;
    while (bed.acknowledged < before + 5000 &&
           (sim_step(&bed.lanes) || sim_run_timer(&bed.lanes))) {
    }
    expect(bed.acknowledged >= before + 5000, "writers are not let in again");
    expect(bed.lanes.now_ns < begin_ns + ROOM_WAIT_NS, "it took too long");
    expect(bed.refused == 0, "a write was refused although the flush went on");
    expect(bed.in_order, "a write overtook another one");
    expect_changes(&changes, true);
    /* It stands still for longer than the bound: refused, all of them, and asked again in vain. */
    bed.lanes.held = 1u << INS_LANE_BACKGROUND;
    uint64_t now_ns = bed.lanes.now_ns;
    step(&bed, now_ns + 3 * ROOM_WAIT_NS / 2);
    expect(bed.refused >= WRITERS, "a wait has no end");
    expect(bed.refused <= 2ull * WRITERS, "refused before the bound");
    bed.more = false;
    bed.lanes.held = 0;
    sim_run_until_idle(&bed.lanes, true);
    expect(in_line(&bed) == 0 && bed.db->room.granted == 0, "something is left of the line");
    expect(bed.acknowledged + bed.refused == bed.next, "a write was not answered");
    expect_flushed(&bed, &writers[0]);
    expect_flush_first(&bed, &writers[0]);
    expect_full_disk(&bed, &writers[0]);
    (void)printf("%llu acknowledged, %llu refused after %llu s\n",
                 (unsigned long long)bed.acknowledged, (unsigned long long)bed.refused,
                 ROOM_WAIT_NS / 1000000000);
    return 0; /* the process ends: nothing is taken apart */
}
