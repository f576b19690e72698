/* The part of a payload that a selector asks for.
 *
 * Include keeps what lies on a way to a named path or below it: a scalar above a named path stays,
 * an array there becomes empty unless the path goes on with [], as in Qdrant. Exclude drops the
 * named paths. A place given by number ("a[0]") names nothing, as in Qdrant. */
#include <string.h>

#include "base/assert.h"
#include "payload/payload_private.h"

struct selecting {
    char *out; /* [size of the payload] */
    size_t size;
    bool include;
};

static void put(struct selecting *selecting, const char *data, size_t size) {
    memcpy(selecting->out + selecting->size, data, size);
    selecting->size += size;
}

/* What to do with a value to which `node` leads (NULL: no path goes there). */
enum choice { CHOICE_DROP, CHOICE_KEEP, CHOICE_PART };

static enum choice choose(const struct selecting *selecting, const struct path_node *node,
                          ins_text value) {
    if (node == NULL) {
        return selecting->include ? CHOICE_DROP : CHOICE_KEEP;
    }
    if (node->field != PATH_FIELD_NONE) {
        return selecting->include ? CHOICE_KEEP : CHOICE_DROP;
    }
    return value.data[0] == '{' || value.data[0] == '[' ? CHOICE_PART : CHOICE_KEEP;
}

static void select_part(struct selecting *selecting, ins_text value, const struct path_node *node);

static void select_object(struct selecting *selecting, ins_text object,
                          const struct path_node *node) {
    struct json_text_iterator iterator = json_text_begin(object);
    ins_text key;
    ins_text value;
    bool first = true;
    put(selecting, "{", 1);
    while (json_text_next_member(&iterator, &key, &value)) {
        const struct path_node *child = path_tree_child(node, key, iterator.key_escaped);
        enum choice choice = choose(selecting, child, value);
        if (choice == CHOICE_DROP) {
            continue;
        }
        if (!first) {
            put(selecting, ",", 1);
        }
        first = false;
        put(selecting, key.data - 1, key.size + 2);
        put(selecting, ":", 1);
        if (choice == CHOICE_KEEP) {
            put(selecting, value.data, value.size);
        } else {
            select_part(selecting, value, child);
        }
    }
    put(selecting, "}", 1);
}

/* Elements go all the same way: they are kept or dropped whole, or each becomes a part. */
static void select_array(struct selecting *selecting, ins_text array,
                         const struct path_node *node) {
    struct json_text_iterator iterator = json_text_begin(array);
    ins_text value;
    bool first = true;
    put(selecting, "[", 1);
    while (json_text_next(&iterator, &value)) {
        enum choice choice = choose(selecting, node->elements, value);
        if (choice == CHOICE_DROP) {
            continue;
        }
        if (!first) {
            put(selecting, ",", 1);
        }
        first = false;
        if (choice == CHOICE_KEEP) {
            put(selecting, value.data, value.size);
        } else {
            select_part(selecting, value, node->elements);
        }
    }
    put(selecting, "]", 1);
}

/* Recurses no deeper than a path has parts. */
static void select_part(struct selecting *selecting, ins_text value, const struct path_node *node) {
    if (value.data[0] == '{') {
        select_object(selecting, value, node);
    } else {
        select_array(selecting, value, node);
    }
}

ins_text payload_select(struct pool *pool, ins_text text, const ins_selector *selector) {
    INS_ASSERT(pool != NULL);
    INS_ASSERT(selector != NULL);

    if (selector->kind == INS_SELECT_NONE) {
        return (ins_text){"", 0};
    }
    if (text.size == 0) {
        return (ins_text){"{}", 2};
    }
    if (selector->kind == INS_SELECT_ALL) {
        return text;
    }
    struct path_node root = {.field = PATH_FIELD_NONE};
    for (size_t i = 0; i < selector->key_count; i++) {
        struct payload_path path;
        if (payload_path_parse(selector->keys[i], NULL, &path, NULL) != INS_OK) {
            continue; /* names no field: whoever took the request may refuse it earlier */
        }
        struct path_node *node = path_tree_add(&root, &path, path.part_count, pool);
        if (node == NULL) {
            return (ins_text){NULL, 0};
        }
        node->field = 0;
    }
    struct selecting selecting = {.out = pool_alloc(pool, text.size),
                                  .include = selector->kind == INS_SELECT_INCLUDE};
    if (selecting.out == NULL) {
        return (ins_text){NULL, 0};
    }
    select_object(&selecting, text, &root);
    INS_ASSERT(selecting.size <= text.size);
    return (ins_text){selecting.out, selecting.size};
}
