/* Every limit of the engine in one place, with its reason. */
#ifndef INS_BASE_LIMITS_H
#define INS_BASE_LIMITS_H

#include <stdint.h>

#define INS_KIB (1ull << 10)
#define INS_MIB (1ull << 20)
#define INS_GIB (1ull << 30)

/* Memory */
#define INS_PAGE_BYTES (2u << 20)      /* a huge page; the arena commits and carves in these */
#define INS_BLOCK_BYTES_MAX (2u << 20) /* no allocation is larger, so nothing fragments */

/* Names and values */
#define INS_NAME_BYTES_MAX 255   /* Qdrant's limit for collection names */
#define INS_TENANT_BYTES_MAX 255 /* longer tenant values live in the common island */
#define INS_DIM_MAX 65536        /* Qdrant's limit; one f32 row is 256 KiB and fits every chunk */
#define INS_VECTORS_MAX 64u      /* of one collection: a row's vectors are a 64-bit set */
#define INS_VECTOR_NAME_BYTES_MAX 200 /* Qdrant's limit */
#define INS_VECTOR_BYTES_MAX                                                                       \
    (768u << 10) /* of one point: with the largest payload its row fits a block */
#define INS_MULTI_NUMBERS_MAX                                                                      \
    (384u << 10) /* of one multivector, a point's or a query's: as floats they fit a block */
#define INS_PAYLOAD_BYTES_MAX (1u << 20)
#define INS_JSON_DEPTH_MAX 64 /* of payloads and bodies; bounds every recursion */
#define INS_FIELDS_MAX 64     /* payload fields with an index in one collection */
#define INS_ALIASES_MAX 1024u /* of one collection: they are dropped with it, in one record */
#define INS_ALIAS_CHANGES_MAX                                                                      \
    256u /* in one request: each is compared with those before it                                  \
          */
#define INS_MERGE_MEMBERS_MAX                                                                      \
    2048u /* of metadata that is merged: each is compared with all                                 \
           */
#define INS_CHANGES_MAX                                                                            \
    16u /* by filter and of many records, at once: all go on after a restart, 1.5 MiB each */
#define INS_FILTER_DEPTH_MAX 16 /* nested filters */
#define INS_FILTER_CONDITIONS_MAX 4096
#define INS_FILTER_ROW_BYTES_MAX                                                                   \
    (16u << 20) /* of payload that conditions walk over for one row: nobody waits long for it */
#define INS_LIMIT_MAX 10000000u /* asked-for hits; memory admits far fewer */
#define INS_BATCH_POINTS_MAX                                                                       \
    16384u /* points or ids of one write: its tables fit one block each                            \
            */

#define INS_BATCH_UPDATES_MAX                                                                      \
    4096u /* operations of one batch: a table of some 2 MiB when decoded */

/* Log */
#define INS_LOG_PAGE 4096u /* a frame is padded to this: the sector of the slowest disk */
#define INS_LOG_FRAME_BYTES_MAX INS_BLOCK_BYTES_MAX /* one write, from one block of the arena */
#define INS_LOG_BATCH_BYTES_MAX                                                                    \
    (INS_LOG_FRAME_BYTES_MAX - 64u) /* what the frame adds, rounded up */
#define INS_LOG_BATCH_RECORDS_MAX 4096u
#define INS_LOG_FRAGMENT_BYTES_MAX                                                                 \
    (1u << 20) /* larger records are cut, so a small one never waits long */
#define INS_LOG_RECORD_BYTES_MAX                                                                   \
    (64u << 20) /* replay joins the fragments of one record in memory */
#define INS_LOG_FILE_BYTES_DEFAULT (64u << 20)
#define INS_LOG_FILE_BYTES_MIN (256u << 10)

/* Segments */
#define INS_SMALL_EXTENT_BYTES (64u << 10)
#define INS_SMALL_EXTENT_ROWS 64u
#define INS_SMALL_EXTENT_BYTES_MAX (1u << 20)
#define INS_CHUNK_BYTES                                                                            \
    (512u << 10)              /* a large section is read, hashed, cached and evicted in these */
#define INS_RUNS_MAX 16u      /* of one island */
#define INS_RUNS_MERGE 8u     /* more are merged (decision 0012) */
#define INS_RUNS_DIRECTORY 6u /* of an id directory: each costs a look-up a filter */
#define INS_RUNS_SEARCHED 3u  /* a search that finds more marks the island as searched */
#define INS_DIRECTORY_BLOCK 4096u
#define INS_FILES_MAX 16384u /* named by a manifest */

/* Threads. The background lane has no lower priority: a flush that waits for the CPU ends in
 * refused writes (decision 0009). */
#define INS_BACKGROUND_NICE 0

_Static_assert(INS_DIM_MAX * sizeof(float) <= INS_CHUNK_BYTES, "a row fits a chunk");
_Static_assert(INS_VECTOR_BYTES_MAX + INS_PAYLOAD_BYTES_MAX < INS_BLOCK_BYTES_MAX - (64u << 10),
               "a row of the memtable fits a block");
_Static_assert(INS_MULTI_NUMBERS_MAX * sizeof(float) < INS_BLOCK_BYTES_MAX - (64u << 10),
               "a multivector as floats fits a block");
_Static_assert(INS_LOG_FRAGMENT_BYTES_MAX < INS_LOG_BATCH_BYTES_MAX, "a fragment fits a batch");

#endif
