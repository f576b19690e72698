/* What the files of the reader share. */
#ifndef INS_TENANT_READER_PRIVATE_H
#define INS_TENANT_READER_PRIVATE_H

#include "tenant/reader.h"

/* It reads an island of its tenant's, not one that several share. */
static inline bool reader_owns(const struct reader *reader) {
    const struct island *island = reader->island;
    return island_is_tenant(island) || island->scope->directory == NULL;
}

/* The blocks of a pinned tenant's own islands are of CACHE_KEPT. */
static inline bool reader_keeps(const struct reader *reader) {
    return reader->waiter != NULL && reader->waiter->keeps && reader_owns(reader);
}

/* cache_pin for what the reader reads: the waiter, which may be NULL, is told whose that is. */
static inline ins_status reader_pin(const struct reader *reader, const struct block_key *key,
                                    enum cache_class class, struct cache_waiter *waiter,
                                    struct block **out_block, const uint8_t **out_data,
                                    ins_error *error) {
    if (waiter != NULL) {
        waiter->owns = reader_owns(reader);
    }
    return cache_pin(reader->context->cache, key, class, waiter, out_block, out_data, error);
}

/* Of headers, small extents and directories; of a chunk of a large extent, whose raw values and
 * payload are many times its codes. */
enum cache_class reader_class(const struct reader *reader, uint32_t slot);
enum cache_class reader_chunk_class(const struct reader *reader, const struct extent *extent,
                                    uint32_t slot);
/* Asks for the other blocks of a large extent of few bytes whose header has just come, but for
 * payloads only where there is room. True: some are on their way. */
INS_MUST_USE bool reader_bring_rest(struct reader *reader, const struct extent *extent);

/* Of a section that every extent may have, as its chunks are held: on the way of every id that is
 * looked up, hence inline. Others: reader_slot_chunks. */
static inline struct chunks section_chunks(const struct reader_run *run, enum section_kind kind) {
    const struct reader_chunks *section = &run->sections[kind];
    return (struct chunks){.chunks = section->chunks,
                           .chunk_bytes = run->extent.sections[kind].chunk_bytes,
                           .chunk_count = section->count};
}

#endif
