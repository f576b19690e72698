/* What the closed loops write: vectors like real ones, payloads of some 80 bytes, ids, names.
 *
 * A pool of vectors (vectors.h) is made once, with each one's text and payload, and point
 * (tenant, i) takes one by hash: a point costs a copy. */
#ifndef INS_BENCH_POINTS_H
#define INS_BENCH_POINTS_H

#include "vectors.h"

#define POOL_VECTORS 4096u
#define POOL_SEEDS 512u /* of the sample's rows; their 16 nearest are found among all */
#define NAME_BYTES 10u  /* "t" + 8 hex digits + NUL */
#define PAYLOAD_BYTES_MAX 160u

struct pool_payload {
    uint8_t size;
    char text[95]; /* members behind the tenant's, with the closing brace */
};

struct bench_points {
    uint64_t seed;
    uint32_t tenant_count;
    char (*names)[NAME_BYTES];     /* [tenant_count] */
    float *vectors;                /* [POOL_VECTORS][BENCH_DIM] */
    struct pool_payload *payloads; /* [POOL_VECTORS] */
    char *texts; /* [POOL_VECTORS][VECTOR_TEXT_MAX] JSON arrays; NULL = not asked for */
    uint16_t *text_sizes;
};

/* False: said on the standard error. `with_texts`: also as JSON, for HTTP. */
bool points_open(struct bench_points *points, const struct bench_options *options, bool with_texts);
void points_close(struct bench_points *points); /* takes a zeroed one */

/* Place in the pool of point i of a tenant; `version` tells overwrites apart. */
static inline uint32_t points_pool_index(const struct bench_points *points, uint32_t tenant,
                                         uint32_t i, uint64_t version) {
    return (uint32_t)(bench_hash(points->seed + version, BENCH_VECTOR, tenant, i) % POOL_VECTORS);
}

/* Id of point i (from 0): numbers in half of the tenants, UUIDs in the others. In the style `key`
 * an id is one point in the whole collection, so numbers are a hash, else they count from 1.
 * Hashes can be undone: an id says whose it is. */
ins_id point_id(uint64_t seed, enum bench_style style, uint32_t tenant, uint32_t i);
/* The point of the tenant that has this id; false: none of its ids. */
bool point_of_id(uint64_t seed, enum bench_style style, uint32_t tenant, ins_id id,
                 uint32_t *out_i);
/* JSON object into out[PAYLOAD_BYTES_MAX]; returns its length. */
size_t points_payload(const struct bench_points *points, enum bench_style style, uint32_t tenant,
                      uint32_t pool_index, char *out);
/* The id as JSON into out[48]; returns its length. */
size_t points_id_text(ins_id id, char *out);

#endif
