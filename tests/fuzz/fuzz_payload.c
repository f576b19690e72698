/* Goal: on any bytes, storing a payload and restoring it gives the same JSON value back (of equal
 * keys the last), the stored form keeps its promises, and selecting and matching stay inside.
 * Method: the first byte picks the tenant path; the rest is the payload. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "payload/payload.h"

#define ARENA_BYTES ((uint64_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena *arena;
static struct json_parser *parser;

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void open_once(void) {
    if (arena == NULL) {
        struct arena_options options = {.limit_bytes = ARENA_BYTES, .plain_pages = true};
        options.purpose_limit_bytes[INS_MEM_QUERY] = ARENA_BYTES;
        require(arena_open(&options, &arena, NULL) == INS_OK);
        parser = json_parser_create(INS_PAYLOAD_BYTES_MAX, INS_JSON_DEPTH_MAX);
        require(parser != NULL);
    }
}

/* Decodes into new memory. */
static ins_text decode_key(ins_text raw) {
    char *out = malloc(raw.size + 2);
    require(out != NULL);
    ins_text quoted = {raw.data - 1, raw.size + 2};
    return (ins_text){out, json_text_decode(quoted, out)};
}

static void same(ins_text left, ins_text right);

/* Every member of `stored` is the last of its name in `received`, and none is missing. */
static void same_object(ins_text received, ins_text stored) {
    struct json_text_iterator iterator = json_text_begin(stored);
    ins_text key;
    ins_text value;
    ins_text other;
    while (json_text_next_member(&iterator, &key, &value)) {
        ins_text name = decode_key(key);
        require(json_text_get_last(received, name, &other));
        same(other, value);
        require(json_text_get_last(stored, name, &other));
        require(other.data == value.data); /* no key comes twice */
        free((char *)(uintptr_t)name.data);
    }
    iterator = json_text_begin(received);
    while (json_text_next_member(&iterator, &key, &value)) {
        ins_text name = decode_key(key);
        require(json_text_get_last(stored, name, &other));
        free((char *)(uintptr_t)name.data);
    }
}

static void same_array(ins_text left, ins_text right) {
    struct json_text_iterator one = json_text_begin(left);
    struct json_text_iterator two = json_text_begin(right);
    ins_text a;
    ins_text b;
    while (json_text_next(&one, &a)) {
        require(json_text_next(&two, &b));
        same(a, b);
    }
    require(!json_text_next(&two, &b));
}

static void same(ins_text left, ins_text right) {
    require(left.size > 0 && right.size > 0);
    if (left.data[0] == '{' && right.data[0] == '{') {
        same_object(left, right);
    } else if (left.data[0] == '[' && right.data[0] == '[') {
        same_array(left, right);
    } else if (left.data[0] == '"' && right.data[0] == '"') {
        require(json_text_keys_equal(json_text_unquote(left), json_text_unquote(right)));
    } else {
        require(left.size == right.size && memcmp(left.data, right.data, left.size) == 0);
    }
}

static void select_and_match(struct pool *pool, ins_text restored,
                             const struct payload_stored *stored, const struct payload_path *path) {
    ins_text keys[] = {{"a", 1}, {"t.a", 3}, {"x", 1}};
    for (int i = 0; i < 2; i++) {
        ins_selector selector = {.keys = keys, .key_count = 3};
        selector.kind = i == 0 ? INS_SELECT_INCLUDE : INS_SELECT_EXCLUDE;
        ins_text part = payload_select(pool, restored, &selector);
        struct json_value root;
        require(part.data != NULL && part.size <= restored.size);
        require(json_parse(parser, part.data, part.size, &root, NULL) == INS_OK);
    }
    ins_value values[] = {{.kind = INS_VALUE_TEXT, .text = {"a", 1}},
                          {.kind = INS_VALUE_INTEGER, .integer = 1}};
    ins_condition conditions[] = {
        {.kind = INS_MATCH_ANY, .key = {"a", 1}, .values = values, .value_count = 2},
        {.kind = INS_RANGE, .key = {"t.a", 3}, .gt = {.kind = INS_BOUND_NUMBER, .number = 0.5}},
        {.kind = INS_MATCH_ANY, .key = {"t", 1}, .values = values, .value_count = 2},
    };
    ins_filter source = {.should = conditions, .should_count = 3};
    struct filter *in_row;
    struct filter *in_text;
    require(filter_compile(pool, &source, path, &in_row, NULL) == INS_OK);
    require(filter_compile(pool, &source, NULL, &in_text, NULL) == INS_OK);
    struct filter_row row = {
        .payload = stored->text, .has_tenant = stored->has_tenant, .tenant = stored->tenant};
    struct filter_row whole = {.payload = restored};
    require(filter_match(in_row, NULL, &row) == filter_match(in_text, NULL, &whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const paths[] = {"t", "t.a", "a.t.a", "\"\""};
    if (size == 0 || size > 4096) { /* comparing members is quadratic */
        return 0;
    }
    open_once();
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, ARENA_BYTES);
    struct payload_path path;
    const char *path_text = paths[data[0] % 4];
    require(payload_path_parse((ins_text){path_text, strlen(path_text)}, NULL, &path, NULL) ==
            INS_OK);
    ins_text received = {(const char *)data + 1, size - 1};
    struct payload_stored stored;
    ins_status status = payload_store(parser, &pool, received, &path, false, &stored, NULL);
    if (status == INS_OK) {
        require(stored.text.size <= received.size);
        ins_text restored = stored.text.size == 0 ? (ins_text){"{}", 2} : stored.text;
        if (stored.has_tenant) {
            require(stored.tenant.size <= INS_TENANT_BYTES_MAX);
            restored = payload_restore(&pool, stored.text, &path, stored.tenant);
            require(restored.data != NULL);
        }
        struct json_value root;
        require(json_parse(parser, restored.data, restored.size, &root, NULL) == INS_OK);
        size_t from = 0;
        while (from < received.size && strchr(" \t\r\n", received.data[from]) != NULL) {
            from++;
        }
        if (from < received.size && received.data[from] == '{') { /* else it was null or absent */
            same((ins_text){received.data + from, received.size - from}, restored);
        }
        select_and_match(&pool, restored, &stored, &path);
    }
    pool_fini(&pool);
    return 0;
}
