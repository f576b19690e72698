/* Rates: checked before work, charged with it or after it.
 *
 * A rate is a time at which it is even again ("Generic cell rate algorithm", ITU-T I.371): each
 * unit moves it on by a second over the rate, and who finds it more than a burst ahead of the clock
 * is refused. So a rate costs 8 bytes, and nothing runs to refill it. */
#include <stdio.h>

#include "base/status.h"
#include "engine/accounts.h"
#include "engine/scopes.h"

#define SECOND_NS 1000000000ull

/* Without a limit nobody asks for the time. */
static bool is_open(const struct ins_db *db, uint64_t limit, uint64_t even_at) {
    return limit == 0 || even_at < db_now(db) + ACCOUNT_BURST_NS;
}

static void draw(const struct ins_db *db, uint64_t limit, uint64_t *even_at, uint64_t units) {
    if (limit == 0) {
        *even_at = 0;
        return;
    }
    uint64_t now = db_now(db);
    double cost = (double)units * (double)SECOND_NS / (double)limit;
    uint64_t from = *even_at > now ? *even_at : now;
    uint64_t most = now + ACCOUNT_BURST_NS + ACCOUNT_DEBT_NS;
    uint64_t to = cost < (double)ACCOUNT_DEBT_NS ? from + (uint64_t)cost : most;
    *even_at = to < most ? to : most;
}

/* As messages name it. */
static void describe(const struct account_name *name, char out[static 160]) {
    ins_text collection = scope_name(name->collection);
    int size = (int)(collection.size < 60 ? collection.size : 60);
    ins_text own = name->is_tenant       ? name->tenant
                   : name->scope != NULL ? scope_name(name->scope)
                                         : (ins_text){0};
    int own_size = (int)(own.size < 60 ? own.size : 60);
    if (name->is_tenant) {
        (void)snprintf(out, 160, "tenant `%.*s` of collection `%.*s`", own_size,
                       own_size == 0 ? "" : own.data, size, collection.data);
    } else if (name->scope != NULL && name->scope != name->collection) {
        (void)snprintf(out, 160, "shard key `%.*s` of collection `%.*s`", own_size,
                       own_size == 0 ? "" : own.data, size, collection.data);
    } else {
        (void)snprintf(out, 160, "collection `%.*s`", size, collection.data);
    }
}

static ins_status refuse(struct ins_db *db, struct account *account,
                         const struct account_name *name, const char *what, uint64_t limit,
                         uint64_t even_at, ins_error *error) {
    char who[160];
    uint64_t now = db_now(db);
    uint64_t wait = even_at < now + ACCOUNT_BURST_NS ? 0 : even_at - now - ACCOUNT_BURST_NS;
    uint32_t seconds = (uint32_t)(wait / SECOND_NS) + 1;
    account->counts.refused++;
    db->accounts.total.refused++;
    describe(name, who);
    return ins_fail_retry(error, INS_EXHAUSTED, seconds, "%s: %s is %llu; try again in %u s", who,
                          what, (unsigned long long)limit, seconds);
}

ins_status account_refuse_long(struct operation *operation, ins_error *error) {
    struct account *account = operation->account;
    account->counts.refused++;
    operation->db->accounts.total.refused++;
    return ins_fail_retry(error, INS_EXHAUSTED, 1,
                          "long reads of %s%s%s wait for many times as long as they run: more is "
                          "asked than can be served; try again in 1 s",
                          account->is_tenant ? "tenant `" : "this collection",
                          account->is_tenant ? account->name : "", account->is_tenant ? "`" : "");
}

/* What it wants from disk is far behind: one more would only make that worse. */
static ins_status check_reads(struct ins_db *db, struct account *account,
                              const struct account_name *name, ins_error *error) {
    uint64_t behind_ns = cache_reads_behind(db->cache, account->hash);
    if (behind_ns <= ACCOUNT_READS_BEHIND_NS || account == &db->accounts.others) {
        return INS_OK;
    }
    char who[160];
    account->counts.refused++;
    db->accounts.total.refused++;
    describe(name, who);
    return ins_fail_retry(error, INS_EXHAUSTED, 1,
                          "%s: its reads from disk are %llu ms behind; try again in 1 s", who,
                          (unsigned long long)(behind_ns / 1000000));
}

/* Its rates of reading, and its places in the queues. */
static ins_status check_read(struct ins_db *db, struct account *account,
                             const struct account_name *name, ins_error *error) {
    const ins_quota *quota = &account->quota;
    if (!is_open(db, quota->queries_per_second, account->queries_at)) {
        return refuse(db, account, name, "queries_per_second", quota->queries_per_second,
                      account->queries_at, error);
    }
    if (!is_open(db, quota->scan_bytes_per_second, account->bytes_at)) {
        return refuse(db, account, name, "scan_bytes_per_second", quota->scan_bytes_per_second,
                      account->bytes_at, error);
    }
    if (account->waiting >= ACCOUNT_WAITING_MAX && account != &db->accounts.others &&
        slices_shared(&db->slices)) {
        return refuse(db, account, name, "the number of its requests that may wait while others do",
                      ACCOUNT_WAITING_MAX, 0, error);
    }
    return check_reads(db, account, name, error);
}

static void count_read(struct ins_db *db, struct account *account) {
    draw(db, account->quota.queries_per_second, &account->queries_at, 1);
    account->counts.queries++;
    db->accounts.total.queries++;
}

/* Of several tenants: all of them must have a query left, then each is charged one. */
static ins_status read_of_several(struct operation *operation, const struct scope *collection,
                                  const ins_text *tenants, size_t count, ins_error *error) {
    struct ins_db *db = operation->db;
    for (size_t i = 0; i < count; i++) {
        struct account_name each = account_name_tenant(collection, tenants[i]);
        ins_status status = check_read(db, account_open(db, &each), &each, error);
        if (status != INS_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct account_name each = account_name_tenant(collection, tenants[i]);
        struct account *account = account_open(db, &each);
        draw(db, account->quota.queries_per_second, &account->queries_at, 1);
    }
    return INS_OK;
}

ins_status account_read(struct operation *operation, const struct scopes *scopes,
                        const ins_text *tenants, size_t count, ins_error *error) {
    struct ins_db *db = operation->db;
    if (operation->account != NULL) {
        return INS_OK; /* it was counted */
    }
    bool one = count == 1;
    struct account_name name = one ? account_name_tenant(scopes->collection, tenants[0])
                                   : account_name_of(scopes->collection, scopes->one);
    account_enter(operation, account_open(db, &name));
    struct account *own = operation->account;
    if (!operation->is_read || operation->within) {
        return INS_OK;
    }
    ins_status status = check_read(db, own, &name, error);
    if (status == INS_OK && !one && count <= ACCOUNT_READ_TENANTS_MAX) {
        status = read_of_several(operation, scopes->collection, tenants, count, error);
    }
    if (status == INS_OK) {
        count_read(db, own);
    }
    return status;
}

ins_status account_read_begins(struct operation *operation, const struct account_name *name,
                               ins_error *error) {
    struct ins_db *db = operation->db;
    account_enter(operation, account_open(db, name));
    ins_status status = check_read(db, operation->account, name, error);
    if (status == INS_OK) {
        count_read(db, operation->account);
    }
    return status;
}

/* ---- Writes ---- */

void tenant_sizes_add(struct tenant_sizes *sizes, const struct island *island) {
    for (int slot = 0; slot < 2; slot++) {
        uint32_t rows = island->mem[slot] != NULL ? island->mem[slot]->row_count : 0;
        sizes->memory_rows += rows;
        sizes->points_max += rows;
    }
    for (uint32_t i = 0; i < island->run_count; i++) {
        sizes->points_max += island->runs[i].rows;
        sizes->disk_bytes += (uint64_t)island->runs[i].size_64 * 64;
    }
    sizes->dead_rows_max += island->dead_most;
    sizes->runs += island->run_count;
}

uint64_t account_stored_bytes(struct ins_db *db, const struct account_name *name) {
    struct tenant_sizes sizes = {0};
    if (!name->is_tenant) {
        const struct scope *scope = name->scope != NULL ? name->scope : name->collection;
        tenant_sizes_add(&sizes, scope->common);
        return sizes.disk_bytes;
    }
    const struct scope *shard = name->collection->sharded ? name->collection->keys : NULL;
    const struct scope *scope = name->collection->sharded ? shard : name->collection;
    while (scope != NULL) {
        struct island *island = islands_find_newest(&db->islands, scope, name->tenant);
        if (island != NULL) {
            tenant_sizes_add(&sizes, island);
        }
        scope = scope->key_next; /* of a collection: NULL */
    }
    return sizes.disk_bytes;
}

ins_status account_check_write(struct ins_db *db, struct account *account,
                               const struct account_name *name, bool adds, ins_error *error) {
    const ins_quota *quota = &account->quota;
    if (!is_open(db, quota->writes_per_second, account->writes_at)) {
        return refuse(db, account, name, "writes_per_second", quota->writes_per_second,
                      account->writes_at, error);
    }
    uint64_t stored = adds && quota->stored_bytes != 0 ? account_stored_bytes(db, name) : 0;
    if (quota->stored_bytes != 0 && stored >= quota->stored_bytes) {
        char who[160];
        describe(name, who);
        account->counts.refused++;
        db->accounts.total.refused++;
        return ins_fail_retry(error, INS_EXHAUSTED, 60,
                              "%s: stored_bytes is %llu, and %llu are stored; delete points or "
                              "raise it",
                              who, (unsigned long long)quota->stored_bytes,
                              (unsigned long long)stored);
    }
    return INS_OK;
}

void account_charge_write(struct operation *operation, struct account *account, uint64_t points) {
    struct ins_db *db = operation->db;
    account_enter(operation, account);
    draw(db, account->quota.writes_per_second, &account->writes_at, points);
    account->counts.writes++;
    account->counts.points += points;
    db->accounts.total.writes++;
    db->accounts.total.points += points;
}

/* ---- What was done ---- */

void account_charge_scan(struct operation *operation, uint64_t rows, uint64_t bytes) {
    struct ins_db *db = operation->db;
    struct account *account = operation->account;
    db->accounts.total.rows += rows;
    db->accounts.total.bytes += bytes;
    if (account == NULL || rows == 0) {
        return;
    }
    account->counts.rows += rows;
    account->counts.bytes += bytes;
    if (account->quota.scan_bytes_per_second != 0) {
        draw(db, account->quota.scan_bytes_per_second, &account->bytes_at, bytes);
    }
}

void account_charge_time(struct ins_db *db, struct account *account, uint64_t time_ns) {
    account->counts.time_ns += time_ns;
    db->accounts.total.time_ns += time_ns;
}

bool account_must_queue(const struct operation *operation) {
    const struct account *account = operation->account;
    return account != NULL && account->waiting > 0 && account != &operation->db->accounts.others &&
           slices_shared(&operation->db->slices);
}
