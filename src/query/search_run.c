/* Scanning runs: batches of values, by order or picked by the plan of the filter. */
#include "base/assert.h"
#include "base/status.h"
#include "query/explain.h"
#include "query/search_private.h"

static uint32_t position_of(const struct search *search, const struct batch *batch, uint32_t at) {
    return batch->gathered ? batch->positions[at] : search->position + at;
}

/* Of the selected rows those that may pass and whose id no newer source has; their places in
 * batch->places. */
static ins_status keep_newest(struct search *search, struct batch *batch, uint32_t selected,
                              uint32_t *out_kept, ins_error *error) {
    struct reader *reader = search->reader;
    const struct extent_vector *vector = &search->run_vector;
    const uint32_t run = search->run;
    const bool every_row = vector->rows_slot == SLOT_NONE;
    const struct extent *extent = &reader->runs[run].extent;
    struct chunks ids = reader_ids(reader, run);
    uint32_t kept = 0;
    batch->superseded = 0;
    for (uint32_t i = 0; i < selected; i++) {
        uint32_t at = batch->selected[i];
        uint32_t position = position_of(search, batch, at);
        struct place place = {.run = run, .run_row = position};
        if (!every_row) {
            ins_status status =
                reader_vector_row(reader, run, vector, position, &place.run_row, error);
            if (status != INS_OK) {
                return status;
            }
        }
        bool planned = search->plan.useful;
        if (planned && !search_may_pass(search, place.run_row)) {
            continue;
        }
        batch->ids[kept] = extent_id(extent, &ids, place.run_row);
        bool newest = !reader_superseded(reader, run, &batch->ids[kept]);
        batch->superseded += !newest;
        if (newest) {
            batch->selected[kept] = (uint16_t)at;
            batch->sure[kept] = planned && search_is_sure(search, place.run_row);
            batch->places[kept++] = place;
        }
    }
    *out_kept = kept;
    return INS_OK;
}

/* Brings the payloads of the places, so that the pass that follows does not wait. Those that would
 * hold too much of the cache at once are left for the next batch: *kept falls. */
static ins_status bring_payloads(struct search *search, const struct batch *batch, uint32_t *kept,
                                 ins_error *error) {
    const struct reader_chunks *held = &search->reader->runs[search->run].sections[SECTION_PAYLOAD];
    ins_status result = INS_OK;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < *kept; i++) {
        if (i > 0 && held->pinned + asked > READER_CHUNKS_KEPT) {
            *kept = i;
            break;
        }
        ins_text payload;
        if (batch->sure[i]) {
            continue;
        }
        ins_status status = reader_payload(search->reader, &batch->places[i], &payload, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        asked += status == INS_AGAIN;
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

/* Rows in the next batch. While the heap is not full every row passes the bound and must be
 * checked, so the first batch is hardly larger than the heap: it finds the bound for the rest. */
static uint32_t batch_rows(const struct search *search, uint32_t left) {
    uint32_t missing = search->topk.capacity - search->topk.count;
    uint32_t most = missing == 0 ? FLAT_BATCH : missing < 16 ? 16 : missing;
    most = most < FLAT_BATCH ? most : FLAT_BATCH;
    return left < most ? left : most;
}

/* The values that a batch is of: a part of one chunk, and of one group of rows where the filter is
 * planned. */
struct span {
    const uint8_t *data; /* of the chunk */
    uint32_t first,
        end; /* positions: of the chunk's first value; behind the last one of the span */
};

static const void *value_at(const struct search *search, const struct span *span,
                            uint32_t position) {
    size_t offset = (size_t)(position - span->first) * search->run_vector.row_bytes;
    return span->data + offset;
}

/* Rows-first: only those that may pass. Returns how many positions were gone through. */
static uint32_t gather(struct search *search, const struct span *span, struct batch *batch) {
    const void *vectors[FLAT_BATCH];
    uint32_t most = batch_rows(search, FLAT_BATCH);
    uint32_t position = plan_next(&search->plan, search->position, span->end);
    batch->gathered = true;
    batch->count = 0;
    while (position < span->end && batch->count < most) {
        batch->positions[batch->count] = position;
        vectors[batch->count++] = value_at(search, span, position);
        position = plan_next(&search->plan, position + 1, span->end);
    }
    flat_distances_gather(&search->flat, vectors, batch->count, batch->distances);
    return position - search->position;
}

static uint32_t scan(struct search *search, const struct span *span, struct batch *batch) {
    batch->gathered = false;
    batch->count = batch_rows(search, span->end - search->position);
    flat_distances(&search->flat, value_at(search, span, search->position), search->flat.dim,
                   batch->count, batch->distances);
    return batch->count;
}

/* Items before the first one that is not brought. */
static uint32_t items_before(const struct batch *batch, uint32_t brought, uint32_t kept) {
    return brought < kept ? batch->selected[brought] : batch->count;
}

/* Without a filter nothing is waited for: each row is looked at under the bound that those before
 * it left. */
static void offer_newest(struct search *search, struct batch *batch, uint32_t selected) {
    struct reader *reader = search->reader;
    const struct extent *extent = &reader->runs[search->run].extent;
    const struct chunks ids = reader_ids(reader, search->run);
    float bound = search_bound(search);
    batch->superseded = 0;
    for (uint32_t i = 0; i < selected; i++) {
        uint32_t at = batch->selected[i];
        if (batch->distances[at] > bound) {
            continue;
        }
        struct place place = {.run = search->run, .run_row = position_of(search, batch, at)};
        ins_id id = extent_id(extent, &ids, place.run_row);
        if (reader_superseded(reader, search->run, &id)) {
            batch->superseded++;
        } else {
            search_offer(search, batch->distances[at], &id, &place);
            bound = search_bound(search);
        }
    }
}

static void batch_taken(struct search *search, const struct batch *batch) {
    struct place here = {.run = search->run};
    TRACE_COUNT(reader_trace(search->reader), superseded, batch->superseded);
    reader_trim(search->reader, &here);
}

ins_status search_take_batch(struct search *search, struct batch *batch, uint32_t *out_items,
                             ins_error *error) {
    *out_items = batch->count;
    uint32_t selected =
        flat_select(batch->distances, batch->count, search_bound(search), batch->selected);
    if (selected == 0) {
        return INS_OK;
    }
    if (search->filter == NULL && search->run_vector.rows_slot == SLOT_NONE) {
        offer_newest(search, batch, selected);
        batch_taken(search, batch);
        return INS_OK;
    }
    uint32_t kept = 0;
    ins_status status = keep_newest(search, batch, selected, &kept, error);
    const struct filter *filter = search->filter;
    if (status == INS_OK && filter != NULL && filter_needs_vectors(filter)) {
        status = run_bring_vector_rows(search->reader, search->run, error);
    }
    if (status == INS_OK && filter != NULL && filter_needs_payload(filter)) {
        uint32_t brought = kept;
        status = bring_payloads(search, batch, &brought, error);
        *out_items = items_before(batch, brought, kept);
        kept = brought;
    }
    for (uint32_t i = 0; i < kept && status == INS_OK; i++) {
        float distance = batch->distances[batch->selected[i]];
        bool match = distance <= search_bound(search);
        if (match && filter != NULL && !batch->sure[i]) {
            status = place_matches(search->reader, &batch->places[i], filter, search->tenant_path,
                                   search->parser, &match, error);
            INS_ASSERT(status != INS_AGAIN);
        }
        if (match && status == INS_OK) {
            search_offer(search, distance, &batch->ids[i], &batch->places[i]);
        }
    }
    if (status == INS_OK) {
        batch_taken(search, batch);
    }
    return status;
}

/* One batch of the span. *out_done: positions gone through. */
static ins_status scan_batch(struct search *search, const struct span *span, struct batch *batch,
                             uint32_t *out_done, ins_error *error) {
    bool rows_first = search->plan.useful && !search->group_dense;
    uint32_t items, gone = rows_first ? gather(search, span, batch) : scan(search, span, batch);
    if (rows_first) {
        trace_look(reader_trace(search->reader), INS_LOOK_PICKS, NULL);
    }
    ins_status status = search_take_batch(search, batch, &items, error);
    search_count_rows(search, status == INS_OK ? items : 0);
    *out_done = items < batch->count ? position_of(search, batch, items) - search->position : gone;
    return status;
}

/* The chunk of the next value; of a planned run no more than its group of rows, whose verdict is
 * made, and no chunk where that lets none pass. */
static ins_status open_span(struct search *search, struct span *out, uint64_t *cost,
                            ins_error *error) {
    const struct extent_vector *vector = &search->run_vector;
    uint32_t chunk = search->position / vector->rows_per_chunk;
    ins_status status = INS_OK;
    out->data = NULL;
    out->first = chunk * vector->rows_per_chunk;
    uint32_t left = vector->count - out->first;
    out->end = out->first + (left < vector->rows_per_chunk ? left : vector->rows_per_chunk);
    if (search->plan.useful) {
        uint32_t group = search->position / ROW_GROUP;
        uint64_t group_end = ((uint64_t)group + 1) * ROW_GROUP;
        bool fresh = !search->plan.has_group || search->plan.group != group;
        out->end = out->end < group_end ? out->end : (uint32_t)group_end;
        status = plan_group(&search->plan, group, error);
        if (status == INS_OK && fresh) {
            *cost += plan_group_cost(&search->plan);
            /* When most rows may pass, reading them in order is cheaper than picking. */
            search->group_dense = plan_count(&search->plan) > ROW_GROUP / 4 * 3;
        }
        if (status != INS_OK || plan_next(&search->plan, search->position, out->end) == out->end) {
            return status;
        }
    }
    status = reader_chunk(search->reader, search->run, vector->slot, chunk, &out->data, error);
    if (status == INS_OK) {
        reader_release_chunks(search->reader, search->run, vector->slot, chunk);
    }
    return status;
}

ins_status search_scan_to(struct search *search, uint32_t end, uint64_t *budget, ins_error *error) {
    struct batch batch;
    while (*budget > 0 && search->position < end) {
        struct span span;
        uint64_t cost = 0;
        uint32_t done = 0;
        ins_status status = open_span(search, &span, &cost, error);
        if (status == INS_OK) {
            status = scan_batch(search, &span, &batch, &done, error);
        }
        if (status != INS_OK) {
            return status;
        }
        search->position += done;
        cost += batch.count + filter_rows_worth(search->reader);
        search->rows_scanned += cost;
        budget_charge(budget, cost);
    }
    return INS_OK;
}

/* Finds the vector's sections of the run. */
static ins_status enter_run(struct search *search, ins_error *error) {
    ins_status status = reader_run_vector(search->reader, search->run, &search->vector->shape,
                                          &search->run_vector, &search->has_vector, error);
    /* A plan speaks of rows: of a vector that some lack, values stand elsewhere. Those of
     * multivectors are looked up anyway. */
    bool whole = status == INS_OK && search->has_vector &&
                 (search->run_vector.rows_slot == SLOT_NONE || search->run_vector.multi);
    search->plan.useful = false;
    if (whole) {
        status = plan_enter(&search->plan, search->run, error);
    }
    if (status == INS_OK && search->has_vector) {
        reader_find_overlaps(search->reader, search->run);
    }
    if (status == INS_OK) {
        search->in_run = true;
        search->position = 0;
        search->has_vector = search->has_vector && !graph_passes_over(search);
        codes_enter(search);
        graph_enter(search);
        explain_run(search);
    }
    return status;
}

ins_status search_runs(struct search *search, uint64_t *budget, ins_error *error) {
    while (*budget > 0 && search->run < search->reader->run_count) {
        ins_status status = search->in_run ? INS_OK : enter_run(search, error);
        if (status == INS_OK && search->graph.on) {
            status = graph_run(search, budget, error);
            if (status == INS_OK && search->graph.on) {
                return INS_OK; /* the budget is used up */
            }
        }
        if (status == INS_OK && search->has_vector && search->codes.on &&
            search->position < search->run_vector.count) {
            status = search->run_vector.multi ? multi_codes_run(search, budget, error)
                                              : codes_run(search, budget, error);
            if (status == INS_OK && search->codes.on) {
                return INS_OK; /* the same */
            }
        }
        if (status == INS_OK && search->has_vector) {
            status = search->run_vector.multi
                         ? multi_run(search, budget, error)
                         : search_scan_to(search, search->run_vector.count, budget, error);
        }
        if (status != INS_OK) {
            return status;
        }
        if (search->has_vector) {
            if (search->position < search->run_vector.count) {
                return INS_OK; /* the budget is used up */
            }
            reader_release_chunks(search->reader, search->run, search->run_vector.slot, UINT32_MAX);
        }
        search->run++;
        search->in_run = false;
    }
    return INS_OK;
}
