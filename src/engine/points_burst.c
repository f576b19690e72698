#include "engine/points_burst.h"

#include "base/assert.h"
#include "engine/points_write.h"

/* ---- Steps of the look-ups, each for what the one before has brought ---- */

static bool has_home(const struct points_write *self) {
    return scope_has_islands(self->scope) && self->targets[0].payload.has_tenant;
}

static void fetch_bucket(struct points_write *self) {
    if (has_home(self)) {
        islands_prefetch_bucket(&self->write.operation.db->islands, self->scope,
                                self->targets[0].payload.tenant);
    }
}

static void fetch_island(struct points_write *self) {
    if (has_home(self)) {
        islands_prefetch_island(&self->write.operation.db->islands, self->scope,
                                self->targets[0].payload.tenant);
    }
}

static void fetch_name(struct points_write *self) {
    if (has_home(self)) {
        islands_prefetch_name(&self->write.operation.db->islands, self->scope,
                              self->targets[0].payload.tenant);
    }
}

static const struct island *home_of(const struct points_write *self) {
    return has_home(self) ? points_home(self, &self->targets[0]) : self->scope->common;
}

static void fetch_memtables(struct points_write *self) {
    const struct read_context *reading = &self->write.operation.db->reading;
    const struct island *home = home_of(self);
    for (uint32_t slot = 0; slot < 2 && home != NULL; slot++) {
        if (reading->generations[slot] != NULL) {
            memtable_prefetch_island(reading->generations[slot], home->mem[slot], home->incarnation,
                                     &self->targets[0].id);
        }
    }
}

static void fetch_rows(struct points_write *self) {
    const struct island *home = home_of(self), *directory = self->scope->directory;
    const ins_id *id = &self->targets[0].id;
    for (uint32_t slot = 0; slot < 2; slot++) {
        memtable_prefetch_row(directory == NULL ? NULL : directory->mem[slot], id);
        memtable_prefetch_row(home == NULL ? NULL : home->mem[slot], id);
    }
}

/* Where its row will be written: for one write while the one before it goes on, as it is more than
 * a core has under way for several. */
static void fetch_end(struct points_write *self) {
    const struct island *home = home_of(self);
    if (home != NULL) {
        uint32_t active = self->write.operation.db->reading.active_slot;
        const struct target *target = &self->targets[0];
        memtable_prefetch_end(home->mem[active], target->vector_bytes, target->payload.text.size);
    }
}

static void fetch_all(struct points_burst *burst) {
    static void (*const steps[])(struct points_write *) = {fetch_island, fetch_name,
                                                           fetch_memtables, fetch_rows};
    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        for (uint32_t i = 0; i < burst->count; i++) {
            steps[step](burst->items[i]);
        }
    }
}

/* ---- The burst ---- */

/* A completion that runs in here may start another operation, which runs what is left first: then
 * nothing is left for the loop below it. */
void points_burst_run(struct ins_db *db) {
    struct points_burst *burst = &db->burst;
    if (burst->count == 0) {
        return;
    }
    if (!burst->running && burst->count > 1) {
        fetch_all(burst);
        fetch_end(burst->items[0]);
    }
    burst->running = true;
    uint64_t now_ns = db_now(db);
    while (burst->next < burst->count) {
        struct operation *operation = &burst->items[burst->next++]->write.operation;
        operation->parked = false;
        if (burst->next < burst->count) {
            fetch_end(burst->items[burst->next]);
        }
        now_ns = operation_run_from(operation, now_ns); /* it may be gone afterwards */
    }
    burst->running = false;
    burst->count = 0;
    burst->next = 0;
}

static void run_task(ins_task *task) {
    struct points_burst *burst = container_of(task, struct points_burst, task);
    burst->posted = false;
    points_burst_run(container_of(burst, struct ins_db, burst));
}

void points_burst_init(struct points_burst *burst) {
    *burst = (struct points_burst){.task.run = run_task};
}

bool points_burst_add(struct points_write *self) {
    struct operation *operation = &self->write.operation;
    struct ins_db *db = operation->db;
    struct points_burst *burst = &db->burst;
    INS_ASSERT(self->target_count == 1);
    if (burst->count == POINTS_BURST_MAX) {
        points_burst_run(db);
    }
    if (burst->running) {
        return false;
    }
    INS_ASSERT(burst->count < POINTS_BURST_MAX);
    operation->parked = true;
    fetch_bucket(self);
    burst->items[burst->count++] = self;
    if (!burst->posted) {
        burst->posted = true;
        db_run(db, INS_LANE_REQUEST, &burst->task);
    }
    return true;
}
