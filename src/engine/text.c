#include "engine/text.h"

/* The pool frees nothing piecemeal: the old block stays until the pool goes. Doubling bounds that.
 */
static void *grow(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    void *block = pool_alloc(context, new_capacity);
    if (block != NULL && old_capacity > 0) {
        memcpy(block, old, old_capacity);
    }
    return block;
}

void text_writer(struct json_writer *writer, struct pool *pool) {
    json_write_init(writer, TEXT_MAX, pool, grow);
}
