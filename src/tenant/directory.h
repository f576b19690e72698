/* A scope's id directory: in which island does an id live?
 *
 * The newest entry for an id is the only island where it can be; that island decides whether it is.
 * Lookups go memtables first, then runs newest first: filter, block index, one 4 KiB block. */
#ifndef INS_TENANT_DIRECTORY_H
#define INS_TENANT_DIRECTORY_H

#include "tenant/reader.h"

/* Looks one id up through an open reader on the scope's directory island. *out_incarnation 0 when
 * the id was never written. INS_AGAIN as in reader.h. */
INS_MUST_USE ins_status directory_find(struct reader *reader, const ins_id *id,
                                       uint64_t *out_incarnation, ins_error *error);

/* Brings what a look-up of the id will touch first into the processor's caches, as far as it is at
 * hand: memtable buckets and filters' words. Changes nothing, waits for nothing. */
void directory_prefetch(const struct reader *reader, const ins_id *id);

/* Ascending ids from `start` on: fills up to `capacity` entries, merged over memtables and runs,
 * newest entry of each id. *out_count < capacity means the end was reached. */
INS_MUST_USE ins_status directory_page(struct reader *reader, const ins_id *start,
                                       struct directory_entry *out, uint32_t capacity,
                                       uint32_t *out_count, ins_error *error);

#endif
