/* Paths to payload fields, and trees of them.
 *
 * A tree lets one walk over a payload find the values of all fields that a filter or a selector
 * names, however many. A node with many children keeps a hash table of them. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "payload/payload_private.h"

#define TABLE_FROM 8u             /* children; fewer are compared one by one */
#define KEY_DECODE_BYTES_MAX 512u /* longer escaped keys are compared one by one */

ins_status payload_no_memory(ins_error *error, const char *what) {
    return ins_fail_retry(error, INS_EXHAUSTED, 1, "no memory for %s", what);
}

static bool text_equal(ins_text left, ins_text right) {
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static ins_status path_invalid(ins_text text, size_t at, const char *reason, ins_error *error) {
    int shown = text.size > 100 ? 100 : (int)text.size;
    return ins_fail(error, INS_INVALID, "field path \"%.*s\": %s at character %zu", shown,
                    text.data, reason, at + 1);
}

/* The part at *at, without its quotes; *at goes behind it. */
static ins_status take_part(ins_text text, size_t *at, ins_text *out_part, ins_error *error) {
    size_t from = *at;
    if (from < text.size && text.data[from] == '"') {
        const char *close = memchr(text.data + from + 1, '"', text.size - from - 1);
        if (close == NULL) {
            return path_invalid(text, from, "a quote that is not closed", error);
        }
        size_t end = (size_t)(close - text.data);
        *out_part = (ins_text){text.data + from + 1, end - from - 1};
        *at = end + 1;
        return INS_OK;
    }
    size_t end = from;
    while (end < text.size && text.data[end] != '.' && text.data[end] != '[') {
        if (text.data[end] == '"' || text.data[end] == ']') {
            return path_invalid(text, end, "a stray quote or bracket", error);
        }
        end++;
    }
    if (end == from) {
        return path_invalid(text, from, "an empty part", error);
    }
    *out_part = (ins_text){text.data + from, end - from};
    *at = end;
    return INS_OK;
}

ins_status payload_path_parse(ins_text text, struct pool *pool, struct payload_path *out_path,
                              ins_error *error) {
    INS_ASSERT(out_path != NULL);
    struct payload_path path = {.part_count = 0};
    if (text.data == NULL || text.size == 0) {
        return path_invalid((ins_text){"", 0}, 0, "an empty part", error);
    }
    if (pool != NULL) {
        if (text.size > INS_PAYLOAD_BYTES_MAX) {
            return path_invalid(text, INS_PAYLOAD_BYTES_MAX, "too long", error);
        }
        text.data = pool_copy(pool, text.data, text.size);
        if (text.data == NULL) {
            return payload_no_memory(error, "a field path");
        }
    }
    size_t at = 0;
    for (;;) {
        if (path.part_count == PAYLOAD_PATH_PARTS_MAX) {
            return path_invalid(text, at, "more than 8 parts", error);
        }
        ins_status status = take_part(text, &at, &path.parts[path.part_count], error);
        if (status != INS_OK) {
            return status;
        }
        path.part_count++;
        if (at == text.size) {
            *out_path = path;
            return INS_OK;
        }
        if (text.data[at] == '[') {
            int shown = text.size > 100 ? 100 : (int)text.size;
            return ins_fail(error, INS_UNSUPPORTED,
                            "field path \"%.*s\": places in arrays are not supported", shown,
                            text.data);
        }
        if (text.data[at] != '.') {
            return path_invalid(text, at, "something other than a dot behind a quoted key", error);
        }
        at++;
    }
}
_Static_assert(PAYLOAD_PATH_PARTS_MAX == 8, "the message above says 8");

bool payload_path_equal(const struct payload_path *left, const struct payload_path *right) {
    bool equal = left->part_count == right->part_count;
    for (uint32_t i = 0; equal && i < left->part_count; i++) {
        equal = text_equal(left->parts[i], right->parts[i]);
    }
    return equal;
}

/* ---- Trees --------------------------------------------------------------------------------- */

static struct path_node *find_child(const struct path_node *node, ins_text key) {
    if (node->table == NULL) {
        struct path_node *child = node->children;
        while (child != NULL && !text_equal(child->key, key)) {
            child = child->next;
        }
        return child;
    }
    uint32_t mask = node->table_size - 1;
    uint32_t slot = (uint32_t)hash64(key.data, key.size) & mask;
    while (node->table[slot] != NULL && !text_equal(node->table[slot]->key, key)) {
        slot = (slot + 1) & mask; /* ends: half of the table is empty */
    }
    return node->table[slot];
}

static void table_put(struct path_node *node, struct path_node *child) {
    uint32_t mask = node->table_size - 1;
    uint32_t slot = (uint32_t)hash64(child->key.data, child->key.size) & mask;
    while (node->table[slot] != NULL) {
        slot = (slot + 1) & mask;
    }
    node->table[slot] = child;
}

/* Makes room for one more child in the table; a new table is four times the children. */
static bool table_reserve(struct path_node *node, struct pool *pool) {
    uint32_t count = node->child_count + 1;
    if (count <= TABLE_FROM || count * 2 <= node->table_size) {
        return true;
    }
    uint32_t size = TABLE_FROM * 4;
    while (size < count * 4) {
        size *= 2;
    }
    struct path_node **table = pool_alloc_zero(pool, size * sizeof(struct path_node *));
    if (table == NULL) {
        return false;
    }
    node->table = table;
    node->table_size = size;
    for (struct path_node *child = node->children; child != NULL; child = child->next) {
        table_put(node, child);
    }
    return true;
}

static struct path_node *add_child(struct path_node *node, ins_text key, struct pool *pool) {
    struct path_node *child = pool_alloc_zero(pool, sizeof(*child));
    if (child == NULL || !table_reserve(node, pool)) {
        return NULL;
    }
    child->key = key;
    child->field = PATH_FIELD_NONE;
    child->next = node->children;
    node->children = child;
    node->child_count++;
    if (node->table != NULL) {
        table_put(node, child);
    }
    return child;
}

struct path_node *path_tree_add(struct path_node *root, const struct payload_path *path,
                                struct pool *pool) {
    struct path_node *node = root;
    for (uint32_t i = 0; node != NULL && i < path->part_count; i++) {
        struct path_node *child = find_child(node, path->parts[i]);
        node = child != NULL ? child : add_child(node, path->parts[i], pool);
    }
    return node;
}

static const struct path_node *find_child_escaped(const struct path_node *node, ins_text raw_key) {
    char decoded[KEY_DECODE_BYTES_MAX];
    if (raw_key.size <= sizeof(decoded) - 2) {
        decoded[0] = 0; /* the decoder writes what it returns; cppcheck does not see it */
        ins_text quoted = {raw_key.data - 1, raw_key.size + 2};
        return find_child(node, (ins_text){decoded, json_text_decode(quoted, decoded)});
    }
    const struct path_node *child = node->children;
    while (child != NULL && !json_text_key_equal(raw_key, child->key)) {
        child = child->next;
    }
    return child;
}

const struct path_node *path_tree_child(const struct path_node *node, ins_text raw_key,
                                        bool escaped) {
    return escaped ? find_child_escaped(node, raw_key) : find_child(node, raw_key);
}
