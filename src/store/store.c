#include "store/store.h"

#include "base/assert.h"

static bool name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool store_name_valid(const char *name) {
    INS_ASSERT(name != NULL);
    size_t size = 0, slashes = 0;
    bool part_begins = true;
    for (; name[size] != '\0'; size++) {
        if (size == STORE_NAME_MAX) {
            return false;
        }
        if (name[size] == '/') {
            if (part_begins || ++slashes > 1) {
                return false;
            }
            part_begins = true;
            continue;
        }
        if (!name_char(name[size]) || (part_begins && name[size] == '.')) {
            return false;
        }
        part_begins = false;
    }
    return !part_begins; /* neither empty nor ending in a slash */
}

ins_status store_get(ins_store *store, const char *name, uint64_t offset, void *out, size_t size,
                     ins_error *error) {
    INS_ASSERT(store != NULL);
    INS_ASSERT(store_name_valid(name));
    INS_ASSERT(out != NULL || size == 0);
    INS_ASSERT(offset <= (uint64_t)INT64_MAX - size);
    return store->ops->get(store, name, offset, out, size, error);
}

void store_get_many(ins_store *store, struct store_range *ranges, uint32_t count) {
    INS_ASSERT(store != NULL);
    INS_ASSERT(count <= STORE_RANGES_MAX);
    if (store->ops->get_many != NULL && count > 1) {
        store->ops->get_many(store, ranges, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct store_range *range = &ranges[i];
        range->status =
            store_get(store, range->name, range->offset, range->out, range->size, range->error);
    }
}

ins_status store_remove(ins_store *store, const char *name, ins_error *error) {
    INS_ASSERT(store != NULL);
    INS_ASSERT(store_name_valid(name));
    INS_ASSERT(!store->read_only);
    return store->ops->remove(store, name, error);
}

void ins_store_close(ins_store *store) {
    if (store != NULL) {
        store->ops->close(store);
    }
}
