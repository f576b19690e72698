#include "engine/work.h"

#include "base/assert.h"
#include "engine/engine_private.h"

void work_begin(struct ins_db *db, struct work *work) {
    work->begin_ns = db_now(db);
    work->others_ns = db->worked_ns;
}

void work_end(struct ins_db *db, struct work *work) {
    uint64_t inner_ns = db->worked_ns - work->others_ns;
    uint64_t own_ns = db_now(db) - work->begin_ns - inner_ns;
    work->time_ns += own_ns;
    db->worked_ns += own_ns;
}

/* The account of the island's tenant; NULL: it has none now, or there is no such tenant. */
static struct account *account_of(struct ins_db *db, const struct island *island) {
    const struct scope *scope = island->scope;
    const struct scope *collection = scope->collection != NULL ? scope->collection : scope;
    struct account_name name = account_name_of(collection, scope);
    if (scope->key == 0 || scope_is_hidden(scope)) {
        return NULL; /* the catalog; copies of points on their way */
    }
    if (island_is_tenant(island)) {
        name = account_name_tenant(collection, island_newest_name(&db->islands, island));
    }
    return account_find(&db->accounts, &name);
}

void work_charge(struct ins_db *db, const struct work *work, const struct island *island,
                 uint64_t part, uint64_t all, uint64_t bytes) {
    INS_ASSERT(part <= all);
    double share = all == 0 ? 0.0 : (double)part / (double)all;
    uint64_t time_ns = (uint64_t)((double)work->time_ns * share);
    bool small = share * WORK_SHARES_MAX < 1.0;
    bool dropped = island != NULL && (island->flags & ISLAND_DROPPED) != 0;
    struct account *account = island == NULL || small || dropped ? NULL : account_of(db, island);
    db->accounts.total.work_ns += time_ns;
    db->accounts.total.work_bytes += bytes;
    if (island != NULL && !small && !dropped) {
        heavy_charge(&db->heavy, INS_HEAVY_WORK, island->incarnation, time_ns);
    } else {
        heavy_charge(&db->heavy, INS_HEAVY_WORK, 0, time_ns);
    }
    if (account != NULL) {
        account->counts.work_ns += time_ns;
        account->counts.work_bytes += bytes;
    }
}
