/* Accounts: what each active tenant uses of the engine, and what it may.
 *
 * A tenant is a value of the tenant field, a shard key, or a collection that has neither. It gets
 * an account with its first request: counters, three rates, and a queue of its operations that wait
 * for a turn (slices.h). At most ACCOUNTS_MAX are kept; then the one that was used longest ago, has
 * nothing under way and no rate to wait for gives its place. What has no account is run on that of
 * the others.
 *
 * Path of a read: scopes and filter are known (walk.c) -> account_read: looks the account up,
 * checks and takes from its rates. Of a write: its points' islands are known -> account_write. Work
 * that is done is charged when it was done: operation_run the time, searches the bytes. A rate may
 * so be overdrawn; what was drawn too much is waited for, ACCOUNT_DEBT_NS at most. Threads: the
 * request lane. */
#ifndef INS_ENGINE_ACCOUNTS_H
#define INS_ENGINE_ACCOUNTS_H

#include "base/limits.h"
#include "engine/catalog.h"

#define ACCOUNTS_MAX 1024u             /* half a MiB */
#define ACCOUNT_BUCKETS 1024u          /* of the hash table */
#define ACCOUNT_WAITING_MAX 128u       /* operations, while other accounts wait too */
#define ACCOUNT_BURST_NS 1000000000ull /* a rate may be used up for so long at once */
#define ACCOUNT_DEBT_NS 60000000000ull /* and is overdrawn by no more than this */
#define ACCOUNT_EVICT_TRIES 64u
/* A read of more tenants than these is the collection's alone: it would push out as many accounts,
 * whose rates begin anew then, and looking each up takes the lane's time. */
#define ACCOUNT_READ_TENANTS_MAX 64u

struct ins_db;
struct operation;
struct scopes;

/* Since the account was opened, but for the totals. */
struct account_counts {
    uint64_t queries, writes, points, rows, bytes, time_ns, refused;
    uint64_t work_ns, work_bytes; /* of flushes, merges and graphs (work.h) */
};

struct account {
    struct account *next;          /* in its bucket */
    struct account *older, *newer; /* by last use */
    struct account *turn_next;     /* in the ring of those with waiting operations */
    struct operation *first, *last;
    uint32_t waiting; /* operations in that queue */
    uint32_t uses;    /* operations under way */
    int64_t credit_ns;
    uint64_t refuses_until_ns; /* long reads that begin: slices.h */
    bool in_turns;
    /* Who. */
    uint64_t hash, scope_key; /* of a collection or a shard key */
    bool is_tenant;           /* `name` is a value of the collection's tenant field */
    uint8_t name_size;
    char name[INS_TENANT_BYTES_MAX + 1];
    /* What it may: as the collection's settings say at `changes_seen` - 1 of its changes. */
    uint32_t changes_seen;
    ins_quota quota;
    uint64_t queries_at, writes_at, bytes_at; /* when the rate is even again, ns */
    uint64_t opened_ns;
    struct account_counts counts;
};
_Static_assert(INS_TENANT_BYTES_MAX <= UINT8_MAX, "the length of a name");

struct accounts {
    struct account *buckets[ACCOUNT_BUCKETS];
    struct account *oldest, *newest;
    uint32_t count;
    struct account others;       /* those without an account of their own */
    struct account_counts total; /* of all */
    uint64_t charged_ns;         /* by operation_run, so far */
};

/* Whom a request is about. */
struct account_name {
    const struct scope *collection, *scope; /* `scope`: the only one, or NULL */
    bool is_tenant;
    ins_text tenant;
};

static inline struct account_name account_name_of(const struct scope *collection,
                                                  const struct scope *scope) {
    return (struct account_name){.collection = collection, .scope = scope};
}
static inline struct account_name account_name_tenant(const struct scope *collection,
                                                      ins_text tenant) {
    return (struct account_name){.collection = collection, .is_tenant = true, .tenant = tenant};
}

/* A number that is hardly another one's. */
uint64_t account_id(const struct account_name *name);
/* NULL when it has none now. */
struct account *account_find(const struct accounts *accounts, const struct account_name *name);
/* Opens it if need be; never NULL. */
struct account *account_open(struct ins_db *db, const struct account_name *name);

/* The operation runs on this account from now on, until operation_end. */
void account_enter(struct operation *operation, struct account *account);
void account_leave(struct operation *operation);

/* Searches of a tenant are refused while its reads from disk are so far behind: those under way
 * then take about so long, and who comes again finds what they brought. */
#define ACCOUNT_READS_BEHIND_NS (1000ull * 1000 * 1000)

/* The error for a read that is not served since those of its account wait for too long. */
ins_status account_refuse_long(struct operation *operation, ins_error *error);

/* A read's scopes and tenants ([count] values of a filter that pins them) are known: it is counted,
 * once, on the tenant's account if it is of one, else on the collection's, and each of up to
 * ACCOUNT_READ_TENANTS_MAX tenants is charged a query. INS_EXHAUSTED when one of its tenants has
 * used up a rate, has too many waiting, or waits for the disk for too long. */
INS_MUST_USE ins_status account_read(struct operation *operation, const struct scopes *scopes,
                                     const ins_text *tenants, size_t count, ins_error *error);
/* The same of a read of one tenant that begins, and goes on in calls that are not counted. */
INS_MUST_USE ins_status account_read_begins(struct operation *operation,
                                            const struct account_name *name, ins_error *error);
/* Points of this tenant, whose account that is, are about to be written. `adds`: they take room.
 * INS_EXHAUSTED, or INS_FULL when it stores as much as it may. Nothing is charged. */
INS_MUST_USE ins_status account_check_write(struct ins_db *db, struct account *account,
                                            const struct account_name *name, bool adds,
                                            ins_error *error);
void account_charge_write(struct operation *operation, struct account *account, uint64_t points);
/* Rows that it looked at, and their bytes. */
void account_charge_scan(struct operation *operation, uint64_t rows, uint64_t bytes);
/* Time that the lane spent on it. */
void account_charge_time(struct ins_db *db, struct account *account, uint64_t time_ns);
/* Others of its tenant wait for their turns: it goes behind them. */
bool account_must_queue(const struct operation *operation);

/* Bytes of its extents in segments; of a collection with tenants the common island's. */
uint64_t account_stored_bytes(struct ins_db *db, const struct account_name *name);
/* Bytes of a tenant in segments; `out` [1] is added to. */
struct tenant_sizes {
    uint64_t points_max, memory_rows, runs, disk_bytes, dead_rows_max;
};
void tenant_sizes_add(struct tenant_sizes *sizes, const struct island *island);

#endif
