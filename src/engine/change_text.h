/* A change by filter as bytes, for the row of the catalog that outlives a crash ("Changes under
 * way" in docs/FORMATS.md). */
#ifndef INS_ENGINE_CHANGE_TEXT_H
#define INS_ENGINE_CHANGE_TEXT_H

#include "base/bytes.h"
#include "engine/points.h"
#include "mem/mem.h"

/* Encoded; as hexadecimal digits in the row twice as much, and its parts in memory a few times. */
#define CHANGE_BYTES_MAX (320u << 10)

/* Filter, payload and names of `request`. INS_TOO_LARGE beyond CHANGE_BYTES_MAX. */
INS_MUST_USE ins_status change_encode(struct pool *pool, enum points_kind kind,
                                      const ins_points_request *request, struct slice *out,
                                      ins_error *error);
/* The same in the pool; collection and shard keys are the caller's. The bytes may be hostile:
 * INS_CORRUPT. They stay borrowed. */
INS_MUST_USE ins_status change_decode(struct pool *pool, struct slice bytes,
                                      enum points_kind *out_kind, ins_points_request *out,
                                      ins_error *error);

#endif
