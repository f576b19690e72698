/* Many runs of one island as one stream of rows. Background lane. */
#include "base/id.h"
#include "base/status.h"
#include "engine/flush.h"
#include "engine/merge_private.h"

#define YIELD_ROWS 256u /* a flush may go before the rest: some ms of a merge */

static void take_shapes(struct merge_rows *rows) {
    const struct merge_item *item = rows->item;
    rows->shape_count = item->schema == NULL || item->directory ? 0 : item->schema->vector_count;
    for (uint32_t i = 0; i < rows->shape_count; i++) {
        rows->shapes[i] = item->schema->vectors[i].shape;
    }
}

ins_status merge_rows_open(struct merge_rows *rows, const struct merge_item *item,
                           struct merge_window window, ins_error *error) {
    struct ins_db *db = rows->db;
    rows->item = item;
    rows->input_count = 0;
    rows->rows_in = 0;
    rows->sparse = 0;
    take_shapes(rows);
    rows->version_low = UINT64_MAX;
    rows->version_high = 0;
    rows->keep_tombstones = window.first > 0;
    rows->whole_below = window.first == 0;
    for (uint32_t i = window.first + window.count; i > window.first; i--) {
        const struct run *run = &item->runs[i - 1];
        struct merge_input *input = &rows->inputs[rows->input_count];
        if (run->size_64 == 0) {
            continue; /* an entry without bytes is the oldest run: it covers all from 0 on */
        }
        ins_status status = row_stream_open(db->runtime->store, db->arena, rows->ahead, run,
                                            item->files[i - 1], item->incarnation, rows->shapes,
                                            rows->shape_count, &input->stream, error);
        if (status != INS_OK) {
            return status;
        }
        rows->input_count++;
        rows->sparse |= row_stream_sparse(input->stream);
        rows->rows_in += (uint64_t)run->rows + run->tombstones;
        const struct extent *extent = row_stream_extent(input->stream);
        if (extent->version_low < rows->version_low) {
            rows->version_low = extent->version_low;
        }
        if (extent->version_high > rows->version_high) {
            rows->version_high = extent->version_high;
        }
    }
    if (window.first == 0) {
        rows->version_low = 0; /* in place of everything older, entries without bytes too */
    }
    if (window.first == 0 && item->incarnation == SYSTEM_INCARNATION) {
        return merge_catalog_sort(rows, error);
    }
    return INS_OK;
}

void merge_rows_close(struct merge_rows *rows) {
    for (uint32_t i = 0; i < rows->input_count; i++) {
        row_stream_close(rows->inputs[i].stream);
    }
    rows->input_count = 0;
    key_list_free(&rows->garbage, rows->db->arena);
}

static ins_status input_next(struct merge_input *input, ins_error *error) {
    return row_stream_next(input->stream, &input->row, &input->end, error);
}

ins_status merge_rows_rewind(void *context, enum extent_need need, uint32_t vector,
                             ins_error *error) {
    struct merge_rows *rows = context;
    rows->taken = UINT32_MAX;
    for (uint32_t i = 0; i < rows->input_count; i++) {
        row_stream_rewind(rows->inputs[i].stream, need, vector);
        ins_status status = input_next(&rows->inputs[i], error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}

/* Goes past the id that was given out last, in every input. */
static ins_status pass_taken(struct merge_rows *rows, const ins_id *id, ins_error *error) {
    for (uint32_t i = 0; i < rows->input_count; i++) {
        struct merge_input *input = &rows->inputs[i];
        if (!input->end && id_equal(&input->row.id, id)) {
            ins_status status = input_next(input, error);
            if (status != INS_OK) {
                return status;
            }
        }
    }
    return INS_OK;
}

/* What a patch inherits, from the older inputs: they stand at its id or beyond. */
static ins_status inherit(const struct merge_rows *rows, uint32_t newest, struct extent_row *row,
                          ins_error *error) {
    for (uint32_t i = newest + 1; row->patch && i < rows->input_count; i++) {
        const struct merge_input *older = &rows->inputs[i];
        if (older->end || !id_equal(&older->row.id, &row->id)) {
            continue;
        }
        if (older->row.tombstone) {
            break;
        }
        row->patch = older->row.patch;
        row->present |= older->row.present;
        if (row->vector_rows == 0) {
            row->vector = older->row.vector;
            row->vector_rows = older->row.vector_rows;
        }
    }
    if (!row->patch || !rows->whole_below) {
        return INS_OK;
    }
    char id[ID_TEXT_MAX];
    (void)id_format(&row->id, id);
    return ins_fail(error, INS_CORRUPT,
                    "island %llu: point %s is a patch without the row that has its vectors",
                    (unsigned long long)rows->item->incarnation, id);
}

ins_status merge_rows_next(void *context, struct extent_row *out, bool *out_end, ins_error *error) {
    struct merge_rows *rows = context;
    if (rows->yields++ % YIELD_ROWS == 0) {
        flush_yield(rows->db);
    }
    for (;;) {
        if (rows->taken != UINT32_MAX) {
            ins_id id = rows->inputs[rows->taken].row.id;
            ins_status status = pass_taken(rows, &id, error);
            if (status != INS_OK) {
                return status;
            }
        }
        /* Inputs stand newest first, so of equal ids the first one found wins. */
        uint32_t least = UINT32_MAX;
        for (uint32_t i = 0; i < rows->input_count; i++) {
            if (!rows->inputs[i].end &&
                (least == UINT32_MAX ||
                 id_compare(&rows->inputs[i].row.id, &rows->inputs[least].row.id) < 0)) {
                least = i;
            }
        }
        rows->taken = least;
        *out_end = least == UINT32_MAX;
        if (*out_end) {
            return INS_OK;
        }
        if (rows->garbage.count > 0 &&
            key_list_has(&rows->garbage, rows->inputs[least].row.id.low)) {
            continue;
        }
        if (rows->keep_tombstones || !rows->inputs[least].row.tombstone) {
            *out = rows->inputs[least].row;
            return out->patch ? inherit(rows, least, out, error) : INS_OK;
        }
    }
}

struct extent_source merge_rows_source(struct merge_rows *rows, struct field_columns *columns) {
    const struct merge_item *item = rows->item;
    field_columns_of(columns, item->directory ? NULL : item->schema);
    uint32_t scan_count = scan_codes_wanted(rows->db, item->schema, item->incarnation, rows->shapes,
                                            rows->shape_count, rows->scans);
    return (struct extent_source){.context = rows,
                                  .scope = item->scope,
                                  .incarnation = item->incarnation,
                                  .version_low = rows->version_low,
                                  .version_high = rows->version_high,
                                  .vectors = rows->shapes,
                                  .vector_count = rows->shape_count,
                                  .columns = columns->tables,
                                  .column_table_count = columns->table_count,
                                  .scans = rows->scans,
                                  .scan_count = scan_count,
                                  .piece_bytes_min = rows->db->options.piece_bytes_min,
                                  .sparse = rows->sparse,
                                  .directory = item->directory,
                                  .rewind = merge_rows_rewind,
                                  .next = merge_rows_next};
}
