/* What the files of changes by filter share: points_filter.c runs them, points_filter_gather.c
 * finds the points that pass, points_filter_long.c keeps those of many records across a restart. */
#ifndef INS_ENGINE_POINTS_FILTER_H
#define INS_ENGINE_POINTS_FILTER_H

#include "engine/catalog.h"
#include "engine/gates.h"
#include "engine/points.h"
#include "engine/walk.h"

#define FILTER_CHUNK 4096u /* points of one write: 96 KiB of ids, a record of some 100 KiB */

enum inner_call { INNER_NONE, INNER_WRITE, INNER_FLUSH };

struct points_filter {
    struct operation operation;
    const ins_points_request *request;
    enum points_kind kind;
    struct points_context context;
    struct scope *scope; /* pinned */
    struct scopes scopes;
    struct islands_walk walk;
    struct gate gate;
    uint64_t start_lsn;    /* what was sequenced when its gate had settled; 0 = not yet */
    struct island **drops; /* [drop_count]: tenants that go as a whole, before anything else */
    size_t drop_count;
    /* The island being looked at. */
    struct island *island; /* pinned */
    const struct filter *filter;
    const struct payload_path *path;
    struct reader reader; /* closed while a write is under way */
    ins_id from;          /* first id not looked at */
    bool island_end;      /* no id is left */
    struct place *places; /* [PAGE_MAX] */
    uint32_t page_count, page_next;
    bool page_last;
    /* The chunk, written piece by piece: all of it, unless that is too large. */
    ins_id *ids; /* [FILTER_CHUNK] */
    size_t id_count, sent, piece;
    uint64_t chunk_island; /* where ids are within tenants all of them lie here */
    bool gathered;
    bool all_seen; /* no island is left */
    enum inner_call inner_kind;
    ins_call inner;
    ins_points_request by_ids;
    uint32_t retries;
    bool starting, ended, wrote, again;
    /* A long one. */
    bool is_long, closed; /* its last record is written */
    bool detached;        /* its call was answered */
    struct points_intent intent;
    ins_points_request own; /* in the pool */
    ins_call own_call;
    ins_timer timer; /* while it pauses */
    uint32_t pauses; /* since its last record */
    ins_status late; /* it failed, and loads are still under way */
    ins_error late_error;
    ins_status failure; /* it failed for good: its row goes, then it ends with this */
    ins_error failure_error;
};

ins_status filter_step(struct operation *operation, ins_error *error);
void filter_close(struct operation *operation);
/* What it needs besides the operation; the scope is pinned. */
ins_status filter_take_memory(struct points_filter *self, ins_error *error);
/* Its islands, from the first one on. */
ins_status filter_walk_begin(struct points_filter *self, ins_error *error);
void filter_leave_island(struct points_filter *self);

/* Fills the chunk. INS_OK when there is one to write, or nothing is left. */
ins_status filter_gather(struct points_filter *self, ins_error *error);

/* More than one record will be needed, and none is written yet: once more from the beginning, with
 * a row that outlives the process. */
ins_status filter_become_long(struct points_filter *self, ins_error *error);
/* Answers a call that does not wait, once the change cannot be lost any more. */
void filter_answer_early(struct points_filter *self);

#endif
