/* Whose points a write is about, and whether they may be written now. */
#include "engine/points_write.h"
#include "engine/text.h"

/* The tenant of a target: the one whose island gets its row, else the one that has it. */
static struct account_name target_account(const struct points_write *self,
                                          const struct target *target) {
    const struct scope *scope = self->scope;
    const struct scope *collection = scope->collection != NULL ? scope->collection : scope;
    if (!scope_has_islands(scope)) {
        return account_name_of(collection, scope);
    }
    if (target->fate == TARGET_PUT && target->payload.has_tenant) {
        return account_name_tenant(collection, target->payload.tenant);
    }
    const struct island *old =
        target->fate == TARGET_PUT && target->point != NULL && self->kind == POINTS_UPSERT
            ? NULL
            : islands_find_undropped(&self->write.operation.db->islands, target->candidate);
    return old != NULL && island_is_tenant(old)
               ? account_name_tenant(collection,
                                     island_newest_name(&self->write.operation.db->islands, old))
               : account_name_of(collection, scope);
}

/* It takes something out of points. */
static bool shrinks(enum points_kind kind) {
    return kind == POINTS_DELETE || kind == POINTS_DELETE_PAYLOAD || kind == POINTS_CLEAR_PAYLOAD ||
           kind == POINTS_DELETE_VECTORS;
}

static bool same(const struct account_name *left, const struct account_name *right) {
    return left->is_tenant == right->is_tenant &&
           (!left->is_tenant || text_equal(left->tenant, right->tenant));
}

/* The targets from `first` on that have one tenant; mostly all of them. */
static size_t next_group(const struct points_write *self, size_t first, struct account_name *out,
                         bool *out_adds) {
    size_t end = first;
    *out = target_account(self, &self->targets[first]);
    *out_adds = false;
    for (; end < self->target_count; end++) {
        struct account_name name = target_account(self, &self->targets[end]);
        if (!same(&name, out)) {
            break;
        }
        *out_adds = *out_adds || (self->targets[end].fate == TARGET_PUT && !shrinks(self->kind));
    }
    return end;
}

/* All targets from the first on have one tenant: its account is looked up once. */
static ins_status account_one(struct points_write *self, const struct account_name *name, bool adds,
                              bool asked, ins_error *error) {
    struct operation *operation = &self->write.operation;
    struct account *account = account_open(operation->db, name);
    ins_status status =
        asked ? INS_OK : account_check_write(operation->db, account, name, adds, error);
    if (status == INS_OK) {
        account_charge_write(operation, account, self->target_count);
    }
    return status;
}

ins_status points_account(struct points_write *self, ins_error *error) {
    struct operation *operation = &self->write.operation;
    struct account_name name;
    bool adds;
    ins_status status = INS_OK;
    if (scope_is_hidden(self->scope)) {
        return INS_OK; /* copies of points that were counted when they came */
    }
    bool asked = self->context.unless_newer != 0;
    if (self->target_count > 0 && next_group(self, 0, &name, &adds) == self->target_count) {
        return account_one(self, &name, adds, asked, error);
    }
    for (size_t i = 0; !asked && i < self->target_count && status == INS_OK;) {
        i = next_group(self, i, &name, &adds);
        struct account *account = account_open(operation->db, &name);
        status = account_check_write(operation->db, account, &name, adds, error);
    }
    for (size_t i = 0; i < self->target_count && status == INS_OK;) {
        size_t first = i;
        i = next_group(self, i, &name, &adds);
        account_charge_write(operation, account_open(operation->db, &name), i - first);
    }
    return status;
}
