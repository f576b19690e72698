#include "engine/names.h"

#include <string.h>

#include "base/status.h"

ins_status names_check(const char *field, ins_text name, ins_error *error) {
    if (name.size == 0 || name.size > INS_NAME_BYTES_MAX) {
        return ins_fail(error, INS_UNPROCESSABLE, "%s: %zu bytes, must be from 1 to %d bytes",
                        field, name.size, INS_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c == 0 || c == 0x1f || strchr("<>:\"/\\|?*", c) != NULL) {
            return ins_fail(error, INS_UNPROCESSABLE,
                            "%s: the character 0x%02x at byte %zu is not allowed", field, c, i);
        }
    }
    return INS_OK;
}

ins_status names_absent(ins_text name, ins_error *error) {
    int shown = name.size < INS_NAME_BYTES_MAX ? (int)name.size : (int)INS_NAME_BYTES_MAX;
    return ins_fail(error, INS_NOT_FOUND, "Collection `%.*s` doesn't exist!", shown, name.data);
}

ins_status names_find_scope(struct ins_db *db, ins_text name, bool for_write,
                            struct scope **out_scope, ins_error *error) {
    uint64_t lsn = for_write ? UINT64_MAX : db->reading.durable_lsn;
    struct scope *scope = NULL;
    if (name.size > 0) {
        scope = for_write ? catalog_find_newest(&db->catalog, name)
                          : catalog_find(&db->catalog, name, lsn);
    }
    if (name.size > 0 && scope == NULL) {
        const struct alias *alias = alias_find(&db->catalog, name, lsn);
        scope = alias == NULL ? NULL : alias->scope;
    }
    if (scope == NULL) {
        return names_absent(name, error);
    }
    *out_scope = scope;
    return INS_OK;
}
