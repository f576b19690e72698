/* What the settings of collections and their vectors may be, and how they are checked and kept. */
#ifndef INS_API_SETTINGS_H
#define INS_API_SETTINGS_H

#include <string.h>

#include "api/api_private.h"

enum setting_kind {
    SETTING_COUNT, /* an unsigned integer, min .. max */
    SETTING_SHARE, /* a number, 0 .. 1 */
    SETTING_BOOL,
    SETTING_TEXT,   /* one of `words` */
    SETTING_OBJECT, /* `members` checked, NULL = anything */
    SETTING_QUANTIZATION,
    SETTING_OPEN, /* an unsigned integer or a string: "auto" */
};

struct setting {
    const char *key;
    enum setting_kind kind;
    uint64_t min, max;
    const char *const *words; /* three runs, each ended by NULL: taken, 501, 422 */
    const struct setting *members;
};

/* Each ends with a key of NULL (settings_known.c). */
extern const struct setting vector_settings[];
extern const struct setting vector_update_settings[];
extern const struct setting params_settings[];
extern const struct setting update_settings[];
extern const struct setting collection_settings[];

static inline bool text_equal(ins_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

/* Members of `object` that `settings` knows have the right types, ranges and words; `prefix` names
 * the object in messages. */
ins_status settings_check(const struct setting *settings, const char *prefix,
                          struct json_value object, ins_error *error);
/* A quantization configuration has a kind that Qdrant knows, with what that kind needs. */
ins_status quantization_check(struct json_value value, const char *name, ins_error *error);
/* The setting's value in `object` and as it stands in the object's `text`; false when it is absent
 * or null. */
bool setting_get(const struct setting *setting, struct json_value object, ins_text text,
                 struct json_value *out, ins_text *out_raw);
ins_status setting_write(struct job *job, const struct setting *setting, ins_text raw,
                         struct json_writer *writer, ins_error *error);
/* Writes those members as they stand in the object's text. */
ins_status settings_write(struct job *job, const struct setting *settings, struct json_value object,
                          ins_text text, struct json_writer *writer, ins_error *error);

/* What creations and updates share (settings.c). */
ins_status strict_mode_check(struct json_value body, ins_error *error);
ins_status sparse_check(struct json_value body, ins_error *error);
ins_status metadata_decode(struct job *job, struct json_value body, ins_error *error);

#endif
