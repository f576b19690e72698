/* The note of a copy in the settings of its target's collection: "copies": {16 hex digits of the
 * hash of `to`: {"collection": text, "from": text or null, "to": text or null, "incarnation":
 * number}}. */
#include <stdio.h>

#include "base/hash.h"
#include "base/json_text.h"
#include "engine/catalog.h"
#include "engine/copy.h"
#include "engine/text.h"

#define KEY_BYTES 17u

ins_text copy_note_settings(struct pool *pool, const ins_copy_request *note, bool there) {
    struct json_writer writer;
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof(key), "%016llx",
                   (unsigned long long)hash64(note->to.data, note->to.size));
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "copies");
    json_write_begin_object(&writer);
    json_write_key_text(&writer, text_of(key));
    if (there) {
        json_write_begin_object(&writer);
        text_write_or_null(&writer, "collection", note->collection);
        text_write_or_null(&writer, "from", note->name);
        text_write_or_null(&writer, "to", note->to);
        json_write_key(&writer, "incarnation");
        json_write_u64(&writer, note->incarnation);
        json_write_end_object(&writer);
    } else {
        json_write_null(&writer);
    }
    json_write_end_object(&writer);
    json_write_end_object(&writer);
    return text_written(&writer);
}

/* Absent when it is null; false: it is neither that nor a text. */
static bool note_text(ins_text note, const char *key, struct pool *pool, ins_text *out) {
    ins_text value;
    *out = (ins_text){0};
    if (!json_text_get_last(note, text_of(key), &value)) {
        return false;
    }
    if (json_text_type(value) == JSON_NULL) {
        return true;
    }
    char *text = json_text_type(value) == JSON_STRING ? pool_alloc(pool, value.size) : NULL;
    if (text == NULL) {
        return false;
    }
    *out = (ins_text){text, json_text_decode(value, text)};
    return true;
}

bool copy_note_read(ins_text note, struct pool *pool, ins_copy_request *out) {
    ins_text number;
    return note_text(note, "collection", pool, &out->collection) &&
           note_text(note, "from", pool, &out->name) && note_text(note, "to", pool, &out->to) &&
           json_text_get_last(note, text_of("incarnation"), &number) &&
           json_text_unsigned(number, &out->incarnation);
}

void copy_tell(const struct ins_db *db, const ins_export_request *from, ins_text to_collection,
               const ins_error *error) {
    ins_text name = from->name.data != NULL ? from->name : from->collection;
    char text[INS_ERROR_MESSAGE_MAX + INS_TENANT_BYTES_MAX + INS_NAME_BYTES_MAX + 64];
    if (db->options.warn != NULL) {
        (void)snprintf(text, sizeof(text), "copy of tenant `%.*s` to collection `%.*s`: %s",
                       (int)name.size, name.data, (int)to_collection.size, to_collection.data,
                       error->message);
        db->options.warn(db->options.warn_context, text);
    }
}

/* ---- After a start ---- */

static void resume_all(struct ins_db *db, const struct scope *scope) {
    ins_text copies, key, note;
    if (scope->schema == NULL || scope->drop_lsn != 0 || scope->collection != NULL ||
        scope->schema->settings.data == NULL ||
        !json_text_get_last(scope->schema->settings, text_of("copies"), &copies)) {
        return;
    }
    struct json_text_iterator notes = json_text_begin(copies);
    while (json_text_next_member(&notes, &key, &note)) {
        copy_resume(db, scope, note);
    }
}

void copies_resume(struct ins_db *db) {
    const struct table *scopes = &db->catalog.by_key;
    for (uint64_t bucket = 0; bucket < scopes->bucket_count; bucket++) {
        struct table_node *node = table_bucket(scopes, bucket);
        for (; node != NULL; node = node->next) {
            resume_all(db, (const struct scope *)(const void *)node); /* its first member */
        }
    }
}
