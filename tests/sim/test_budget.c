/* The memory budget changes while the database runs. Goal: after each change what is committed and
 * what each purpose may take come below the new shares in bounded time; no read fails and each
 * answer is right meanwhile; no write fails, and writes wait while the memtable is above; a change
 * that cannot be is refused with the bound and changes nothing; the machine's memory is followed.
 * Method: the simulator's lanes and clock; writers and readers without a pause; budgets in turn and
 * at random; the runtime's own figure for the machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_private.h"
#include "sim_random.h"
#include "sim_runtime.h"
#include "store/store.h"

enum { WRITERS = 8, READERS = 8, DIM = 256, POINTS = 20000 };
#define MIB (1ull << 20)
#define SETTLE_NS 20000000000ull

struct client;

struct bed {
    struct sim_runtime lanes;
    ins_store *store;
    ins_db *db;
    uint64_t machine_bytes, next, written, read, refused;
    uint32_t under_way;
    bool more, may_refuse;
    struct client *clients; /* [WRITERS + READERS] */
};

struct client {
    struct bed *bed;
    ins_task task; /* the next call: not from inside the answer, which would nest */
    ins_call call;
    ins_points_request request;
    ins_point point;
    float vector[DIM];
    ins_id id;
    bool reads;   /* from its next call on */
    bool writing; /* the call under way */
    bool busy;
};

static void expect(bool what, const char *text) {
    if (!what) {
        (void)fprintf(stderr, "FAILED: %s\n", text);
        exit(1);
    }
}

static uint64_t machine_of(void *context) {
    const struct sim_runtime *lanes = context; /* the first member of struct bed */
    return ((const struct bed *)(const void *)lanes)->machine_bytes;
}

static void go_on(struct client *client);

static void go_on_run(ins_task *task) {
    go_on(container_of(task, struct client, task));
}

static void done(ins_call *call) {
    struct client *client = call->user;
    struct bed *bed = client->bed;
    bool refused = client->writing && bed->may_refuse && call->status == INS_FULL &&
                   strstr(call->error.message, "268435456") != NULL;
    expect(call->status == INS_OK || refused, call->error.message);
    bed->refused += refused;
    if (!client->writing) {
        expect(call->points.count == 1, "a point that was written is not there");
        const float *vector = call->points.items[0].vector;
        expect(vector != NULL && vector[0] == (float)(client->id.low + 1), "another vector");
    }
    bed->written += client->writing && !refused;
    bed->read += !client->writing;
    ins_call_release(call);
    bed->under_way--;
    client->busy = false;
    if (bed->more) {
        client->busy = true;
        client->task.run = go_on_run;
        db_run(bed->db, INS_LANE_REQUEST, &client->task);
    }
}

static void go_on(struct client *client) {
    struct bed *bed = client->bed;
    client->call = (ins_call){.done = done, .user = client, .lane = INS_LANE_REQUEST};
    client->request = (ins_points_request){.collection = {.data = "room", .size = 4}};
    uint64_t known = bed->written < POINTS ? bed->written : POINTS;
    bed->under_way++;
    client->busy = true;
    client->writing = !client->reads;
    if (client->writing) {
        client->id.low = bed->next++ % POINTS;
        client->vector[0] = (float)(client->id.low + 1);
        client->point = (ins_point){.id = client->id, .vector = client->vector, .dim = DIM};
        client->request.points = &client->point;
        client->request.point_count = 1;
        ins_points_upsert(bed->db, &client->request, &client->call);
        return;
    }
    client->id.low = (bed->read * 7919) % (known - 2 * (WRITERS + READERS));
    client->request.ids = &client->id;
    client->request.id_count = 1;
    client->request.with_vector = true;
    ins_points_get(bed->db, &client->request, &client->call);
}

static void step(struct bed *bed) {
    expect(sim_step(&bed->lanes) || sim_run_timer(&bed->lanes), "nothing is left to do");
}

/* Nobody asks any more; who waits goes on waiting. */
static void quiet(struct bed *bed, uint32_t left) {
    bed->more = false;
    while (bed->under_way > left) {
        step(bed);
    }
}

static void all_go_on(struct bed *bed) {
    bed->more = true;
    for (int i = 0; i < WRITERS + READERS; i++) {
        if (!bed->clients[i].busy) {
            go_on(&bed->clients[i]);
        }
    }
}

static void plain_done(ins_call *call) {
    *(bool *)call->user = true;
}

static ins_status set(struct bed *bed, uint64_t bytes, ins_stats *out_stats, ins_error *out_error) {
    bool is_done = false;
    ins_budget_request request = {.bytes = bytes, .out_stats = out_stats};
    ins_call call = {.done = plain_done, .user = &is_done, .lane = INS_LANE_REQUEST};
    ins_budget_set(bed->db, &request, &call);
    expect(is_done, "a change of the budget was not answered at once");
    *out_error = call.error;
    return call.status;
}

static ins_stats stats_of(struct bed *bed) {
    ins_stats stats;
    ins_db_stats(bed->db, &stats);
    return stats;
}

static void settle(struct bed *bed) {
    uint64_t until_ns = bed->lanes.now_ns + SETTLE_NS;
    while (bed->db->budget.settling) {
        expect(bed->lanes.now_ns < until_ns, "the budget does not settle");
        step(bed);
    }
    struct budget_shares shares;
    ins_stats stats = stats_of(bed);
    budget_divide(stats.memory_budget, bed->db->options.generation_bytes, &shares);
    expect(stats.arena_committed <= shares.arena_bytes, "more is committed than the budget");
    expect(stats.arena_limit == shares.arena_bytes, "the arena has another limit");
    expect(stats.memory_above == 0, "something is above");
    uint64_t sum = 0;
    for (int i = 0; i < INS_MEM_PURPOSE_COUNT; i++) {
        sum += stats.mem_limit[i];
        bool lends = i == INS_MEM_CACHE || i == INS_MEM_GRAPH;
        expect(lends || stats.mem_limit[i] == shares.purpose[i], "another share");
        expect(stats.mem_used[i] <= stats.mem_limit[i], "a purpose is above its limit");
    }
    expect(sum <= stats.arena_limit, "the shares are more than the arena");
}

static void run(struct bed *bed, uint64_t count) {
    uint64_t until = bed->written + bed->read + count;
    while (bed->written + bed->read < until) {
        step(bed);
    }
}

static void change(struct bed *bed, uint64_t bytes) {
    ins_error error;
    ins_stats stats;
    expect(set(bed, bytes, &stats, &error) == INS_OK, error.message);
    expect(stats.memory_budget == bytes && stats.memory_budget_asked == bytes, "another budget");
}

static void refusals(struct bed *bed) {
    ins_error error;
    ins_stats before = stats_of(bed);
    char number[32];
    expect(set(bed, 1, NULL, &error) == INS_INVALID, "a budget of one byte");
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)before.memory_budget_least);
    expect(strstr(error.message, number) != NULL, "the smallest is not named");
    expect(set(bed, before.memory_budget_most + 1, NULL, &error) == INS_INVALID, "too large");
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)before.memory_budget_most);
    expect(strstr(error.message, number) != NULL, "the largest is not named");
    ins_stats after = stats_of(bed);
    expect(memcmp(before.mem_limit, after.mem_limit, sizeof(before.mem_limit)) == 0,
           "a refused budget changed a limit");
    expect(before.memory_budget == after.memory_budget, "a refused budget is in force");
}

/* The active memtable is larger than the new budget allows: writes wait until it is in a file. */
static void writes_wait(struct bed *bed) {
    change(bed, 1024 * MIB);
    settle(bed);
    const struct generation *active = bed->db->reading.generations[bed->db->reading.active_slot];
    while (active->bytes < 48 * MIB) {
        run(bed, 64);
        active = bed->db->reading.generations[bed->db->reading.active_slot];
    }
    bed->lanes.held = 1u << INS_LANE_BACKGROUND; /* nothing is flushed */
    change(bed, 256 * MIB);
    uint64_t until_ns = bed->lanes.now_ns + 30000000, read = bed->read;
    while (bed->lanes.now_ns < until_ns) {
        step(bed);
    }
    expect(bed->db->room.waiting > 0, "writes go on above the budget");
    expect(bed->db->budget.above > 0, "it is not above");
    expect(bed->read > read + 100, "reads wait, too");
    bed->may_refuse = true; /* who waits for too long is told the numbers */
    quiet(bed, 0);
    expect(bed->refused >= WRITERS, "a wait has no end, or another one");
    bed->may_refuse = false;
    all_go_on(bed);
    bed->lanes.held = 0;
    settle(bed);
    while (bed->db->room.waiting > 0) {
        step(bed);
    }
    run(bed, 1000);
}

/* Half of the machine's where nobody asked for a number; a number holds until the machine gets too
 * small for it, and comes back with it. */
static void follow(struct bed *bed) {
    quiet(bed, 0);
    ins_error error;
    expect(set(bed, 0, NULL, &error) == INS_OK, error.message);
    expect(stats_of(bed).memory_budget == bed->machine_bytes / 2, "not half of the machine");
    static const struct {
        uint64_t machine, asked, budget;
    } turns[] = {{1024 * MIB, 0, 512 * MIB},         {2048 * MIB, 0, 1024 * MIB},
                 {300 * MIB, 0, 256 * MIB},          {1600 * MIB, 0, 800 * MIB},
                 {1600 * MIB, 900 * MIB, 900 * MIB}, {640 * MIB, 900 * MIB, 560 * MIB},
                 {1600 * MIB, 900 * MIB, 900 * MIB}};
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        if (turns[i].asked != 0 && stats_of(bed).memory_budget_asked != turns[i].asked) {
            change(bed, turns[i].asked);
        }
        bed->machine_bytes = turns[i].machine;
        uint64_t until_ns = bed->lanes.now_ns + 2 * BUDGET_LOOK_NS;
        while (bed->lanes.now_ns < until_ns) {
            step(bed);
        }
        expect(stats_of(bed).memory_budget == turns[i].budget, "the machine is not followed");
        settle(bed);
    }
}

static void open_bed(struct bed *bed) {
    struct store_memory_options memory = {.seed = 3};
    *bed = (struct bed){.more = true, .machine_bytes = 1536 * MIB};
    expect(store_memory_open(&memory, &bed->store) == INS_OK, "no store");
    sim_runtime_init(&bed->lanes, bed->store, 3);
    bed->lanes.runtime.machine_bytes = machine_of;
    ins_options options = {.memory_budget = 768 * MIB, .memory_budget_max = 1024 * MIB};
    ins_error error;
    expect(ins_db_open(&options, &bed->lanes.runtime, &bed->db, &error) == INS_OK, error.message);
    bool is_done = false;
    ins_call call = {.done = plain_done, .user = &is_done, .lane = INS_LANE_REQUEST};
    ins_collection_request request = {
        .collection = {.data = "room", .size = 4}, .dim = DIM, .distance = INS_DISTANCE_DOT};
    ins_collection_create(bed->db, &request, &call);
    while (!is_done) {
        step(bed);
    }
    expect(call.status == INS_OK, "create");
    ins_call_release(&call);
}

static void shut(struct bed *bed) {
    quiet(bed, 0);
    bool is_done = false;
    ins_call call = {.done = plain_done, .user = &is_done, .lane = INS_LANE_REQUEST};
    ins_db_shutdown(bed->db, &call);
    while (!is_done) {
        step(bed);
    }
    expect(call.status == INS_OK, "shutdown");
    ins_call_release(&call);
    ins_db_close(bed->db);
    ins_store_close(bed->store);
}

int main(void) {
    static struct bed bed;
    static struct client clients[WRITERS + READERS];
    struct sim_random random = {7};
    open_bed(&bed);
    bed.clients = clients;
    for (int i = 0; i < WRITERS + READERS; i++) {
        clients[i].bed = &bed;
        go_on(&clients[i]);
    }
    run(&bed, POINTS);
    for (int i = WRITERS; i < WRITERS + READERS; i++) {
        clients[i].reads = true;
    }
    run(&bed, 4000);
    refusals(&bed);
    static const uint64_t budgets[] = {512 * MIB, 256 * MIB, 1024 * MIB, 300 * MIB, 768 * MIB};
    for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
        change(&bed, budgets[i]);
        run(&bed, 500); /* in the middle of it */
        settle(&bed);
        run(&bed, 1000);
    }
    for (int i = 0; i < 40; i++) { /* also before the last one has settled */
        change(&bed, (256 + sim_below(&random, 769)) * MIB);
        run(&bed, sim_below(&random, 200));
    }
    settle(&bed);
    writes_wait(&bed);
    follow(&bed);
    (void)printf("%llu written, %llu read, %llu evicted\n", (unsigned long long)bed.written,
                 (unsigned long long)bed.read, (unsigned long long)stats_of(&bed).cache_evictions);
    shut(&bed);
    return 0;
}
