/* Payloads of rows, in memtables and runs. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"
#include "tenant/reader_private.h"

/* Chunks of the payload section that [begin, end) touches; all of them are pinned on INS_OK. */
static ins_status pin_payload(struct reader *reader, uint32_t run, uint64_t begin, uint64_t end,
                              ins_error *error) {
    uint32_t chunk_bytes = reader->runs[run].extent.sections[SECTION_PAYLOAD].chunk_bytes;
    ins_status result = INS_OK;
    for (uint64_t chunk = begin / chunk_bytes; chunk <= (end - 1) / chunk_bytes; chunk++) {
        const uint8_t *data = NULL;
        ins_status status =
            reader_chunk(reader, run, SECTION_PAYLOAD, (uint32_t)chunk, &data, error);
        if (status != INS_OK && status != INS_AGAIN) {
            return status;
        }
        result = status == INS_AGAIN ? INS_AGAIN : result;
    }
    return result;
}

static ins_status copy_payload(struct reader *reader, uint32_t run_index, uint64_t begin,
                               uint64_t end, ins_text *out, ins_error *error) {
    const struct reader_run *run = &reader->runs[run_index];
    const uint8_t **chunks = run->sections[SECTION_PAYLOAD].chunks;
    uint32_t chunk_bytes = run->extent.sections[SECTION_PAYLOAD].chunk_bytes;
    INS_ASSERT(chunks != NULL); /* its chunks are pinned */
    if (run->extent.small || begin / chunk_bytes == (end - 1) / chunk_bytes) {
        uint64_t chunk = run->extent.small ? 0 : begin / chunk_bytes;
        *out = (ins_text){.data = (const char *)chunks[chunk] + (begin - chunk * chunk_bytes),
                          .size = end - begin};
        return INS_OK;
    }
    if (end - begin > reader->payload_room) {
        uint32_t room = 2 * reader->payload_room; /* doubling bounds what earlier ones took */
        room = room > end - begin ? room : (uint32_t)(end - begin);
        reader->payload_copy = pool_alloc(&reader->pool, room);
        reader->payload_room = reader->payload_copy == NULL ? 0 : room;
    }
    char *copy = reader->payload_copy;
    if (copy == NULL) {
        return ins_fail(error, INS_FULL, "no memory for a payload of %llu bytes",
                        (unsigned long long)(end - begin));
    }
    for (uint64_t at = begin; at < end;) {
        uint64_t chunk = at / chunk_bytes;
        uint64_t stop = (chunk + 1) * chunk_bytes < end ? (chunk + 1) * chunk_bytes : end;
        memcpy(copy + (at - begin), chunks[chunk] + (at - chunk * chunk_bytes), stop - at);
        at = stop;
    }
    *out = (ins_text){.data = copy, .size = end - begin};
    return INS_OK;
}

/* ---- Rows beside each other ---- */

/* Rows whose payload lies in the chunk of this one need no look at the extent. */
static void open_span(struct reader *reader, const struct place *place, uint64_t begin,
                      uint64_t end) {
    const struct reader_run *run = &reader->runs[place->run];
    const struct section *payload = &run->extent.sections[SECTION_PAYLOAD];
    uint32_t per_chunk = extent_rows_per_chunk(&run->extent, SECTION_PAYLOAD_OFFSETS);
    uint32_t chunk_bytes = run->extent.sections[SECTION_PAYLOAD_OFFSETS].chunk_bytes;
    uint32_t first = place->run_row / per_chunk * per_chunk;
    uint32_t left = run->extent.row_count - first;
    uint64_t chunk = run->extent.small ? 0 : begin / payload->chunk_bytes;
    uint64_t bytes = run->extent.small ? payload->size : payload->chunk_bytes;
    if (chunk != (end - 1) / bytes) {
        return; /* it was copied together */
    }
    reader->span = (struct payload_span){
        .offsets = run->sections[SECTION_PAYLOAD_OFFSETS].chunks[first / per_chunk],
        .data = run->sections[SECTION_PAYLOAD].chunks[chunk],
        .begin = chunk * bytes,
        .end = (chunk + 1) * bytes < payload->size ? (chunk + 1) * bytes : payload->size,
        .run = place->run,
        .first = first,
        .count = left < per_chunk - 1 ? left : per_chunk - 1, /* each with the offset behind it */
        .wide = chunk_bytes / per_chunk == sizeof(uint64_t)};
}

static bool in_span(const struct reader *reader, const struct place *place, ins_text *out) {
    const struct payload_span *span = &reader->span;
    uint32_t at = place->run_row - span->first; /* wraps before it */
    if (at >= span->count || place->run != span->run) {
        return false;
    }
    const uint8_t *offset = span->offsets + (size_t)at * (span->wide ? 8 : 4);
    uint64_t begin = span->wide ? load_u64(offset) : load_u32(offset);
    uint64_t end = span->wide ? load_u64(offset + 8) : load_u32(offset + 4);
    if (begin >= end || begin < span->begin || end > span->end) {
        return false; /* none, in another chunk, or damaged */
    }
    *out =
        (ins_text){.data = (const char *)span->data + (begin - span->begin), .size = end - begin};
    return true;
}

ins_status reader_payload(struct reader *reader, const struct place *place, ins_text *out,
                          ins_error *error) {
    if (place->row != NULL) {
        *out = memrow_payload(place->row);
        return INS_OK;
    }
    if (in_span(reader, place, out)) {
        return INS_OK;
    }
    *out = (ins_text){0};
    const struct reader_run *run = &reader->runs[place->run];
    if (!run->extent.sections[SECTION_PAYLOAD].present) {
        return INS_OK;
    }
    uint32_t per_chunk = extent_rows_per_chunk(&run->extent, SECTION_PAYLOAD_OFFSETS);
    uint32_t first = place->run_row / per_chunk, last = (place->run_row + 1) / per_chunk;
    const uint8_t *data = NULL;
    ins_status status =
        reader_chunk(reader, place->run, SECTION_PAYLOAD_OFFSETS, first, &data, error);
    ins_status second = first == last ? INS_OK
                                      : reader_chunk(reader, place->run, SECTION_PAYLOAD_OFFSETS,
                                                     last, &data, error);
    if (status != INS_OK || second != INS_OK) {
        return status != INS_OK && status != INS_AGAIN ? status
               : second != INS_OK                      ? second
                                                       : status;
    }
    INS_ASSERT(data != NULL);
    struct chunks offsets = section_chunks(run, SECTION_PAYLOAD_OFFSETS);
    uint64_t begin, end;
    status = extent_payload_range(&run->extent, &offsets, place->run_row, &begin, &end);
    if (status != INS_OK) {
        return ins_fail(error, status, "file %llu, extent at %llu: payload of row %u out of bounds",
                        (unsigned long long)run->extent.file,
                        (unsigned long long)run->extent.offset, place->run_row);
    }
    if (begin == end) {
        return INS_OK;
    }
    status = run->extent.small ? reader_chunk(reader, place->run, SECTION_PAYLOAD, 0, &data, error)
                               : pin_payload(reader, place->run, begin, end, error);
    if (status == INS_OK) {
        status = copy_payload(reader, place->run, begin, end, out, error);
    }
    if (status == INS_OK) {
        open_span(reader, place, begin, end);
    }
    return status;
}
