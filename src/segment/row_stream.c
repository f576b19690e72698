#include "segment/row_stream.h"

#include <string.h>

#include "segment/segment_private.h"

/* One section, read front to back: the chunk at hand. */
struct window {
    uint8_t *buffer; /* [buffer_bytes]; large extents only */
    size_t buffer_bytes;
    const uint8_t *bytes;
    uint32_t chunk; /* UINT32_MAX: none */
};

struct row_stream {
    ins_store *store;
    struct arena *arena;
    struct read_ahead *ahead; /* or NULL */
    struct extent extent;
    struct run run;
    uint8_t *first; /* [first_bytes]: header, or the whole small extent, with slack */
    size_t first_bytes;
    struct window windows[SECTION_SLOTS]; /* by kind; of the pass' vector: dense */
    struct window vector_rows;
    struct window plain; /* of row_stream_bytes, */
    uint32_t plain_slot; /* of this section */
    /* vectors */
    const struct vector_shape *vectors; /* [vector_count], as asked for */
    uint32_t vector_count;
    uint64_t whole, sparse; /* bit i: all rows, some rows have vectors[i] */
    uint32_t which;         /* of the pass */
    struct extent_vector vector;
    uint32_t position; /* of its next value */
    /* What crosses a chunk; taken when needed. */
    uint8_t *payload; /* [INS_PAYLOAD_BYTES_MAX] */
    uint8_t *values;  /* [INS_VECTOR_BYTES_MAX] of a multivector */
    enum extent_need need;
    uint32_t row, tombstone, patch; /* next of each */
    /* id directory */
    uint32_t block;
    bool in_block;
    struct directory_cursor cursor;
};

static ins_status read_block(struct row_stream *stream, const struct block_key *key,
                             uint8_t *buffer, const uint8_t **out, ins_error *error) {
    return segment_read_block(stream->store, stream->ahead, key, buffer, out, error);
}

/* What the extent has of the vectors that are asked for. */
static ins_status find_vectors(struct row_stream *stream, ins_error *error) {
    for (uint32_t i = 0; i < stream->vector_count; i++) {
        const struct vector_shape *shape = &stream->vectors[i];
        struct extent_vector vector;
        if (!extent_vector(&stream->extent, shape->id, &vector)) {
            continue;
        }
        uint16_t encoding = extent_slot_section(&stream->extent, vector.slot).encoding;
        if (vector.row_bytes != vector_bytes(shape) || vector.multi != (shape->multi != 0) ||
            encoding != layout_encoding_of(shape->datatype)) {
            return ins_fail(error, INS_CORRUPT,
                            "segment file %llu, extent at %llu: vector %u has another shape than "
                            "its collection's",
                            (unsigned long long)stream->extent.file,
                            (unsigned long long)stream->extent.offset, shape->id);
        }
        uint64_t bit = (uint64_t)1 << i;
        stream->whole |= vector.rows_slot == SLOT_NONE ? bit : 0;
        stream->sparse |= vector.rows_slot == SLOT_NONE ? 0 : bit;
    }
    return INS_OK;
}

ins_status row_stream_open(ins_store *store, struct arena *arena, struct read_ahead *ahead,
                           const struct run *run, uint64_t file, uint64_t incarnation,
                           const struct vector_shape *vectors, uint32_t vector_count,
                           struct row_stream **out_stream, ins_error *error) {
    struct block_key key;
    bool has_bytes = run_first_block(run, file, &key);
    INS_ASSERT(has_bytes);
    struct row_stream *stream = arena_alloc_zero(arena, INS_MEM_JOB, sizeof(*stream));
    if (stream == NULL) {
        return segment_out_of_memory(sizeof(*stream), error);
    }
    stream->store = store;
    stream->ahead = ahead;
    stream->arena = arena;
    stream->run = *run;
    stream->vectors = vectors;
    stream->vector_count = vector_count;
    stream->first_bytes = key.size + SEGMENT_READ_SLACK;
    stream->first = arena_alloc(arena, INS_MEM_JOB, stream->first_bytes);
    const uint8_t *bytes = NULL;
    ins_status status = stream->first == NULL
                            ? segment_out_of_memory(stream->first_bytes, error)
                            : read_block(stream, &key, stream->first, &bytes, error);
    if (status == INS_OK) {
        status = extent_parse(run, file, (struct slice){.data = bytes, .size = key.size},
                              incarnation, &stream->extent, error);
    }
    if (status == INS_OK) {
        status = find_vectors(stream, error);
    }
    if (status != INS_OK) {
        row_stream_close(stream);
        return status;
    }
    row_stream_rewind(stream, EXTENT_NEED_KEYS, 0);
    *out_stream = stream;
    return INS_OK;
}

static void window_close(struct row_stream *stream, struct window *window) {
    arena_free(stream->arena, INS_MEM_JOB, window->buffer, window->buffer_bytes);
    *window = (struct window){.chunk = UINT32_MAX};
}

static void windows_close(struct row_stream *stream) {
    for (int kind = 0; kind < SECTION_SLOTS; kind++) {
        window_close(stream, &stream->windows[kind]);
    }
    window_close(stream, &stream->vector_rows);
    window_close(stream, &stream->plain);
}

void row_stream_close(struct row_stream *stream) {
    if (stream == NULL) {
        return;
    }
    windows_close(stream);
    arena_free(stream->arena, INS_MEM_JOB, stream->payload, INS_PAYLOAD_BYTES_MAX);
    arena_free(stream->arena, INS_MEM_JOB, stream->values, INS_VECTOR_BYTES_MAX);
    arena_free(stream->arena, INS_MEM_JOB, stream->first, stream->first_bytes);
    arena_free(stream->arena, INS_MEM_JOB, stream, sizeof(*stream));
}

const struct extent *row_stream_extent(const struct row_stream *stream) {
    return &stream->extent;
}

uint64_t row_stream_sparse(const struct row_stream *stream) {
    return stream->sparse;
}

void row_stream_rewind(struct row_stream *stream, enum extent_need need, uint32_t vector) {
    windows_close(stream); /* what this pass does not read gives its buffers back */
    stream->need = need;
    stream->row = 0;
    stream->tombstone = 0;
    stream->patch = 0;
    stream->block = 0;
    stream->in_block = false;
    stream->which = vector;
    stream->position = 0;
    stream->vector = (struct extent_vector){0};
    if (need == EXTENT_NEED_VECTOR || need == EXTENT_NEED_PRESENCE) {
        INS_ASSERT(vector < stream->vector_count);
        (void)extent_vector(&stream->extent, stream->vectors[vector].id, &stream->vector);
    }
}

/* Brings the chunk that holds `offset`; *out points there, *out_left bytes of the chunk follow. */
static ins_status window_at(struct row_stream *stream, struct window *window, uint32_t slot,
                            uint64_t offset, const uint8_t **out, uint32_t *out_left,
                            ins_error *error) {
    struct section section = extent_slot_section(&stream->extent, slot);
    INS_ASSERT(offset < section.size);
    if (stream->extent.small) {
        struct slice whole = extent_section(&stream->extent, slot);
        *out = whole.data + offset;
        *out_left = (uint32_t)(whole.size - offset);
        return INS_OK;
    }
    uint32_t chunk = (uint32_t)(offset / section.chunk_bytes);
    if (window->buffer == NULL) {
        window->buffer_bytes = section.chunk_bytes + SEGMENT_READ_SLACK;
        window->buffer = arena_alloc(stream->arena, INS_MEM_JOB, window->buffer_bytes);
        if (window->buffer == NULL) {
            return segment_out_of_memory(window->buffer_bytes, error);
        }
    }
    struct block_key key = extent_chunk(&stream->extent, slot, chunk);
    if (window->chunk != chunk) {
        window->chunk = UINT32_MAX;
        ins_status status = read_block(stream, &key, window->buffer, &window->bytes, error);
        if (status != INS_OK) {
            return status;
        }
        window->chunk = chunk;
    }
    uint64_t in_chunk = offset - (uint64_t)chunk * section.chunk_bytes;
    *out = window->bytes + in_chunk;
    *out_left = (uint32_t)(key.size - in_chunk);
    return INS_OK;
}

ins_status row_stream_bytes(struct row_stream *stream, uint32_t slot, uint64_t offset,
                            struct slice *out, ins_error *error) {
    struct section section = extent_slot_section(&stream->extent, slot);
    uint32_t left = 0;
    if (stream->plain_slot != slot) {
        window_close(stream, &stream->plain);
        stream->plain_slot = slot;
    }
    ins_status status = window_at(stream, &stream->plain, slot, offset, &out->data, &left, error);
    uint64_t rest = section.size - offset;
    out->size = left < rest ? left : (size_t)rest;
    return status;
}

/* Of a section that an extent has once. */
static ins_status section_at(struct row_stream *stream, enum section_kind kind, uint64_t offset,
                             const uint8_t **out, uint32_t *out_left, ins_error *error) {
    return window_at(stream, &stream->windows[kind], kind, offset, out, out_left, error);
}

static ins_status take_word(struct row_stream *stream, enum section_kind kind, uint64_t offset,
                            bool wide, uint64_t *out, ins_error *error) {
    const uint8_t *at = NULL;
    uint32_t left = 0;
    ins_status status = section_at(stream, kind, offset, &at, &left, error);
    if (status == INS_OK) {
        INS_ASSERT(at != NULL);
        INS_ASSERT(left >= (wide ? 8u : 4u));
        *out = wide ? load_u64(at) : load_u32(at);
    }
    return status;
}

static ins_status take_id(struct row_stream *stream, enum section_kind kind, uint32_t numbers,
                          uint32_t index, ins_id *out, ins_error *error) {
    const uint8_t *at = NULL;
    uint32_t left = 0;
    ins_status status =
        section_at(stream, kind, layout_id_offset(numbers, index), &at, &left, error);
    if (status != INS_OK) {
        return status;
    }
    INS_ASSERT(at != NULL);
    if (index < numbers) {
        *out = (ins_id){.low = load_u64(at)};
    } else {
        *out = (ins_id){.high = load_u64(at), .low = load_u64(at + 8), .is_uuid = true};
    }
    return INS_OK;
}

static ins_status take_version(struct row_stream *stream, const struct extent_row *row,
                               uint32_t index, uint64_t *out, ins_error *error) {
    const struct extent *extent = &stream->extent;
    bool wide = extent->wide_versions;
    uint64_t begin = 0, relative = 0;
    if (row->tombstone) {
        begin =
            align_up(layout_ids_bytes(extent->tombstone_count, extent->tombstone_number_count), 8);
    }
    enum section_kind kind = row->tombstone ? SECTION_TOMBSTONES : SECTION_VERSIONS;
    ins_status status =
        take_word(stream, kind, begin + (uint64_t)index * (wide ? 8 : 4), wide, &relative, error);
    *out = status == INS_OK ? extent->version_low + relative : 0;
    return status;
}

/* Whether the row is a patch. Rows are asked for in order, each once. */
static ins_status take_patch(struct row_stream *stream, uint32_t row, bool *out, ins_error *error) {
    uint64_t next = UINT64_MAX;
    ins_status status = INS_OK;
    if (stream->patch < stream->extent.patch_count) {
        status =
            take_word(stream, SECTION_PATCHES, (uint64_t)stream->patch * 4, false, &next, error);
    }
    *out = status == INS_OK && next == row;
    stream->patch += *out;
    return status;
}

/* Whether the value at stream->position + `ahead` is the row's. */
static ins_status is_of_row(struct row_stream *stream, uint32_t ahead, uint32_t row, bool *out,
                            ins_error *error) {
    const struct extent_vector *vector = &stream->vector;
    const uint8_t *at = NULL;
    uint32_t left = 0;
    *out = false;
    if (vector->count - stream->position <= ahead) {
        return INS_OK;
    }
    ins_status status = window_at(stream, &stream->vector_rows, vector->rows_slot,
                                  ((uint64_t)stream->position + ahead) * 4, &at, &left, error);
    if (status == INS_OK) {
        INS_ASSERT(at != NULL);
        *out = load_u32(at) == row;
    }
    return status;
}

/* Values of the pass' vector that the row has: 0 or 1, or more of a multivector. Rows are asked for
 * in order, each once. */
static ins_status count_values(struct row_stream *stream, uint32_t row, uint32_t *out,
                               ins_error *error) {
    const struct extent_vector *vector = &stream->vector;
    *out = vector->count != 0;
    if (vector->count == 0 || vector->rows_slot == SLOT_NONE) {
        return INS_OK;
    }
    uint32_t most = INS_VECTOR_BYTES_MAX / vector->row_bytes, look = vector->multi ? most + 1 : 1;
    bool more = true;
    ins_status status = INS_OK;
    *out = 0;
    while (status == INS_OK && more && *out < look) {
        status = is_of_row(stream, *out, row, &more, error);
        *out += more;
    }
    return status != INS_OK || *out <= most
               ? status
               : ins_fail(error, INS_CORRUPT,
                          "segment file %llu: row %u has more than %u bytes of a multivector",
                          (unsigned long long)stream->extent.file, row, INS_VECTOR_BYTES_MAX);
}

static ins_status take_presence(struct row_stream *stream, uint32_t row, struct extent_row *out,
                                ins_error *error) {
    ins_status status = count_values(stream, row, &out->vector_rows, error);
    stream->position += status == INS_OK ? out->vector_rows : 0;
    out->present = out->vector_rows > 0 ? (uint64_t)1 << stream->which : 0;
    return status;
}

/* Bytes [begin, end) of a section that cross a chunk, into `buffer` [room], made when it is NULL.
 */
static ins_status join(struct row_stream *stream, struct window *window, uint32_t slot,
                       uint64_t begin, uint64_t end, uint8_t **buffer, size_t room,
                       ins_error *error) {
    if (*buffer == NULL) {
        *buffer = arena_alloc(stream->arena, INS_MEM_JOB, room);
    }
    if (*buffer == NULL) {
        return segment_out_of_memory(room, error);
    }
    INS_ASSERT(end - begin <= room);
    for (uint64_t at = begin; at < end;) {
        const uint8_t *bytes = NULL;
        uint32_t left = 0;
        ins_status status = window_at(stream, window, slot, at, &bytes, &left, error);
        if (status != INS_OK) {
            return status;
        }
        INS_ASSERT(bytes != NULL);
        size_t step = end - at < left ? (size_t)(end - at) : left;
        memcpy(*buffer + (at - begin), bytes, step);
        at += step;
    }
    return INS_OK;
}

static ins_status take_vector(struct row_stream *stream, uint32_t row, struct extent_row *out,
                              ins_error *error) {
    const uint8_t *at = NULL;
    uint32_t left = 0, count;
    ins_status status = count_values(stream, row, &count, error);
    if (status != INS_OK || count == 0) {
        return status;
    }
    /* Values fill their chunks whole, so the section has no gaps. */
    struct window *window = &stream->windows[SECTION_DENSE];
    uint64_t begin = (uint64_t)stream->position * stream->vector.row_bytes;
    uint64_t size = (uint64_t)count * stream->vector.row_bytes;
    status = window_at(stream, window, stream->vector.slot, begin, &at, &left, error);
    out->vector = at;
    if (status == INS_OK && size > left) {
        status = join(stream, window, stream->vector.slot, begin, begin + size, &stream->values,
                      INS_VECTOR_BYTES_MAX, error);
        out->vector = stream->values;
    }
    stream->position += count;
    out->vector_rows = count;
    return status;
}

static ins_status join_payload(struct row_stream *stream, uint64_t begin, uint64_t end,
                               struct slice *out, ins_error *error) {
    if (end - begin > INS_PAYLOAD_BYTES_MAX) {
        return ins_fail(error, INS_CORRUPT, "segment file %llu: a payload of %llu bytes",
                        (unsigned long long)stream->extent.file, (unsigned long long)(end - begin));
    }
    ins_status status = join(stream, &stream->windows[SECTION_PAYLOAD], SECTION_PAYLOAD, begin, end,
                             &stream->payload, INS_PAYLOAD_BYTES_MAX, error);
    *out = (struct slice){.data = stream->payload, .size = (size_t)(end - begin)};
    return status;
}

static ins_status take_payload(struct row_stream *stream, uint32_t row, struct slice *out,
                               ins_error *error) {
    const struct section *offsets = &stream->extent.sections[SECTION_PAYLOAD_OFFSETS];
    *out = (struct slice){0};
    if (!stream->extent.sections[SECTION_PAYLOAD].present) {
        return INS_OK;
    }
    bool wide = offsets->encoding == ENCODING_U64;
    uint64_t word = wide ? 8 : 4, begin = 0, end = 0;
    ins_status status = take_word(stream, SECTION_PAYLOAD_OFFSETS, row * word, wide, &begin, error);
    if (status == INS_OK) {
        status = take_word(stream, SECTION_PAYLOAD_OFFSETS, (row + 1) * word, wide, &end, error);
    }
    if (status != INS_OK || begin == end) {
        return status;
    }
    if (begin > end || end > stream->extent.sections[SECTION_PAYLOAD].size) {
        return ins_fail(error, INS_CORRUPT, "segment file %llu: payload of row %u out of bounds",
                        (unsigned long long)stream->extent.file, row);
    }
    const uint8_t *at = NULL;
    uint32_t left = 0;
    status = section_at(stream, SECTION_PAYLOAD, begin, &at, &left, error);
    if (status == INS_OK && end - begin <= left) {
        *out = (struct slice){.data = at, .size = (size_t)(end - begin)};
        return INS_OK;
    }
    return status == INS_OK ? join_payload(stream, begin, end, out, error) : status;
}

/* ---- Id directories ---- */

static ins_status next_entry(struct row_stream *stream, struct extent_row *out, bool *out_end,
                             ins_error *error) {
    const struct extent *extent = &stream->extent;
    ins_status status = INS_OK;
    for (;;) {
        struct directory_entry entry;
        if (stream->in_block && directory_block_next(&stream->cursor, &entry, &status)) {
            *out = (struct extent_row){
                .id = entry.id, .incarnation = entry.incarnation, .version = extent->version_high};
            *out_end = false;
            return INS_OK;
        }
        if (status != INS_OK) {
            return ins_fail(error, status,
                            "segment file %llu: block %u of an id directory is malformed",
                            (unsigned long long)extent->file, stream->block - 1);
        }
        if (extent->row_count == 0 || stream->block == directory_block_count(extent)) {
            *out_end = true;
            return INS_OK;
        }
        const uint8_t *at = NULL;
        uint32_t left = 0;
        status = section_at(stream, SECTION_DIRECTORY,
                            (uint64_t)stream->block * INS_DIRECTORY_BLOCK, &at, &left, error);
        if (status == INS_OK) {
            size_t size = left < INS_DIRECTORY_BLOCK ? left : INS_DIRECTORY_BLOCK;
            status = directory_block_begin(at, size, &stream->cursor, error);
        }
        if (status != INS_OK) {
            return status;
        }
        stream->block++;
        stream->in_block = true;
    }
}

/* ---- Rows ---- */

/* The next row or tombstone, whichever id is smaller. */
static ins_status next_key(struct row_stream *stream, struct extent_row *out, uint32_t *out_index,
                           bool *out_end, ins_error *error) {
    const struct extent *extent = &stream->extent;
    bool has_row = stream->row < extent->row_count;
    bool has_tombstone = stream->tombstone < extent->tombstone_count;
    ins_id row_id = {0}, tombstone_id = {0};
    ins_status status = INS_OK;
    *out_end = !has_row && !has_tombstone;
    if (has_row) {
        status = take_id(stream, SECTION_IDS, extent->number_count, stream->row, &row_id, error);
    }
    if (has_tombstone && status == INS_OK) {
        status = take_id(stream, SECTION_TOMBSTONES, extent->tombstone_number_count,
                         stream->tombstone, &tombstone_id, error);
    }
    if (status != INS_OK || *out_end) {
        return status;
    }
    bool tombstone = !has_row || (has_tombstone && id_compare(&tombstone_id, &row_id) < 0);
    *out = (struct extent_row){.id = tombstone ? tombstone_id : row_id, .tombstone = tombstone};
    *out_index = tombstone ? stream->tombstone++ : stream->row++;
    return INS_OK;
}

ins_status row_stream_next(struct row_stream *stream, struct extent_row *out, bool *out_end,
                           ins_error *error) {
    if ((stream->run.flags & RUN_DIRECTORY) != 0) {
        return next_entry(stream, out, out_end, error);
    }
    uint32_t index = 0;
    ins_status status = next_key(stream, out, &index, out_end, error);
    if (status != INS_OK || *out_end) {
        return status;
    }
    if (!out->tombstone && stream->need != EXTENT_NEED_PAYLOAD) {
        status = take_patch(stream, index, &out->patch, error);
    }
    if (status != INS_OK) {
        return status;
    }
    if (stream->need == EXTENT_NEED_KEYS) {
        status = take_version(stream, out, index, &out->version, error);
        out->present = stream->whole;
    } else if (stream->need == EXTENT_NEED_PRESENCE && !out->tombstone) {
        status = take_presence(stream, index, out, error);
    } else if (stream->need == EXTENT_NEED_VECTOR && !out->tombstone) {
        status = take_vector(stream, index, out, error);
    } else if (stream->need == EXTENT_NEED_PAYLOAD && !out->tombstone) {
        status = take_payload(stream, index, &out->payload, error);
    }
    return status;
}
