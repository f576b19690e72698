/* The database behind insula.h: catalog, operations, recovery, jobs. Who links the engine includes
 * insula.h; this header is for its tests and for check. */
#ifndef INS_ENGINE_ENGINE_H
#define INS_ENGINE_ENGINE_H

#include "insula.h"

struct budget_shares {
    uint64_t arena_bytes;
    uint64_t purpose[INS_MEM_PURPOSE_COUNT];
    uint64_t generation_bytes;
};

/* How a memory budget is divided; decisions/0005. */
void budget_divide(uint64_t budget, uint64_t generation_bytes, struct budget_shares *out);

#endif
