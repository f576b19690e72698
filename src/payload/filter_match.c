/* Matching rows against a compiled filter.
 *
 * Path: conditions on ids and tenants first; when one on the payload is reached, one walk over the
 * row's text collects the values of all fields of the filter, then conditions compare texts. What a
 * path selects inside of arrays is visited from the collected value on, until a value passes.
 * There is no parse: stored text is valid, and as it has no key twice, the walk may end when all
 * fields are found. Of 147 bytes of payload, one condition on the second of seven keys takes 65 ns
 * so, five that need all of it 260; with a DOM 160 and 260, and the more the longer the texts.
 * Bound: the bytes walked for one row are counted; beyond INS_FILTER_ROW_BYTES_MAX nothing passes
 * any more and the caller learns it from the count. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "payload/payload_private.h"

#define FIELDS_FOUND_MAX 2u /* more are collected in one walk */

/* An object being looked at: the payload, or an element of an array in it. */
struct matching {
    const struct filter_scope *scope;
    const struct filter_row *row; /* NULL for an element */
    ins_text object;
    bool walked;
    uint64_t *work;
};

/* ---- Field values -------------------------------------------------------------------------- */

/* Ends early when `*missing` fields have been found: stored text has no key twice.
 * Recurses no deeper than a path has parts. */
static void collect(const struct path_node *node, ins_text object, ins_text *values,
                    uint32_t *missing) {
    struct json_text_iterator iterator = json_text_begin(object);
    ins_text key;
    ins_text value;
    while (*missing > 0 && json_text_next_member(&iterator, &key, &value)) {
        const struct path_node *child = path_tree_child(node, key, iterator.key_escaped);
        if (child == NULL || value.size == 0) {
            continue;
        }
        if (child->field != PATH_FIELD_NONE && values[child->field].size == 0) {
            values[child->field] = value;
            (*missing)--;
        }
        if (child->children != NULL && value.data[0] == '{') {
            collect(child, value, values, missing);
        }
    }
}

/* Few fields that are members of the object itself: each is looked for on its own, where that
 * decides it. False: the object must be walked. */
static bool find_fields(const struct filter_scope *scope, ins_text object) {
    if (scope->paths.child_count > FIELDS_FOUND_MAX) {
        return false;
    }
    for (const struct path_node *child = scope->paths.children; child != NULL;
         child = child->next) {
        if (!child->findable || child->children != NULL || child->field == PATH_FIELD_NONE ||
            json_text_find(object, child->key, &scope->values[child->field]) == JSON_TEXT_UNSURE) {
            return false;
        }
    }
    return true;
}

void filter_scope_collect(const struct filter_scope *scope, ins_text object) {
    memset(scope->values, 0, scope->field_count * sizeof(ins_text));
    uint32_t missing = scope->field_count;
    if (object.size > 0 && !find_fields(scope, object)) {
        memset(scope->values, 0, scope->field_count * sizeof(ins_text));
        collect(&scope->paths, object, scope->values, &missing);
    }
}

/* The field's value as text; size 0 when it is missing. */
static ins_text field_value(struct matching *matching, uint32_t field) {
    const struct filter_scope *scope = matching->scope;
    if (!matching->walked) {
        filter_scope_collect(scope, matching->object);
        *matching->work += matching->object.size;
        matching->walked = true;
    }
    return scope->values[field];
}

/* ---- Values behind places in arrays -------------------------------------------------------- */

static bool group_holds(struct matching *matching, const struct filter_group *group);

/* The filter of the condition holds for one of the elements that are objects. */
static bool element_holds(const struct filter_condition *condition, ins_text array,
                          uint64_t *work) {
    struct json_text_iterator iterator = json_text_begin(array);
    ins_text element;
    while (array.data[0] == '[' && json_text_next(&iterator, &element)) {
        if (element.size == 0 || element.data[0] != '{') {
            continue;
        }
        struct matching inner = {
            .scope = &condition->as.element->scope, .object = element, .work = work};
        if (group_holds(&inner, &condition->as.element->group)) {
            return true;
        }
    }
    return false;
}

/* The element number `index`; false when the array is shorter. */
static bool element_at(ins_text array, uint64_t index, ins_text *out) {
    struct json_text_iterator iterator = json_text_begin(array);
    bool there = json_text_next(&iterator, out);
    for (uint64_t i = 0; there && i < index; i++) {
        there = json_text_next(&iterator, out);
    }
    return there;
}

/* Recurses no deeper than a path has parts. */
bool filter_steps_visit(const struct filter_step *steps, uint32_t count, ins_text value,
                        bool (*visit)(void *context, ins_text value), void *context) {
    ins_text next;
    if (count == 0) {
        return visit(context, value);
    }
    if (value.data[0] != (steps->kind == PART_KEY ? '{' : '[')) {
        return false;
    }
    if (steps->kind == PART_KEY) {
        return json_text_get_last(value, steps->key, &next) &&
               filter_steps_visit(steps + 1, count - 1, next, visit, context);
    }
    if (steps->kind == PART_INDEX) {
        return element_at(value, steps->index, &next) &&
               filter_steps_visit(steps + 1, count - 1, next, visit, context);
    }
    struct json_text_iterator iterator = json_text_begin(value);
    while (json_text_next(&iterator, &next)) {
        if (filter_steps_visit(steps + 1, count - 1, next, visit, context)) {
            return true;
        }
    }
    return false;
}

/* Looks at what a condition's path selects until a value passes. */
struct looking {
    const struct filter_condition *condition;
    uint64_t *work;
    bool wanted; /* values that hold pass, or those that do not */
    bool any;    /* something was selected */
};

static bool look(void *context, ins_text value) {
    struct looking *looking = context;
    looking->any = true;
    *looking->work += value.size;
    bool holds = looking->condition->kind == FILTER_ELEMENT
                     ? element_holds(looking->condition, value, looking->work)
                     : filter_value_holds(looking->condition, value);
    return holds == looking->wanted;
}

/* A condition on a field. Nothing selected has no values, and is empty. */
static bool field_holds(struct matching *matching, const struct filter_condition *condition) {
    bool all = condition->kind == FILTER_EMPTY;
    const struct filter_field *at = &condition->at;
    struct looking looking = {.condition = condition, .work = matching->work, .wanted = !all};
    ins_text value = field_value(matching, at->field);
    bool passed = false;
    if (value.size > 0) {
        *matching->work += (uint64_t)at->step_count * value.size;
        passed = filter_steps_visit(at->steps, at->step_count, value, look, &looking);
    }
    if (condition->kind == FILTER_COUNT && !looking.any) {
        return condition->as.range.integer_low <= 0 && condition->as.range.integer_high >= 0;
    }
    return passed != all;
}

/* ---- Conditions ---------------------------------------------------------------------------- */

static int id_order(const void *left, const void *right) {
    return id_compare(left, right);
}

static bool has_vector(const struct filter_row *row, ins_text name) {
    for (uint32_t i = 0; i < row->vector_count; i++) {
        if (text_order(&row->vectors[i], &name) == 0) {
            return true;
        }
    }
    return false;
}

static bool condition_holds(struct matching *matching, const struct filter_condition *condition) {
    const struct filter_row *row = matching->row;
    switch (condition->kind) {
    case FILTER_IDS:
        return value_set_has(&condition->as.ids, &row->id, id_order);
    case FILTER_SLICE:
        return id_slice(&row->id, condition->as.slice.total) == condition->as.slice.index;
    case FILTER_VECTOR:
        return has_vector(row, condition->as.vector);
    case FILTER_GROUP:
        return group_holds(matching, &condition->as.group);
    case FILTER_NEVER:
        return false;
    case FILTER_MATCH:
    case FILTER_EXCEPT:
    case FILTER_RANGE:
    case FILTER_MOMENT:
    case FILTER_COUNT:
    case FILTER_EMPTY:
    case FILTER_NULL:
    case FILTER_ELEMENT:
        break;
    }
    if (condition->is_tenant && row->has_tenant) {
        return filter_tenant_holds(condition, row->tenant);
    }
    return *matching->work <= INS_FILTER_ROW_BYTES_MAX && field_holds(matching, condition);
}

/* How many of the items from .. to hold; stops at `enough`. */
static size_t count_holding(struct matching *matching, const struct filter_list *list, size_t from,
                            size_t to, size_t enough) {
    size_t count = 0;
    for (size_t i = from; count < enough && i < to; i++) {
        count += condition_holds(matching, &list->items[i]);
    }
    return count;
}

static bool any_holds(struct matching *matching, const struct filter_list *list, size_t from,
                      size_t to) {
    return count_holding(matching, list, from, to, 1) > 0;
}

static bool all_hold(struct matching *matching, const struct filter_list *list, size_t from,
                     size_t to) {
    for (size_t i = from; i < to; i++) {
        if (!condition_holds(matching, &list->items[i])) {
            return false;
        }
    }
    return true;
}

/* Recurses at most INS_FILTER_DEPTH_MAX levels. */
static bool group_holds(struct matching *matching, const struct filter_group *group) {
    const struct filter_list *must = &group->must;
    const struct filter_list *must_not = &group->must_not;
    const struct filter_list *should = &group->should;
    const struct filter_list *some = &group->min_should;
    return all_hold(matching, must, 0, must->cheap_count) &&
           !any_holds(matching, must_not, 0, must_not->cheap_count) &&
           (should->count == 0 || any_holds(matching, should, 0, should->count)) &&
           all_hold(matching, must, must->cheap_count, must->count) &&
           !any_holds(matching, must_not, must_not->cheap_count, must_not->count) &&
           count_holding(matching, some, 0, some->count, group->min_count) == group->min_count;
}

bool filter_match(const struct filter *filter, struct json_parser *parser,
                  const struct filter_row *row) {
    INS_ASSERT(filter != NULL);
    INS_ASSERT(row != NULL);
    (void)parser; /* the text is walked, not parsed */
    uint64_t before = *filter->work;
    uint64_t work = 0;
    struct matching matching = {
        .scope = &filter->scope, .row = row, .object = row->payload, .work = &work};
    bool match = group_holds(&matching, &filter->root);
    *filter->work = before + work;
    return match && work <= INS_FILTER_ROW_BYTES_MAX;
}

uint64_t filter_take_work(const struct filter *filter) {
    uint64_t work = *filter->work;
    *filter->work = 0;
    return work;
}

bool filter_needs_payload(const struct filter *filter) {
    return filter->needs_payload;
}

bool filter_needs_id(const struct filter *filter) {
    return filter->needs_id;
}

bool filter_needs_vectors(const struct filter *filter) {
    return filter->needs_vectors;
}
