/* Which islands a read visits, and with which filter: scope after scope.
 *
 * A filter that pins the tenant visits those tenants' islands and, when it holds anything, the
 * common island with the whole filter. Without it: every island of the scope. */
#ifndef INS_ENGINE_WALK_H
#define INS_ENGINE_WALK_H

#include "engine/scopes.h"

#define STEP_ROWS 8192u /* of one step: some 200 to 400 us of 128 floats */

struct islands_walk {
    struct ins_db *db;
    const struct scopes *scopes; /* the operation's: it must outlive the walk */
    struct scope_cursor cursor;
    struct scope *scope; /* where it stands; after the last one that one, or NULL */
    bool ended;          /* no scope is left */
    bool pinned;
    ins_text *values; /* of the pinned tenants */
    size_t value_count, value_next;
    struct filter *whole, *residual; /* NULL: every row */
    struct island *current;          /* pinned while unpinned walks wait; NULL before the first */
    bool common_done, begun;
    bool for_write; /* set by the caller: sees what is sequenced */
};

/* INS_NOT_FOUND when the scopes were dropped since they were opened. */
INS_MUST_USE ins_status islands_walk_init(struct islands_walk *walk, struct operation *operation,
                                          const struct scopes *scopes, const ins_filter *filter,
                                          ins_error *error);
/* Next island that may hold rows: *out_filter and *out_tenant_path go with it. NULL: no more. */
struct island *islands_walk_next(struct islands_walk *walk, const struct filter **out_filter,
                                 const struct payload_path **out_tenant_path);
/* True when only one island can be visited, from now on. */
bool islands_walk_single(struct islands_walk *walk);
/* What it walks over was dropped while the operation waited. */
bool islands_walk_lost(const struct islands_walk *walk);
void islands_walk_close(struct islands_walk *walk); /* takes a zeroed one */

/* It may hold points. */
static inline bool island_has_rows(const struct island *island) {
    return island->run_count > 0 || island->mem[0] != NULL || island->mem[1] != NULL;
}

/* Which island may hold an id: the common one, what the id directory says, or, where ids are within
 * tenants, that of `tenant`; NULL for none. */
INS_MUST_USE ins_status locate(struct operation *operation, struct scope *scope, ins_text tenant,
                               struct reader *directory, uint64_t lsn, const ins_id *id,
                               struct island **out_island, ins_error *error);

static inline const struct payload_path *tenant_path_of(const struct island *island) {
    return island_is_tenant(island) ? &island->scope->schema->tenant_path : NULL;
}

#endif
