#include "engine/text.h"

/* The pool frees nothing piecemeal: the old block stays until the pool goes. Doubling bounds that.
 */
static void *grow(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    void *block = pool_alloc(context, new_capacity);
    if (block != NULL && old_capacity > 0) {
        memcpy(block, old, old_capacity);
    }
    return block;
}

void text_writer(struct json_writer *writer, struct pool *pool) {
    json_write_init(writer, TEXT_MAX, pool, grow);
}

void text_write_or_null(struct json_writer *writer, const char *key, ins_text text) {
    json_write_key(writer, key);
    if (text.data != NULL) {
        json_write_text(writer, text);
    } else {
        json_write_null(writer);
    }
}

/* ---- Merging ---- */

struct merge { /* the text being made: never longer than both inputs and a few bytes */
    char *data;
    size_t size;
};

static void put(struct merge *merge, const char *text, size_t size) {
    if (text != NULL) { /* an empty key has none */
        memcpy(merge->data + merge->size, text, size);
    }
    merge->size += size;
}

static void put_member(struct merge *merge, ins_text raw_key, ins_text value) {
    if (merge->data[merge->size - 1] != '{') {
        put(merge, ",", 1);
    }
    put(merge, "\"", 1);
    put(merge, raw_key.data, raw_key.size);
    put(merge, "\":", 2);
    put(merge, value.data, value.size);
}

/* The last member of that raw key: of equal keys the last counts. */
static bool last_member(ins_text object, ins_text raw_key, ins_text *out_value) {
    struct json_text_iterator members = json_text_begin(object);
    ins_text key, value;
    bool found = false;
    while (json_text_next_member(&members, &key, &value)) {
        if (json_text_keys_equal(key, raw_key)) {
            *out_value = value;
            found = true;
        }
    }
    return found;
}

static bool is_object(ins_text value) {
    return value.data != NULL && value.data[0] == '{';
}

static bool merge_members(struct pool *pool, struct merge *merge, ins_text base, ins_text patch,
                          uint32_t depth) {
    struct json_text_iterator members = json_text_begin(base);
    ins_text key, value, other = {0};
    while (json_text_next_member(&members, &key, &value)) {
        (void)last_member(base, key, &other);
        if (other.data != value.data) {
            continue; /* an earlier one of equal keys */
        }
        if (!last_member(patch, key, &other)) {
            put_member(merge, key, value);
        } else if (depth > 1 && is_object(value) && is_object(other)) {
            value = text_merge(pool, value, other, depth - 1);
            if (value.data == NULL) {
                return false;
            }
            put_member(merge, key, value);
        }
    }
    members = json_text_begin(patch);
    while (json_text_next_member(&members, &key, &value)) {
        ins_text before = {0};
        (void)last_member(patch, key, &other);
        bool merged =
            last_member(base, key, &before) && depth > 1 && is_object(before) && is_object(value);
        if (other.data == value.data && !merged && json_text_type(value) != JSON_NULL) {
            if (depth > 1 && is_object(value)) {
                value = text_merge(pool, (ins_text){"{}", 2}, value, depth - 1);
            }
            if (value.data == NULL) {
                return false;
            }
            put_member(merge, key, value);
        }
    }
    return true;
}

ins_text text_merge(struct pool *pool, ins_text base, ins_text patch, uint32_t depth) {
    base = base.data == NULL ? (ins_text){"{}", 2} : base;
    struct merge merge = {.data = pool_alloc_aligned(pool, base.size + patch.size + 8, 1)};
    if (merge.data == NULL) {
        return (ins_text){0};
    }
    put(&merge, "{", 1);
    bool whole = merge_members(pool, &merge, base, patch, depth);
    put(&merge, "}", 1);
    return whole ? (ins_text){merge.data, merge.size} : (ins_text){0};
}
