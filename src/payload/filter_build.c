/* Compiling filters: check what came in, then lay it out for matching.
 *
 * Path: filter_validate bounds depth and number; filter_build copies each list, parses the paths
 * into one tree whose leaves are numbered fields, and sorts values and ids for searching.
 * In each list the conditions that need no payload come first, so that matching may stop early. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "payload/payload_private.h"

/* ---- Validation ---------------------------------------------------------------------------- */

enum list_kind { LIST_MUST, LIST_SHOULD, LIST_MUST_NOT, LIST_COUNT };

static const char *const list_names[LIST_COUNT] = {"must", "should", "must_not"};

static const ins_condition *source_list(const ins_filter *source, enum list_kind list,
                                        size_t *out_count) {
    switch (list) {
    case LIST_MUST:
        *out_count = source->must_count;
        return source->must;
    case LIST_SHOULD:
        *out_count = source->should_count;
        return source->should;
    case LIST_MUST_NOT:
        *out_count = source->must_not_count;
        return source->must_not;
    case LIST_COUNT:
        break;
    }
    INS_ASSERT(list < LIST_COUNT);
    return NULL;
}

static ins_status validate_key(const ins_condition *condition, ins_error *error) {
    struct payload_path path;
    return payload_path_parse(condition->key, NULL, &path, error);
}

static const char *fault_of_match(const ins_condition *condition) {
    if (condition->values == NULL && condition->value_count > 0) {
        return "a match without values";
    }
    for (size_t i = 0; i < condition->value_count; i++) {
        const ins_value *value = &condition->values[i];
        bool known = value->kind == INS_VALUE_TEXT || value->kind == INS_VALUE_INTEGER ||
                     value->kind == INS_VALUE_BOOL;
        if (!known || (value->kind == INS_VALUE_TEXT && value->text.data == NULL)) {
            return "a match value that is not a text, an integer or a bool";
        }
    }
    return NULL;
}

static ins_status validate_filter(const ins_filter *source, uint32_t depth, size_t *count,
                                  ins_error *error);

static ins_status validate_condition(const ins_condition *condition, const char *list, size_t index,
                                     uint32_t depth, size_t *count, ins_error *error) {
    const char *fault = NULL;
    switch (condition->kind) {
    case INS_MATCH_ANY:
        fault = fault_of_match(condition);
        break;
    case INS_RANGE:
        break;
    case INS_HAS_ID:
        fault = condition->ids == NULL && condition->id_count > 0 ? "has_id without ids" : NULL;
        break;
    case INS_NESTED_FILTER:
        if (condition->filter != NULL) {
            return validate_filter(condition->filter, depth + 1, count, error);
        }
        fault = "a nested filter that is absent";
        break;
    default:
        return ins_fail(error, INS_UNSUPPORTED, "filter %s[%zu]: a condition of unknown kind", list,
                        index);
    }
    if (fault != NULL) {
        return ins_fail(error, INS_INVALID, "filter %s[%zu]: %s", list, index, fault);
    }
    return condition->kind == INS_HAS_ID ? INS_OK : validate_key(condition, error);
}

static ins_status validate_filter(const ins_filter *source, uint32_t depth, size_t *count,
                                  ins_error *error) {
    if (depth > INS_FILTER_DEPTH_MAX) {
        return ins_fail(error, INS_INVALID, "filters are nested deeper than %d",
                        INS_FILTER_DEPTH_MAX);
    }
    for (enum list_kind list = LIST_MUST; list < LIST_COUNT; list++) {
        size_t list_count = 0;
        const ins_condition *items = source_list(source, list, &list_count);
        if (list_count > INS_FILTER_CONDITIONS_MAX - *count) {
            return ins_fail(error, INS_INVALID, "a filter of more than %d conditions",
                            INS_FILTER_CONDITIONS_MAX);
        }
        *count += list_count;
        if (items == NULL && list_count > 0) {
            return ins_fail(error, INS_INVALID, "filter %s: %zu conditions are absent",
                            list_names[list], list_count);
        }
        for (size_t i = 0; i < list_count; i++) {
            ins_status status =
                validate_condition(&items[i], list_names[list], i, depth, count, error);
            if (status != INS_OK) {
                return status;
            }
        }
    }
    return INS_OK;
}

ins_status filter_validate(const ins_filter *source, ins_error *error) {
    size_t count = 0;
    return validate_filter(source, 1, &count, error);
}

/* ---- Building ------------------------------------------------------------------------------ */

struct building {
    struct pool *pool;
    const struct payload_path *tenant_path; /* or NULL */
    struct filter *filter;
    ins_error *error;
};

bool filter_is_pin(const ins_condition *condition, const struct payload_path *tenant_path) {
    struct payload_path path;
    return tenant_path != NULL && condition->kind == INS_MATCH_ANY &&
           payload_path_parse(condition->key, NULL, &path, NULL) == INS_OK &&
           payload_path_equal(&path, tenant_path);
}

static ins_status build_field(struct building *building, const ins_condition *source,
                              struct filter_condition *out) {
    struct payload_path path;
    ins_status status = payload_path_parse(source->key, building->pool, &path, building->error);
    if (status != INS_OK) {
        return status;
    }
    struct path_node *node = path_tree_add(&building->filter->paths, &path, building->pool);
    if (node == NULL) {
        return payload_no_memory(building->error, "a filter");
    }
    if (node->field == PATH_FIELD_NONE) {
        node->field = building->filter->field_count++;
    }
    out->field = node->field;
    out->is_tenant =
        building->tenant_path != NULL && payload_path_equal(&path, building->tenant_path);
    building->filter->needs_payload = true; /* rows of the common island have no tenant */
    return INS_OK;
}

static int integer_order(const void *left, const void *right) {
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

static bool add_text(struct building *building, struct value_set *texts, ins_text text) {
    if (text.size > INS_PAYLOAD_BYTES_MAX) {
        return true; /* equals no value of any payload */
    }
    if (text.size > 0) {
        text.data = pool_copy(building->pool, text.data, text.size);
    }
    value_set_add(texts, &text);
    return text.data != NULL;
}

static ins_status build_match(struct building *building, const ins_condition *source,
                              struct filter_values *out) {
    size_t text_count = 0;
    size_t integer_count = 0;
    for (size_t i = 0; i < source->value_count; i++) {
        text_count += source->values[i].kind == INS_VALUE_TEXT;
        integer_count += source->values[i].kind == INS_VALUE_INTEGER;
    }
    bool good = value_set_init(&out->texts, building->pool, text_count, sizeof(ins_text)) &&
                value_set_init(&out->integers, building->pool, integer_count, sizeof(int64_t));
    for (size_t i = 0; good && i < source->value_count; i++) {
        const ins_value *value = &source->values[i];
        switch (value->kind) {
        case INS_VALUE_TEXT:
            good = add_text(building, &out->texts, value->text);
            break;
        case INS_VALUE_INTEGER:
            value_set_add(&out->integers, &value->integer);
            break;
        case INS_VALUE_BOOL:
            out->match_true = out->match_true || value->boolean;
            out->match_false = out->match_false || !value->boolean;
            break;
        }
    }
    if (!good) {
        return payload_no_memory(building->error, "a filter's values");
    }
    value_set_sort(&out->texts, text_order);
    value_set_sort(&out->integers, integer_order);
    return INS_OK;
}

static int id_order(const void *left, const void *right) {
    return id_compare(left, right);
}

static ins_status build_ids(struct building *building, const ins_condition *source,
                            struct value_set *out) {
    if (!value_set_init(out, building->pool, source->id_count, sizeof(ins_id))) {
        return payload_no_memory(building->error, "a filter's ids");
    }
    for (size_t i = 0; i < source->id_count; i++) {
        value_set_add(out, &source->ids[i]);
    }
    value_set_sort(out, id_order);
    return INS_OK;
}

static ins_status build_group(struct building *building, const ins_filter *source, bool drop_pins,
                              struct filter_group *out);

static ins_status build_condition(struct building *building, const ins_condition *source,
                                  bool drop_pins, struct filter_condition *out) {
    switch (source->kind) {
    case INS_HAS_ID:
        out->kind = FILTER_IDS;
        return build_ids(building, source, &out->as.ids);
    case INS_NESTED_FILTER:
        out->kind = FILTER_GROUP;
        return build_group(building, source->filter, drop_pins, &out->as.group);
    case INS_MATCH_ANY:
    case INS_RANGE:
        break;
    }
    ins_status status = build_field(building, source, out);
    if (status == INS_OK && source->kind == INS_MATCH_ANY) {
        out->kind = FILTER_MATCH;
        return build_match(building, source, &out->as.match);
    }
    out->kind = FILTER_RANGE;
    out->as.range = (struct filter_range){
        .has_gt = source->has_gt,
        .has_gte = source->has_gte,
        .has_lt = source->has_lt,
        .has_lte = source->has_lte,
        .gt = source->gt,
        .gte = source->gte,
        .lt = source->lt,
        .lte = source->lte,
    };
    return status;
}

static bool group_is_empty(const struct filter_group *group) {
    return group->must.count + group->should.count + group->must_not.count == 0;
}

/* Conditions that never look at the payload. */
static bool is_cheap(const struct filter_condition *condition) {
    return condition->kind == FILTER_IDS;
}

/* Copies a list, the cheap conditions to the front, without those that `drop_pins` leaves out. */
static ins_status build_list(struct building *building, const ins_condition *source, size_t count,
                             bool drop_pins, struct filter_list *out) {
    *out = (struct filter_list){.items = NULL};
    if (count == 0) {
        return INS_OK;
    }
    struct filter_condition *items = pool_alloc_zero(building->pool, count * sizeof(*items));
    if (items == NULL) {
        return payload_no_memory(building->error, "a filter");
    }
    for (size_t i = 0; i < count; i++) {
        if (drop_pins && filter_is_pin(&source[i], building->tenant_path)) {
            continue;
        }
        struct filter_condition built = {.kind = FILTER_GROUP};
        ins_status status = build_condition(building, &source[i], drop_pins, &built);
        if (status != INS_OK) {
            return status;
        }
        if (drop_pins && built.kind == FILTER_GROUP && group_is_empty(&built.as.group)) {
            continue; /* held nothing but pins */
        }
        items[out->count] = built;
        if (is_cheap(&built)) {
            items[out->count] = items[out->cheap_count];
            items[out->cheap_count++] = built;
        }
        out->count++;
    }
    out->items = items;
    return INS_OK;
}
_Static_assert(INS_FILTER_CONDITIONS_MAX * sizeof(struct filter_condition) <=
                   INS_BLOCK_BYTES_MAX - 64,
               "a list is one allocation");

static ins_status build_group(struct building *building, const ins_filter *source, bool drop_pins,
                              struct filter_group *out) {
    ins_status status =
        build_list(building, source->must, source->must_count, drop_pins, &out->must);
    if (status == INS_OK) {
        status = build_list(building, source->should, source->should_count, false, &out->should);
    }
    if (status == INS_OK) {
        status =
            build_list(building, source->must_not, source->must_not_count, false, &out->must_not);
    }
    return status;
}

ins_status filter_build(struct pool *pool, const ins_filter *source,
                        const struct payload_path *tenant_path, bool without_pins,
                        struct filter **out_filter, ins_error *error) {
    struct filter *filter = pool_alloc_zero(pool, sizeof(*filter));
    if (filter == NULL) {
        return payload_no_memory(error, "a filter");
    }
    filter->paths.field = PATH_FIELD_NONE;
    struct building building = {
        .pool = pool, .tenant_path = tenant_path, .filter = filter, .error = error};
    ins_status status = build_group(&building, source, without_pins, &filter->root);
    if (status != INS_OK) {
        return status;
    }
    if (without_pins && group_is_empty(&filter->root)) {
        *out_filter = NULL;
        return INS_OK;
    }
    filter->values = pool_alloc(pool, (filter->field_count + 1) * sizeof(ins_text));
    if (filter->values == NULL) {
        return payload_no_memory(error, "a filter");
    }
    *out_filter = filter;
    return INS_OK;
}

ins_status filter_compile(struct pool *pool, const ins_filter *source,
                          const struct payload_path *tenant_path, struct filter **out_filter,
                          ins_error *error) {
    INS_ASSERT(pool != NULL);
    INS_ASSERT(source != NULL);
    INS_ASSERT(out_filter != NULL);

    ins_status status = filter_validate(source, error);
    if (status != INS_OK) {
        return status;
    }
    return filter_build(pool, source, tenant_path, false, out_filter, error);
}
