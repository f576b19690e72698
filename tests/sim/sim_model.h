/* What a right engine holds, in plain arrays: the specification that the simulator compares with.
 *
 * Every acknowledged write is applied at its LSN. A point keeps its versions, so that an answer
 * made while writes were under way can be compared with every state between its first and its last
 * LSN; when all is quiet, old versions go. A version is made of one number: its vector, its payload
 * and what filters see follow from it. */
#ifndef INS_SIM_MODEL_H
#define INS_SIM_MODEL_H

#include "insula.h"
#include "sim_random.h"

#define MODEL_NAMES 5u /* collections that come and go */
#define MODEL_ALIASES 3u
#define MODEL_IDS 160u /* points of one collection: few, so that overwrites are common */
#define MODEL_WHO 7    /* tenants with a string for a value; number 0 is the empty string */
#define MODEL_VECTORS 3u
#define MODEL_DIM_MAX 8u
#define MODEL_ROWS_MAX 5u /* of a multivector */
#define MODEL_NUMBERS_MAX (MODEL_DIM_MAX * MODEL_ROWS_MAX)
#define MODEL_EXAMPLES 5u
#define MODEL_BATCH 48u /* points of one write */
#define MODEL_QUOTA                                                                                \
    1000000000000ull   /* bytes, more than any run stores; and the number of the patch */
#define MODEL_PARTS 4u /* updates of one batch */
#define MODEL_PAYLOAD_MAX 12000u

/* The tenant field of a point: a tenant's number, or something that makes no island. */
enum model_who { WHO_MISSING = -1, WHO_NULL = -2, WHO_ARRAY = -3, WHO_NUMBER = -4, WHO_LONG = -5 };

struct model_version {
    uint64_t lsn;
    uint64_t earliest;                    /* 0, or: the engine's LSN is any from here to `lsn` */
    uint64_t seed;                        /* of the payload */
    uint64_t vector_seeds[MODEL_VECTORS]; /* of each vector */
    int who;
    uint32_t vectors; /* bit i: it has the shape's vector i */
    uint32_t pad;     /* bytes that make the payload longer */
    bool live;        /* false: a tombstone */
};

struct model_point {
    struct model_version *versions; /* ascending LSN */
    uint32_t count, capacity;
};

struct model_shape {
    uint32_t vector_count;
    ins_vector_params vectors[MODEL_VECTORS];
    bool lacking; /* points may lack vectors */
    uint32_t id_count, pad_max;
    bool uuids; /* half of the ids are UUIDs */
};

enum model_filter_kind {
    FILTER_NONE,
    FILTER_WHO,       /* must who = a */
    FILTER_WHO_ANY,   /* must who in {a, b} */
    FILTER_WHO_AND_K, /* must who = a, k = b */
    FILTER_NOT_WHO,   /* must_not who = a */
    FILTER_K,         /* must k = b */
    FILTER_RANGE,     /* must n >= 2^30: about half */
    FILTER_IDS,       /* must has_id {a, b} */
    FILTER_KINDS
};

struct model_filter {
    enum model_filter_kind kind;
    int a, b;
    int vector; /* of a query: number of the vector that is searched, + 1 */
};

/* Fields whose values are counted and make groups, and their values by number. */
enum model_key { MODEL_KEY_K, MODEL_KEY_WHO };
#define MODEL_VALUES ((uint32_t)MODEL_WHO + 2) /* of who: tenants, the long text, the number */
#define MODEL_VALUE_BYTES 320

enum model_kind {
    WRITE_CREATE,
    WRITE_DROP,
    WRITE_INDEX, /* is_tenant on "who" */
    WRITE_INDEX_DROP,
    WRITE_ALIAS, /* made for the collection, or deleted */
    WRITE_PATCH, /* of its metadata */
    WRITE_VECTOR_ADD,
    WRITE_VECTOR_DROP, /* the last one */
    WRITE_UPSERT,
    WRITE_DELETE,
    WRITE_DELETE_FILTER,
    WRITE_SET_WHO,           /* set payload: another tenant, else the same */
    WRITE_OVERWRITE_PAYLOAD, /* all with the first version's payload */
    WRITE_UPDATE_VECTORS,
    WRITE_INSERT_ONLY, /* conditional upserts */
    WRITE_UPDATE_ONLY,
    WRITE_CHANGE_FILTER, /* set payload of what passes: another tenant */
    WRITE_BATCH,         /* upserts, one after the other, of ids that differ */
};

struct model_write {
    enum model_kind kind;
    uint32_t name;
    struct model_shape shape; /* create; the vector that is added is its first */
    uint32_t count;           /* upsert, delete: points */
    uint32_t ids[MODEL_BATCH];
    struct model_version versions[MODEL_BATCH]; /* upsert: but for the LSN */
    struct model_filter filter;                 /* delete and change by filter */
    uint32_t parts;                             /* of a batch: updates */
    uint32_t part_ends[MODEL_PARTS];            /* of a batch: the points before its next update */
    uint64_t patch;
    uint32_t alias;
    bool alias_delete;
};

struct model_collection {
    struct model_collection *next; /* dropped ones, until all is quiet */
    struct model_shape shape;
    uint64_t create_lsn, drop_lsn; /* 0 = not dropped */
    bool islands;                  /* an is_tenant index was made while it was empty */
    uint64_t patch;                /* what the last patch wrote; 0: there was none */
    uint64_t quota;                /* what the last quota was; 0: there was none */
    /* A write of many records is under way, or ended without saying how far it came: any of its
     * points may have been written. It has the collection to itself: nothing else changes them. */
    bool loose;
    uint64_t tight_lsn; /* at which the last one ended */
    struct model_write loose_write;
    /* A vector was added or dropped without an answer: until the next start reads may show it. */
    bool reshaping;
    struct model_point points[MODEL_IDS];
};

struct model {
    struct model_collection *current[MODEL_NAMES];
    struct model_collection *dropped;
    struct model_collection *aliases[MODEL_ALIASES]; /* NULL: there is none */
    uint64_t lsn;                                    /* of the last write that was applied */
};

/* Applies a write that took effect at `lsn`. False, with the reason, when it cannot have been
 * accepted: its collection is not there, or its LSN is not above those before. */
bool model_apply(struct model *model, const struct model_write *write, uint64_t lsn,
                 const char **out_reason);
/* Has no LSN that is its own: may be many records, of which each has one. */
static inline bool model_is_long(enum model_kind kind) {
    return kind == WRITE_DELETE_FILTER || kind == WRITE_CHANGE_FILTER || kind == WRITE_BATCH;
}
/* Nothing else, reads included, may be under way in its collection. */
static inline bool model_is_alone(enum model_kind kind) {
    return kind == WRITE_CHANGE_FILTER || kind == WRITE_BATCH || kind == WRITE_VECTOR_ADD ||
           kind == WRITE_VECTOR_DROP;
}
/* A write by filter that ended, its collection being there; it began behind `from`. */
void model_apply_filter(struct model *model, const struct model_write *write, uint64_t from,
                        uint64_t lsn);
/* One update of a batch; as model_apply. */
bool model_apply_part(struct model *model, const struct model_write *batch, uint32_t part,
                      uint64_t lsn, const char **out_reason);
/* Forgets a long write that was under way when the process ended, but for what it did: lsns
 * [MODEL_IDS] are those of its points now, 0 where there is none. */
void model_tighten(struct model *model, struct model_collection *collection, const uint64_t *lsns);
/* Whether the engine's LSN of a point is that of the version. */
static inline bool model_is_version(const struct model_version *version, uint64_t lsn) {
    return lsn == version->lsn ||
           (version->earliest != 0 && lsn >= version->earliest && lsn < version->lsn);
}
bool model_is_loose(const struct model_collection *collection, uint32_t id,
                    const struct model_version *version);
/* Forgets all but the newest version of every point, and dropped collections. */
void model_settle(struct model *model);
void model_fini(struct model *model);

/* Versions of a point that were current at some moment of [from, to]: *out_first and the count.
 * A point without a version at `from` was absent then: *out_absent. */
uint32_t model_window(const struct model_point *point, uint64_t from, uint64_t to,
                      const struct model_version **out_first, bool *out_absent);
/* Newest version when it is live, else NULL. */
const struct model_version *model_newest(const struct model_point *point);
bool model_matches(const struct model_filter *filter, uint32_t id,
                   const struct model_version *version);
/* The field that points are put in the order of. */
double model_number(const struct model_version *version);
bool model_has_value(const struct model_version *version, enum model_key key, uint32_t number);
/* False: the field has no value of that number. */
bool model_value(enum model_key key, uint32_t number, char buffer[static MODEL_VALUE_BYTES],
                 ins_value *out);
/* Which island holds the version: equal numbers, equal islands. */
int model_island(const struct model_collection *collection, const struct model_version *version);

ins_id model_id(const struct model_shape *shape, uint32_t id);
/* The inverse; UINT32_MAX when no point of the model has that id. */
uint32_t model_id_number(const struct model_shape *shape, const ins_id *id);
/* Rows that the vector of `seed` has: of a multivector 1 and more, else 0, as ins_vector has them.
 */
uint32_t model_rows(const struct model_shape *shape, uint32_t which, uint64_t seed);
/* Its numbers: out[MODEL_NUMBERS_MAX]. */
void model_vector(const struct model_shape *shape, uint32_t which, uint64_t seed, float *out);
/* Values of a row as the engine stores them: out[dim]. */
void model_store(const ins_vector_params *params, const float *values, double *out);
/* The payload as the engine must give it back; its length. */
size_t model_payload(const struct model_version *version, char *out, size_t capacity);
/* An object with the version's tenant field alone; null where it has none. */
size_t model_who_object(const struct model_version *version, char *out, size_t capacity);
/* The tenant's text; `out` has room for 16 bytes. */
const char *model_who_text(int who, char *out);
/* The score of the version of `seed` for `query` of so many rows (0: a plain vector) as the engine
 * counts it. */
double model_score(const struct model_shape *shape, uint32_t which, const float *query,
                   uint32_t query_rows, uint64_t seed);

#endif
