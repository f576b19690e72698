/* What requests about one tenant have in common. */
#ifndef INS_ENGINE_TENANTS_H
#define INS_ENGINE_TENANTS_H

#include "engine/engine_private.h"

/* The field whose values form tenants, or NULL. */
const struct schema_field *tenants_field(const struct schema *schema);
/* INS_INVALID: the collection has no such field. */
ins_status tenants_none(ins_text collection, ins_error *error);
/* INS_EXISTS: the tenant of that name is not the one that was meant. */
ins_status tenants_other(ins_text name, uint64_t incarnation, uint64_t meant, ins_error *error);
/* INS_EXISTS: its time to live has not passed. */
ins_status tenants_unexpired(ins_text name, ins_error *error);
/* INS_INVALID: a fence of a write that names no tenant. */
ins_status tenants_unnamed(ins_error *error);
/* INS_EXISTS: the tenant that was meant is gone, and no other one has its name. */
ins_status tenants_gone(ins_text name, uint64_t meant, ins_error *error);
/* The highest of its islands' in the collection's scopes, as writers see it; 0: it has none. */
uint64_t tenants_incarnation(const struct islands *islands, const struct scope *collection,
                             ins_text name);

/* Of a tenant's islands in the scopes of a collection. */
struct tenant_span {
    uint64_t lowest, highest; /* 0: it has none */
};
static inline void tenant_span_add(struct tenant_span *span, const struct island *island) {
    uint64_t own = island->incarnation;
    span->lowest = span->lowest == 0 || own < span->lowest ? own : span->lowest;
    span->highest = own > span->highest ? own : span->highest;
}
/* It was known by `meant`, the highest at that time. First points in another shard key add an
 * island above that; a deletion takes all, and whoever is made behind it has none up to there. */
static inline bool tenant_span_has(const struct tenant_span *span, uint64_t meant) {
    return span->lowest <= meant && meant <= span->highest;
}
struct tenant_span tenants_span(const struct islands *islands, const struct scope *collection,
                                ins_text name);

#endif
