#include "query/search_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/id.h"
#include "base/status.h"
#include "query/explain.h"

static ins_status init_max_sim(struct search *search, uint32_t query_rows, ins_error *error) {
    float *best = pool_alloc(search->pool, query_rows * sizeof(*best));
    if (best == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a query of %u rows", query_rows);
    }
    max_sim_init(&search->max_sim, &search->flat, query_rows,
                 vector_query_bytes(&search->vector->shape), best);
    return INS_OK;
}

ins_status search_init(struct search *search, const ins_points_request *request,
                       const struct schema_vector *vector, const void *query, uint32_t query_rows,
                       const struct point_fields *fields, uint64_t row_bound, const ins_id *exclude,
                       struct pool *pool, struct json_parser *parser, ins_error *error) {
    uint64_t wanted = (uint64_t)request->limit + request->offset;
    uint64_t capacity = wanted < row_bound ? wanted : row_bound;
    capacity = capacity > 0 ? capacity : 1;
    *search = (struct search){.vector = vector,
                              .limit = request->limit,
                              .offset = request->offset,
                              .has_threshold = request->has_score_threshold,
                              .exact = request->exact,
                              .indexed_only = request->indexed_only,
                              .ignore_codes = request->ignore_codes,
                              .rough = request->rescore == INS_RESCORE_NO ||
                                       (request->rescore == INS_RESCORE_DEFAULT && vector->rough),
                              .oversampling = request->oversampling,
                              .graph_effort = request->graph_effort,
                              .graph_bytes_due = UINT64_MAX,
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
    if (hits_bytes >= INS_BLOCK_BYTES_MAX - 64 || heap_bytes + hits_bytes > pool->max_bytes) {
        return ins_fail(error, INS_INVALID,
                        "limit + offset is %llu: there is memory for fewer hits at once; page with "
                        "a filter or scroll",
                        (unsigned long long)wanted);
    }
    struct topk_hit *heap = pool_alloc(pool, heap_bytes);
    search->hits = pool_alloc(pool, hits_bytes);
    if (heap == NULL || search->hits == NULL) {
        return ins_fail_retry(error, INS_UNAVAILABLE, 1,
                              "the memory for requests under way has no room for %llu hits now",
                              (unsigned long long)wanted);
    }
    topk_init(&search->topk, heap, (uint32_t)capacity);
    return vector->shape.multi != 0 ? init_max_sim(search, query_rows, error) : INS_OK;
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
    search->value.open = false;
    plan_begin(&search->plan, reader, filter, tenant_path);
}

float search_bound(const struct search *search) {
    float bound = topk_bound(&search->topk);
    return search->has_threshold && search->threshold < bound ? search->threshold : bound;
}

void search_offer(struct search *search, float distance, const ins_id *id,
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

/* Next rows of the memtables that count and are whole; false when there are none left. */
static bool next_memrows(struct search *search, struct batch *batch, const void **vectors) {
    batch->count = 0;
    while (search->which < 2) {
        const struct memrow *row = search->next_row;
        for (; row != NULL && row->lsn <= search->reader->lsn && batch->count < FLAT_BATCH;
             row = row->island_next) {
            uint32_t dim;
            bool whole = row->kind == MEMROW_POINT;
            const void *vector =
                whole ? memrow_own_vector(row, search->vector->shape.id, &dim) : NULL;
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
    explain_memtables(search->reader);
    while (*budget > 0 && next_memrows(search, &batch, vectors)) {
        flat_distances_gather(&search->flat, vectors, batch.count, batch.distances);
        search_count_rows(search, batch.count);
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
                search_offer(search, batch.distances[at], &id, &batch.places[at]);
            }
        }
        uint64_t cost = batch.count + filter_rows_worth(search->reader);
        budget_charge(budget, cost);
        search->rows_scanned += cost;
    }
    return INS_OK;
}

/* ---- Patches ---- */

static void begin_patches(struct search *search) {
    const struct reader *reader = search->reader;
    bool any = false;
    for (int which = 0; which < 2; which++) {
        any |= reader->mem[which] != NULL && reader->mem[which]->patch_count > 0;
    }
    for (uint32_t run = 0; run < reader->run_count; run++) {
        any |= reader->runs[run].extent.patch_count > 0;
    }
    if (any) {
        trace_place(reader_trace(reader), TRACE_PATCHES, INS_LOOK_PATCHES, NULL, 0);
    }
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
        if (row.vector.data != NULL) {
            float distance;
            flat_distances_gather(&search->flat, &row.vector.data, 1, &distance);
            search_count_rows(search, 1);
            if (distance <= search_bound(search)) {
                search_offer(search, distance, &row.id, &row.place);
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
    const bool multi = search->vector->shape.multi != 0;
    *out_done = false;
    trace_turn(reader_trace(search->reader), INS_STAGE_RANK);
    if (search->stage == SEARCH_LOAD) {
        status = reader_load(search->reader, error);
        search->stage = status == INS_OK ? SEARCH_MEMTABLES : SEARCH_LOAD;
    }
    if (status == INS_OK && search->stage == SEARCH_MEMTABLES) {
        status = multi ? multi_memtables(search, &row_budget, error)
                       : scan_memtables(search, &row_budget, error);
        search->stage = search->which == 2 && status == INS_OK ? SEARCH_RUNS : SEARCH_MEMTABLES;
    }
    if (status == INS_OK && search->stage == SEARCH_RUNS) {
        status = search_runs(search, &row_budget, error);
        bool end = search->run == search->reader->run_count;
        search->stage = status == INS_OK && end ? SEARCH_PATCHES : SEARCH_RUNS;
        if (search->stage == SEARCH_PATCHES) {
            begin_patches(search);
        }
    }
    if (status == INS_OK && search->stage == SEARCH_PATCHES) {
        bool end;
        status = multi ? multi_patches(search, &row_budget, &end, error)
                       : scan_patches(search, &row_budget, &end, error);
        search->stage = status == INS_OK && end ? SEARCH_TAKE : SEARCH_PATCHES;
    }
    if (status == INS_OK && search->stage == SEARCH_TAKE) {
        trace_turn(reader_trace(search->reader), INS_STAGE_FETCH);
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
