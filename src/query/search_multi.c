/* Searches near multivectors: every point's rows are compared with all rows of the query.
 *
 * Path: a point that counts and may pass is opened, its rows are compared piece by piece, as far as
 * the budget goes, and it is offered when all were; then the next one. What is under way is kept in
 * search->value, so that a step ends anywhere. Exact; search_multi_codes.c says which points of a
 * large run need not be compared. There are no graphs of multivectors. */
#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "query/explain.h"
#include "query/search_private.h"

/* What is charged is counted as rows that were looked at as well. */
static void charge(struct search *search, uint64_t *budget, uint64_t rows) {
    search->rows_scanned += rows;
    budget_charge(budget, rows);
}

static void open_value(struct search *search, const struct search_value *value) {
    search->value = *value;
    search->value.open = true;
    max_sim_begin(&search->max_sim);
}

/* True when `rows` [count] were compared, false when the budget is used up. */
static bool compare(struct search *search, const void *rows, uint32_t count, uint64_t *budget) {
    uint64_t before = *budget;
    bool all = max_sim_rows(&search->max_sim, rows, count, budget);
    search->rows_scanned += before - *budget;
    return all;
}

/* Of a value that was compared: the hit, if it is near enough and passes the filter. */
static ins_status offer_value(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_value *value = &search->value;
    float distance = max_sim_distance(&search->max_sim);
    bool match = distance <= search_bound(search);
    ins_status status = INS_OK;
    if (match && search->filter != NULL && !value->sure) {
        status = place_matches(search->reader, &value->place, search->filter, search->tenant_path,
                               search->parser, &match, error);
        charge(search, budget, filter_rows_worth(search->reader));
    }
    if (status != INS_OK) {
        return status;
    }
    if (match) {
        search_offer(search, distance, &value->id, &value->place);
    }
    value->open = false;
    search_count_rows(search, value->rows);
    reader_trim(search->reader, &value->place);
    return INS_OK;
}

/* The value lies in one piece: compares it and offers its point. *out_done false: the budget is
 * used up. */
static ins_status take_whole(struct search *search, uint64_t *budget, bool *out_done,
                             ins_error *error) {
    const struct search_value *value = &search->value;
    *out_done = compare(search, value->data, value->rows, budget);
    return *out_done ? offer_value(search, budget, error) : INS_OK;
}

/* ---- Memtables ---- */

/* The row at hand; NULL behind the last one of both memtables: search->which is 2. */
static const struct memrow *memrow_at_hand(struct search *search) {
    const struct memrow *row = search->next_row;
    while (search->which < 2 && (row == NULL || row->lsn > search->reader->lsn)) {
        search->which++;
        bool more = search->which < 2 && search->reader->mem[search->which] != NULL;
        row = more ? search->reader->mem[search->which]->first : NULL;
        search->next_row = row;
    }
    return row;
}

ins_status multi_memtables(struct search *search, uint64_t *budget, ins_error *error) {
    const struct memrow *row;
    const struct vector_shape *shape = &search->vector->shape;
    explain_memtables(search->reader);
    while (*budget > 0 && (row = memrow_at_hand(search)) != NULL) {
        uint32_t dim;
        bool whole = row->kind == MEMROW_POINT;
        const void *data = whole ? memrow_own_vector(row, shape->id, &dim) : NULL;
        if (!search->value.open && data != NULL &&
            reader_row_counts(search->reader, search->which, row)) {
            open_value(search, &(struct search_value){.place = {.row = row},
                                                      .id = memrow_id(row),
                                                      .data = data,
                                                      .rows = vector_row_count(shape, dim)});
        }
        bool done = true;
        ins_status status = search->value.open ? take_whole(search, budget, &done, error) : INS_OK;
        if (status != INS_OK) {
            return status;
        }
        search->next_row = done ? row->island_next : row;
        charge(search, budget, 1);
    }
    return INS_OK;
}

/* ---- Runs ---- */

ins_status multi_ask_plan(struct search *search, uint32_t row, uint64_t *budget, bool *out_may,
                          bool *out_sure, ins_error *error) {
    struct plan *plan = &search->plan;
    uint32_t group = row / ROW_GROUP;
    bool fresh = !plan->has_group || plan->group != group;
    ins_status status = plan_group(plan, group, error);
    if (status == INS_OK) {
        *out_may = plan_may_pass(plan, row);
        *out_sure = plan_is_sure(plan, row);
        charge(search, budget, fresh ? plan_group_cost(plan) : 0);
    }
    return status;
}

/* The next point of the run: opened when it counts and may pass, else passed over. */
static ins_status next_point(struct search *search, uint64_t *budget, ins_error *error) {
    struct reader *reader = search->reader;
    const struct extent_vector *vector = &search->run_vector;
    uint32_t position = search->position, row, count;
    ins_status status = reader_vector_row(reader, search->run, vector, position, &row, error);
    if (status == INS_OK) {
        status = reader_vector_run(reader, search->run, vector, position, &count, error);
    }
    bool may = true, sure = false;
    if (status == INS_OK && search->plan.useful) {
        status = multi_ask_plan(search, row, budget, &may, &sure, error);
    }
    if (status != INS_OK) {
        return status;
    }
    struct chunks ids = reader_ids(reader, search->run);
    struct search_value value = {.sure = sure,
                                 .place = {.run = search->run, .run_row = row},
                                 .id = extent_id(&reader->runs[search->run].extent, &ids, row),
                                 .rows = count,
                                 .at = position,
                                 .end = position + count};
    charge(search, budget, 1);
    if (may && !reader_superseded(reader, search->run, &value.id)) {
        open_value(search, &value);
    } else {
        search->position = value.end;
    }
    return INS_OK;
}

/* Those of the open value's rows that lie in the next chunk. */
static ins_status compare_chunk(struct search *search, uint64_t *budget, ins_error *error) {
    struct search_value *value = &search->value;
    const struct extent_vector *vector = &search->run_vector;
    uint32_t chunk = value->at / vector->rows_per_chunk,
             in_chunk = value->at % vector->rows_per_chunk;
    uint32_t left = value->end - value->at, room = vector->rows_per_chunk - in_chunk;
    uint32_t count = left < room ? left : room;
    const uint8_t *data;
    ins_status status =
        reader_chunk(search->reader, search->run, vector->slot, chunk, &data, error);
    if (status != INS_OK) {
        return status;
    }
    reader_release_chunks(search->reader, search->run, vector->slot, chunk);
    if (compare(search, data + (size_t)in_chunk * vector->row_bytes, count, budget)) {
        value->at += count;
    }
    return INS_OK;
}

ins_status multi_rank(struct search *search, const struct multi_point *point, uint64_t *budget,
                      bool *out_done, ins_error *error) {
    struct search_value *value = &search->value;
    struct chunks ids = reader_ids(search->reader, search->run);
    *out_done = false;
    if (!value->open) {
        struct search_value opened = {
            .sure = point->sure,
            .place = {.run = search->run, .run_row = point->row},
            .id = extent_id(&search->reader->runs[search->run].extent, &ids, point->row),
            .rows = point->end - point->at,
            .at = point->at,
            .end = point->end};
        if (reader_superseded(search->reader, search->run, &opened.id)) {
            *out_done = true;
            return INS_OK;
        }
        open_value(search, &opened);
    }
    ins_status status = INS_OK;
    while (status == INS_OK && *budget > 0 && value->at < value->end) {
        status = compare_chunk(search, budget, error);
    }
    if (status == INS_OK && value->at == value->end) {
        status = offer_value(search, budget, error);
        *out_done = status == INS_OK;
    }
    return status;
}

ins_status multi_run(struct search *search, uint64_t *budget, ins_error *error) {
    const struct search_value *value = &search->value;
    ins_status status = INS_OK;
    while (status == INS_OK && *budget > 0 && search->position < search->run_vector.count) {
        if (!value->open) {
            status = next_point(search, budget, error);
        } else if (value->at < value->end) {
            status = compare_chunk(search, budget, error);
        } else {
            status = offer_value(search, budget, error);
            search->position = status == INS_OK ? value->end : search->position;
        }
    }
    return status;
}

/* ---- Patches ---- */

ins_status multi_patches(struct search *search, uint64_t *budget, bool *out_end, ins_error *error) {
    *out_end = false;
    while (*budget > 0) {
        if (!search->value.open) {
            struct patched_row row;
            ins_status status = patches_next(&search->patches, &row, out_end, error);
            if (status != INS_OK || *out_end) {
                return status;
            }
            charge(search, budget, PATCHES_ROW_COST + filter_rows_worth(search->reader));
            if (row.vector.data == NULL) {
                continue;
            }
            /* The filter was asked already. */
            open_value(search,
                       &(struct search_value){
                           .sure = true,
                           .place = row.place,
                           .id = row.id,
                           .data = row.vector.data,
                           .rows = vector_row_count(&search->vector->shape, row.vector.shape.dim)});
        }
        bool done;
        ins_status status = take_whole(search, budget, &done, error);
        if (status != INS_OK) {
            return status;
        }
    }
    return INS_OK;
}
