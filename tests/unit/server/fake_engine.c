#include "fake_engine.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json_text.h"
#include "base/status.h"

#define COLLECTIONS_MAX 64
#define POINTS_MAX 20000
#define FIELDS_MAX 8

struct fake_point {
    ins_id id;
    float *vector;
    uint32_t dim;
    char *payload; /* NULL = none */
    uint64_t version;
};

struct fake_collection {
    char *name;
    uint32_t dim;
    ins_distance distance;
    char *settings, *metadata;
    ins_vector_params *vectors;
    size_t vector_count;
    ins_field_info fields[FIELDS_MAX];
    size_t field_count;
    struct fake_point *points;
    size_t point_count;
};

struct answer { /* what ins_call_release frees */
    ins_task task;
    ins_call *call;
    ins_point *points;
    ins_text *names;
    ins_collection_info info;
};

struct ins_db {
    const ins_runtime *runtime;
    struct fake_collection collections[COLLECTIONS_MAX];
    size_t collection_count;
    uint64_t lsn;
    struct answer *held[1024];
    size_t held_count;
};

static struct {
    _Atomic bool inside, hold;
    ins_status fail;
    uint32_t retry_after_s;
    char message[INS_ERROR_MESSAGE_MAX];
    char reason[INS_ERROR_MESSAGE_MAX];
    _Atomic uint64_t deadline, calls;
    struct ins_db *db;
} fake;
static uint64_t alloc_countdown;
static uint64_t alloc_bytes;
static pthread_mutex_t alloc_lock = PTHREAD_MUTEX_INITIALIZER;

void fake_alloc_fail(uint64_t countdown) {
    (void)pthread_mutex_lock(&alloc_lock);
    alloc_countdown = countdown;
    (void)pthread_mutex_unlock(&alloc_lock);
}

uint64_t fake_alloc_bytes(void) {
    (void)pthread_mutex_lock(&alloc_lock);
    uint64_t bytes = alloc_bytes;
    (void)pthread_mutex_unlock(&alloc_lock);
    return bytes;
}

void fake_set_inline(bool inside) {
    fake.inside = inside;
}

void fake_fail_next(ins_status status, uint32_t retry_after_s, const char *message) {
    fake.fail = status;
    fake.retry_after_s = retry_after_s;
    (void)snprintf(fake.message, sizeof(fake.message), "%s", message);
}

void fake_stop_writes(const char *reason) {
    (void)snprintf(fake.reason, sizeof(fake.reason), "%s", reason);
}

uint64_t fake_last_deadline(void) {
    return fake.deadline;
}

uint64_t fake_calls(void) {
    return fake.calls;
}

static _Atomic uint64_t cancels;

uint64_t fake_cancels(void) {
    return cancels;
}

void ins_call_cancel(ins_call *call) {
    call->cancelled = true;
    cancels++;
}

/* ---- Completion -------------------------------------------------------------------------- */

static void answer_run(ins_task *task) {
    struct answer *answer = (struct answer *)(void *)task;
    answer->call->done(answer->call);
}

static void complete(struct ins_db *db, struct answer *answer) {
    if (fake.hold) {
        db->held[db->held_count++] = answer;
    } else if (fake.inside) {
        answer->call->done(answer->call);
    } else {
        uint32_t lane = answer->call->lane;
        answer->task.run = answer_run;
        db->runtime->post(db->runtime->context, lane, &answer->task);
        db->runtime->wake(db->runtime->context, lane);
    }
}

void fake_hold(bool hold) {
    fake.hold = hold;
    for (size_t i = 0; !hold && fake.db != NULL && i < fake.db->held_count; i++) {
        complete(fake.db, fake.db->held[i]);
    }
    if (!hold && fake.db != NULL) {
        fake.db->held_count = 0;
    }
}

static void unhold_run(ins_task *task) {
    (void)task;
    fake_hold(false);
}

void fake_unhold(void) {
    static ins_task task = {.run = unhold_run};
    const ins_runtime *runtime = fake.db->runtime;
    runtime->post(runtime->context, INS_LANE_REQUEST, &task);
    runtime->wake(runtime->context, INS_LANE_REQUEST);
}

static _Atomic uint64_t burn_ns;

void fake_burn(uint64_t ns) {
    burn_ns = ns;
}

static void burn(const struct ins_db *db) {
    const ins_runtime *runtime = db->runtime;
    uint64_t end_ns = burn_ns == 0 ? 0 : runtime->now_ns(runtime->context) + burn_ns;
    while (end_ns != 0 && runtime->now_ns(runtime->context) < end_ns) {
    }
}

/* Begins an answer; false when the test asked for a failure, which is then on its way. */
static bool begin(struct ins_db *db, ins_call *call, struct answer **out) {
    struct answer *answer = calloc(1, sizeof(*answer));
    answer->call = call;
    call->owner = answer;
    call->status = INS_OK;
    fake.deadline = call->deadline_ns;
    fake.calls++;
    burn(db);
    *out = answer;
    if (fake.fail == INS_OK) {
        return true;
    }
    call->status = ins_fail_retry(&call->error, fake.fail, fake.retry_after_s, "%s", fake.message);
    fake.fail = INS_OK;
    complete(db, answer);
    return false;
}

void ins_call_release(ins_call *call) {
    struct answer *answer = call->owner;
    if (answer != NULL) {
        free(answer->points);
        free(answer->names);
        free(answer);
    }
    call->owner = NULL;
}

/* ---- Database ---------------------------------------------------------------------------- */

ins_status ins_db_open(const ins_options *options, const ins_runtime *runtime, ins_db **out_db,
                       ins_error *error) {
    if (options->memory_budget != 0 && options->memory_budget < INS_MEMORY_BUDGET_MIN) {
        return ins_fail(error, INS_INVALID, "memory budget: too small");
    }
    struct ins_db *db = calloc(1, sizeof(*db));
    db->runtime = runtime;
    fake.db = db;
    *out_db = db;
    return INS_OK;
}

static void collection_free(struct fake_collection *collection) {
    for (size_t i = 0; i < collection->point_count; i++) {
        free(collection->points[i].vector);
        free(collection->points[i].payload);
    }
    for (size_t i = 0; i < collection->field_count; i++) {
        free((void *)(uintptr_t)collection->fields[i].name.data);
        free((void *)(uintptr_t)collection->fields[i].schema.data);
    }
    for (size_t i = 0; i < collection->vector_count; i++) {
        free((void *)(uintptr_t)collection->vectors[i].name.data);
        free((void *)(uintptr_t)collection->vectors[i].settings.data);
    }
    free(collection->vectors);
    free(collection->points);
    free(collection->name);
    free(collection->settings);
    free(collection->metadata);
}

void ins_db_close(ins_db *db) {
    if (db == NULL) {
        return;
    }
    for (size_t i = 0; i < db->collection_count; i++) {
        collection_free(&db->collections[i]);
    }
    free(db);
    fake.db = NULL;
}

void ins_db_shutdown(ins_db *db, ins_call *call) {
    struct answer *answer;
    if (begin(db, call, &answer)) {
        complete(db, answer);
    }
}

void ins_flush(ins_db *db, const void *unused, ins_call *call) {
    (void)unused;
    ins_db_shutdown(db, call);
}

void ins_db_stats(ins_db *db, ins_stats *out_stats) {
    memset(out_stats, 0, sizeof(*out_stats));
    out_stats->collections = db->collection_count;
    out_stats->memory_budget = 2ull << 30;
    out_stats->arena_pages = "4 KiB";
    out_stats->isa = "none";
    out_stats->writes_stopped = fake.reason[0] != '\0';
    memcpy(out_stats->reason, fake.reason, sizeof(fake.reason));
}

void ins_stats_read(ins_db *db, const void *stats_request, ins_call *call) {
    const ins_stats_request *request = stats_request;
    struct answer *answer;
    if (begin(db, call, &answer)) {
        ins_db_stats(db, request->out_stats);
        complete(db, answer);
    }
}

void ins_budget_set(ins_db *db, const void *budget_request, ins_call *call) {
    const ins_budget_request *request = budget_request;
    struct answer *answer;
    if (begin(db, call, &answer)) {
        ins_db_stats(db, request->out_stats);
        complete(db, answer);
    }
}

uint64_t ins_db_memory_budget(const ins_db *db) {
    (void)db;
    return 2ull << 30;
}

uint64_t ins_resident_bytes(void) {
    return 1;
}

uint64_t ins_machine_bytes(void *unused) {
    (void)unused;
    return 4ull << 30;
}

static _Atomic uint64_t held;

bool ins_db_hold(ins_db *db, uint64_t bytes) {
    bool fits = bytes <= ins_db_hold_max(db) && held <= ins_db_hold_max(db) - bytes;
    held += fits ? bytes : 0;
    return fits;
}

void ins_db_let_go(ins_db *db, uint64_t bytes) {
    (void)db;
    held -= bytes;
}

void ins_db_make_room(ins_db *db) {
    (void)db;
}

uint64_t ins_db_held(const ins_db *db) {
    (void)db;
    return held;
}

uint64_t ins_db_hold_max(const ins_db *db) {
    return ins_db_memory_budget(db) / 8;
}

void *ins_db_alloc(ins_db *db, size_t size) {
    (void)db;
    void *memory = NULL;
    (void)pthread_mutex_lock(&alloc_lock);
    if (alloc_countdown == 0 || --alloc_countdown != 0) {
        memory = size <= 2u << 20 ? aligned_alloc(64, (size + 63) / 64 * 64) : NULL;
        alloc_bytes += memory == NULL ? 0 : size;
    }
    (void)pthread_mutex_unlock(&alloc_lock);
    return memory;
}

void ins_db_free(ins_db *db, void *memory, size_t size) {
    (void)db;
    if (memory != NULL) {
        (void)pthread_mutex_lock(&alloc_lock);
        alloc_bytes -= size;
        (void)pthread_mutex_unlock(&alloc_lock);
        free(memory);
    }
}

ins_status ins_check(ins_store *store, ins_check_report report, void *context, ins_error *error) {
    (void)store;
    (void)error;
    report(context, false, "a stand-in has nothing to check");
    return INS_OK;
}

/* ---- Collections ------------------------------------------------------------------------- */

static char *text_dup(ins_text text) {
    return text.data == NULL ? NULL : strndup(text.data, text.size);
}

static ins_text text_of(const char *text) {
    return (ins_text){text, text == NULL ? 0 : strlen(text)};
}

static struct {
    _Atomic bool used;
    sem_t entered, pass;
    char trail[64];
    size_t size;
} gate;

void fake_gate_open(void) {
    memset(gate.trail, 0, sizeof(gate.trail));
    gate.size = 0;
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.pass, 0, 0);
    gate.used = true;
}

void fake_gate_wait(void) {
    (void)sem_wait(&gate.entered);
}

void fake_gate_pass(void) {
    (void)sem_post(&gate.pass);
}

void fake_gate_close(void) {
    gate.used = false;
    fake_gate_pass(); /* the one that is there now */
}

const char *fake_trail(void) {
    return gate.trail;
}

static void enter_gate(ins_text name) {
    if (gate.used && gate.size + 1 < sizeof(gate.trail)) {
        gate.trail[gate.size++] = name.data[0];
        (void)sem_post(&gate.entered);
        (void)sem_wait(&gate.pass);
    }
}

static struct fake_collection *find(struct ins_db *db, ins_text name) {
    enter_gate(name);
    for (size_t i = 0; i < db->collection_count; i++) {
        struct fake_collection *collection = &db->collections[i];
        if (strlen(collection->name) == name.size &&
            memcmp(collection->name, name.data, name.size) == 0) {
            return collection;
        }
    }
    return NULL;
}

static struct fake_collection *need(struct ins_db *db, ins_text name, ins_call *call) {
    struct fake_collection *collection = find(db, name);
    if (collection == NULL) {
        call->status = ins_fail(&call->error, INS_NOT_FOUND, "Collection `%.*s` doesn't exist!",
                                (int)name.size, name.data);
    }
    return collection;
}

static void keep_vectors(struct fake_collection *collection,
                         const ins_collection_request *request) {
    collection->vectors = calloc(request->vector_count + 1, sizeof(ins_vector_params));
    collection->vector_count = request->vector_count;
    for (size_t i = 0; i < request->vector_count; i++) {
        ins_vector_params *vector = &collection->vectors[i];
        *vector = request->vectors[i];
        vector->name.data = text_dup(vector->name);
        vector->settings.data = text_dup(vector->settings);
        if (vector->name.size == 0) {
            collection->dim = vector->dim;
            collection->distance = vector->distance;
        }
    }
}

void ins_collection_create(ins_db *db, const void *collection_request, ins_call *call) {
    const ins_collection_request *request = collection_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    if (find(db, request->collection) != NULL || db->collection_count == COLLECTIONS_MAX) {
        call->status = ins_fail(&call->error, INS_EXISTS, "Collection `%.*s` already exists!",
                                (int)request->collection.size, request->collection.data);
    } else {
        db->collections[db->collection_count++] =
            (struct fake_collection){.name = text_dup(request->collection),
                                     .dim = request->dim,
                                     .distance = request->distance,
                                     .settings = text_dup(request->settings),
                                     .metadata = text_dup(request->metadata),
                                     .points = calloc(POINTS_MAX, sizeof(struct fake_point))};
        keep_vectors(&db->collections[db->collection_count - 1], request);
        call->lsn = ++db->lsn;
    }
    complete(db, answer);
}

void ins_collection_delete(ins_db *db, const void *collection_request, ins_call *call) {
    const ins_collection_request *request = collection_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = find(db, request->collection);
    call->found = collection != NULL;
    if (collection != NULL) {
        collection_free(collection);
        *collection = db->collections[--db->collection_count];
    }
    complete(db, answer);
}

void ins_collection_get(ins_db *db, const void *collection_request, ins_call *call) {
    const ins_collection_request *request = collection_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    if (collection != NULL) {
        answer->info = (ins_collection_info){.name = text_of(collection->name),
                                             .dim = collection->dim,
                                             .distance = collection->distance,
                                             .vectors = collection->vectors,
                                             .vector_count = collection->vector_count,
                                             .settings = text_of(collection->settings),
                                             .metadata = text_of(collection->metadata),
                                             .fields = collection->fields,
                                             .field_count = collection->field_count,
                                             .point_count = collection->point_count,
                                             .point_count_exact = true,
                                             .run_count = 1};
        call->info = &answer->info;
    }
    complete(db, answer);
}

void ins_collection_exists(ins_db *db, const void *collection_request, ins_call *call) {
    const ins_collection_request *request = collection_request;
    struct answer *answer;
    if (begin(db, call, &answer)) {
        call->found = find(db, request->collection) != NULL;
        complete(db, answer);
    }
}

void ins_collection_list(ins_db *db, const void *unused, ins_call *call) {
    struct answer *answer;
    (void)unused;
    if (!begin(db, call, &answer)) {
        return;
    }
    answer->names = calloc(COLLECTIONS_MAX, sizeof(*answer->names));
    for (size_t i = 0; i < db->collection_count; i++) {
        answer->names[i] = text_of(db->collections[i].name);
    }
    call->names = answer->names;
    call->name_count = db->collection_count;
    complete(db, answer);
}

void ins_index_create(ins_db *db, const void *collection_request, ins_call *call) {
    const ins_collection_request *request = collection_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    if (collection != NULL && collection->field_count < FIELDS_MAX) {
        collection->fields[collection->field_count++] =
            (ins_field_info){.name = text_of(text_dup(request->field)),
                             .schema = text_of(text_dup(request->schema)),
                             .is_tenant = request->is_tenant,
                             .islands = request->is_tenant && collection->point_count == 0};
        call->lsn = ++db->lsn;
    }
    complete(db, answer);
}

void ins_index_delete(ins_db *db, const void *collection_request, ins_call *call) {
    const ins_collection_request *request = collection_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    for (size_t i = 0; collection != NULL && i < collection->field_count; i++) {
        ins_text name = collection->fields[i].name;
        if (name.size == request->field.size &&
            memcmp(name.data, request->field.data, name.size) == 0) {
            free((void *)(uintptr_t)name.data);
            free((void *)(uintptr_t)collection->fields[i].schema.data);
            collection->fields[i] = collection->fields[--collection->field_count];
            break;
        }
    }
    complete(db, answer);
}

/* ---- Filters ----------------------------------------------------------------------------- */

static bool filter_true(const struct fake_point *point, const ins_filter *filter);

static bool value_true(ins_text raw, const ins_value *value) {
    char text[64];
    switch (value->kind) {
    case INS_VALUE_TEXT:
        return raw.size >= 2 && raw.data[0] == '"' && raw.size - 2 == value->text.size &&
               memcmp(raw.data + 1, value->text.data, value->text.size) == 0;
    case INS_VALUE_INTEGER:
        (void)snprintf(text, sizeof(text), "%lld", (long long)value->integer);
        break;
    case INS_VALUE_BOOL:
        (void)snprintf(text, sizeof(text), "%s", value->boolean ? "true" : "false");
        break;
    }
    return raw.size == strlen(text) && memcmp(raw.data, text, raw.size) == 0;
}

static double bound_of(const ins_bound *bound) {
    return bound->kind == INS_BOUND_INTEGER ? (double)bound->integer : bound->number;
}

static bool range_true(ins_text raw, const ins_condition *condition) {
    char text[64] = "";
    if (raw.size >= sizeof(text) || raw.data[0] == '"') {
        return false;
    }
    memcpy(text, raw.data, raw.size);
    double number = strtod(text, NULL);
    return (condition->gt.kind == INS_BOUND_NONE || number > bound_of(&condition->gt)) &&
           (condition->gte.kind == INS_BOUND_NONE || number >= bound_of(&condition->gte)) &&
           (condition->lt.kind == INS_BOUND_NONE || number < bound_of(&condition->lt)) &&
           (condition->lte.kind == INS_BOUND_NONE || number <= bound_of(&condition->lte));
}

static bool condition_true(const struct fake_point *point, const ins_condition *condition) {
    if (condition->kind == INS_NESTED_FILTER) {
        return filter_true(point, condition->filter);
    }
    for (size_t i = 0; condition->kind == INS_HAS_ID && i < condition->id_count; i++) {
        if (id_equal(&point->id, &condition->ids[i])) {
            return true;
        }
    }
    ins_text raw;
    if (condition->kind == INS_HAS_ID || point->payload == NULL ||
        !json_text_get_last(text_of(point->payload), condition->key, &raw)) {
        return false;
    }
    for (size_t i = 0; condition->kind == INS_MATCH_ANY && i < condition->value_count; i++) {
        if (value_true(raw, &condition->values[i])) {
            return true;
        }
    }
    return condition->kind == INS_RANGE && range_true(raw, condition);
}

static bool filter_true(const struct fake_point *point, const ins_filter *filter) {
    bool any = filter == NULL || filter->should_count == 0;
    for (size_t i = 0; filter != NULL && i < filter->must_count; i++) {
        if (!condition_true(point, &filter->must[i])) {
            return false;
        }
    }
    for (size_t i = 0; filter != NULL && i < filter->must_not_count; i++) {
        if (condition_true(point, &filter->must_not[i])) {
            return false;
        }
    }
    for (size_t i = 0; filter != NULL && i < filter->should_count; i++) {
        any = any || condition_true(point, &filter->should[i]);
    }
    return any;
}

/* ---- Points ------------------------------------------------------------------------------ */

static struct fake_point *point_find(struct fake_collection *collection, const ins_id *id) {
    for (size_t i = 0; i < collection->point_count; i++) {
        if (id_equal(&collection->points[i].id, id)) {
            return &collection->points[i];
        }
    }
    return NULL;
}

static void point_remove(struct fake_collection *collection, struct fake_point *point) {
    free(point->vector);
    free(point->payload);
    *point = collection->points[--collection->point_count];
}

static void point_put(struct ins_db *db, struct fake_collection *collection,
                      const ins_point *from) {
    struct fake_point *point = point_find(collection, &from->id);
    if (point != NULL) {
        point_remove(collection, point);
    }
    point = &collection->points[collection->point_count++];
    *point = (struct fake_point){
        .id = from->id, .dim = from->dim, .payload = text_dup(from->payload), .version = db->lsn};
    if (from->vector != NULL) {
        point->vector = malloc(from->dim * sizeof(float));
        memcpy(point->vector, from->vector, from->dim * sizeof(float));
    }
}

static bool dimension_right(const struct fake_collection *collection, uint32_t dim,
                            ins_call *call) {
    if (dim == collection->dim) {
        return true;
    }
    call->status =
        ins_fail(&call->error, INS_INVALID, "Vector dimension error: expected dim: %u, got %u",
                 collection->dim, dim);
    return false;
}

void ins_points_upsert(ins_db *db, const void *points_request, ins_call *call) {
    const ins_points_request *request = points_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    for (size_t i = 0; collection != NULL && i < request->point_count; i++) {
        if (request->points[i].vector != NULL &&
            !dimension_right(collection, request->points[i].dim, call)) {
            collection = NULL;
        }
    }
    call->lsn = ++db->lsn;
    for (size_t i = 0; collection != NULL && i < request->point_count; i++) {
        point_put(db, collection, &request->points[i]);
    }
    complete(db, answer);
}

void ins_points_delete(ins_db *db, const void *points_request, ins_call *call) {
    const ins_points_request *request = points_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    for (size_t i = 0; collection != NULL && i < request->id_count; i++) {
        struct fake_point *point = point_find(collection, &request->ids[i]);
        if (point != NULL) {
            point_remove(collection, point);
        }
    }
    for (size_t i = collection == NULL || request->filter == NULL ? 0 : collection->point_count;
         i-- != 0;) {
        if (filter_true(&collection->points[i], request->filter)) {
            point_remove(collection, &collection->points[i]);
        }
    }
    call->lsn = ++db->lsn;
    complete(db, answer);
}

/* Changes of parts of points: the real engine's tests have them, over the same decoders. */
static void not_here(ins_db *db, ins_call *call) {
    struct answer *answer;
    if (begin(db, call, &answer)) {
        call->status = ins_fail(&call->error, INS_UNSUPPORTED, "not in the fake engine");
        complete(db, answer);
    }
}

#define NOT_HERE(name)                                                                             \
    void name(ins_db *db, const void *points_request, ins_call *call) {                            \
        (void)points_request;                                                                      \
        not_here(db, call);                                                                        \
    }
NOT_HERE(ins_points_set_payload)
NOT_HERE(ins_points_overwrite_payload)
NOT_HERE(ins_points_delete_payload)
NOT_HERE(ins_points_clear_payload)
NOT_HERE(ins_points_update_vectors)
NOT_HERE(ins_points_delete_vectors)
NOT_HERE(ins_points_batch)

static ins_point point_show(const ins_points_request *request, const struct fake_point *point,
                            float score) {
    ins_point shown = {.id = point->id, .version = point->version, .score = score};
    if (request->payload.kind != INS_SELECT_NONE) {
        shown.payload = text_of(point->payload);
    }
    if (request->with_vector) {
        shown.vector = point->vector;
        shown.dim = point->dim;
    }
    return shown;
}

void ins_points_get(ins_db *db, const void *points_request, ins_call *call) {
    const ins_points_request *request = points_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    answer->points = calloc(request->id_count + 1, sizeof(ins_point));
    for (size_t i = 0; collection != NULL && i < request->id_count; i++) {
        struct fake_point *point = point_find(collection, &request->ids[i]);
        if (point != NULL) {
            answer->points[call->points.count++] = point_show(request, point, 0.0f);
        }
    }
    call->points.items = answer->points;
    complete(db, answer);
}

static int by_id(const void *left, const void *right) {
    return id_compare(&((const ins_point *)left)->id, &((const ins_point *)right)->id);
}

static int by_score(const void *left, const void *right) {
    float a = ((const ins_point *)left)->score;
    float b = ((const ins_point *)right)->score;
    return a < b ? 1 : a > b ? -1 : by_id(left, right);
}

void ins_points_scroll(ins_db *db, const void *points_request, ins_call *call) {
    const ins_points_request *request = points_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    size_t count = 0;
    answer->points = calloc(POINTS_MAX, sizeof(ins_point));
    for (size_t i = 0; collection != NULL && i < collection->point_count; i++) {
        const struct fake_point *point = &collection->points[i];
        if ((!request->has_start || id_compare(&point->id, &request->start) >= 0) &&
            filter_true(point, request->filter)) {
            answer->points[count++] = point_show(request, point, 0.0f);
        }
    }
    qsort(answer->points, count, sizeof(ins_point), by_id);
    call->points.has_next = count > request->limit;
    call->points.count = call->points.has_next ? request->limit : count;
    if (call->points.has_next) {
        call->points.next = answer->points[request->limit].id;
    }
    call->points.items = answer->points;
    complete(db, answer);
}

void ins_points_count(ins_db *db, const void *points_request, ins_call *call) {
    const ins_points_request *request = points_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    for (size_t i = 0; collection != NULL && i < collection->point_count; i++) {
        call->count += filter_true(&collection->points[i], request->filter);
    }
    complete(db, answer);
}

static float score_of(const float *left, const float *right, uint32_t dim, bool cosine) {
    float dot = 0.0f, a = 0.0f, b = 0.0f;
    for (uint32_t i = 0; i < dim; i++) {
        dot += left[i] * right[i];
        a += left[i] * left[i];
        b += right[i] * right[i];
    }
    return cosine && a * b > 0.0f ? dot / sqrtf(a * b) : dot;
}

static const float *query_vector(struct fake_collection *collection,
                                 const ins_points_request *request, ins_call *call) {
    if (!request->by_id) {
        return dimension_right(collection, request->dim, call) ? request->vector : NULL;
    }
    struct fake_point *point = point_find(collection, &request->query_id);
    if (point == NULL) {
        char id[ID_TEXT_MAX];
        id_format(&request->query_id, id);
        call->status = ins_fail(&call->error, INS_NOT_FOUND, "No point with id %s found", id);
    }
    return point == NULL ? NULL : point->vector;
}

void ins_points_query(ins_db *db, const void *points_request, ins_call *call) {
    const ins_points_request *request = points_request;
    struct answer *answer;
    if (!begin(db, call, &answer)) {
        return;
    }
    struct fake_collection *collection = need(db, request->collection, call);
    const float *vector = collection == NULL ? NULL : query_vector(collection, request, call);
    answer->points = calloc(POINTS_MAX, sizeof(ins_point));
    size_t count = 0;
    for (size_t i = 0; vector != NULL && i < collection->point_count; i++) {
        const struct fake_point *point = &collection->points[i];
        if (point->vector == NULL || !filter_true(point, request->filter) ||
            (request->by_id && id_equal(&point->id, &request->query_id))) {
            continue;
        }
        float score = score_of(vector, point->vector, collection->dim,
                               collection->distance == INS_DISTANCE_COSINE);
        if (!request->has_score_threshold || score >= request->score_threshold) {
            answer->points[count++] = point_show(request, point, score);
        }
    }
    qsort(answer->points, count, sizeof(ins_point), by_score);
    size_t skip = request->offset < count ? request->offset : count;
    call->points.items = answer->points + skip;
    call->points.count = count - skip < request->limit ? count - skip : request->limit;
    complete(db, answer);
}

/* ---- What the fake does not have: the real server's tests ask for it ---- */

static void refuse(ins_db *db, ins_call *call) {
    struct answer *answer;
    if (begin(db, call, &answer)) {
        call->status = ins_fail(&call->error, INS_UNSUPPORTED, "the fake engine has none");
        complete(db, answer);
    }
}

void ins_aliases_change(ins_db *db, const void *alias_request, ins_call *call) {
    (void)alias_request;
    refuse(db, call);
}

void ins_aliases_list(ins_db *db, const void *alias_request, ins_call *call) {
    (void)alias_request;
    refuse(db, call);
}

void ins_collection_update(ins_db *db, const void *collection_request, ins_call *call) {
    (void)collection_request;
    refuse(db, call);
}

void ins_points_rank(ins_db *db, const void *rank_request, ins_call *call) {
    (void)rank_request;
    refuse(db, call);
}

bool ins_moment_parse(ins_text text, int64_t *out_micros) {
    (void)text;
    (void)out_micros;
    return false;
}

void ins_vector_create(ins_db *db, const void *collection_request, ins_call *call) {
    (void)collection_request;
    refuse(db, call);
}

void ins_vector_delete(ins_db *db, const void *collection_request, ins_call *call) {
    (void)collection_request;
    refuse(db, call);
}

void ins_shard_key_create(ins_db *db, const void *collection_request, ins_call *call) {
    (void)collection_request;
    refuse(db, call);
}

void ins_shard_key_delete(ins_db *db, const void *collection_request, ins_call *call) {
    (void)collection_request;
    refuse(db, call);
}

void ins_tenants_list(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_get(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_delete(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_erase(ins_db *db, const void *unused, ins_call *call) {
    (void)unused;
    refuse(db, call);
}

void ins_erasure_get(ins_db *db, const void *erasure_request, ins_call *call) {
    (void)erasure_request;
    refuse(db, call);
}

void ins_tenant_rename(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_quota_set(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_quota_clear(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_quota_get(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_warm(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

void ins_tenant_usage_get(ins_db *db, const void *tenants_request, ins_call *call) {
    (void)tenants_request;
    refuse(db, call);
}

/* Pieces of a pattern: fake_pieces() says how many, and of which size. */
static _Atomic uint32_t piece_count, piece_bytes;
static _Atomic uint32_t piece_fails;

void fake_pieces(uint32_t count, uint32_t bytes, uint32_t fails) {
    piece_count = count;
    piece_bytes = bytes;
    piece_fails = fails;
}

void ins_tenant_export(ins_db *db, const void *export_request, ins_call *call) {
    const ins_export_request *request = export_request;
    static char bytes[2u << 20];
    struct answer *answer;
    if (piece_count == 0) {
        refuse(db, call);
        return;
    }
    if (!begin(db, call, &answer)) {
        return;
    }
    uint32_t number = request->state->frames++;
    memset(bytes, 'a' + (int)(number % 26), sizeof(bytes));
    call->bytes = (ins_text){bytes, piece_bytes};
    call->found = number + 1 < piece_count;
    if (piece_fails != 0 && number + 1 == piece_fails) {
        call->status = ins_fail(&call->error, INS_EXISTS, "another one");
    }
    complete(db, answer);
}

void ins_tenant_import(ins_db *db, const void *import_request, ins_call *call) {
    (void)import_request;
    refuse(db, call);
}

void ins_tenant_copy(ins_db *db, const void *copy_request, ins_call *call) {
    (void)copy_request;
    refuse(db, call);
}
