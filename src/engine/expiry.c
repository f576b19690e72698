#include "engine/expiry.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "engine/quota_text.h"
#include "engine/quotas.h"
#include "engine/scopes.h"
#include "engine/tenants.h"
#include "engine/text.h"
#include "engine/walk.h"
#include "engine/write.h"

#define SECOND_NS 1000000000ull
#define OWN_COST 128u /* in islands: a look through the text of a collection's quotas */

static bool can_expire(const struct scope *scope) {
    const struct schema *schema = scope->schema;
    return schema != NULL && schema->has_tenant_field && schema->ttl_least != 0;
}

/* ---- What is left ---- */

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Seconds seen when the island was last written to. */
static uint64_t written_at(const struct ins_db *db, const struct island *island) {
    uint64_t at = island_written(&db->islands, island);
    for (int slot = 0; slot < 2; slot++) {
        const struct island_mem *mem = island->mem[slot];
        if (mem != NULL && mem->last != NULL) {
            at = later(at, seen_of(&db->catalog.seen, mem->last->lsn));
        }
    }
    return at;
}

/* Of a tenant, in all shard keys. */
static uint64_t tenant_written_at(const struct ins_db *db, const struct scope *collection,
                                  ins_text tenant) {
    uint64_t at = 0;
    const struct scope *scope = collection->sharded ? collection->keys : collection;
    while (scope != NULL) {
        const struct island *island =
            scope_dropped(scope) ? NULL : islands_find_newest(&db->islands, scope, tenant);
        at = island != NULL ? later(at, written_at(db, island)) : at;
        scope = collection->sharded ? scope->key_next : NULL;
    }
    return at;
}

bool expiry_left(const struct ins_db *db, const struct scope *collection, ins_text tenant,
                 uint64_t *out_seconds) {
    ins_quota quota;
    struct account_name name = account_name_tenant(collection, tenant);
    if (!can_expire(collection)) {
        return false;
    }
    (void)quota_of(&name, &quota);
    if (quota.ttl_s == 0) {
        return false;
    }
    uint64_t now = db->catalog.seen.seconds;
    uint64_t from = later(tenant_written_at(db, collection, tenant), quota.ttl_from_s);
    uint64_t idle = now > from ? now - from : 0;
    *out_seconds = idle < quota.ttl_s ? quota.ttl_s - idle : 0;
    return true;
}

void expiry_note_flushed(struct ins_db *db, const struct island *island, uint64_t lsn) {
    if (!island_is_tenant(island) || !can_expire(island->scope)) {
        return;
    }
    /* While the log is replayed its next tick is not known yet. */
    uint64_t unknown = db->wal == NULL ? EXPIRY_TICK_S_MAX : 0;
    island_note_written(&db->islands, island, seen_of(&db->catalog.seen, lsn) + unknown);
}

/* ---- The sweep ---- */

struct sweep {
    struct operation operation;
    ins_call own_call;
    /* The collection that is next: the nth in a bucket of the catalog's table. */
    uint64_t bucket;
    uint32_t nth;
    /* The one that is looked at, if `open`: first tenants with quotas of their own, then all. */
    bool open, walks;
    struct scopes scopes;
    size_t own_next;
    uint64_t ttl_s; /* of those without */
    struct islands_walk walk;
    /* The tenant that is being deleted. */
    char name[INS_TENANT_BYTES_MAX];
    ins_tenants_request request;
    ins_call inner;
    bool running, ended, starting;
    ins_timer timer;
};

static struct sweep *of(struct operation *operation) {
    return container_of(operation, struct sweep, operation);
}

static void leave_collection(struct sweep *self) {
    islands_walk_close(&self->walk);
    scopes_close(&self->scopes);
    self->walk = (struct islands_walk){0};
    self->scopes = (struct scopes){0};
    self->open = self->walks = false;
}

static void sweep_close(struct operation *operation) {
    leave_collection(of(operation));
    operation->db->expiry.sweeping = false;
}

/* The next collection in which something can expire; NULL: there is none. */
static struct scope *next_collection(struct sweep *self) {
    const struct table *table = &self->operation.db->catalog.by_key;
    for (; self->bucket < table->bucket_count; self->bucket++, self->nth = 0) {
        struct table_node *node = table_bucket(table, self->bucket);
        for (uint32_t i = 0; node != NULL; i++, node = node->next) {
            struct scope *scope = (struct scope *)(void *)node; /* its first member */
            if (i < self->nth || scope->key == SYSTEM_SCOPE || scope->collection != NULL ||
                scope->drop_lsn != 0 || scope_is_hidden(scope) || !can_expire(scope)) {
                continue;
            }
            self->nth = i + 1;
            return scope;
        }
    }
    return NULL;
}

static ins_status enter_collection(struct sweep *self, const struct scope *scope,
                                   ins_error *error) {
    ins_quota quota;
    ins_points_request about = {.collection = scope_name(scope)};
    self->operation.within = true;
    ins_status status = scopes_open(&self->scopes, &self->operation, &about, error);
    if (status == INS_NOT_FOUND) { /* not durable yet */
        leave_collection(self);
        return INS_OK;
    }
    (void)quotas_default(scope->schema->settings, &quota);
    self->ttl_s = quota.ttl_s;
    self->own_next = 0;
    self->open = true;
    return status;
}

static void inner_done(ins_call *inner) {
    struct sweep *self = inner->user;
    self->ended = true;
    if (!self->starting) {
        self->operation.parked = false;
        operation_run(&self->operation);
    }
}

/* Of those that are meant one: is its time over? Then it is being deleted. */
static void try_tenant(struct sweep *self, size_t size) {
    struct ins_db *db = self->operation.db;
    const struct scope *collection = self->scopes.collection;
    ins_text name = {self->name, size};
    uint64_t left;
    if (!expiry_left(db, collection, name, &left) || left > 0 ||
        tenants_incarnation(&db->islands, collection, name) == 0) {
        return;
    }
    self->request = (ins_tenants_request){
        .collection = scope_name(collection), .name = name, .if_expired = true};
    self->inner = (ins_call){.done = inner_done, .user = self, .lane = INS_LANE_REQUEST};
    self->running = self->starting = true;
    self->ended = false;
    ins_tenant_delete(db, &self->request, &self->inner);
    self->starting = false;
}

static bool island_due(const struct sweep *self, const struct island *island) {
    const struct ins_db *db = self->operation.db;
    uint64_t at = written_at(db, island), now = db->catalog.seen.seconds;
    return island_is_tenant(island) && (island->flags & ISLAND_DROPPING) == 0 && now > at &&
           now - at >= self->ttl_s;
}

/* One tenant of the collection. False: none is left. */
static bool look_at_own(struct sweep *self) {
    ins_quota quota;
    size_t size;
    bool found = quotas_tenant_at(self->scopes.collection->schema->settings, &self->own_next,
                                  self->name, &size, &quota);
    if (found && quota.ttl_s != 0) {
        try_tenant(self, size);
    }
    return found;
}

static bool look_at_next(struct sweep *self) {
    const struct filter *filter = NULL;
    const struct payload_path *path = NULL;
    struct island *island =
        islands_walk_lost(&self->walk) ? NULL : islands_walk_next(&self->walk, &filter, &path);
    if (island != NULL && island_due(self, island)) {
        if (island->name_size > 0) {
            memcpy(self->name, island->name, island->name_size);
        }
        try_tenant(self, island->name_size);
    }
    return island != NULL;
}

static ins_status look(struct sweep *self, bool *out_end, uint32_t *out_cost, ins_error *error) {
    *out_cost = 1;
    if (!self->open) {
        const struct scope *scope = next_collection(self);
        *out_end = scope == NULL;
        return scope == NULL ? INS_OK : enter_collection(self, scope, error);
    }
    if (scopes_lost(&self->scopes) || scope_dropped(self->scopes.collection)) {
        leave_collection(self);
        return INS_OK;
    }
    if (!self->walks) {
        if (look_at_own(self)) {
            *out_cost = OWN_COST;
            return INS_OK;
        }
        if (self->ttl_s == 0) {
            leave_collection(self);
            return INS_OK;
        }
        self->walks = true;
        return islands_walk_init(&self->walk, &self->operation, &self->scopes, NULL, error);
    }
    if (!look_at_next(self)) {
        leave_collection(self);
    }
    return INS_OK;
}

/* ---- A deletion's end ---- */

static void tell(const struct sweep *self) {
    const struct ins_db *db = self->operation.db;
    ins_text collection = self->request.collection, name = self->request.name;
    char text[INS_ERROR_MESSAGE_MAX + INS_TENANT_BYTES_MAX + INS_NAME_BYTES_MAX];
    if (db->options.warn != NULL) {
        (void)snprintf(text, sizeof(text),
                       "tenant `%.*s` of collection `%.*s` expired: deleted, erasure %llu",
                       (int)name.size, name.data, (int)collection.size, collection.data,
                       (unsigned long long)self->inner.lsn);
        db->options.warn(db->options.warn_context, text);
    }
}

static void pause_over(ins_timer *timer) {
    struct sweep *self = container_of(timer, struct sweep, timer);
    self->operation.parked = false;
    operation_run(&self->operation);
}

/* What was refused is met again by the next sweep. */
static void take_inner(struct sweep *self) {
    struct ins_db *db = self->operation.db;
    if (self->inner.status == INS_OK) {
        db->expiry.expired++;
        tell(self);
    }
    ins_call_release(&self->inner);
    self->running = false;
    self->operation.parked = true;
    self->timer.run = pause_over;
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &self->timer, EXPIRY_PAUSE_NS);
}

static ins_status sweep_step(struct operation *operation, ins_error *error) {
    struct sweep *self = of(operation);
    const struct ins_db *db = operation->db;
    ins_status status = INS_OK;
    bool end = false;
    uint32_t cost = 1;
    for (uint32_t i = 0; i < EXPIRY_ISLANDS_A_STEP && status == INS_OK; i += cost) {
        if (self->running && !self->ended) {
            operation->parked = true;
        } else if (self->running) {
            take_inner(self);
        } else if (db->stopping || db->writes_stopped) {
            return INS_OK;
        } else {
            status = look(self, &end, &cost, error);
        }
        if (end || operation->parked) {
            break;
        }
    }
    return status == INS_OK && !end ? INS_AGAIN : status;
}

static void nobody(ins_call *call) {
    (void)call;
}

static void sweep_start(struct ins_db *db) {
    ins_call call = {.done = nobody};
    if (db->expiry.sweeping) {
        return;
    }
    struct sweep *self = operation_create(db, &call, sizeof(*self), sweep_step, sweep_close, true);
    if (self != NULL) {
        db->expiry.sweeping = true;
        operation_detach(&self->operation, &self->own_call);
        db_run(db, INS_LANE_REQUEST, &self->operation.waiter.task);
    }
}

/* ---- The tick ---- */

struct tick {
    struct write write;
    ins_call own_call;
};

static void tick_close(struct operation *operation) {
    operation->db->expiry.ticking = false;
}

static ins_status tick_step(struct operation *operation, ins_error *error) {
    struct write *write = &container_of(operation, struct tick, write.operation)->write;
    struct ins_db *db = operation->db;
    uint64_t bytes = write_catalog_cost(SEEN_ROW_BYTES_MAX);
    ins_status status = room_enter(operation, &write->room, bytes, error);
    if (status != INS_OK) {
        return status;
    }
    status = write_begin(write, bytes, 1, error);
    if (status == INS_OK) {
        ins_text row = seen_row(&operation->pool, &db->catalog.seen);
        status = row.data == NULL ? ins_fail(error, INS_FULL, "no memory for a catalog row")
                                  : write_catalog_row(write, SEEN_KEY, row, error);
    }
    if (status == INS_OK) {
        status = write_sequence(write, SYSTEM_SCOPE, &db->expiry.own_lsn, error);
    }
    if (status != INS_OK) {
        write_undo(write);
    }
    db->expiry.records += status == INS_OK;
    return status;
}

static void tick_start(struct ins_db *db) {
    ins_call call = {.done = nobody};
    if (db->expiry.ticking) {
        return;
    }
    struct tick *self = operation_create(db, &call, sizeof(*self), tick_step, tick_close, false);
    if (self != NULL) {
        db->expiry.ticking = true;
        operation_detach(&self->write.operation, &self->own_call);
        db_run(db, INS_LANE_REQUEST, &self->write.operation.waiter.task);
    }
}

/* A clock that stands still, or a lane that did, adds nothing; no jump adds more than two ticks. */
static void count_time(struct ins_db *db) {
    struct expiry *expiry = &db->expiry;
    uint64_t now = db_now(db), most = 2 * expiry->tick_ns;
    uint64_t passed = now > expiry->rang_ns ? now - expiry->rang_ns : 0;
    expiry->rang_ns = now;
    seen_pass(&db->catalog.seen, passed < most ? passed : most);
}

static void arm(struct ins_db *db) {
    db->runtime->timer(db->runtime->context, INS_LANE_REQUEST, &db->expiry.timer,
                       db->expiry.tick_ns);
}

static void ring(ins_timer *timer) {
    struct expiry *expiry = container_of(timer, struct expiry, timer);
    struct ins_db *db = container_of(expiry, struct ins_db, expiry);
    if (db->stopping || db->writes_stopped) {
        return;
    }
    count_time(db);
    uint64_t lsn = wal_next_lsn(db->wal) - 1;
    if (lsn != expiry->own_lsn) {
        seen_mark(&db->catalog.seen, lsn);
    }
    arm(db);
    tick_start(db);
    sweep_start(db);
}

/* ---- When it ticks ---- */

/* Schemas are few, collections many. */
static uint64_t least_ttl(const struct catalog *catalog) {
    uint64_t least = 0;
    for (uint64_t bucket = 0; bucket < catalog->schemas.bucket_count; bucket++) {
        for (struct table_node *node = table_bucket(&catalog->schemas, bucket); node != NULL;
             node = node->next) {
            const struct schema *schema = (struct schema *)(void *)node; /* its first member */
            bool counts = schema->users > 0 && schema->has_tenant_field && schema->ttl_least != 0;
            if (counts && (least == 0 || schema->ttl_least < least)) {
                least = schema->ttl_least;
            }
        }
    }
    return least;
}

void expiry_kick(struct ins_db *db) {
    struct expiry *expiry = &db->expiry;
    uint64_t least = least_ttl(&db->catalog), tick_s = least / EXPIRY_TICKS_A_TTL;
    tick_s = tick_s < EXPIRY_TICK_S_MIN ? EXPIRY_TICK_S_MIN : tick_s;
    tick_s = tick_s > EXPIRY_TICK_S_MAX ? EXPIRY_TICK_S_MAX : tick_s;
    uint64_t tick_ns = least == 0 ? 0 : tick_s * SECOND_NS;
    if (tick_ns == expiry->tick_ns || db->stopping) {
        return;
    }
    if (expiry->tick_ns != 0) {
        count_time(db);
    }
    expiry->tick_ns = tick_ns;
    expiry->rang_ns = db_now(db);
    expiry->timer.run = ring;
    if (tick_ns != 0) {
        arm(db);
    } else {
        db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &expiry->timer);
    }
}

void expiry_stop(struct ins_db *db) {
    db->runtime->timer_stop(db->runtime->context, INS_LANE_REQUEST, &db->expiry.timer);
}

uint64_t expiry_seconds(const struct ins_db *db) {
    const struct seen *seen = &db->catalog.seen;
    uint64_t now = db_now(db), since = db->expiry.rang_ns;
    uint64_t passed = db->expiry.tick_ns != 0 && now > since ? now - since : 0;
    return seen->seconds + (seen->rest_ns + passed + SECOND_NS - 1) / SECOND_NS;
}
