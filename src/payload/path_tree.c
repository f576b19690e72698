/* Trees of paths: one walk over a payload finds the values of all fields that a filter or a
 * selector names, however many. A node with many children keeps a hash table of them. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "payload/payload_private.h"

#define TABLE_FROM 8u             /* children; fewer are compared one by one */
#define KEY_DECODE_BYTES_MAX 512u /* longer escaped keys are compared one by one */

static bool text_equal(ins_text left, ins_text right) {
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

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
    child->findable = json_text_can_find(key);
    child->field = PATH_FIELD_NONE;
    child->next = node->children;
    node->children = child;
    node->child_count++;
    if (node->table != NULL) {
        table_put(node, child);
    }
    return child;
}

static struct path_node *elements_of(struct path_node *node, struct pool *pool) {
    if (node->elements == NULL) {
        node->elements = pool_alloc_zero(pool, sizeof(*node));
        if (node->elements != NULL) {
            node->elements->field = PATH_FIELD_NONE;
        }
    }
    return node->elements;
}

/* A node below that no text leads to. */
static struct path_node *nowhere(struct pool *pool) {
    struct path_node *node = pool_alloc_zero(pool, sizeof(*node));
    if (node != NULL) {
        node->field = PATH_FIELD_NONE;
    }
    return node;
}

struct path_node *path_tree_add(struct path_node *root, const struct payload_path *path,
                                uint32_t part_count, struct pool *pool) {
    struct path_node *node = root;
    for (uint32_t i = 0; node != NULL && i < part_count; i++) {
        if (path->kinds[i] == PART_ALL) {
            node = elements_of(node, pool);
        } else if (path->kinds[i] == PART_INDEX) {
            node = nowhere(pool);
        } else {
            struct path_node *child = find_child(node, path->parts[i]);
            node = child != NULL ? child : add_child(node, path->parts[i], pool);
        }
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
