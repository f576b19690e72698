/* Pieces of a vector's values: parts of chunks with hashes of their own.
 *
 * A search that ranks a few hundred rows of a large run wants some pages of its values, not the
 * chunks around them. A chunk's hash says nothing of a part of it, so each piece has one as well,
 * in a section that is small enough to stay at hand: 8 bytes for 4 KiB, at most 1 MiB.
 * An extent without them is right; its chunks are read whole. */
#include "base/hash.h"
#include "segment/segment_private.h"

/* ---- Writing ---- */

void piece_write_begin(struct piece_write *write, struct arena *arena, uint32_t row_bytes,
                       uint64_t size, uint64_t size_min) {
    *write = (struct piece_write){.arena = arena};
    uint64_t count = layout_piece_count(row_bytes, size);
    if (size <= (size_min != 0 ? size_min : PIECE_VALUES_MIN_DEFAULT) || count > PIECE_COUNT_MAX) {
        return;
    }
    write->hashes = arena_alloc(arena, INS_MEM_JOB, count * sizeof(*write->hashes));
    write->room = write->hashes == NULL ? 0 : (uint32_t)count;
    write->bytes = layout_piece_bytes(row_bytes, size);
}

void piece_write_chunk(struct piece_write *write, const uint8_t *chunk, size_t size) {
    for (size_t at = 0; at < size && write->hashes != NULL; at += write->bytes) {
        size_t part = size - at < write->bytes ? size - at : write->bytes;
        INS_ASSERT(write->count < write->room);
        write->hashes[write->count++] = hash64(chunk + at, part);
    }
}

ins_status piece_write_section(struct piece_write *write, struct segment_writer *to,
                               uint64_t extent_start, uint16_t number, ins_error *error) {
    if (write->hashes == NULL) {
        return INS_OK;
    }
    INS_ASSERT(write->count == write->room);
    struct section section = {.kind = SECTION_PIECES,
                              .number = number,
                              .encoding = ENCODING_U64,
                              .chunk_bytes = layout_chunk_bytes(SECTION_PIECES)};
    struct section_stream stream;
    ins_status status =
        stream_begin(&stream, to, extent_start, &section, (uint64_t)write->count * 8, error);
    for (uint32_t i = 0; i < write->count && status == INS_OK; i++) {
        uint8_t word[8];
        store_u64(word, write->hashes[i]);
        status = stream_put(&stream, word, sizeof(word), error);
    }
    return status == INS_OK ? stream_end(&stream, error) : status;
}

void piece_write_end(struct piece_write *write) {
    arena_free(write->arena, INS_MEM_JOB, write->hashes, write->room * sizeof(*write->hashes));
    write->hashes = NULL;
}

/* ---- Reading ---- */

bool extent_pieces(const struct extent *extent, const struct extent_vector *vector,
                   struct extent_pieces *out) {
    if (!extent->numbered) {
        return false;
    }
    struct section values = extent_slot_section(extent, vector->slot);
    uint32_t slot = extent_slot(extent, SECTION_PIECES, values.number);
    if (slot == SLOT_NONE) {
        return false;
    }
    uint32_t bytes = layout_piece_bytes(vector->row_bytes, values.size);
    *out = (struct extent_pieces){
        .slot = slot, .bytes = bytes, .per_chunk = (values.chunk_bytes + bytes - 1) / bytes};
    return true;
}

struct block_key extent_piece(const struct extent *extent, const struct extent_vector *vector,
                              const struct extent_pieces *pieces, const struct chunks *hashes,
                              uint32_t piece) {
    struct block_key key = extent_chunk(extent, vector->slot, piece / pieces->per_chunk);
    uint32_t begin = piece % pieces->per_chunk * pieces->bytes;
    uint64_t hash = (uint64_t)piece * 8;
    INS_ASSERT(begin < key.size);
    INS_ASSERT(hash / hashes->chunk_bytes < hashes->chunk_count);
    key.offset += begin;
    key.size = key.size - begin < pieces->bytes ? key.size - begin : pieces->bytes;
    key.hash = load_u64(hashes->chunks[hash / hashes->chunk_bytes] + hash % hashes->chunk_bytes);
    return key;
}

const char *pieces_parse(const struct extent *extent) {
    for (uint32_t i = 0; extent->numbered && i < extent->section_count; i++) {
        struct section section = extent_slot_section(extent, SECTION_SLOTS + i);
        if (section.kind != SECTION_PIECES) {
            continue;
        }
        struct extent_vector vector;
        if (!extent_vector(extent, section.number, &vector)) {
            return "hashes of pieces without values";
        }
        uint64_t size = extent_slot_section(extent, vector.slot).size;
        if (section.size != layout_piece_count(vector.row_bytes, size) * 8) {
            return "hashes of pieces that contradict the values";
        }
    }
    return NULL;
}
