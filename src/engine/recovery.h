/* Recovery: manifest -> directories of the files -> catalog -> runs -> log.
 *
 * No extent but the catalog's is read. Of two extents of one island whose intervals lie one inside
 * the other the larger hides the smaller (of equal ones the newer file wins): that is how a merge's
 * output takes the place of its inputs without a record per extent. */
#ifndef INS_ENGINE_RECOVERY_H
#define INS_ENGINE_RECOVERY_H

#include "engine/engine_private.h"

INS_MUST_USE ins_status recovery_run(struct ins_db *db, ins_error *error);

#endif
