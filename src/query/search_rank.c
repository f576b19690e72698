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

/* Pieces of the chunk of candidate `i`, from that one on, that are wanted: what reader_value is
 * told, so that a chunk of which much is wanted is brought at once. */
static uint32_t pieces_wanted(const struct search *search, uint32_t i, uint32_t count) {
    const struct extent_vector *vector = &search->run_vector;
    uint32_t chunk = search->candidates[i] / vector->rows_per_chunk, last = UINT32_MAX, pieces = 0;
    for (; i < count && search->candidates[i] / vector->rows_per_chunk == chunk; i++) {
        uint32_t piece =
            reader_value_piece(search->reader, search->run, vector, search->candidates[i]);
        pieces += piece != last;
        last = piece;
    }
    return pieces;
}

/* Where values of one chunk of the run come from. */
struct source {
    uint32_t chunk, wanted;
    const uint8_t *data; /* of the whole chunk, when it is at hand */
    bool whole;          /* it is, or will be */
};

static ins_status enter_chunk(struct search *search, uint32_t i, uint32_t count,
                              struct source *source, ins_error *error) {
    uint32_t chunk = search->candidates[i] / search->run_vector.rows_per_chunk;
    *source = (struct source){.chunk = chunk};
    ins_status status = reader_chunk_at_hand(search->reader, search->run, search->run_vector.slot,
                                             chunk, &source->data, error);
    source->whole = status == INS_OK;
    if (status == INS_AGAIN) {
        source->data = NULL;
        source->wanted = pieces_wanted(search, i, count);
        return INS_OK;
    }
    return status;
}

/* Value number `position`, of the source's chunk. */
static ins_status value_of(struct search *search, uint32_t position, struct source *source,
                           const void **out, ins_error *error) {
    const struct extent_vector *vector = &search->run_vector;
    if (source->data != NULL) {
        *out = source->data + (size_t)(position % vector->rows_per_chunk) * vector->row_bytes;
        return INS_OK;
    }
    const uint8_t *data;
    bool whole;
    ins_status status = reader_value(search->reader, search->run, vector, position, source->wanted,
                                     &data, &whole, error);
    source->wanted = 0;
    source->whole = source->whole || whole;
    *out = data;
    return status;
}

/* The next candidates whose values lie in a few chunks, or in pieces of many; asks for all of those
 * before the first wait. */
static ins_status fill_batch(struct search *search, uint32_t next, uint32_t count,
                             struct batch *batch, const void **values, ins_error *error) {
    struct source source = {.chunk = UINT32_MAX};
    uint32_t whole_chunks = 0;
    ins_status result = INS_OK;
    batch->gathered = true;
    batch->count = 0;
    for (uint32_t i = next; i < count && batch->count < FLAT_BATCH; i++) {
        uint32_t position = search->candidates[i];
        ins_status status = INS_OK;
        if (position / search->run_vector.rows_per_chunk != source.chunk) {
            whole_chunks += source.whole;
            if (whole_chunks == RANK_CHUNKS) {
                break;
            }
            status = enter_chunk(search, i, count, &source, error);
        }
        if (status == INS_OK) {
            status = value_of(search, position, &source, &values[batch->count], error);
        }
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
        batch->positions[batch->count++] = position;
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
        reader_release_pieces(search->reader);
        search_count_rows(search, items);
        *next += items;
        uint64_t cost = batch.count + filter_rows_worth(search->reader);
        search->rows_scanned += cost;
        budget_charge(budget, cost);
    }
    return INS_OK;
}
