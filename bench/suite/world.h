/* The made world of WORKLOADS: tenants with sizes, names and interests, their points, and what of
 * them is stored now. Everything but the last follows from the seed.
 *
 * A point is (tenant, i, version): its id follows from the first two, its vector and payload from
 * all three, so any answer can be checked without storing a vector. `versions` is the model of what
 * the server holds: for each point the version that it was last given, or that it is gone.
 * The model lies in a file beside the data (world_save), so that a loaded directory is used again.
 * One thread. */
#ifndef INS_BENCH_SUITE_WORLD_H
#define INS_BENCH_SUITE_WORLD_H

#include "../points.h"

#define VERSION_GONE 0x8000u /* flags above the version: deleted, or never there */
#define VERSION_BUSY 0x4000u /* a write of it is under way, or its answer was lost */
#define VERSION_MASK 0x3fffu
#define CHURN_SLOTS 32768u /* tenants of `churn`, behind those of the world */
#define SIZE_CLASSES 6u    /* 1-10, 11-100, ... above 100,000 */
#define CONDITIONS_MAX 2u
#define TAGS 200u
#define TAGS_MAX 8u
#define KINDS 1000u
#define WORLD_PAYLOAD_MAX 768u /* titles are cut to fit */

struct scale {
    const char *name;
    uint32_t tenants;
    double c, r0;
    uint32_t cap;
    double rate;                /* of `steady`, queries/s */
    double warmup_s, measure_s; /* of a workload that does not say */
    double storm_s, churn_s;
};

/* NULL: there is none of this name. */
const struct scale *scale_find(const char *name);

struct tenant {
    uint32_t size;     /* as made */
    uint32_t count;    /* points that were ever written: 0 .. count - 1 */
    uint32_t capacity; /* of versions */
    uint16_t *versions;
    double share;           /* of all queries */
    uint32_t popularity;    /* rank, 0 = most asked */
    uint64_t last_query_ns; /* 0 = never since the server's start */
    bool made;              /* its collection or shard key exists */
};

struct world {
    const struct scale *scale;
    enum bench_style style;
    uint64_t seed;
    struct tenant *tenants; /* [tenant_count + CHURN_SLOTS]; the first ones largest first */
    uint32_t tenant_count;
    uint64_t point_count; /* as made: the sum of the sizes */
    char (*names)[NAME_BYTES];
    struct vectors vectors;
    char **titles;                   /* [vectors.count], as JSON strings without quotes */
    double *harmonic;                /* [4096]: sums of 1/j */
    double kinds[KINDS], tags[TAGS]; /* cumulative shares by Zipf's law */
};

bool world_open(struct world *world, const struct bench_options *options);
void world_close(struct world *world); /* takes a zeroed one */

/* What the server holds. False: said on the standard error. */
bool world_save(const struct world *world, const char *path);
bool world_load(struct world *world, const char *path);
void world_reset(struct world *world); /* nothing is stored */

/* Makes room for points up to `count`; the new ones count as gone until they are set. */
void tenant_grow(struct tenant *tenant, uint32_t count);
static inline bool tenant_has(const struct tenant *tenant, uint32_t i) {
    return i < tenant->count && (tenant->versions[i] & VERSION_GONE) == 0;
}
static inline uint16_t tenant_version(const struct tenant *tenant, uint32_t i) {
    return tenant->versions[i] & VERSION_MASK;
}
uint32_t tenant_live(const struct tenant *tenant);
uint64_t world_live(const struct world *world);

uint32_t size_class(uint32_t size);
const char *size_class_text(uint32_t class);

/* ---- Points ---- */

struct fields { /* of a payload */
    uint32_t tenant, i, version;
    uint32_t bucket, kind, tag_count;
    uint32_t tags[TAGS_MAX];
    int64_t ts;
    double price;
    bool near, far;
    uint32_t row; /* of the sample: the seed of the point's vector, and its title */
};

void world_fields(struct world *world, uint32_t tenant, uint32_t i, uint32_t version,
                  struct fields *out);
void world_vector(struct world *world, uint32_t tenant, uint32_t i, uint32_t version, float *out);
/* JSON object into out[WORLD_PAYLOAD_MAX]; returns its length. */
size_t world_payload(const struct world *world, const struct fields *fields, char *out);
/* Vector of query `number`; `against`: of a topic without `far` points. */
void world_query(struct world *world, uint32_t tenant, uint64_t number, bool against, float *out);

static inline ins_id world_id(const struct world *world, uint32_t tenant, uint32_t i) {
    return point_id(world->seed, world->style, tenant, i);
}

/* ---- Conditions on payloads ---- */

struct condition {
    enum condition_kind {
        CONDITION_BUCKET, /* bucket < value */
        CONDITION_KIND,
        CONDITION_TS,       /* from <= ts < to */
        CONDITION_TAGS_ANY, /* one of two */
        CONDITION_TAGS_ALL, /* both */
        CONDITION_NEAR,
        CONDITION_FAR,
        CONDITION_COUNT
    } kind;
    int64_t from, to;
};

struct condition condition_draw(const struct world *world, uint32_t tenant, struct random *random);
bool condition_holds(const struct condition *condition, const struct fields *fields);
/* As elements of "must", comma-separated, into out; returns the length. */
size_t condition_text(const struct condition *condition, char *out, size_t capacity);

#endif
