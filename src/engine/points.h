/* Between the files of points' operations. */
#ifndef INS_ENGINE_POINTS_H
#define INS_ENGINE_POINTS_H

#include "insula.h"

/* Deletes request->ids. Those that were written above `unless_newer` stay (UINT64_MAX: none do). */
void points_delete_ids(ins_db *db, const ins_points_request *request, uint64_t unless_newer,
                       ins_call *call);

#endif
