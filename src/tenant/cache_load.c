/* Bringing blocks: what a step has asked for is read together, in the order in which it lies.
 *
 * Path: loads_add puts a block in line (load_lines.h: tenants take turns); the pump, which runs
 * when the step has returned, fills a batch as far as its buffer goes and posts it to the read
 * lane. There blocks that lie near each other become one direct read of whole pages, several reads
 * are under way at once, and each block is cut out and verified. Back on the request lane everybody
 * is told, and the next batch goes. Failure: a joint read that fails is done again block by block,
 * so that it costs those alone whose bytes are gone. Bounded: LOAD_BATCHES buffers; the lines by
 * those who wait in them, who are refused when theirs is late (cache_reads_behind). */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "tenant/cache_private.h"

/* Bytes between two blocks that are read with them: they take less time than one more read. */
#define GAP_BYTES (4 * STORE_ALIGN)

static void pump(ins_task *task);
static void batch_read(ins_task *task);

bool loads_init(struct cache *cache) {
    struct loads *loads = &cache->loads;
    load_lines_init(&loads->lines);
    loads->pump.run = pump;
    for (uint32_t i = 0; i < LOAD_BATCHES; i++) {
        loads->batches[i].cache = cache;
        loads->batches[i].bounce = arena_alloc(cache->arena, INS_MEM_CACHE, LOAD_BYTES);
        if (loads->batches[i].bounce == NULL) {
            return false;
        }
    }
    return true;
}

void loads_fini(struct cache *cache) {
    for (uint32_t i = 0; i < LOAD_BATCHES; i++) {
        arena_free(cache->arena, INS_MEM_CACHE, cache->loads.batches[i].bounce, LOAD_BYTES);
        cache->loads.batches[i].bounce = NULL;
    }
}

static void pump_soon(struct cache *cache) {
    struct loads *loads = &cache->loads;
    if (!loads->pumping && loads->lines.count > 0) {
        loads->pumping = true;
        cache_post(cache, INS_LANE_REQUEST, &loads->pump);
    }
}

static uint64_t now(const struct cache *cache) {
    return cache->runtime->now_ns(cache->runtime->context);
}

void loads_add(struct cache *cache, struct block *block, uint64_t who) {
    struct loads *loads = &cache->loads;
    load_lines_add(&loads->lines, block, who, now(cache));
    loads->under_way++;
    pump_soon(cache);
}

/* ---- Request lane ---- */

uint64_t cache_reads_behind(const struct cache *cache, uint64_t who) {
    uint64_t since_ns = load_lines_since(&cache->loads.lines, who), now_ns = now(cache);
    return since_ns < now_ns ? now_ns - since_ns : 0;
}

/* Whole pages of the file. */
static uint64_t pages_begin(const struct block *block) {
    return block->key.offset & ~(uint64_t)(STORE_ALIGN - 1);
}

static uint64_t pages_end(const struct block *block) {
    return align_up(block->key.offset + block->key.size, STORE_ALIGN);
}

uint64_t load_pages_bytes(const struct block *block) {
    return pages_end(block) - pages_begin(block);
}

static void fill(struct loads *loads, struct load_batch *batch) {
    uint64_t room = LOAD_BYTES;
    batch->count = 0;
    while (batch->count < LOAD_BLOCKS_MAX) {
        struct block *block = load_lines_take(&loads->lines, room);
        if (block == NULL) {
            break;
        }
        room -= load_pages_bytes(block);
        batch->blocks[batch->count++] = block;
    }
    INS_ASSERT(batch->count > 0);
}

static void pump(ins_task *task) {
    struct loads *loads = container_of(task, struct loads, pump);
    loads->pumping = false;
    for (uint32_t i = 0; i < LOAD_BATCHES && loads->lines.count > 0; i++) {
        struct load_batch *batch = &loads->batches[i];
        if (!batch->busy) {
            fill(loads, batch);
            batch->busy = true;
            batch->task.run = batch_read;
            cache_post(batch->cache, INS_LANE_READ, &batch->task);
        }
    }
}

static void batch_done(ins_task *task) {
    struct load_batch *batch = container_of(task, struct load_batch, task);
    struct cache *cache = batch->cache;
    cache->loads.under_way -= batch->count;
    cache->stats.reads += batch->reads;
    cache->stats.read_bytes += batch->read_bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        cache_block_loaded(cache, batch->blocks[i]);
    }
    batch->busy = false;
    pump_soon(cache);
}

/* ---- Read lane ---- */

struct joint_read { /* of blocks [first, first + count) of a sorted batch */
    uint64_t begin, end;
    uint32_t first, count;
};

static int order_blocks(const void *left, const void *right) {
    const struct block *a = *(struct block *const *)left, *b = *(struct block *const *)right;
    if (a->key.file != b->key.file) {
        return a->key.file < b->key.file ? -1 : 1;
    }
    return (a->key.offset > b->key.offset) - (a->key.offset < b->key.offset);
}

/* Blocks that overlap or are near become one read, as long as the buffer holds all. */
static uint32_t join(const struct load_batch *batch, struct joint_read *reads) {
    uint32_t count = 0;
    uint64_t bytes = 0, spare = LOAD_BYTES;
    for (uint32_t i = 0; i < batch->count; i++) {
        bytes += pages_end(batch->blocks[i]) - pages_begin(batch->blocks[i]);
    }
    spare -= bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct block *block = batch->blocks[i];
        uint64_t begin = pages_begin(block), end = pages_end(block);
        struct joint_read *last = count > 0 ? &reads[count - 1] : NULL;
        if (last != NULL && block->key.file == batch->blocks[i - 1]->key.file) {
            uint64_t gap = begin > last->end ? begin - last->end : 0;
            if (gap <= GAP_BYTES && gap <= spare) {
                spare -= gap;
                last->end = end > last->end ? end : last->end;
                last->count++;
                continue;
            }
        }
        reads[count++] = (struct joint_read){.begin = begin, .end = end, .first = i, .count = 1};
    }
    return count;
}

static void take(struct block *block, const char *name, const uint8_t *from) {
    memcpy(block->data, from, block->key.size);
    if (hash64(block->data, block->key.size) != block->key.hash) {
        block->status = ins_fail(block->error, INS_CORRUPT,
                                 "%s: the %u bytes at offset %llu do not match their checksum",
                                 name, block->key.size, (unsigned long long)block->key.offset);
    }
}

static void read_alone(struct cache *cache, struct block *block, const char *name,
                       uint8_t *buffer) {
    uint64_t begin = pages_begin(block);
    block->status = store_get(cache->runtime->store, name, begin, buffer,
                              (size_t)(pages_end(block) - begin), block->error);
    if (block->status == INS_OK) {
        take(block, name, buffer + (block->key.offset - begin));
    }
}

static void finish(struct load_batch *batch, const struct joint_read *read,
                   const struct store_range *range) {
    for (uint32_t i = read->first; i < read->first + read->count; i++) {
        struct block *block = batch->blocks[i];
        block->status = range->status;
        if (range->status == INS_OK) {
            take(block, range->name,
                 (const uint8_t *)range->out + (block->key.offset - read->begin));
        } else if (read->count > 1) { /* of the buffer only this read's part is free */
            read_alone(batch->cache, block, range->name, range->out);
        }
    }
}

static void batch_read(ins_task *task) {
    struct load_batch *batch = container_of(task, struct load_batch, task);
    struct cache *cache = batch->cache;
    struct joint_read reads[LOAD_BLOCKS_MAX];
    struct store_range ranges[LOAD_BLOCKS_MAX];
    char names[LOAD_BLOCKS_MAX][SEGMENT_NAME_MAX];
    uint8_t *at = batch->bounce;
    qsort(batch->blocks, batch->count, sizeof(batch->blocks[0]), order_blocks);
    uint32_t count = join(batch, reads);
    for (uint32_t i = 0; i < count; i++) {
        const struct block *first = batch->blocks[reads[i].first];
        segment_name(first->key.file, names[i]);
        ranges[i] = (struct store_range){.name = names[i],
                                         .offset = reads[i].begin,
                                         .out = at,
                                         .size = (size_t)(reads[i].end - reads[i].begin),
                                         .error = first->error};
        at += ranges[i].size;
    }
    batch->reads = count;
    batch->read_bytes = (uint64_t)(at - batch->bounce);
    INS_ASSERT(batch->read_bytes <= LOAD_BYTES);
    store_get_many(cache->runtime->store, ranges, count);
    for (uint32_t i = 0; i < count; i++) {
        finish(batch, &reads[i], &ranges[i]);
    }
    batch->task.run = batch_done;
    cache_post(cache, INS_LANE_REQUEST, &batch->task);
}
