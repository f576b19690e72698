/* Points of an island in id order, a page at a time. */
#ifndef INS_TENANT_PAGE_H
#define INS_TENANT_PAGE_H

#include "tenant/reader.h"

#define PAGE_MAX 1024u

/* Rows of mem[which] with id >= start (`behind`: > start) that are the newest visible of their id
 * there (tombstones and directory entries included): the `capacity` smallest, ascending. Cost:
 * every row of the island in that memtable. */
uint32_t page_memtable(const struct reader *reader, uint32_t which, const ins_id *start,
                       bool behind, const struct memrow **out, uint32_t capacity);

/* The reader's page_rows (and with `entries` page_entries) hold `capacity` each. INS_FULL. */
INS_MUST_USE ins_status page_reserve(struct reader *reader, uint32_t capacity, bool entries,
                                     ins_error *error);

/* After reader_load: the `capacity` <= PAGE_MAX smallest ids >= start that are points; fewer: the
 * end. INS_FULL when there is no memory for the memtables' rows. */
INS_MUST_USE ins_status page_points(struct reader *reader, const ins_id *start, struct place *out,
                                    uint32_t capacity, uint32_t *out_count, ins_error *error);

#endif
