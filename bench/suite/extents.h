/* Where tenants' bytes lie in a server's data directory, and direct reads of them: what the device
 * takes for the bytes that a cold query needs. Only for a server that has flushed and is quiet. */
#ifndef INS_BENCH_SUITE_EXTENTS_H
#define INS_BENCH_SUITE_EXTENTS_H

#include "../bench.h"

struct extent_place {
    uint64_t incarnation, low, high; /* of an island, and the interval of versions */
    uint64_t offset, bytes;
    uint32_t file; /* index into files */
    bool hidden;   /* another one of the island covers it */
};

struct extents {
    struct extent_place *places; /* [count], by incarnation, then newest first */
    uint32_t count, capacity;
    int *files; /* [file_count], opened O_DIRECT */
    uint32_t file_count;
    uint8_t *buffer;
};

/* Reads the directories of all segments in `data`. False: said on the standard error. */
bool extents_open(struct extents *extents, const char *data);
void extents_close(struct extents *extents); /* takes a zeroed one */

/* Reads the island's extents, whole pages, up to 1 MiB at once. Adds to *out_reads and *out_bytes.
 * False: it has none, or a read failed, which is said. */
bool extents_read(struct extents *extents, uint64_t incarnation, uint64_t *out_reads,
                  uint64_t *out_bytes);

#endif
