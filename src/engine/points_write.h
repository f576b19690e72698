/* Writes of points: what the files of one operation share.
 *
 * points_write.c (the operation: validate, resolve) -> points_old.c (the points as they are, for
 * those writes that need them) -> points_update.c (the points as they shall be) -> points_put.c
 * (admit and sequence). */
#ifndef INS_ENGINE_POINTS_WRITE_H
#define INS_ENGINE_POINTS_WRITE_H

#include "engine/gates.h"
#include "engine/points.h"

enum target_fate {
    TARGET_PUT = 0, /* the row that is described here */
    TARGET_REMOVE,
    TARGET_SKIP, /* nothing: a condition does not hold */
};

struct target { /* one id of a write */
    ins_id id;
    const ins_point *point;    /* as it was sent; NULL: by id only */
    const ins_point **earlier; /* [earlier_count] update vectors: sent before it, same id */
    size_t earlier_count;
    struct payload_stored payload; /* of the new row */
    const void *kept;              /* packed: [kept_count] vectors of the old row */
    uint32_t kept_count;
    uint32_t vector_bytes; /* of the new row */
    enum target_fate fate;
    bool changed;       /* fate and payload are those of the new row */
    bool patch;         /* the new row inherits the vectors that it lacks */
    uint64_t candidate; /* island that the id directory names; 0 = none */
    bool located, repeated;
    size_t order;        /* place in the request */
    struct island *home; /* of its tenant, as of islands.tenants_changed == home_seen */
    uint64_t home_seen;
};

struct points_write {
    struct write write;
    const ins_points_request *request;
    enum points_kind kind;
    struct points_context context;
    struct scope *scope; /* pinned */
    ins_text tenant;     /* request->tenant, as points hold it */
    struct target *targets;
    size_t target_count;
    struct holds holds;
    struct gate *gate;       /* that this write found to be in its way; used at once */
    struct island **dropped; /* [dropped_count], pinned: dropped by this write's record */
    size_t dropped_count;
    struct reader directory; /* open while this write waits for bytes of the id directory */
    bool validated;
    bool may_join; /* others in a burst */
    bool joined;   /* its look-ups were begun there */
    /* Writes that look at the old points. */
    struct reader reader;
    struct target **by_island; /* [target_count], those of one island together */
    size_t next;               /* of by_island: not looked at yet */
    struct filter *condition;  /* update_filter, or NULL */
    struct payload_patch *patch;
    struct payload_path patch_path;
    struct payload_path *removed_paths; /* [request->key_count] */
    struct payload_stored overwriting;
};

/* A point as it is. Everything is borrowed until the reader is asked again. */
struct old_point {
    bool exists;
    bool passes;                            /* the condition, if there is one */
    const struct payload_path *tenant_path; /* of a tenant's island, or NULL */
    ins_text tenant;
    ins_text payload;           /* stored form */
    uint32_t depth;             /* of patches with vectors, at the newest version */
    struct vector_ref *vectors; /* [vector_count], when they are asked for */
    uint32_t vector_count;
};

static inline struct points_write *points_write_of(struct operation *operation) {
    return container_of(operation, struct points_write, write.operation);
}

/* The island of the target's tenant that writers see; NULL: there is none. The scope has a tenant
 * field and the target a value. */
static inline struct island *points_home(const struct points_write *self, struct target *target) {
    const struct islands *islands = &self->write.operation.db->islands;
    if (target->home_seen != islands->tenants_changed) {
        target->home = islands_find_newest(islands, self->scope, target->payload.tenant);
        target->home_seen = islands->tenants_changed;
    }
    return target->home;
}

/* True when the kind decides by what is there. */
bool points_need_old(const struct points_write *self);

/* points_update.c: what a kind brings with it, checked once. */
INS_MUST_USE ins_status points_check_change(struct points_write *self, ins_error *error);
/* What becomes of the target; the payload of its new row. */
INS_MUST_USE ins_status points_change(struct points_write *self, struct target *target,
                                      const struct old_point *old, ins_error *error);
/* After points_change of a target that is put: the row that it will be. */
enum target_row {
    ROW_WHOLE,  /* what was sent is all of it */
    ROW_PATCH,  /* it inherits from the old row, which lies in the same island */
    ROW_JOINED, /* with the old row's vectors in it */
};
INS_MUST_USE ins_status points_row_kind(const struct points_write *self,
                                        const struct target *target, const struct old_point *old,
                                        enum target_row *out, ins_error *error);
/* Of a joined row: the old vectors stay, but for those that the change names. Of all: its bytes. */
INS_MUST_USE ins_status points_keep_vectors(struct points_write *self, struct target *target,
                                            const struct old_point *old, enum target_row row,
                                            ins_error *error);

/* The vectors of the target's new row, by the schema that counts now. */
INS_MUST_USE ins_status points_row_vectors(const struct points_write *self,
                                           const struct target *target, struct row_vectors *out,
                                           ins_error *error);

/* points_old.c: every target's point is looked at and changed. The targets' islands are known and
 * their ids are held when this waits. */
INS_MUST_USE ins_status points_take_old(struct points_write *self, ins_error *error);

/* points_account.c: counts the points of each tenant. INS_EXHAUSTED when one of them may not write
 * now; a change by filter was asked when it began, and its records are only counted. */
INS_MUST_USE ins_status points_account(struct points_write *self, ins_error *error);
/* Unpins what was dropped. */
void points_close_drops(struct points_write *self);
/* points_put.c: what the rows cost in the memtable, as far as it is known. */
uint64_t points_cost(const struct points_write *self);
/* Rows of all targets in one record. */
INS_MUST_USE ins_status points_sequence(struct points_write *self, ins_error *error);

#endif
