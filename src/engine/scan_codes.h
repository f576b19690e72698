/* Which vectors of an extent get 1-bit codes, so that searches scan those instead of rows. */
#ifndef INS_ENGINE_SCAN_CODES_H
#define INS_ENGINE_SCAN_CODES_H

#include "engine/engine_private.h"
#include "segment/scans.h"

/* Of `shapes` [count], which the schema has. out [count]; returns how many. `schema` may be NULL.
 */
uint32_t scan_codes_wanted(const struct ins_db *db, const struct schema *schema,
                           uint64_t incarnation, const struct vector_shape *shapes, uint32_t count,
                           struct extent_scan *out);

#endif
