/* Ranking candidates of a run, which a walk or a scan over codes has found, by their values. */
#include "base/assert.h"
#include "base/status.h"
#include "query/search_private.h"

#define RANK_CHUNKS 16u /* of values that are held at once */

bool search_candidate_room(struct search *search, uint32_t count) {
    if (search->candidate_room < count) {
        search->candidates = pool_alloc(search->pool, count * sizeof(*search->candidates));
        search->candidate_room = search->candidates == NULL ? 0 : count;
    }
    return search->candidate_room >= count;
}

/* The query as rows of the graph are: floats, of length one for a cosine. In the pool, or as it
 * is. NULL: no memory. */
const float *search_float_query(struct search *search) {
    const struct vector_shape *shape = &search->vector->shape;
    if (shape->datatype != INS_UINT8) {
        return search->flat.query;
    }
    if (search->graph_query == NULL) {
        search->graph_query = pool_alloc(search->pool, shape->dim * sizeof(float));
        if (search->graph_query == NULL) {
            return NULL;
        }
        vector_load(shape, search->flat.query, search->graph_query);
        if (search->vector->distance == INS_DISTANCE_COSINE) {
            kernel_normalize_f32(search->graph_query, shape->dim, search->graph_query);
        }
    }
    return search->graph_query;
}

/* The next candidates whose values lie in a few chunks; asks for all of those. */
static ins_status fill_batch(struct search *search, uint32_t next, uint32_t count,
                             struct batch *batch, const void **values, ins_error *error) {
    const struct extent_vector *vector = &search->run_vector;
    uint32_t chunks = 0, last = UINT32_MAX;
    const uint8_t *data = NULL;
    ins_status result = INS_OK;
    batch->gathered = true;
    batch->count = 0;
    for (uint32_t i = next; i < count && batch->count < FLAT_BATCH; i++) {
        uint32_t position = search->candidates[i], chunk = position / vector->rows_per_chunk;
        if (chunk != last) {
            if (++chunks > RANK_CHUNKS) {
                break;
            }
            ins_status status =
                reader_chunk(search->reader, search->run, vector->slot, chunk, &data, error);
            if (status != INS_OK && status != INS_AGAIN) {
                return status;
            }
            result = status == INS_AGAIN ? INS_AGAIN : result;
            last = chunk;
        }
        batch->positions[batch->count] = position;
        values[batch->count++] =
            data + (size_t)(position % vector->rows_per_chunk) * vector->row_bytes;
    }
    return result;
}

ins_status search_rank(struct search *search, uint32_t count, uint32_t *next, uint64_t *budget,
                       ins_error *error) {
    struct batch batch;
    const void *values[FLAT_BATCH];
    while (*budget > 0 && *next < count) {
        uint32_t items = 0;
        ins_status status = fill_batch(search, *next, count, &batch, values, error);
        if (status == INS_OK) {
            flat_distances_gather(&search->flat, values, batch.count, batch.distances);
            status = search_take_batch(search, &batch, &items, error);
        }
        if (status != INS_OK) {
            return status;
        }
        reader_release_chunks(search->reader, search->run, search->run_vector.slot, UINT32_MAX);
        search_count_rows(search, items);
        *next += items;
        uint64_t cost = batch.count + filter_rows_worth(search->reader);
        search->rows_scanned += cost;
        budget_charge(budget, cost);
    }
    return INS_OK;
}
