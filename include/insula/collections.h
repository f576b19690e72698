/* Collections, their vectors, field indexes and shard keys, and aliases of them. Part of insula.h:
 * include that. */
#ifndef INSULA_COLLECTIONS_H
#define INSULA_COLLECTIONS_H

#include "insula/call.h"
#include "insula/database.h"
#include "insula/values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Collections ------------------------------------------------------------------------- */

typedef struct ins_collection_request {
    ins_text collection;
    /* create */
    uint32_t dim; /* above 0: an unnamed float32 vector without settings, beside `vectors` */
    ins_distance distance;
    const ins_vector_params *vectors; /* names differ */
    size_t vector_count;
    /* JSON objects or absent. Settings with {"insula": {"point_ids": "tenant"}}: ids are within
     * tenants, from the creation on. */
    ins_text settings, metadata;
    bool sharded;            /* create: its points lie under shard keys */
    bool with_shards;        /* get */
    ins_shard_key shard_key; /* shard key create and delete */
    /* index create and delete */
    ins_text field;
    ins_text schema; /* JSON */
    bool is_tenant;
    bool is_uuid; /* the field's values are UUIDs, compared in canonical form */
} ins_collection_request;

INS_API void ins_collection_create(ins_db *db, const void *collection_request, ins_call *call);
/* Merges into what the collection has: `settings` and each of `vectors`' settings (their dimension
 * and distance stay as they are) by members, and by members of members that are objects; `metadata`
 * by members. null takes a member out. */
/* `vectors` [1]: the one that is added; of the one that is dropped the name alone counts. Points
 * lack a vector that was added until they are given it; what a dropped one held is gone. */
INS_API void ins_vector_create(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_vector_delete(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_collection_update(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_collection_delete(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_collection_get(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_collection_exists(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_collection_list(ins_db *db, const void *unused, ins_call *call);
INS_API void ins_index_create(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_index_delete(ins_db *db, const void *collection_request, ins_call *call);
/* Shard keys of a collection that is `sharded`. Within each of them ids are unique, and a tenant
 * field forms islands of its own. Deleting one takes its points along: one row of the catalog,
 * however many they are. INS_INVALID: not such a collection, there already, or not there. */
INS_API void ins_shard_key_create(ins_db *db, const void *collection_request, ins_call *call);
INS_API void ins_shard_key_delete(ins_db *db, const void *collection_request, ins_call *call);

/* ---- Aliases ----------------------------------------------------------------------------- */

/* Another name of a collection, taken wherever a collection's name is, but by create and delete. A
 * collection that is deleted takes its aliases along. */
typedef struct ins_alias {
    ins_text alias, collection;
} ins_alias;

typedef struct ins_alias_change {
    enum { INS_ALIAS_CREATE, INS_ALIAS_DELETE, INS_ALIAS_RENAME } kind;
    ins_text alias;  /* of all three; created over one that exists it leads elsewhere */
    ins_text target; /* create: the collection; rename: the new name */
} ins_alias_change;

typedef struct ins_alias_request {
    const ins_alias_change *changes; /* all or nothing, in this order */
    size_t change_count;
    ins_text collection; /* list: of this collection; absent: all */
} ins_alias_request;

INS_API void ins_aliases_change(ins_db *db, const void *alias_request, ins_call *call);
INS_API void ins_aliases_list(ins_db *db, const void *alias_request, ins_call *call);

#ifdef __cplusplus
}
#endif
#endif
