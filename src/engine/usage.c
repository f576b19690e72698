/* What a tenant has and did: sizes of its islands and the counters of its account, then its points
 * counted one by one, in slices. */
#include "base/status.h"
#include "engine/tenant_about.h"
#include "engine/walk_sweep.h"

#define ISLANDS_A_STEP 2048u

struct usage_read {
    struct operation operation;
    const ins_tenants_request *request;
    struct tenant_about about;
    struct scopes scopes;
    struct islands_walk sizing;
    struct walk_sweep counting;
    struct tenant_sizes sizes;
    ins_tenant_usage usage;
    enum { USAGE_BEGIN, USAGE_SIZES, USAGE_COUNT } stage;
};

static void usage_close(struct operation *operation) {
    struct usage_read *self = container_of(operation, struct usage_read, operation);
    islands_walk_close(&self->sizing);
    walk_sweep_close(&self->counting);
    scopes_close(&self->scopes);
}

static void take_counts(struct usage_read *self, const struct account_name *name) {
    const struct ins_db *db = self->operation.db;
    const struct account *account = account_find(&db->accounts, name);
    if (account == NULL) {
        return;
    }
    const struct account_counts *counts = &account->counts;
    self->usage.active = true;
    self->usage.since_s = (db_now(db) - account->opened_ns) / 1000000000u;
    self->usage.queries = counts->queries;
    self->usage.writes = counts->writes;
    self->usage.points_written = counts->points;
    self->usage.rows_scanned = counts->rows;
    self->usage.bytes_scanned = counts->bytes;
    self->usage.time_ns = counts->time_ns;
    self->usage.refused = counts->refused;
    self->usage.background_ns = counts->work_ns;
    self->usage.background_bytes = counts->work_bytes;
}

static ins_status usage_begin(struct usage_read *self, ins_error *error) {
    struct operation *operation = &self->operation;
    struct account_name name;
    operation->within = true;
    ins_status status = quota_name(operation->db, self->request, false, &name, error);
    if (status == INS_OK) {
        take_counts(self, &name);
        status = tenant_about_init(&self->about, &operation->pool, self->request, &name, error);
    }
    if (status == INS_OK) {
        status = scopes_open(&self->scopes, operation, &self->about.points, error);
    }
    if (status == INS_OK) {
        status = islands_walk_init(&self->sizing, operation, &self->scopes,
                                   self->about.points.filter, error);
    }
    if (status == INS_OK) {
        status = islands_walk_init(&self->counting.walk, operation, &self->scopes,
                                   self->about.points.filter, error);
    }
    self->counting.known = &self->usage.points;
    self->stage = USAGE_SIZES;
    return status;
}

/* INS_AGAIN: there are more islands. */
static ins_status add_sizes(struct usage_read *self) {
    for (uint32_t i = 0; i < ISLANDS_A_STEP; i++) {
        const struct filter *filter;
        const struct payload_path *path;
        struct island *island = islands_walk_next(&self->sizing, &filter, &path);
        if (island == NULL) {
            self->stage = USAGE_COUNT;
            return INS_OK;
        }
        if (!self->about.is_tenant ||
            island_is_tenant(island)) { /* else it may hold a few of its rows */
            tenant_sizes_add(&self->sizes, island);
        }
    }
    return INS_AGAIN;
}

static ins_status count_one(void *context, const ins_id *id, ins_error *error) {
    struct usage_read *self = context;
    (void)id;
    (void)error;
    self->usage.points++;
    return INS_OK;
}

static ins_status usage_end(struct usage_read *self) {
    const struct tenant_sizes *sizes = &self->sizes;
    ins_tenant_usage *usage = &self->usage;
    uint64_t disk_rows = sizes->points_max - sizes->memory_rows;
    uint64_t dead = sizes->dead_rows_max < disk_rows ? sizes->dead_rows_max : disk_rows;
    usage->points_max = sizes->points_max;
    usage->memory_rows = sizes->memory_rows;
    usage->runs = sizes->runs;
    usage->disk_bytes = sizes->disk_bytes;
    usage->live_bytes_min = disk_rows == 0
                                ? 0
                                : (uint64_t)((double)sizes->disk_bytes *
                                             (double)(disk_rows - dead) / (double)disk_rows);
    self->operation.call->usage = usage;
    return INS_OK;
}

static ins_status usage_step(struct operation *operation, ins_error *error) {
    struct usage_read *self = container_of(operation, struct usage_read, operation);
    ins_status status = self->stage == USAGE_BEGIN ? usage_begin(self, error) : INS_OK;
    if (status == INS_OK && self->stage == USAGE_SIZES) {
        status = add_sizes(self);
    }
    if (status == INS_OK) {
        status = walk_sweep_step(&self->counting, operation, self->request->collection, count_one,
                                 self, error);
    }
    return status == INS_OK ? usage_end(self) : status;
}

void ins_tenant_usage_get(ins_db *db, const void *tenants_request, ins_call *call) {
    struct usage_read *self =
        operation_create(db, call, sizeof(*self), usage_step, usage_close, true);
    if (self != NULL) {
        self->request = tenants_request;
        operation_run(&self->operation);
    }
}
