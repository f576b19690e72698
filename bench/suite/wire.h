/* The suite's requests in Qdrant's REST, in the three styles of tenancy.
 *
 * Style key: one collection "bench", the tenant in the payload and in each filter. Style shard: one
 * collection, the tenant in "shard_key". Style collection: a collection a tenant. */
#ifndef INS_BENCH_SUITE_WIRE_H
#define INS_BENCH_SUITE_WIRE_H

#include "target.h"
#include "world.h"

#define WIRE_COLLECTION "bench"
#define WIRE_BATCH_MAX 100u

struct wire {
    struct world *world;
    const struct target *target;
};

/* Makes the collection of the styles key and shard, with its indexes. False: said, with the
 * server's reason. */
bool wire_make(const struct wire *wire);
/* Whether that collection, or in style collection the largest tenant's, is there. */
bool wire_exists(const struct wire *wire);

/* Whole requests into out[HTTP_REQUEST_MAX]; they return the length. `name`: of the tenant. */

/* What a tenant needs before its first point: 0 = nothing (style key). */
size_t wire_make_tenant(const struct wire *wire, const char *name, char *out);
/* Removes all of a tenant: its collection, its shard key, or all points that have the key. */
size_t wire_drop_tenant(const struct wire *wire, const char *name, char *out);

struct wire_point {
    uint32_t i, version;
};
/* `tenant` gives ids, vectors and payloads; `name` NULL = its own. Returns the length and in
 * *out_bytes what the points are worth: id, vector and payload. */
size_t wire_upsert(const struct wire *wire, uint32_t tenant, const char *name,
                   const struct wire_point *points, uint32_t count, char *out, uint64_t *out_bytes);
size_t wire_delete(const struct wire *wire, uint32_t tenant, const struct wire_point *points,
                   uint32_t count, char *out);

struct wire_query {
    uint32_t tenant;
    const char *name; /* NULL = the tenant's own */
    const float *vector;
    uint32_t limit;
    struct condition conditions[CONDITIONS_MAX];
    uint32_t condition_count;
    bool exact;
};
size_t wire_query(const struct wire *wire, const struct wire_query *query, char *out);
/* With a filter as text, in style key. */
size_t wire_query_filter(const struct wire *wire, const char *filter, const float *vector,
                         uint32_t limit, char *out);
/* Points by id, with payload. */
size_t wire_retrieve(const struct wire *wire, uint32_t tenant, const struct wire_point *points,
                     uint32_t count, char *out);
/* Exact count of a tenant; name NULL = its own. */
size_t wire_count(const struct wire *wire, uint32_t tenant, const char *name, char *out);

/* One request that was made by one of these, waited for. Returns the status; 0: no answer. */
int wire_ask(const struct wire *wire, const char *request, size_t size, char *answer,
             size_t capacity);
/* Exact number of all points in the styles key and shard. False: no such answer. */
bool wire_count_all(const struct wire *wire, uint64_t *out_count);
/* Vectors in graphs, which are built in the background: searches of a server that is not done yet
 * cost more. False where a tenant is a collection, or the server does not tell. */
bool wire_indexed(const struct wire *wire, uint64_t *out_count);

#endif
