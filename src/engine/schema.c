/* Schemas are interned by their canonical text, so that 50,000 like collections share one. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/json_write.h"
#include "base/status.h"
#include "engine/catalog.h"
#include "engine/quota_text.h"
#include "engine/schema_text.h"
#include "engine/text.h"

static ins_text schema_text(struct pool *pool, const struct schema_draft *draft) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    schema_write_vectors(&writer, draft);
    json_write_key(&writer, "settings");
    json_write_value(&writer, draft->settings.size > 0 ? draft->settings : text_of("{}"));
    json_write_key(&writer, "fields");
    json_write_begin_array(&writer);
    for (uint32_t i = 0; i < draft->field_count; i++) {
        const struct schema_field *field = &draft->fields[i];
        json_write_begin_object(&writer);
        json_write_key(&writer, "name");
        json_write_text(&writer, field->name);
        json_write_key(&writer, "schema");
        json_write_value(&writer, field->schema);
        json_write_key(&writer, "tenant");
        json_write_bool(&writer, field->is_tenant);
        json_write_key(&writer, "islands");
        json_write_bool(&writer, field->islands);
        json_write_key(&writer, "late");
        json_write_bool(&writer, field->late);
        json_write_end_object(&writer);
    }
    json_write_end_array(&writer);
    if (draft->has_tenant_field) {
        json_write_key(&writer, "tenant_path");
        json_write_text(&writer, draft->tenant_field);
        json_write_key(&writer, "tenant_uuid");
        json_write_bool(&writer, draft->tenant_is_uuid);
    }
    json_write_end_object(&writer);
    return text_written(&writer);
}

/* ---- Parsing a schema's own text ---- */

ins_status schema_damaged(ins_error *error, const char *what) {
    return ins_fail(error, INS_CORRUPT, "catalog: a collection's schema lacks a valid \"%s\"",
                    what);
}

/* Strings of a schema are decoded behind its text, in the same allocation. */
ins_text schema_keep(char **at, ins_text text) {
    ins_text kept = {.data = *at, .size = text.size};
    memcpy(*at, text.data, text.size);
    *at += text.size;
    return kept;
}

static ins_status parse_fields(struct schema *schema, struct json_value fields, ins_text raw_fields,
                               char **at, ins_error *error) {
    struct json_iterator iterator = json_begin(fields);
    struct json_text_iterator raw = json_text_begin(raw_fields);
    struct json_value field, name, tenant, islands, late;
    ins_text raw_field;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (!json_next(&iterator, &field) || !json_text_next(&raw, &raw_field) ||
            json_type_of(field) != JSON_OBJECT || !json_get(field, "name", &name) ||
            json_type_of(name) != JSON_STRING || !json_get(field, "tenant", &tenant) ||
            json_type_of(tenant) != JSON_BOOL || !json_get(field, "islands", &islands) ||
            json_type_of(islands) != JSON_BOOL || !json_get(field, "late", &late) ||
            json_type_of(late) != JSON_BOOL) {
            return schema_damaged(error, "fields");
        }
        struct schema_field *out = &schema->fields[i];
        out->name = schema_keep(at, json_string(name));
        out->is_tenant = json_bool(tenant);
        out->islands = json_bool(islands);
        out->late = json_bool(late);
        if (!json_text_get_last(raw_field, text_of("schema"), &out->schema)) {
            return schema_damaged(error, "fields[].schema");
        }
    }
    return INS_OK;
}

static ins_status parse_tenant(struct schema *schema, struct json_value root, char **at,
                               ins_error *error) {
    struct json_value path, uuid;
    if (!json_get(root, "tenant_path", &path)) {
        return INS_OK;
    }
    if (json_type_of(path) != JSON_STRING || !json_get(root, "tenant_uuid", &uuid) ||
        json_type_of(uuid) != JSON_BOOL) {
        return schema_damaged(error, "tenant_path");
    }
    schema->has_tenant_field = true;
    schema->tenant_is_uuid = json_bool(uuid);
    schema->tenant_text = schema_keep(at, json_string(path));
    return payload_path_parse_keys(schema->tenant_text, NULL, &schema->tenant_path, error);
}

static bool has_tenant_ids(ins_text settings) {
    ins_text own, ids;
    return json_text_get_last(settings, text_of("insula"), &own) &&
           json_text_get_last(own, text_of("point_ids"), &ids) &&
           text_equal(ids, text_of("\"tenant\""));
}

static ins_status parse_schema(struct schema *schema, struct json_value root, ins_error *error) {
    ins_text text = {.data = schema->text, .size = schema->text_size};
    struct json_value fields;
    ins_text raw_fields;
    if (!json_text_get_last(text, text_of("settings"), &schema->settings) ||
        !json_text_get_last(text, text_of("fields"), &raw_fields) ||
        !json_get(root, "fields", &fields) || json_type_of(fields) != JSON_ARRAY) {
        return schema_damaged(error, "fields");
    }
    schema->ids_by_tenant = has_tenant_ids(schema->settings);
    quotas_sum(schema->settings, &schema->ttl_least, &schema->floor_bytes);
    char *strings = schema->text + schema->text_size;
    ins_status status = schema_parse_vectors(schema, root, text, &strings, error);
    if (status == INS_OK) {
        status = parse_fields(schema, fields, raw_fields, &strings, error);
    }
    return status == INS_OK ? parse_tenant(schema, root, &strings, error) : status;
}

static size_t schema_bytes(ins_text text) {
    return 2 * text.size; /* the text, and its strings decoded: never longer than the text */
}

static void schema_free(struct catalog *catalog, struct schema *schema) {
    ins_text text = {.data = schema->text, .size = schema->text_size};
    arena_free(catalog->arena, INS_MEM_CATALOG, schema->fields,
               schema->field_count * sizeof(struct schema_field));
    arena_free(catalog->arena, INS_MEM_CATALOG, schema->vectors,
               schema->vector_count * sizeof(struct schema_vector));
    arena_free(catalog->arena, INS_MEM_CATALOG, schema->text, schema_bytes(text));
    arena_free(catalog->arena, INS_MEM_CATALOG, schema, sizeof(*schema));
}

static struct schema *find_schema(const struct catalog *catalog, ins_text text, uint64_t hash) {
    struct table_node *node = table_first(&catalog->schemas, hash);
    for (; node != NULL; node = node->next) {
        struct schema *schema = (struct schema *)(void *)node; /* node is the first member */
        if (node->hash == hash && schema->text_size == text.size &&
            memcmp(schema->text, text.data, text.size) == 0) {
            return schema;
        }
    }
    return NULL;
}

/* Elements of a list of the schema's text; *out_count. */
static bool count_list(struct json_value root, const char *key, uint32_t max, uint32_t *out_count) {
    struct json_value list;
    if (!json_get(root, key, &list) || json_type_of(list) != JSON_ARRAY || json_count(list) > max) {
        return false;
    }
    *out_count = (uint32_t)json_count(list);
    return true;
}

/* NULL when the catalog's share is used up. */
static struct schema *schema_alloc(struct catalog *catalog, ins_text text, uint32_t vector_count,
                                   uint32_t field_count) {
    struct arena *arena = catalog->arena;
    struct schema *schema = arena_alloc_zero(arena, INS_MEM_CATALOG, sizeof(*schema));
    if (schema == NULL) {
        return NULL;
    }
    schema->refs = 1;
    schema->text_size = (uint32_t)text.size;
    schema->text = arena_alloc(arena, INS_MEM_CATALOG, schema_bytes(text));
    schema->vector_count = vector_count;
    schema->field_count = field_count;
    if (vector_count > 0) {
        schema->vectors =
            arena_alloc_zero(arena, INS_MEM_CATALOG, vector_count * sizeof(struct schema_vector));
    }
    if (field_count > 0) {
        schema->fields =
            arena_alloc_zero(arena, INS_MEM_CATALOG, field_count * sizeof(struct schema_field));
    }
    if (schema->text == NULL || (vector_count > 0 && schema->vectors == NULL) ||
        (field_count > 0 && schema->fields == NULL)) {
        schema_free(catalog, schema);
        return NULL;
    }
    memcpy(schema->text, text.data, text.size);
    return schema;
}

static ins_status schema_make(struct catalog *catalog, struct json_parser *parser, ins_text text,
                              uint64_t hash, struct schema **out_schema, ins_error *error) {
    struct json_value root;
    uint32_t vector_count, field_count;
    ins_status status = json_parse(parser, text.data, text.size, &root, error);
    if (status != INS_OK || json_type_of(root) != JSON_OBJECT) {
        return schema_damaged(error, "object");
    }
    if (!count_list(root, "fields", INS_FIELDS_MAX, &field_count) ||
        schema_bytes(text) > INS_BLOCK_BYTES_MAX) {
        return schema_damaged(error, "fields");
    }
    if (!count_list(root, "vectors", INS_VECTORS_MAX, &vector_count)) {
        return schema_damaged(error, "vectors");
    }
    struct schema *schema = schema_alloc(catalog, text, vector_count, field_count);
    if (schema == NULL) {
        return ins_fail(error, INS_FULL, "the catalog's share of the memory budget is used up");
    }
    schema->node.hash = hash;
    status = parse_schema(schema, root, error);
    if (status != INS_OK) {
        schema_free(catalog, schema);
        return status;
    }
    table_insert(&catalog->schemas, &schema->node);
    *out_schema = schema;
    return INS_OK;
}

ins_status schema_get_text(struct catalog *catalog, struct json_parser *parser, ins_text text,
                           struct schema **out_schema, ins_error *error) {
    uint64_t hash = hash64(text.data, text.size);
    struct schema *schema = find_schema(catalog, text, hash);
    if (schema != NULL) {
        *out_schema = schema_hold(schema);
        return INS_OK;
    }
    return schema_make(catalog, parser, text, hash, out_schema, error);
}

ins_status schema_get(struct catalog *catalog, const struct schema_draft *draft, struct pool *pool,
                      struct schema **out_schema, ins_error *error) {
    ins_text text = schema_text(pool, draft);
    if (text.data == NULL) {
        return ins_fail(error, INS_TOO_LARGE,
                        "the collection's settings are too large: at most %u bytes", TEXT_MAX);
    }
    /* A parser of its own: making a schema is rare, and the caller may be in the middle of a text.
     */
    struct json_parser *parser = json_parser_create(TEXT_MAX, INS_JSON_DEPTH_MAX);
    if (parser == NULL) {
        return ins_fail(error, INS_FULL, "no memory to make a schema");
    }
    ins_status status = schema_get_text(catalog, parser, text, out_schema, error);
    json_parser_destroy(parser);
    return status;
}

void schema_release(struct catalog *catalog, struct schema *schema) {
    if (schema == NULL) {
        return;
    }
    INS_ASSERT(schema->refs > 0);
    if (--schema->refs == 0) {
        table_remove(&catalog->schemas, &schema->node);
        schema->dead_next = catalog->dead_schemas;
        catalog->dead_schemas = schema;
    }
}

void schemas_bury(struct catalog *catalog) {
    while (catalog->dead_schemas != NULL) {
        struct schema *schema = catalog->dead_schemas;
        catalog->dead_schemas = schema->dead_next;
        schema_free(catalog, schema);
    }
}

void schema_set_key(struct catalog *catalog, struct schema *schema, uint64_t key) {
    INS_ASSERT(schema->key == 0);
    INS_ASSERT(key != 0);
    schema->refs++;
    schema->key = key;
    schema->key_node.hash = hash_u64(key);
    table_insert(&catalog->schemas_by_key, &schema->key_node);
}

void schema_forget_key(struct catalog *catalog, struct schema *schema) {
    INS_ASSERT(schema->key != 0);
    table_remove(&catalog->schemas_by_key, &schema->key_node);
    schema->key = 0;
    schema_release(catalog, schema);
}

void schema_use(struct schema *schema) {
    schema->users++;
}

void schema_disuse(struct schema *schema) {
    INS_ASSERT(schema->users > 0);
    schema->users--;
}
