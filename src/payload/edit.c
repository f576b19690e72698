/* Changing a part of a payload: set, as Qdrant's set_payload merges, and remove, by paths.
 *
 * Path: the old text is walked once and copied; what the change names is replaced, left out or
 * added on the way. Both take and give compact text of a whole payload, tenant field included: the
 * caller stores the result with payload_store(), as if it had been sent.
 * Bounded: the result has at most INS_PAYLOAD_BYTES_MAX bytes, recursion is as deep as a path. */
#include <string.h>

#include "base/assert.h"
#include "base/json_write.h"
#include "base/status.h"
#include "payload/payload_private.h"

#define PATCH_MEMBERS_MAX 32768u /* their table fits one block */

struct patch_member {
    ins_text key, value; /* raw, as in the patch's text */
    bool removes;        /* null */
};

struct payload_patch {
    const struct payload_path *path; /* NULL: the payload itself */
    struct path_node keys;           /* field = number of the member */
    struct patch_member *members;
    size_t member_count;
    uint64_t *met; /* bitset of one merge: members whose key the object had */
};

static const ins_text empty_object = {"{}", 2}, empty_array = {"[]", 2};

/* ---- Writing ------------------------------------------------------------------------------- */

static void *grow_in_pool(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    char *data = pool_alloc(context, new_capacity);
    if (data != NULL && old_capacity > 0) {
        memcpy(data, old, old_capacity);
    }
    return data;
}

static void writer_init(struct json_writer *writer, struct pool *pool) {
    json_write_init(writer, INS_PAYLOAD_BYTES_MAX, pool, grow_in_pool);
}

static ins_status written(const struct json_writer *writer, ins_text *out, ins_error *error) {
    if (!writer->failed) {
        *out = (ins_text){writer->data, writer->size};
        return INS_OK;
    }
    if (writer->capacity * 2 < INS_PAYLOAD_BYTES_MAX) {
        return payload_no_memory(error, "a changed payload");
    }
    return ins_fail(error, INS_TOO_LARGE, "the changed payload has more than %u bytes, the limit",
                    INS_PAYLOAD_BYTES_MAX);
}

static void put(struct json_writer *writer, const char *text, size_t size) {
    json_write_raw(writer, text, size);
}

static void put_comma(struct json_writer *writer, bool *first) {
    if (!*first) {
        put(writer, ",", 1);
    }
    *first = false;
}

static void put_raw_key(struct json_writer *writer, ins_text raw_key) {
    put(writer, raw_key.data - 1, raw_key.size + 2);
    put(writer, ":", 1);
}

static bool is_container(ins_text value, char bracket) {
    return value.size > 0 && value.data[0] == bracket;
}

/* True when the path's part, a place in an array or all of them, takes element `index`. */
static bool part_selects(const struct payload_path *path, uint32_t part, uint64_t index) {
    uint64_t wanted;
    return path->kinds[part] == PART_ALL ||
           (path->kinds[part] == PART_INDEX && json_text_unsigned(path->parts[part], &wanted) &&
            wanted == index);
}

/* ---- Set ----------------------------------------------------------------------------------- */

static ins_status collect_member(struct payload_patch *patch, struct pool *pool, ins_text raw_key,
                                 ins_text value, ins_error *error) {
    ins_text quoted = {raw_key.data - 1, raw_key.size + 2};
    char *key = pool_alloc(pool, quoted.size);
    if (key == NULL) {
        return payload_no_memory(error, "a payload's keys");
    }
    struct payload_path path = {.part_count = 1, .key_count = 1, .kinds = {PART_KEY}};
    path.parts[0] = (ins_text){key, json_text_decode(quoted, key)};
    struct path_node *node = path_tree_add(&patch->keys, &path, 1, pool);
    if (node == NULL) {
        return payload_no_memory(error, "a payload's keys");
    }
    node->field = (uint32_t)patch->member_count;
    patch->members[patch->member_count++] =
        (struct patch_member){.key = raw_key, .value = value, .removes = is_container(value, 'n')};
    return INS_OK;
}

ins_status payload_patch_create(struct pool *pool, ins_text object, const struct payload_path *path,
                                struct payload_patch **out, ins_error *error) {
    struct payload_patch *patch = pool_alloc_zero(pool, sizeof(*patch));
    ins_text text = object.size == 0 ? empty_object : object;
    struct json_text_iterator iterator = json_text_begin(text);
    ins_text key, value;
    size_t count = 0;
    while (json_text_next_member(&iterator, &key, &value)) {
        count++;
    }
    if (count > PATCH_MEMBERS_MAX) {
        return ins_fail(error, INS_TOO_LARGE, "a change of %zu members at once, the limit is %u",
                        count, PATCH_MEMBERS_MAX);
    }
    if (patch == NULL) {
        return payload_no_memory(error, "a payload's change");
    }
    patch->path = path;
    patch->keys.field = PATH_FIELD_NONE;
    patch->members = pool_alloc(pool, (count + 1) * sizeof(*patch->members));
    patch->met = pool_alloc(pool, (count / 64 + 1) * sizeof(*patch->met));
    if (patch->members == NULL || patch->met == NULL) {
        return payload_no_memory(error, "a payload's change");
    }
    iterator = json_text_begin(text);
    while (json_text_next_member(&iterator, &key, &value)) {
        ins_status status = collect_member(patch, pool, key, value, error);
        if (status != INS_OK) {
            return status;
        }
    }
    *out = patch;
    return INS_OK;
}

/* Members of the object keep their places; new ones come behind them. */
static void merge_object(struct json_writer *writer, const struct payload_patch *patch,
                         ins_text object) {
    struct json_text_iterator iterator = json_text_begin(object);
    ins_text key, value;
    bool first = true;
    memset(patch->met, 0, (patch->member_count / 64 + 1) * sizeof(*patch->met));
    put(writer, "{", 1);
    while (json_text_next_member(&iterator, &key, &value)) {
        const struct path_node *node = path_tree_child(&patch->keys, key, iterator.key_escaped);
        if (node != NULL) {
            const struct patch_member *member = &patch->members[node->field];
            patch->met[node->field / 64] |= 1ull << (node->field % 64);
            if (member->removes) {
                continue;
            }
            value = member->value;
        }
        put_comma(writer, &first);
        put_raw_key(writer, key);
        put(writer, value.data, value.size);
    }
    for (size_t i = 0; i < patch->member_count; i++) {
        const struct patch_member *member = &patch->members[i];
        if (!member->removes && (patch->met[i / 64] >> (i % 64) & 1) == 0) {
            put_comma(writer, &first);
            put_raw_key(writer, member->key);
            put(writer, member->value.data, member->value.size);
        }
    }
    put(writer, "}", 1);
}

static void set_value(struct json_writer *writer, const struct payload_patch *patch, uint32_t part,
                      ins_text value);

static void set_key(struct json_writer *writer, const struct payload_patch *patch, uint32_t part,
                    ins_text object) {
    struct json_text_iterator iterator = json_text_begin(object);
    ins_text wanted = patch->path->parts[part], key, value;
    bool first = true, found = false;
    put(writer, "{", 1);
    while (json_text_next_member(&iterator, &key, &value)) {
        put_comma(writer, &first);
        put_raw_key(writer, key);
        if (!found && json_text_key_equal(key, wanted)) {
            found = true;
            set_value(writer, patch, part + 1, value);
        } else {
            put(writer, value.data, value.size);
        }
    }
    if (!found) {
        put_comma(writer, &first);
        writer->comma = false;
        json_write_key_text(writer, wanted);
        set_value(writer, patch, part + 1, (ins_text){"null", 4});
    }
    put(writer, "}", 1);
}

/* One element, or all of them; a place that the array does not have is none. */
static void set_elements(struct json_writer *writer, const struct payload_patch *patch,
                         uint32_t part, ins_text array) {
    struct json_text_iterator iterator = json_text_begin(array);
    ins_text value;
    bool first = true;
    put(writer, "[", 1);
    for (uint64_t i = 0; json_text_next(&iterator, &value); i++) {
        put_comma(writer, &first);
        if (part_selects(patch->path, part, i)) {
            set_value(writer, patch, part + 1, value);
        } else {
            put(writer, value.data, value.size);
        }
    }
    put(writer, "]", 1);
}

static void set_value(struct json_writer *writer, const struct payload_patch *patch, uint32_t part,
                      ins_text value) {
    uint32_t part_count = patch->path == NULL ? 0 : patch->path->part_count;
    if (part < part_count && patch->path->kinds[part] != PART_KEY) {
        set_elements(writer, patch, part, is_container(value, '[') ? value : empty_array);
        return;
    }
    ins_text object = is_container(value, '{') ? value : empty_object;
    if (part == part_count) {
        merge_object(writer, patch, object);
    } else {
        set_key(writer, patch, part, object);
    }
}

ins_status payload_merge(struct pool *pool, ins_text text, const struct payload_patch *patch,
                         ins_text *out, ins_error *error) {
    INS_ASSERT(patch != NULL);
    struct json_writer writer;
    writer_init(&writer, pool);
    set_value(&writer, patch, 0, text.size == 0 ? empty_object : text);
    return written(&writer, out, error);
}

/* ---- Remove -------------------------------------------------------------------------------- */

/* The paths that lead to where the walk stands, and how: [count] numbers of paths. */
struct removal_level {
    uint16_t paths[PAYLOAD_REMOVE_PATHS_MAX];
    uint32_t count;
};

struct removing {
    struct json_writer writer;
    const struct payload_path *paths;
};

/* Where a walk stands: a member of an object, or an element of an array. */
struct removal_step {
    bool element;
    ins_text raw_key;
    uint64_t index;
};

/* Of the paths at `level`, those whose part number `part` takes the step. *out_ends: one ends there
 * (an element of an array does not go by its place: it would be another one the next time). */
static void lead_on(const struct removing *removing, const struct removal_level *level,
                    uint32_t part, const struct removal_step *step, struct removal_level *out,
                    bool *out_ends) {
    out->count = 0;
    *out_ends = false;
    for (uint32_t i = 0; i < level->count; i++) {
        const struct payload_path *path = &removing->paths[level->paths[i]];
        bool key = path->kinds[part] == PART_KEY;
        bool leads = step->element ? part_selects(path, part, step->index)
                                   : key && json_text_key_equal(step->raw_key, path->parts[part]);
        if (!leads) {
            continue;
        }
        if (part + 1 < path->part_count) {
            out->paths[out->count++] = level->paths[i];
        } else {
            *out_ends |= path->kinds[part] != PART_INDEX;
        }
    }
}

static void remove_in(struct removing *removing, const struct removal_level *level, uint32_t part,
                      ins_text container);

static void remove_below(struct removing *removing, const struct removal_level *below,
                         uint32_t part, ins_text value) {
    if (below->count > 0 && (is_container(value, '{') || is_container(value, '['))) {
        remove_in(removing, below, part + 1, value);
    } else {
        put(&removing->writer, value.data, value.size);
    }
}

/* Every path at `level` has more than `part` parts. Recursion is as deep as the longest path. */
static void remove_in(struct removing *removing, const struct removal_level *level, uint32_t part,
                      ins_text container) {
    struct json_text_iterator iterator = json_text_begin(container);
    struct removal_step step = {.element = is_container(container, '[')};
    struct removal_level below;
    ins_text value;
    bool first = true, ends;
    put(&removing->writer, container.data, 1);
    while (step.element ? json_text_next(&iterator, &value)
                        : json_text_next_member(&iterator, &step.raw_key, &value)) {
        lead_on(removing, level, part, &step, &below, &ends);
        step.index++;
        if (ends) {
            continue;
        }
        put_comma(&removing->writer, &first);
        if (!step.element) {
            put_raw_key(&removing->writer, step.raw_key);
        }
        remove_below(removing, &below, part, value);
    }
    put(&removing->writer, step.element ? "]" : "}", 1);
}

ins_status payload_remove(struct pool *pool, ins_text text, const struct payload_path *paths,
                          size_t path_count, ins_text *out, ins_error *error) {
    INS_ASSERT(path_count <= PAYLOAD_REMOVE_PATHS_MAX);
    struct removing removing = {.paths = paths};
    struct removal_level all = {.count = (uint32_t)path_count};
    for (size_t i = 0; i < path_count; i++) {
        all.paths[i] = (uint16_t)i;
    }
    writer_init(&removing.writer, pool);
    remove_in(&removing, &all, 0, text.size == 0 ? empty_object : text);
    return written(&removing.writer, out, error);
}
