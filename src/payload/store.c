/* From a payload as received to its stored form.
 *
 * Path: check (grammar, UTF-8, depth), then copy the text object by object: white space goes, of
 * equal keys the last value stays at the place of the first, the tenant field is taken out.
 * The stored form is never longer than what came in, so one allocation of that size does.
 * Invariant: recursion is as deep as the JSON, at most INS_JSON_DEPTH_MAX, some 1 KiB a level. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json_read.h"
#include "base/status.h"
#include "payload/payload_private.h"

#define MEMBERS_ON_STACK 16u
#define MEMBER_BYTES_MIN 5u                                    /* "":0, */
#define TENANT_TEXT_BYTES_MAX (INS_TENANT_BYTES_MAX * 6u + 2u) /* all \u00XX, and two quotes */
#define LEVEL_NONE UINT32_MAX                                  /* outside the tenant's path */

struct storing {
    struct pool *pool;
    const struct payload_path *tenant_path; /* or NULL */
    bool uuid_tenant;
    char *out;
    size_t size, capacity;
    ins_text tenant; /* in the pool */
    bool has_tenant;
    bool no_memory, too_deep; /* either ends the walk */
    uint32_t depth;
};

struct member {
    ins_text key, value; /* the key raw */
    bool escaped;
};

static bool stopped(const struct storing *storing) {
    return storing->no_memory || storing->too_deep;
}

static void put(struct storing *storing, const char *data, size_t size) {
    INS_ASSERT(size <= storing->capacity - storing->size);
    memcpy(storing->out + storing->size, data, size);
    storing->size += size;
}

static bool same_key(const struct member *left, const struct member *right) {
    if (left->escaped || right->escaped) {
        return json_text_keys_equal(left->key, right->key);
    }
    return left->key.size == right->key.size &&
           memcmp(left->key.data, right->key.data, left->key.size) == 0;
}

static bool next_member(struct json_text_iterator *iterator, struct member *out) {
    bool more = json_text_next_member(iterator, &out->key, &out->value);
    out->escaped = iterator->key_escaped;
    return more;
}

/* ---- The tenant field ---------------------------------------------------------------------- */

static bool at_tenant_path(const struct storing *storing, uint32_t level,
                           const struct member *member) {
    if (level == LEVEL_NONE) {
        return false;
    }
    ins_text part = storing->tenant_path->parts[level];
    if (member->escaped) {
        return json_text_key_equal(member->key, part);
    }
    return member->key.size == part.size && memcmp(member->key.data, part.data, part.size) == 0;
}

/* Takes the member's value for the tenant when it is one; false: it stays in the text. Succeeds at
 * most once, since keys are folded before. */
static bool take_tenant(struct storing *storing, ins_text value) {
    char decoded[TENANT_TEXT_BYTES_MAX];
    if (value.data[0] != '"' || value.size > sizeof(decoded)) {
        return false;
    }
    size_t size = json_text_decode(value, decoded);
    if (size > INS_TENANT_BYTES_MAX) {
        return false;
    }
    if (storing->uuid_tenant) {
        ins_id uuid;
        if (!id_parse_uuid(decoded, size, &uuid)) {
            return false;
        }
        size = id_format(&uuid, decoded);
    }
    char *tenant = pool_alloc(storing->pool, size + 1);
    if (tenant == NULL) {
        storing->no_memory = true;
        return true;
    }
    memcpy(tenant, decoded, size);
    storing->tenant = (ins_text){tenant, size};
    storing->has_tenant = true;
    return true;
}

/* ---- Objects ------------------------------------------------------------------------------- */

static void store_value(struct storing *storing, ins_text value, uint32_t level);

static bool is_scalar(ins_text value) {
    return value.data[0] != '{' && value.data[0] != '[';
}

static void store_member(struct storing *storing, const struct member *member, uint32_t level,
                         bool *first) {
    uint32_t level_below = LEVEL_NONE;
    if (at_tenant_path(storing, level, member)) {
        bool last_part = level + 1 == storing->tenant_path->part_count;
        if (last_part && take_tenant(storing, member->value)) {
            return;
        }
        level_below = last_part ? LEVEL_NONE : level + 1;
    }
    if (!*first) {
        put(storing, ",", 1);
    }
    *first = false;
    const char *key = member->key.data - 1;
    size_t key_size = member->key.size + 2;
    bool tight = member->value.data == key + key_size + 1; /* only the colon is between */
    if (tight && is_scalar(member->value)) {
        put(storing, key, key_size + 1 + member->value.size);
        return;
    }
    put(storing, key, key_size);
    put(storing, ":", 1);
    store_value(storing, member->value, level_below);
}

/* Members up to MEMBERS_ON_STACK, equal keys folded; false when there are more. */
static bool collect_few(ins_text object, struct member members[MEMBERS_ON_STACK],
                        size_t *out_count) {
    struct json_text_iterator iterator = json_text_begin(object);
    struct member member;
    size_t count = 0;
    while (next_member(&iterator, &member)) {
        size_t same = 0;
        while (same < count && !same_key(&members[same], &member)) {
            same++;
        }
        if (same < count) {
            members[same].value = member.value; /* the key stays as the first one wrote it */
            continue;
        }
        if (count == MEMBERS_ON_STACK) {
            return false;
        }
        members[count++] = member;
    }
    *out_count = count;
    return true;
}

/* A larger object's members as offsets into its text, with a hash table over their keys. */
struct place {
    uint32_t key, value;
};

struct places {
    ins_text object;
    struct place *items; /* [capacity] */
    uint32_t *slots;     /* [slot_count]: 1 + index into items, or 0 */
    uint32_t count, slot_count;
    uint64_t seed;
};

static bool places_init(struct places *places, struct pool *pool, ins_text object) {
    struct json_text_iterator iterator = json_text_begin(object);
    struct member member;
    size_t count = 0;
    while (next_member(&iterator, &member)) {
        count++;
    }
    uint32_t slot_count = MEMBERS_ON_STACK;
    while (slot_count < count + count / 4) {
        slot_count *= 2;
    }
    *places = (struct places){.object = object, .slot_count = slot_count};
    places->items = pool_alloc(pool, (count + 1) * sizeof(*places->items));
    places->slots = pool_alloc_zero(pool, slot_count * sizeof(*places->slots));
    places->seed = (uint64_t)(uintptr_t)places->items; /* not for a sender of keys to know */
    return places->items != NULL && places->slots != NULL;
}
_Static_assert(INS_PAYLOAD_BYTES_MAX / MEMBER_BYTES_MIN * 5 / 4 <= 1u << 18,
               "a payload's table has at most 2^18 slots, 1 MiB");

/* The value (or quoted key) that begins at `offset`. */
static ins_text place_text(const struct places *places, uint32_t offset) {
    struct json_text_iterator iterator = {.at = places->object.data + offset,
                                          .end = places->object.data + places->object.size};
    ins_text text = {0};
    bool found = json_text_next(&iterator, &text);
    INS_ASSERT(found);
    return text;
}

/* A member without its value, which may be long to pass. */
static struct member place_key(const struct places *places, uint32_t offset) {
    ins_text key = json_text_unquote(place_text(places, offset));
    bool escaped = memchr(key.data, '\\', key.size) != NULL;
    return (struct member){.key = key, .escaped = escaped};
}

static uint64_t key_hash(const struct member *member, uint64_t seed, char *scratch) {
    if (!member->escaped) {
        return hash64_seed(member->key.data, member->key.size, seed);
    }
    ins_text quoted = {member->key.data - 1, member->key.size + 2};
    return hash64_seed(scratch, json_text_decode(quoted, scratch), seed);
}

static void places_put(struct places *places, const struct member *member, uint64_t hash) {
    struct place place = {(uint32_t)(member->key.data - 1 - places->object.data),
                          (uint32_t)(member->value.data - places->object.data)};
    uint32_t mask = places->slot_count - 1;
    uint32_t slot = (uint32_t)hash & mask;
    for (; places->slots[slot] != 0; slot = (slot + 1) & mask) { /* a fifth of it stays empty */
        struct place *other = &places->items[places->slots[slot] - 1];
        struct member known = place_key(places, other->key);
        if (same_key(&known, member)) {
            other->value = place.value;
            return;
        }
    }
    places->items[places->count++] = place;
    places->slots[slot] = places->count;
}

static void store_large(struct storing *storing, ins_text object, uint32_t level, bool *first) {
    struct places places;
    char *scratch = pool_alloc(storing->pool, object.size);
    if (scratch == NULL || !places_init(&places, storing->pool, object)) {
        storing->no_memory = true;
        return;
    }
    struct json_text_iterator iterator = json_text_begin(object);
    struct member member;
    while (next_member(&iterator, &member)) {
        places_put(&places, &member, key_hash(&member, places.seed, scratch));
    }
    for (uint32_t i = 0; i < places.count && !stopped(storing); i++) {
        member = place_key(&places, places.items[i].key);
        member.value = place_text(&places, places.items[i].value);
        store_member(storing, &member, level, first);
    }
}

static void store_object(struct storing *storing, ins_text object, uint32_t level) {
    struct member members[MEMBERS_ON_STACK];
    size_t count = 0;
    bool first = true;
    put(storing, "{", 1);
    if (collect_few(object, members, &count)) {
        for (size_t i = 0; i < count && !stopped(storing); i++) {
            store_member(storing, &members[i], level, &first);
        }
    } else {
        store_large(storing, object, level, &first);
    }
    put(storing, "}", 1);
}

static void store_array(struct storing *storing, ins_text array) {
    if (memchr(array.data, '{', array.size) == NULL) { /* no keys inside */
        storing->size += json_text_compact(array, storing->out + storing->size);
        return;
    }
    struct json_text_iterator iterator = json_text_begin(array);
    ins_text element;
    bool first = true;
    put(storing, "[", 1);
    while (!stopped(storing) && json_text_next(&iterator, &element)) {
        if (!first) {
            put(storing, ",", 1);
        }
        first = false;
        store_value(storing, element, LEVEL_NONE);
    }
    put(storing, "]", 1);
}

static void store_value(struct storing *storing, ins_text value, uint32_t level) {
    if (is_scalar(value)) {
        put(storing, value.data, value.size);
        return;
    }
    if (storing->depth == INS_JSON_DEPTH_MAX) {
        storing->too_deep = true;
        return;
    }
    storing->depth++;
    if (value.data[0] == '{') {
        store_object(storing, value, level);
    } else {
        store_array(storing, value);
    }
    storing->depth--;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static ins_status store_text(struct storing *storing, ins_text payload, struct payload_stored *out,
                             ins_error *error) {
    storing->out = pool_alloc(storing->pool, payload.size);
    storing->capacity = payload.size;
    if (storing->out == NULL) {
        return payload_no_memory(error, "a payload");
    }
    storing->depth = 1;
    store_object(storing, payload, storing->tenant_path == NULL ? LEVEL_NONE : 0);
    if (storing->too_deep) {
        return ins_fail(error, INS_INVALID, "a payload is nested deeper than %d",
                        INS_JSON_DEPTH_MAX);
    }
    if (storing->no_memory) {
        return payload_no_memory(error, "a payload");
    }
    *out = (struct payload_stored){
        .text = {storing->out, storing->size > 2 ? storing->size : 0},
        .has_tenant = storing->has_tenant,
        .tenant = storing->tenant,
    };
    return INS_OK;
}

/* Grammar, UTF-8 and depth are good, seen without a parse; false: the parse decides. */
static bool is_plain_object(ins_text payload) {
    struct json_cursor cursor = {payload.data, payload.data + payload.size};
    ins_text object;
    bool good = json_utf8_valid(payload.data, payload.size) &&
                json_read_object(&cursor, INS_JSON_DEPTH_MAX, &object);
    json_read_space(&cursor);
    return good && cursor.at == cursor.end;
}

static ins_status parse(struct json_parser *parser, ins_text payload, enum json_type *out_type,
                        ins_error *error) {
    struct json_value root;
    ins_status status = json_parse(parser, payload.data, payload.size, &root, error);
    if (status == INS_OK) {
        *out_type = json_type_of(root);
    }
    return status;
}

ins_status payload_store(struct json_parser *parser, struct pool *pool, ins_text payload,
                         const struct payload_path *tenant_path, bool uuid_tenant,
                         struct payload_stored *out, ins_error *error) {
    INS_ASSERT(parser != NULL);
    INS_ASSERT(pool != NULL);
    INS_ASSERT(out != NULL);
    INS_ASSERT(tenant_path == NULL || tenant_path->part_count > 0);

    if (payload.size > INS_PAYLOAD_BYTES_MAX) {
        return ins_fail(error, INS_TOO_LARGE, "a payload of %zu bytes is above the limit of %u",
                        payload.size, INS_PAYLOAD_BYTES_MAX);
    }
    if (payload.data == NULL || payload.size == 0) {
        *out = (struct payload_stored){.text = {NULL, 0}};
        return INS_OK;
    }
    enum json_type type = JSON_OBJECT;
    ins_status status = is_plain_object(payload) ? INS_OK : parse(parser, payload, &type, error);
    if (status != INS_OK) {
        return status;
    }
    if (type == JSON_NULL) {
        *out = (struct payload_stored){.text = {NULL, 0}};
        return INS_OK;
    }
    if (type != JSON_OBJECT) {
        return ins_fail(error, INS_INVALID, "a payload must be an object, found %s",
                        json_type_text(type));
    }
    struct storing storing = {.pool = pool, .tenant_path = tenant_path, .uuid_tenant = uuid_tenant};
    return store_text(&storing, payload, out, error);
}
