/* Answers in gzip, for clients that ask for it.
 *
 * Whole answers in one go: at some 400 MB/s of numbers and 1 GB/s of text the largest one that is
 * compressed holds the loop for 20 ms, less than writing it as JSON took. Larger ones, small ones,
 * those that do not get smaller, and all while memory is short, leave as they are. */
#include <isa-l/igzip_lib.h>
#include <string.h>

#include "base/assert.h"
#include "server/server_private.h"

#define GZIP_LEVEL                                                                                 \
    1 /* own Huffman codes for each answer: 0.45 of random numbers, level 0 has 0.65 */

struct gzip {
    struct isal_zstream stream;
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
    char out[GZIP_SCRATCH_BYTES]; /* answers that came in the API's scratch leave from here */
};

void gzip_close(struct front *front) {
    heap_free(front->heap, front->gzip, sizeof(*front->gzip));
    front->gzip = NULL;
}

static bool gzip_ready(struct front *front) {
    if (front->gzip == NULL) {
        front->gzip = heap_alloc(front->heap, sizeof(*front->gzip));
    }
    return front->gzip != NULL;
}

/* Bytes written to out[capacity]; 0 when they do not fit. */
static size_t gzip_pack(struct gzip *gzip, const char *data, size_t size, char *out,
                        size_t capacity) {
    union {
        const char *data;
        uint8_t *bytes; /* isal only reads them */
    } in = {data};
    struct isal_zstream *stream = &gzip->stream;
    isal_deflate_stateless_init(stream);
    stream->gzip_flag = IGZIP_GZIP;
    stream->level = GZIP_LEVEL;
    stream->level_buf = gzip->level;
    stream->level_buf_size = sizeof(gzip->level);
    stream->end_of_stream = 1;
    stream->next_in = in.bytes;
    stream->avail_in = (uint32_t)size;
    stream->next_out = (uint8_t *)out;
    stream->avail_out = (uint32_t)capacity;
    return isal_deflate_stateless(stream) == COMP_OK ? capacity - stream->avail_out : 0;
}

bool gzip_response(struct front *front, struct api_response *response) {
    if (response->size < GZIP_BYTES_MIN || response->size > GZIP_BYTES_MAX || !gzip_ready(front)) {
        return false;
    }
    bool scratch = response->size <= GZIP_SCRATCH_BYTES - API_HEAD_SPACE;
    size_t capacity = scratch ? GZIP_SCRATCH_BYTES : API_HEAD_SPACE + response->size;
    char *memory = scratch ? front->gzip->out : heap_alloc(front->heap, capacity);
    size_t packed = memory == NULL ? 0
                                   : gzip_pack(front->gzip, response->body, response->size,
                                               memory + API_HEAD_SPACE, response->size - 1);
    if (packed == 0) {
        heap_free(front->heap, scratch ? NULL : memory, capacity);
        return false;
    }
    response_free(front, response);
    response->memory = memory;
    response->capacity = capacity;
    response->body = memory + API_HEAD_SPACE;
    response->size = packed;
    response->shared = scratch;
    return true;
}
