/* The tenants of a collection as objects: seen, limited, renamed, deleted. Part of insula.h:
 * include that. */
#ifndef INSULA_TENANTS_H
#define INSULA_TENANTS_H

#include "insula/call.h"
#include "insula/database.h"
#include "insula/values.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A value of the collection's tenant field that has an island, in all shard keys together. */
typedef struct ins_tenant {
    ins_text name;
    /* Given to it with its first point and to no other: a tenant of the same name that is made
     * after a deletion has a higher one. A rename leaves it. Of several shard keys the highest. */
    uint64_t incarnation;
    uint64_t points_max;  /* its points are at most so many: versions and deletions count too */
    uint64_t memory_rows; /* of these not yet in segments */
    uint64_t runs;
    uint64_t disk_bytes; /* of its runs */
    bool expires;        /* get: it has a time to live, of which so much is left */
    uint64_t expires_in_s;
} ins_tenant;

/* What a tenant may use, and how many turns it gets beside others. 0 = no limit. */
typedef enum { INS_PRIORITY_NORMAL = 0, INS_PRIORITY_LOW, INS_PRIORITY_HIGH } ins_priority;

typedef struct ins_quota {
    uint64_t queries_per_second;
    uint64_t writes_per_second;     /* points written or deleted */
    uint64_t scan_bytes_per_second; /* of vectors that searches compared */
    uint64_t stored_bytes;          /* in segments; beyond it points can only be deleted */
    ins_priority priority;
    bool pin; /* what it needs leaves memory last, as far as half of the cache's share goes */
    /* Bytes of the cache. Of what it reads so much stays, whatever others read, last used first;
     * all floors together are a quarter of the cache's share at most. Above the ceiling its own
     * leaves first, so that it takes no more from others. */
    uint64_t memory_floor, memory_ceiling;
    /* Seconds; a tenant to which nothing was written for so long is deleted. They are seconds for
     * which the server ran, from the last write or from when this was set. Only of tenants that are
     * values of a tenant field. */
    uint64_t ttl_s;
    uint64_t ttl_from_s; /* when it was set, on the server's own count; ignored when it is set */
} ins_quota;

#define INS_QUOTA_MAX 1000000000000000ull /* of each of these numbers, but for */
#define INS_TTL_S_MAX 3153600000ull       /* a hundred years */
#define INS_CEILING_MIN (16ull << 20)     /* what one read may need at once, as a whole cache has */

/* What a tenant has and did. */
typedef struct ins_tenant_usage {
    uint64_t points;                                    /* exactly */
    uint64_t points_max, memory_rows, runs, disk_bytes; /* as ins_tenant has them */
    uint64_t live_bytes_min; /* at least so many of disk_bytes are of points that count */
    /* Since `since_s` seconds; all 0 when it was not active since then. */
    bool active;
    uint64_t since_s;
    uint64_t queries, writes, points_written, rows_scanned, bytes_scanned, time_ns, refused;
    /* Of flushes, merges and graphs that it caused: time of the background lane, bytes in files. */
    uint64_t background_ns, background_bytes;
} ins_tenant_usage;

/* What a warming brought. */
typedef struct ins_warmed {
    uint64_t islands, extents; /* that it looked at */
    uint64_t bytes;            /* of them at hand, when they were looked at, and of these */
    uint64_t loaded_bytes;     /* were not before */
    uint64_t limit_bytes;      /* it brings no more at once: half of the cache's share */
    bool complete;             /* all that there is */
} ins_warmed;

#define INS_WARMINGS_MAX 8u /* under way in the background */

#define INS_TENANTS_LIMIT_MAX 1000u

typedef struct ins_tenants_request {
    ins_text collection;
    ins_text name; /* get and delete: this one; list: absent */
    /* list: those that begin with `prefix` and come after `after`, by bytes; both may be absent */
    ins_text prefix, after;
    uint32_t limit;
    ins_quota quota; /* set */
    ins_text to;     /* rename: the next name */
    /* get, delete, rename: the tenant that is meant; 0 = whichever has the name. INS_EXISTS when
     * another one has it by now; nothing is changed then. */
    uint64_t incarnation;
    bool if_expired; /* delete: only when its time to live has passed; INS_EXISTS when not */
    bool no_wait;    /* warm: the answer comes when it has begun, with call->warmed NULL */
} ins_tenants_request;

/* call->tenants, ascending by the bytes of their names; call->found: there are more behind them.
 * Cost: a look at every island of the collection a page, in slices. INS_INVALID: the collection has
 * no tenant field, or the limit is none. */
INS_API void ins_tenants_list(ins_db *db, const void *tenants_request, ins_call *call);
/* call->tenants [1]. INS_NOT_FOUND: no point has that value. */
INS_API void ins_tenant_get(ins_db *db, const void *tenants_request, ins_call *call);
/* Deletes its points: one row of the catalog in each shard key, however many they are.
 * call->tenants [1]: name and incarnation of what went (0: there was nothing); call->lsn is the
 * receipt for ins_erasure_get. INS_INVALID as above; nothing happens when it has no points. */
INS_API void ins_tenant_delete(ins_db *db, const void *tenants_request, ins_call *call);
/* Gives it the name `to`: one row of the catalog in each shard key, however many points there are.
 * Its points come with the new name in their tenant field from then on; a write with the old one
 * makes another tenant. Its own quota goes with it, unless the new name has one. INS_NOT_FOUND: no
 * point has that value; INS_EXISTS: there is a tenant `to`; INS_INVALID as above;
 * INS_UNPROCESSABLE: no point could have the value `to`. Points whose tenant field is no single
 * text that forms tenants keep it. */
INS_API void ins_tenant_rename(ins_db *db, const void *tenants_request, ins_call *call);
/* Of the tenant `name`: a value of the tenant field, or, in a collection that is sharded and has no
 * such field, a shard key. Name absent: of every tenant that has no quota of its own, and of the
 * collection itself when it has no tenants. Set replaces all of it; clear takes it away. They are
 * kept with the collection's settings, and count from the next request on. INS_INVALID: the
 * collection has no tenants, or `pin` or `memory_floor` is set of all of them; INS_TOO_LARGE: its
 * quotas do not fit its settings any more; INS_FULL: the pinned tenants of the collection would
 * have more bytes on disk than half of the cache's share. */
INS_API void ins_tenant_quota_set(ins_db *db, const void *tenants_request, ins_call *call);
INS_API void ins_tenant_quota_clear(ins_db *db, const void *tenants_request, ins_call *call);
/* call->quota: what counts; call->found: it is the tenant's own (name absent: it is set). */
INS_API void ins_tenant_quota_get(ins_db *db, const void *tenants_request, ins_call *call);
/* call->usage. Reads what the exact count needs. Name as above; absent: the whole collection. */
INS_API void ins_tenant_usage_get(ins_db *db, const void *tenants_request, ins_call *call);
/* Brings what searches of the tenant read into memory, first what is read of every search (ids,
 * codes, graphs, field indexes), then values and payloads; little at a time, so that others' reads
 * pass. call->warmed. Name as above; absent: the whole collection. INS_EXHAUSTED: no_wait, and
 * INS_WARMINGS_MAX are under way. */
INS_API void ins_tenant_warm(ins_db *db, const void *tenants_request, ins_call *call);

#ifdef __cplusplus
}
#endif
#endif
