/* The table of accounts: find, open, forget. account_charge.c checks and charges. */
#include "engine/accounts.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "engine/operation.h"
#include "engine/quotas.h"
#include "engine/text.h"

static uint64_t scope_key_of(const struct account_name *name) {
    const struct scope *scope =
        name->is_tenant || name->scope == NULL ? name->collection : name->scope;
    return scope->key;
}

static uint64_t hash_of(const struct account_name *name) {
    uint64_t key = hash_u64(2 * scope_key_of(name) + name->is_tenant);
    return name->is_tenant ? hash64_seed(name->tenant.data, name->tenant.size, key) : key;
}

static bool is_of(const struct account *account, const struct account_name *name, uint64_t hash) {
    return account->hash == hash && account->is_tenant == name->is_tenant &&
           account->scope_key == scope_key_of(name) &&
           (!name->is_tenant ||
            text_equal((ins_text){account->name, account->name_size}, name->tenant));
}

uint64_t account_id(const struct account_name *name) {
    return hash_of(name);
}

struct account *account_find(const struct accounts *accounts, const struct account_name *name) {
    uint64_t hash = hash_of(name);
    struct account *account = accounts->buckets[hash % ACCOUNT_BUCKETS];
    while (account != NULL && !is_of(account, name, hash)) {
        account = account->next;
    }
    return account;
}

/* ---- By last use ---- */

static void unlink_age(struct accounts *accounts, struct account *account) {
    *(account->older == NULL ? &accounts->oldest : &account->older->newer) = account->newer;
    *(account->newer == NULL ? &accounts->newest : &account->newer->older) = account->older;
}

static void link_newest(struct accounts *accounts, struct account *account) {
    account->older = accounts->newest;
    account->newer = NULL;
    *(accounts->newest == NULL ? &accounts->oldest : &accounts->newest->newer) = account;
    accounts->newest = account;
}

/* Its rates are ahead of the clock: who lets go of it makes them begin anew. */
static bool is_ahead(const struct account *account, uint64_t now_ns) {
    return account->queries_at > now_ns || account->writes_at > now_ns ||
           account->bytes_at > now_ns;
}

/* The one that was used longest ago and whose rates are even, out of the table. What is ahead
 * stands as new once more, so that the same ones are not met again each time; where only such
 * accounts are met, the first of them goes. NULL when all have operations under way. */
static struct account *take_oldest(struct accounts *accounts, uint64_t now_ns) {
    struct account *account = NULL, *next = accounts->oldest;
    for (uint32_t i = 0; next != NULL && i < ACCOUNT_EVICT_TRIES; i++) {
        struct account *met = next;
        next = met->newer;
        if (met->uses > 0) {
            continue;
        }
        bool ahead = is_ahead(met, now_ns);
        account = account == NULL || !ahead ? met : account;
        if (!ahead) {
            break;
        }
        if (next != NULL) {
            unlink_age(accounts, met);
            link_newest(accounts, met);
        }
    }
    if (account == NULL) {
        return NULL;
    }
    INS_ASSERT(account->waiting == 0);
    struct account **link = &accounts->buckets[account->hash % ACCOUNT_BUCKETS];
    while (*link != account) {
        link = &(*link)->next;
    }
    *link = account->next;
    unlink_age(accounts, account);
    accounts->count--;
    return account;
}

static struct account *new_account(struct ins_db *db) {
    struct accounts *accounts = &db->accounts;
    struct account *account = accounts->count < ACCOUNTS_MAX
                                  ? arena_alloc(db->arena, INS_MEM_CATALOG, sizeof(*account))
                                  : NULL;
    return account != NULL ? account : take_oldest(accounts, db_now(db));
}

struct account *account_open(struct ins_db *db, const struct account_name *name) {
    struct accounts *accounts = &db->accounts;
    struct account *account = account_find(accounts, name);
    if (account != NULL) {
        if (accounts->newest != account) {
            unlink_age(accounts, account);
            link_newest(accounts, account);
        }
    } else {
        account = new_account(db);
        if (account == NULL) {
            return &accounts->others;
        }
        *account = (struct account){.hash = hash_of(name),
                                    .scope_key = scope_key_of(name),
                                    .is_tenant = name->is_tenant,
                                    .opened_ns = db_now(db)};
        if (name->is_tenant && name->tenant.size > 0) {
            INS_ASSERT(name->tenant.size <= INS_TENANT_BYTES_MAX);
            account->name_size = (uint8_t)name->tenant.size;
            memcpy(account->name, name->tenant.data, name->tenant.size);
        }
        account->next = accounts->buckets[account->hash % ACCOUNT_BUCKETS];
        accounts->buckets[account->hash % ACCOUNT_BUCKETS] = account;
        link_newest(accounts, account);
        accounts->count++;
    }
    if (account->changes_seen != name->collection->changes + 1) {
        account->changes_seen = name->collection->changes + 1;
        quota_of(name, &account->quota);
    }
    return account;
}

void account_enter(struct operation *operation, struct account *account) {
    if (operation->account == NULL) {
        operation->account = account;
        operation->waiter.keeps = account->quota.pin;
        operation->waiter.who = account->hash;
        const ins_quota *quota = &account->quota;
        if (quota->memory_floor != 0 || quota->memory_ceiling != 0) {
            operation->waiter.owner = cache_owner_open(operation->db->cache, account->hash,
                                                       quota->memory_floor, quota->memory_ceiling);
        }
        account->uses++;
    }
}

void account_leave(struct operation *operation) {
    if (operation->account != NULL) {
        INS_ASSERT(operation->account->uses > 0);
        operation->account->uses--;
        operation->account = NULL;
        cache_owner_close(operation->db->cache, operation->waiter.owner);
        operation->waiter.owner = NULL;
    }
}
