#include "engine/tenant_about.h"

#include "base/status.h"
#include "engine/text.h"

static void about_field(struct tenant_about *about, struct pool *pool,
                        const struct scope *collection, ins_text value) {
    about->condition = (ins_condition){.kind = INS_MATCH_ANY,
                                       .key = text_copy(pool, collection->schema->tenant_text),
                                       .values = &about->value,
                                       .value_count = 1};
    about->value = (ins_value){.kind = INS_VALUE_TEXT, .text = value};
    about->filter = (ins_filter){.must = &about->condition, .must_count = 1};
    about->points.filter = &about->filter;
}

static void about_shard(struct tenant_about *about, const struct scope *shard, ins_text value) {
    about->key = scope_shard_key(shard);
    if (about->key.text.data != NULL) {
        about->key.text = value;
    }
    about->points.shard_keys = &about->key;
    about->points.shard_key_count = 1;
}

ins_status tenant_about_init(struct tenant_about *about, struct pool *pool,
                             const ins_tenants_request *request, const struct account_name *name,
                             ins_error *error) {
    ins_text value = {0};
    if (request->name.data != NULL) {
        value = text_copy(pool, request->name);
    }
    *about = (struct tenant_about){.points = {.collection = text_copy(pool, request->collection)},
                                   .is_tenant = name->is_tenant};
    if (name->is_tenant) {
        about_field(about, pool, name->collection, value);
    } else if (name->scope != NULL && name->scope != name->collection) {
        about_shard(about, name->scope, value);
    }
    bool copied = about->points.collection.data != NULL &&
                  (request->name.data == NULL || value.data != NULL) &&
                  (!name->is_tenant || about->condition.key.data != NULL);
    return copied ? INS_OK : ins_fail(error, INS_FULL, "no memory for the name of a tenant");
}
