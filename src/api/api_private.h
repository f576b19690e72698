/* What the files of api/ share: the job of one request, routes, decoding and encoding helpers. */
#ifndef INS_API_API_PRIVATE_H
#define INS_API_API_PRIVATE_H

#include "api/api.h"
#include "base/histogram.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "base/status.h"

#define PATH_SEGMENTS_MAX 8u
#define PATH_PARAMS_MAX 3u
#define JOB_BYTES 8192u /* a job and the first of its memory: a small request needs no more */
#define JOB_BLOCK_BYTES_MIN                                                                        \
    (64u << 10)                   /* further memory of a job comes in blocks from this size        \
                                   */
#define JOBS_CACHED 64u           /* idle jobs kept for reuse: 512 KiB at most */
#define SCRATCH_BYTES (64u << 10) /* answers up to this size need no allocation */
#define ANSWER_BYTES_MAX (64u << 20)
#define PARSER_KEEP_BYTES                                                                          \
    (1u << 20) /* a parser that a large body made larger than this is given back */
#define SEARCH_LIMIT_DEFAULT 10u
#define READ_DEADLINE_S 60u /* of a read whose request names no timeout; Qdrant's default */
#define TIMEOUT_S_MAX 86400u
/* Calls on their way to the engine's lane: one more each time that one began soon, half as many
 * when it began late. */
#define WINDOW_MIN 4u
#define WINDOW_MAX 64u /* some ms of small calls */
#define WINDOW_SOON_NS 1000000ull
#define WINDOW_LATE_NS 2000000ull
#define LATE_CHECK_NS 100000000ull /* timeouts are whole seconds */

/* Decodes and starts the engine's call: INS_OK means that the job has its completion before it and
 * must not be touched again. Else the request is answered with `error`, whose message is complete.
 */
typedef ins_status (*route_start)(struct job *job, const struct api_request *request,
                                  ins_error *error);
/* Answers at once, without a job and without the engine. */
typedef void (*route_answer)(struct api *api, const struct api_request *request);

struct route {
    enum api_method method;
    const char *pattern;   /* "/collections/{c}/points": a segment in braces is a parameter */
    const char *operation; /* in words: "count points" */
    route_answer answer;
    route_start start; /* both NULL: this operation is not there yet */
};

/* It gives ?tenant= a meaning. */
bool route_takes_tenant(const struct route *route);
/* It gives ?incarnation= a meaning. */
bool route_takes_incarnation(const struct route *route);

struct path {
    size_t count;
    ins_text segments[PATH_SEGMENTS_MAX]; /* raw, never empty */
};

enum route_found { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

#define ALLOW_MAX 64
#define ROUTES_MAX 128u

/* The routes by their number of segments, split once. */
struct router {
    uint16_t first[PATH_SEGMENTS_MAX + 2]; /* of each number of segments */
    const struct route *routes[ROUTES_MAX];
    struct path patterns[ROUTES_MAX];
};

void router_init(struct router *router);

/* False when there are more segments than any route has. Empty segments count for nothing, so
 * doubled and trailing slashes do no harm. */
bool path_split(ins_text path, struct path *out_path);
enum route_found route_find(const struct router *router, enum api_method method,
                            const struct path *path, const struct route **out_route,
                            char out_allow[static ALLOW_MAX]);
/* Raw text of the parameter number `index` of `route` in `path`. */
ins_text route_param(const struct route *route, const struct path *path, size_t index);
size_t route_count(void);
const struct route *route_at(size_t index);

/* Percent-decodes into out[raw.size]. INS_INVALID on a broken escape, a NUL, or what is not UTF-8.
 */
ins_status percent_decode(ins_text raw, bool plus_is_space, char *out, size_t *out_size,
                          ins_error *error);
bool utf8_valid(const char *text, size_t size);

struct query_params {
    bool wait, has_timeout;
    bool has_with; /* lists of a collection's optimizations */
    uint32_t timeout_s;
    uint64_t incarnation; /* of a tenant; 0: any */
    bool merge, part;     /* of an import */
    ins_text tenant;      /* as it was sent, percent-encoded: whose ids are meant; or data NULL */
};

/* Digits, at most 18. */
bool url_number(ins_text text, uint64_t *out);

/* Of a query string. INS_INVALID and INS_UNPROCESSABLE name the parameter and its value. */
ins_status query_params_parse(ins_text query, struct query_params *out_params, ins_error *error);

struct job_block {
    struct job_block *next;
    size_t size;
};

typedef void (*job_encode)(struct job *job, struct json_writer *writer);

/* The vector of a search that was read before its body was parsed (decode_cut.c). */
struct job_cut {
    const float *values; /* NULL: none was */
    uint32_t dim;
    size_t from, to; /* of its array in the body */
};

struct job {
    struct job *next; /* in the list of idle jobs */
    struct api *api;
    void *user;
    struct api_ticket *ticket; /* points back while the request is under way */
    const struct route *route;
    struct job *late_next, **late_link; /* in api->timed; late_link NULL = not there */
    uint64_t start_ns;
    struct api_trace trace;
    struct query_params query;
    ins_text params[PATH_PARAMS_MAX]; /* decoded */
    ins_text tenant;                  /* of ?tenant=, decoded; or data NULL */
    ins_text body;                    /* until the handler returns */
    ins_call call;
    ins_collection_request collection;
    ins_points_request points;
    ins_alias_request aliases;
    ins_tenants_request tenants;
    ins_erasure_request erasure;
    ins_stats_request stats;
    ins_budget_request budget;
    ins_rank_request rank; /* its `points` are those above */
    struct job **parts;    /* of a batch: [part_count], one after the other */
    size_t part_count, part_next;
    struct job *whole;               /* of a part */
    job_encode encode;               /* writes the result of the envelope */
    void (*finish)(struct job *job); /* or answers in another form */
    bool (*piece)(struct job *job, struct api_response *out); /* or in pieces (stream.c) */
    ins_start start; /* with `request`, on the engine's lane */
    const void *request;
    ins_task submit;
    struct job_cut cut;
    uint64_t handed_ns; /* when it was given to the engine, where somebody asks */
    bool shows_explain; /* the answer carries call.explain */
    bool unscored;      /* hits that nothing was compared with have the score 1, as Qdrant's */
    bool ended;         /* its call has, or its parts have: what they left may be read */
    bool streams;       /* counted in shared->streams */
    bool begun;         /* its first piece has left */
    bool paused;        /* it waits for api_continue() */
    bool answered;      /* too late for its own answer: the client has got another */
    uint32_t skip;      /* results to leave out: `offset` of a query that only scrolls */
    struct job_block *blocks;
    uint8_t *at, *end; /* free memory of the newest block */
    uint64_t memory[];
};

static inline void write_count(struct json_writer *writer, const char *key, uint64_t value) {
    json_write_key(writer, key);
    json_write_u64(writer, value);
}

/* Since the start. Written by the API's lane, read by all. */
struct api_counts {
    _Atomic uint64_t requests, connections, upserts, upsert_points;
};

static inline void count_add(_Atomic uint64_t *counter, uint64_t change) {
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + change, memory_order_relaxed);
}

#define SLOW_LINE_MAX 4096u /* PIPE_BUF: written whole or not at all */
#define SLOW_LINES_A_SECOND 10u
#define SLOW_LINES_BURST 20u

/* The slow log of one lane. */
struct slow {
    uint64_t tokens, refilled_ns, dropped_since;
    _Atomic uint64_t seen, dropped; /* since the start; others read them */
};

#define WATCH_CODES 13u
#define WATCH_CLASSES 6u

/* What one lane saw of its requests (watch.c). */
struct watch {
    struct {
        struct histogram took; /* code 200 */
        _Atomic uint64_t codes[WATCH_CODES];
    } routes[ROUTES_MAX];                  /* by number */
    struct histogram reads[WATCH_CLASSES]; /* by the size of the tenant */
};
extern const unsigned watch_codes[WATCH_CODES]; /* the last one stands for others, too */
const char *watch_class_name(size_t index);

struct api {
    ins_db *db;
    const ins_runtime *runtime;
    struct api_shared *shared;
    struct heap *heap; /* the shared one */
    struct api *next;  /* in shared->apis */
    uint32_t lane;
    void (*respond)(void *user, struct api_response *response);
    struct json_parser *parser; /* NULL until needed and after a large body */
    size_t parser_held;         /* of the budget, while it has a large body */
    char *scratch;              /* [SCRATCH_BYTES] the answer being written */
    struct job *idle_jobs;
    struct job *timed; /* under way with a timeout of the request's own */
    ins_timer late;    /* looks at them; armed while there are any */
    size_t idle_count;
    /* Written by this lane; others read them. */
    _Atomic size_t pending;
    _Atomic uint64_t refused[API_REFUSAL_COUNT];
    _Atomic uint32_t handed; /* calls given to the engine's lane, where it is another one */
    /* Written there. */
    _Atomic uint32_t begun;  /* of these */
    _Atomic uint32_t window; /* how many may be on their way */
    struct api_counts counts;
    struct slow slow;
    struct watch *watch;
    struct router router;
};

/* Memory that lives as long as the job; aligned to 16 or to `alignment` <= 64. NULL when out. */
void *job_alloc(struct job *job, size_t size);
void *job_alloc_aligned(struct job *job, size_t size, size_t alignment);
/* Gives back all that was taken since the mark. */
struct job_mark {
    struct job_block *blocks;
    uint8_t *at, *end;
};
struct job_mark job_mark(const struct job *job);
void job_release(struct job *job, struct job_mark mark);
/* Gives back the end of the newest piece, from `unused` on. */
void job_trim(struct job *job, void *unused);
/* A copy; text of size 0 keeps a non-NULL pointer. INS_EXHAUSTED. */
ins_status job_copy_text(struct job *job, ins_text text, ins_text *out_text, ins_error *error);
ins_status job_no_memory(ins_error *error);
void jobs_init(struct api *api);
struct job *job_create(struct api *api);
void job_destroy(struct job *job);
/* A writer whose text lives as long as the job. */
void job_writer_init(struct job *job, struct json_writer *writer);

/* Starts the engine's call, on the engine's lane; `encode` runs in its completion, on the API's. No
 * other way leads to the engine: a handler may run on a lane that is not the engine's. */
void job_start(struct job *job, ins_start start, const void *request, job_encode encode);
/* Makes parts that share the job's parameters and body. INS_INVALID when they are too many. */
ins_status job_add_parts(struct job *job, size_t count, ins_error *error);
/* Runs the parts, whose start, request and encode are set; the answer is an array of theirs. The
 * first that fails answers for all. */
void job_start_parts(struct job *job);
#define BATCH_PARTS_MAX 256u /* 8 KiB each: 2 MiB of the memory for requests */

/* The same, answered in pieces: `piece` takes one from job->call, which has ended well, into memory
 * of the heap; job->call.found: others follow. False: no memory. INS_EXHAUSTED when too many such
 * answers are under way. */
ins_status job_stream(struct job *job, ins_start start, const void *request,
                      bool (*piece)(struct job *job, struct api_response *out), ins_error *error);
/* stream.c, for job.c: its call has ended; the job may be gone afterwards. */
void stream_done(struct job *job);
void stream_leave(struct job *job);

/* job.c, for stream.c. */
void job_submit(struct job *job);
void job_detach(struct job *job);
void job_answer_failure(struct job *job);
void job_end(struct job *job);

/* Of all lanes. */
uint64_t api_refused(const struct api *api, enum api_refusal why);

/* Answers. */
void answer_fixed(struct api *api, void *user, unsigned http, const char *content_type,
                  const char *text, size_t size);
void answer_error(struct api *api, void *user, unsigned http, uint32_t retry_after_s,
                  const char *allow, uint64_t start_ns, const char *message);
/* Text of any size, written with json_write_raw in between. */
void answer_text_begin(struct api *api, struct json_writer *writer);
void answer_text_end(struct api *api, void *user, const char *content_type,
                     struct json_writer *writer);
void answer_begin(struct api *api, struct json_writer *writer); /* up to {"result": */
void answer_end(struct api *api, void *user, uint64_t start_ns, struct json_writer *writer);
/* Qdrant's prefix of an engine's message: "Wrong input: ". */
const char *status_prefix(ins_status status);

/* Decoding of bodies (decode.c). `name` is the field's full path in messages. All fail with
 * INS_INVALID, INS_UNPROCESSABLE or INS_UNSUPPORTED and a complete message. */
ins_status body_parse(struct job *job, const struct api_request *request,
                      struct json_value *out_root, ins_error *error);
/* Of two members with one name neither is meant more than the other, and a delete by the wrong one
 * of two filters cannot be taken back. */
ins_status refuse_duplicates(struct json_value object, ins_error *error);
/* There and not null. Inline, so that the length of a literal key is known when compiling: a search
 * looks for some twenty members that its body does not have. */
static inline bool field_get(struct json_value object, const char *key, struct json_value *out) {
    return json_get_text(object, (ins_text){key, __builtin_strlen(key)}, out) &&
           json_type_of(*out) != JSON_NULL;
}
ins_status type_error(ins_error *error, const char *name, const char *expected,
                      struct json_value got);
ins_status missing_error(ins_error *error, const char *name);
ins_status unsupported_error(ins_error *error, const char *name);
ins_status range_error(ins_error *error, const char *name, uint64_t value, uint64_t min,
                       uint64_t max);
/* INS_UNSUPPORTED when the field is there and not null. */
ins_status field_refuse(struct json_value object, const char *key, ins_error *error);
/* The following leave *out alone when the field is absent or null. */
ins_status field_u64(struct json_value object, const char *key, const char *name, uint64_t min,
                     uint64_t max, uint64_t *out, ins_error *error);
ins_status field_bool(struct json_value object, const char *key, bool *out, ins_error *error);
ins_status field_number(struct json_value object, const char *key, const char *name, bool *out_has,
                        double *out, ins_error *error);

ins_status decode_id(struct json_value value, const char *name, ins_id *out_id, ins_error *error);
ins_status decode_ids(struct job *job, struct json_value array, const char *name,
                      const ins_id **out_ids, size_t *out_count, ins_error *error);
/* A dense vector, or an array of such: a multivector. */
struct decoded_vector {
    const float *values; /* 64-byte aligned; never NULL, also when empty */
    uint32_t dim, rows;  /* rows 0: a dense vector; else each has `dim` numbers */
};
ins_status decode_vector(struct job *job, struct json_value array, const char *name,
                         struct decoded_vector *out, ins_error *error);
/* The same, as what the nearest points are searched to: into job->points. */
ins_status decode_query_vector(struct job *job, struct json_value array, const char *name,
                               ins_error *error);
ins_status decode_texts(struct job *job, struct json_value array, const char *name,
                        const ins_text **out_texts, size_t *out_count, ins_error *error);
/* Member `filter` of a body; NULL when it is absent. */
ins_status decode_filter(struct job *job, struct json_value object, const ins_filter **out_filter,
                         ins_error *error);
/* A condition's object with `key`. */
ins_status decode_field_condition(struct job *job, struct json_value object, struct json_value key,
                                  ins_condition *out, ins_error *error);
ins_status decode_filter_field(struct job *job, struct json_value object, const char *key,
                               const ins_filter **out_filter, ins_error *error);
/* A payload's text; none for null and for an object without members. `text`: of the value. */
ins_status decode_payload(struct job *job, struct json_value value, ins_text text, const char *name,
                          ins_text *out, ins_error *error);
/* An array of points with id, vector and payload. `text`: of the array. */
ins_status decode_points(struct job *job, struct json_value array, ins_text text,
                         ins_points_request *request, ins_error *error);
/* Body of an upsert: a list of points or columns, and its conditions. */
ins_status decode_upsert(struct job *job, struct json_value body, ins_text body_text,
                         ins_points_request *request, ins_error *error);

/* Updates of points (decode_updates.c): each has its own route, and all are operations of a batch.
 */
enum update_kind {
    UPDATE_UPSERT,
    UPDATE_DELETE,
    UPDATE_SET_PAYLOAD,
    UPDATE_OVERWRITE_PAYLOAD,
    UPDATE_DELETE_PAYLOAD,
    UPDATE_CLEAR_PAYLOAD,
    UPDATE_VECTORS,
    UPDATE_DELETE_VECTORS,
    UPDATE_KINDS
};

/* `body` and its text: the object that describes the update. The collection is set as well. */
ins_status decode_update(struct job *job, enum update_kind kind, struct json_value body,
                         ins_text text, ins_update *out, ins_error *error);
ins_status decode_update_batch(struct job *job, struct json_value body, ins_batch_request *out,
                               ins_error *error);

/* Shard keys (rest_shards.c). Member `shard_key` of a request on points. */
ins_status decode_shard_keys(struct job *job, struct json_value body, ins_points_request *request,
                             ins_error *error);
void encode_shard_key(const ins_shard_key *key, struct json_writer *writer);

/* with_payload and with_vector into job->points. */
ins_status decode_with(struct job *job, struct json_value object, bool payload_default,
                       ins_error *error);

/* Vectors (decode_vectors.c). Member `vectors` of a new collection: fills job->collection. */
/* A vector that is added, from a body {"dense": {...}}: fills job->collection. */
ins_status decode_vector_params(struct job *job, struct json_value body, ins_text name,
                                ins_error *error);
ins_status decode_vectors_config(struct job *job, struct json_value body, ins_error *error);
/* What a vector's parameters may have beside size and distance, and the text that is kept. */
ins_status vector_settings_check(struct json_value params, const char *name, ins_error *error);
ins_status vector_settings_text(struct job *job, struct json_value params, ins_text text,
                                ins_text *out, ins_error *error);
/* The vectors of a point: an array, or an object of arrays by name. `like`: a point whose names are
 * used again where they are the same; or NULL. */
ins_status decode_point_vectors(struct job *job, struct json_value value, const char *name,
                                const ins_point *like, ins_point *point, ins_error *error);
/* Columns of vectors: a list of what decode_point_vectors takes, or an object of lists by name. */
ins_status decode_vector_columns(struct job *job, struct json_value columns, const char *name,
                                 ins_point *points, size_t count, ins_error *error);
/* INS_UNPROCESSABLE: a list of another length than its ids. */
ins_status column_length(const char *name, size_t length, size_t ids, ins_error *error);
/* Member `key`, a vector's name, called `name` in messages; absent = the unnamed one. */
ins_status decode_vector_name(struct job *job, struct json_value object, const char *key,
                              const char *name, ins_text *out_name, ins_error *error);

/* Settings of a new collection (settings.c): fills job->collection. */
ins_status decode_collection(struct job *job, struct json_value body, ins_error *error);
/* Changes of one that is there, as the engine merges them. */
ins_status decode_collection_update(struct job *job, struct json_value body, ins_error *error);
ins_status decode_index(struct job *job, struct json_value body, ins_error *error);
void encode_optimizations(struct job *job, struct json_writer *writer);
void encode_collection_cluster(struct job *job, struct json_writer *writer);
void encode_collection_info(struct job *job, struct json_writer *writer);

/* Handlers. */
void service_root(struct api *api, const struct api_request *request);
void service_health(struct api *api, const struct api_request *request);
ins_status service_ready(struct job *job, const struct api_request *request, ins_error *error);
void service_cluster(struct api *api, const struct api_request *request);
ins_status service_metrics(struct job *job, const struct api_request *request, ins_error *error);
ins_status service_telemetry(struct job *job, const struct api_request *request, ins_error *error);
/* Room for statistics in job->stats. */
ins_status stats_start(struct job *job, ins_error *error);
ins_status service_stats(struct job *job, const struct api_request *request, ins_error *error);
ins_status budget_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status budget_set(struct job *job, const struct api_request *request, ins_error *error);
ins_status service_flush(struct job *job, const struct api_request *request, ins_error *error);
ins_status collections_list(struct job *job, const struct api_request *request, ins_error *error);
ins_status collection_get(struct job *job, const struct api_request *request, ins_error *error);
/* From 1 to INS_NAME_BYTES_MAX bytes; of a path. INS_UNPROCESSABLE. */
ins_status name_length_check(ins_text name, ins_error *error);
ins_status collection_create(struct job *job, const struct api_request *request, ins_error *error);
ins_status collection_update(struct job *job, const struct api_request *request, ins_error *error);
ins_status collection_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status collection_optimizations(struct job *job, const struct api_request *request,
                                    ins_error *error);
ins_status collection_cluster(struct job *job, const struct api_request *request, ins_error *error);
ins_status collection_exists(struct job *job, const struct api_request *request, ins_error *error);
ins_status aliases_change(struct job *job, const struct api_request *request, ins_error *error);
ins_status aliases_list(struct job *job, const struct api_request *request, ins_error *error);
ins_status collection_aliases(struct job *job, const struct api_request *request, ins_error *error);
ins_status vector_create(struct job *job, const struct api_request *request, ins_error *error);
ins_status vector_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status index_create(struct job *job, const struct api_request *request, ins_error *error);
ins_status index_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status shard_keys_list(struct job *job, const struct api_request *request, ins_error *error);
ins_status shard_key_create(struct job *job, const struct api_request *request, ins_error *error);
ins_status shard_key_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status cluster_change(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenants_list(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_export(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_copy(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_import(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_rename(struct job *job, const struct api_request *request, ins_error *error);
ins_status erasure_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status erasure_begin(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenants_scroll(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status quota_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status quota_set(struct job *job, const struct api_request *request, ins_error *error);
ins_status quota_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status usage_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status tenant_warm(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_upsert(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status payload_set(struct job *job, const struct api_request *request, ins_error *error);
ins_status payload_overwrite(struct job *job, const struct api_request *request, ins_error *error);
ins_status payload_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status payload_clear(struct job *job, const struct api_request *request, ins_error *error);
ins_status vectors_update(struct job *job, const struct api_request *request, ins_error *error);
ins_status vectors_delete(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_batch(struct job *job, const struct api_request *request, ins_error *error);
ins_status point_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_get(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_scroll(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_count(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_query(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_search(struct job *job, const struct api_request *request, ins_error *error);

/* A request of the job's route is about to be answered so (job.c). */
void job_observe(struct job *job, unsigned http);
/* It took so long, with the wait at the door. */
void watch_note(struct job *job, unsigned http, uint64_t took_ns);
/* It took so long since api_dispatch() (slow.c). */
void slow_look(struct job *job, unsigned http, uint64_t took_ns, uint64_t now_ns);

/* What a read did (explain.c). Member `explain` of its body; the engine is asked in any case, for
 * the slow log. */
bool explain_attach(struct job *job); /* false: no memory */
ins_status explain_decode(struct job *job, struct json_value body, ins_error *error);
/* job->call.explain as an object, with at most so many places. */
void explain_write(const struct job *job, uint64_t places, struct json_writer *writer);
/* Member `explain` of an answer, of a batch with an element a part; nothing when nobody asked. */
void explain_answer(const struct job *job, struct json_writer *writer);

/* Encoders of results (encode.c). */
void encode_true(struct job *job, struct json_writer *writer);
void encode_found(struct job *job, struct json_writer *writer);
void encode_exists(struct job *job, struct json_writer *writer);
void encode_names(struct job *job, struct json_writer *writer);
void encode_update(struct job *job, struct json_writer *writer);
void encode_updates(struct job *job, struct json_writer *writer);
void encode_deleted(struct job *job, struct json_writer *writer); /* a tenant, with its receipt */
void encode_wait_timeout(struct job *job, struct json_writer *writer);
void encode_count(struct job *job, struct json_writer *writer);
void encode_record(struct job *job, struct json_writer *writer);
void encode_records(struct job *job, struct json_writer *writer);
void encode_scroll(struct job *job, struct json_writer *writer);
void encode_hits(struct job *job, struct json_writer *writer);
void encode_query(struct job *job, struct json_writer *writer);
void encode_groups(struct job *job, struct json_writer *writer);
void encode_facets(struct job *job, struct json_writer *writer);

/* As body_parse; the vector in job->cut is missing from the parsed body, as an empty array
 * (decode_cut.c). */
ins_status body_parse_search(struct job *job, const struct api_request *request,
                             struct json_value *out_root, ins_error *error);
/* The array under that key: takes what was cut out of it. False: it is whole. */
bool take_cut_vector(struct job *job, struct json_value array);

/* Searches (rest_search.c): what a body asks for, into job->start, request and encode. */
typedef ins_status (*search_prepare)(struct job *job, struct json_value body, ins_error *error);
ins_status query_prepare(struct job *job, struct json_value body, ins_error *error);
ins_status legacy_search_prepare(struct job *job, struct json_value body, ins_error *error);
/* Filter, params, threshold, offset, payload and vector; not the limit. */
ins_status search_decode(struct job *job, struct json_value body, const char *offset_name,
                         ins_error *error);
/* Rankings (rest_rank.c). */
ins_status recommend_prepare(struct job *job, struct json_value body, ins_error *error);
ins_status discover_prepare(struct job *job, struct json_value body, ins_error *error);
/* Of a query's object: *out_found when it is one of recommend, discover, context, order_by, sample;
 * job->rank is filled. */
ins_status rank_query_decode(struct job *job, struct json_value query, bool *out_found,
                             ins_error *error);
ins_status order_by_decode(struct job *job, struct json_value value, const char *name,
                           ins_error *error);
void rank_prepare(struct job *job, ins_rank_kind kind, job_encode encode);
ins_status points_query_batch(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_search_batch(struct job *job, const struct api_request *request,
                               ins_error *error);
ins_status points_recommend_batch(struct job *job, const struct api_request *request,
                                  ins_error *error);
ins_status points_discover_batch(struct job *job, const struct api_request *request,
                                 ins_error *error);
ins_status points_recommend(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_discover(struct job *job, const struct api_request *request, ins_error *error);
ins_status points_query_groups(struct job *job, const struct api_request *request,
                               ins_error *error);
ins_status points_search_groups(struct job *job, const struct api_request *request,
                                ins_error *error);
ins_status points_recommend_groups(struct job *job, const struct api_request *request,
                                   ins_error *error);
ins_status points_facet(struct job *job, const struct api_request *request, ins_error *error);

#endif
