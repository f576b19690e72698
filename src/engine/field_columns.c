#include "engine/field_columns.h"

#include "base/json_text.h"

#define COLUMNS_MAX (FIELD_TABLES_MAX * FIELD_COLUMNS_MAX)
#define POOL_BYTES_MAX                                                                             \
    ((size_t)4 << 20) /* some 64 names of at most 1 KiB, and what is made of them */

void field_columns_init(struct field_columns *columns, struct arena *arena) {
    *columns = (struct field_columns){.made = false};
    pool_init(&columns->pool, arena, INS_MEM_JOB, POOL_BYTES_MAX);
}

void field_columns_fini(struct field_columns *columns) {
    pool_fini(&columns->pool);
    columns->made = false;
}

bool field_type_is(ins_text schema, const char *name) {
    ins_text type = schema;
    if (schema.size > 0 && schema.data[0] == '{' &&
        !json_text_get_last(schema, (ins_text){"type", 4}, &type)) {
        return false;
    }
    return type.size > 0 && type.data[0] == '"' &&
           json_text_compare(json_text_unquote(type), (ins_text){name, strlen(name)}) == 0;
}

/* Which domains an index of the type covers, so that conditions mean the same with it as without:
 * both kinds of number have both, since a range finds either; all have the forms. 0: none. */
static uint32_t domains_of(ins_text schema, enum payload_domain out[3]) {
    if (field_type_is(schema, "integer") || field_type_is(schema, "float")) {
        out[0] = DOMAIN_INTEGER;
        out[1] = DOMAIN_REAL;
        out[2] = DOMAIN_FORM;
        return 3;
    }
    out[0] = field_type_is(schema, "datetime") ? DOMAIN_MOMENT
             : field_type_is(schema, "bool")   ? DOMAIN_BOOL
                                               : DOMAIN_TEXT;
    bool known =
        out[0] != DOMAIN_TEXT || field_type_is(schema, "keyword") || field_type_is(schema, "uuid");
    out[1] = DOMAIN_FORM;
    return known ? 2 : 0;
}

struct collecting {
    struct payload_column items[COLUMNS_MAX];
    uint32_t count;
};

static bool has_column(const struct collecting *all, const struct payload_column *column) {
    for (uint32_t i = 0; i < all->count; i++) {
        const struct payload_column *other = &all->items[i];
        if (other->domain == column->domain && other->path.size == column->path.size &&
            memcmp(other->path.data, column->path.data, column->path.size) == 0) {
            return true;
        }
    }
    return false;
}

/* The field that forms islands is no column: in them it is not in the payload, and the common
 * island is small. */
static void collect(struct collecting *all, const struct schema_field *field, struct pool *pool) {
    struct payload_path path;
    enum payload_domain domains[3];
    uint32_t count = domains_of(field->schema, domains);
    if (field->islands || count == 0 ||
        payload_path_parse(field->name, NULL, &path, NULL) != INS_OK) {
        return;
    }
    ins_text text = payload_path_text(&path, pool);
    for (uint32_t i = 0; text.data != NULL && i < count; i++) {
        struct payload_column column = {.path = text, .domain = domains[i]};
        if (text.size <= FIELD_PATH_BYTES_MAX && all->count < COLUMNS_MAX &&
            !has_column(all, &column)) {
            all->items[all->count++] = column;
        }
    }
}

void field_columns_of(struct field_columns *columns, const struct schema *schema) {
    if (columns->made && columns->schema == schema) {
        return;
    }
    pool_fini(&columns->pool);
    columns->schema = schema;
    columns->made = true;
    columns->table_count = 0;
    if (schema == NULL || schema->field_count == 0) {
        return;
    }
    struct collecting *all = pool_alloc_zero(&columns->pool, sizeof(*all));
    for (uint32_t i = 0; all != NULL && i < schema->field_count; i++) {
        collect(all, &schema->fields[i], &columns->pool);
    }
    uint32_t count = all == NULL ? 0 : all->count;
    for (uint32_t from = 0; from < count; from += FIELD_COLUMNS_MAX) {
        uint32_t part = count - from < FIELD_COLUMNS_MAX ? count - from : FIELD_COLUMNS_MAX;
        if (payload_columns_create(&columns->pool, &all->items[from], part,
                                   &columns->tables[columns->table_count], NULL) != INS_OK) {
            return;
        }
        columns->table_count++;
    }
}
