/* The simulator: one seed, one database on the failing store, many operations in flight, a model.
 *
 * sim_operate starts operations and lets the lanes run; answers are compared when they come (see
 * check.c). sim_quiesce waits for all of them; sim_verify then compares everything. A crash throws
 * the process away; sim_recover checks the store, opens, asks how far the log got (its durable LSN)
 * and applies the writes up to there that had no answer: what was acknowledged must be among them,
 * and every LSN must belong to a write that was sent.
 * Beside insula.h it knows two things of the engine: how to make an allocation fail and how to
 * empty the cache, so that reads wait for bytes. A difference prints the seed and ends the process
 * with status 1. */
#ifndef INS_SIM_SIM_H
#define INS_SIM_SIM_H

#include "sim_model.h"
#include "sim_runtime.h"

#define SIM_SLOTS 12u /* operations in flight */
#define SIM_UNSURE (16 * SIM_SLOTS)
#define SIM_FAIL_STATUS 1

enum sim_read_kind {
    READ_GET,
    READ_SCROLL,
    READ_COUNT,
    READ_QUERY,
    READ_INFO,
    READ_RANK,
    READ_KINDS
};

struct sim;

struct sim_slot { /* one operation in flight */
    struct sim *sim;
    ins_call call;
    bool busy, is_write, is_flush;
    bool started;      /* what it does is chosen */
    uint64_t from_lsn; /* the model's when it began */
    uint32_t ddl_from; /* sim->ddl_count when it began */
    struct model_write write;
    /* a read */
    enum sim_read_kind kind;
    struct model_collection *collection; /* at the start; NULL: none of that name */
    struct model_filter filter;
    uint32_t ids[MODEL_BATCH], id_count;
    uint32_t which; /* vector that a query searches */
    float vector[MODEL_NUMBERS_MAX];
    uint32_t vector_rows;
    ins_rank_request rank;
    enum model_key group_key; /* of a ranking's groups or facets */
    ins_example examples[MODEL_EXAMPLES];
    float example_vectors[MODEL_EXAMPLES][MODEL_NUMBERS_MAX];
    /* what the engine borrows */
    ins_points_request points_request;
    ins_collection_request collection_request;
    ins_alias_request alias_request;
    ins_alias_change alias;
    ins_batch_request batch;
    ins_update updates[MODEL_PARTS];
    ins_point points[MODEL_BATCH];
    ins_id point_ids[MODEL_BATCH];
    float vectors[MODEL_BATCH][MODEL_VECTORS][MODEL_NUMBERS_MAX];
    ins_vector named[MODEL_BATCH][MODEL_VECTORS];
    char *payloads; /* [MODEL_BATCH][MODEL_PAYLOAD_MAX] */
    ins_filter ins_filter;
    ins_condition conditions[2];
    ins_value values[3];
    char names[2][16];
};

struct sim_span { /* one point of the model over the time of a read */
    const struct model_version *versions;
    uint32_t count;
    bool always;      /* present, matching, in one island, at every moment */
    bool present;     /* present and matching at every moment, in whatever island */
    bool possible;    /* present and matching at some moment */
    uint32_t islands; /* in how many different ones while matching, at least 1 if possible */
};

struct sim_config {
    uint64_t seed;
    bool objects; /* the store has nothing but objects below it */
    bool memory;  /* allocations that fail now and then */
    bool faults;  /* failing store calls now and then */
    bool flips;   /* damaged bytes that heal */
    bool views;   /* whole answers among writes: large limits, lanes held back more often */
    bool verbose;
    uint32_t name_count; /* collections in use, <= MODEL_NAMES */
    const char *label;   /* printed with a failure; may be NULL */
};

struct sim_counts {
    uint64_t operations, acknowledged, refused, uncertain, reads, read_errors;
    uint64_t power_cuts, kills, restarts, faults, flips, failed_opens, unsure_kept, unsure_lost;
    uint64_t flushes, merges, cleanings, cold_reads, inflight_checks, view_checks;
};

struct sim {
    struct sim_config config;
    struct sim_random random;
    ins_store *store;
    struct sim_runtime lanes;
    ins_db *db;
    ins_options options;
    struct model model;
    struct sim_slot slots[SIM_SLOTS];
    /* Writes that failed after they had an LSN: they may have happened. */
    struct model_write unsure[SIM_UNSURE];
    uint64_t unsure_lsn[SIM_UNSURE];
    uint32_t unsure_count;
    uint64_t next_seed;              /* of versions */
    uint32_t ddl_count[MODEL_NAMES]; /* creates and drops that began or ended, by name */
    uint32_t ddl_busy[MODEL_NAMES];  /* under way, or their end unknown */
    bool errors_allowed; /* a store call failed, or may, since the start of the process */
    bool stopped;        /* writes are refused until a restart */
    bool deaf;           /* answers of writes are not heard: they stay unsure */
    struct sim_counts counts;
};

/* A quarter of the seeds. */
static inline bool sim_on_objects(uint64_t seed) {
    return seed % 4 == 3;
}

/* Opens an empty store; the database is not there yet: sim_recover makes it. */
void sim_init(struct sim *sim, const struct sim_config *config);
void sim_fini(struct sim *sim);
/* Starts `count` operations at random, with tasks of all lanes between them. */
void sim_operate(struct sim *sim, uint32_t count);
/* Waits for every operation in flight. `timers`: and for timers, so that the log closes its tail.
 */
void sim_quiesce(struct sim *sim, bool timers);
/* All is quiet: everything equals the model. */
void sim_verify(struct sim *sim);
enum sim_end { SIM_KILL, SIM_POWER_CUT, SIM_SHUTDOWN };
/* Ends the process; a shutdown that the store's faults do not let end becomes a kill. */
void sim_end(struct sim *sim, enum sim_end how);
/* `faults`: the first opening may meet a failing call, and crash again. */
void sim_recover(struct sim *sim, bool faults);
/* One opening; false when it failed, which `may_fail` allows: it has crashed then. Reconciles. */
bool sim_open(struct sim *sim, bool may_fail);
/* ins_check finds nothing. */
void sim_check_store(struct sim *sim, const char *when);
/* No call and no allocation fails any more. */
void sim_faults_off(struct sim *sim);
/* Waits for a flush; false when it was refused. */
bool sim_flush(struct sim *sim);

/* ---- Between the simulator's files ---- */

void sim_fail(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
void sim_say(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *sim_name(uint32_t name);
const char *sim_alias(uint32_t alias);
void sim_start(struct sim *sim, struct sim_slot *slot);
void sim_tighten(struct sim *sim); /* when all is quiet */
/* When all is quiet; false: the read failed. *out_lsn 0: there is no such point. */
bool sim_point_version(struct sim *sim, uint32_t name, uint32_t id, uint64_t *out_lsn);
/* A long write may have changed its points: what reads see is not known until they have told. */
static inline bool sim_is_shut(const struct model_collection *collection) {
    return collection->reshaping ||
           (collection->loose && collection->loose_write.kind != WRITE_DELETE_FILTER);
}
/* A random vector to search, the filter's part of it included; false when there are no vectors. */
bool sim_query_vector(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape);
struct model_filter sim_any_filter(struct sim_random *random, const struct model_shape *shape);
void sim_filter_fill(struct sim_slot *slot, const struct model_filter *filter,
                     const struct model_shape *shape);
void sim_fill_rank(struct sim *sim, struct sim_slot *slot, const struct model_shape *shape);
struct sim_span sim_span_of(const struct sim_slot *slot, uint32_t id);
/* The number of a point that an answer holds, which is right by itself. */
uint32_t sim_check_point(const struct sim *sim, const struct sim_slot *slot,
                         const ins_point *point);
void sim_check_rank(const struct sim *sim, const struct sim_slot *slot);
void sim_check_read(struct sim *sim, struct sim_slot *slot);
void sim_check_write(struct sim *sim, struct sim_slot *slot);
bool sim_is_fault(const struct sim *sim, ins_status status);
void sim_note_unsure(struct sim *sim, const struct sim_slot *slot);
void sim_check_view(struct sim *sim, const struct sim_slot *slot);
uint32_t sim_moved_points(const struct sim_slot *slot);
void sim_describe_point(const struct sim *sim, const struct sim_slot *slot, uint32_t id);

#endif
