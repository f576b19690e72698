#include "rest.h"

#include <string.h>

#define VECTORS "{\"vectors\":{\"size\":128,\"distance\":\"Cosine\"}}"

bool rest_ask(const struct http_server *server, const char *method, const char *path,
              const char *body) {
    char answer[300] = "";
    int status = http_once(server, method, path, body, answer, sizeof(answer));
    if (status != 200) {
        (void)bench_fail("%s %s: %d %s", method, path, status, answer);
    }
    return status == 200;
}

bool rest_make_collection(const struct http_server *server, const char *name) {
    char path[128];
    (void)snprintf(path, sizeof(path), "/collections/%s", name);
    return rest_ask(server, "PUT", path, VECTORS);
}

bool rest_make_key_collection(const struct http_server *server, const char *name) {
    char path[128];
    (void)snprintf(path, sizeof(path), "/collections/%s/index?wait=true", name);
    return rest_make_collection(server, name) &&
           rest_ask(server, "PUT", path,
                    "{\"field_name\":\"tenant\",\"field_schema\":{\"type\":\"keyword\","
                    "\"is_tenant\":true}}");
}

size_t rest_collection(const struct http_server *server, const char *name, char *out) {
    char path[128];
    (void)snprintf(path, sizeof(path), "/collections/%s", name);
    return http_format(out, server, "PUT", path, VECTORS, sizeof(VECTORS) - 1);
}

static size_t put(char *out, const char *text) {
    size_t size = strlen(text);
    memcpy(out, text, size);
    return size;
}

static size_t put_vector(const struct bench_points *points, uint32_t pool_index, char *out) {
    memcpy(out, points->texts + (size_t)pool_index * VECTOR_TEXT_MAX,
           points->text_sizes[pool_index]);
    return points->text_sizes[pool_index];
}

size_t rest_upsert(const struct rest_upsert *upsert, char *out) {
    static char body[HTTP_REQUEST_MAX]; /* one thread */
    _Static_assert(REST_UPSERT_POINTS_MAX * (VECTOR_TEXT_MAX + PAYLOAD_BYTES_MAX + 128) <
                       HTTP_REQUEST_MAX - 512,
                   "the largest upsert fits a request");
    INS_ASSERT(upsert->to - upsert->from <= REST_UPSERT_POINTS_MAX);
    const struct bench_points *points = upsert->points;
    size_t size = put(body, "{\"points\":[");
    for (uint32_t i = upsert->from; i < upsert->to; i++) {
        uint32_t pool_index = points_pool_index(points, upsert->tenant, i, upsert->version);
        size += put(body + size, i == upsert->from ? "{\"id\":" : ",{\"id\":");
        size +=
            points_id_text(point_id(points->seed, upsert->style, upsert->tenant, i), body + size);
        size += put(body + size, ",\"vector\":");
        size += put_vector(points, pool_index, body + size);
        size += put(body + size, ",\"payload\":");
        size += points_payload(points, upsert->style, upsert->tenant, pool_index, body + size);
        size += put(body + size, "}");
    }
    size += put(body + size, "]}");
    char path[128];
    (void)snprintf(path, sizeof(path), "/collections/%s/points?wait=true", upsert->collection);
    return http_format(out, upsert->server, "PUT", path, body, size);
}

size_t rest_query_body(const struct rest_query *query, char *out) {
    size_t size = put(out, "{\"query\":");
    size += put_vector(query->points, query->pool_index, out + size);
    if (query->style == BENCH_STYLE_KEY) {
        size +=
            put(out + size, ",\"filter\":{\"must\":[{\"key\":\"tenant\",\"match\":{\"value\":\"");
        size += put(out + size, query->points->names[query->tenant]);
        size += put(out + size, "\"}}]}");
    }
    int tail = snprintf(out + size, 64, ",\"limit\":%u,\"with_payload\":%s}", query->limit,
                        query->payload ? "true" : "false");
    return size + (size_t)tail;
}

size_t rest_query_path(const struct rest_query *query, char out[128]) {
    return (size_t)snprintf(out, 128, "/collections/%s/points/query", query->collection);
}
