/* Compiling filters: check what came in and lay it out for matching, in one pass.
 *
 * Path: filter_validate_counts bounds depth and number; then each list is copied, the keys of its
 * paths go into one tree whose leaves are numbered fields, values and ids are sorted for searching.
 * In each list the conditions that need no payload come first, so that matching may stop early. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "payload/payload_private.h"

struct building {
    struct pool *pool;
    const struct payload_path *tenant_path; /* or NULL */
    struct filter *filter;
    struct filter_scope *scope; /* of the object whose fields are named now */
    struct filter_pinning *pinning;
    uint32_t depth;
    size_t condition_count;
    ins_error *error;
};

static bool in_element(const struct building *building) {
    return building->scope != &building->filter->scope;
}

/* ---- Fields -------------------------------------------------------------------------------- */

/* The keys in front of the first place in an array are the tenant's path. */
static bool leads_to_tenant(const struct building *building, const struct payload_path *path) {
    struct payload_path keys = *path;
    keys.part_count = path->key_count;
    return building->tenant_path != NULL && !in_element(building) &&
           payload_path_equal(&keys, building->tenant_path);
}

static ins_status build_steps(const struct payload_path *path, struct pool *pool,
                              struct filter_field *out, ins_error *error) {
    out->step_count = path->part_count - path->key_count;
    if (out->step_count == 0) {
        return INS_OK;
    }
    struct filter_step *steps = pool_alloc(pool, out->step_count * sizeof(*steps));
    if (steps == NULL) {
        return payload_no_memory(error, "a filter");
    }
    for (uint32_t i = 0; i < out->step_count; i++) {
        ins_text part = path->parts[path->key_count + i];
        enum payload_part kind = (enum payload_part)path->kinds[path->key_count + i];
        steps[i] = (struct filter_step){.kind = kind, .key = part};
        if (kind == PART_INDEX) {
            INS_ASSERT(json_text_unsigned(part, &steps[i].index)); /* the path's parser saw to it */
        }
    }
    out->steps = steps;
    return INS_OK;
}

ins_status filter_field_build(struct filter_scope *scope, const struct payload_path *path,
                              struct pool *pool, struct filter_field *out, ins_error *error) {
    struct path_node *node = path_tree_add(&scope->paths, path, path->key_count, pool);
    if (node == NULL) {
        return payload_no_memory(error, "a filter");
    }
    if (node->field == PATH_FIELD_NONE) {
        node->field = scope->field_count++;
    }
    out->field = node->field;
    return build_steps(path, pool, out, error);
}

ins_status filter_scope_finish(struct filter_scope *scope, struct pool *pool, ins_error *error) {
    scope->values = pool_alloc(pool, (scope->field_count + 1) * sizeof(ins_text));
    return scope->values != NULL ? INS_OK : payload_no_memory(error, "a filter");
}

static ins_status build_field(struct building *building, const ins_condition *source,
                              struct filter_condition *out) {
    struct payload_path path;
    ins_text key = source->key;
    if (key.size > 0 && key.size <= INS_PAYLOAD_BYTES_MAX) {
        key.data = pool_copy(building->pool, key.data, key.size);
        if (key.data == NULL) {
            return payload_no_memory(building->error, "a filter");
        }
    }
    ins_status status = payload_path_parse(key, NULL, &path, building->error);
    if (status != INS_OK) {
        return status;
    }
    if (source->kind == INS_NESTED_ELEMENT && path.kinds[path.part_count - 1] == PART_ALL) {
        path.part_count--; /* "a[]" is "a" here: the elements of the array are looked at anyway */
    }
    out->is_tenant = leads_to_tenant(building, &path);
    building->filter->needs_payload = true; /* rows of the common island have no tenant */
    if (!in_element(building) && source->kind != INS_NESTED_ELEMENT) {
        out->probe = building->filter->probe_count++;
        out->key = key;
    }
    return filter_field_build(building->scope, &path, building->pool, &out->at, building->error);
}

/* ---- Values -------------------------------------------------------------------------------- */

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
    building->filter->needs_id = true;
    if (!value_set_init(out, building->pool, source->id_count, sizeof(ins_id))) {
        return payload_no_memory(building->error, "a filter's ids");
    }
    for (size_t i = 0; i < source->id_count; i++) {
        value_set_add(out, &source->ids[i]);
    }
    value_set_sort(out, id_order);
    return INS_OK;
}

static ins_status build_vector(struct building *building, const ins_condition *source,
                               struct filter_condition *out) {
    out->kind = FILTER_VECTOR;
    building->filter->needs_vectors = true;
    out->as.vector = (ins_text){"", 0};
    if (source->vector.size > 0) {
        out->as.vector.size = source->vector.size;
        out->as.vector.data = pool_copy(building->pool, source->vector.data, source->vector.size);
    }
    return out->as.vector.data != NULL ? INS_OK : payload_no_memory(building->error, "a filter");
}

/* ---- Conditions ---------------------------------------------------------------------------- */

static ins_status build_group(struct building *building, const ins_filter *source, bool drop_pins,
                              struct filter_group *out);

static ins_status build_element(struct building *building, const ins_condition *source,
                                struct filter_condition *out) {
    struct filter_element *element = pool_alloc_zero(building->pool, sizeof(*element));
    if (element == NULL) {
        return payload_no_memory(building->error, "a filter");
    }
    struct filter_scope *outside = building->scope;
    element->scope.paths.field = PATH_FIELD_NONE;
    building->scope = &element->scope;
    ins_status status = build_group(building, source->filter, false, &element->group);
    building->scope = outside;
    if (status == INS_OK) {
        status = filter_scope_finish(&element->scope, building->pool, building->error);
    }
    out->kind = FILTER_ELEMENT;
    out->as.element = element;
    return status;
}

/* A condition on the payload, whose field is built. */
static ins_status build_payload(struct building *building, const ins_condition *source,
                                struct filter_condition *out) {
    bool moments = false;
    ins_status status = INS_OK;
    switch (source->kind) {
    case INS_MATCH_ANY:
    case INS_MATCH_EXCEPT:
        out->kind = source->kind == INS_MATCH_ANY ? FILTER_MATCH : FILTER_EXCEPT;
        return build_match(building, source, &out->as.match);
    case INS_RANGE:
    case INS_VALUES_COUNT:
        status = filter_range_build(source, &moments, &out->as.range, building->error);
        out->kind = source->kind == INS_VALUES_COUNT ? FILTER_COUNT
                    : moments                        ? FILTER_MOMENT
                                                     : FILTER_RANGE;
        return status;
    case INS_NESTED_ELEMENT:
        return build_element(building, source, out);
    case INS_IS_EMPTY:
    case INS_IS_NULL:
    case INS_HAS_ID:
    case INS_HAS_VECTOR:
    case INS_SLICE:
    case INS_NESTED_FILTER:
        break;
    }
    out->kind = source->kind == INS_IS_EMPTY ? FILTER_EMPTY : FILTER_NULL;
    return INS_OK;
}

static ins_status build_condition(struct building *building, const ins_condition *source,
                                  bool drop_pins, struct filter_condition *out) {
    bool of_point =
        source->kind == INS_HAS_ID || source->kind == INS_HAS_VECTOR || source->kind == INS_SLICE;
    if (of_point && in_element(building)) {
        out->kind = FILTER_NEVER;
        return INS_OK;
    }
    if (source->kind == INS_HAS_ID) {
        out->kind = FILTER_IDS;
        return build_ids(building, source, &out->as.ids);
    }
    if (source->kind == INS_HAS_VECTOR) {
        return build_vector(building, source, out);
    }
    if (source->kind == INS_SLICE) {
        out->kind = FILTER_SLICE;
        building->filter->needs_id = true;
        out->as.slice.index = source->slice_index;
        out->as.slice.total = source->slice_total;
        return INS_OK;
    }
    if (source->kind == INS_NESTED_FILTER) {
        out->kind = FILTER_GROUP;
        return build_group(building, source->filter, drop_pins, &out->as.group);
    }
    ins_status status = build_field(building, source, out);
    return status == INS_OK ? build_payload(building, source, out) : status;
}

/* ---- Lists --------------------------------------------------------------------------------- */

static bool group_is_empty(const struct filter_group *group) {
    return group->must.count + group->should.count + group->must_not.count + group->min_count == 0;
}

/* Conditions that never look at the payload. */
static bool is_cheap(const struct filter_condition *condition) {
    return condition->kind == FILTER_IDS || condition->kind == FILTER_SLICE ||
           condition->kind == FILTER_VECTOR || condition->kind == FILTER_NEVER;
}

static bool is_pin(const struct building *building, const ins_condition *condition) {
    struct payload_path path;
    return condition->kind == INS_MATCH_ANY &&
           payload_path_parse(condition->key, NULL, &path, NULL) == INS_OK &&
           payload_path_equal(&path, building->tenant_path);
}

static void list_add(struct filter_list *list, struct filter_condition *items,
                     const struct filter_condition *built) {
    items[list->count] = *built;
    if (is_cheap(built)) {
        items[list->count] = items[list->cheap_count];
        items[list->cheap_count++] = *built;
    }
    list->count++;
}

/* Copies a list, the cheap conditions to the front. With `drop_pins` those that name tenants go to
 * the pins instead. */
static ins_status build_list(struct building *building, const ins_condition *source, size_t count,
                             const char *name, bool drop_pins, struct filter_list *out) {
    struct filter_condition *items = NULL; /* made when there is one to keep: most only pin */
    *out = (struct filter_list){.items = NULL};
    for (size_t i = 0; i < count; i++) {
        ins_status status = condition_validate(&source[i], name, i, building->error);
        if (status != INS_OK) {
            return status;
        }
        if (drop_pins && is_pin(building, &source[i])) {
            filter_pin_add(building->pinning, building->pool, &source[i]);
            continue;
        }
        if (items == NULL) {
            items = pool_alloc_zero(building->pool, (count - i) * sizeof(*items));
            out->items = items;
        }
        if (items == NULL) {
            return payload_no_memory(building->error, "a filter");
        }
        struct filter_condition built = {.kind = FILTER_GROUP, .probe = PROBE_NONE};
        status = build_condition(building, &source[i], drop_pins, &built);
        if (status != INS_OK) {
            return status;
        }
        bool only_pins = drop_pins && built.kind == FILTER_GROUP && group_is_empty(&built.as.group);
        if (!only_pins) {
            list_add(out, items, &built);
        }
    }
    return INS_OK;
}
_Static_assert(INS_FILTER_CONDITIONS_MAX * sizeof(struct filter_condition) <=
                   INS_BLOCK_BYTES_MAX - 64,
               "a list is one allocation");

static ins_status build_group(struct building *building, const ins_filter *source, bool drop_pins,
                              struct filter_group *out) {
    building->depth++;
    ins_status status = filter_validate_counts(source, building->depth, &building->condition_count,
                                               building->error);
    if (status == INS_OK) {
        status =
            build_list(building, source->must, source->must_count, "must", drop_pins, &out->must);
    }
    if (status == INS_OK) {
        status = build_list(building, source->should, source->should_count, "should", false,
                            &out->should);
    }
    if (status == INS_OK) {
        status = build_list(building, source->must_not, source->must_not_count, "must_not", false,
                            &out->must_not);
    }
    if (status == INS_OK) {
        status = build_list(building, source->min_should, source->min_should_count, "min_should",
                            false, &out->min_should);
    }
    out->min_count = source->min_count;
    building->depth--;
    return status;
}

ins_status filter_build(struct pool *pool, const ins_filter *source,
                        const struct payload_path *tenant_path, struct filter_pinning *pinning,
                        struct filter **out_filter, ins_error *error) {
    struct {
        struct filter filter;
        uint64_t work;
    } *memory = pool_alloc_zero(pool, sizeof(*memory));
    if (memory == NULL) {
        return payload_no_memory(error, "a filter");
    }
    struct filter *filter = &memory->filter;
    filter->work = &memory->work;
    filter->scope.paths.field = PATH_FIELD_NONE;
    struct building building = {.pool = pool,
                                .tenant_path = tenant_path,
                                .filter = filter,
                                .scope = &filter->scope,
                                .pinning = pinning,
                                .error = error};
    ins_status status = build_group(&building, source, pinning != NULL, &filter->root);
    if (status != INS_OK) {
        return status;
    }
    if (pinning != NULL && group_is_empty(&filter->root)) {
        *out_filter = NULL;
        return INS_OK;
    }
    status = filter_scope_finish(&filter->scope, pool, error);
    if (status == INS_OK) {
        *out_filter = filter;
    }
    return status;
}

ins_status filter_compile(struct pool *pool, const ins_filter *source,
                          const struct payload_path *tenant_path, struct filter **out_filter,
                          ins_error *error) {
    INS_ASSERT(pool != NULL);
    INS_ASSERT(source != NULL);
    INS_ASSERT(out_filter != NULL);

    return filter_build(pool, source, tenant_path, NULL, out_filter, error);
}
