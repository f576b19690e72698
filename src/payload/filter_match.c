/* Matching rows against a compiled filter.
 *
 * Path: conditions on ids and tenants first; when one on the payload is reached, one walk over the
 * row's text collects the values of all fields of the filter, then conditions compare texts.
 * There is no parse: stored text is valid, and as it has no key twice, the walk may end when all
 * fields are found. Of 147 bytes of payload, one condition on the second of seven keys takes 65 ns
 * so, five that need all of it 260; with a DOM 160 and 260, and the more the longer the texts. */
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "payload/payload_private.h"

struct matching {
    const struct filter *filter;
    const struct filter_row *row;
    bool walked;
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

/* The field's value as text; size 0 when it is missing. */
static ins_text field_value(struct matching *matching, uint32_t field) {
    const struct filter *filter = matching->filter;
    if (!matching->walked) {
        memset(filter->values, 0, filter->field_count * sizeof(ins_text));
        uint32_t missing = filter->field_count;
        if (matching->row->payload.size > 0) {
            collect(&filter->paths, matching->row->payload, filter->values, &missing);
        }
        matching->walked = true;
    }
    return filter->values[field];
}

/* ---- Values -------------------------------------------------------------------------------- */

static int raw_order(const void *raw, const void *text) {
    const ins_text *left = raw;
    const ins_text *right = text;
    return json_text_compare(*left, *right);
}

static int integer_order(const void *left, const void *right) {
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

static bool match_string(const struct filter_values *match, ins_text quoted) {
    ins_text raw = json_text_unquote(quoted);
    if (match->texts.count == 0) {
        return false;
    }
    bool escaped = memchr(raw.data, '\\', raw.size) != NULL;
    return value_set_has(&match->texts, &raw, escaped ? raw_order : text_order);
}

static bool match_scalar(const struct filter_values *match, ins_text value) {
    int64_t integer;
    switch (value.data[0]) {
    case '"':
        return match_string(match, value);
    case 't':
        return match->match_true;
    case 'f':
        return match->match_false;
    case 'n':
    case '{':
    case '[':
        return false;
    default:
        return match->integers.count > 0 && json_text_integer(value, &integer) &&
               value_set_has(&match->integers, &integer, integer_order);
    }
}

/* Orders an integer against a double, exactly. `bound` is not NaN. */
static int integer_compare(int64_t integer, double bound) {
    if (bound >= 0x1p63) {
        return -1;
    }
    if (bound < -0x1p63) {
        return 1;
    }
    int64_t whole = (int64_t)bound; /* towards zero */
    if (integer != whole) {
        return integer < whole ? -1 : 1;
    }
    double rest = bound - (double)whole;
    return (rest < 0) - (rest > 0);
}

static bool integer_in_range(const struct filter_range *range, int64_t integer) {
    return (!range->has_gt || integer_compare(integer, range->gt) > 0) &&
           (!range->has_gte || integer_compare(integer, range->gte) >= 0) &&
           (!range->has_lt || integer_compare(integer, range->lt) < 0) &&
           (!range->has_lte || integer_compare(integer, range->lte) <= 0);
}

static bool range_has_nan(const struct filter_range *range) {
    return (range->has_gt && range->gt != range->gt) ||
           (range->has_gte && range->gte != range->gte) ||
           (range->has_lt && range->lt != range->lt) ||
           (range->has_lte && range->lte != range->lte);
}

static bool range_scalar(const struct filter_range *range, ins_text value) {
    bool number = value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9');
    if (!number || range_has_nan(range)) {
        return false;
    }
    int64_t integer;
    if (json_text_integer(value, &integer)) {
        return integer_in_range(range, integer);
    }
    double real;
    return json_text_number(value, &real) && (!range->has_gt || real > range->gt) &&
           (!range->has_gte || real >= range->gte) && (!range->has_lt || real < range->lt) &&
           (!range->has_lte || real <= range->lte);
}

static bool scalar_holds(const struct filter_condition *condition, ins_text value) {
    return condition->kind == FILTER_MATCH ? match_scalar(&condition->as.match, value)
                                           : range_scalar(&condition->as.range, value);
}

/* Of an array any element. */
static bool value_holds(const struct filter_condition *condition, ins_text value) {
    if (value.size == 0) {
        return false;
    }
    if (value.data[0] != '[') {
        return scalar_holds(condition, value);
    }
    struct json_text_iterator iterator = json_text_begin(value);
    ins_text element;
    while (json_text_next(&iterator, &element)) {
        if (scalar_holds(condition, element)) {
            return true;
        }
    }
    return false;
}

/* ---- Conditions ---------------------------------------------------------------------------- */

static int id_order(const void *left, const void *right) {
    return id_compare(left, right);
}

static bool group_holds(struct matching *matching, const struct filter_group *group);

static bool condition_holds(struct matching *matching, const struct filter_condition *condition) {
    const struct filter_row *row = matching->row;
    switch (condition->kind) {
    case FILTER_IDS:
        return value_set_has(&condition->as.ids, &row->id, id_order);
    case FILTER_GROUP:
        return group_holds(matching, &condition->as.group);
    case FILTER_MATCH:
    case FILTER_RANGE:
        break;
    }
    if (condition->is_tenant && row->has_tenant) {
        return condition->kind == FILTER_MATCH &&
               value_set_has(&condition->as.match.texts, &row->tenant, text_order);
    }
    return value_holds(condition, field_value(matching, condition->field));
}

/* True when one of the items from .. to holds. */
static bool any_holds(struct matching *matching, const struct filter_list *list, size_t from,
                      size_t to) {
    for (size_t i = from; i < to; i++) {
        if (condition_holds(matching, &list->items[i])) {
            return true;
        }
    }
    return false;
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
    return all_hold(matching, must, 0, must->cheap_count) &&
           !any_holds(matching, must_not, 0, must_not->cheap_count) &&
           (should->count == 0 || any_holds(matching, should, 0, should->count)) &&
           all_hold(matching, must, must->cheap_count, must->count) &&
           !any_holds(matching, must_not, must_not->cheap_count, must_not->count);
}

bool filter_match(const struct filter *filter, struct json_parser *parser,
                  const struct filter_row *row) {
    INS_ASSERT(filter != NULL);
    INS_ASSERT(row != NULL);
    (void)parser; /* the text is walked, not parsed */
    struct matching matching = {.filter = filter, .row = row};
    return group_holds(&matching, &filter->root);
}

bool filter_needs_payload(const struct filter *filter) {
    return filter->needs_payload;
}
