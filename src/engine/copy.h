/* Copies of tenants: insula/transfer.h's ins_tenant_copy(), and those that a start finds noted. */
#ifndef INS_ENGINE_COPY_H
#define INS_ENGINE_COPY_H

#include "engine/engine_private.h"

#define COPIES_MAX 16u /* at once: each holds a piece of 2 MiB */

/* At the end of a recovery: copies that were under way begin anew. */
void copies_resume(struct ins_db *db);

/* ---- copy_note.c ---- */

/* The change of settings that brings the note of the copy from `collection`, `name` to `to`, or
 * takes it away; in the pool, NULL data when memory is out. */
ins_text copy_note_settings(struct pool *pool, const ins_copy_request *note, bool there);
/* Back: sets collection, name, to and incarnation. False: it is no note of a copy. */
bool copy_note_read(ins_text note, struct pool *pool, ins_copy_request *out);

#endif
