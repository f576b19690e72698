#include "engine/merge.h"

#include "engine/directory_view.h"
#include "engine/field_columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "engine/jobs.h"
#include "segment/row_stream.h"

/* One job merges at most this much, so that the next flush never waits long. */
#define MERGE_BYTES_MAX (256ull << 20)
#define MERGE_ISLANDS_MAX 8192u
#define MERGE_RUNS_MAX (INS_RUNS_MERGE + 1) /* of one island */

struct merge_item {
    struct island *island; /* pinned */
    uint64_t scope, incarnation;
    uint32_t run_count;
    struct schema *schema; /* held; NULL of the system's */
    bool directory;
    struct run runs[MERGE_RUNS_MAX]; /* newest first */
    uint64_t files[MERGE_RUNS_MAX];
    struct run merged;
};

struct merge_input {
    struct row_stream *stream;
    struct extent_row row;
    bool end;
};

struct merge {
    ins_task task;
    struct ins_db *db;
    struct pool pool;
    struct merge_item **items; /* [item_count], in the order of the file */
    uint32_t item_count;
    struct segment_info info;
    ins_status status;
    ins_error error;
    /* The writer's source: one island at a time. */
    struct merge_item *item;
    struct read_ahead ahead; /* background lane */
    struct merge_input inputs[MERGE_RUNS_MAX];
    uint32_t input_count;
    struct vector_shape shapes[INS_VECTORS_MAX]; /* what the island's schema has */
    uint32_t shape_count;
    struct field_columns columns; /* background lane */
    uint64_t sparse;              /* as struct extent_source has it */
    uint32_t taken;               /* input whose row the writer holds; UINT32_MAX: none */
};

/* ---- Background lane ---- */

static ins_status input_next(struct merge_input *input, ins_error *error) {
    return row_stream_next(input->stream, &input->row, &input->end, error);
}

static ins_status source_rewind(void *context, enum extent_need need, uint32_t vector,
                                ins_error *error) {
    struct merge *merge = context;
    merge->taken = UINT32_MAX;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        row_stream_rewind(merge->inputs[i].stream, need, vector);
        ins_status status = input_next(&merge->inputs[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

/* Goes past the id that was given out last, in every input. */
static ins_status pass_taken(struct merge *merge, const ins_id *id, ins_error *error) {
    for (uint32_t i = 0; i < merge->input_count; i++) {
        struct merge_input *input = &merge->inputs[i];
        if (!input->end && id_equal(&input->row.id, id)) {
            ins_status status = input_next(input, error);
            if (status != INS_OK) {
                return status;
            }
        }
    }
    return INS_OK;
}

static ins_status source_next(void *context, struct extent_row *out, bool *out_end,
                              ins_error *error) {
    struct merge *merge = context;
    for (;;) {
        if (merge->taken != UINT32_MAX) {
            ins_id id = merge->inputs[merge->taken].row.id;
            ins_status status = pass_taken(merge, &id, error);
            if (status != INS_OK) {
                return status;
            }
        }
        /* Inputs stand newest first, so of equal ids the first one found wins. */
        uint32_t least = UINT32_MAX;
        for (uint32_t i = 0; i < merge->input_count; i++) {
            if (!merge->inputs[i].end &&
                (least == UINT32_MAX ||
                 id_compare(&merge->inputs[i].row.id, &merge->inputs[least].row.id) < 0)) {
                least = i;
            }
        }
        merge->taken = least;
        *out_end = least == UINT32_MAX;
        if (*out_end) {
            return INS_OK;
        }
        if (!merge->inputs[least].row.tombstone) {
            *out = merge->inputs[least].row;
            return INS_OK;
        }
    }
}

static void take_shapes(struct merge *merge) {
    const struct merge_item *item = merge->item;
    merge->shape_count = item->schema == NULL || item->directory ? 0 : item->schema->vector_count;
    for (uint32_t i = 0; i < merge->shape_count; i++) {
        merge->shapes[i] = item->schema->vectors[i].shape;
    }
}

static ins_status open_inputs(struct merge *merge, uint64_t *out_low, uint64_t *out_high,
                              ins_error *error) {
    struct ins_db *db = merge->db;
    struct merge_item *item = merge->item;
    merge->input_count = 0;
    merge->sparse = 0;
    take_shapes(merge);
    *out_low = UINT64_MAX;
    *out_high = 0;
    for (uint32_t i = 0; i < item->run_count; i++) {
        struct merge_input *input = &merge->inputs[merge->input_count];
        if (item->runs[i].size_64 == 0) {
            continue; /* an entry without bytes: its interval lies inside the others' hull or is
                         empty */
        }
        ins_status status = row_stream_open(
            db->runtime->store, db->arena, &merge->ahead, &item->runs[i], item->files[i],
            item->incarnation, merge->shapes, merge->shape_count, &input->stream, error);
        if (status != INS_OK) {
            return status;
        }
        merge->input_count++;
        merge->sparse |= row_stream_sparse(input->stream);
        const struct extent *extent = row_stream_extent(input->stream);
        *out_low = extent->version_low < *out_low ? extent->version_low : *out_low;
        *out_high = extent->version_high > *out_high ? extent->version_high : *out_high;
    }
    return INS_OK;
}

static void close_inputs(struct merge *merge) {
    for (uint32_t i = 0; i < merge->input_count; i++) {
        row_stream_close(merge->inputs[i].stream);
    }
    merge->input_count = 0;
}

static ins_status write_item(struct merge *merge, struct segment_writer *writer, ins_error *error) {
    struct merge_item *item = merge->item;
    uint64_t low, high;
    ins_status status = open_inputs(merge, &low, &high, error);
    if (status == INS_OK) {
        field_columns_of(&merge->columns, item->directory ? NULL : item->schema);
        /* Low 0: the merged run takes the place of everything older, entries without bytes too. */
        struct extent_source source = {.context = merge,
                                       .scope = item->scope,
                                       .incarnation = item->incarnation,
                                       .version_low = 0,
                                       .version_high = high,
                                       .vectors = merge->shapes,
                                       .vector_count = merge->shape_count,
                                       .columns = merge->columns.tables,
                                       .column_table_count = merge->columns.table_count,
                                       .sparse = merge->sparse,
                                       .directory = item->directory,
                                       .rewind = source_rewind,
                                       .next = source_next};
        status = segment_writer_extent(writer, &source, &item->merged, error);
    }
    close_inputs(merge);
    return status;
}

static ins_status write_islands(struct merge *merge, ins_error *error) {
    struct ins_db *db = merge->db;
    uint8_t random_id[16];
    uint64_t file = manifest_next_file(db, random_id);
    struct segment_writer *writer;
    ins_status status =
        segment_writer_begin(db->runtime->store, db->arena, file, random_id, &writer, error);
    if (status != INS_OK) {
        return status;
    }
    for (uint32_t i = 0; i < merge->item_count; i++) {
        merge->item = merge->items[i];
        status = write_item(merge, writer, error);
        if (status != INS_OK) {
            segment_writer_abort(writer);
            return status;
        }
    }
    return segment_writer_commit(writer, &merge->info, error);
}

static ins_status write_file(struct merge *merge, ins_error *error) {
    field_columns_init(&merge->columns, merge->db->arena);
    ins_status status = write_islands(merge, error);
    field_columns_fini(&merge->columns);
    return status;
}

/* ---- Landing ---- */

static bool unchanged(const struct merge_item *item) {
    const struct island *island = item->island;
    if ((island->flags & ISLAND_DROPPED) != 0 || island->run_count < item->run_count) {
        return false;
    }
    for (uint32_t i = 0; i < item->run_count; i++) {
        const struct run *now = &island->runs[item->run_count - 1 - i];
        if (now->file_slot != item->runs[i].file_slot ||
            now->offset_64 != item->runs[i].offset_64) {
            return false;
        }
    }
    return true;
}

static ins_status land(struct merge *merge) {
    struct ins_db *db = merge->db;
    uint32_t slot;
    directory_views_close(db);
    ins_status status = files_add(&db->files, &merge->info, &slot, &merge->error);
    for (uint32_t i = 0; i < merge->item_count && status == INS_OK; i++) {
        struct merge_item *item = merge->items[i];
        if (unchanged(item)) {
            item->merged.file_slot = slot;
            island_replace_runs(&db->islands, item->island, item->run_count, &item->merged);
        }
    }
    db->files.garbage = true;
    return status;
}

static void merge_landed(ins_task *task) {
    struct merge *merge = container_of(task, struct merge, task);
    struct ins_db *db = merge->db;
    if (merge->status == INS_OK) {
        merge->status = land(merge);
    }
    if (merge->status == INS_OK) {
        db->merge_count++;
        db->merge_turn = false;
    } else {
        jobs_failed(db, "a merge", &merge->error);
    }
    for (uint32_t i = 0; i < merge->item_count; i++) {
        struct merge_item *item = merge->items[i];
        for (uint32_t run = 0; run < item->run_count; run++) {
            files_unpin(&db->files, item->runs[run].file_slot);
        }
        schema_release(&db->catalog, item->schema);
        item->island->flags &= (uint8_t)~ISLAND_MERGING;
        if (merge->status == INS_OK && (item->island->flags & ISLAND_DROPPED) == 0) {
            jobs_want_merge(db, item->island); /* more runs may have come meanwhile */
        }
        island_unpin(&db->islands, item->island);
    }
    pool_fini(&merge->pool);
    db->merge = NULL;
    arena_free(db->arena, INS_MEM_JOB, merge, sizeof(*merge));
    jobs_kick(db);
}

static void merge_run(ins_task *task) {
    struct merge *merge = container_of(task, struct merge, task);
    read_ahead_init(&merge->ahead, merge->db->runtime->store, merge->db->arena);
    merge->status = write_file(merge, &merge->error);
    read_ahead_fini(&merge->ahead);
    if (merge->status == INS_OK) {
        merge->status = manifest_land(merge->db, &merge->info, NULL, 0, 0, 0, &merge->error);
    }
    merge->task.run = merge_landed;
    db_run(merge->db, INS_LANE_REQUEST, &merge->task);
}

/* ---- Beginning ---- */

static struct merge_item *take_item(struct merge *merge, struct island *island,
                                    uint64_t *out_bytes) {
    struct ins_db *db = merge->db;
    struct merge_item *item = pool_alloc_zero(&merge->pool, sizeof(*item));
    if (item == NULL) {
        return NULL;
    }
    item->island = island;
    item->scope = island->scope->key;
    item->incarnation = island->incarnation;
    item->schema = island->scope->schema == NULL ? NULL : schema_hold(island->scope->schema);
    item->directory = (island->flags & ISLAND_DIRECTORY) != 0;
    /* More come together when a recovery had to flush often. The oldest first: each has buffers of
     * up to 4 MiB in the jobs' share. */
    item->run_count = island->run_count < MERGE_RUNS_MAX ? island->run_count : MERGE_RUNS_MAX;
    for (uint32_t i = 0; i < item->run_count; i++) {
        item->runs[i] = island->runs[item->run_count - 1 - i];
        struct file_slot *file = files_at(&db->files, item->runs[i].file_slot);
        item->files[i] = file->info.file;
        file->pins++;
        *out_bytes += item->runs[i].size_64 * 64ull;
    }
    return item;
}

static int order_items(const void *left, const void *right) {
    const struct merge_item *a = *(struct merge_item *const *)left;
    const struct merge_item *b = *(struct merge_item *const *)right;
    if (a->scope != b->scope) {
        return a->scope < b->scope ? -1 : 1;
    }
    return (a->incarnation > b->incarnation) - (a->incarnation < b->incarnation);
}

static void take_items(struct merge *merge) {
    struct ins_db *db = merge->db;
    uint64_t bytes = 0;
    while (db->merge_first != NULL && bytes < MERGE_BYTES_MAX &&
           merge->item_count < MERGE_ISLANDS_MAX) {
        struct island *island = db->merge_first;
        struct merge_item *item =
            (island->flags & ISLAND_DROPPED) != 0 ? NULL : take_item(merge, island, &bytes);
        if (item == NULL && (island->flags & ISLAND_DROPPED) == 0) {
            return; /* no memory for more in one job */
        }
        db->merge_first = island->merge_next;
        db->merge_last = db->merge_first == NULL ? NULL : db->merge_last;
        island->merge_next = NULL;
        if (item != NULL) {
            merge->items[merge->item_count++] = item;
        } else {
            island->flags &= (uint8_t)~ISLAND_MERGING;
            island_unpin(&db->islands, island);
        }
    }
}

bool merge_begin(struct ins_db *db) {
    if (db->merge_first == NULL || db->writes_stopped) {
        return false;
    }
    struct merge *merge = arena_alloc_zero(db->arena, INS_MEM_JOB, sizeof(*merge));
    if (merge == NULL) {
        return false;
    }
    merge->db = db;
    pool_init(&merge->pool, db->arena, INS_MEM_JOB, 8u << 20);
    merge->items = pool_alloc(&merge->pool, MERGE_ISLANDS_MAX * sizeof(*merge->items));
    if (merge->items != NULL) {
        take_items(merge);
    }
    if (merge->items == NULL || merge->item_count == 0) {
        pool_fini(&merge->pool);
        arena_free(db->arena, INS_MEM_JOB, merge, sizeof(*merge));
        return false;
    }
    qsort(merge->items, merge->item_count, sizeof(*merge->items), order_items);
    db->merge = merge;
    merge->task.run = merge_run;
    db_run(db, INS_LANE_BACKGROUND, &merge->task);
    return true;
}
