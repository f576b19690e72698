/* A store that needs of another nothing but its objects: put-if-absent, ranged get, list, delete;
 * no rename, no append, no overwrite. Cells and the log's sink are made of objects too. So whatever
 * keeps objects (an S3-compatible storage) is a whole store for the engine.
 *
 * Names in the storage:
 *   o-NAME                  an object
 *   c-NAME/<version>        a version of a cell, never replaced; the newest two are kept
 *   l-<file id>/head        a log file: its size in bytes (u64), then its header
 *   l-<file id>/<offset>    what one append wrote there; bytes that nobody wrote are zero
 * Numbers have 16 hex digits. Format: docs/FORMATS.md "Over objects".
 *
 * Whoever comes second loses: a put of a name that is taken answers INS_EXISTS, so a node that was
 * replaced cannot write the log's next object, nor the manifest's next version. A put that failed
 * may have happened: a cell and the log then refuse until a restart, as in a directory. */
#ifndef INS_STORE_OBJECTS_H
#define INS_STORE_OBJECTS_H

#include "store/store.h"

/* `objects` is owned from then on, also when this fails (INS_FULL: no memory); of its calls only
 * those for objects are used, and close. */
ins_status store_over_objects_open(ins_store *objects, ins_store **out_store);
bool store_is_over_objects(const ins_store *store);
/* The storage below. */
ins_store *store_over_objects_below(ins_store *store);
/* What a new process would know: nothing. For the simulator, whose process ends and not the store.
 */
void store_over_objects_restart(ins_store *store);

#endif
