#include "api/heap.h"

#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

void heap_init(struct heap *heap, ins_db *db) {
    heap->db = db;
    atomic_init(&heap->large_used, 0);
}

size_t heap_large_max(const struct heap *heap) {
    uint64_t share = ins_db_memory_budget(heap->db) / HEAP_LARGE_SHARE;
    return share < HEAP_LARGE_MIN ? HEAP_LARGE_MIN : share;
}

static void *heap_alloc_large(struct heap *heap, size_t size) {
    size_t most = heap_large_max(heap);
    size_t used = atomic_fetch_add_explicit(&heap->large_used, size, memory_order_relaxed);
    if (used > most || size > most - used || !ins_db_hold(heap->db, size)) {
        (void)atomic_fetch_sub_explicit(&heap->large_used, size, memory_order_relaxed);
        return NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        ins_db_let_go(heap->db, size);
        (void)atomic_fetch_sub_explicit(&heap->large_used, size, memory_order_relaxed);
        return NULL;
    }
    return memory;
}

void *heap_alloc(struct heap *heap, size_t size) {
    INS_ASSERT(size != 0);
    return size <= HEAP_PIECE_MAX ? ins_db_alloc(heap->db, size) : heap_alloc_large(heap, size);
}

void heap_free(struct heap *heap, void *memory, size_t size) {
    if (memory == NULL) {
        return;
    }
    if (size <= HEAP_PIECE_MAX) {
        ins_db_free(heap->db, memory, size);
        return;
    }
    size_t used = atomic_fetch_sub_explicit(&heap->large_used, size, memory_order_relaxed);
    INS_ASSERT(used >= size);
    INS_ASSERT(munmap(memory, size) == 0);
    ins_db_let_go(heap->db, size);
}

void *heap_grow(struct heap *heap, void *old, size_t old_size, size_t used, size_t new_size) {
    INS_ASSERT(used <= old_size);
    INS_ASSERT(new_size > old_size);
    void *memory = heap_alloc(heap, new_size);
    if (memory == NULL) {
        return NULL;
    }
    if (used != 0) {
        memcpy(memory, old, used);
    }
    heap_free(heap, old, old_size);
    return memory;
}
