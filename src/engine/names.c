#include "engine/names.h"

#include "base/status.h"

ins_status names_absent(ins_text name, ins_error *error) {
    int shown = name.size < INS_NAME_BYTES_MAX ? (int)name.size : (int)INS_NAME_BYTES_MAX;
    return ins_fail(error, INS_NOT_FOUND, "Collection `%.*s` doesn't exist!", shown, name.data);
}

ins_status names_find_scope(struct ins_db *db, ins_text name, bool for_write,
                            struct scope **out_scope, ins_error *error) {
    struct scope *scope = NULL;
    if (name.size > 0 && for_write) {
        scope = catalog_find_newest(&db->catalog, name);
    } else if (name.size > 0) {
        scope = catalog_find(&db->catalog, name, db->reading.durable_lsn);
    }
    if (scope == NULL) {
        return names_absent(name, error);
    }
    *out_scope = scope;
    return INS_OK;
}
