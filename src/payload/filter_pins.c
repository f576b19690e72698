/* Which tenants a filter is bound to.
 *
 * A match on the tenant field that every hit must pass names all islands that can hold hits (rows
 * whose field is an array, a number or too long live in the common island, which is read anyway).
 * Such conditions stand in the top-level must, or in the must of a filter nested there. Several of
 * them are intersected. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "payload/payload_private.h"

/* Of one condition. Above it the filter is not pinned: all islands are read, which is slower but
 * as right. */
#define PIN_VALUES_MAX 65536u

/* The island's name that a value means, in the pool. False when no island can have it. */
static bool island_name(struct filter_pinning *pinning, struct pool *pool, const ins_value *value,
                        ins_text *out) {
    if (value->kind != INS_VALUE_TEXT || value->text.size > INS_TENANT_BYTES_MAX) {
        return false;
    }
    char uuid_text[ID_TEXT_MAX];
    ins_text name = value->text;
    if (pinning->uuid_tenant) {
        ins_id uuid;
        if (!id_parse_uuid(name.data, name.size, &uuid)) {
            return false;
        }
        name = (ins_text){uuid_text, id_format(&uuid, uuid_text)};
    }
    char *copy = pool_alloc(pool, name.size + 1);
    if (copy == NULL) {
        pinning->no_memory = true;
        return false;
    }
    memcpy(copy, name.data, name.size);
    *out = (ins_text){copy, name.size};
    return true;
}

static size_t sort_unique(ins_text *values, size_t count) {
    qsort(values, count, sizeof(*values), text_order);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || text_order(&values[kept - 1], &values[i]) != 0) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

/* Keeps of left[left_count] what is in right[right_count] too; both sorted. */
static size_t intersect(ins_text *left, size_t left_count, const ins_text *right,
                        size_t right_count) {
    size_t kept = 0;
    size_t j = 0;
    for (size_t i = 0; i < left_count; i++) {
        while (j < right_count && text_order(&right[j], &left[i]) < 0) {
            j++;
        }
        if (j < right_count && text_order(&right[j], &left[i]) == 0) {
            left[kept++] = left[i];
        }
    }
    return kept;
}

void filter_pin_add(struct filter_pinning *pinning, struct pool *pool,
                    const ins_condition *condition) {
    if (condition->value_count > PIN_VALUES_MAX || pinning->too_many) {
        pinning->too_many = true;
        return;
    }
    ins_text *values = pool_alloc(pool, (condition->value_count + 1) * sizeof(*values));
    if (values == NULL) {
        pinning->no_memory = true;
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < condition->value_count; i++) {
        count += island_name(pinning, pool, &condition->values[i], &values[count]);
    }
    if (count > 1) {
        count = sort_unique(values, count);
    }
    if (pinning->pinned) {
        pinning->count = intersect(pinning->values, pinning->count, values, count);
    } else {
        pinning->pinned = true;
        pinning->values = values;
        pinning->count = count;
    }
}

ins_status filter_pins(struct pool *pool, const ins_filter *source,
                       const struct payload_path *tenant_path, bool uuid_tenant, bool *out_pinned,
                       ins_text **out_values, size_t *out_count, struct filter **out_residual,
                       ins_error *error) {
    INS_ASSERT(pool != NULL);
    INS_ASSERT(source != NULL);
    INS_ASSERT(tenant_path != NULL);

    struct filter_pinning pinning = {.uuid_tenant = uuid_tenant};
    struct filter *residual = NULL;
    ins_status status = filter_build(pool, source, tenant_path, &pinning, &residual, error);
    if (status != INS_OK) {
        return status;
    }
    if (pinning.no_memory) {
        return payload_no_memory(error, "a filter's tenants");
    }
    if (pinning.too_many) {
        pinning.pinned = false;
        status = filter_build(pool, source, tenant_path, NULL, &residual, error);
    }
    if (status != INS_OK) {
        return status;
    }
    *out_pinned = pinning.pinned;
    *out_residual = residual;
    if (pinning.pinned) {
        *out_values = pinning.values;
        *out_count = pinning.count;
    }
    return INS_OK;
}
