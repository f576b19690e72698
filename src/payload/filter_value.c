/* Conditions on one value: the text of a payload field, or a tenant's name. */
#include <string.h>

#include "base/assert.h"
#include "payload/payload_private.h"

#define MOMENT_RAW_BYTES_MAX 256u /* longer strings are no moments, whatever their escapes mean */

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

/* ---- Scalars ------------------------------------------------------------------------------- */

static bool holds_string(const struct filter_values *match, ins_text quoted) {
    ins_text raw = json_text_unquote(quoted);
    if (match->texts.count == 0) {
        return false;
    }
    bool escaped = memchr(raw.data, '\\', raw.size) != NULL;
    return value_set_has(&match->texts, &raw, escaped ? raw_order : text_order);
}

/* One of the values; of an array or object never. */
static bool is_among(const struct filter_values *match, ins_text value) {
    int64_t integer;
    switch (value.data[0]) {
    case '"':
        return holds_string(match, value);
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

static bool integer_within(const struct filter_range *range, int64_t integer) {
    return integer >= range->integer_low && integer <= range->integer_high;
}

static bool number_within(const struct filter_range *range, ins_text value) {
    int64_t integer;
    double real;
    if (value.data[0] != '-' && (value.data[0] < '0' || value.data[0] > '9')) {
        return false;
    }
    if (json_text_integer(value, &integer)) {
        return integer_within(range, integer);
    }
    return json_text_number(value, &real) && real >= range->real_low && real <= range->real_high;
}

static bool moment_within(const struct filter_range *range, ins_text value) {
    char decoded[MOMENT_RAW_BYTES_MAX];
    int64_t micros;
    if (value.data[0] != '"' || value.size > sizeof(decoded)) {
        return false;
    }
    ins_text text = json_text_unquote(value);
    if (memchr(text.data, '\\', text.size) != NULL) {
        text = (ins_text){decoded, json_text_decode(value, decoded)};
    }
    return payload_moment_parse(text, &micros) && integer_within(range, micros);
}

static bool scalar_holds(const struct filter_condition *condition, ins_text value) {
    switch (condition->kind) {
    case FILTER_MATCH:
        return is_among(&condition->as.match, value);
    case FILTER_EXCEPT: /* null is no value; whatever else is of another kind is not among them */
        return value.data[0] != 'n' && !is_among(&condition->as.match, value);
    case FILTER_RANGE:
        return number_within(&condition->as.range, value);
    case FILTER_MOMENT:
        return moment_within(&condition->as.range, value);
    case FILTER_NULL:
        return value.data[0] == 'n';
    case FILTER_COUNT:
    case FILTER_EMPTY:
    case FILTER_ELEMENT:
    case FILTER_IDS:
    case FILTER_VECTOR:
    case FILTER_SLICE:
    case FILTER_GROUP:
    case FILTER_NEVER:
        break;
    }
    INS_ASSERT(condition->kind == FILTER_NULL); /* the others ask nothing of a scalar */
    return false;
}

/* ---- Values -------------------------------------------------------------------------------- */

/* Elements of an array; of null none, of anything else one. Stops counting above `enough`. */
static int64_t count_of(ins_text value, int64_t enough) {
    if (value.data[0] != '[') {
        return value.data[0] != 'n';
    }
    struct json_text_iterator iterator = json_text_begin(value);
    ins_text element;
    int64_t count = 0;
    while (count <= enough && json_text_next(&iterator, &element)) {
        count++;
    }
    return count;
}

bool filter_value_holds(const struct filter_condition *condition, ins_text value) {
    INS_ASSERT(value.size > 0);
    const struct filter_range *range = &condition->as.range;
    if (condition->kind == FILTER_COUNT) {
        return integer_within(range, count_of(value, range->integer_high));
    }
    if (condition->kind == FILTER_EMPTY) {
        return count_of(value, 0) == 0;
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

bool filter_tenant_holds(const struct filter_condition *condition, ins_text tenant) {
    int64_t micros;
    bool among;
    if (condition->at.step_count > 0) { /* a text has no places: nothing is selected */
        return condition->kind == FILTER_EMPTY ||
               (condition->kind == FILTER_COUNT && integer_within(&condition->as.range, 0));
    }
    switch (condition->kind) {
    case FILTER_MATCH:
    case FILTER_EXCEPT:
        among = value_set_has(&condition->as.match.texts, &tenant, text_order);
        return among == (condition->kind == FILTER_MATCH);
    case FILTER_MOMENT:
        return payload_moment_parse(tenant, &micros) &&
               integer_within(&condition->as.range, micros);
    case FILTER_COUNT:
        return integer_within(&condition->as.range, 1);
    case FILTER_RANGE:
    case FILTER_EMPTY:
    case FILTER_NULL:
    case FILTER_ELEMENT: /* a text has no elements */
        return false;
    case FILTER_IDS:
    case FILTER_VECTOR:
    case FILTER_SLICE:
    case FILTER_GROUP:
    case FILTER_NEVER:
        break;
    }
    INS_ASSERT(condition->kind == FILTER_ELEMENT); /* the others ask nothing of a field */
    return false;
}
