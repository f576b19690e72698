/* Memory of the request path. Up to 2 MiB comes from the database's arena (ins_db_alloc), so that
 * it is charged to the budget; larger pieces (bodies and answers that must be contiguous) are
 * mapped one by one, counted in the budget, too (ins_db_hold), and their sum is capped.
 * Threads: any. */
#ifndef INS_API_HEAP_H
#define INS_API_HEAP_H

#include <stdatomic.h>
#include <stddef.h>

#include "insula.h"

#define HEAP_PIECE_MAX (2u << 20)
#define HEAP_LARGE_MIN (64ull << 20) /* one largest body and one large answer always fit */
#define HEAP_LARGE_SHARE 16u         /* of the memory budget: the cap on large pieces */

struct heap {
    ins_db *db;
    _Atomic size_t large_used;
};

void heap_init(struct heap *heap, ins_db *db);
/* The cap on the sum of large pieces; it follows the budget. */
size_t heap_large_max(const struct heap *heap);
/* Not zeroed; 64-byte aligned. NULL when the share is used up. */
void *heap_alloc(struct heap *heap, size_t size);
void heap_free(struct heap *heap, void *memory,
               size_t size); /* takes NULL; size as at allocation */
/* A larger piece with the first `used` bytes of the old one, which is freed; NULL: old unchanged.
 */
void *heap_grow(struct heap *heap, void *old, size_t old_size, size_t used, size_t new_size);

#endif
