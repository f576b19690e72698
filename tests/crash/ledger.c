#include "ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "insula.h"
#include "sim_random.h"

#define WRITERS 6
#define IDS 40u /* of one writer: nobody else writes them */
#define BATCH 8u
#define TENANTS 5u

/* A value is a number that rises with every request of a writer; 0 and odd ones: no such point. */
struct writer {
    _Atomic uint64_t begun, acknowledged, applied; /* requests, by number */
    uint32_t count;                                /* of the request that was begun */
    uint32_t ids[BATCH];
    uint64_t value;
    uint64_t values[IDS]; /* of acknowledged requests up to `applied` */
};

struct ledger {
    struct writer writers[WRITERS];
    _Atomic bool ready;
    char failure[512];
};

struct database {
    ins_store *store;
    ins_runtime *runtime;
    ins_db *db;
};

static struct ledger_options options;
static struct ledger *ledger; /* shared with the children */

void ledger_die(const char *what, const char *why) {
    (void)fprintf(stderr, "FAILED: %s: %s (%s is kept)\n", what, why, options.kept);
    exit(1);
}

static ins_text text(const char *string) {
    return (ins_text){.data = string, .size = strlen(string)};
}

static bool is_live(uint64_t value) {
    return value != 0 && value % 2 == 0;
}

/* ---- The database ---- */

static ins_status database_open(struct database *database, ins_error *error) {
    ins_options db_options = {.memory_budget = INS_MEMORY_BUDGET_MIN,
                              .log_file_bytes = 512u << 10,
                              .generation_bytes = 512u << 10,
                              .drop_log = options.drop_log};
    ins_status status = ins_store_open_directory(options.directory, false, &database->store, error);
    if (status == INS_OK) {
        status = ins_runtime_open_threads(database->store, &database->runtime, error);
    }
    if (status == INS_OK) {
        status = ins_db_open(&db_options, database->runtime, &database->db, error);
    }
    return status;
}

/* Like a crash, but in order: no flush. */
static void database_close(struct database *database) {
    ins_runtime_close_threads(database->runtime);
    ins_db_close(database->db);
    ins_store_close(database->store);
}

static void create(const struct database *database) {
    ins_collection_request request = {
        .collection = text("docs"), .dim = 4, .distance = INS_DISTANCE_DOT};
    ins_call call = {0};
    ins_status status = ins_wait(database->db, ins_collection_create, &request, &call);
    ins_call_release(&call);
    request.field = text("who");
    request.schema = text("{\"type\":\"keyword\",\"is_tenant\":true}");
    request.is_tenant = true;
    call = (ins_call){0};
    if (status == INS_OK) {
        status = ins_wait(database->db, ins_index_create, &request, &call);
        ins_call_release(&call);
    }
    if (status != INS_OK) {
        ledger_die("create", call.error.message);
    }
}

/* ---- The child ---- */

struct thread {
    struct database *database;
    uint32_t number;
    struct sim_random random;
};

static void child_fail(const char *what, const ins_call *call) {
    (void)snprintf(ledger->failure, sizeof(ledger->failure), "%s: %d %.400s", what,
                   (int)call->status, call->error.message);
    _exit(1);
}

static void plan(struct writer *writer, struct sim_random *random) {
    writer->count = 1 + sim_below(random, BATCH);
    uint32_t first = sim_below(random, IDS);
    for (uint32_t i = 0; i < writer->count; i++) {
        writer->ids[i] = (first + i * 3) % IDS; /* distinct: 3 and 40 share no factor */
    }
    writer->value += 2;
    writer->value -= writer->value % 2;
    writer->value += sim_once_in(random, 5); /* odd: the points are deleted */
    writer->begun++;
}

static ins_status send(const struct thread *thread, const struct writer *writer, ins_call *call) {
    static const float vector[4] = {1, 2, 3, 4};
    char payloads[BATCH][700];
    ins_point points[BATCH];
    ins_id ids[BATCH];
    for (uint32_t i = 0; i < writer->count; i++) {
        uint64_t who = (writer->value / 2 + writer->ids[i]) % TENANTS; /* it moves every time */
        int size = snprintf(
            payloads[i], sizeof(payloads[i]), "{\"v\":%llu,\"pad\":\"%*d\",\"who\":\"t%u\"}",
            (unsigned long long)writer->value, (int)(writer->value * 37 % 500), 1, (unsigned)who);
        ids[i] = (ins_id){.low = thread->number * IDS + writer->ids[i]};
        points[i] = (ins_point){.id = ids[i],
                                .vector = vector,
                                .dim = 4,
                                .payload = {.data = payloads[i], .size = (size_t)size}};
    }
    ins_points_request request = {.collection = text("docs")};
    *call = (ins_call){0};
    if (is_live(writer->value)) {
        request.points = points;
        request.point_count = writer->count;
        return ins_wait(thread->database->db, ins_points_upsert, &request, call);
    }
    request.ids = ids;
    request.id_count = writer->count;
    return ins_wait(thread->database->db, ins_points_delete, &request, call);
}

static void apply(struct writer *writer) {
    for (uint32_t i = 0; i < writer->count; i++) {
        writer->values[writer->ids[i]] = writer->value;
    }
    atomic_store(&writer->applied, atomic_load(&writer->acknowledged));
}

static void *write_for_ever(void *context) {
    struct thread *thread = context;
    struct writer *writer = &ledger->writers[thread->number];
    for (;;) {
        plan(writer, &thread->random);
        ins_call call;
        ins_status status;
        while ((status = send(thread, writer, &call)) == INS_EXHAUSTED) {
            ins_call_release(&call); /* both memtables are full: again */
            (void)usleep(500);
        }
        if (status != INS_OK) {
            child_fail("write", &call);
        }
        ins_call_release(&call);
        atomic_store(&writer->acknowledged, atomic_load(&writer->begun));
        apply(writer);
    }
    return NULL;
}

void ledger_child(uint64_t seed) {
    struct database database = {0};
    struct thread threads[WRITERS];
    ins_call call = {0};
    if (database_open(&database, &call.error) != INS_OK) {
        child_fail("open", &call);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_t id;
        threads[i] = (struct thread){&database, i, {seed + i}};
        if (pthread_create(&id, NULL, write_for_ever, &threads[i]) != 0) {
            _exit(2);
        }
    }
    atomic_store(&ledger->ready, true);
    for (struct sim_random random = {seed};;) {
        (void)usleep(1000 + sim_below(&random, 30000));
        call = (ins_call){0};
        if (ins_wait(database.db, ins_flush, NULL, &call) != INS_OK) {
            child_fail("flush", &call);
        }
        ins_call_release(&call);
    }
}

/* ---- The parent ---- */

static void note_finding(void *context, bool is_damage, const char *finding) {
    (void)context;
    if (is_damage) {
        ledger_die("check", finding);
    }
}

static void check(void) {
    ins_store *store;
    ins_error error = {0};
    if (ins_store_open_directory(options.directory, true, &store, &error) != INS_OK ||
        ins_check(store, note_finding, NULL, &error) != INS_OK) {
        ledger_die("check", error.message);
    }
    ins_store_close(store);
}

/* What the database holds of a writer's points; its count. */
static uint64_t read_values(struct database *database, uint32_t number, uint64_t *out) {
    ins_id ids[IDS];
    for (uint32_t i = 0; i < IDS; i++) {
        ids[i] = (ins_id){.low = number * IDS + i};
        out[i] = 0;
    }
    ins_points_request request = {.collection = text("docs"),
                                  .ids = ids,
                                  .id_count = IDS,
                                  .payload = {.kind = INS_SELECT_ALL}};
    ins_call call = {0};
    if (ins_wait(database->db, ins_points_get, &request, &call) != INS_OK) {
        ledger_die("get", call.error.message);
    }
    for (size_t i = 0; i < call.points.count; i++) {
        const ins_point *point = &call.points.items[i];
        if (point->payload.size < 6 || strncmp(point->payload.data, "{\"v\":", 5) != 0) {
            ledger_die("get", "another payload");
        }
        out[point->id.low - (uint64_t)number * IDS] = strtoull(point->payload.data + 5, NULL, 10);
    }
    uint64_t count = call.points.count;
    ins_call_release(&call);
    return count;
}

static bool holds(const uint64_t *values, const struct writer *writer, uint32_t id) {
    for (uint32_t i = 0; i < writer->count; i++) {
        if (writer->ids[i] == id) {
            return is_live(writer->value) ? values[id] == writer->value : values[id] == 0;
        }
    }
    return is_live(writer->values[id]) ? values[id] == writer->values[id] : values[id] == 0;
}

/* All ids as acknowledged, but those of a request without an answer, which happened or did not. */
static void compare(struct writer *writer, const uint64_t *values, uint32_t number) {
    char where[128];
    if (atomic_load(&writer->acknowledged) != atomic_load(&writer->applied)) {
        apply(writer);
    }
    bool open = atomic_load(&writer->begun) != atomic_load(&writer->acknowledged);
    bool with = open, without = true;
    uint32_t worst = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        bool old = is_live(writer->values[id]) ? values[id] == writer->values[id] : values[id] == 0;
        with = with && holds(values, writer, id);
        worst = without && !old ? id : worst;
        without = without && old;
    }
    if (!with && !without) {
        (void)snprintf(where, sizeof(where), "point %u of writer %u is %llu, acknowledged is %llu",
                       worst, number, (unsigned long long)values[worst],
                       (unsigned long long)writer->values[worst]);
        ledger_die("a write is lost or half done", where);
    }
    if (with) {
        apply(writer);
    }
    atomic_store(&writer->acknowledged, atomic_load(&writer->begun));
    atomic_store(&writer->applied, atomic_load(&writer->begun));
}

void ledger_verify(void) {
    struct database database = {0};
    ins_error error = {0};
    check();
    if (database_open(&database, &error) != INS_OK) {
        ledger_die("open", error.message);
    }
    uint64_t points = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        uint64_t values[IDS];
        points += read_values(&database, i, values);
        compare(&ledger->writers[i], values, i);
    }
    ins_points_request request = {.collection = text("docs")};
    ins_call call = {0};
    if (ins_wait(database.db, ins_points_count, &request, &call) != INS_OK ||
        call.count != points) {
        ledger_die("count", "it differs from the points that are there");
    }
    ins_call_release(&call);
    database_close(&database);
}

/* ---- Its life ---- */

void ledger_open(const struct ledger_options *given) {
    options = *given;
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ledger == MAP_FAILED) {
        ledger_die("start", "no memory");
    }
    struct database database = {0};
    ins_error error = {0};
    if (database_open(&database, &error) != INS_OK) {
        ledger_die("open", error.message);
    }
    create(&database);
    database_close(&database);
}

void ledger_expect_child(void) {
    atomic_store(&ledger->ready, false);
}

bool ledger_child_is_ready(void) {
    return atomic_load(&ledger->ready);
}

const char *ledger_failure(void) {
    return ledger->failure;
}

uint64_t ledger_requests(void) {
    uint64_t requests = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        requests += atomic_load(&ledger->writers[i].begun);
    }
    return requests;
}
