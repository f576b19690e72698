/* Feeds bytes to the decoder of a log record's body: as they are, and as the rows of one part, so
 * that what lies behind the lengths is reached. Every row that is visited must lie in the body. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PART_HEADER ((size_t)28)

struct visit {
    struct slice body;
    uint64_t rows, sum;
};

static void touch(struct visit *visit, const void *from, size_t size) {
    const uint8_t *bytes = from;
    INS_ASSERT(size == 0 ||
               (bytes >= visit->body.data && bytes + size <= visit->body.data + visit->body.size));
    for (size_t i = 0; i < size; i++) {
        visit->sum += bytes[i];
    }
}

static ins_status visit_row(void *context, uint64_t incarnation, const struct record_row *row,
                            ins_error *error) {
    (void)error;
    struct visit *visit = context;
    bool point = row->kind == MEMROW_POINT || row->kind == MEMROW_PATCH;
    INS_ASSERT(point || row->kind == MEMROW_TOMBSTONE || row->kind == MEMROW_DIRECTORY);
    INS_ASSERT(point || (row->vector_count == 0 && row->payload.size == 0));
    INS_ASSERT(row->id.is_uuid || row->id.high == 0);
    touch(visit, row->vectors, row->vector_bytes);
    touch(visit, row->payload.data, row->payload.size);
    visit->sum += incarnation;
    visit->rows++;
    return INS_OK;
}

static void decode(const uint8_t *data, size_t size) {
    struct visit visit = {.body = {.data = data, .size = size}};
    ins_error error = {0};
    ins_status status = record_decode(visit.body, visit_row, &visit, &error);
    INS_ASSERT(status == INS_OK || status == INS_CORRUPT);
    INS_ASSERT(status == INS_OK || error.message[0] != '\0');
    INS_ASSERT(visit.rows <= size / 9); /* no row is shorter */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size);
    uint8_t *part = malloc(PART_HEADER + size);
    if (part != NULL && size > 0) {
        memset(part, 0, PART_HEADER);
        part[0] = 1;
        store_u32(part + 24, (uint32_t)size);
        memcpy(part + PART_HEADER, data, size);
        decode(part, PART_HEADER + size);
    }
    free(part);
    return 0;
}
