/* Insula: many tenants' vectors in one process. The engine as a library.
 *
 * This header is the manual. The REST and gRPC servers are written on it alone.
 *
 * Shape of every operation: fill a request, fill the first fields of an `ins_call`, call the
 * function. The function returns at once; later `call->done(call)` runs once, on the lane that the
 * call named, with `status`, `error` and the answer set. Answers belong to the engine until
 * ins_call_release(). Requests and everything that they point to are borrowed until `done` has run.
 *
 * Threads: an operation is started on the request lane only, as a task posted there or by
 * ins_wait(), which moves a call there from any thread and waits. Nothing here blocks but
 * ins_db_open(), ins_db_close(), ins_check() and ins_wait().
 *
 * Durability: a write that answered INS_OK is on disk. Reads see what is durable, nothing else.
 *
 * Errors: `ins_status` says the kind, `ins_error.message` the field, the value and the limit. */
#ifndef INSULA_H
#define INSULA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INS_API __attribute__((visibility("default")))
#define INS_MUST_USE __attribute__((warn_unused_result))

#define INS_VERSION "0.1.0"
#define INS_QDRANT_VERSION "1.19.0" /* the version whose clients are served */

/* ---- Status ------------------------------------------------------------------------------ */

/* X(name, number, text, HTTP code, gRPC code) */
#define INS_STATUS_MAP(X)                                                                          \
    X(OK, 0, "ok", 200, 0)                                                                         \
    X(INVALID, 1, "invalid argument", 400, 3)                                                      \
    X(UNPROCESSABLE, 2, "validation error", 422, 3)                                                \
    X(NOT_FOUND, 3, "not found", 404, 5)                                                           \
    X(EXISTS, 4, "already exists", 409, 6)                                                         \
    X(TOO_LARGE, 5, "too large", 413, 3)                                                           \
    X(EXHAUSTED, 6, "exhausted for now, try again", 429, 8)                                        \
    X(FULL, 7, "no space", 507, 8)                                                                 \
    X(UNAVAILABLE, 8, "unavailable", 503, 14)                                                      \
    X(TIMEOUT, 9, "deadline exceeded", 408, 4)                                                     \
    X(UNSUPPORTED, 10, "not supported", 501, 12)                                                   \
    X(CORRUPT, 11, "damaged data", 500, 15)                                                        \
    X(IO, 12, "input/output error", 500, 13)                                                       \
    X(INTERNAL, 13, "internal error", 500, 13)                                                     \
    X(AGAIN, 14, "waiting for bytes", 500, 13) /* inside the engine only, never in an answer */

#define INS_STATUS_ENUM(name, number, text, http, grpc) INS_##name = (number),
typedef enum ins_status { INS_STATUS_MAP(INS_STATUS_ENUM) } ins_status;
#undef INS_STATUS_ENUM

#define INS_ERROR_MESSAGE_MAX                                                                      \
    480 /* a 255-byte name twice, and the sentence around it, shortened                            \
         */

typedef struct ins_error {
    ins_status status;
    uint32_t retry_after_s; /* with INS_EXHAUSTED and INS_UNAVAILABLE; 0 = do not retry */
    char message[INS_ERROR_MESSAGE_MAX]; /* always terminated */
} ins_error;

INS_API const char *ins_status_text(ins_status status);
INS_API int ins_status_http(ins_status status);
INS_API int ins_status_grpc(ins_status status);
INS_API const char *ins_version(void);

/* ---- Runtime: what the engine needs from the world --------------------------------------- */

/* A lane runs tasks one at a time, in the order in which they were posted. */
enum ins_lane {
    INS_LANE_LOG = 0,        /* writes and syncs the log, nothing else */
    INS_LANE_READ = 1,       /* cold reads, one at a time */
    INS_LANE_BACKGROUND = 2, /* flush and merge, in steps */
    INS_LANE_REQUEST = 3,    /* owns catalog, memtables, views: every call starts here */
    INS_LANE_COUNT = 4       /* lanes from here on are the caller's own: an ins_call may name one */
};

typedef struct ins_task {
    struct ins_task *next; /* owned by the executor while posted */
    void (*run)(struct ins_task *task);
} ins_task;

typedef struct ins_timer {
    struct ins_timer *next; /* owned by the executor while armed */
    uint64_t due_ns;
    bool armed;
    void (*run)(struct ins_timer *timer);
} ins_timer;

typedef struct ins_store ins_store; /* where bytes rest; ins_store_open_directory() */

/* Every member is required. The struct is borrowed for the life of the database. */
typedef struct ins_runtime {
    void *context;
    ins_store *store;
    uint64_t (*now_ns)(void *context);                          /* monotonic; any thread */
    void (*random)(void *context, void *out, size_t size);      /* any thread */
    void (*post)(void *context, uint32_t lane, ins_task *task); /* any thread; without waking */
    void (*wake)(void *context, uint32_t lane); /* any thread; runs what was posted */
    /* One shot, `delay_ns` from now; on the lane itself only. Arming an armed timer moves it. */
    void (*timer)(void *context, uint32_t lane, ins_timer *timer, uint64_t delay_ns);
    void (*timer_stop)(void *context, uint32_t lane, ins_timer *timer);
} ins_runtime;

/* The default runtime: one thread a lane, the system's clock and randomness.
 * Takes no ownership of `store`. Close it after ins_db_close(). */
INS_API INS_MUST_USE ins_status ins_runtime_open_threads(ins_store *store,
                                                         ins_runtime **out_runtime,
                                                         ins_error *error);
INS_API void ins_runtime_close_threads(ins_runtime *runtime);

/* A directory on a local file system, locked against a second process. Makes it when absent. */
INS_API INS_MUST_USE ins_status ins_store_open_directory(const char *path, bool read_only,
                                                         ins_store **out_store, ins_error *error);
INS_API void ins_store_close(ins_store *store);

/* ---- Database ---------------------------------------------------------------------------- */

typedef struct ins_db ins_db;

#define INS_MEMORY_BUDGET_MIN (256ull << 20)

typedef struct ins_options {
    uint64_t memory_budget;    /* bytes of the whole process; 0 = half of the machine or cgroup */
    uint64_t log_file_bytes;   /* 0 = 64 MiB; a multiple of 4 KiB, at least 256 KiB */
    uint64_t generation_bytes; /* 0 = min(128 MiB, budget/16); tests make it small */
    /* What is deleted or overwritten is gone from all files after so long; 0 = 24 h. */
    uint64_t erase_after_ns;
    /* A change by filter of more points than this takes several records, and goes on after a crash;
     * 0 = 4,096, the most. Tests make it small. */
    uint32_t change_points;
    bool no_moves; /* tests: an is_tenant index on a full collection makes no islands */
    /* Bytes of vectors from which on an extent gets a graph, which searches then walk whatever it
     * costs; 0 = by each collection's settings, and by cost; tests make it small. */
    uint64_t graph_bytes_min;
    /* Bytes of vectors from which on an extent gets 1-bit codes, which searches then scan whatever
     * it costs; 0 = 1 MiB, and by cost; tests make it small. */
    uint64_t scan_bytes_min;
    /* Bytes of vectors above which pages of them can be read one by one; 0 = 1 MiB; tests make it
     * small. */
    uint64_t piece_bytes_min;
    bool drop_log; /* an ablation for measurements: acknowledges without a log */
} ins_options;

/* Recovers and opens. Blocks; runs on the calling thread, which counts as the request lane until
 * it returns. INS_CORRUPT names the damaged file and place. */
INS_API INS_MUST_USE ins_status ins_db_open(const ins_options *options, const ins_runtime *runtime,
                                            ins_db **out_db, ins_error *error);
/* Starts a clean shutdown: refuses new work, flushes, then calls done. */
typedef struct ins_call ins_call;
INS_API void ins_db_shutdown(ins_db *db, ins_call *call);
/* Frees everything. After ins_db_shutdown() has completed (clean), or at any time at which no lane
 * runs a task of this database (like a crash: recovery will replay the log). Takes NULL. */
INS_API void ins_db_close(ins_db *db);

/* ---- Points, ids, filters ---------------------------------------------------------------- */

typedef struct ins_id {
    uint64_t high; /* 0 for a number; a UUID's first 8 bytes, big-endian value */
    uint64_t low;  /* the number; a UUID's last 8 bytes */
    bool is_uuid;  /* numbers order before UUIDs */
} ins_id;

typedef enum ins_distance {
    INS_DISTANCE_COSINE = 1, /* vectors are normalised when they are stored; score = dot */
    INS_DISTANCE_DOT = 2,
    INS_DISTANCE_EUCLID = 3,    /* score = Euclidean distance; smaller is nearer */
    INS_DISTANCE_MANHATTAN = 4, /* score = sum of the differences; smaller is nearer */
} ins_distance;

/* What a vector's numbers are stored as; values go in and out as floats. A query's vector is
 * rounded in the same way before it is compared. */
typedef enum ins_datatype {
    INS_FLOAT32 = 1,
    INS_FLOAT16 = 2, /* rounded to the nearest IEEE half; values from 65520 on are refused */
    INS_UINT8 = 3,   /* cut to 0 .. 255, without their fraction; cosine does not normalise them */
} ins_datatype;

typedef struct ins_text {
    const char *data; /* UTF-8, not terminated; NULL = absent */
    size_t size;
} ins_text;

/* A part of a collection that was created with `sharded`. 5 and "5" are two keys. */
typedef struct ins_shard_key {
    ins_text text; /* from 1 to 255 bytes; absent: the key is a number */
    uint64_t number;
} ins_shard_key;

typedef struct ins_value { /* of a condition */
    enum { INS_VALUE_TEXT, INS_VALUE_INTEGER, INS_VALUE_BOOL } kind;
    ins_text text;
    int64_t integer;
    bool boolean;
} ins_value;

typedef struct ins_filter ins_filter;

typedef struct ins_bound { /* of a range */
    enum { INS_BOUND_NONE, INS_BOUND_INTEGER, INS_BOUND_NUMBER, INS_BOUND_DATETIME } kind;
    int64_t integer; /* compared exactly, also with numbers that have a fraction */
    double number;
    ins_text datetime; /* RFC 3339, also without offset (UTC), seconds or time of day; microseconds
                          count */
} ins_bound;

/* Conditions on a field: `key` is the path of a payload field, "a.b"; "a[].b" and "a[0]" select in
 * arrays, keys with dots are quoted: "\"a.b\".c". A path may select many values: one that passes is
 * enough. A selected array passes as soon as one of its elements does. */
typedef enum ins_condition_kind {
    INS_MATCH_ANY,     /* a value equal to one of `values` (match value: one of them) */
    INS_MATCH_EXCEPT,  /* a value, not null, that is none of `values` */
    INS_RANGE,         /* a number, or the text of a moment, within gt, gte, lt, lte: the bounds are
                          all numbers or all moments; without bounds any number passes */
    INS_VALUES_COUNT,  /* elements of an array (of another value 1, of null and nothing 0) within
                          gt, gte, lt, lte, which are integers */
    INS_IS_EMPTY,      /* nothing there but null and [] */
    INS_IS_NULL,       /* null, or an array that holds null */
    INS_HAS_ID,        /* one of `ids` */
    INS_HAS_VECTOR,    /* the point has the vector `vector`; "" is the unnamed one */
    INS_SLICE,         /* SipHash-2-4 (key 0) of the id, modulo slice_total, is slice_index */
    INS_NESTED_FILTER, /* `filter` as a condition */
    INS_NESTED_ELEMENT /* an object in the array at `key` passes `filter` alone; its keys begin in
                          that object; conditions on ids and vectors pass nothing there */
} ins_condition_kind;

typedef struct ins_condition {
    ins_condition_kind kind;
    ins_text key;
    const ins_value *values; /* texts, integers and bools mixed as you like */
    size_t value_count;
    ins_bound gt, gte, lt, lte;
    const ins_id *ids;
    size_t id_count;
    ins_text vector;
    uint32_t slice_index, slice_total; /* index below total */
    const ins_filter *filter;
} ins_condition;

/* All of must, none of must_not, one of should unless should is empty, at least min_count of
 * min_should. */
struct ins_filter {
    const ins_condition *must, *should, *must_not, *min_should;
    size_t must_count, should_count, must_not_count, min_should_count;
    size_t min_count; /* 0: there is no min_should */
};

typedef struct ins_selector { /* which payload fields an answer carries */
    enum { INS_SELECT_NONE, INS_SELECT_ALL, INS_SELECT_INCLUDE, INS_SELECT_EXCLUDE } kind;
    const ins_text *keys;
    size_t key_count;
} ins_selector;

typedef struct ins_vector { /* a named vector of a point */
    ins_text name;
    const float *values; /* [dim], or [rows][dim] */
    uint32_t dim;
    uint32_t rows; /* above 0: a multivector's, of so many rows */
} ins_vector;

/* A point may lack any of its collection's vectors: it is then not found by a search in that
 * vector, but by everything else. */
typedef struct ins_point {
    ins_id id;
    const float *vector;       /* the unnamed vector, [dim]; NULL = none (answers: not asked for) */
    uint32_t dim, rows;        /* rows: as ins_vector has them */
    const ins_vector *vectors; /* the named ones; name "" is the unnamed one's as well */
    uint32_t vector_count;
    float score;                    /* answers of a query */
    ins_text payload;               /* a JSON object as text; absent = none */
    uint64_t version;               /* answers: LSN of the write */
    const ins_shard_key *shard_key; /* answers: where it lies; NULL: the collection has none */
} ins_point;

/* ---- What a read did --------------------------------------------------------------------- */

/* Where a read's time goes, on the engine's lane and waiting for it. */
#define INS_STAGES(X)                                                                              \
    X(WAIT, "wait")   /* for its next turn, while others have the lane */                          \
    X(READ, "read")   /* for bytes from disk, or for room to put them */                           \
    X(RANK, "rank")   /* finds rows: plans, distances, filters */                                  \
    X(FETCH, "fetch") /* copies what the answer carries */

enum ins_stage {
#define INS_STAGE_ENUM(name, text) INS_STAGE_##name,
    INS_STAGES(INS_STAGE_ENUM)
#undef INS_STAGE_ENUM
        INS_STAGE_COUNT
};

/* How the rows of one place were looked for. */
#define INS_LOOKS(X)                                                                               \
    X(MEMTABLE, "memtable")       /* one row after the other, in memory */                         \
    X(SCAN, "scan")               /* the same in an extent */                                      \
    X(INDEX, "field index")       /* the same, but field indexes judged the filter before */       \
    X(PICKS, "picks")             /* only rows that field indexes leave */                         \
    X(GRAPH, "graph")             /* a walk, then what it found by stored values */                \
    X(CODES, "codes")             /* a scan of 1-bit codes, then what they leave in doubt */       \
    X(PATCHES, "patches")         /* rows whose vector lies in an older place */                   \
    X(IDS, "ids")                 /* by their ids, in all places of an island */                   \
    X(COUNTED, "counted")         /* nothing: their number is known */                             \
    X(PASSED_OVER, "passed over") /* nothing: no row can be one of the answer */

enum ins_look {
#define INS_LOOK_ENUM(name, text) INS_LOOK_##name,
    INS_LOOKS(INS_LOOK_ENUM)
#undef INS_LOOK_ENUM
        INS_LOOK_COUNT
};

#define INS_EXPLAIN_PLACES_MAX 16u /* described singly; the totals count all */

typedef struct ins_explain_place { /* the memtables of an island, or one of its extents */
    enum ins_look look;
    const char *why;           /* not otherwise; a text of the engine's, or NULL */
    uint32_t island;           /* islands in the order of their visit, from 0 */
    uint64_t rows;             /* it has, all versions */
    uint64_t scanned;          /* a distance was computed, or the filter asked, or it was counted */
    uint64_t walked;           /* by codes alone: met by the walk over a graph, or scanned */
    uint64_t refused_by_index; /* left out unseen */
    uint64_t refused_by_filter; /* looked at, and did not pass */
    uint64_t superseded;        /* a newer place has their id */
} ins_explain_place;

/* Counted where the work happens. A view of an island counts each time that it is opened. */
typedef struct ins_explain {
    bool filtered;
    bool pinned;                    /* the filter names tenants, or */
    uint64_t tenants;               /* so many */
    ins_text tenant;                /* the only one; until ins_call_release() */
    uint64_t islands, directories;  /* views opened of islands, of id directories */
    uint64_t extents, memtables;    /* in the views of islands */
    uint64_t rows_held;             /* in them, all versions */
    uint64_t looks[INS_LOOK_COUNT]; /* places by how they were looked at */
    ins_explain_place total;        /* over all places; `look`, `why` and `island` say nothing */
    uint64_t place_count;           /* may be above what `places` has room for */
    uint64_t chunks_pinned, bytes_pinned; /* of segments, while it looked at them */
    uint64_t cold_reads, cold_bytes;      /* of these, read from disk by this read */
    uint64_t shared_reads;                /* on their way for somebody else already */
    uint64_t bytes_compared;              /* of vectors, for distances */
    uint64_t waits, turns;                /* for bytes; on the engine's lane */
    uint64_t stage_ns[INS_STAGE_COUNT];
    uint64_t begun_ns, ended_ns;                      /* in the engine, on the runtime's clock */
    ins_explain_place places[INS_EXPLAIN_PLACES_MAX]; /* need not be zeroed */
} ins_explain;

/* ---- Calls ------------------------------------------------------------------------------- */

typedef struct ins_points {
    const ins_point *items;
    size_t count;
    bool has_next;
    ins_id next;                           /* scroll: where the next page begins */
    const struct ins_number *order_values; /* [count] of INS_RANK_ORDER, else NULL */
} ins_points;

typedef struct ins_group {
    ins_value value;
    ins_points points;
} ins_group;

typedef struct ins_facet {
    ins_value value;
    uint64_t count; /* points that have it */
} ins_facet;

typedef struct ins_field_info {
    ins_text name;
    ins_text schema; /* JSON as given: "keyword" or {"type": "keyword", ...} */
    bool is_tenant;  /* asked for */
    bool islands;    /* and in force: this field partitions the collection */
    bool late;       /* made on a collection with files: their large extents lack it until merged */
    uint64_t points; /* that have the field */
    bool points_exact; /* else it is the number of all points, an upper bound */
} ins_field_info;

typedef struct ins_shard_info {
    ins_shard_key key;
    uint64_t id; /* never used twice */
    uint64_t points;
    bool points_exact; /* else an upper bound */
} ins_shard_info;

/* One vector of a collection. */
typedef struct ins_vector_params {
    ins_text name; /* "" = the unnamed one */
    uint32_t dim;
    ins_distance distance;
    ins_datatype datatype;
    ins_text settings; /* JSON object: kept and returned; or absent */
    /* A point's value is one row of `dim` numbers or more. Its similarity to a query, of rows as
     * well, is the sum over the query's rows of the best over the point's (max_sim). A plain vector
     * counts as one row. */
    bool multi;
} ins_vector_params;

typedef struct ins_collection_info {
    ins_text name;
    uint32_t dim; /* of the unnamed vector; 0 = there is none */
    ins_distance distance;
    const ins_vector_params *vectors; /* all, the unnamed one (name "") included */
    size_t vector_count;
    ins_text settings; /* JSON object as given at creation, without vectors and metadata */
    ins_text metadata; /* JSON object, or absent */
    const ins_field_info *fields;
    size_t field_count;
    uint64_t point_count;
    bool point_count_exact;
    uint64_t indexed_vectors;   /* values that lie in a graph, about: in extents that have one */
    uint64_t unindexed_islands; /* that are to get a graph */
    uint64_t run_count, tenant_count;
    ins_text writes_stopped; /* why writes are refused; absent: they are not */
    uint64_t queued_islands, queued_runs, queued_rows; /* that wait for a merge or are in one */
    uint64_t changes;                                  /* by filter, under way */
    /* An is_tenant index was made on a full collection: of about so many points (0: none are moved)
     * so many are copied to the islands of their tenants. */
    uint64_t moving_points, moved_points;
    bool sharded;
    const ins_shard_info *shards; /* when they were asked for, in the order of their creation */
    size_t shard_count;           /* always */
} ins_collection_info;

struct ins_call { /* all zero but for what the caller sets */
    /* Set by the caller. */
    void (*done)(ins_call *call);
    void *user;
    uint32_t lane; /* where done runs: INS_LANE_REQUEST, or a lane from INS_LANE_COUNT on */
    uint64_t
        deadline_ns; /* on the runtime's clock; 0 = none. Reads only; a write runs to its end */
    ins_explain *explain; /* NULL, or zeroed: reads of points say there what they did; the caller's
                             until done has run */
    /* Set by the engine before done. */
    ins_status status;
    ins_error error;
    uint64_t lsn;         /* of a write */
    const uint64_t *lsns; /* of a batch: [count] */
    uint64_t count;
    bool found; /* exists, delete collection: was there */
    ins_points points;
    const ins_collection_info *info;
    const ins_text *names;
    size_t name_count;
    const struct ins_alias *aliases;
    size_t alias_count;
    const ins_group *groups;
    size_t group_count;
    const ins_facet *facets;
    size_t facet_count;
    const struct ins_tenant *tenants;
    size_t tenant_count;
    const struct ins_quota *quota;
    const struct ins_tenant_usage *usage;
    /* The engine's own. */
    void *owner;
    ins_task task; /* brings done to another lane */
    bool cancelled;
};

/* The answer is wanted no longer: a read ends soon, with INS_TIMEOUT; a write runs to its end. Any
 * thread, until done has run. */
INS_API void ins_call_cancel(ins_call *call);

/* Gives the answer's memory back; call once after done, also on failure. Any thread. */
INS_API void ins_call_release(ins_call *call);

/* Runs `start(db, request, call)` on the request lane and waits for its completion: the blocking
 * form for embedders and tests on the thread runtime. Sets call->done, user and lane itself.
 * Any thread but a lane's own. Returns call->status. */
typedef void (*ins_start)(ins_db *db, const void *request, ins_call *call);
INS_API ins_status ins_wait(ins_db *db, ins_start start, const void *request, ins_call *call);

/* ---- Collections ------------------------------------------------------------------------- */

typedef struct ins_collection_request {
    ins_text collection;
    /* create */
    uint32_t dim; /* above 0: an unnamed float32 vector without settings, beside `vectors` */
    ins_distance distance;
    const ins_vector_params *vectors; /* names differ */
    size_t vector_count;
    ins_text settings, metadata; /* JSON objects or absent */
    bool sharded;                /* create: its points lie under shard keys */
    bool with_shards;            /* get */
    ins_shard_key shard_key;     /* shard key create and delete */
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

/* ---- Tenants ----------------------------------------------------------------------------- */

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
} ins_tenant;

/* What a tenant may use, and how many turns it gets beside others. 0 = no limit. */
typedef enum { INS_PRIORITY_NORMAL = 0, INS_PRIORITY_LOW, INS_PRIORITY_HIGH } ins_priority;

typedef struct ins_quota {
    uint64_t queries_per_second;
    uint64_t writes_per_second;     /* points written or deleted */
    uint64_t scan_bytes_per_second; /* of vectors that searches compared */
    uint64_t stored_bytes;          /* in segments; beyond it points can only be deleted */
    ins_priority priority;
} ins_quota;

#define INS_QUOTA_MAX 1000000000000000ull /* of each of these numbers */

/* What a tenant has and did. */
typedef struct ins_tenant_usage {
    uint64_t points;                                    /* exactly */
    uint64_t points_max, memory_rows, runs, disk_bytes; /* as ins_tenant has them */
    uint64_t live_bytes_min; /* at least so many of disk_bytes are of points that count */
    /* Since `since_s` seconds; all 0 when it was not active since then. */
    bool active;
    uint64_t since_s;
    uint64_t queries, writes, points_written, rows_scanned, bytes_scanned, time_ns, refused;
} ins_tenant_usage;

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
 * collection has no tenants; INS_TOO_LARGE: its quotas do not fit its settings any more. */
INS_API void ins_tenant_quota_set(ins_db *db, const void *tenants_request, ins_call *call);
INS_API void ins_tenant_quota_clear(ins_db *db, const void *tenants_request, ins_call *call);
/* call->quota: what counts; call->found: it is the tenant's own (name absent: it is set). */
INS_API void ins_tenant_quota_get(ins_db *db, const void *tenants_request, ins_call *call);
/* call->usage. Reads what the exact count needs. Name as above; absent: the whole collection. */
INS_API void ins_tenant_usage_get(ins_db *db, const void *tenants_request, ins_call *call);

/* ---- Points ------------------------------------------------------------------------------ */

typedef enum ins_update_mode {
    INS_MODE_UPSERT = 0,
    INS_MODE_INSERT_ONLY, /* a point that is there stays as it is */
    INS_MODE_UPDATE_ONLY, /* a point that is not there is not made */
} ins_update_mode;

/* Distances in answers are always those of stored values. What codes leave out unseen is missed by
 * chance: of the rows that are just near enough one in some 700, or, without rescoring or where the
 * vector's quantization has fewer than 4 bits, one in some 40. */
typedef enum ins_rescore { INS_RESCORE_DEFAULT, INS_RESCORE_YES, INS_RESCORE_NO } ins_rescore;

typedef struct ins_points_request {
    ins_text collection;
    /* Of a sharded collection. Reads: in these, NULL = in all. Writes: in each of these, one after
     * the other, each all or nothing; INS_INVALID without any. */
    const ins_shard_key *shard_keys;
    size_t shard_key_count;
    bool shard_fallback; /* shard_keys are two, and stand for the first of them that is there */
    /* upsert, update vectors: all or nothing */
    const ins_point *points;
    size_t point_count;
    const ins_filter *update_filter; /* a point that is there and does not pass stays as it is */
    /* get; delete and changes of payload or vectors by ids */
    const ins_id *ids;
    size_t id_count;
    /* changes of payload */
    ins_text change;      /* set, overwrite: a JSON object */
    ins_text change_path; /* set: of the object that takes the members; absent = the payload */
    const ins_text *keys; /* delete payload: paths; delete vectors: names */
    size_t key_count;
    /* Writes, as a fence: INS_EXISTS, and nothing is changed in that collection or shard key, when
     * a tenant whose points are to be written, or deleted, was made later than this incarnation or
     * would be made now. By filter: INS_INVALID unless it names tenants. 0 = any. */
    uint64_t incarnation_max;
    /* delete and changes by filter; scroll, count, query */
    const ins_filter *filter; /* NULL = all; of a delete or a change: by ids */
    /* scroll, query, get */
    ins_id start;         /* scroll: first id */
    const float *vector;  /* query: [dim], or [rows][dim] near a multivector, or */
    ins_text vector_name; /* query: which vector is searched; absent or "" = the unnamed one */
    ins_id query_id;
    ins_selector payload;
    const ins_text *vector_names; /* answers carry these [vector_name_count]; NULL = all */
    size_t vector_name_count;
    uint32_t limit;
    uint32_t offset;    /* query */
    uint32_t dim, rows; /* of `vector`, as ins_vector has them */
    float score_threshold;
    ins_update_mode update_mode; /* upsert */
    bool has_start;              /* scroll */
    bool by_id; /* query: nearest to the stored vector of query_id, which is left out */
    bool has_score_threshold;
    bool with_vector; /* answers carry vectors */
    /* A change by filter that takes more than one record answers as soon as it cannot be lost: it
     * goes on by itself, also after a restart. */
    bool no_wait;
    /* query: how the nearest are looked for */
    bool exact;            /* every row is compared, whatever has a graph */
    bool ignore_codes;     /* rows are compared themselves where no graph is walked */
    ins_rescore rescore;   /* how sure codes must be that a row cannot be one of the nearest */
    double oversampling;   /* a walk keeps so many rows in view for each hit, at least; 0 = any */
    bool indexed_only;     /* extents that are to have a graph and have none yet are passed over */
    uint32_t graph_effort; /* rows that a walk keeps in view, more find more; 0 = by the limit */
} ins_points_request;

/* ---- Points by other orders than nearness, values, groups ---- */

typedef enum ins_rank_kind {
    INS_RANK_NEAREST,  /* to positive[0] */
    INS_RANK_AVERAGE,  /* to the mean of positive, moved away from the mean of negative; of
                          multivectors: to all rows of positive and those of negative turned round */
    INS_RANK_BEST,     /* by the best of the positive, or of the negative where that is nearer */
    INS_RANK_SUM,      /* by the sum over positive less the sum over negative */
    INS_RANK_DISCOVER, /* by pairs (positive[i], negative[i]), then by nearness to target */
    INS_RANK_CONTEXT,  /* by how little it is nearer to negative[i] than to positive[i] */
    INS_RANK_ORDER,    /* by the value at `key`: numbers or moments; others do not come */
    INS_RANK_SAMPLE,   /* at random */
    INS_RANK_ID,       /* by id */
    INS_RANK_FACET     /* no points: the values at `key` and how many points have each */
} ins_rank_kind;

typedef struct ins_example { /* a vector, or the stored one of a point, which is left out then */
    bool by_id;
    ins_id id;
    const float *vector; /* [dim], or [rows][dim] as ins_vector has them */
    uint32_t dim, rows;
} ins_example;

typedef struct ins_number {
    bool is_real;
    int64_t integer;
    double real;
} ins_number;

/* A moment (RFC 3339 and what Qdrant takes beside it) as microseconds since 1970, as
 * INS_RANK_ORDER compares it. False: no such text. Any thread. */
INS_API bool ins_moment_parse(ins_text text, int64_t *out_micros);

#define INS_RANK_LIMIT_MAX 16384u   /* limit + offset; limit * group_size */
#define INS_RANK_EXAMPLES_MAX 1024u /* of all lists together */

typedef struct ins_rank_request {
    /* collection, filter, limit, offset, score threshold, vector_name, what answers carry */
    ins_points_request points;
    ins_rank_kind kind;
    const ins_example *positive, *negative, *target;
    size_t positive_count, negative_count;
    ins_text key;
    bool descending, has_start; /* ORDER: from `start` on, itself included */
    ins_number start;
    /* Not 0: the best `limit` groups of points with equal values at `group_key`, of each the best
     * `group_size`. Integers and strings make groups; of an array each element does. */
    uint32_t group_size;
    ins_text group_key;
} ins_rank_request;

/* Exact over every island that the filter does not rule out. call->points (ORDER: with
 * order_values), call->groups or call->facets, best first. */
INS_API void ins_points_rank(ins_db *db, const void *rank_request, ins_call *call);

INS_API void ins_points_upsert(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_delete(ins_db *db, const void *points_request, ins_call *call);
/* By filter: what passed when the change took its place among the writes; what is written later
 * stays. One record holds up to 4,096 points, all or nothing. More take one record each, seen one
 * after the other; from the first one on the change is kept in the catalog, so that it is whole in
 * the end, whatever happens to the process: INS_EXHAUSTED when 16 such are under way. Only a point
 * that cannot be changed (its payload would become too large), or memory that is short for 10 s,
 * ends it before, with its error.
 *
 * Changes of points that are there, by ids or by filter. An id that is not there: INS_NOT_FOUND,
 * and nothing has changed. Set: members of `change` replace those of the same name, null removes
 * one. The payload that results has at most 1 MiB. A change of the tenant field moves the point. */
INS_API void ins_points_set_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_overwrite_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_delete_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_clear_payload(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_update_vectors(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_delete_vectors(ins_db *db, const void *points_request, ins_call *call);

typedef struct ins_update {
    ins_start start; /* one of the functions above */
    ins_points_request request;
} ins_update;

typedef struct ins_batch_request {
    const ins_update *updates;
    size_t update_count;
} ins_batch_request;

/* Updates in their order: each takes effect behind the one before, all wait for the disk together.
 * Not all or nothing: the first that fails ends the batch with its error, those before it stand.
 * Answer: call->lsns, one an update. */
INS_API void ins_points_batch(ins_db *db, const void *batch_request, ins_call *call);
INS_API void ins_points_get(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_scroll(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_count(ins_db *db, const void *points_request, ins_call *call);
INS_API void ins_points_query(ins_db *db, const void *points_request, ins_call *call);

/* ---- Operation --------------------------------------------------------------------------- */

/* Flushes every memtable; done when the manifest that names the new file is on disk. */
INS_API void ins_flush(ins_db *db, const void *unused, ins_call *call);

/* ---- Erasure: what was deleted, overwritten or dropped leaves every file, the log's included ----
 */

/* A pass begins now instead of at its time (half of erase_after_ns after a write, or the start):
 * answered at once. It flushes, and merges and cleans as far as anything is dead. */
INS_API void ins_erase(ins_db *db, const void *unused, ins_call *call);

typedef struct ins_erasure_request {
    uint64_t lsn; /* of the deletion: its call->lsn */
} ins_erasure_request;

/* call->found: what was dead at that LSN is in no file of the store any more. call->lsn: that is
 * known up to here; 0 = of nothing since the start. call->count: seconds that it takes at most,
 * when the machine keeps up and no read lasts longer. INS_NOT_FOUND: no such LSN yet. */
INS_API void ins_erasure_get(ins_db *db, const void *erasure_request, ins_call *call);

#define INS_MEM_PURPOSES(X)                                                                        \
    X(CATALOG, "catalog")       /* names, islands, run lists */                                    \
    X(MEMTABLE, "memtable")     /* rows not yet flushed */                                         \
    X(LOG, "log")               /* records on their way to disk */                                 \
    X(CONNECTION, "connection") /* sockets' buffers, request bodies */                             \
    X(QUERY, "query")           /* operations under way and their answers */                       \
    X(JOB, "job")               /* flush, merge, recovery */                                       \
    X(CACHE, "cache")           /* bytes of segments */                                            \
    X(GRAPH, "graph")           /* graphs being built: lent by the cache, else nothing */

enum ins_mem_purpose {
#define INS_MEM_ENUM(name, text) INS_MEM_##name,
    INS_MEM_PURPOSES(INS_MEM_ENUM)
#undef INS_MEM_ENUM
        INS_MEM_PURPOSE_COUNT
};

/* Durations by bucket: up to 100, 250, 500 us, 1, 2.5, 5 ms ... 10 s, and above. */
#define INS_DURATION_BUCKETS 16u

typedef struct ins_durations {
    uint64_t counts[INS_DURATION_BUCKETS];
    uint64_t count, sum_ns;
} ins_durations;

typedef struct ins_stats {
    uint64_t collections, tenants, runs, files;
    uint64_t lsn_sequenced, lsn_durable, lsn_flushed;
    uint64_t log_syncs, log_batches, log_bytes, log_records; /* since start */
    ins_durations log_writes; /* of batches: the write and its sync */
    uint64_t file_syncs;      /* of segments, directory, manifest */
    uint64_t flushes, merges, cleanings, erasures;
    uint64_t lsn_erased;                            /* as ins_erasure_get tells it */
    uint64_t flush_bytes, merge_bytes, clean_bytes; /* of files written */
    uint64_t segment_bytes, live_bytes; /* of all files; of it, what some run list names */
    uint64_t cold_reads, cold_bytes, cache_hits, cache_evictions; /* blocks, and their bytes */
    uint64_t device_reads, device_bytes; /* for them: neighbours are read together, in pages */
    /* Graphs: written; not made for lack of memory or since reading failed; searches that walked
     * one; and that met a damaged one and scanned instead: `graph_damage` says of the last one
     * where. */
    uint64_t graphs_built, graphs_refused, graph_searches, graph_fallbacks;
    char graph_damage[INS_ERROR_MESSAGE_MAX];
    /* Scans over 1-bit codes: runs that were searched by them; that were read row by row instead,
     * since their codes were damaged; rows whose bound was made, and those compared exactly. */
    uint64_t code_scans, code_fallbacks, code_rows, code_rows_exact;
    uint64_t filtered_reads, filtered_rows; /* with a filter; rows that these looked at singly */
    uint64_t timers;                        /* armed now */
    uint64_t memory_budget, arena_limit, arena_used, arena_committed;
    uint64_t mem_used[INS_MEM_PURPOSE_COUNT], mem_limit[INS_MEM_PURPOSE_COUNT];
    const char *arena_pages; /* "reserved 2 MiB", "transparent 2 MiB", "4 KiB" */
    const char *isa;
    bool writes_stopped; /* the log failed; `reason` says how */
    char reason[INS_ERROR_MESSAGE_MAX];
} ins_stats;

/* On the request lane. */
INS_API void ins_db_stats(ins_db *db, ins_stats *out_stats);

/* What tenants, and collections without tenants, take of the engine. */
enum ins_heavy_resource {
    INS_HEAVY_TIME,   /* ns of the engine's lane in reads, ranking and fetching */
    INS_HEAVY_ROWS,   /* scanned or walked over by reads */
    INS_HEAVY_COLD,   /* bytes that reads brought from disk */
    INS_HEAVY_READS,  /* of one island */
    INS_HEAVY_WRITES, /* rows written: points, changes, deletions */
    INS_HEAVY_RESOURCES
};

#define INS_HEAVY_SHOWN 16u
#define INS_HEAVY_NAME_MAX 255u

typedef struct ins_heavy {
    char collection[INS_HEAVY_NAME_MAX + 1], shard[INS_HEAVY_NAME_MAX + 1];
    char tenant[INS_HEAVY_NAME_MAX + 1];
    bool common;                /* points without a tenant: `tenant` is empty */
    uint64_t count, error_most; /* at most `count`, at least count - error_most, since the start */
} ins_heavy;

/* The heaviest of each resource, the most first. Reads count whose call asked for an explanation;
 * those of several islands count in the totals alone. */
typedef struct ins_heaviest {
    uint64_t totals[INS_HEAVY_RESOURCES];
    uint32_t counts[INS_HEAVY_RESOURCES];
    ins_heavy items[INS_HEAVY_RESOURCES][INS_HEAVY_SHOWN];
} ins_heaviest;

typedef struct ins_stats_request {
    ins_stats *out_stats;       /* filled when done runs */
    ins_heaviest *out_heaviest; /* so is this; or NULL */
} ins_stats_request;

/* The same as a call, for other lanes. Never fails. */
INS_API void ins_stats_read(ins_db *db, const void *stats_request, ins_call *call);

/* Memory for the caller's own connections and requests, charged to the same budget:
 * INS_MEM_CONNECTION. At most 2 MiB a piece; NULL when the share is used up. Any thread. */
INS_API void *ins_db_alloc(ins_db *db, size_t size);
INS_API void ins_db_free(ins_db *db, void *memory, size_t size);

/* Verifies every checksum and invariant of a database that is not open; changes nothing.
 * Calls `report(context, is_damage, text)` for each finding. INS_CORRUPT when any is damage. */
typedef void (*ins_check_report)(void *context, bool is_damage, const char *text);
INS_API INS_MUST_USE ins_status ins_check(ins_store *store, ins_check_report report, void *context,
                                          ins_error *error);

#ifdef __cplusplus
}
#endif
#endif
