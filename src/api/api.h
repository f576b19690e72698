/* Qdrant's REST over insula.h: decode a request, one ins_* call, encode its answer.
 *
 * Path: the server hands over a whole request (api_dispatch); the router finds the operation; its
 * handler decodes path, query and body into a job's memory and calls the engine; the completion
 * encodes the answer and gives it to `respond`. Nothing of the request is needed after
 * api_dispatch has returned: whatever an operation keeps is copied.
 * Failure: every request is answered, once; an error has Qdrant's envelope, code and prefix.
 * Threads: one `api` belongs to one lane; every function runs there. On a lane that is not the
 * engine's a call is handed over as a task and its completion comes back as one. */
#ifndef INS_API_API_H
#define INS_API_API_H

#include <stddef.h>
#include <stdint.h>

#include "api/heap.h"
#include "insula.h"

#define API_BODY_BYTES_MAX (32u << 20) /* Qdrant's default for one request */
#define API_HEAD_SPACE 768u /* free bytes before an answer's body, for the server's head */
#define API_TAIL_SPACE 16u  /* and behind a piece of one that comes in pieces */
#define API_STREAMS_MAX 16u /* answers in pieces under way: 2 MiB of a client's memory each */

enum api_method { API_GET, API_PUT, API_POST, API_DELETE, API_PATCH, API_HEAD, API_OTHER };

/* An answer comes whole, or in pieces: then each is asked for with api_continue() when the one
 * before has left, so that a slow client holds one piece and nothing of the engine. */
enum api_part {
    API_WHOLE,
    API_FIRST, /* others follow, */
    API_NEXT,  /* still, */
    API_LAST,  /* no more */
    API_CUT,   /* nor can: the client must see that some are missing */
};

/* An answer on its way out. `body` lies inside `memory` with API_HEAD_SPACE writable bytes before
 * it, and API_TAIL_SPACE behind it when it is a piece. The server may keep a response that is not
 * `shared`, and then calls heap_free(memory, capacity); of a shared one it copies what it cannot
 * send at once. */
struct api_response {
    unsigned http;
    const char *content_type;
    const char *allow;      /* with 405; else NULL */
    uint32_t retry_after_s; /* 0 = none */
    char *memory;
    size_t capacity;
    char *body;
    size_t size;
    bool shared;
    enum api_part part;
};

struct job;

/* What a request can be cancelled by while it is under way. */
struct api_ticket {
    struct job *job; /* NULL: nothing is under way */
};

/* How a request is told from others, by its client and in the slow log. */
struct api_trace {
    ins_text request_id, traceparent; /* plain ASCII; the user's, until it is answered */
    uint64_t waited_ns;               /* before api_dispatch() */
};

struct api_request {
    uint64_t now_ns; /* the clock; 0: not looked at */
    struct api_trace trace;
    enum api_method method;
    ins_text path;  /* as received, percent-encoded, without the query */
    ins_text query; /* after '?', may be empty */
    ins_text body;
    void *user;
    struct api_ticket *ticket; /* the user's; zeroed before the first request */
};

struct api;

/* What the APIs of all lanes share. */
struct api_shared {
    struct heap heap; /* memory for connections, bodies and answers, charged to the budget */
    struct api *apis; /* in a list; complete before the second lane runs */
    /* The slow log: requests that took so long; 0 = none. Set before the first request. The writer
     * takes a line or says that it cannot now, without waiting; any lane. */
    uint64_t slow_ns;
    _Atomic uint32_t streams; /* answers in pieces under way */
    bool (*slow_write)(void *context, const char *line, size_t size);
    void *slow_context;
};

/* On the request lane. */
void api_shared_init(struct api_shared *shared, ins_db *db);

struct api_options {
    ins_db *db;
    const ins_runtime *runtime;
    struct api_shared *shared;
    uint32_t lane; /* that this API runs on: the engine's, or one whose calls are handed over */
    /* Runs exactly once for each request, perhaps before api_dispatch() returns; of an answer in
     * pieces once for each of them. Takes the memory of an answer that is not shared. */
    void (*respond)(void *user, struct api_response *response);
};

/* `options` is copied, what it points to borrowed. INS_FULL when memory is out. */
INS_MUST_USE ins_status api_open(const struct api_options *options, struct api **out_api,
                                 ins_error *error);
/* No request may be under way. Takes NULL. */
void api_close(struct api *api);

/* Starts one request; everything in `request` is borrowed until return. */
void api_dispatch(struct api *api, const struct api_request *request);
/* Answers in Qdrant's error envelope without an operation: for what the server itself refuses. */
void api_refuse(struct api *api, void *user, unsigned http, uint32_t retry_after_s,
                const char *message);

/* What is asked for, by method and path alone, and a hash of the collection's name in it. */
enum api_kind {
    API_SERVICE, /* the server itself: health, metrics, statistics */
    API_READ,
    API_WRITE
};
enum api_kind api_kind_of(enum api_method method, ins_text path, uint64_t *out_scope);
/* A hash of whose request it is, as far as its body tells without its collection's schema: the
 * shard key, or the first condition that must hold, whichever comes first; 0: neither is there, or
 * not in the usual form. Only for sharing time: it is neither checked nor trusted. */
uint64_t api_tenant_of(ins_text body);

/* Why requests are refused for now, as the metrics tell: name and label. */
#define API_REFUSALS(X)                                                                            \
    X(LATE, "waited")             /* waited for too long */                                        \
    X(PLACES, "places")           /* no place to wait */                                           \
    X(MEMORY, "memory")           /* for bodies and requests */                                    \
    X(CONNECTIONS, "connections") /* too many */                                                   \
    X(ENGINE, "engine")           /* its own limits: log, memtables, memory of reads */
enum api_refusal {
#define REFUSAL_NAME(name, label) API_REFUSED_##name,
    API_REFUSALS(REFUSAL_NAME)
#undef REFUSAL_NAME
        API_REFUSAL_COUNT
};
void api_count_refused(struct api *api, enum api_refusal why);

/* On another lane than the engine's: as many calls are on their way there as it begins soon. */
bool api_engine_is_behind(const struct api *api);

/* The last piece of the request's answer has left: the next one is made, on the lane's next turn.
 */
void api_continue(struct api_ticket *ticket);

/* The request's client is gone: an answer in pieces ends without another one; a read ends soon,
 * with an answer that nobody reads; a write goes on to its end. Nothing when no request is under
 * way. */
void api_cancel(struct api_ticket *ticket);

/* Memory for connections, bodies and answers, charged to the database's budget. */
struct heap *api_heap(struct api *api);
/* The largest body taken: API_BODY_BYTES_MAX, less under a small memory budget. */
size_t api_body_max(const struct api *api);
/* A client has connected: for the statistics. */
void api_connected(struct api *api);
/* Requests under way in the engine. */
size_t api_pending(const struct api *api);

#endif
