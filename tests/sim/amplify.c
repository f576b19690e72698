/* insula-amplify: bytes written for a byte acknowledged, counted and repeatable.
 *
 *   insula-amplify [--scale N] [--turns N] [--requests N] [--settled | --aging] [--check]
 *
 * The engine itself, on the simulator's runtime (one thread, virtual time) and its store, under
 * `storm`: of the large workload's 50,000 tenants every N-th, memtables and rates N times smaller,
 * so that a memtable holds as many rows of a tenant as it does there. Writes of one point (half) or
 * 2 to 10; tenants by popularity^0.5; 70 % overwrite, 20 % are new, 10 % delete; a query for every
 * ten points, tenants by popularity. --turns: the storm lasts until so many times the loaded points
 * were written; the second half counts. --settled: ten minutes of storm on a load that every tenant
 * was searched in and that was settled; all counts from then until the database is idle again.
 * --requests: under way at once, which is what one batch of the log can take together. --aging: ten
 * times a tenth of the points of every tenant replaced, then quiet; disk against that of a fresh
 * load.
 * --check: fails when a bound is passed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/jobs.h"
#include "sim_runtime.h"
#include "store/store.h"

#define DIM 128u
#define TENANTS_L 50000u
#define BATCH_POINTS 10u
#define LOAD_POINTS 100u
#define PAYLOAD_ROOM 256u
#define RATE_L 2000.0 /* points a second at L */
#define TEN_MINUTES 600
#define RUNS_COUNTED 65u

/* What must hold; see docs/decisions/0012. */
#define LOG_MAX 1.15
#define FLUSH_MAX 2.5
#define ALL_MAX 4.0
#define AGED_MAX 1.3
#define RUNS_READ_MAX 8u
#define FILES_MAX 3.5 /* while there are writes: bytes of files for each one that runs name */

struct tenant {
    char name[16];
    uint32_t *live; /* [live_count]: numbers of points */
    uint32_t live_count, live_room, next;
    bool uuids;
};

struct amplify {
    uint32_t scale, requests;
    double turns;
    bool aging, settled, check;
    struct sim_runtime lanes;
    ins_store *store;
    ins_db *db;
    struct sim_random random;
    struct tenant *tenants; /* [tenant_count], largest first */
    uint32_t tenant_count;
    double *write_sum, *read_sum; /* cumulated weights */
    uint32_t *by_popularity;
    uint64_t loaded, written, deleted, acknowledged_bytes, queries;
    uint64_t runs_read[RUNS_COUNTED];
    double files_most; /* bytes of files for each one that runs name */
    uint32_t under_way;
    struct request *refused; /* for now: asked again */
};

struct request {
    ins_call call;
    struct amplify *amplify;
    ins_start function;
    struct request *refused_next;
    ins_points_request points_request;
    ins_point points[LOAD_POINTS];
    ins_id ids[BATCH_POINTS];
    float vectors[LOAD_POINTS][DIM];
    char payloads[LOAD_POINTS][PAYLOAD_ROOM];
    ins_value value;
    ins_condition condition;
    ins_filter filter;
};

static void fail(const char *what) {
    (void)fprintf(stderr, "insula-amplify: %s\n", what);
    exit(1);
}

static void *must(void *memory) {
    if (memory == NULL) {
        fail("no memory");
    }
    return memory;
}

static double uniform(struct amplify *amplify) {
    return (double)(sim_next(&amplify->random) >> 11) * 0x1p-53;
}

/* ---- Tenants ---- */

static uint32_t size_of_rank(uint32_t rank) {
    double r = rank, size = 1543869.8 * pow(r, -1.1) / (1 + pow(r / 20000, 2.4));
    return size < 1 ? 1 : size > 1e6 ? 1000000 : (uint32_t)size;
}

struct scored {
    double score;
    uint32_t tenant;
};

static int by_score(const void *left, const void *right) {
    const struct scored *a = left, *b = right;
    return (a->score < b->score) - (a->score > b->score);
}

/* The N-th, 2N-th, ... largest tenant of L, popularity as its section 4 says. */
static void make_tenants(struct amplify *amplify, uint32_t sizes[]) {
    uint32_t count = TENANTS_L / amplify->scale;
    amplify->tenant_count = count;
    amplify->tenants = must(calloc(count, sizeof(struct tenant)));
    amplify->write_sum = must(calloc(count, sizeof(double)));
    amplify->read_sum = must(calloc(count, sizeof(double)));
    amplify->by_popularity = must(calloc(count, sizeof(uint32_t)));
    struct scored *scored = must(calloc(count, sizeof(*scored)));
    for (uint32_t i = 0; i < count; i++) {
        sizes[i] = size_of_rank((i + 1) * amplify->scale);
        double normal =
            sqrt(-2 * log(1 - uniform(amplify))) * cos(6.283185307179586 * uniform(amplify));
        scored[i] = (struct scored){.score = sqrt(sizes[i]) * exp(1.5 * normal), .tenant = i};
        amplify->tenants[i].uuids = sim_once_in(&amplify->random, 2);
        (void)snprintf(amplify->tenants[i].name, sizeof(amplify->tenants[i].name), "t%08x",
                       (unsigned)sim_next(&amplify->random));
    }
    qsort(scored, count, sizeof(*scored), by_score);
    double writes = 0, reads = 0;
    for (uint32_t i = 0; i < count; i++) {
        amplify->by_popularity[i] = scored[i].tenant;
        double rank = (double)(i + 1) * amplify->scale;
        writes += pow(rank, -0.495);
        reads += pow(rank, -0.99);
        amplify->write_sum[i] = writes;
        amplify->read_sum[i] = reads;
    }
    free(scored);
}

static struct tenant *draw(struct amplify *amplify, const double *sums) {
    double at = uniform(amplify) * sums[amplify->tenant_count - 1];
    uint32_t low = 0, high = amplify->tenant_count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sums[middle] <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &amplify->tenants[amplify->by_popularity[low]];
}

static void add_live(struct tenant *tenant, uint32_t number) {
    if (tenant->live_count == tenant->live_room) {
        tenant->live_room = tenant->live_room == 0 ? 8 : 2 * tenant->live_room;
        tenant->live = must(realloc(tenant->live, tenant->live_room * sizeof(uint32_t)));
    }
    tenant->live[tenant->live_count++] = number;
}

static ins_id id_of(const struct amplify *amplify, const struct tenant *tenant, uint32_t number) {
    uint64_t rank = (uint64_t)(tenant - amplify->tenants);
    uint64_t word = sim_mix(rank << 32 | number);
    return tenant->uuids ? (ins_id){.high = word, .low = sim_mix(word), .is_uuid = true}
                         : (ins_id){.low = word};
}

/* ---- Requests ---- */

static void request_done(ins_call *call) {
    struct request *request = call->user;
    struct amplify *amplify = request->amplify;
    if (call->status == INS_EXHAUSTED) {
        request->refused_next = amplify->refused;
        amplify->refused = request;
    } else if (call->status != INS_OK) {
        (void)fprintf(stderr, "insula-amplify: %s\n", call->error.message);
        exit(1);
    }
    amplify->under_way--;
    ins_call_release(call);
}

static void start(struct request *request, ins_start function) {
    request->call = (ins_call){.done = request_done, .user = request, .lane = INS_LANE_REQUEST};
    request->points_request.collection = (ins_text){.data = "storm", .size = 5};
    request->function = function;
    request->amplify->under_way++;
    function(request->amplify->db, &request->points_request, &request->call);
}

static void finish_all(struct amplify *amplify) {
    while (amplify->under_way > 0 || amplify->refused != NULL) {
        struct request *again = amplify->refused;
        if (again != NULL) {
            amplify->refused = again->refused_next;
            start(again, again->function);
        }
        if (!sim_step(&amplify->lanes) && !sim_run_timer(&amplify->lanes)) {
            fail("a call waits for ever");
        }
    }
}

static void fill_point(struct request *request, uint32_t at, const struct tenant *tenant,
                       uint32_t number) {
    struct amplify *amplify = request->amplify;
    float *vector = request->vectors[at];
    for (uint32_t i = 0; i < DIM; i++) {
        vector[i] = (float)uniform(amplify) - 0.5f;
    }
    uint64_t word = sim_next(&amplify->random);
    int size = snprintf(request->payloads[at], PAYLOAD_ROOM,
                        "{\"tenant\":\"%s\",\"bucket\":%u,\"kind\":\"k%u\",\"ts\":%llu,"
                        "\"price\":%.2f,\"tags\":[\"a%u\",\"b%u\"],\"near\":%s,\"far\":%s,"
                        "\"text\":\"Utilities of the system, part %u\"}",
                        tenant->name, (unsigned)(word % 100), (unsigned)(word >> 8) % 1000,
                        1730000000000ull + amplify->written, (double)(word % 9999) / 100,
                        (unsigned)(word >> 20) % 200, (unsigned)(word >> 28) % 200,
                        word & 1 ? "true" : "false", word & 2 ? "true" : "false", number);
    ins_id id = id_of(amplify, tenant, number);
    request->points[at] =
        (ins_point){.id = id,
                    .vector = vector,
                    .dim = DIM,
                    .payload = {.data = request->payloads[at], .size = (size_t)size}};
    amplify->acknowledged_bytes += DIM * sizeof(float) + (size_t)size + (id.is_uuid ? 16 : 8);
    amplify->written++;
}

static void start_upsert(struct request *request, uint32_t count) {
    request->points_request = (ins_points_request){.points = request->points, .point_count = count};
    start(request, ins_points_upsert);
}

/* One request of storm: for one tenant, all of its points written, or all deleted. */
static uint32_t start_write(struct request *request) {
    struct amplify *amplify = request->amplify;
    struct tenant *tenant = draw(amplify, amplify->write_sum);
    uint32_t count =
        sim_once_in(&amplify->random, 2) ? 1 : 2 + sim_below(&amplify->random, BATCH_POINTS - 1);
    if (sim_below(&amplify->random, 10) == 0) {
        uint32_t dead = 0;
        for (; dead < count && tenant->live_count > 0; dead++) {
            uint32_t pick = sim_below(&amplify->random, tenant->live_count);
            request->ids[dead] = id_of(amplify, tenant, tenant->live[pick]);
            amplify->acknowledged_bytes += request->ids[dead].is_uuid ? 16 : 8;
            tenant->live[pick] = tenant->live[--tenant->live_count];
        }
        amplify->deleted += dead;
        request->points_request = (ins_points_request){.ids = request->ids, .id_count = dead};
        if (dead > 0) {
            start(request, ins_points_delete);
        }
        return dead;
    }
    uint32_t base = tenant->live_count > 0 ? sim_below(&amplify->random, tenant->live_count) : 0;
    for (uint32_t i = 0; i < count; i++) {
        bool fresh = i >= tenant->live_count || sim_below(&amplify->random, 9) < 2;
        uint32_t number = fresh ? tenant->next : tenant->live[(base + i) % tenant->live_count];
        if (fresh) {
            add_live(tenant, tenant->next++);
        }
        fill_point(request, i, tenant, number);
    }
    start_upsert(request, count);
    return count;
}

static void start_query(struct request *request, const struct tenant *tenant) {
    struct amplify *amplify = request->amplify;
    request->value = (ins_value){.kind = INS_VALUE_TEXT,
                                 .text = {.data = tenant->name, .size = strlen(tenant->name)}};
    request->condition = (ins_condition){.kind = INS_MATCH_ANY,
                                         .key = {.data = "tenant", .size = 6},
                                         .values = &request->value,
                                         .value_count = 1};
    request->filter = (ins_filter){.must = &request->condition, .must_count = 1};
    for (uint32_t i = 0; i < DIM; i++) {
        request->vectors[0][i] = (float)uniform(amplify) - 0.5f;
    }
    request->points_request = (ins_points_request){
        .filter = &request->filter, .limit = 10, .vector = request->vectors[0], .dim = DIM};
    struct scope *scope =
        catalog_find_newest(&amplify->db->catalog, (ins_text){.data = "storm", .size = 5});
    struct island *island = islands_find_tenant(&amplify->db->islands, scope, request->value.text);
    uint32_t runs = island == NULL ? 0 : island->run_count;
    amplify->runs_read[runs < RUNS_COUNTED ? runs : RUNS_COUNTED - 1]++;
    amplify->queries++;
    start(request, ins_points_query);
}

/* ---- Life ---- */

static void open_database(struct amplify *amplify) {
    struct store_memory_options options = {.seed = 1};
    if (store_memory_open(&options, &amplify->store) != INS_OK) {
        fail("no memory for a store");
    }
    sim_runtime_init(&amplify->lanes, amplify->store, 1);
    ins_options database = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                            .generation_bytes = (128ull << 20) / amplify->scale};
    ins_error error;
    if (ins_db_open(&database, &amplify->lanes.runtime, &amplify->db, &error) != INS_OK) {
        fail(error.message);
    }
}

static void plain_done(ins_call *call) {
    *(bool *)call->user = true;
}

static void call_and_wait(struct amplify *amplify, ins_start function, const void *request) {
    bool done = false;
    ins_call call = {.done = plain_done, .user = &done, .lane = INS_LANE_REQUEST};
    function(amplify->db, request, &call);
    while (!done && (sim_step(&amplify->lanes) || sim_run_timer(&amplify->lanes))) {
    }
    if (call.status != INS_OK) {
        fail(call.error.message);
    }
    ins_call_release(&call);
}

static void make_collection(struct amplify *amplify) {
    static const char schema[] = "{\"type\":\"keyword\",\"is_tenant\":true}";
    ins_collection_request request = {.collection = {.data = "storm", .size = 5},
                                      .dim = DIM,
                                      .distance = INS_DISTANCE_DOT,
                                      .field = {.data = "tenant", .size = 6},
                                      .schema = {.data = schema, .size = sizeof(schema) - 1},
                                      .is_tenant = true};
    call_and_wait(amplify, ins_collection_create, &request);
    call_and_wait(amplify, ins_index_create, &request);
}

/* What is counted is bytes; the rate only tells the engine when writing pauses. */
static void pass_time(struct amplify *amplify, uint32_t points) {
    amplify->lanes.now_ns += (uint64_t)(points / (RATE_L / amplify->scale) * 1e9);
}

/* Tenants in turns, a request of each, as points arrive from everywhere. */
static void load(struct amplify *amplify, struct request *request, const uint32_t sizes[]) {
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < amplify->tenant_count; i++) {
            struct tenant *tenant = &amplify->tenants[i];
            uint32_t count = 0;
            while (count < LOAD_POINTS && tenant->next < sizes[i]) {
                fill_point(request, count++, tenant, tenant->next);
                add_live(tenant, tenant->next++);
            }
            if (count > 0) {
                start_upsert(request, count);
                finish_all(amplify);
                more = more || tenant->next < sizes[i];
            }
        }
    }
    amplify->loaded = amplify->written;
}

/* Until what quiet brings is done. The erasure deadline is half a day later, and not waited for. */
static void settle(struct amplify *amplify) {
    call_and_wait(amplify, ins_flush, NULL);
    while (amplify->db->tidy.stage != TIDY_DONE || !jobs_idle(amplify->db)) {
        if (!sim_step(&amplify->lanes) && !sim_run_timer(&amplify->lanes)) {
            fail("it is never tidy");
        }
    }
    if (amplify->db->erasure_count > 0) {
        fail("the erasure came before the quiet");
    }
}

static ins_status add_size(void *context, const char *name, uint64_t size) {
    (void)name;
    *(uint64_t *)context += size;
    return INS_OK;
}

static uint64_t disk_bytes(struct amplify *amplify) {
    uint64_t bytes = 0;
    if (amplify->store->ops->list(amplify->store, "segments/", add_size, &bytes, NULL) != INS_OK) {
        fail("cannot list");
    }
    return bytes;
}

struct bytes {
    uint64_t log, flush, all, acknowledged;
};

static struct bytes bytes_now(struct amplify *amplify) {
    ins_stats stats;
    ins_db_stats(amplify->db, &stats);
    uint64_t log = amplify->store->ops->log_sink(amplify->store)->write_bytes;
    return (struct bytes){.log = log,
                          .flush = log + stats.flush_bytes,
                          .all = log + amplify->store->write_bytes,
                          .acknowledged = amplify->acknowledged_bytes};
}

static void note_files(struct amplify *amplify) {
    ins_stats stats;
    ins_db_stats(amplify->db, &stats);
    double files = (double)stats.segment_bytes / (double)(stats.live_bytes + 1);
    amplify->files_most = files > amplify->files_most ? files : amplify->files_most;
}

static void storm(struct amplify *amplify, struct request *requests, uint64_t until) {
    uint64_t queried = amplify->written + amplify->deleted;
    while (amplify->written + amplify->deleted < until) {
        uint32_t points = 0;
        for (uint32_t i = 0; i < amplify->requests; i++) {
            points += start_write(&requests[i]);
        }
        finish_all(amplify);
        pass_time(amplify, points);
        note_files(amplify);
        for (; queried < amplify->written + amplify->deleted; queried += 10) {
            start_query(&requests[0], draw(amplify, amplify->read_sum));
            finish_all(amplify);
        }
    }
}

static uint32_t runs_percentile(const struct amplify *amplify, double share) {
    uint64_t seen = 0;
    uint32_t runs = 0;
    for (; runs < RUNS_COUNTED - 1; runs++) {
        seen += amplify->runs_read[runs];
        if ((double)seen >= share * (double)amplify->queries) {
            break;
        }
    }
    return runs;
}

static bool passed;

static void print(const char *name, double value, double bound) {
    bool good = bound == 0 || value <= bound;
    passed = passed && good;
    if (bound == 0) {
        (void)printf("  %-44s %7.2f\n", name, value);
    } else {
        (void)printf("  %-44s %7.2f  (at most %.2f%s)\n", name, value, bound,
                     good ? "" : ": MISSED");
    }
}

static void run_storm(struct amplify *amplify, struct request *requests) {
    uint64_t span = (uint64_t)(amplify->turns * (double)amplify->loaded);
    uint64_t begin = amplify->written + amplify->deleted;
    if (amplify->settled) {
        span = (uint64_t)(TEN_MINUTES * RATE_L / amplify->scale);
        for (uint32_t i = 0; i < amplify->tenant_count; i++) {
            start_query(&requests[0], &amplify->tenants[i]);
            finish_all(amplify);
        }
        settle(amplify);
        begin = amplify->written + amplify->deleted;
    } else {
        storm(amplify, requests, begin + span / 2);
    }
    struct bytes before = bytes_now(amplify);
    ins_stats first, last;
    ins_db_stats(amplify->db, &first);
    memset(amplify->runs_read, 0, sizeof(amplify->runs_read));
    amplify->queries = 0;
    amplify->files_most = 0;
    storm(amplify, requests, begin + span);
    if (amplify->settled) {
        settle(amplify);
    }
    struct bytes after = bytes_now(amplify);
    ins_db_stats(amplify->db, &last);
    double acknowledged = (double)(after.acknowledged - before.acknowledged);
    uint64_t live = 0;
    for (uint32_t i = 0; i < amplify->tenant_count; i++) {
        live += amplify->tenants[i].live_count;
    }
    (void)printf("storm: %u tenants, %llu points live, %llu written and %llu deleted, %llu "
                 "flushes, %llu merges, %llu cleanings, %u requests a batch\n",
                 amplify->tenant_count, (unsigned long long)live,
                 (unsigned long long)amplify->written, (unsigned long long)amplify->deleted,
                 (unsigned long long)last.flushes, (unsigned long long)last.merges,
                 (unsigned long long)last.cleanings, amplify->requests);
    print("log / acknowledged", (double)(after.log - before.log) / acknowledged, LOG_MAX);
    print("log + flush / acknowledged", (double)(after.flush - before.flush) / acknowledged,
          FLUSH_MAX);
    print("merges / acknowledged", (double)(last.merge_bytes - first.merge_bytes) / acknowledged,
          0);
    print("cleaning / acknowledged", (double)(last.clean_bytes - first.clean_bytes) / acknowledged,
          0);
    print("all / acknowledged", (double)(after.all - before.all) / acknowledged, ALL_MAX);
    print("runs of an island that is read, p50", runs_percentile(amplify, 0.5), 0);
    print("runs of an island that is read, p99", runs_percentile(amplify, 0.99), RUNS_READ_MAX);
    print("files / what runs name, at most", amplify->files_most, FILES_MAX);
    print("disk / live bytes, at the end",
          (double)disk_bytes(amplify) / ((double)live * (DIM * 4 + 200)), 0);
}

static void run_aging(struct amplify *amplify, struct request *requests) {
    settle(amplify);
    double fresh = (double)disk_bytes(amplify);
    for (int cycle = 0; cycle < 10; cycle++) {
        for (uint32_t i = 0; i < amplify->tenant_count; i++) {
            struct tenant *tenant = &amplify->tenants[i];
            uint32_t left = tenant->live_count / 10 +
                            (sim_below(&amplify->random, 10) < tenant->live_count % 10);
            while (left > 0) {
                uint32_t count = left < LOAD_POINTS ? left : LOAD_POINTS;
                uint32_t base = sim_below(&amplify->random, tenant->live_count);
                for (uint32_t at = 0; at < count; at++) {
                    fill_point(requests, at, tenant,
                               tenant->live[(base + at) % tenant->live_count]);
                }
                start_upsert(requests, count);
                finish_all(amplify);
                left -= count;
            }
        }
        pass_time(amplify, 1000);
    }
    double aged = (double)disk_bytes(amplify);
    settle(amplify);
    (void)printf("aging: 10 times a tenth of every tenant replaced\n");
    print("disk / fresh, at once", aged / fresh, 0);
    print("disk / fresh, settled", (double)disk_bytes(amplify) / fresh, AGED_MAX);
}

static bool parse(struct amplify *amplify, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        bool last = i + 1 == argc;
        if (strcmp(argv[i], "--aging") == 0) {
            amplify->aging = true;
        } else if (strcmp(argv[i], "--settled") == 0) {
            amplify->settled = true;
        } else if (strcmp(argv[i], "--check") == 0) {
            amplify->check = true;
        } else if (last) {
            return false;
        } else if (strcmp(argv[i], "--scale") == 0) {
            amplify->scale = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--requests") == 0) {
            amplify->requests = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--turns") == 0) {
            amplify->turns = strtod(argv[++i], NULL);
        } else {
            return false;
        }
    }
    return amplify->scale >= 16 && amplify->scale <= 256 && amplify->requests >= 1 &&
           amplify->requests <= 1000 && amplify->turns > 0;
}

int main(int argc, char **argv) {
    struct amplify *amplify = must(calloc(1, sizeof(*amplify)));
    *amplify = (struct amplify){.scale = 64, .requests = 32, .turns = 3, .random = {1}};
    if (!parse(amplify, argc, argv)) {
        (void)fprintf(stderr, "insula-amplify [--scale 16..256] [--turns N] [--requests 1..1000] "
                              "[--settled | --aging] [--check]\n");
        return 2;
    }
    uint32_t *sizes = must(calloc(TENANTS_L, sizeof(*sizes)));
    struct request *requests = must(calloc(amplify->requests, sizeof(*requests)));
    for (uint32_t i = 0; i < amplify->requests; i++) {
        requests[i].amplify = amplify;
    }
    passed = true;
    open_database(amplify);
    make_collection(amplify);
    make_tenants(amplify, sizes);
    load(amplify, requests, sizes);
    if (amplify->aging) {
        run_aging(amplify, requests);
    } else {
        run_storm(amplify, requests);
    }
    (void)fflush(stdout);
    _exit(passed || !amplify->check ? 0 : 1); /* the process ends: nothing is taken apart */
}
