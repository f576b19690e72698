/* Erasure as users see it: a pass now (tidy.h), and whether what a receipt is about is gone. */
#include "base/status.h"
#include "engine/write.h"

static ins_status erase_step(struct operation *operation, ins_error *error) {
    ins_status status = write_check_open(operation->db, error);
    if (status == INS_OK) {
        tidy_erase_now(operation->db);
    }
    return status;
}

void ins_erase(ins_db *db, const void *unused, ins_call *call) {
    (void)unused;
    struct operation *operation =
        operation_create(db, call, sizeof(*operation), erase_step, NULL, false);
    if (operation != NULL) {
        operation_run(operation);
    }
}

struct erasure_read {
    struct operation operation;
    const ins_erasure_request *request;
};

static ins_status get_step(struct operation *operation, ins_error *error) {
    const struct erasure_read *self = container_of(operation, struct erasure_read, operation);
    const struct ins_db *db = operation->db;
    uint64_t lsn = self->request->lsn;
    uint64_t after_ns = db->options.erase_after_ns;
    if (lsn > db->reading.durable_lsn) {
        return ins_fail(error, INS_NOT_FOUND,
                        "Not found: No operation has the number %llu yet, the last one has %llu",
                        (unsigned long long)lsn, (unsigned long long)db->reading.durable_lsn);
    }
    operation->call->found = lsn <= db->tidy.erased_lsn;
    operation->call->lsn = db->tidy.erased_lsn;
    operation->call->count = (after_ns != 0 ? after_ns : ERASE_AFTER_NS_DEFAULT) / 1000000000u;
    return INS_OK;
}

void ins_erasure_get(ins_db *db, const void *erasure_request, ins_call *call) {
    struct erasure_read *self = operation_create(db, call, sizeof(*self), get_step, NULL, true);
    if (self != NULL) {
        self->request = erasure_request;
        operation_run(&self->operation);
    }
}
