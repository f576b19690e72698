/* Goal: on any filter and any payload, compiling and matching stay inside; the answer does not
 * depend on where the tenant's value stands; a filter and its opposite disagree; what the pins
 * leave out is never missed. Method: the first byte picks the tenant path, the second how many
 * bytes say the filter: each of them is a draw of a small grammar; keys, values and bounds that no
 * table has come from the rest, which is the payload too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "payload/payload.h"

#define ARENA_BYTES ((uint64_t)64 << 20)
#define CONDITIONS_MAX 256u
#define DEPTH_MAX 5u
#define VALUES_MAX 4u

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

/* What a filter is made of; dies with the pool. */
struct making {
    struct pool *pool;
    const uint8_t *at, *end; /* the draws */
    ins_text text;           /* the payload */
    uint32_t condition_count;
};

static uint32_t draw(struct making *making, uint32_t bound) {
    return making->at < making->end ? *making->at++ % bound : 0;
}

static void *make(struct making *making, size_t size) {
    void *memory = pool_alloc_zero(making->pool, size);
    require(memory != NULL);
    return memory;
}

/* Some bytes of the payload: keys and values that are there, and odd ones. */
static ins_text piece(struct making *making) {
    if (making->text.size == 0) {
        return (ins_text){"", 0};
    }
    size_t from = draw(making, 256) % making->text.size;
    size_t size = draw(making, 16);
    size = size < making->text.size - from ? size : making->text.size - from;
    return (ins_text){making->text.data + from, size};
}

static ins_text key_of(struct making *making) {
    static const char *const keys[] = {"a",    "t",   "a.b", "t.a",   "a[]",  "a[].b",
                                       "a[0]", "t[]", "a.t", "a.t.a", "\"\"", "a[][1].\"t\""};
    uint32_t which = draw(making, 64);
    return which == 63 ? piece(making) : (ins_text){keys[which % 12], strlen(keys[which % 12])};
}

/* Bounds of one kind, now and then of another: most ranges must be good. */
static ins_bound bound_of(struct making *making, uint32_t kind) {
    static const char *const moments[] = {"2024-01-05", "2024-01-05T10:00:00.5+02:00"};
    static const double numbers[] = {0, -1.5, 0x1p53, 0x1p63, -0x1p63, 1e300, 0.5, 2};
    if (draw(making, 2) == 0) {
        return (ins_bound){.kind = INS_BOUND_NONE};
    }
    kind = draw(making, 64) == 63 ? draw(making, 3) : kind;
    if (kind == 0) {
        return (ins_bound){.kind = INS_BOUND_INTEGER, .integer = (int64_t)draw(making, 16)};
    }
    if (kind == 1) {
        return (ins_bound){.kind = INS_BOUND_NUMBER, .number = numbers[draw(making, 8)]};
    }
    uint32_t text = draw(making, 32);
    ins_text moment =
        text == 31 ? piece(making) : (ins_text){moments[text % 2], strlen(moments[text % 2])};
    return (ins_bound){.kind = INS_BOUND_DATETIME, .datetime = moment};
}

static void bounds_of(struct making *making, ins_condition *out) {
    uint32_t kind = out->kind == INS_VALUES_COUNT ? 0 : draw(making, 3);
    out->gt = bound_of(making, kind);
    out->gte = bound_of(making, kind);
    out->lt = bound_of(making, kind);
    out->lte = bound_of(making, kind);
}

static void values_of(struct making *making, ins_condition *out) {
    ins_value *values = make(making, VALUES_MAX * sizeof(*values));
    out->values = values;
    out->value_count = draw(making, VALUES_MAX + 1);
    for (size_t i = 0; i < out->value_count; i++) {
        uint32_t kind = draw(making, 3);
        values[i].kind = kind == 0   ? INS_VALUE_TEXT
                         : kind == 1 ? INS_VALUE_INTEGER
                                     : INS_VALUE_BOOL;
        values[i].text = piece(making);
        values[i].integer = (int64_t)draw(making, 8) - 2;
        values[i].boolean = draw(making, 2) == 0;
    }
}

static ins_filter *filter_of(struct making *making, uint32_t depth);

static ins_condition condition_of(struct making *making, uint32_t depth) {
    ins_condition condition = {.kind = (ins_condition_kind)draw(making, INS_NESTED_ELEMENT + 1)};
    static const ins_id ids[] = {{.low = 1}, {.low = 7, .is_uuid = true}};
    bool nests = condition.kind == INS_NESTED_FILTER || condition.kind == INS_NESTED_ELEMENT;
    if (nests && depth == DEPTH_MAX) {
        condition.kind = INS_IS_EMPTY;
    } else if (nests) {
        condition.filter = filter_of(making, depth + 1);
    }
    condition.key = key_of(making);
    if (condition.kind == INS_MATCH_ANY || condition.kind == INS_MATCH_EXCEPT) {
        values_of(making, &condition);
    }
    if (condition.kind == INS_RANGE || condition.kind == INS_VALUES_COUNT) {
        bounds_of(making, &condition);
    }
    condition.ids = ids;
    condition.id_count = draw(making, 3);
    condition.vector = (ins_text){"v", draw(making, 2)};
    condition.slice_total = 3;
    condition.slice_index = draw(making, 64) % 3;
    return condition;
}

static const ins_condition *list_of(struct making *making, uint32_t depth, size_t *out_count) {
    size_t count = draw(making, 4);
    count = making->condition_count + count > CONDITIONS_MAX ? 0 : count;
    making->condition_count += (uint32_t)count;
    ins_condition *items = make(making, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        items[i] = condition_of(making, depth);
    }
    *out_count = count;
    return items;
}

static ins_filter *filter_of(struct making *making, uint32_t depth) {
    ins_filter *filter = make(making, sizeof(*filter));
    filter->must = list_of(making, depth, &filter->must_count);
    filter->should = list_of(making, depth, &filter->should_count);
    filter->must_not = list_of(making, depth, &filter->must_not_count);
    filter->min_should = list_of(making, depth, &filter->min_should_count);
    filter->min_count = draw(making, 3);
    if (filter->min_count == 0 && draw(making, 8) != 7) {
        filter->min_should_count = 0; /* mostly valid */
    }
    return filter;
}

static bool is_value(const ins_text *values, size_t count, ins_text text) {
    for (size_t i = 0; i < count; i++) {
        if (values[i].size == text.size &&
            (text.size == 0 || memcmp(values[i].data, text.data, text.size) == 0)) {
            return true;
        }
    }
    return false;
}

static bool matches(struct pool *pool, const ins_filter *source, const struct payload_path *path,
                    const struct filter_row *row) {
    struct filter *filter;
    require(filter_compile(pool, source, path, &filter, NULL) == INS_OK);
    return filter_match(filter, NULL, row);
}

static void check_pins(struct pool *pool, const ins_filter *source, const struct payload_path *path,
                       const struct filter_row *row, bool match) {
    bool pinned;
    ins_text *values = NULL;
    size_t count = 0;
    struct filter *residual = NULL;
    require(filter_pins(pool, source, path, false, &pinned, &values, &count, &residual, NULL) ==
            INS_OK);
    bool rest = residual == NULL || filter_match(residual, NULL, row);
    if (!pinned) {
        require(rest == match);
    } else if (row->has_tenant) {
        require(match == (rest && is_value(values, count, row->tenant)));
    }
}

static void match_all_ways(struct pool *pool, const ins_filter *source,
                           const struct payload_path *path, const struct payload_stored *stored) {
    ins_text restored = stored->text.size == 0 ? (ins_text){"{}", 2} : stored->text;
    if (stored->has_tenant) {
        restored = payload_restore(pool, stored->text, path, stored->tenant);
        require(restored.data != NULL);
    }
    static const ins_text unnamed = {"", 0};
    struct filter_row row = {.id = {.low = 1},
                             .payload = stored->text,
                             .has_tenant = stored->has_tenant,
                             .tenant = stored->tenant,
                             .vectors = &unnamed,
                             .vector_count = 1};
    struct filter_row whole = row;
    whole.payload = restored;
    whole.has_tenant = false;
    bool match = matches(pool, source, path, &row);
    require(matches(pool, source, NULL, &whole) == match);
    ins_condition itself = {.kind = INS_NESTED_FILTER, .filter = source};
    ins_filter opposite = {.must_not = &itself, .must_not_count = 1};
    require(matches(pool, &opposite, path, &row) == !match);
    check_pins(pool, source, path, &row, match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const paths[] = {"t", "t.a", "a.t.a", "\"\""};
    if (size < 2 || size > 4096) {
        return 0;
    }
    size_t draw_count = data[1] < size - 2 ? data[1] : size - 2;
    open_once();
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, ARENA_BYTES);
    struct payload_path path;
    const char *path_text = paths[data[0] % 4];
    require(payload_path_parse_keys((ins_text){path_text, strlen(path_text)}, NULL, &path, NULL) ==
            INS_OK);
    const uint8_t *draws = data + 2;
    ins_text text = {(const char *)draws + draw_count, size - 2 - draw_count};
    struct making making = {.pool = &pool, .at = draws, .end = draws + draw_count, .text = text};
    ins_filter *source = filter_of(&making, 0);
    struct filter *filter = NULL;
    ins_error error = {0};
    struct payload_stored stored;
    ins_status status = filter_compile(&pool, source, &path, &filter, &error);
    require(status == INS_OK || (status == INS_INVALID && error.message[0] != 0));
    if (payload_store(parser, &pool, text, &path, false, &stored, NULL) != INS_OK) {
        static const char any[] = "{\"a\":[{\"b\":1,\"t\":\"x\"},null,[2]],\"t\":{\"a\":\"x\"}}";
        text = (ins_text){any, sizeof(any) - 1}; /* the filter is worth a look */
        require(payload_store(parser, &pool, text, &path, false, &stored, NULL) == INS_OK);
    }
    if (status == INS_OK) {
        match_all_ways(&pool, source, &path, &stored);
    }
    pool_fini(&pool);
    return 0;
}
