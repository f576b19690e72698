/* The payloads of the catalog's rows, as they are written. catalog_apply.c reads them. */
#include "engine/catalog.h"

#include <string.h>

#include "engine/text.h"

ins_text catalog_row_allocator(struct pool *pool, uint64_t next_key) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "a");
    json_write_key(&writer, "n");
    json_write_u64(&writer, next_key);
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_schema(struct pool *pool, const struct schema *schema) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "s");
    json_write_key(&writer, "c");
    json_write_value(&writer, (ins_text){.data = schema->text, .size = schema->text_size});
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_scope(struct pool *pool, const struct scope *scope, ins_text name,
                           uint64_t schema_key, uint64_t directory, ins_text metadata) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "c");
    json_write_key(&writer, "n");
    json_write_text(&writer, name);
    json_write_key(&writer, "i");
    json_write_u64(&writer, scope->common->incarnation);
    json_write_key(&writer, "d");
    json_write_u64(&writer, directory);
    json_write_key(&writer, "s");
    json_write_u64(&writer, schema_key);
    if (scope->sharded) {
        json_write_key(&writer, "h");
        json_write_bool(&writer, true);
    }
    if (metadata.data != NULL) {
        json_write_key(&writer, "m");
        json_write_value(&writer, metadata);
    }
    json_write_end_object(&writer);
    return text_written(&writer);
}

/* A name that belongs to a scope. */
static ins_text row_name(struct pool *pool, const char *kind, uint64_t scope_key, ins_text name) {
    struct json_writer writer;
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, kind);
    json_write_key(&writer, "s");
    json_write_u64(&writer, scope_key);
    json_write_key(&writer, "n");
    json_write_text(&writer, name);
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_shard(struct pool *pool, const struct scope *shard) {
    struct json_writer writer;
    ins_shard_key name = scope_shard_key(shard);
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "h");
    json_write_key(&writer, "s");
    json_write_u64(&writer, shard->collection->key);
    json_write_key(&writer, "n");
    if (name.text.data == NULL) {
        json_write_u64(&writer, name.number);
    } else {
        json_write_text(&writer, name.text);
    }
    json_write_key(&writer, "i");
    json_write_u64(&writer, shard->common->incarnation);
    json_write_key(&writer, "d");
    json_write_u64(&writer, shard->directory_key);
    json_write_end_object(&writer);
    return text_written(&writer);
}

ins_text catalog_row_tenant(struct pool *pool, uint64_t scope_key, ins_text tenant) {
    return row_name(pool, "t", scope_key, tenant);
}

ins_text catalog_row_alias(struct pool *pool, uint64_t scope_key, ins_text name) {
    return row_name(pool, "l", scope_key, name);
}

ins_text catalog_row_metadata(ins_text payload) {
    ins_text metadata;
    if (!json_text_get_last(payload, text_of("m"), &metadata)) {
        return (ins_text){0};
    }
    return metadata;
}

enum catalog_row_kind catalog_row_kind(ins_text payload, uint64_t *out_scope) {
    static const char letters[] = "schtl";
    ins_text kind, scope;
    *out_scope = 0;
    if (!json_text_get_last(payload, text_of("k"), &kind) || kind.size != 3) {
        return CATALOG_ROW_OTHER;
    }
    const char *letter = memchr(letters, kind.data[1], sizeof(letters) - 1);
    if (letter == NULL) {
        return CATALOG_ROW_OTHER;
    }
    if (json_text_get_last(payload, text_of("s"), &scope)) {
        for (size_t i = 0; i < scope.size; i++) {
            *out_scope = 10 * *out_scope + (uint64_t)(scope.data[i] - '0');
        }
    }
    return CATALOG_ROW_SCHEMA + (enum catalog_row_kind)(letter - letters);
}
