/* Answers of writes: taken by the model at their LSN, or refused for a reason. */
#include "sim.h"

/* What a failing store may do to an answer, or memory that is used up. */
bool sim_is_fault(const struct sim *sim, ins_status status) {
    if (sim->config.memory &&
        (status == INS_EXHAUSTED || status == INS_TOO_LARGE || status == INS_INVALID)) {
        return true;
    }
    return sim->errors_allowed && (status == INS_UNAVAILABLE || status == INS_FULL ||
                                   status == INS_IO || status == INS_CORRUPT);
}

/* A change was refused since a point was not there: it is so, or was so when it looked, or a write
 * without an answer may have made it so. */
static bool may_miss_point(const struct sim *sim, const struct sim_slot *slot) {
    const struct model_collection *collection = sim->model.current[slot->write.name];
    bool may = slot->write.kind < WRITE_SET_WHO ? false : collection->loose;
    for (uint32_t i = 0; i < SIM_SLOTS && slot->write.kind >= WRITE_SET_WHO; i++) {
        const struct sim_slot *other = &sim->slots[i];
        may |= other != slot && other->busy && other->is_write &&
               other->write.name == slot->write.name;
    }
    for (uint32_t i = 0; i < slot->write.count && slot->write.kind >= WRITE_SET_WHO; i++) {
        const struct model_version *versions;
        bool absent;
        uint32_t count = model_window(&collection->points[slot->write.ids[i]], slot->from_lsn,
                                      sim->model.lsn, &versions, &absent);
        may |= absent;
        for (uint32_t j = 0; j < count; j++) {
            may |= !versions[j].live;
        }
    }
    return may;
}

static bool write_error_allowed(const struct sim *sim, const struct sim_slot *slot) {
    uint32_t name = slot->write.name;
    bool changing = sim->ddl_busy[name] > (slot->write.kind <= WRITE_DROP) ||
                    sim->ddl_count[name] != slot->ddl_from;
    ins_status status = slot->call.status;
    if (status == INS_EXHAUSTED || status == INS_TOO_LARGE) {
        return slot->call.lsn == 0 || model_is_long(slot->write.kind);
    }
    if (status == INS_NOT_FOUND) {
        return changing || sim->model.current[name] == NULL || may_miss_point(sim, slot);
    }
    if (status == INS_INVALID) {
        return changing; /* of another shape than the writer believed */
    }
    if (status == INS_EXISTS) {
        return changing || sim->model.current[name] != NULL;
    }
    return sim_is_fault(sim, status);
}

void sim_note_unsure(struct sim *sim, const struct sim_slot *slot) {
    if (sim->unsure_count == SIM_UNSURE) {
        sim_fail(sim, "more writes failed with an LSN than can have been in flight");
    }
    sim->unsure[sim->unsure_count] = slot->write;
    sim->unsure_lsn[sim->unsure_count++] = slot->call.lsn;
}

/* A delete by filter may have done all before its last record, and others have written since. */
static void filter_answered(struct sim *sim, const struct sim_slot *slot) {
    uint64_t lsn = slot->call.lsn;
    for (uint32_t i = 0; i < SIM_SLOTS && lsn <= sim->model.lsn; i++) {
        struct sim_slot *read = &sim->slots[i];
        bool same = read->busy && !read->is_write &&
                    read->collection == sim->model.current[slot->write.name];
        if (same && read->from_lsn > slot->from_lsn) {
            read->from_lsn = slot->from_lsn;
        }
    }
    model_apply_filter(&sim->model, &slot->write, slot->from_lsn,
                       lsn > sim->model.lsn ? lsn : sim->model.lsn);
}

static void batch_answered(struct sim *sim, const struct sim_slot *slot) {
    for (uint32_t part = 0; part < slot->write.parts; part++) {
        const char *reason;
        if (!model_apply_part(&sim->model, &slot->write, part, slot->call.lsns[part], &reason)) {
            sim_fail(sim, "update %u of a batch to %s was acknowledged at LSN %llu, but %s", part,
                     sim_name(slot->write.name), (unsigned long long)slot->call.lsns[part], reason);
        }
    }
}

static void write_answered(struct sim *sim, struct sim_slot *slot) {
    const struct model_write *write = &slot->write;
    const char *reason;
    sim->counts.acknowledged++;
    if (write->kind == WRITE_BATCH) {
        batch_answered(sim, slot);
        return;
    }
    if (model_is_long(write->kind) && sim->model.current[write->name] != NULL) {
        filter_answered(sim, slot);
        return;
    }
    if (write->kind == WRITE_DROP && !slot->call.found) {
        const struct model_collection *there = sim->model.current[write->name];
        if (there != NULL && there->create_lsn <= slot->call.lsn) {
            sim_fail(sim, "drop of %s: not found, but it is there", sim_name(write->name));
        }
    } else if (!model_apply(&sim->model, write, slot->call.lsn, &reason)) {
        sim_fail(sim, "write %d to %s was acknowledged at LSN %llu, but %s", (int)write->kind,
                 sim_name(write->name), (unsigned long long)slot->call.lsn, reason);
    }
}

void sim_check_write(struct sim *sim, struct sim_slot *slot) {
    const ins_call *call = &slot->call;
    struct model_collection *collection = sim->model.current[slot->write.name];
    bool by_filter = model_is_long(slot->write.kind);
    /* Of a batch that failed the updates before stand, whether or not there is an LSN. */
    bool nothing = call->lsn == 0 && slot->write.kind != WRITE_BATCH;
    if (by_filter && collection != NULL && (call->status == INS_OK || nothing)) {
        collection->loose = false;
    }
    if (call->status == INS_OK) {
        write_answered(sim, slot);
        return;
    }
    if (by_filter && call->lsn > sim->model.lsn) {
        ins_stats stats;
        ins_db_stats(sim->db, &stats);
        uint64_t piece = call->lsn < stats.lsn_durable ? call->lsn : stats.lsn_durable;
        sim->model.lsn = piece > sim->model.lsn ? piece : sim->model.lsn;
    }
    sim->counts.refused++;
    if (!write_error_allowed(sim, slot)) {
        sim_fail(sim, "write %d to %s: %d %s", (int)slot->write.kind, sim_name(slot->write.name),
                 (int)call->status, call->error.message);
    }
    sim->stopped = sim->stopped || call->status == INS_UNAVAILABLE;
    bool vector = slot->write.kind == WRITE_VECTOR_ADD || slot->write.kind == WRITE_VECTOR_DROP;
    if (collection != NULL && vector && call->lsn != 0) {
        collection->reshaping = true;
    }
    if (call->lsn != 0 || !nothing) {
        sim->counts.uncertain++;
        sim_note_unsure(sim, slot);
    }
}
