/* Get by ids, and count. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/names.h"
#include "engine/points_own.h"
#include "engine/walk_sweep.h"

struct points_read {
    struct operation operation;
    const ins_points_request *request;
    struct scopes scopes;
    struct scope_cursor cursor; /* get: where the id is looked for */
    struct schema *schema;      /* held */
    struct point_fields fields;
    struct walk_sweep over; /* get: its reader alone */
    struct reader directory;
    ins_text tenant; /* get: of the ids, where they are within tenants */
    uint64_t lsn;
    /* get */
    ins_point *points;
    size_t point_count, next;
    uint32_t repeats;
    bool taken;                 /* the id that is looked for */
    const uint64_t *scope_keys; /* [request->id_count] where each lies, or NULL */
    /* count */
    uint64_t count;
};

static void read_close(struct operation *operation) {
    struct points_read *self = container_of(operation, struct points_read, operation);
    walk_sweep_close(&self->over);
    reader_close(&self->directory);
    scope_cursor_close(&self->cursor);
    scopes_close(&self->scopes);
    schema_release(&operation->db->catalog, self->schema);
}

/* Whose ids, and so on whose account. Of a ranking's points: that of its filter, where it matters.
 */
static ins_status take_tenant(struct points_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    const struct scope *collection = self->scopes.collection;
    bool ignored = operation->within && !collection->schema->ids_by_tenant;
    if (self->request->id_count == 0 || ignored) {
        return INS_OK;
    }
    ins_status status =
        own_name(collection, &operation->pool, self->request->tenant, &self->tenant, error);
    return status == INS_OK && self->tenant.data != NULL
               ? account_read(operation, &self->scopes, &self->tenant, 1, error)
               : status;
}

static ins_status read_begin(struct points_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status = scopes_open(&self->scopes, operation, self->request, error);
    if (status != INS_OK) {
        return status;
    }
    self->schema = schema_hold(self->scopes.collection->schema);
    self->lsn = operation->db->reading.durable_lsn;
    status = point_fields_init(&self->fields, self->schema, self->request, &operation->pool, error);
    if (status == INS_OK) {
        status = take_tenant(self, error);
    }
    return status == INS_OK ? islands_walk_init(&self->over.walk, operation, &self->scopes,
                                                self->request->filter, error)
                            : status;
}

static struct points_read *read_create(ins_db *db, const void *request, ins_call *call,
                                       ins_status (*step)(struct operation *, ins_error *)) {
    struct points_read *self = operation_create(db, call, sizeof(*self), step, read_close, true);
    if (self != NULL) {
        self->request = request;
    }
    return self;
}

/* ---- Get ---- */

#define GET_STEP 256u    /* points; then others get the lane */
#define REPEATS_MAX 100u /* of one request */

/* A ranking knows in which scope each of its points lies. */
static bool wanted_in(const struct points_read *self, const struct scope *scope) {
    return !scope->unlinked &&
           (self->scope_keys == NULL || self->scope_keys[self->next] == scope->key);
}

/* The reader stands on the island of id number `next`, or on none when the id has no island. */
static ins_status get_open(struct points_read *self, bool *out_has_island, ins_error *error) {
    struct operation *operation = &self->operation;
    struct island *island;
    ins_status status = locate(operation, self->cursor.current, self->tenant, &self->directory,
                               self->lsn, &self->request->ids[self->next], &island, error);
    if (status != INS_OK) {
        return status;
    }
    *out_has_island = island != NULL;
    if (island == NULL || (self->over.reader.open && self->over.reader.island == island)) {
        return INS_OK;
    }
    reader_close(&self->over.reader);
    return reader_open(&self->over.reader, &operation->db->reading, island,
                       operation->db->reading.durable_lsn, &operation->pool, &operation->waiter,
                       error);
}

/* In the scope on which the cursor stands: self->taken when the point is there. */
static ins_status get_in_scope(struct points_read *self, ins_error *error) {
    bool has_island;
    struct place place;
    ins_status status = get_open(self, &has_island, error);
    if (status == INS_OK && !has_island && self->directory.open &&
        self->directory.lsn != self->operation.db->reading.durable_lsn &&
        ++self->repeats < REPEATS_MAX) {
        /* Its island may have been dropped as a whole after it moved: again, with a newer view. */
        reader_close(&self->directory);
        self->lsn = self->operation.db->reading.durable_lsn;
        return INS_AGAIN;
    }
    if (status != INS_OK || !has_island) {
        return status;
    }
    status = reader_load(&self->over.reader, error);
    if (status != INS_OK) {
        return status;
    }
    struct trace *trace = reader_trace(&self->over.reader);
    trace_place(trace, TRACE_ALL_PLACES, INS_LOOK_IDS, NULL, reader_row_bound(&self->over.reader));
    trace_turn(trace, INS_STAGE_FETCH);
    if (!reader_find(&self->over.reader, &self->request->ids[self->next], &place)) {
        if (!self->directory.open || self->directory.lsn == self->over.reader.lsn) {
            return INS_OK;
        }
        /* It may have moved after the id directory was asked, and before the island was: again,
         * with one view of both. */
        reader_close(&self->directory);
        reader_close(&self->over.reader);
        self->lsn = self->operation.db->reading.durable_lsn;
        return INS_AGAIN;
    }
    status =
        point_take(&self->over.reader, &place, tenant_path_of(self->over.reader.island),
                   &self->fields, &self->operation.pool, &self->points[self->point_count], error);
    self->taken = status == INS_OK;
    TRACE_COUNT(trace, scanned, self->taken);
    return status;
}

/* Scope after scope, until the id is found or none is left. Of an id that is in several shard keys
 * the first one's point is the answer. */
static ins_status get_one(struct points_read *self, ins_error *error) {
    for (uint32_t scopes = 0;; scopes++) {
        if (scopes_lost(&self->scopes)) {
            return names_absent(self->request->collection, error); /* dropped while it waited */
        }
        if (self->cursor.current == NULL) {
            (void)scope_cursor_next(&self->cursor, &self->scopes,
                                    self->operation.db->reading.durable_lsn);
        }
        if (self->cursor.current == NULL) {
            break; /* a collection without shard keys */
        }
        ins_status status = INS_OK;
        if (self->scopes.one != NULL || wanted_in(self, self->cursor.current)) {
            status = get_in_scope(self, error);
        }
        if (status != INS_OK) {
            return status;
        }
        if (self->taken || self->scopes.one != NULL) {
            break;
        }
        reader_close(&self->directory);
        struct scope *scope = scope_cursor_next(&self->cursor, &self->scopes,
                                                self->operation.db->reading.durable_lsn);
        if (scope == NULL) {
            break;
        }
        if (scopes == GET_STEP) {
            return INS_AGAIN;
        }
    }
    self->point_count += self->taken;
    self->taken = false;
    if (self->scopes.one == NULL) { /* the next id from the first scope on */
        scope_cursor_close(&self->cursor);
        reader_close(&self->directory);
    }
    return INS_OK;
}

static ins_status get_step(struct operation *operation, ins_error *error) {
    struct points_read *self = container_of(operation, struct points_read, operation);
    if (self->schema == NULL) {
        ins_status status = read_begin(self, error);
        if (status != INS_OK) {
            return status;
        }
        if (self->request->id_count > INS_BATCH_POINTS_MAX) {
            return ins_fail(error, INS_INVALID, "ids: %zu in one request, the limit is %u",
                            self->request->id_count, INS_BATCH_POINTS_MAX);
        }
    }
    if (self->points == NULL && self->request->id_count > 0) {
        self->points =
            pool_alloc(&operation->pool, self->request->id_count * sizeof(*self->points));
        if (self->points == NULL) {
            return ins_fail(error, INS_TOO_LARGE, "no memory for %zu points at once",
                            self->request->id_count);
        }
    }
    for (uint32_t done = 0; self->next < self->request->id_count; self->next++, done++) {
        ins_status status = done < GET_STEP ? get_one(self, error) : INS_AGAIN;
        if (status != INS_OK) {
            return status;
        }
    }
    operation->call->points = (ins_points){.items = self->points, .count = self->point_count};
    return INS_OK;
}

void ins_points_get(ins_db *db, const void *points_request, ins_call *call) {
    struct points_read *self = read_create(db, points_request, call, get_step);
    if (self != NULL) {
        operation_run(&self->operation);
    }
}

void points_get_start(ins_db *db, const ins_points_request *request, const uint64_t *scope_keys,
                      ins_call *call) {
    struct points_read *self = read_create(db, request, call, get_step);
    if (self != NULL) {
        self->scope_keys = scope_keys;
        self->operation.within = true; /* of a ranking, which is counted */
        operation_run(&self->operation);
    }
}

/* ---- Count: a sweep over the islands ---- */

static ins_status count_one(void *context, const ins_id *id, ins_error *error) {
    struct points_read *self = context;
    (void)id;
    (void)error;
    self->count++;
    return INS_OK;
}

static ins_status count_step(struct operation *operation, ins_error *error) {
    struct points_read *self = container_of(operation, struct points_read, operation);
    ins_status status = self->schema == NULL ? read_begin(self, error) : INS_OK;
    if (status == INS_OK) {
        self->over.known = &self->count;
        status = walk_sweep_step(&self->over, operation, self->request->collection, count_one, self,
                                 error);
        operation->call->count = self->count;
    }
    return status;
}

void ins_points_count(ins_db *db, const void *points_request, ins_call *call) {
    struct points_read *self = read_create(db, points_request, call, count_step);
    if (self != NULL) {
        operation_run(&self->operation);
    }
}
