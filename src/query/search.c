#include "query/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"

ins_status search_init(struct search *search, const ins_points_request *request,
                       const struct schema_vector *vector, const void *query,
                       const struct point_fields *fields, uint64_t row_bound, const ins_id *exclude,
                       struct pool *pool, struct json_parser *parser, ins_error *error) {
    uint64_t wanted = (uint64_t)request->limit + request->offset;
    uint64_t capacity = wanted < row_bound ? wanted : row_bound;
    capacity = capacity > 0 ? capacity : 1;
    *search = (struct search){.vector = vector,
                              .limit = request->limit,
                              .offset = request->offset,
                              .has_threshold = request->has_score_threshold,
                              .exclude = exclude,
                              .pool = pool,
                              .parser = parser,
                              .fields = fields,
                              .island = UINT32_MAX};
    flat_init(&search->flat, kernels_get(), vector->distance, (ins_datatype)vector->shape.datatype,
              vector->shape.dim, query);
    search->threshold = flat_distance_of(&search->flat, request->score_threshold);
    size_t heap_bytes = capacity * sizeof(struct topk_hit);
    size_t hits_bytes = (capacity + 1) * sizeof(struct search_hit);
    struct topk_hit *heap = NULL;
    if (hits_bytes < INS_BLOCK_BYTES_MAX - 64) {
        heap = pool_alloc(pool, heap_bytes);
        search->hits = pool_alloc(pool, hits_bytes);
    }
    if (heap == NULL || search->hits == NULL) {
        return ins_fail(error, INS_INVALID,
                        "limit + offset is %llu: there is memory for fewer hits at once; page with "
                        "a filter or scroll",
                        (unsigned long long)wanted);
    }
    topk_init(&search->topk, heap, (uint32_t)capacity);
    return INS_OK;
}

void search_begin_island(struct search *search, struct reader *reader, const struct filter *filter,
                         const struct payload_path *tenant_path) {
    search->reader = reader;
    search->filter = filter;
    search->tenant_path = tenant_path;
    search->island++;
    search->stage = SEARCH_LOAD;
    search->which = 0;
    search->next_row = reader->mem[0] != NULL ? reader->mem[0]->first : NULL;
    search->run = 0;
    search->in_run = false;
    plan_begin(&search->plan, reader, filter, tenant_path);
}

static float search_bound(const struct search *search) {
    float bound = topk_bound(&search->topk);
    return search->has_threshold && search->threshold < bound ? search->threshold : bound;
}

static void offer(struct search *search, float distance, const ins_id *id,
                  const struct place *place) {
    if (search->exclude != NULL && id_equal(id, search->exclude)) {
        return;
    }
    if (search->has_threshold && distance > search->threshold) {
        return;
    }
    bool fresh = search->hit_count <= search->topk.capacity && search->free_slot == 0;
    uint32_t slot = fresh ? search->hit_count : search->free_slot - 1;
    struct topk_hit evicted;
    bool was_full;
    struct topk_hit hit = {
        .distance = distance, .slot = slot, .key = id->is_uuid ? id->high : id->low};
    if (!topk_offer(&search->topk, hit, &evicted, &was_full)) {
        return;
    }
    search->hit_count += fresh;
    search->free_slot = was_full ? evicted.slot + 1 : 0;
    search->hits[slot] = (struct search_hit){.place = *place,
                                             .id = *id,
                                             .island = search->island,
                                             .scope = search->reader->island->scope->key};
}

/* ---- Memtables ---- */

struct batch {
    float distances[FLAT_BATCH];
    uint16_t selected[FLAT_BATCH];
    struct place places[FLAT_BATCH];
    ins_id ids[FLAT_BATCH]; /* of runs' rows */
    uint32_t count;
    /* Of runs. */
    bool gathered;                  /* items stand at `positions`, else one behind the other */
    uint32_t positions[FLAT_BATCH]; /* of the vector's values */
    bool sure[FLAT_BATCH];          /* places that pass the filter by its plan alone */
};

/* Next rows of the memtables that count and are whole; false when there are none left. */
static bool next_memrows(struct search *search, struct batch *batch, const void **vectors) {
    batch->count = 0;
    while (search->which < 2) {
        const struct memrow *row = search->next_row;
        for (; row != NULL && row->lsn <= search->reader->lsn && batch->count < FLAT_BATCH;
             row = row->island_next) {
            bool whole = row->kind == MEMROW_POINT;
            const void *vector = whole ? memrow_own_vector(row, search->vector->shape.id) : NULL;
            if (vector != NULL && reader_row_counts(search->reader, search->which, row)) {
                vectors[batch->count] = vector;
                batch->places[batch->count++] = (struct place){.row = row};
            }
        }
        search->next_row = row;
        if (batch->count == FLAT_BATCH) {
            return true;
        }
        search->which++;
        bool more = search->which < 2 && search->reader->mem[search->which] != NULL;
        search->next_row = more ? search->reader->mem[search->which]->first : NULL;
    }
    return batch->count > 0;
}

/* Memtable rows are in memory with their payload: nothing here waits. */
static ins_status scan_memtables(struct search *search, uint64_t *budget, ins_error *error) {
    struct batch batch;
    const void *vectors[FLAT_BATCH];
    while (*budget > 0 && next_memrows(search, &batch, vectors)) {
        flat_distances_gather(&search->flat, vectors, batch.count, batch.distances);
        uint32_t selected =
            flat_select(batch.distances, batch.count, search_bound(search), batch.selected);
        for (uint32_t i = 0; i < selected; i++) {
            uint32_t at = batch.selected[i];
            bool match = true;
            if (search->filter != NULL && batch.distances[at] <= search_bound(search)) {
                ins_status status =
                    place_matches(search->reader, &batch.places[at], search->filter,
                                  search->tenant_path, search->parser, &match, error);
                if (status != INS_OK) {
                    return status;
                }
            }
            if (match) {
                ins_id id = memrow_id(batch.places[at].row);
                offer(search, batch.distances[at], &id, &batch.places[at]);
            }
        }
        uint64_t cost = batch.count + filter_rows_worth(search->reader);
        budget_charge(budget, cost);
        search->rows_scanned += cost;
    }
    return INS_OK;
}

/* ---- Runs ---- */

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
        if (planned && !plan_may_pass(&search->plan, place.run_row)) {
            continue;
        }
        batch->ids[kept] = extent_id(extent, &ids, place.run_row);
        if (!reader_superseded(reader, run, &batch->ids[kept])) {
            batch->selected[kept] = (uint16_t)at;
            batch->sure[kept] = planned && plan_is_sure(&search->plan, place.run_row);
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

/* What is left of a batch when *brought of its kept rows are done: positions. */
static uint32_t done_before(const struct search *search, const struct batch *batch,
                            uint32_t brought) {
    return position_of(search, batch, batch->selected[brought]) - search->position;
}

/* One batch: distances, selection, newest, filter, offers. *out_done: positions gone through. */
static ins_status scan_batch(struct search *search, const struct span *span, struct batch *batch,
                             uint32_t *out_done, ins_error *error) {
    bool rows_first = search->plan.useful && !search->group_dense;
    *out_done = rows_first ? gather(search, span, batch) : scan(search, span, batch);
    uint32_t selected =
        flat_select(batch->distances, batch->count, search_bound(search), batch->selected);
    if (selected == 0) {
        return INS_OK;
    }
    uint32_t kept = 0;
    ins_status newest = keep_newest(search, batch, selected, &kept, error);
    if (newest != INS_OK) {
        return newest;
    }
    if (search->filter != NULL && filter_needs_vectors(search->filter)) {
        ins_status status = run_bring_vector_rows(search->reader, search->run, error);
        if (status != INS_OK) {
            return status;
        }
    }
    if (search->filter != NULL && filter_needs_payload(search->filter)) {
        uint32_t brought = kept;
        ins_status status = bring_payloads(search, batch, &brought, error);
        if (status != INS_OK) {
            return status;
        }
        *out_done = brought < kept ? done_before(search, batch, brought) : *out_done;
        kept = brought;
    }
    for (uint32_t i = 0; i < kept; i++) {
        float distance = batch->distances[batch->selected[i]];
        bool match = distance <= search_bound(search);
        if (match && search->filter != NULL && !batch->sure[i]) {
            ins_status status = place_matches(search->reader, &batch->places[i], search->filter,
                                              search->tenant_path, search->parser, &match, error);
            INS_ASSERT(status != INS_AGAIN);
            if (status != INS_OK) {
                return status;
            }
        }
        if (match) {
            offer(search, distance, &batch->ids[i], &batch->places[i]);
        }
    }
    struct place here = {.run = search->run};
    reader_trim(search->reader, &here);
    return INS_OK;
}

/* The chunk of the next value; of a planned run no more than its group of rows, whose verdict is
 * made. */
static ins_status open_span(struct search *search, struct span *out, uint64_t *cost,
                            ins_error *error) {
    const struct extent_vector *vector = &search->run_vector;
    uint32_t chunk = search->position / vector->rows_per_chunk;
    ins_status status =
        reader_chunk(search->reader, search->run, vector->slot, chunk, &out->data, error);
    if (status != INS_OK) {
        return status;
    }
    reader_release_chunks(search->reader, search->run, vector->slot, chunk);
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
    }
    return status;
}

static ins_status scan_run(struct search *search, uint64_t *budget, ins_error *error) {
    struct batch batch;
    while (*budget > 0 && search->position < search->run_vector.count) {
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
    /* A plan speaks of rows: of a vector that some lack, values stand elsewhere. */
    bool whole =
        status == INS_OK && search->has_vector && search->run_vector.rows_slot == SLOT_NONE;
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
    }
    return status;
}

static ins_status scan_runs(struct search *search, uint64_t *budget, ins_error *error) {
    while (*budget > 0 && search->run < search->reader->run_count) {
        ins_status status = search->in_run ? INS_OK : enter_run(search, error);
        if (status == INS_OK && search->has_vector) {
            status = scan_run(search, budget, error);
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

/* ---- Patches ---- */

static void begin_patches(struct search *search) {
    search->patches = (struct patches){.reader = search->reader,
                                       .shape = &search->vector->shape,
                                       .filter = search->filter,
                                       .tenant_path = search->tenant_path,
                                       .parser = search->parser,
                                       .plan = &search->plan};
    patches_begin(&search->patches);
}

static ins_status scan_patches(struct search *search, uint64_t *budget, bool *out_end,
                               ins_error *error) {
    *out_end = false;
    while (*budget > 0) {
        struct patched_row row;
        ins_status status = patches_next(&search->patches, &row, out_end, error);
        if (status != INS_OK || *out_end) {
            return status;
        }
        if (row.vector != NULL) {
            float distance;
            flat_distances_gather(&search->flat, &row.vector, 1, &distance);
            if (distance <= search_bound(search)) {
                offer(search, distance, &row.id, &row.place);
            }
            reader_trim(search->reader, &row.place);
        }
        uint64_t cost = PATCHES_ROW_COST + filter_rows_worth(search->reader);
        budget_charge(budget, cost);
        search->rows_scanned += cost;
    }
    return INS_OK;
}

/* ---- Answers ---- */

/* Copies what the answer needs of this island's hits, so that its view can be let go. */
static ins_status take_hits(struct search *search, ins_error *error) {
    ins_status result = INS_OK;
    uint32_t asked = 0; /* more at once would hold too much of the cache */
    for (uint32_t i = 0; i < search->topk.count && asked <= READER_CHUNKS_KEPT; i++) {
        struct search_hit *hit = &search->hits[search->topk.heap[i].slot];
        if (hit->taken || hit->island != search->island) {
            continue;
        }
        ins_status status = point_take(search->reader, &hit->place, search->tenant_path,
                                       search->fields, search->pool, &hit->point, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        hit->taken = status == INS_OK;
        asked += status == INS_AGAIN;
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

ins_status search_step(struct search *search, uint64_t row_budget, bool *out_done,
                       ins_error *error) {
    ins_status status = INS_OK;
    *out_done = false;
    if (search->stage == SEARCH_LOAD) {
        status = reader_load(search->reader, error);
        search->stage = status == INS_OK ? SEARCH_MEMTABLES : SEARCH_LOAD;
    }
    if (status == INS_OK && search->stage == SEARCH_MEMTABLES) {
        status = scan_memtables(search, &row_budget, error);
        search->stage = search->which == 2 && status == INS_OK ? SEARCH_RUNS : SEARCH_MEMTABLES;
    }
    if (status == INS_OK && search->stage == SEARCH_RUNS) {
        status = scan_runs(search, &row_budget, error);
        bool end = search->run == search->reader->run_count;
        search->stage = status == INS_OK && end ? SEARCH_PATCHES : SEARCH_RUNS;
        if (search->stage == SEARCH_PATCHES) {
            begin_patches(search);
        }
    }
    if (status == INS_OK && search->stage == SEARCH_PATCHES) {
        bool end;
        status = scan_patches(search, &row_budget, &end, error);
        search->stage = status == INS_OK && end ? SEARCH_TAKE : SEARCH_PATCHES;
    }
    if (status == INS_OK && search->stage == SEARCH_TAKE) {
        status = take_hits(search, error);
        *out_done = status == INS_OK;
    }
    return status;
}

static int order_by_id(const void *left, const void *right, void *hits_pointer) {
    const struct search_hit *hits = hits_pointer;
    const struct topk_hit *a = left, *b = right;
    const struct search_hit *first = &hits[a->slot], *second = &hits[b->slot];
    int order = id_compare(&first->id, &second->id);
    if (order == 0) {
        order = (first->scope > second->scope) - (first->scope < second->scope);
    }
    if (order != 0) {
        return order;
    }
    /* The newer version first: it is the one to keep. */
    uint64_t va = first->point.version, vb = second->point.version;
    return (va < vb) - (va > vb);
}

static int order_by_distance(const void *left, const void *right) {
    const struct topk_hit *a = left, *b = right;
    if (a->distance != b->distance) {
        return a->distance < b->distance ? -1 : 1;
    }
    return (a->key > b->key) - (a->key < b->key);
}

/* A point that moved between two islands while they were searched in turn may have been met twice:
 * its newer version counts. Of points with one id in several scopes the nearest does. */
static void drop_twins(struct search *search) {
    struct topk *topk = &search->topk;
    const struct search_hit *hits = search->hits;
    qsort_r(topk->heap, topk->count, sizeof(struct topk_hit), order_by_id, search->hits);
    const struct search_hit *before = NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < topk->count; i++) {
        const struct topk_hit hit = topk->heap[i];
        const struct search_hit *now = &hits[hit.slot];
        if (before == NULL || !id_equal(&now->id, &before->id)) {
            topk->heap[kept++] = hit;
        } else if (now->scope != before->scope && hit.distance < topk->heap[kept - 1].distance) {
            topk->heap[kept - 1] = hit;
        }
        before = now;
    }
    search->short_of_hits = kept < topk->count && topk->count == topk->capacity;
    topk->count = kept;
    qsort(topk->heap, kept, sizeof(struct topk_hit), order_by_distance); /* it is no heap now */
}

ins_status search_finish(struct search *search, ins_points *out_points, ins_error *error) {
    if (search->island != 0 && search->island != UINT32_MAX) {
        drop_twins(search);
    } else {
        topk_sort(&search->topk);
    }
    uint32_t begin = search->offset < search->topk.count ? search->offset : search->topk.count;
    uint32_t count = search->topk.count - begin;
    ins_point *points = pool_alloc(search->pool, (count + 1) * sizeof(ins_point));
    if (points == NULL) {
        return ins_fail(error, INS_FULL, "no memory for %u hits", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct topk_hit *hit = &search->topk.heap[begin + i];
        points[i] = search->hits[hit->slot].point;
        points[i].score = flat_score(&search->flat, hit->distance);
    }
    *out_points = (ins_points){.items = points, .count = count};
    return INS_OK;
}
