/* What requests about one tenant have in common. */
#ifndef INS_ENGINE_TENANTS_H
#define INS_ENGINE_TENANTS_H

#include "engine/engine_private.h"

/* The field whose values form tenants, or NULL. */
const struct schema_field *tenants_field(const struct schema *schema);
/* INS_INVALID: the collection has no such field. */
ins_status tenants_none(ins_text collection, ins_error *error);

#endif
