#include "engine/change_text.h"

#include "base/limits.h"
#include "base/status.h"

#define CHANGE_FORMAT 1u
#define ABSENT UINT32_MAX /* size of a text that is not there */

/* ---- Encoding: once to measure, once to write ---- */

static void put_text(struct bytes_writer *writer, ins_text text) {
    bytes_put_u32(writer, text.data == NULL ? ABSENT : (uint32_t)text.size);
    if (text.data != NULL) {
        bytes_put(writer, text.data, text.size);
    }
}

static void put_id(struct bytes_writer *writer, const ins_id *id) {
    bytes_put_u8(writer, id->is_uuid);
    bytes_put_u64(writer, id->high);
    bytes_put_u64(writer, id->low);
}

static void put_value(struct bytes_writer *writer, const ins_value *value) {
    bytes_put_u8(writer, (uint8_t)value->kind);
    if (value->kind == INS_VALUE_TEXT) {
        put_text(writer, value->text);
    } else {
        bytes_put_u64(writer,
                      value->kind == INS_VALUE_BOOL ? value->boolean : (uint64_t)value->integer);
    }
}

static void put_bound(struct bytes_writer *writer, const ins_bound *bound) {
    uint64_t bits = (uint64_t)bound->integer;
    bytes_put_u8(writer, (uint8_t)bound->kind);
    switch (bound->kind) {
    case INS_BOUND_NONE:
        break;
    case INS_BOUND_NUMBER:
        memcpy(&bits, &bound->number, sizeof(bits));
        bytes_put_u64(writer, bits);
        break;
    case INS_BOUND_INTEGER:
        bytes_put_u64(writer, bits);
        break;
    case INS_BOUND_DATETIME:
        put_text(writer, bound->datetime);
        break;
    }
}

static void put_filter(struct bytes_writer *writer, const ins_filter *filter);

static void put_condition(struct bytes_writer *writer, const ins_condition *condition) {
    bytes_put_u8(writer, (uint8_t)condition->kind);
    put_text(writer, condition->key);
    bytes_put_u32(writer, (uint32_t)condition->value_count);
    for (size_t i = 0; i < condition->value_count; i++) {
        put_value(writer, &condition->values[i]);
    }
    put_bound(writer, &condition->gt);
    put_bound(writer, &condition->gte);
    put_bound(writer, &condition->lt);
    put_bound(writer, &condition->lte);
    bytes_put_u32(writer, (uint32_t)condition->id_count);
    for (size_t i = 0; i < condition->id_count; i++) {
        put_id(writer, &condition->ids[i]);
    }
    put_text(writer, condition->vector);
    bytes_put_u32(writer, condition->slice_index);
    bytes_put_u32(writer, condition->slice_total);
    bytes_put_u8(writer, condition->filter != NULL);
    if (condition->filter != NULL) {
        put_filter(writer, condition->filter);
    }
}

static void put_conditions(struct bytes_writer *writer, const ins_condition *conditions,
                           size_t count) {
    bytes_put_u32(writer, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        put_condition(writer, &conditions[i]);
    }
}

/* Its depth is bounded: it was compiled before. */
static void put_filter(struct bytes_writer *writer, const ins_filter *filter) {
    put_conditions(writer, filter->must, filter->must_count);
    put_conditions(writer, filter->should, filter->should_count);
    put_conditions(writer, filter->must_not, filter->must_not_count);
    put_conditions(writer, filter->min_should, filter->min_should_count);
    bytes_put_u32(writer, (uint32_t)filter->min_count);
}

static void put_change(struct bytes_writer *writer, enum points_kind kind,
                       const ins_points_request *request) {
    bytes_put_u8(writer, CHANGE_FORMAT);
    bytes_put_u8(writer, (uint8_t)kind);
    put_text(writer, request->change);
    put_text(writer, request->change_path);
    bytes_put_u32(writer, (uint32_t)request->key_count);
    for (size_t i = 0; i < request->key_count; i++) {
        put_text(writer, request->keys[i]);
    }
    put_filter(writer, request->filter);
}

ins_status change_encode(struct pool *pool, enum points_kind kind,
                         const ins_points_request *request, struct slice *out, ins_error *error) {
    struct bytes_writer writer = {0};
    put_change(&writer, kind, request);
    size_t size = writer.size;
    if (size > CHANGE_BYTES_MAX) {
        return ins_fail(error, INS_TOO_LARGE,
                        "filter and payload of a change of more points than one record holds take "
                        "%zu bytes, the limit is %u",
                        size, CHANGE_BYTES_MAX);
    }
    uint8_t *bytes = pool_alloc(pool, size);
    if (bytes == NULL) {
        return ins_fail(error, INS_FULL, "no memory to keep a change by filter");
    }
    writer = (struct bytes_writer){.data = bytes, .capacity = size};
    put_change(&writer, kind, request);
    *out = (struct slice){.data = bytes, .size = size};
    return INS_OK;
}

/* ---- Decoding ---- */

struct decoder {
    struct bytes_reader reader;
    struct pool *pool;
    bool no_memory;
};

static void *take_array(struct decoder *decoder, uint32_t count, size_t item, size_t least) {
    struct bytes_reader *reader = &decoder->reader;
    if (reader->short_read || count > (reader->size - reader->at) / least) {
        reader->short_read = true; /* so many do not fit what is left */
        return NULL;
    }
    void *items = pool_alloc_zero(decoder->pool, (count + 1) * item);
    decoder->no_memory |= items == NULL;
    return items;
}

static bool decoder_ok(const struct decoder *decoder) {
    return !decoder->no_memory && !decoder->reader.short_read;
}

static ins_text take_text(struct decoder *decoder) {
    uint32_t size = bytes_take_u32(&decoder->reader);
    if (size == ABSENT || decoder->reader.short_read) {
        return (ins_text){0};
    }
    const uint8_t *data = bytes_take(&decoder->reader, size);
    return (ins_text){.data = (const char *)data, .size = data == NULL ? 0 : size};
}

/* A number below `limit`. */
static uint8_t take_kind(struct decoder *decoder, uint8_t limit) {
    uint8_t kind = bytes_take_u8(&decoder->reader);
    decoder->reader.short_read |= kind >= limit;
    return kind < limit ? kind : 0;
}

static void take_id(struct decoder *decoder, ins_id *out) {
    out->is_uuid = take_kind(decoder, 2) != 0;
    out->high = bytes_take_u64(&decoder->reader);
    out->low = bytes_take_u64(&decoder->reader);
}

static void take_value(struct decoder *decoder, ins_value *out) {
    uint8_t kind = take_kind(decoder, INS_VALUE_BOOL + 1);
    if (kind == INS_VALUE_TEXT) {
        out->kind = INS_VALUE_TEXT;
        out->text = take_text(decoder);
        return;
    }
    out->kind = kind == INS_VALUE_BOOL ? INS_VALUE_BOOL : INS_VALUE_INTEGER;
    out->integer = (int64_t)bytes_take_u64(&decoder->reader);
    out->boolean = out->integer != 0;
}

static void take_bound(struct decoder *decoder, ins_bound *out) {
    switch (take_kind(decoder, INS_BOUND_DATETIME + 1)) {
    case INS_BOUND_INTEGER:
        out->kind = INS_BOUND_INTEGER;
        out->integer = (int64_t)bytes_take_u64(&decoder->reader);
        break;
    case INS_BOUND_NUMBER: {
        uint64_t bits = bytes_take_u64(&decoder->reader);
        out->kind = INS_BOUND_NUMBER;
        memcpy(&out->number, &bits, sizeof(bits));
        break;
    }
    case INS_BOUND_DATETIME:
        out->kind = INS_BOUND_DATETIME;
        out->datetime = take_text(decoder);
        break;
    default:
        break;
    }
}

static void take_filter(struct decoder *decoder, uint32_t depth, ins_filter *out);

#define CONDITION_BYTES_MIN 30u

static void take_condition(struct decoder *decoder, uint32_t depth, ins_condition *out) {
    out->kind = (ins_condition_kind)take_kind(decoder, INS_NESTED_ELEMENT + 1);
    out->key = take_text(decoder);
    uint32_t count = bytes_take_u32(&decoder->reader);
    ins_value *values = take_array(decoder, count, sizeof(*values), 5);
    for (uint32_t i = 0; i < count && decoder_ok(decoder); i++) {
        take_value(decoder, &values[i]);
    }
    out->values = values;
    out->value_count = count;
    take_bound(decoder, &out->gt);
    take_bound(decoder, &out->gte);
    take_bound(decoder, &out->lt);
    take_bound(decoder, &out->lte);
    count = bytes_take_u32(&decoder->reader);
    ins_id *ids = take_array(decoder, count, sizeof(*ids), 17);
    for (uint32_t i = 0; i < count && decoder_ok(decoder); i++) {
        take_id(decoder, &ids[i]);
    }
    out->ids = ids;
    out->id_count = count;
    out->vector = take_text(decoder);
    out->slice_index = bytes_take_u32(&decoder->reader);
    out->slice_total = bytes_take_u32(&decoder->reader);
    bool nested = out->kind == INS_NESTED_FILTER || out->kind == INS_NESTED_ELEMENT;
    bool has = take_kind(decoder, 2) != 0;
    decoder->reader.short_read |= has != nested;
    ins_filter *filter =
        has && decoder_ok(decoder) ? pool_alloc_zero(decoder->pool, sizeof(*filter)) : NULL;
    if (filter != NULL) {
        take_filter(decoder, depth + 1, filter);
    }
    decoder->no_memory |= has && filter == NULL;
    out->filter = filter;
}

static const ins_condition *take_conditions(struct decoder *decoder, uint32_t depth,
                                            size_t *out_count) {
    uint32_t count = bytes_take_u32(&decoder->reader);
    ins_condition *items = take_array(decoder, count, sizeof(*items), CONDITION_BYTES_MIN);
    for (uint32_t i = 0; i < count && decoder_ok(decoder); i++) {
        take_condition(decoder, depth, &items[i]);
    }
    *out_count = decoder_ok(decoder) ? count : 0;
    return items;
}

static void take_filter(struct decoder *decoder, uint32_t depth, ins_filter *out) {
    if (depth > INS_FILTER_DEPTH_MAX) {
        decoder->reader.short_read = true;
        return;
    }
    out->must = take_conditions(decoder, depth, &out->must_count);
    out->should = take_conditions(decoder, depth, &out->should_count);
    out->must_not = take_conditions(decoder, depth, &out->must_not_count);
    out->min_should = take_conditions(decoder, depth, &out->min_should_count);
    out->min_count = bytes_take_u32(&decoder->reader);
}

ins_status change_decode(struct pool *pool, struct slice bytes, enum points_kind *out_kind,
                         ins_points_request *out, ins_error *error) {
    struct decoder decoder = {.reader = {.data = bytes.data, .size = bytes.size}, .pool = pool};
    uint8_t format = bytes_take_u8(&decoder.reader);
    *out = (ins_points_request){0};
    *out_kind = (enum points_kind)take_kind(&decoder, POINTS_KINDS);
    out->change = take_text(&decoder);
    out->change_path = take_text(&decoder);
    uint32_t count = bytes_take_u32(&decoder.reader);
    ins_text *keys = take_array(&decoder, count, sizeof(*keys), 4);
    for (uint32_t i = 0; i < count && decoder_ok(&decoder); i++) {
        keys[i] = take_text(&decoder);
    }
    out->keys = keys;
    out->key_count = count;
    ins_filter *filter = pool_alloc_zero(pool, sizeof(*filter));
    if (filter != NULL && decoder_ok(&decoder)) {
        take_filter(&decoder, 0, filter);
    }
    out->filter = filter;
    if (filter == NULL || decoder.no_memory) {
        return ins_fail(error, INS_FULL, "no memory for a change by filter");
    }
    bool whole = !decoder.reader.short_read && decoder.reader.at == decoder.reader.size;
    return whole && format == CHANGE_FORMAT
               ? INS_OK
               : ins_fail(error, INS_CORRUPT, "a change by filter is malformed at byte %zu",
                          decoder.reader.at);
}
