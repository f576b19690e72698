/* Collections by name, with the messages that users see. */
#ifndef INS_ENGINE_NAMES_H
#define INS_ENGINE_NAMES_H

#include "engine/engine_private.h"

/* INS_NOT_FOUND with Qdrant's words. */
ins_status names_absent(ins_text name, ins_error *error);
/* A new name of a collection or alias by Qdrant's rule; `field` is what the message calls it. */
INS_MUST_USE ins_status names_check(const char *field, ins_text name, ins_error *error);
/* A collection's name or alias. `for_write`: as writers see it. Not pinned. */
INS_MUST_USE ins_status names_find_scope(struct ins_db *db, ins_text name, bool for_write,
                                         struct scope **out_scope, ins_error *error);

#endif
