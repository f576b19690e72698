/* The values of a payload that belong to columns.
 *
 * Path: one walk over the payload collects the value of each column's leading keys (a path tree);
 * from there on its places in arrays are visited, and of a selected array its elements, as a
 * condition does it. Each scalar is then put into the column's domain, or left out. */
#include <math.h>

#include "base/assert.h"
#include "base/status.h"
#include "payload/payload_private.h"

#define RAW_TEXT_BYTES_MAX (PAYLOAD_COLUMN_TEXT_MAX * 6u + 2u) /* all \u00XX, and two quotes */

struct column {
    struct payload_column shape;
    struct filter_field field;
};

struct payload_columns {
    struct filter_scope scope;
    uint32_t count;
    struct column items[];
};

uint64_t payload_key_integer(int64_t value) {
    return (uint64_t)value ^ 1ull << 63;
}

uint64_t payload_key_real(double value) {
    uint64_t bits;
    value += 0.0; /* -0 is 0 */
    memcpy(&bits, &value, sizeof(bits));
    return bits >> 63 != 0 ? ~bits : bits ^ 1ull << 63;
}

ins_text payload_path_text(const struct payload_path *path, struct pool *pool) {
    size_t capacity = 0;
    for (uint32_t i = 0; i < path->part_count; i++) {
        capacity += path->parts[i].size + 3;
    }
    char *out = pool_alloc(pool, capacity);
    size_t size = 0;
    for (uint32_t i = 0; out != NULL && i < path->part_count; i++) {
        ins_text part = path->parts[i];
        bool key = path->kinds[i] == PART_KEY;
        bool quoted = key && part.size == 0;
        for (size_t at = 0; key && at < part.size; at++) {
            quoted = quoted || strchr(".[]", part.data[at]) != NULL;
        }
        if (key && i > 0) {
            out[size++] = '.';
        }
        if (quoted || !key) {
            out[size++] = quoted ? '"' : '[';
        }
        if (part.size > 0) {
            memcpy(out + size, part.data, part.size);
            size += part.size;
        }
        if (quoted || !key) {
            out[size++] = quoted ? '"' : ']';
        }
    }
    return (ins_text){out, size};
}

ins_status payload_columns_create(struct pool *pool, const struct payload_column *columns,
                                  uint32_t count, struct payload_columns **out, ins_error *error) {
    struct payload_columns *made =
        pool_alloc_zero(pool, sizeof(*made) + count * sizeof(struct column));
    if (made == NULL) {
        return payload_no_memory(error, "the columns of an index");
    }
    made->count = count;
    made->scope.paths.field = PATH_FIELD_NONE;
    for (uint32_t i = 0; i < count; i++) {
        struct payload_path path;
        struct column *column = &made->items[i];
        ins_status status = payload_path_parse(columns[i].path, pool, &path, error);
        if (status == INS_OK) {
            status = filter_field_build(&made->scope, &path, pool, &column->field, error);
        }
        if (status != INS_OK) {
            return status;
        }
        column->shape.domain = columns[i].domain;
        column->shape.path.data = pool_copy(pool, columns[i].path.data, columns[i].path.size);
        column->shape.path.size = columns[i].path.size;
        if (column->shape.path.data == NULL) {
            return payload_no_memory(error, "the columns of an index");
        }
    }
    ins_status status = filter_scope_finish(&made->scope, pool, error);
    if (status == INS_OK) {
        *out = made;
    }
    return status;
}

uint32_t payload_columns_count(const struct payload_columns *columns) {
    return columns->count;
}

const struct payload_column *payload_columns_at(const struct payload_columns *columns,
                                                uint32_t index) {
    INS_ASSERT(index < columns->count);
    return &columns->items[index].shape;
}

/* ---- Values -------------------------------------------------------------------------------- */

struct giving {
    const struct column *column;
    struct payload_value value;
    uint32_t count;
    bool unknown;
    bool selected, filled, null, not_text, not_integer; /* DOMAIN_FORM */
    void (*take)(void *context, const struct payload_value *value);
    void *context;
};

/* The value as a text or moment. False: it is none, or it is too long, which makes it unknown. */
static bool text_value(struct giving *giving, ins_text quoted,
                       char decoded[static RAW_TEXT_BYTES_MAX]) {
    ins_text text = json_text_unquote(quoted);
    int64_t micros;
    bool moment = giving->column->shape.domain == DOMAIN_MOMENT;
    if (quoted.size > RAW_TEXT_BYTES_MAX) {
        giving->unknown = giving->unknown || !moment; /* a moment is no longer than that */
        return false;
    }
    if (memchr(text.data, '\\', text.size) != NULL) {
        text = (ins_text){decoded, json_text_decode(quoted, decoded)};
    }
    if (moment) {
        if (!payload_moment_parse(text, &micros)) {
            return false;
        }
        giving->value.key = payload_key_integer(micros);
        return true;
    }
    giving->value.text = text;
    giving->unknown = giving->unknown || text.size > PAYLOAD_COLUMN_TEXT_MAX;
    return text.size <= PAYLOAD_COLUMN_TEXT_MAX;
}

static bool number_value(struct giving *giving, ins_text value) {
    int64_t integer;
    double real;
    bool is_integer = json_text_integer(value, &integer);
    if (giving->column->shape.domain == DOMAIN_INTEGER) {
        giving->value.key = is_integer ? payload_key_integer(integer) : 0;
        return is_integer;
    }
    if (is_integer || !json_text_number(value, &real)) {
        return false;
    }
    giving->value.key = payload_key_real(real);
    return true;
}

static void give(struct giving *giving, ins_text value) {
    char decoded[RAW_TEXT_BYTES_MAX];
    bool good = false;
    switch (giving->column->shape.domain) {
    case DOMAIN_TEXT:
    case DOMAIN_MOMENT:
        good = value.data[0] == '"' && text_value(giving, value, decoded);
        break;
    case DOMAIN_INTEGER:
    case DOMAIN_REAL:
        good = (value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9')) &&
               number_value(giving, value);
        break;
    case DOMAIN_BOOL:
        good = value.data[0] == 't' || value.data[0] == 'f';
        giving->value.key = value.data[0] == 't';
        break;
    case DOMAIN_FORM: /* give_form */
        break;
    }
    if (good && giving->count == PAYLOAD_COLUMN_VALUES_MAX) {
        giving->unknown = true;
    } else if (good) {
        giving->count++;
        giving->take(giving->context, &giving->value);
    }
}

/* Stops the visit, by true, when there is nothing more to give. */
static bool give_selected(void *context, ins_text value) {
    struct giving *giving = context;
    if (value.data[0] != '[') {
        give(giving, value);
        return giving->unknown;
    }
    struct json_text_iterator iterator = json_text_begin(value);
    ins_text element;
    while (!giving->unknown && json_text_next(&iterator, &element)) {
        give(giving, element);
    }
    return giving->unknown;
}

/* ---- Forms --------------------------------------------------------------------------------- */

static void give_key(struct giving *giving, uint64_t key) {
    giving->value.key = key;
    giving->take(giving->context, &giving->value);
}

static void note_element(struct giving *giving, ins_text element) {
    int64_t integer;
    bool null = element.data[0] == 'n';
    giving->null = giving->null || null;
    giving->not_text = giving->not_text || (!null && element.data[0] != '"');
    giving->not_integer = giving->not_integer || (!null && !json_text_integer(element, &integer));
}

static bool note_selected(void *context, ins_text value) {
    struct giving *giving = context;
    uint64_t count = 0;
    giving->selected = true;
    if (value.data[0] != '[') {
        note_element(giving, value);
        count = value.data[0] != 'n';
    } else {
        struct json_text_iterator iterator = json_text_begin(value);
        ins_text element;
        for (; json_text_next(&iterator, &element); count++) {
            note_element(giving, element);
        }
    }
    giving->filled = giving->filled || count > 0;
    giving->unknown = giving->count == PAYLOAD_COLUMN_VALUES_MAX;
    if (!giving->unknown) {
        giving->count++;
        give_key(giving, FORM_COUNT + count);
    }
    return giving->unknown;
}

/* Behind all that the path selects. */
static void give_form(struct giving *giving) {
    const bool holds[] = {[FORM_EMPTY] = !giving->filled,
                          [FORM_NULL] = giving->null,
                          [FORM_NOT_TEXT] = giving->not_text,
                          [FORM_NOT_INTEGER] = giving->not_integer};
    for (uint64_t form = FORM_EMPTY; form <= FORM_NOT_INTEGER && !giving->unknown; form++) {
        if (holds[form]) {
            give_key(giving, form);
        }
    }
    if (!giving->selected) {
        give_key(giving, FORM_COUNT);
    }
}

void payload_columns_visit(const struct payload_columns *columns, ins_text payload,
                           void (*take)(void *context, const struct payload_value *value),
                           void *context) {
    filter_scope_collect(&columns->scope, payload);
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct column *column = &columns->items[i];
        struct giving giving = {
            .column = column, .value = {.column = i}, .take = take, .context = context};
        bool form = column->shape.domain == DOMAIN_FORM;
        ins_text value = columns->scope.values[column->field.field];
        if (value.size > 0) {
            (void)filter_steps_visit(column->field.steps, column->field.step_count, value,
                                     form ? note_selected : give_selected, &giving);
        }
        if (form) {
            give_form(&giving);
        }
        if (giving.unknown) {
            struct payload_value unknown = {.column = i, .unknown = true};
            take(context, &unknown);
        }
    }
}
