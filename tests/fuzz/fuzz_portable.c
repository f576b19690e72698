/* A tenant's file from outside. Goal: whatever the bytes are, reading stays inside them, ends, and
 * says what is wrong; what is taken can be written again to the same bytes. Method: the bytes as a
 * file's frames, with their checksums set right so that what lies behind them is reached; the first
 * one is the head. */
#include <stdlib.h>
#include <string.h>

#include "engine/portable.h"

#define ARENA_BYTES ((uint64_t)64 << 20)
#define FRAMES_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena *arena;
static struct json_parser *parser;
static volatile float touched; /* so that values are read */

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void open_once(void) {
    if (arena == NULL) {
        struct arena_options options = {.limit_bytes = ARENA_BYTES, .plain_pages = true};
        options.purpose_limit_bytes[INS_MEM_QUERY] = ARENA_BYTES;
        require(arena_open(&options, &arena, NULL) == INS_OK);
        parser = json_parser_create(PORTABLE_BODY_BYTES_MAX, INS_JSON_DEPTH_MAX);
        require(parser != NULL);
    }
}

static bool is_told(ins_status status, const ins_error *error) {
    require(status == INS_OK || status == INS_INVALID || status == INS_FULL);
    require(status == INS_OK || error->message[0] != '\0');
    return status == INS_OK;
}

static void read_block(const struct portable_head *head, uint32_t number, struct slice body) {
    struct portable_block block;
    struct pool pool;
    ins_error error = {0};
    pool_init(&pool, arena, INS_MEM_QUERY, ARENA_BYTES);
    bool good = is_told(portable_block_begin(&block, head, number, body, &error), &error);
    uint32_t points = 0;
    while (good && block.next < block.count) {
        ins_point point;
        good = is_told(portable_block_next(&block, &pool, &point, &error), &error);
        points++;
        require(points <= body.size / 24 + 1); /* no point is shorter */
        for (uint32_t i = 0; good && i < point.vector_count; i++) {
            const ins_vector *vector = &point.vectors[i];
            uint32_t rows = vector->rows > 0 ? vector->rows : 1;
            float sum = 0;
            for (uint32_t at = 0; at < rows * vector->dim; at++) {
                sum += vector->values[at];
            }
            touched = sum;
        }
        const uint8_t *payload = (const uint8_t *)point.payload.data;
        require(!good || point.payload.size == 0 ||
                (payload >= body.data && payload + point.payload.size <= body.data + body.size));
    }
    if (good) {
        (void)is_told(portable_block_end(&block, &error), &error);
    }
    pool_fini(&pool);
}

static void read_frame(struct pool *pool, struct portable_head *head, uint32_t number,
                       const uint8_t *bytes, size_t size, size_t *out_taken) {
    uint8_t header[PORTABLE_FRAME_BYTES];
    struct portable_frame frame;
    struct portable_end end;
    ins_error error = {0};
    size_t left = size - PORTABLE_FRAME_BYTES;
    uint32_t body_bytes = load_u32(bytes + 12) % PORTABLE_BODY_BYTES_MAX;
    body_bytes = body_bytes < left ? body_bytes : (uint32_t)left;
    const uint8_t *body = bytes + PORTABLE_FRAME_BYTES;
    (void)is_told(portable_frame_read(bytes, size, number, &frame, &error), &error);
    uint32_t kind = number == 0                           ? PORTABLE_HEAD
                    : load_u16(bytes + 6) == PORTABLE_END ? PORTABLE_END
                                                          : PORTABLE_POINTS;
    uint64_t hash =
        portable_frame_write((enum portable_kind)kind, number, body, body_bytes, header);
    require(portable_frame_read(header, sizeof(header), number, &frame, &error) == INS_OK);
    require(portable_body_check(&frame, body, &error) == INS_OK);
    require(frame.hash == hash && frame.body_bytes == body_bytes);
    *out_taken = PORTABLE_FRAME_BYTES + body_bytes;
    if (number == 0) {
        ins_text text = {(const char *)body, body_bytes};
        if (!is_told(portable_head_read(text, parser, pool, head, &error), &error)) {
            *head = (struct portable_head){0};
        }
    } else if (frame.kind == PORTABLE_END) {
        (void)is_told(portable_end_read(&frame, body, &end, &error), &error);
    } else {
        read_block(head, number, (struct slice){body, body_bytes});
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct portable_head head = {0};
    struct pool pool;
    open_once();
    pool_init(&pool, arena, INS_MEM_QUERY, ARENA_BYTES);
    for (uint32_t number = 0; number < FRAMES_MAX && size >= PORTABLE_FRAME_BYTES; number++) {
        size_t taken;
        read_frame(&pool, &head, number, data, size, &taken);
        data += taken;
        size -= taken;
    }
    pool_fini(&pool);
    return 0;
}
