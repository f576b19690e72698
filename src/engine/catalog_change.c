/* Rows of changes by filter that take many records: written with the first record, taken out with
 * the last one, found again at recovery. */
#include <string.h>

#include "base/status.h"
#include "engine/catalog.h"
#include "engine/change_text.h"
#include "engine/text.h"

/* Hexadecimal, as a JSON string: the bytes are no text. */
static const char digits[] = "0123456789abcdef";

ins_text catalog_row_change(struct pool *pool, uint64_t scope_key, uint64_t lsn,
                            const uint8_t *bytes, size_t size) {
    struct json_writer writer;
    char *hex = pool_alloc(pool, 2 * size + 1);
    if (hex == NULL) {
        return (ins_text){0};
    }
    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    text_writer(&writer, pool);
    json_write_begin_object(&writer);
    json_write_key(&writer, "k");
    json_write_string(&writer, "o");
    json_write_key(&writer, "s");
    json_write_u64(&writer, scope_key);
    json_write_key(&writer, "v");
    json_write_u64(&writer, lsn);
    json_write_key(&writer, "b");
    json_write_text(&writer, (ins_text){.data = hex, .size = 2 * size});
    json_write_end_object(&writer);
    return text_written(&writer);
}

static bool take_hex(ins_text hex, uint8_t *out) {
    for (size_t i = 0; i < hex.size; i++) {
        const char *digit = hex.data[i] == 0 ? NULL : strchr(digits, hex.data[i]);
        if (digit == NULL) {
            return false;
        }
        uint8_t value = (uint8_t)(digit - digits);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return true;
}

ins_status change_apply(struct catalog *catalog, uint64_t key, struct json_value root,
                        ins_error *error) {
    struct json_value bytes;
    struct change_row head = {.key = key};
    bool known = json_get_u64(root, "s", &head.scope_key) && json_get_u64(root, "v", &head.lsn) &&
                 json_get(root, "b", &bytes) && json_type_of(bytes) == JSON_STRING;
    ins_text hex = known ? json_string(bytes) : (ins_text){0};
    if (!known || hex.size % 2 != 0 || hex.size / 2 > CHANGE_BYTES_MAX) {
        return ins_fail(error, INS_CORRUPT, "catalog: row %llu is no change by filter",
                        (unsigned long long)key);
    }
    if (catalog_find_key(catalog, head.scope_key) == NULL) {
        return INS_OK; /* its collection was dropped */
    }
    change_forget(catalog, key); /* the log holds what a segment has as well */
    struct change_row *row =
        arena_alloc(catalog->arena, INS_MEM_CATALOG, sizeof(*row) + hex.size / 2);
    if (row == NULL) {
        return ins_fail(error, INS_FULL,
                        "no memory for a change by filter that is under way: start with a larger "
                        "--memory-budget");
    }
    *row = head;
    row->size = (uint32_t)(hex.size / 2);
    if (!take_hex(hex, row->bytes)) {
        arena_free(catalog->arena, INS_MEM_CATALOG, row, sizeof(*row) + row->size);
        return ins_fail(error, INS_CORRUPT, "catalog: row %llu is no change by filter",
                        (unsigned long long)key);
    }
    struct change_row **link = &catalog->changes; /* in the order of their keys */
    while (*link != NULL && (*link)->key < key) {
        link = &(*link)->next;
    }
    row->next = *link;
    *link = row;
    return INS_OK;
}

static void forget(struct catalog *catalog, struct change_row **link) {
    struct change_row *row = *link;
    *link = row->next;
    arena_free(catalog->arena, INS_MEM_CATALOG, row, sizeof(*row) + row->size);
}

void change_forget(struct catalog *catalog, uint64_t key) {
    for (struct change_row **link = &catalog->changes; *link != NULL; link = &(*link)->next) {
        if ((*link)->key == key) {
            forget(catalog, link);
            return;
        }
    }
}

void changes_forget(struct catalog *catalog) {
    while (catalog->changes != NULL) {
        forget(catalog, &catalog->changes);
    }
}
