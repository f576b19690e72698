/* What a filter must be before it is compiled: bounded in number and depth, and each condition
 * complete. */
#include "base/assert.h"
#include "base/status.h"
#include "payload/payload_private.h"

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

static bool count_bound_is_good(const ins_bound *bound) {
    return bound->kind == INS_BOUND_NONE ||
           (bound->kind == INS_BOUND_INTEGER && bound->integer >= 0);
}

static bool range_bound_is_good(const ins_bound *bound) {
    return bound->kind == INS_BOUND_NONE || bound->kind == INS_BOUND_INTEGER ||
           bound->kind == INS_BOUND_NUMBER || bound->kind == INS_BOUND_DATETIME;
}

static const char *fault_of_bounds(const ins_condition *condition,
                                   bool (*is_good)(const ins_bound *bound), const char *fault) {
    bool good = is_good(&condition->gt) && is_good(&condition->gte) && is_good(&condition->lt) &&
                is_good(&condition->lte);
    return good ? NULL : fault;
}

/* Why a condition cannot be compiled; NULL when it can. */
static const char *fault_of(const ins_condition *condition) {
    switch (condition->kind) {
    case INS_MATCH_ANY:
    case INS_MATCH_EXCEPT:
        return fault_of_match(condition);
    case INS_RANGE:
        return fault_of_bounds(condition, range_bound_is_good, "a bound of unknown kind");
    case INS_VALUES_COUNT:
        return fault_of_bounds(condition, count_bound_is_good,
                               "a bound of values_count that is no natural number");
    case INS_HAS_ID:
        return condition->ids == NULL && condition->id_count > 0 ? "has_id without ids" : NULL;
    case INS_HAS_VECTOR:
        return condition->vector.data == NULL ? "has_vector without a name" : NULL;
    case INS_SLICE:
        return condition->slice_index < condition->slice_total
                   ? NULL
                   : "slice.index must be below slice.total";
    case INS_NESTED_FILTER:
    case INS_NESTED_ELEMENT:
        return condition->filter == NULL ? "a nested filter that is absent" : NULL;
    case INS_IS_EMPTY:
    case INS_IS_NULL:
        break;
    }
    return NULL;
}

ins_status condition_validate(const ins_condition *condition, const char *list, size_t index,
                              ins_error *error) {
    if (condition->kind < INS_MATCH_ANY || condition->kind > INS_NESTED_ELEMENT) {
        return ins_fail(error, INS_UNSUPPORTED, "filter %s[%zu]: a condition of unknown kind", list,
                        index);
    }
    const char *fault = fault_of(condition);
    return fault == NULL ? INS_OK
                         : ins_fail(error, INS_INVALID, "filter %s[%zu]: %s", list, index, fault);
}

ins_status filter_validate_counts(const ins_filter *source, uint32_t depth, size_t *count,
                                  ins_error *error) {
    const struct {
        const char *name;
        const ins_condition *items;
        size_t count;
    } lists[] = {{"must", source->must, source->must_count},
                 {"should", source->should, source->should_count},
                 {"must_not", source->must_not, source->must_not_count},
                 {"min_should", source->min_should, source->min_should_count}};
    if (depth > INS_FILTER_DEPTH_MAX) {
        return ins_fail(error, INS_INVALID, "filters are nested deeper than %d",
                        INS_FILTER_DEPTH_MAX);
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (lists[i].count > INS_FILTER_CONDITIONS_MAX - *count) {
            return ins_fail(error, INS_INVALID, "a filter of more than %d conditions",
                            INS_FILTER_CONDITIONS_MAX);
        }
        if (lists[i].items == NULL && lists[i].count > 0) {
            return ins_fail(error, INS_INVALID, "filter %s: %zu conditions are absent",
                            lists[i].name, lists[i].count);
        }
        *count += lists[i].count;
    }
    if (source->min_should_count > 0 && source->min_count == 0) {
        return ins_fail(error, INS_INVALID,
                        "filter min_should: min_count: value 0 invalid, must be 1 or larger");
    }
    return INS_OK;
}
