/* Looking at collections: get (with counts and metadata), exists, list. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/gates.h"
#include "engine/graph_job.h"
#include "engine/move.h"
#include "engine/names.h"
#include "engine/operation.h"
#include "engine/text.h"
#include "engine/walk.h"

struct collection_read {
    struct operation operation;
    const ins_collection_request *request;
    struct scope *scope;  /* pinned */
    struct reader reader; /* of the catalog */
    ins_collection_info *info;
    /* The points are counted by a call of its own. */
    ins_call count_call;
    ins_points_request count_request;
    ins_field_info *fields; /* of info */
    ins_condition field_empty;
    ins_filter field_there;
    size_t calls; /* that were begun: all points first, then each field's, then each shard key's */
    ins_shard_info *shards; /* of info: [shard_room] */
    size_t shard_room;
    uint64_t island_count; /* shard keys' included */
    bool starting;
};

/* Points that are looked at to count those of each field: one look costs less than 1 us. Above it
 * all points stand for them, as an upper bound. */
#define INFO_FIELD_POINTS_MAX 50000u
#define INFO_COUNT_ISLANDS_MAX 1000u /* more are summed up from their runs and memtables */

static void collection_close(struct operation *operation) {
    struct collection_read *self = container_of(operation, struct collection_read, operation);
    reader_close(&self->reader);
    if (self->scope != NULL) {
        self->scope->pins--;
    }
}

/* ---- Get ---- */

static ins_status fill_fields(struct collection_read *self, ins_error *error) {
    const struct schema *schema = self->scope->schema;
    struct pool *pool = &self->operation.pool;
    ins_field_info *fields = pool_alloc(pool, (schema->field_count + 1) * sizeof(*fields));
    if (fields == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u fields", schema->field_count);
    }
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        fields[i] = (ins_field_info){.name = text_copy(pool, field->name),
                                     .schema = text_copy(pool, field->schema),
                                     .is_tenant = field->is_tenant,
                                     .islands = field->islands,
                                     .late = field->late && self->info->late_runs > 0};
        if (fields[i].name.data == NULL || fields[i].schema.data == NULL) {
            return ins_fail(error, INS_FULL, "no memory for %u fields", schema->field_count);
        }
    }
    self->fields = fields;
    self->info->fields = fields;
    self->info->field_count = schema->field_count;
    return INS_OK;
}

static ins_status fill_vectors(struct collection_read *self, ins_error *error) {
    const struct schema *schema = self->scope->schema;
    struct pool *pool = &self->operation.pool;
    ins_collection_info *info = self->info;
    ins_vector_params *vectors = pool_alloc(pool, (schema->vector_count + 1) * sizeof(*vectors));
    for (uint32_t i = 0; i < schema->vector_count && vectors != NULL; i++) {
        const struct schema_vector *vector = &schema->vectors[i];
        vectors[i] = (ins_vector_params){.name = text_copy(pool, vector->name),
                                         .dim = vector->shape.dim,
                                         .distance = vector->distance,
                                         .datatype = (ins_datatype)vector->shape.datatype,
                                         .multi = vector->shape.multi != 0,
                                         .settings = text_copy(pool, vector->settings)};
        if (vectors[i].name.data == NULL || vectors[i].settings.data == NULL) {
            vectors = NULL;
        } else if (vector->name.size == 0) {
            info->dim = vector->shape.dim;
            info->distance = vector->distance;
        }
    }
    if (vectors == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u vectors", schema->vector_count);
    }
    info->vectors = vectors;
    info->vector_count = schema->vector_count;
    return INS_OK;
}

/* Runs of one scope, and a bound of its points from what is resident, which it returns. */
static uint64_t count_scope(ins_collection_info *info, const struct scope *scope) {
    uint64_t points = 0;
    for (const struct island *island = scope->islands; island != NULL;
         island = island->scope_next) {
        info->run_count += island->run_count;
        info->tenant_count += island_is_tenant(island);
        bool queued = (island->flags & ISLAND_MERGING) != 0;
        info->queued_islands += queued;
        for (uint32_t i = 0; i < island->run_count && queued; i++) {
            info->queued_runs++;
            info->queued_rows += island->runs[i].rows;
        }
        if ((island->flags & ISLAND_DIRECTORY) != 0) {
            continue;
        }
        for (uint32_t i = 0; i < island->run_count; i++) {
            const struct run *run = &island->runs[i];
            points += run->rows;
            info->indexed_vectors += (run->flags & RUN_GRAPH) != 0 ? run->rows : 0;
            info->large_runs += (run->flags & RUN_SMALL) == 0;
            info->late_runs += run_may_be_late(scope->schema, run);
            info->late_rows += run_may_be_late(scope->schema, run) ? run->rows : 0;
        }
        info->unindexed_islands += island->graph_queued || island->runs_held > 0;
        for (int slot = 0; slot < 2; slot++) {
            points += island->mem[slot] != NULL ? island->mem[slot]->row_count : 0;
        }
    }
    info->point_count += points;
    return points;
}

static void fill_counts(struct collection_read *self) {
    ins_collection_info *info = self->info;
    const struct scope *scope = self->scope;
    info->sharded = scope->sharded;
    if (scope->move != NULL) {
        info->moved_points = scope->move->copied;
        info->moving_points = scope->move->total;
    }
    for (const struct gate *gate = self->operation.db->gates; gate != NULL; gate = gate->next) {
        info->changes += gate->walk->scopes->collection == scope;
    }
    self->island_count = scope->island_count;
    (void)count_scope(info, scope);
    for (const struct scope *shard = scope->keys; shard != NULL; shard = shard->key_next) {
        if (!scope_readable(shard, self->operation.db->reading.durable_lsn)) {
            continue;
        }
        uint64_t points = count_scope(info, shard);
        self->island_count += shard->island_count;
        if (self->shards != NULL && info->shard_count < self->shard_room) {
            self->shards[info->shard_count] =
                (ins_shard_info){.key = scope_shard_key(shard), .id = shard->key, .points = points};
        }
        info->shard_count++;
    }
}

/* A list of all shard keys is one answer, so it must fit one block. */
#define SHARDS_MAX (INS_BLOCK_BYTES_MAX / sizeof(ins_shard_info) - 8)

static ins_status make_shards(struct collection_read *self, ins_error *error) {
    size_t count = self->scope->key_count;
    if (!self->request->with_shards || !self->scope->sharded) {
        return INS_OK;
    }
    for (const struct scope *shard = self->scope->keys; shard != NULL; shard = shard->key_next) {
        count += shard->drop_lsn != 0; /* readers may see it still */
    }
    if (count > SHARDS_MAX) {
        return ins_fail(error, INS_UNSUPPORTED,
                        "%zu shard keys: this version lists at most %zu at once", count,
                        SHARDS_MAX);
    }
    self->shard_room = count;
    self->shards = pool_alloc(&self->operation.pool, (count + 1) * sizeof(*self->shards));
    return self->shards != NULL ? INS_OK
                                : ins_fail(error, INS_FULL, "no memory for %zu shard keys", count);
}

/* The scopes may go before the answer is read. */
static ins_status copy_shard_names(struct collection_read *self, ins_error *error) {
    for (size_t i = 0; i < self->info->shard_count && self->shards != NULL; i++) {
        ins_text *text = &self->shards[i].key.text;
        if (text->data != NULL) {
            *text = text_copy(&self->operation.pool, *text);
            if (text->data == NULL) {
                return ins_fail(error, INS_FULL, "no memory for the names of shard keys");
            }
        }
    }
    self->info->shards = self->shards;
    return INS_OK;
}

static ins_status collection_begin(struct collection_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    ins_status status =
        names_find_scope(operation->db, self->request->collection, false, &self->scope, error);
    if (status != INS_OK) {
        self->scope = NULL;
        return status;
    }
    self->scope->pins++;
    const struct schema *schema = self->scope->schema;
    self->info = pool_alloc_zero(&operation->pool, sizeof(*self->info));
    if (self->info == NULL) {
        return ins_fail(error, INS_FULL, "no memory to describe a collection");
    }
    self->info->name = text_copy(&operation->pool, scope_name(self->scope));
    self->info->settings = text_copy(&operation->pool, schema->settings);
    if (operation->db->writes_stopped) {
        self->info->writes_stopped =
            text_copy(&operation->pool, text_of(operation->db->failure.message));
    }
    status = make_shards(self, error);
    if (status == INS_OK) {
        fill_counts(self);
        status = copy_shard_names(self, error);
    }
    if (status == INS_OK) {
        status = fill_vectors(self, error);
    }
    return status == INS_OK ? fill_fields(self, error) : status;
}

static ins_status read_metadata(struct collection_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    struct ins_db *db = operation->db;
    if (!self->reader.open) {
        struct island *system = islands_find(&db->islands, SYSTEM_INCARNATION);
        ins_status status =
            reader_open(&self->reader, &db->reading, system, db->reading.durable_lsn,
                        &operation->pool, &operation->waiter, error);
        if (status != INS_OK) {
            return status;
        }
    }
    ins_id id = id_number(self->scope->key);
    struct place place;
    ins_text row;
    ins_status status = reader_load(&self->reader, error);
    if (status == INS_OK && reader_find(&self->reader, &id, &place)) {
        status = reader_payload(&self->reader, &place, &row, error);
        if (status == INS_OK) {
            self->info->metadata = text_copy(&operation->pool, catalog_row_metadata(row));
            if (self->info->metadata.data == NULL) {
                status = ins_fail(error, INS_FULL, "no memory for the collection's metadata");
            }
        }
    }
    return status;
}

static void count_done(ins_call *call) {
    struct collection_read *self = call->user;
    if (call->status == INS_OK && self->calls == 1) {
        self->info->point_count = call->count;
        self->info->point_count_exact = true;
    } else if (call->status == INS_OK && self->calls <= 1 + self->info->field_count) {
        self->fields[self->calls - 2].points = call->count;
        self->fields[self->calls - 2].points_exact = true;
    } else if (call->status == INS_OK) {
        ins_shard_info *shard = &self->shards[self->calls - 2 - self->info->field_count];
        shard->points = call->count;
        shard->points_exact = true;
    }
    ins_call_release(call);
    self->operation.parked = false;
    struct ins_db *db = self->operation.db;
    if (!self->starting) {
        db_run(db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
}

/* Is there something left to count that costs little? Fields that cost too much are passed over. */
static bool wants_count(struct collection_read *self) {
    const ins_collection_info *info = self->info;
    if (self->island_count > INFO_COUNT_ISLANDS_MAX ||
        (self->calls > 0 && !info->point_count_exact)) {
        return false;
    }
    if (self->calls == 0) {
        return info->point_count <= 1000000;
    }
    bool fields = info->point_count * info->field_count <= INFO_FIELD_POINTS_MAX;
    if (self->calls <= info->field_count && !fields) {
        self->calls = 1 + info->field_count;
    }
    size_t shards = self->shards != NULL ? info->shard_count : 0;
    return self->calls <= info->field_count + shards;
}

/* INS_AGAIN: parked until the count has come. */
static ins_status begin_count(struct collection_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    if (!scope_readable(self->scope, operation->db->reading.durable_lsn) && !self->scope->moved) {
        /* Dropped while it waited: another collection may have the name now. */
        return names_absent(self->request->collection, error);
    }
    self->count_request = (ins_points_request){.collection = self->request->collection};
    if (self->calls > self->info->field_count) {
        self->count_request.shard_keys =
            &self->shards[self->calls - 1 - self->info->field_count].key;
        self->count_request.shard_key_count = 1;
    } else if (self->calls > 0) {
        self->field_empty =
            (ins_condition){.kind = INS_IS_EMPTY, .key = self->fields[self->calls - 1].name};
        self->field_there = (ins_filter){.must_not = &self->field_empty, .must_not_count = 1};
        self->count_request.filter = &self->field_there;
    }
    self->count_call = (ins_call){.done = count_done,
                                  .user = self,
                                  .lane = operation->call->lane,
                                  .deadline_ns = operation->call->deadline_ns};
    self->calls++; /* whatever comes of it */
    operation->parked = true;
    self->starting = true;
    ins_points_count(operation->db, &self->count_request, &self->count_call);
    self->starting = false;
    return operation->parked ? INS_AGAIN : INS_OK;
}

static ins_status collection_step(struct operation *operation, ins_error *error) {
    struct collection_read *self = container_of(operation, struct collection_read, operation);
    if (self->scope != NULL && self->scope->moved && self->calls == 0) {
        reader_close(&self->reader); /* its row is that of another scope now */
        self->scope->pins--;
        self->scope = NULL;
    }
    ins_status status = self->scope == NULL ? collection_begin(self, error) : INS_OK;
    if (status == INS_OK && self->scope->has_metadata && self->info->metadata.data == NULL) {
        status = read_metadata(self, error);
    }
    while (status == INS_OK && wants_count(self)) {
        status = begin_count(self, error);
    }
    if (status != INS_OK) {
        return status;
    }
    for (size_t i = 0; i < self->info->field_count; i++) {
        if (!self->fields[i].points_exact) {
            self->fields[i].points = self->info->point_count;
        }
    }
    operation->call->info = self->info;
    return INS_OK;
}

void ins_collection_get(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_read *self =
        operation_create(db, call, sizeof(*self), collection_step, collection_close, true);
    if (self != NULL) {
        self->request = collection_request;
        operation_run(&self->operation);
    }
}

/* ---- Exists ---- */

static ins_status exists_step(struct operation *operation, ins_error *error) {
    struct collection_read *self = container_of(operation, struct collection_read, operation);
    struct scope *scope;
    operation->call->found =
        names_find_scope(operation->db, self->request->collection, false, &scope, error) == INS_OK;
    return INS_OK;
}

void ins_collection_exists(ins_db *db, const void *collection_request, ins_call *call) {
    struct collection_read *self =
        operation_create(db, call, sizeof(*self), exists_step, NULL, true);
    if (self != NULL) {
        self->request = collection_request;
        operation_run(&self->operation);
    }
}

/* ---- List ---- */

/* A list of all names is one answer, so it must fit the memory of one operation: names are packed
 * in pieces, their table in blocks of one allocation each would be cut at INS_BLOCK_BYTES_MAX. */
#define LIST_MAX (INS_BLOCK_BYTES_MAX / sizeof(ins_text) - 8)

static ins_status list_step(struct operation *operation, ins_error *error) {
    struct ins_db *db = operation->db;
    const struct table *table = &db->catalog.by_name;
    uint64_t count = table->count;
    if (count > LIST_MAX) {
        return ins_fail(error, INS_UNSUPPORTED,
                        "%llu collections: this version lists at most %zu at once",
                        (unsigned long long)count, LIST_MAX);
    }
    ins_text *names = pool_alloc(&operation->pool, (count + 1) * sizeof(ins_text));
    if (names == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %llu names", (unsigned long long)count);
    }
    size_t listed = 0;
    for (uint64_t bucket = 0; bucket < table->bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(table, bucket); node != NULL;
             node = node->next) {
            struct scope *scope = container_of(node, struct scope, name_node);
            if (scope->key == SYSTEM_SCOPE || scope_is_hidden(scope) ||
                !scope_readable(scope, db->reading.durable_lsn)) {
                continue;
            }
            names[listed] = text_copy(&operation->pool, scope_name(scope));
            if (names[listed].data == NULL) {
                return ins_fail(error, INS_FULL, "no memory for %llu names",
                                (unsigned long long)count);
            }
            listed++;
        }
    }
    operation->call->names = names;
    operation->call->name_count = listed;
    return INS_OK;
}

void ins_collection_list(ins_db *db, const void *unused, ins_call *call) {
    (void)unused;
    struct collection_read *self = operation_create(db, call, sizeof(*self), list_step, NULL, true);
    if (self != NULL) {
        operation_run(&self->operation);
    }
}
