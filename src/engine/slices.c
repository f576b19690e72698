#include "engine/slices.h"

#include "base/assert.h"
#include "engine/operation.h"

static void post(struct ins_db *db) {
    if (!db->slices.posted) {
        db->slices.posted = true;
        db_run(db, INS_LANE_REQUEST, &db->slices.task);
    }
}

static struct operation *take(struct slices *slices) {
    struct operation *operation = slices->first;
    slices->first = operation->next_slice;
    slices->last = slices->first == NULL ? NULL : slices->last;
    operation->next_slice = NULL;
    return operation;
}

static void run(ins_task *task) {
    struct slices *slices = container_of(task, struct slices, task);
    struct ins_db *db = container_of(slices, struct ins_db, slices);
    uint64_t end_ns = db_now(db) + SLICES_NS;
    slices->posted = false;
    for (uint32_t steps = 0; slices->first != NULL && steps < SLICES_STEPS_MAX; steps++) {
        operation_run(take(slices)); /* it may add itself again, at the end, or be gone */
        if (db_now(db) >= end_ns) {
            break;
        }
    }
    if (slices->first != NULL) {
        post(db);
    }
}

void slices_init(struct slices *slices) {
    *slices = (struct slices){.task.run = run};
}

void slices_add(struct operation *operation) {
    struct slices *slices = &operation->db->slices;
    INS_ASSERT(operation->next_slice == NULL && operation != slices->last);
    *(slices->last == NULL ? &slices->first : &slices->last->next_slice) = operation;
    slices->last = operation;
    post(operation->db);
}
