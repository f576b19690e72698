#include "engine/points_own.h"

#include <string.h>

#include "base/id.h"
#include "base/status.h"
#include "engine/text.h"

/* Bytes of a text that a message has of it: never half of a character. */
static int shown(ins_text text) {
    size_t size = text.size < 64 ? text.size : 64;
    while (size != text.size && size != 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80) {
        size--;
    }
    return (int)size;
}

ins_status own_check_settings(const struct schema *old, bool sharded, const struct schema *next,
                              ins_error *error) {
    if (old != NULL && old->ids_by_tenant != next->ids_by_tenant) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: insula.point_ids: a collection keeps what it was made with");
    }
    return sharded && next->ids_by_tenant
               ? ins_fail(error, INS_INVALID,
                          "Wrong input: insula.point_ids: `tenant` is not for collections with "
                          "sharding_method custom, whose ids are within shard keys")
               : INS_OK;
}

/* ---- Whom ---- */

static ins_status unnamed(const struct scope *collection, ins_error *error) {
    const struct schema *schema = collection->schema;
    ins_text name = scope_name(collection);
    if (!schema->has_tenant_field) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: point ids of collection `%.*s` are within tenants "
                        "(insula.point_ids): make an index with is_tenant before its first point",
                        shown(name), name.data);
    }
    return ins_fail(error, INS_INVALID,
                    "Wrong input: point ids of collection `%.*s` are within tenants "
                    "(insula.point_ids): name one, by must: match of `%.*s` in the filter, or by "
                    "?tenant= where points are named by ids",
                    shown(name), name.data, shown(schema->tenant_text), schema->tenant_text.data);
}

ins_status own_check_walk(const struct islands_walk *walk, ins_text *out_tenant, ins_error *error) {
    const struct scope *collection = walk->scopes->collection;
    *out_tenant = (ins_text){0};
    if (!collection->schema->ids_by_tenant) {
        return INS_OK;
    }
    if (!walk->pinned || walk->value_count > 1) {
        return unnamed(collection, error);
    }
    if (walk->value_count == 1) {
        *out_tenant = walk->values[0];
    }
    return INS_OK;
}

ins_status own_name(const struct scope *collection, struct pool *pool, ins_text name, ins_text *out,
                    ins_error *error) {
    const struct schema *schema = collection->schema;
    char text[ID_TEXT_MAX];
    ins_id uuid;
    *out = name;
    if (!schema->ids_by_tenant) {
        ins_text shown_name = scope_name(collection);
        return name.data == NULL
                   ? INS_OK
                   : ins_fail(error, INS_INVALID,
                              "Wrong input: tenant: point ids of collection `%.*s` are not within "
                              "tenants (insula.point_ids)",
                              shown(shown_name), shown_name.data);
    }
    if (name.data == NULL || !schema->has_tenant_field) {
        return unnamed(collection, error);
    }
    if (name.size > INS_TENANT_BYTES_MAX) {
        return ins_fail(error, INS_INVALID, "Wrong input: tenant: %zu bytes, the limit is %u",
                        name.size, INS_TENANT_BYTES_MAX);
    }
    if (!schema->tenant_is_uuid) {
        return INS_OK;
    }
    if (!id_parse_uuid(name.data, name.size, &uuid)) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: tenant: `%.*s` is no UUID, as the values of `%.*s` are",
                        shown(name), name.data, shown(schema->tenant_text),
                        schema->tenant_text.data);
    }
    size_t size = id_format(&uuid, text);
    *out = text_copy(pool, (ins_text){.data = text, .size = size});
    return out->data == NULL ? ins_fail(error, INS_FULL, "no memory for a tenant's name") : INS_OK;
}

/* ---- Writes ---- */

/* Of a collection's only scope: one with such ids has no shard keys. */
static const struct scope *collection_of(const struct points_write *self) {
    return self->scope->collection != NULL ? self->scope->collection : self->scope;
}

static ins_status check_point(const struct points_write *self, const struct target *target,
                              ins_error *error) {
    char id[ID_TEXT_MAX];
    ins_text field = self->scope->schema->tenant_text, own = self->tenant;
    (void)id_format(&target->id, id);
    if (!target->payload.has_tenant) {
        return ins_fail(error, INS_INVALID,
                        "Wrong input: point %s, payload: its `%.*s` forms no tenant, and point ids "
                        "are within tenants (insula.point_ids)",
                        id, shown(field), field.data);
    }
    return own.data == NULL || text_equal(own, target->payload.tenant)
               ? INS_OK
               : ins_fail(error, INS_INVALID,
                          "Wrong input: point %s, payload: its `%.*s` is not ?tenant=%.*s", id,
                          shown(field), field.data, shown(own), own.data);
}

ins_status own_check(struct points_write *self, ins_error *error) {
    const struct scope *collection = collection_of(self);
    const struct schema *schema = collection->schema;
    struct pool *pool = &self->write.operation.pool;
    bool upsert = self->kind == POINTS_UPSERT;
    ins_text name = self->request->tenant;
    ins_status status = INS_OK;
    if (self->target_count == 0 || self->context.unless_newer != 0) {
        return INS_OK; /* by filter: its points' island is known */
    }
    if (!upsert || name.data != NULL || !schema->has_tenant_field) {
        status = own_name(collection, pool, name, &self->tenant, error);
    }
    for (size_t i = 0;
         status == INS_OK && upsert && schema->ids_by_tenant && i < self->target_count; i++) {
        status = check_point(self, &self->targets[i], error);
    }
    return status;
}

void own_locate(struct points_write *self) {
    const struct islands *islands = &self->write.operation.db->islands;
    const struct island *island = NULL;
    if (self->tenant.data != NULL) {
        island = islands_find_newest(islands, self->scope, self->tenant);
    }
    uint64_t given = self->context.island != 0 ? self->context.island
                     : island != NULL          ? island->incarnation
                                               : 0;
    for (size_t i = 0; i < self->target_count; i++) {
        struct target *target = &self->targets[i];
        if (self->kind == POINTS_UPSERT) {
            const struct island *home = points_home(self, target);
            target->candidate = home != NULL ? home->incarnation : 0;
        } else {
            target->candidate = given;
        }
        target->located = true;
    }
}

ins_status own_check_home(const struct points_write *self, const struct target *target,
                          const struct island *old, const struct island *home, ins_error *error) {
    char id[ID_TEXT_MAX];
    ins_text field = self->scope->schema->tenant_text;
    if (!self->scope->schema->ids_by_tenant ||
        (target->payload.has_tenant && (old == NULL || home == old))) {
        return INS_OK;
    }
    (void)id_format(&target->id, id);
    return ins_fail(error, INS_INVALID,
                    "Wrong input: point %s: its `%.*s` cannot be changed or taken away: point ids "
                    "are within tenants (insula.point_ids); delete it and put it anew",
                    id, shown(field), field.data);
}

/* ---- The same id several times ---- */

static int order_tenants(const struct target *left, const struct target *right) {
    ins_text a = left->payload.tenant, b = right->payload.tenant;
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size == 0 ? 0 : memcmp(a.data, b.data, a.size);
}

bool own_same(const struct target *left, const struct target *right) {
    return id_equal(&left->id, &right->id) && order_tenants(left, right) == 0;
}

int own_order(const void *left, const void *right) {
    const struct target *a = left, *b = right;
    int order = id_compare(&a->id, &b->id);
    order = order != 0 ? order : order_tenants(a, b);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}
