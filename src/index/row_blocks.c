#include "index/row_blocks.h"

struct row_blocks row_blocks_plan(size_t stride, uint32_t count) {
    uint32_t shift = row_blocks_shift(stride), per_block = 1u << shift;
    uint32_t block_count = count / per_block + (count % per_block != 0);
    return (struct row_blocks){.block_count = block_count,
                               .shift = shift,
                               .stride = stride,
                               .block_bytes = stride * (block_count > 1 ? per_block : count)};
}

bool row_blocks_make(struct arena *arena, enum ins_mem_purpose purpose, size_t stride,
                     uint32_t count, struct row_blocks *out) {
    *out = row_blocks_plan(stride, count);
    out->blocks = arena_alloc_zero(arena, purpose, out->block_count * sizeof(*out->blocks));
    for (uint32_t i = 0; out->blocks != NULL && i < out->block_count; i++) {
        out->blocks[i] = arena_alloc(arena, purpose, out->block_bytes);
        if (out->blocks[i] == NULL) {
            row_blocks_free(arena, purpose, out);
            return false;
        }
    }
    return out->blocks != NULL;
}

void row_blocks_free(struct arena *arena, enum ins_mem_purpose purpose, struct row_blocks *rows) {
    if (rows->blocks == NULL || rows->block_bytes == 0) {
        return;
    }
    for (uint32_t i = 0; i < rows->block_count; i++) {
        arena_free(arena, purpose, rows->blocks[i], rows->block_bytes);
    }
    arena_free(arena, purpose, (void *)rows->blocks, rows->block_count * sizeof(*rows->blocks));
    *rows = (struct row_blocks){0};
}
