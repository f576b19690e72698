/* Goal: whatever stands in a catalog row of a change by filter, decoding stays inside, and what it
 * takes for whole says the same when it is encoded again. Method: the bytes as they are. */
#include <stdlib.h>

#include "engine/change_text.h"

#define ARENA_BYTES ((uint64_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena *arena;

static void require(bool good) {
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (arena == NULL) {
        struct arena_options options = {.limit_bytes = ARENA_BYTES, .plain_pages = true};
        options.purpose_limit_bytes[INS_MEM_QUERY] = ARENA_BYTES;
        require(arena_open(&options, &arena, NULL) == INS_OK);
    }
    struct pool pool;
    pool_init(&pool, arena, INS_MEM_QUERY, ARENA_BYTES / 2);
    enum points_kind kind;
    ins_points_request request;
    ins_error error = {0};
    struct slice again;
    ins_status status =
        change_decode(&pool, (struct slice){.data = data, .size = size}, &kind, &request, &error);
    require(status == INS_OK || status == INS_CORRUPT || status == INS_FULL);
    require(status == INS_OK || error.message[0] != '\0');
    if (status == INS_OK && size <= CHANGE_BYTES_MAX) {
        require(change_encode(&pool, kind, &request, &again, &error) == INS_OK);
        require(again.size == size);
        /* A bool may be any number but 0. */
        ins_points_request second;
        require(change_decode(&pool, again, &kind, &second, &error) == INS_OK);
        require(second.key_count == request.key_count);
    }
    pool_fini(&pool);
    return 0;
}
