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

struct pins {
    struct pool *pool;
    const struct payload_path *tenant_path;
    bool uuid_tenant;
    bool pinned;
    ins_text *values; /* sorted, each once */
    size_t count;
    bool no_memory;
};

/* The island's name that a value means, in the pool. False when no island can have it. */
static bool island_name(struct pins *pins, const ins_value *value, ins_text *out) {
    if (value->kind != INS_VALUE_TEXT || value->text.size > INS_TENANT_BYTES_MAX) {
        return false;
    }
    char uuid_text[ID_TEXT_MAX];
    ins_text name = value->text;
    if (pins->uuid_tenant) {
        ins_id uuid;
        if (!id_parse_uuid(name.data, name.size, &uuid)) {
            return false;
        }
        name = (ins_text){uuid_text, id_format(&uuid, uuid_text)};
    }
    char *copy = pool_alloc(pins->pool, name.size + 1);
    if (copy == NULL) {
        pins->no_memory = true;
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

static void add_pin(struct pins *pins, const ins_condition *condition) {
    ins_text *values = pool_alloc(pins->pool, (condition->value_count + 1) * sizeof(*values));
    if (values == NULL) {
        pins->no_memory = true;
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < condition->value_count; i++) {
        count += island_name(pins, &condition->values[i], &values[count]);
    }
    count = sort_unique(values, count);
    if (pins->pinned) {
        pins->count = intersect(pins->values, pins->count, values, count);
    } else {
        pins->pinned = true;
        pins->values = values;
        pins->count = count;
    }
}

/* Recurses at most INS_FILTER_DEPTH_MAX levels: the filter was validated. False when a condition
 * has too many values. */
static bool collect_pins(struct pins *pins, const ins_filter *source) {
    bool few = true;
    for (size_t i = 0; few && i < source->must_count; i++) {
        const ins_condition *condition = &source->must[i];
        if (condition->kind == INS_NESTED_FILTER) {
            few = collect_pins(pins, condition->filter);
        } else if (filter_is_pin(condition, pins->tenant_path)) {
            few = condition->value_count <= PIN_VALUES_MAX;
            if (few) {
                add_pin(pins, condition);
            }
        }
    }
    return few;
}

ins_status filter_pins(struct pool *pool, const ins_filter *source,
                       const struct payload_path *tenant_path, bool uuid_tenant, bool *out_pinned,
                       ins_text **out_values, size_t *out_count, struct filter **out_residual,
                       ins_error *error) {
    INS_ASSERT(pool != NULL);
    INS_ASSERT(source != NULL);
    INS_ASSERT(tenant_path != NULL);

    ins_status status = filter_validate(source, error);
    if (status != INS_OK) {
        return status;
    }
    struct pins pins = {.pool = pool, .tenant_path = tenant_path, .uuid_tenant = uuid_tenant};
    bool pinned = collect_pins(&pins, source) && pins.pinned;
    if (pins.no_memory) {
        return payload_no_memory(error, "a filter's tenants");
    }
    if (!pinned) {
        *out_pinned = false;
        return INS_OK;
    }
    struct filter *residual = NULL;
    status = filter_build(pool, source, tenant_path, true, &residual, error);
    if (status != INS_OK) {
        return status;
    }
    *out_pinned = true;
    *out_values = pins.values;
    *out_count = pins.count;
    *out_residual = residual;
    return INS_OK;
}
