#include "wire.h"

#include <string.h>

#include "../rest.h"

#define PATH_TEXT_MAX 1200u
#define BODY_MAX (HTTP_REQUEST_MAX - 4096u)
_Static_assert((size_t)WIRE_BATCH_MAX *(VECTOR_TEXT_MAX + WORLD_PAYLOAD_MAX + 128u) < BODY_MAX,
               "the largest batch fits a request");

struct body {
    size_t size;
    char text[BODY_MAX];
};

static struct body *body_begin(void) {
    static struct body body; /* one thread, one request at a time */
    body.size = 0;
    return &body;
}

static void put(struct body *body, const char *text) {
    size_t size = strlen(text);
    INS_ASSERT(body->size + size < BODY_MAX);
    memcpy(body->text + body->size, text, size);
    body->size += size;
}

/* ---- Where and whose ---- */

static const char *name_of(const struct wire *wire, uint32_t tenant, const char *name) {
    return name == NULL ? wire->world->names[tenant] : name;
}

static void path_of(const struct wire *wire, const char *name, const char *behind,
                    char out[PATH_TEXT_MAX]) {
    bool own = wire->world->style == BENCH_STYLE_COLLECTION;
    (void)snprintf(out, PATH_TEXT_MAX, "/collections/%s%s", own ? name : WIRE_COLLECTION, behind);
}

/* ,"shard_key":"..." in its style. */
static void put_shard(const struct wire *wire, const char *name, struct body *body) {
    if (wire->world->style == BENCH_STYLE_SHARD) {
        put(body, ",\"shard_key\":\"");
        put(body, name);
        put(body, "\"");
    }
}

/* ,"filter":{...} of the tenant, in the style key, and of conditions. */
static void put_filter(const struct wire *wire, const char *name,
                       const struct condition *conditions, uint32_t count, struct body *body) {
    bool key = wire->world->style == BENCH_STYLE_KEY;
    char text[256];
    if (!key && count == 0) {
        return;
    }
    put(body, ",\"filter\":{\"must\":[");
    if (key) {
        put(body, "{\"key\":\"tenant\",\"match\":{\"value\":\"");
        put(body, name);
        put(body, "\"}}");
    }
    for (uint32_t i = 0; i < count; i++) {
        text[condition_text(&conditions[i], text, sizeof(text))] = '\0';
        put(body, key || i > 0 ? "," : "");
        put(body, text);
    }
    put(body, "]}");
}

static size_t finish(const struct wire *wire, const char *method, const char *name,
                     const char *behind, const struct body *body, char *out) {
    char path[PATH_TEXT_MAX];
    path_of(wire, name, behind, path);
    return http_format(out, &wire->target->server, method, path, body == NULL ? NULL : body->text,
                       body == NULL ? 0 : body->size);
}

/* ---- Collections ---- */

static bool make_index(const struct wire *wire, const char *field, const char *schema) {
    char body[200];
    (void)snprintf(body, sizeof(body), "{\"field_name\":\"%s\",\"field_schema\":%s}", field,
                   schema);
    return rest_ask(&wire->target->server, "PUT",
                    "/collections/" WIRE_COLLECTION "/index?wait=true", body);
}

bool wire_make(const struct wire *wire) {
    static const char *const fields[][2] = {
        {"bucket", "\"integer\""}, {"kind", "\"keyword\""}, {"ts", "\"integer\""},
        {"tags", "\"keyword\""},   {"near", "\"bool\""},    {"far", "\"bool\""},
    };
    bool shard = wire->world->style == BENCH_STYLE_SHARD;
    if (wire->world->style == BENCH_STYLE_COLLECTION) {
        return true; /* each with its first point */
    }
    const char *settings =
        shard
            ? "{\"vectors\":{\"size\":128,\"distance\":\"Cosine\"},\"sharding_method\":\"custom\"}"
            : "{\"vectors\":{\"size\":128,\"distance\":\"Cosine\"},"
              "\"hnsw_config\":{\"m\":0,\"payload_m\":16}}";
    if (!rest_ask(&wire->target->server, "PUT", "/collections/" WIRE_COLLECTION, settings)) {
        return false;
    }
    if (!shard && !make_index(wire, "tenant", "{\"type\":\"keyword\",\"is_tenant\":true}")) {
        return false;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!make_index(wire, fields[i][0], fields[i][1])) {
            return false;
        }
    }
    return true;
}

bool wire_exists(const struct wire *wire) {
    char path[PATH_TEXT_MAX], answer[400];
    path_of(wire, wire->world->names[0], "", path);
    return http_once(&wire->target->server, "GET", path, NULL, answer, sizeof(answer)) == 200;
}

size_t wire_make_tenant(const struct wire *wire, const char *name, char *out) {
    struct body *body = body_begin();
    switch (wire->world->style) {
    case BENCH_STYLE_KEY:
        return 0;
    case BENCH_STYLE_SHARD:
        put(body, "{\"shard_key\":\"");
        put(body, name);
        put(body, "\"}");
        return finish(wire, "PUT", name, "/shards", body, out);
    case BENCH_STYLE_COLLECTION:
        break;
    }
    put(body, "{\"vectors\":{\"size\":128,\"distance\":\"Cosine\"}}");
    return finish(wire, "PUT", name, "", body, out);
}

size_t wire_drop_tenant(const struct wire *wire, const char *name, char *out) {
    struct body *body = body_begin();
    switch (wire->world->style) {
    case BENCH_STYLE_KEY:
        put(body, "{\"filter\":{\"must\":[{\"key\":\"tenant\",\"match\":{\"value\":\"");
        put(body, name);
        put(body, "\"}}]}}");
        return finish(wire, "POST", name, "/points/delete?wait=true", body, out);
    case BENCH_STYLE_SHARD:
        put(body, "{\"shard_key\":\"");
        put(body, name);
        put(body, "\"}");
        return finish(wire, "POST", name, "/shards/delete", body, out);
    case BENCH_STYLE_COLLECTION:
        break;
    }
    return finish(wire, "DELETE", name, "", NULL, out);
}

/* ---- Points ---- */

static void put_id(const struct wire *wire, uint32_t tenant, uint32_t i, struct body *body) {
    INS_ASSERT(body->size + 64 < BODY_MAX);
    body->size += points_id_text(world_id(wire->world, tenant, i), body->text + body->size);
}

static void put_vector(const float *vector, struct body *body) {
    INS_ASSERT(body->size + VECTOR_TEXT_MAX < BODY_MAX);
    body->size += vectors_text(vector, body->text + body->size);
}

static uint64_t put_payload(const struct wire *wire, uint32_t tenant, const char *name,
                            struct wire_point point, struct body *body) {
    struct fields fields;
    INS_ASSERT(body->size + WORLD_PAYLOAD_MAX < BODY_MAX);
    char *at = body->text + body->size;
    world_fields(wire->world, tenant, point.i, point.version, &fields);
    size_t size = world_payload(wire->world, &fields, at);
    if (name != NULL) { /* a tenant of `churn`: the same points under another name */
        INS_ASSERT(strlen(name) == NAME_BYTES - 1);
        memcpy(at + sizeof("{\"tenant\":\"") - 1, name, NAME_BYTES - 1);
    }
    body->size += size;
    return size;
}

size_t wire_upsert(const struct wire *wire, uint32_t tenant, const char *name,
                   const struct wire_point *points, uint32_t count, char *out,
                   uint64_t *out_bytes) {
    INS_ASSERT(count <= WIRE_BATCH_MAX);
    struct body *body = body_begin();
    float vector[BENCH_DIM];
    uint64_t bytes = 0;
    put(body, "{\"points\":[");
    for (uint32_t n = 0; n < count; n++) {
        world_vector(wire->world, tenant, points[n].i, points[n].version, vector);
        put(body, n == 0 ? "{\"id\":" : ",{\"id\":");
        put_id(wire, tenant, points[n].i, body);
        put(body, ",\"vector\":");
        put_vector(vector, body);
        put(body, ",\"payload\":");
        bytes += put_payload(wire, tenant, name, points[n], body);
        bytes += sizeof(vector) + (tenant % 2 == 0 ? 8u : 16u);
        put(body, "}");
    }
    put(body, "]");
    put_shard(wire, name_of(wire, tenant, name), body);
    put(body, "}");
    *out_bytes += bytes;
    return finish(wire, "PUT", name_of(wire, tenant, name), "/points?wait=true", body, out);
}

static void put_ids(const struct wire *wire, uint32_t tenant, const struct wire_point *points,
                    uint32_t count, struct body *body) {
    for (uint32_t n = 0; n < count; n++) {
        put(body, n == 0 ? "" : ",");
        put_id(wire, tenant, points[n].i, body);
    }
}

size_t wire_delete(const struct wire *wire, uint32_t tenant, const struct wire_point *points,
                   uint32_t count, char *out) {
    struct body *body = body_begin();
    put(body, "{\"points\":[");
    put_ids(wire, tenant, points, count, body);
    put(body, "]");
    put_shard(wire, wire->world->names[tenant], body);
    put(body, "}");
    return finish(wire, "POST", wire->world->names[tenant], "/points/delete?wait=true", body, out);
}

size_t wire_query(const struct wire *wire, const struct wire_query *query, char *out) {
    struct body *body = body_begin();
    const char *name = name_of(wire, query->tenant, query->name);
    char tail[64];
    put(body, "{\"query\":");
    put_vector(query->vector, body);
    put_filter(wire, name, query->conditions, query->condition_count, body);
    put_shard(wire, name, body);
    (void)snprintf(tail, sizeof(tail), ",\"limit\":%u%s}", query->limit,
                   query->exact ? ",\"params\":{\"exact\":true}" : "");
    put(body, tail);
    return finish(wire, "POST", name, "/points/query", body, out);
}

size_t wire_query_filter(const struct wire *wire, const char *filter, const float *vector,
                         uint32_t limit, char *out) {
    struct body *body = body_begin();
    char tail[32];
    put(body, "{\"query\":");
    put_vector(vector, body);
    put(body, ",\"filter\":");
    put(body, filter);
    (void)snprintf(tail, sizeof(tail), ",\"limit\":%u}", limit);
    put(body, tail);
    return finish(wire, "POST", "", "/points/query", body, out);
}

size_t wire_retrieve(const struct wire *wire, uint32_t tenant, const struct wire_point *points,
                     uint32_t count, char *out) {
    struct body *body = body_begin();
    put(body, "{\"ids\":[");
    put_ids(wire, tenant, points, count, body);
    put(body, "],\"with_payload\":true,\"with_vector\":false");
    put_shard(wire, wire->world->names[tenant], body);
    put(body, "}");
    return finish(wire, "POST", wire->world->names[tenant], "/points", body, out);
}

size_t wire_count(const struct wire *wire, uint32_t tenant, const char *name, char *out) {
    struct body *body = body_begin();
    put(body, "{\"exact\":true");
    put_filter(wire, name_of(wire, tenant, name), NULL, 0, body);
    put_shard(wire, name_of(wire, tenant, name), body);
    put(body, "}");
    return finish(wire, "POST", name_of(wire, tenant, name), "/points/count", body, out);
}

/* ---- One at a time ---- */

int wire_ask(const struct wire *wire, const char *request, size_t size, char *answer,
             size_t capacity) {
    return http_send(&wire->target->server, request, size, answer, capacity);
}

bool wire_count_all(const struct wire *wire, uint64_t *out_count) {
    char answer[400];
    return wire->world->style != BENCH_STYLE_COLLECTION &&
           http_once(&wire->target->server, "POST", "/collections/" WIRE_COLLECTION "/points/count",
                     "{\"exact\":true}", answer, sizeof(answer)) == 200 &&
           json_find_u64(answer, NULL, "count", out_count);
}

bool wire_indexed(const struct wire *wire, uint64_t *out_count) {
    char answer[8192];
    return wire->world->style != BENCH_STYLE_COLLECTION &&
           http_once(&wire->target->server, "GET", "/collections/" WIRE_COLLECTION, "", answer,
                     sizeof(answer)) == 200 &&
           json_find_u64(answer, NULL, "indexed_vectors_count", out_count);
}
