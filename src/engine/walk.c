#include "engine/walk.h"

#include "base/assert.h"
#include "engine/names.h"

/* The next scope, from its beginning. */
static void enter_scope(struct islands_walk *walk) {
    struct scope *scope =
        scope_cursor_next(&walk->cursor, walk->scopes, walk->db->reading.durable_lsn);
    walk->ended = scope == NULL;
    if (scope == NULL) {
        walk->scope = NULL;
        return;
    }
    walk->scope = scope;
    walk->value_next = 0;
    walk->begun = false;
    /* Rows that come to the common island while this read waits are not for it. */
    walk->common_done = !island_has_rows(scope->common);
}

static ins_status compile(struct islands_walk *walk, struct operation *operation,
                          const ins_filter *filter, ins_error *error) {
    const struct schema *schema = walk->scopes->collection->schema;
    const struct payload_path *path = schema->has_tenant_field ? &schema->tenant_path : NULL;
    if (filter == NULL) {
        return INS_OK;
    }
    walk->db->reading.filtered_reads++;
    if (path == NULL) {
        return filter_compile(&operation->pool, filter, path, &walk->whole, error);
    }
    ins_status status =
        filter_pins(&operation->pool, filter, path, schema->tenant_is_uuid, &walk->pinned,
                    &walk->values, &walk->value_count, &walk->residual, error);
    if (status != INS_OK || !walk->pinned) {
        walk->whole = walk->residual;
        return status;
    }
    /* Mostly the common island holds nothing, which spares compiling the whole filter. */
    return walk->scopes->one != NULL && !island_has_rows(walk->scopes->one->common)
               ? INS_OK
               : filter_compile(&operation->pool, filter, path, &walk->whole, error);
}

static void explain_scope(const struct islands_walk *walk, const ins_filter *filter,
                          ins_explain *out) {
    out->filtered = filter != NULL;
    out->pinned = walk->pinned;
    out->tenants = walk->pinned ? walk->value_count : 0;
    out->tenant = out->tenants == 1 ? walk->values[0] : (ins_text){.data = NULL};
}

ins_status islands_walk_init(struct islands_walk *walk, struct operation *operation,
                             const struct scopes *scopes, const ins_filter *filter,
                             ins_error *error) {
    *walk = (struct islands_walk){.db = operation->db, .scopes = scopes};
    if (scopes_lost(scopes)) { /* while the operation waited: its islands are freed */
        return names_absent(scope_name(scopes->collection), error);
    }
    ins_status status = compile(walk, operation, filter, error);
    if (status == INS_OK) {
        status = account_read(operation, scopes, walk->values, walk->pinned ? walk->value_count : 0,
                              error);
    }
    if (status == INS_OK) {
        if (operation->call->explain != NULL) {
            explain_scope(walk, filter, operation->call->explain);
        }
        enter_scope(walk);
    }
    return status;
}

static struct island *next_pinned(struct islands_walk *walk, const struct filter **out_filter) {
    while (walk->value_next < walk->value_count) {
        ins_text value = walk->values[walk->value_next++];
        struct island *island = (walk->for_write ? islands_find_newest : islands_find_tenant)(
            &walk->db->islands, walk->scope, value);
        if (island != NULL && island_has_rows(island)) {
            *out_filter = walk->residual;
            return island;
        }
    }
    if (walk->common_done || !island_has_rows(walk->scope->common)) {
        return NULL;
    }
    walk->common_done = true;
    *out_filter = walk->whole;
    return walk->scope->common;
}

static bool may_have_rows(const struct islands_walk *walk, const struct island *island) {
    uint32_t never = ISLAND_DIRECTORY | (walk->for_write ? ISLAND_DROPPING : 0u);
    return (island->flags & never) == 0 && island_has_rows(island);
}

/* The island on which the walk stands is pinned, so its link to the next one can be followed later:
 * an island that is dropped stays in the list until then, unless its whole scope goes, and then the
 * walk is lost. */
static struct island *next_of_all(struct islands_walk *walk, const struct filter **out_filter) {
    struct island *island = walk->begun ? walk->current : NULL;
    if (walk->begun && island == NULL) {
        return NULL;
    }
    struct island *next = island == NULL ? walk->scope->islands : island->scope_next;
    walk->begun = true;
    while (next != NULL && !may_have_rows(walk, next)) {
        next = next->scope_next;
    }
    walk->current = next;
    if (next != NULL) {
        island_pin(next);
        *out_filter = walk->whole;
    }
    if (island != NULL) {
        island_unpin(&walk->db->islands, island);
    }
    return next;
}

static void leave_island(struct islands_walk *walk) {
    if (walk->current != NULL) {
        island_unpin(&walk->db->islands, walk->current);
        walk->current = NULL;
    }
}

struct island *islands_walk_next(struct islands_walk *walk, const struct filter **out_filter,
                                 const struct payload_path **out_tenant_path) {
    struct island *island = NULL;
    while (island == NULL && !walk->ended) {
        if (!walk->scope->unlinked) { /* else its list of islands is being taken apart */
            island = walk->pinned ? next_pinned(walk, out_filter) : next_of_all(walk, out_filter);
        }
        if (island == NULL) {
            leave_island(walk);
            if (walk->scopes->one != NULL) {
                walk->ended = true; /* walk->scope stays what it is */
            } else {
                enter_scope(walk);
            }
        }
    }
    *out_tenant_path = island == NULL ? NULL : tenant_path_of(island);
    return island;
}

bool islands_walk_single(struct islands_walk *walk) {
    const struct scope *scope = walk->scopes->one;
    if (scope == NULL) {
        return false;
    }
    if (walk->pinned) {
        bool single = walk->value_count + island_has_rows(scope->common) <= 1;
        /* Rows that come to the common island while this read waits are not for it. */
        walk->common_done = walk->common_done || (single && walk->value_count == 1);
        return single;
    }
    return !scope_has_islands(scope);
}

bool islands_walk_lost(const struct islands_walk *walk) {
    return scopes_lost(walk->scopes);
}

void islands_walk_close(struct islands_walk *walk) {
    leave_island(walk);
    scope_cursor_close(&walk->cursor);
}

ins_status locate(struct operation *operation, struct scope *scope, ins_text tenant,
                  struct reader *directory, uint64_t lsn, const ins_id *id,
                  struct island **out_island, ins_error *error) {
    struct ins_db *db = operation->db;
    if (scope->directory == NULL && scope_has_islands(scope)) {
        *out_island = tenant.data == NULL ? NULL : islands_find_tenant(&db->islands, scope, tenant);
        return INS_OK;
    }
    if (scope->directory == NULL) {
        *out_island = scope->common;
        return INS_OK;
    }
    if (!directory->open) {
        ins_status status = reader_open(directory, &db->reading, scope->directory, lsn,
                                        &operation->pool, &operation->waiter, error);
        if (status != INS_OK) {
            return status;
        }
    }
    uint64_t incarnation;
    ins_status status = directory_find(directory, id, &incarnation, error);
    if (status == INS_OK) {
        *out_island = incarnation == 0 ? NULL : islands_find(&db->islands, incarnation);
    }
    return status;
}
