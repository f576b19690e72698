/* Copies of tenants: insula/transfer.h's ins_tenant_copy(), and those that a start finds noted. */
#ifndef INS_ENGINE_COPY_H
#define INS_ENGINE_COPY_H

#include "engine/engine_private.h"

#define COPIES_MAX 16u /* at once: each holds a piece of 2 MiB */

/* At the end of a recovery: copies that were under way begin anew. */
void copies_resume(struct ins_db *db);

/* One that a start found noted: begins. What is no note of a copy is left alone. */
void copy_resume(struct ins_db *db, const struct scope *scope, ins_text note);

/* ---- copy_note.c ---- */

/* Says so in the log: it failed, and nobody waits for its answer. */
void copy_tell(const struct ins_db *db, const ins_export_request *from, ins_text to_collection,
               const ins_error *error);

/* The change of settings that brings the note of the copy from `collection`, `name` to `to`, or
 * takes it away; in the pool, NULL data when memory is out. */
ins_text copy_note_settings(struct pool *pool, const ins_copy_request *note, bool there);
/* Back: sets collection, name, to and incarnation. False: it is no note of a copy. */
bool copy_note_read(ins_text note, struct pool *pool, ins_copy_request *out);

#endif
