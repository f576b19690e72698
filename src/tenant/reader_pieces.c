/* Single values of large runs: a page of them, or the chunk around it.
 *
 * A search ranks some hundred rows whose values lie all over a run, and a read by id wants one.
 * Bringing whole chunks for them would read nearly the whole run, and push out what others need.
 * Where the chunk is at hand it is used. Else the piece with the value is read alone, verified by
 * its own hash, together with all others that the step asks for. Chunks that are asked for often
 * are brought whole after all. */
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "tenant/reader_private.h"

static bool pieces_of(const struct reader *reader, uint32_t run, const struct extent_vector *vector,
                      struct extent_pieces *out) {
    const struct extent *extent = &reader->runs[run].extent;
    return !extent->small && !reader->runs[run].no_pieces && extent_pieces(extent, vector, out);
}

static uint32_t piece_of(const struct extent_vector *vector, const struct extent_pieces *pieces,
                         uint32_t position) {
    uint32_t chunk = position / vector->rows_per_chunk;
    uint32_t begin = position % vector->rows_per_chunk * vector->row_bytes;
    return chunk * pieces->per_chunk + begin / pieces->bytes;
}

uint32_t reader_value_piece(const struct reader *reader, uint32_t run,
                            const struct extent_vector *vector, uint32_t position) {
    struct extent_pieces pieces;
    return pieces_of(reader, run, vector, &pieces) ? piece_of(vector, &pieces, position)
                                                   : position / vector->rows_per_chunk;
}

/* ---- What is pinned ---- */

static int order_of(const struct reader_piece *held, uint32_t run, uint32_t slot, uint32_t piece) {
    uint32_t left[3] = {held->run, held->slot, held->piece}, right[3] = {run, slot, piece};
    for (int i = 0; i < 3; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The place of the piece among those held, or where it belongs. */
static uint32_t place_of(const struct reader *reader, uint32_t run, uint32_t slot, uint32_t piece) {
    uint32_t begin = 0, end = reader->piece_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (order_of(&reader->pieces[middle], run, slot, piece) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

static const uint8_t *held(const struct reader *reader, uint32_t run, uint32_t slot,
                           uint32_t piece) {
    uint32_t at = place_of(reader, run, slot, piece);
    bool found = at < reader->piece_count && order_of(&reader->pieces[at], run, slot, piece) == 0;
    return found ? reader->pieces[at].data : NULL;
}

/* False: no more of them can be held. */
static bool room_for_one(struct reader *reader) {
    if (reader->pieces == NULL) {
        reader->pieces = pool_alloc(&reader->pool, READER_PIECES_MAX * sizeof(struct reader_piece));
    }
    return reader->pieces != NULL && reader->piece_count < READER_PIECES_MAX;
}

static void hold(struct reader *reader, const struct reader_piece *piece) {
    uint32_t at = place_of(reader, piece->run, piece->slot, piece->piece);
    memmove(&reader->pieces[at + 1], &reader->pieces[at],
            (reader->piece_count - at) * sizeof(struct reader_piece));
    reader->pieces[at] = *piece;
    reader->piece_count++;
    reader->pinned_more = true;
}

void reader_release_pieces(struct reader *reader) {
    for (uint32_t i = 0; i < reader->piece_count; i++) {
        cache_unpin(reader->context->cache, reader->pieces[i].block);
    }
    reader->piece_count = 0;
}

/* ---- Bringing ---- */

/* Pins the piece, which nobody holds here; *out_whole: its chunk is to be pinned instead. */
static ins_status pin_piece(struct reader *reader, uint32_t run, const struct extent_vector *vector,
                            const struct extent_pieces *pieces, uint32_t number, uint32_t wanted,
                            const uint8_t **out, bool *out_whole, ins_error *error) {
    struct cache *cache = reader->context->cache;
    enum cache_class class = reader_keeps(reader) ? CACHE_KEPT : CACHE_RAW;
    const struct extent *extent = &reader->runs[run].extent;
    uint32_t per_chunk = extent_slot_section(extent, pieces->slot).chunk_bytes / 8;
    const uint8_t *hash;
    ins_status status = reader_chunk(reader, run, pieces->slot, number / per_chunk, &hash, error);
    if (status == INS_CORRUPT || status == INS_IO) {
        reader->runs[run].no_pieces = true; /* so that a device that is gone is told, not tried */
        *out_whole = true;
    }
    if (status != INS_OK) {
        return status;
    }
    struct chunks hashes = reader_slot_chunks(reader, run, pieces->slot);
    struct block_key key = extent_piece(extent, vector, pieces, &hashes, number);
    struct reader_piece piece = {.run = run, .slot = vector->slot, .piece = number};
    status = cache_pin(cache, &key, class, NULL, &piece.block, &piece.data, error);
    if (status == INS_AGAIN) {
        struct block_key chunk = extent_chunk(extent, vector->slot, number / pieces->per_chunk);
        *out_whole = cache_chunk_worth(cache, &chunk, wanted);
        if (*out_whole) {
            return INS_AGAIN;
        }
        status = reader_pin(reader, &key, class, reader->waiter, &piece.block, &piece.data, error);
    }
    if (status == INS_OK) {
        hold(reader, &piece);
        *out = piece.data;
    }
    return status;
}

ins_status reader_value(struct reader *reader, uint32_t run, const struct extent_vector *vector,
                        uint32_t position, uint32_t wanted, const uint8_t **out, bool *out_whole,
                        ins_error *error) {
    uint32_t chunk = position / vector->rows_per_chunk;
    uint32_t in_chunk = position % vector->rows_per_chunk * vector->row_bytes;
    struct extent_pieces pieces;
    const uint8_t *data = NULL;
    ins_status status = INS_AGAIN;
    *out_whole = true;
    if (pieces_of(reader, run, vector, &pieces) && room_for_one(reader)) {
        uint32_t number = piece_of(vector, &pieces, position);
        data = held(reader, run, vector->slot, number);
        *out_whole = false;
        if (data != NULL) {
            *out = data + in_chunk % pieces.bytes;
            return INS_OK;
        }
        status = reader_chunk_at_hand(reader, run, vector->slot, chunk, &data, error);
        *out_whole = status != INS_AGAIN;
        if (status == INS_AGAIN) {
            status =
                pin_piece(reader, run, vector, &pieces, number, wanted, &data, out_whole, error);
        }
        if (!*out_whole) {
            *out = status == INS_OK ? data + in_chunk % pieces.bytes : NULL;
            return status;
        }
    }
    if (status != INS_OK) {
        status = reader_chunk(reader, run, vector->slot, chunk, &data, error);
    }
    *out = status == INS_OK ? data + in_chunk : NULL;
    return status;
}
