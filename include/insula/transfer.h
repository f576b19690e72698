/* A tenant leaves and comes back: its points as a file, in pieces. Part of insula.h: include that.
 */
#ifndef INSULA_TRANSFER_H
#define INSULA_TRANSFER_H

#include "insula/call.h"
#include "insula/database.h"
#include "insula/values.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How far an export has come: the caller's, zeroed before the first piece, the engine's between. */
typedef struct ins_export {
    uint64_t incarnation, scope; /* of the tenant; the scope that is being read */
    uint64_t lsn_first, lsn_last;
    uint64_t points, newer; /* in the pieces so far; of them written since lsn_first */
    uint64_t chain, shape;  /* of the pieces; of the collection's vectors */
    ins_id from;            /* in that scope: the first id that did not come yet */
    uint32_t frames;
    bool begun, in_scope;
} ins_export;

/* Of the tenant `name`: a value of the tenant field, or, in a collection that is sharded and has no
 * such field, a shard key; absent: of a collection that has neither. */
typedef struct ins_export_request {
    ins_text collection, name;
    uint64_t incarnation; /* the tenant that is meant; 0 = whichever has the name */
    ins_export *state;
} ins_export_request;

/* call->bytes: the next piece of the tenant's file ("Tenant file" in docs/FORMATS.md), at most
 * 2 MiB; call->found: others follow. Nothing is held between two pieces, so it does not matter how
 * long they lie apart: each piece has its points as they were when it was made, in the order of
 * ids. After INS_OK the state stands behind the piece; after a failure where it stood.
 * INS_NOT_FOUND as ins_tenant_get; INS_EXISTS: the tenant was deleted or renamed since, or is not
 * the one that was meant. */
INS_API void ins_tenant_export(ins_db *db, const void *export_request, ins_call *call);

typedef struct ins_import_request {
    ins_text collection, name; /* as above; a shard key must be there */
    ins_text bytes;            /* a tenant's file; borrowed until done has run */
    ins_text head; /* the file's head frame, when a part's `bytes` have only what follows it */
    bool part;  /* it begins with the file's head, then blocks that follow one another; neither the
                   first ones nor the end need be there */
    bool merge; /* the tenant may have points: those of the same ids are replaced */
    uint64_t incarnation; /* not 0: it may have them if it is this one */
} ins_import_request;

/* Writes what the file holds, ids and vectors bit for bit, by ordinary writes of up to 256 points:
 * the whole file is looked at before the first of them. call->count: points; call->tenants [1]: the
 * tenant. Done again it does the same again, so what a crash cut short is repeated with `merge`.
 * INS_INVALID: the file is damaged, cut or of vectors that the collection does not have, and
 * nothing has changed; INS_EXISTS: the tenant has points, or is not the one that was meant; or an
 * id is another tenant's, which keeps it, as ids are unique within a collection or shard key: what
 * was written before that point stays. */
INS_API void ins_tenant_import(ins_db *db, const void *import_request, ins_call *call);

typedef struct ins_copy_request {
    ins_text collection, name; /* the source, as above */
    uint64_t incarnation;
    ins_text to_collection; /* absent: the same */
    ins_text to;            /* the target, as `name` */
    bool no_wait;           /* answers when the copy cannot be lost; else at its end */
} ins_copy_request;

/* Copies a tenant's points, as an export that an import takes: within one database, or to another
 * name. From its first record on it goes on after a restart, from the beginning; readers see points
 * as they come. call->tenants [1], call->count: the target, and what was written (not with
 * no_wait). INS_NOT_FOUND, INS_EXISTS, INS_INVALID as those; INS_EXISTS also: another copy to the
 * same target is under way; INS_EXHAUSTED: as many are as may be. A source or target that is
 * deleted meanwhile ends it, and what was written stays. */
INS_API void ins_tenant_copy(ins_db *db, const void *copy_request, ins_call *call);

#ifdef __cplusplus
}
#endif
#endif
