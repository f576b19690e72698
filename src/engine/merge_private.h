/* What the files of a merge share: the job, its islands, and the rows that flow through it. */
#ifndef INS_ENGINE_MERGE_PRIVATE_H
#define INS_ENGINE_MERGE_PRIVATE_H

#include "engine/engine_private.h"
#include "engine/field_columns.h"
#include "engine/merge_queue.h"
#include "engine/scan_codes.h"
#include "segment/row_stream.h"

struct merge_item {
    struct island *island; /* pinned */
    uint64_t scope, incarnation;
    struct schema *schema; /* held; NULL of the system's */
    bool directory;
    /* Request lane, at the beginning: the oldest runs, and what to make of them. */
    struct run runs[MERGE_RUNS_MAX]; /* oldest first; their files are pinned */
    uint64_t files[MERGE_RUNS_MAX];
    uint32_t run_count;
    struct merge_plan plan;
    bool whole;           /* plan.counted is all that the island had */
    uint32_t dead_before; /* the island's dead_most at the beginning */
    /* Background lane. */
    struct merge_window window; /* what was merged; count 0: nothing was worth it */
    struct run merged;
    uint64_t rows_in, rows_out; /* of the window, tombstones included */
    uint32_t dead;              /* of all runs, exact, when `counted` */
    bool counted;
};

struct merge_input {
    struct row_stream *stream;
    struct extent_row row;
    bool end;
};

#define KEY_PIECES_MAX 64u

struct key_list { /* ascending */
    uint64_t *pieces[KEY_PIECES_MAX];
    uint32_t count;
};

bool key_list_has(const struct key_list *list, uint64_t key);
void key_list_free(struct key_list *list, struct arena *arena);

/* Rows of a window of one island, newest version of each id, in id order: a source for the segment
 * writer. */
struct merge_rows {
    struct ins_db *db;
    const struct merge_item *item;
    struct read_ahead *ahead;
    struct merge_input inputs[MERGE_RUNS_MAX]; /* newest first */
    uint32_t input_count;
    uint64_t version_low, version_high;
    struct vector_shape shapes[INS_VECTORS_MAX]; /* what the island's schema has */
    uint32_t shape_count;
    struct extent_scan scans[INS_VECTORS_MAX]; /* for the writer: merge_rows_source */
    uint64_t sparse;                           /* as struct extent_source has it */
    bool keep_tombstones;                      /* something older may hold what they bury */
    bool whole_below;                          /* nothing older is there: no patch may be left */
    uint32_t taken;          /* input whose row the writer holds; UINT32_MAX: none */
    uint64_t rows_in;        /* rows and tombstones of the inputs */
    struct key_list garbage; /* rows of the catalog that go */
    uint32_t yields;         /* rows given out since it began, of all passes */
};

INS_MUST_USE ins_status merge_rows_open(struct merge_rows *rows, const struct merge_item *item,
                                        struct merge_window window, ins_error *error);
void merge_rows_close(struct merge_rows *rows);
/* Of the catalog, its oldest run among the inputs: fills rows->garbage. */
INS_MUST_USE ins_status merge_catalog_sort(struct merge_rows *rows, ins_error *error);
/* What the segment writer takes of rows that are open: with columns of the item's indexed fields,
 * without graphs. */
struct extent_source merge_rows_source(struct merge_rows *rows, struct field_columns *columns);
/* The writer's callbacks; context is a struct merge_rows. */
INS_MUST_USE ins_status merge_rows_rewind(void *context, enum extent_need need, uint32_t vector,
                                          ins_error *error);
INS_MUST_USE ins_status merge_rows_next(void *context, struct extent_row *out, bool *out_end,
                                        ins_error *error);

#endif
