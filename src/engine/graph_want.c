/* Which runs are to be written anew: for a graph, for field indexes that they lack, or since codes
 * or a graph of theirs are damaged. */
#include "base/assert.h"
#include "engine/graph_job.h"

uint64_t graph_bytes_due(const struct ins_db *db, bool tenant, const struct schema_vector *vector) {
    const struct vector_graph *graph = &vector->graph;
    if (!(tenant ? graph->tenants : graph->common) || vector->shape.multi != 0) {
        return UINT64_MAX;
    }
    return db->options.graph_bytes_min != 0 ? db->options.graph_bytes_min : graph->bytes_min;
}

bool graph_is_due(const struct ins_db *db, bool tenant, const struct schema_vector *vector,
                  uint64_t rows) {
    return rows > 1 && rows <= GRAPH_ROWS_MAX &&
           rows * vector_bytes(&vector->shape) >= graph_bytes_due(db, tenant, vector);
}

static bool wants_graph(const struct ins_db *db, const struct island *island,
                        const struct run *run) {
    const struct schema *schema = island->scope->schema;
    if ((run->flags & (RUN_GRAPH | RUN_NO_GRAPH)) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < schema->vector_count; i++) {
        if (graph_is_due(db, island_is_tenant(island), &schema->vectors[i], run->rows)) {
            return true;
        }
    }
    return false;
}

bool run_may_be_late(const struct schema *schema, const struct run *run) {
    if ((run->flags & (RUN_SMALL | RUN_DIRECTORY | RUN_INDEXED)) != 0 || run->rows == 0) {
        return false;
    }
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].late && !schema->fields[i].islands) {
            return true;
        }
    }
    return false;
}

enum graph_wish graph_wish_of(const struct ins_db *db, const struct island *island,
                              const struct run *run) {
    const struct schema *schema = island->scope->schema;
    if (schema == NULL || (island->flags & ISLAND_DIRECTORY) != 0) {
        return GRAPH_NOTHING;
    }
    bool renewable = (run->flags & RUN_NO_RENEW) == 0;
    if (renewable && (run->flags & (RUN_DAMAGED | RUN_LATE)) != 0) {
        return GRAPH_RENEW;
    }
    if (wants_graph(db, island, run)) {
        return GRAPH_MAKE;
    }
    return renewable && run_may_be_late(schema, run) ? GRAPH_LOOK : GRAPH_NOTHING;
}

uint32_t graph_choose_run(const struct ins_db *db, const struct island *island) {
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < island->run_count; i++) {
        if (graph_wish_of(db, island, &island->runs[i]) != GRAPH_NOTHING &&
            (best == UINT32_MAX || island->runs[i].rows > island->runs[best].rows)) {
            best = i;
        }
    }
    return best;
}

void graph_want(struct ins_db *db, struct island *island) {
    if (island->graph_queued || (island->flags & ISLAND_DROPPED) != 0 ||
        graph_choose_run(db, island) == UINT32_MAX) {
        return;
    }
    island_pin(island);
    graph_queue_add(&db->graph_queue, island);
}

/* What was refused or looked at was so by the schema that was. */
static void want_again(struct ins_db *db, struct scope *scope) {
    for (struct island *island = scope->islands; island != NULL; island = island->scope_next) {
        for (uint32_t i = 0; i < island->run_count; i++) {
            island->runs[i].flags &= ~(uint32_t)RUN_NOTED | RUN_DAMAGED;
        }
        graph_want(db, island);
    }
}

void graph_want_scope(struct ins_db *db, struct scope *scope) {
    want_again(db, scope);
    for (struct scope *shard = scope->keys; shard != NULL; shard = shard->key_next) {
        want_again(db, shard);
    }
}

void graph_want_all(struct ins_db *db) {
    const struct table *table = &db->islands.by_incarnation;
    for (uint64_t bucket = 0; bucket < table->bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(table, bucket); node != NULL;
             node = node->next) {
            graph_want(db, (struct island *)(void *)node); /* the first member */
        }
    }
}

/* Lent bytes included. */
static uint64_t limit_of_cache(const struct ins_db *db) {
    return cache_limit(db->cache) + cache_lent(db->cache);
}

/* Half of the share may be lent: where more was wanted only a larger share helps; where less was,
 * too much of it was held at that moment. */
void graph_note_denied(struct ins_db *db, const struct island *island, const struct run *run,
                       uint64_t bytes) {
    struct graph_denied *denied = &db->graph_denied;
    uint64_t limit = limit_of_cache(db), helps = bytes > limit / 2 ? limit + 1 : 1;
    if (denied->count < GRAPH_DENIED_MAX) { /* beyond that, a merge makes another run */
        denied->runs[denied->count++] = (struct denied_run){
            .incarnation = island->incarnation, .slot = run->file_slot, .offset = run->offset_64};
    }
    denied->helps = denied->helps > helps ? denied->helps : helps;
}

static void want_denied_run(struct ins_db *db, const struct denied_run *denied) {
    struct island *island = islands_find(&db->islands, denied->incarnation);
    for (uint32_t i = 0; island != NULL && i < island->run_count; i++) {
        struct run *run = &island->runs[i];
        if (run->file_slot == denied->slot && run->offset_64 == denied->offset) {
            run->flags &= ~(uint32_t)(RUN_NO_GRAPH | RUN_NO_RENEW);
            graph_want(db, island);
        }
    }
}

void graph_want_denied(struct ins_db *db) {
    struct graph_denied *denied = &db->graph_denied;
    if (denied->count == 0 || limit_of_cache(db) < denied->helps || db->stopping) {
        return;
    }
    for (uint32_t i = 0; i < denied->count; i++) {
        want_denied_run(db, &denied->runs[i]);
    }
    denied->count = 0;
    denied->helps = 0;
}

void graph_note_damage(void *context, struct island *island, const char *what) {
    struct ins_db *db = context;
    if (db->options.warn != NULL) {
        db->options.warn(db->options.warn_context, what);
    }
    graph_want(db, island);
    graph_job_kick(db);
}
