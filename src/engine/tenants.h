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

#endif
