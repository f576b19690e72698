/* What the tables of islands and files must agree on; for tests. */
#include "base/assert.h"
#include "tenant/island.h"

static uint64_t named_bytes(const struct islands *islands, uint32_t slot, uint32_t *out_runs) {
    uint64_t bytes = 0;
    const struct table *table = &islands->by_incarnation;
    *out_runs = 0;
    for (uint64_t bucket = 0; bucket < table->bucket_count; bucket++) {
        for (const struct table_node *node = table_bucket(table, bucket); node != NULL;
             node = node->next) {
            const struct island *island = (const struct island *)(const void *)node;
            for (uint32_t i = 0; i < island->run_count; i++) {
                bool named = island->runs[i].file_slot == slot;
                bytes += named ? run_bytes(&island->runs[i]) : 0;
                *out_runs += named;
            }
        }
    }
    return bytes;
}

void islands_check(const struct islands *islands) {
    const struct files *files = islands->files;
    uint64_t bytes = 0, named = 0, live = 0, runs = 0;
    for (uint32_t slot = 0; slot < files->slot_count; slot++) {
        const struct file_slot *file = files_at(files, slot);
        uint32_t run_count;
        if (!file->used) {
            continue;
        }
        INS_ASSERT(named_bytes(islands, slot, &run_count) == file->live_bytes);
        INS_ASSERT(run_count == file->runs);
        INS_ASSERT(file->live_bytes <= file->info.size_bytes);
        bytes += file->info.size_bytes;
        named += run_count > 0 ? file->info.size_bytes : 0;
        live += file->live_bytes;
        runs += run_count;
    }
    INS_ASSERT(bytes == files->bytes);
    INS_ASSERT(named == files->named_bytes);
    INS_ASSERT(live == files->live_bytes);
    INS_ASSERT(runs == islands->run_count);
}
