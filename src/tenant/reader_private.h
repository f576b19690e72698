/* What the files of the reader share. */
#ifndef INS_TENANT_READER_PRIVATE_H
#define INS_TENANT_READER_PRIVATE_H

#include "tenant/reader.h"

/* A pinned tenant reads its own islands, not those that it shares: their blocks are of CACHE_KEPT.
 */
static inline bool reader_keeps(const struct reader *reader) {
    const struct island *island = reader->island;
    return reader->waiter != NULL && reader->waiter->keeps &&
           (island_is_tenant(island) || island->scope->directory == NULL);
}

/* Of a section that every extent may have, as its chunks are held: on the way of every id that is
 * looked up, hence inline. Others: reader_slot_chunks. */
static inline struct chunks section_chunks(const struct reader_run *run, enum section_kind kind) {
    const struct reader_chunks *section = &run->sections[kind];
    return (struct chunks){.chunks = section->chunks,
                           .chunk_bytes = run->extent.sections[kind].chunk_bytes,
                           .chunk_count = section->count};
}

#endif
