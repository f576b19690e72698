/* What a collection's settings say of graphs: the values of Qdrant's configuration that mean
 * something here, the vector's own before the collection's.
 *
 *   hnsw_config.m                    0: no graph; else one (lists always have GRAPH_DEGREE places)
 *   hnsw_config.payload_m            the same for the islands of tenants; default: m
 *   hnsw_config.ef_construct         beam of an insertion, within bounds
 *   hnsw_config.full_scan_threshold, optimizers_config.indexing_threshold
 *                                    KB of vectors below which an extent is scanned: the larger of
 *                                    the two; indexing_threshold 0: no graph at all
 *   hnsw_config.inline_storage       true: the fast layout from the first search on; false: never;
 *                                    absent: when searches have paid for it and there is room
 *   quantization_config              fewer than 4 bits a number: codes leave out rows that they are
 *                                    a little less sure of (docs/quantization.md)
 */
#include <string.h>

#include "base/json_text.h"
#include "engine/schema_text.h"

#define FULL_SCAN_KB_DEFAULT 10000u
#define INDEXING_KB_DEFAULT 10000u
#define EFFORT_DEFAULT 100u
#define EFFORT_MIN 32u
#define EFFORT_MAX 512u /* beyond it building only gets slower (decision 0013) */
#define M_DEFAULT 16u

/* The number of a member of a member; `fallback` when there is none. */
static uint64_t number_in(struct json_value object, bool has, const char *section, const char *key,
                          uint64_t fallback) {
    struct json_value inner, value;
    if (!has || json_type_of(object) != JSON_OBJECT || !json_get(object, section, &inner) ||
        json_type_of(inner) != JSON_OBJECT || !json_get(inner, key, &value) ||
        json_type_of(value) == JSON_NULL) {
        return fallback;
    }
    if (json_type_of(value) != JSON_INTEGER) {
        return UINT64_MAX; /* beyond 2^63: they were checked to be whole numbers */
    }
    return json_integer(value) < 0 ? fallback : (uint64_t)json_integer(value);
}

static enum layout_wish layout_in(struct json_value object, bool has, enum layout_wish fallback) {
    struct json_value inner, value;
    if (!has || !json_get(object, "hnsw_config", &inner) || json_type_of(inner) != JSON_OBJECT ||
        !json_get(inner, "inline_storage", &value) || json_type_of(value) != JSON_BOOL) {
        return fallback;
    }
    return json_bool(value) ? LAYOUT_ALWAYS : LAYOUT_NEVER;
}

static bool object_in(struct json_value object, const char *key, struct json_value *out) {
    return json_get(object, key, out) && json_type_of(*out) == JSON_OBJECT;
}

static bool word_is(struct json_value object, const char *key, const char *word) {
    struct json_value value;
    if (!json_get(object, key, &value) || json_type_of(value) != JSON_STRING) {
        return false;
    }
    ins_text text = json_string(value);
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* 8 bits of scalar; 32 over its factor of product; bits4 where turbo says nothing. */
static bool is_rough(struct json_value quantization) {
    struct json_value kind;
    if (object_in(quantization, "scalar", &kind)) {
        return false;
    }
    if (object_in(quantization, "product", &kind)) {
        return !word_is(kind, "compression", "x4") && !word_is(kind, "compression", "x8");
    }
    if (object_in(quantization, "turbo", &kind)) {
        return word_is(kind, "bits", "bits1") || word_is(kind, "bits", "bits1_5") ||
               word_is(kind, "bits", "bits2");
    }
    return object_in(quantization, "binary", &kind);
}

void schema_parse_graph(struct json_value root, struct json_value vector,
                        struct schema_vector *out) {
    struct json_value all, own;
    bool has_all = json_get(root, "settings", &all);
    bool has_own = json_get(vector, "settings", &own);
#define SETTING(key, fallback)                                                                     \
    number_in(own, has_own, "hnsw_config", key,                                                    \
              number_in(all, has_all, "hnsw_config", key, fallback))
    uint64_t m = SETTING("m", M_DEFAULT), payload_m = SETTING("payload_m", m);
    uint64_t effort = SETTING("ef_construct", EFFORT_DEFAULT);
    uint64_t scan_kb = SETTING("full_scan_threshold", FULL_SCAN_KB_DEFAULT);
#undef SETTING
    uint64_t index_kb =
        number_in(all, has_all, "optimizers_config", "indexing_threshold", INDEXING_KB_DEFAULT);
    bool possible = out->distance != INS_DISTANCE_MANHATTAN && index_kb != 0;
    uint64_t kb = scan_kb > index_kb ? scan_kb : index_kb;
    effort = effort < EFFORT_MIN ? EFFORT_MIN : effort > EFFORT_MAX ? EFFORT_MAX : effort;
    out->graph = (struct vector_graph){
        .common = possible && m > 0,
        .tenants = possible && payload_m > 0,
        .effort = (uint16_t)effort,
        .layout = layout_in(own, has_own, layout_in(all, has_all, LAYOUT_BY_USE)),
        .bytes_min = kb < UINT64_MAX / 1024 ? kb * 1024 : UINT64_MAX};
    struct json_value quantization;
    bool quantized = (has_own && object_in(own, "quantization_config", &quantization)) ||
                     (has_all && object_in(all, "quantization_config", &quantization));
    out->rough = quantized && is_rough(quantization);
}
