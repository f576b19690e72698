/* The note of a copy in the settings of its target's collection: "copies": {16 hex digits of the
 * hash of `to`: {"collection": text, "from": text or null, "to": text or null, "incarnation":
 * number}}. */
#include <stdio.h>

#include "base/hash.h"
#include "base/json_text.h"
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
