#include "engine/walk_sweep.h"

#include "engine/names.h"

#define ISLANDS_A_STEP 1024u

/* The next island; *out_end: there is none. */
static ins_status open_next(struct walk_sweep *self, struct operation *operation,
                            ins_text collection, bool *out_end, ins_error *error) {
    const struct filter *filter;
    const struct payload_path *path;
    if (islands_walk_lost(&self->walk)) {
        return names_absent(collection, error);
    }
    struct island *island = islands_walk_next(&self->walk, &filter, &path);
    *out_end = island == NULL;
    if (island == NULL) {
        return INS_OK;
    }
    ins_status status = reader_open(&self->reader, &operation->db->reading, island,
                                    operation->db->reading.durable_lsn, &operation->pool,
                                    &operation->waiter, error);
    if (status != INS_OK) {
        return status;
    }
    uint64_t count;
    if (self->known != NULL && filter == NULL && reader_count_known(&self->reader, &count)) {
        *self->known += count;
        trace_place(reader_trace(&self->reader), TRACE_ALL_PLACES, INS_LOOK_COUNTED, NULL, count);
        reader_close(&self->reader);
        return INS_OK;
    }
    self->sweep = (struct sweep){.reader = &self->reader,
                                 .filter = filter,
                                 .tenant_path = path,
                                 .parser = operation->db->parser,
                                 .cost = self->sweep.cost};
    sweep_begin(&self->sweep);
    self->sweeping = true;
    return INS_OK;
}

ins_status walk_sweep_step(struct walk_sweep *self, struct operation *operation,
                           ins_text collection, sweep_match match, void *context,
                           ins_error *error) {
    self->sweep.cost = 0;
    if (!self->begun) {
        self->begun = true;
        if (account_must_queue(operation)) {
            return INS_AGAIN;
        }
    }
    for (uint32_t i = 0; i < ISLANDS_A_STEP && self->sweep.cost < STEP_ROWS; i++) {
        bool done = true;
        if (!self->sweeping) {
            ins_status status = open_next(self, operation, collection, &done, error);
            if (status != INS_OK || done) {
                return status;
            }
            continue;
        }
        self->sweep.match = match;
        self->sweep.context = context;
        uint64_t before = self->sweep.cost;
        ins_status status = sweep_step(&self->sweep, STEP_ROWS, &done, error);
        account_charge_scan(operation, self->sweep.cost - before, 0);
        if (status != INS_OK) {
            return status;
        }
        if (!done) {
            return INS_AGAIN; /* let others pass */
        }
        reader_close(&self->reader);
        self->sweeping = false;
    }
    return INS_AGAIN;
}

void walk_sweep_close(struct walk_sweep *self) {
    reader_close(&self->reader);
    islands_walk_close(&self->walk);
}
