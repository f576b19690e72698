/* Requests of Qdrant's REST as the workloads send them. */
#ifndef INS_BENCH_REST_H
#define INS_BENCH_REST_H

#include "http.h"
#include "points.h"

/* One request on a connection of its own; anything but 200 is said on the standard error. */
bool rest_ask(const struct http_server *server, const char *method, const char *path,
              const char *body);
/* A collection of 128 dimensions, cosine. */
bool rest_make_collection(const struct http_server *server, const char *name);
/* The same, partitioned by the payload's field "tenant". */
bool rest_make_key_collection(const struct http_server *server, const char *name);

/* Texts of requests, into out[HTTP_REQUEST_MAX]; they return the length. */
size_t rest_collection(const struct http_server *server, const char *name, char *out);

#define REST_UPSERT_POINTS_MAX 16u

struct rest_upsert {
    const struct http_server *server;
    const struct bench_points *points;
    enum bench_style style;
    const char *collection;
    uint32_t tenant, from, to; /* points from .. to - 1 of the tenant */
    uint64_t version;          /* overwrites of a point differ by it */
};
size_t rest_upsert(const struct rest_upsert *upsert, char *out);

struct rest_query {
    const struct http_server *server;
    const struct bench_points *points;
    enum bench_style style;
    const char *collection;
    uint32_t tenant, pool_index, limit;
    bool payload;
};
/* The body alone, terminated. */
size_t rest_query_body(const struct rest_query *query, char *out);
size_t rest_query_path(const struct rest_query *query, char out[128]);

#endif
