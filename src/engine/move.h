/* Moving a full collection's points to islands, after an `is_tenant` index was made on it.
 *
 * The points are copied into a hidden collection that has the tenant field from the start, by
 * ordinary writes, while the old one goes on answering. What is written to the old one meanwhile is
 * noted and copied again. When little is left writes wait at a gate, the rest is copied, and one
 * record gives the hidden collection the name, the aliases and the settings, and drops the old one.
 * So a reader sees the one or the other, whole, and nobody below knows of it. A process that ends
 * in between drops the hidden collection at its next start and begins anew.
 *
 * Path: moves_kick (an index was made; a start) -> move.c: what is left of earlier moves goes; a
 * collection that wants it -> move_catalog.c: the hidden collection -> move_batch.c: points, then
 * those of ids that were written (move_notes.c) -> gate -> move_catalog.c: the flip. One at a time.
 * Threads: the request lane. */
#ifndef INS_ENGINE_MOVE_H
#define INS_ENGINE_MOVE_H

#include "engine/gates.h"
#include "engine/points.h"

#define MOVE_BATCH 256u               /* points of one write */
#define MOVE_BATCH_BYTES (1ull << 20) /* and about their bytes */
#define MOVE_REST 1024u               /* so many ids are copied while writes wait: some 20 ms */
/* When so many were written and not copied again yet, writes wait for the copy. */
#define MOVE_CROWDED 131072u
#define MOVE_NOTES 4096u /* ids in one piece: 96 KiB */

struct move_notes { /* ids that were written, in order, some several times */
    struct move_notes *next;
    uint32_t count, taken;
    ins_id ids[MOVE_NOTES];
};

enum move_stage {
    MOVE_SWEEP, /* of what earlier moves left, and the choice of a collection */
    MOVE_MAKE,  /* the hidden collection */
    MOVE_COPY,  /* until little is left */
    MOVE_FLIP,
    MOVE_ABANDON, /* the hidden collection goes */
};

enum move_inner { MOVE_NOTHING, MOVE_UPSERT, MOVE_DELETE, MOVE_CATALOG };

struct move {
    struct operation operation;
    ins_call own_call;
    enum move_stage stage;
    struct scope *source;         /* pinned, its `move` is this; NULL while there is none */
    struct scope *target;         /* hidden, pinned */
    ins_collection_request asked; /* of the inner calls on collections */
    /* Notes of what was written. */
    struct move_notes *notes, *notes_last;
    uint64_t noted;  /* ids in them */
    bool notes_lost; /* memory was out: all over again */
    /* The batch. */
    struct reader reader;
    struct pool pool; /* of its points */
    struct point_fields fields;
    struct schema *schema; /* held: what `fields` are of */
    ins_id from;           /* first id that was not copied */
    bool all_read, is_page, last_page, gathered;
    struct place places[MOVE_BATCH];
    ins_id ids[MOVE_BATCH];
    uint32_t wanted, next; /* places or ids; how many of them were looked at */
    ins_point points[MOVE_BATCH];
    ins_id gone[MOVE_BATCH];
    uint32_t point_count, gone_count, sent, piece;
    /* Its writes. */
    enum move_inner inner_kind;
    ins_call inner;
    ins_points_request request;
    bool starting, ended;
    /* Writes wait. */
    struct gate gate;
    struct islands_walk walk;
    struct scopes scopes;
    ins_timer timer;
    uint64_t copied, total; /* points, about */
};

/* A collection wants to be moved: begins, unless a move is under way, which looks for the next one
 * at its end. */
void moves_kick(struct ins_db *db);
/* After a record was sequenced: its ids must be copied again. */
void move_note(struct move *move, const ins_id *id);

/* ---- move_notes.c ---- */

/* The oldest notes into move->ids, each id once: move->wanted. */
void move_notes_take(struct move *move, uint32_t capacity);
void move_notes_forget(struct move *move);

/* ---- move_batch.c ---- */

/* A page of points, or of what was written since. INS_AGAIN while the reader's bytes come. It is
 * open then: who writes from here on is noted, so it does not matter whether the reader sees it. */
INS_MUST_USE ins_status move_batch_begin(struct move *move, bool notes, ins_error *error);
/* Points of the batch into its pool. A page is cut where they become too many bytes. */
INS_MUST_USE ins_status move_batch_take(struct move *move, ins_error *error);
/* All that the pool holds is to be written: where the next page begins. */
void move_batch_close(struct move *move);
void move_batch_end(struct move *move); /* takes one that has not begun */

/* ---- move_catalog.c ---- */

/* What asks for islands and has none: its field, or NULL. */
const struct schema_field *move_field(const struct schema *schema);
/* The next collection that wants to be moved, or the next hidden one. NULL: none. */
struct scope *move_next(const struct ins_db *db, bool hidden);
/* The hidden collection for asked.collection's points: move->target when it is there. */
void move_make(struct move *move, ins_call *call);
/* INS_EXHAUSTED when the collection has changed so that it must be copied anew. */
void move_flip(struct move *move, ins_call *call);
/* Rows that are copied now will fit: the vectors are the same. */
bool move_fits(const struct move *move);

#endif
