#include "index/graph_elder.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "index/graph_elder_private.h"

#define STAY_OLD_SHARES 4u  /* of the older graph's rows at most one of so many is gone, */
#define STAY_NEW_SHARES 10u /* and of the new one's at least one of so many is there */
#define LOST_SHARES 4u /* a row that lost a larger part of its links than one of these is new */

uint64_t graph_elder_bytes(uint32_t count) {
    const size_t strides[] = {sizeof(uint32_t), LINKS_BYTES};
    uint64_t bytes = 0;
    for (int i = 0; i < 2 && count > 0; i++) {
        struct row_blocks plan = row_blocks_plan(strides[i], count);
        bytes += (arena_class_size(plan.block_bytes) + sizeof(void *)) * plan.block_count;
    }
    return bytes;
}

void graph_elder_free(struct graph_elder *elder) {
    if (elder != NULL) {
        row_blocks_free(elder->arena, elder->purpose, &elder->rows);
        row_blocks_free(elder->arena, elder->purpose, &elder->links);
        arena_free(elder->arena, elder->purpose, elder, sizeof(*elder));
    }
}

ins_status graph_elder_make(uint32_t count, uint32_t turns, struct arena *arena,
                            enum ins_mem_purpose purpose, struct graph_elder **out_elder,
                            ins_error *error) {
    INS_ASSERT(count > 0);
    struct graph_elder *elder = arena_alloc_zero(arena, purpose, sizeof(*elder));
    if (elder != NULL) {
        *elder = (struct graph_elder){
            .arena = arena, .purpose = purpose, .count = count, .turns = turns};
    }
    if (elder == NULL || !row_blocks_make(arena, purpose, sizeof(uint32_t), count, &elder->rows) ||
        !row_blocks_make(arena, purpose, LINKS_BYTES, count, &elder->links)) {
        graph_elder_free(elder);
        return ins_fail(error, INS_FULL, "no memory for the links of %u rows", count);
    }
    const uint32_t nobody = GRAPH_NONE;
    for (uint32_t old = 0; old < count; old++) {
        *(uint32_t *)row_at(&elder->rows, old) = GRAPH_NONE;
        links_store(row_at(&elder->links, old), &nobody, 0);
    }
    *out_elder = elder;
    return INS_OK;
}

void graph_elder_row(struct graph_elder *elder, uint32_t old, uint32_t row) {
    INS_ASSERT(old < elder->count);
    INS_ASSERT(elder_row(elder, old) == GRAPH_NONE);
    *(uint32_t *)row_at(&elder->rows, old) = row;
    elder->stay++;
}

void graph_elder_links(struct graph_elder *elder, uint32_t old, const void *links) {
    INS_ASSERT(old < elder->count);
    memcpy(row_at(&elder->links, old), links, LINKS_BYTES);
}

bool graph_elder_worth(const struct graph_elder *elder, uint32_t count) {
    return (uint64_t)(elder->count - elder->stay) * STAY_OLD_SHARES <= elder->count &&
           (uint64_t)elder->stay * STAY_NEW_SHARES >= count;
}

/* ---- One row's list ---- */

struct inherited {
    uint32_t *ids; /* [GROWING] */
    uint32_t count;
};

static void take(struct inherited *list, uint32_t row) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->ids[i] == row) {
            return;
        }
    }
    list->ids[list->count++] = row;
}

/* The rows that an old one links to, as they stand now: GRAPH_NONE those that are gone. */
static uint32_t load(const struct graph_elder *elder, uint32_t old, uint32_t *out_old,
                     uint32_t *out_rows) {
    uint32_t links[GRAPH_DEGREE], count = 0;
    links_load(row_at(&elder->links, old), links);
    for (uint32_t i = 0; i < GRAPH_DEGREE && links[i] != LINK_NONE; i++) {
        if (links[i] < elder->count && links[i] != old) {
            out_old[count] = links[i];
            out_rows[count++] = elder_row(elder, links[i]);
        }
    }
    return count;
}

/* Of the neighbours of one that is gone at most `most`, from a place that differs. */
static void take_behind(const struct graph_elder *elder, uint32_t gone, uint32_t row, uint32_t most,
                        struct inherited *list) {
    uint32_t old[GRAPH_DEGREE], rows[GRAPH_DEGREE];
    uint32_t count = load(elder, gone, old, rows);
    uint32_t first = count == 0 ? 0 : (uint32_t)(hash_u64(((uint64_t)row << 32) | gone) % count);
    for (uint32_t i = 0; i < count && most > 0; i++) {
        uint32_t behind = rows[(first + i) % count];
        if (behind != GRAPH_NONE && behind != row) {
            take(list, behind);
            most--;
        }
    }
}

uint32_t elder_list(const struct graph_elder *elder, uint32_t old, uint32_t *out) {
    uint32_t links[GRAPH_DEGREE], rows[GRAPH_DEGREE], gone[GRAPH_DEGREE], lost = 0;
    uint32_t row = elder_row(elder, old), count = load(elder, old, links, rows);
    struct inherited list = {.ids = out};
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i] != GRAPH_NONE) {
            take(&list, rows[i]);
        } else {
            gone[lost++] = links[i];
        }
    }
    if (lost * LOST_SHARES > count) {
        return 0;
    }
    for (uint32_t i = 0; i < lost; i++) {
        take_behind(elder, gone[i], row, (GROWING - list.count) / (lost - i), &list);
    }
    for (uint32_t i = 0; i < list.count / 2; i++) { /* walks read the last ones: the row's own */
        uint32_t swapped = out[i];
        out[i] = out[list.count - 1 - i];
        out[list.count - 1 - i] = swapped;
    }
    return list.count;
}
