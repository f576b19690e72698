/* A budget is divided into fixed shares, so that one purpose cannot starve another and "is there
 * room?" has one answer. What is not the arena's is the rest: code, stacks, the parser, the C
 * library's heap. */
#include "engine/engine.h"

#include "base/limits.h"

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high) {
    return value < low ? low : value > high ? high : value;
}

void budget_divide(uint64_t budget, uint64_t generation_bytes, struct budget_shares *out) {
    uint64_t rest = clamp(budget / 16, 32 * INS_MIB, 128 * INS_MIB);
    out->arena_bytes = (budget - rest) / INS_PAGE_BYTES * INS_PAGE_BYTES;
    out->generation_bytes =
        generation_bytes != 0 ? generation_bytes : clamp(budget / 16, 8 * INS_MIB, 128 * INS_MIB);
    uint64_t *share = out->purpose;
    share[INS_MEM_CATALOG] = clamp(budget / 16, 24 * INS_MIB, 4096 * INS_MIB);
    /* Two generations, a quarter for their tables, and one more that views still hold. */
    share[INS_MEM_MEMTABLE] = out->generation_bytes * 5 / 2 + 2 * INS_MIB;
    share[INS_MEM_LOG] = clamp(budget / 24, 10 * INS_MIB, 128 * INS_MIB);
    share[INS_MEM_CONNECTION] = clamp(budget / 16, 16 * INS_MIB, 256 * INS_MIB);
    share[INS_MEM_QUERY] = clamp(budget / 10, 24 * INS_MIB, 512 * INS_MIB);
    share[INS_MEM_JOB] = clamp(budget / 16, 44 * INS_MIB, 96 * INS_MIB);
    share[INS_MEM_GRAPH] = 0; /* the cache lends it */
    uint64_t used = 0;
    for (int purpose = 0; purpose < INS_MEM_PURPOSE_COUNT; purpose++) {
        used += purpose == INS_MEM_CACHE ? 0 : share[purpose];
    }
    share[INS_MEM_CACHE] = used < out->arena_bytes ? out->arena_bytes - used : 0;
}
