/* From the stored form back to a payload: the tenant field returns as last key of its object.
 *
 * Path: go down the tenant's path as far as its objects exist, then put what is missing in front
 * of the closing brace of the deepest one. */
#include <string.h>

#include "base/assert.h"
#include "base/json_write.h"
#include "payload/payload_private.h"

/* json_writer over a pool; the old block stays with the pool. */
static void *grow_in_pool(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    char *data = pool_alloc(context, new_capacity);
    if (data != NULL && old_capacity > 0) {
        memcpy(data, old, old_capacity);
    }
    return data;
}

/* Stored text has no key twice. */
static bool find_member(ins_text object, ins_text key, ins_text *out_value) {
    enum json_text_found found =
        json_text_can_find(key) ? json_text_find(object, key, out_value) : JSON_TEXT_UNSURE;
    return found == JSON_TEXT_UNSURE ? json_text_get_last(object, key, out_value)
                                     : found == JSON_TEXT_FOUND;
}

/* How many of the path's parts (but the last) lead through objects of the text; *out_object is the
 * deepest. Part_count when the field itself is there. */
static uint32_t descend(ins_text text, const struct payload_path *path, ins_text *out_object) {
    uint32_t part = 0;
    ins_text value;
    *out_object = text;
    while (part < path->part_count && find_member(*out_object, path->parts[part], &value)) {
        bool passes = part + 1 < path->part_count && value.data[0] == '{';
        if (!passes) {
            return path->part_count; /* something is there: it stays */
        }
        *out_object = value;
        part++;
    }
    return part;
}

ins_text payload_restore(struct pool *pool, ins_text text, const struct payload_path *tenant_path,
                         ins_text tenant) {
    INS_ASSERT(tenant_path != NULL);
    INS_ASSERT(tenant_path->part_count > 0);

    ins_text whole = text.size == 0 ? (ins_text){"{}", 2} : text;
    ins_text object;
    uint32_t part = descend(whole, tenant_path, &object);
    if (part == tenant_path->part_count) {
        return whole;
    }
    size_t key_bytes = 0;
    for (uint32_t i = part; i < tenant_path->part_count; i++) {
        key_bytes += tenant_path->parts[i].size * 6 + 6;
    }
    size_t before = (size_t)(object.data - whole.data) + object.size - 1; /* up to the brace */
    size_t size_max = whole.size + key_bytes + tenant.size * 6 + 8;
    struct json_writer writer;
    json_write_init(&writer, INS_BLOCK_BYTES_MAX, pool, grow_in_pool);
    writer.data = pool_alloc(pool, size_max); /* all of it at once */
    if (writer.data == NULL) {
        return (ins_text){NULL, 0};
    }
    writer.capacity = size_max;
    json_write_raw(&writer, whole.data, before);
    writer.comma = object.size > 2;
    for (uint32_t i = part; i < tenant_path->part_count; i++) {
        if (i > part) {
            json_write_begin_object(&writer);
        }
        json_write_key_text(&writer, tenant_path->parts[i]);
    }
    json_write_text(&writer, tenant);
    for (uint32_t i = part + 1; i < tenant_path->part_count; i++) {
        json_write_end_object(&writer);
    }
    json_write_raw(&writer, whole.data + before, whole.size - before);
    return writer.failed ? (ins_text){NULL, 0} : (ins_text){writer.data, writer.size};
}

/* ---- One key, put back into many payloads ---- */

ins_text payload_tenant_member(struct pool *pool, const struct payload_path *tenant_path,
                               ins_text tenant) {
    struct json_writer writer;
    if (tenant_path->part_count != 1 || !json_text_can_find(tenant_path->parts[0])) {
        return (ins_text){NULL, 0};
    }
    json_write_init(&writer, INS_BLOCK_BYTES_MAX, pool, grow_in_pool);
    json_write_key_text(&writer, tenant_path->parts[0]);
    json_write_text(&writer, tenant);
    return writer.failed ? (ins_text){NULL, 0} : (ins_text){writer.data, writer.size};
}

bool payload_restore_member(struct pool *pool, ins_text text, ins_text key, ins_text member,
                            ins_text *out_text) {
    ins_text whole = text.size == 0 ? (ins_text){"{}", 2} : text, value;
    if (member.size == 0 || json_text_find(whole, key, &value) != JSON_TEXT_ABSENT) {
        return false;
    }
    size_t before = whole.size - 1; /* up to the brace */
    char *data = pool_alloc(pool, whole.size + 1 + member.size), *at = data;
    *out_text = (ins_text){data, 0};
    if (data == NULL) {
        return true;
    }
    memcpy(at, whole.data, before);
    at += before;
    if (whole.size > 2) {
        *at++ = ',';
    }
    memcpy(at, member.data, member.size);
    at += member.size;
    *at++ = '}';
    out_text->size = (size_t)(at - data);
    return true;
}
