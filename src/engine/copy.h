/* Copies of tenants: insula/transfer.h's ins_tenant_copy(), and those that a start finds noted. */
#ifndef INS_ENGINE_COPY_H
#define INS_ENGINE_COPY_H

#include "engine/engine_private.h"

#define COPIES_MAX 16u /* at once: each holds a piece of 2 MiB */

/* At the end of a recovery: copies that were under way begin anew. */
void copies_resume(struct ins_db *db);

#endif
