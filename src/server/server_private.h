/* What the files of server/ share. */
#ifndef INS_SERVER_SERVER_PRIVATE_H
#define INS_SERVER_SERVER_PRIVATE_H

#include "api/api.h"
#include "server/door.h"
#include "server/head.h"
#include "server/lanes.h"
#include "server/outbox.h"
#include "server/request_name.h"
#include "server/server.h"

#define READ_BYTES ((size_t)64 << 10) /* one read; the buffer is shared by all connections */
#define INPUT_BYTES_MAX                                                                            \
    (READ_BYTES * 2) /* kept for a connection: a head, or pipelined requests                       \
                      */
#define INPUT_BYTES_MIN ((size_t)1024)

/* Qdrant closes idle connections after 5 s, which breaks clients that pool them. Here they stay
 * until places run short. */
#define IDLE_MS 75000u
#define IDLE_EVICT_MS 1000u /* idle for so long, a connection gives its place to a new one */
#define HEAD_MS 10000u
#define BODY_MS 30000u
#define BODY_PROGRESS_BYTES                                                                        \
    (1u << 20) /* within one patience; else a trickle holds a body's memory */
#define WRITE_MS 60000u
#define WRITE_PROGRESS_BYTES (1u << 20) /* the same for an answer */
#define LEFT_MS                                                                                    \
    1000u /* for a peer that ended its side and may wait for the answer all the same               \
           */
#define LINGER_MS 2000u
#define REFUSED_MAX                                                                                \
    64u /* connections above the maximum that are told so; others are just closed                  \
         */
/* Of dead peers nothing comes: the kernel asks after a minute of silence. */
#define KEEPALIVE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES 4

#define GZIP_BYTES_MIN ((size_t)1024) /* a smaller answer fits one packet either way */
#define GZIP_BYTES_MAX ((size_t)8 << 20)
#define GZIP_SCRATCH_BYTES ((size_t)64 << 10)
#define PREFLIGHT_HEADERS_MAX 1024u

#define LOOPS_DEFAULT 2u /* where there are CORES_FOR_LOOPS, else 1 (decision 0010) */
#define CORES_FOR_LOOPS 4u
#define INLINE_MAX 8u          /* connections that loop 0 takes before others get any */
#define FRONT_ENGINE_WEIGHT 2u /* one of loop 0's counts as so many of each other loop's */

#define SWEEP_MS 1000u /* how often expiry is looked at, unless a patience is shorter */
#define STOP_MS 10000u /* for requests under way at shutdown */
#define STOP_CHECK_MS 5u

/* idle ──> head ──> body ──> wait ──> busy ──> write ──> idle      any ──> linger ──> closed
 *   └────────┴────────┴────────┴──────^ └─ left ─^ └─────^           └────────────────^
 *                                       ^──────────┘ an answer in pieces */
enum conn_state {
    CONN_IDLE,   /* nothing received since the last answer */
    CONN_HEAD,   /* part of a head is in `input` */
    CONN_BODY,   /* `body` is being filled */
    CONN_WAIT,   /* the request waits for its turn, in `body` */
    CONN_BUSY,   /* the request is with the API */
    CONN_LEFT,   /* so it is, and the peer has ended its side: it may be gone */
    CONN_WRITE,  /* the answer waits for the socket */
    CONN_LINGER, /* refused; what still comes is thrown away */
    CONN_CLOSED, /* the handle is closing or closed */
    CONN_STATE_COUNT
};

/* Connections in one state, the longest there first: with one timeout a state, the first is the
 * next to expire, and one timer serves all. */
struct conn_list {
    struct conn *first, *last;
};

/* A request whose body is not all there yet, or that waits for its turn. */
struct body {
    struct head head;  /* path and query point into `target` */
    uint64_t expected; /* content length; 0 when chunked */
    char *data;
    size_t size, capacity;
    size_t seen; /* of `size`, when the wait began */
    struct chunks chunks;
    struct conn *conn;
    unsigned refused_http; /* what chunk_take() has to say */
    size_t bytes;          /* of this allocation */
    struct waiting waiting;
    char target[];
};

/* The rest of an answer, on its way. */
struct output {
    uv_write_t write;
    struct conn *conn;
    size_t unsent; /* when the wait began */
    char *memory;
    size_t capacity;
};

struct gzip;

struct conn {
    uv_tcp_t tcp; /* first: handles are cast back */
    struct front *front;
    struct conn *previous, *next; /* in front->lists[state] */
    uint64_t since_ms;            /* on the loop's clock */
    char *input;                  /* received, not yet taken; NULL when empty */
    uint32_t input_size, input_capacity;
    struct head_scan scan;
    struct body *body;
    struct output *output;
    struct api_ticket ticket; /* of the request under way; so are: */
    struct request_name name;
    uint8_t state; /* enum conn_state */
    bool keep_alive, head_method;
    bool takes_gzip, cors; /* the request's: Accept-Encoding; an Origin to be allowed */
    bool takes_chunks;     /* and HTTP/1.1 */
    uint8_t part;          /* enum api_part: of the answer on its way */
    bool feeding;          /* conn_feed() is on the stack: it goes on by itself */
    bool paused;           /* not reading: too much input while busy */
    bool pending;          /* the API owes an answer */
    bool ended;            /* the peer sends no more */
    bool held;             /* its answer is in the front's outbox */
    bool unhandled;        /* the handle is closed: free once nothing is pending */
};

/* The listening socket (listen.c). */
struct listener {
    void (*accepted)(void *context, int socket); /* takes the socket */
    void *context;
    uv_poll_t poll;
    uv_timer_t retry;
    int socket, reserve; /* reserve: a descriptor to give up when there are no more; -1 = none */
    bool closed;
};

INS_MUST_USE ins_status listener_open(struct listener *listener, uv_loop_t *uv, const char *host,
                                      uint16_t port, ins_error *error);
void listener_close(struct listener *listener); /* nothing when `closed` */
uint16_t listener_port(const struct listener *listener);

/* One event loop's share of the server: connections, and an API of its own. */
struct front {
    /* immutable between open and close */
    struct server *server;
    struct loop *loop;
    struct api *api;
    struct heap *heap;
    char *read_buffer; /* [READ_BYTES] */
    /* the loop's */
    struct conn_list lists[CONN_STATE_COUNT];
    uv_timer_t sweep;
    struct gzip *gzip; /* NULL until an answer is compressed */
    struct door door;
    struct outbox outbox;
    struct request_names names;
    uint64_t stop_ms;
    bool stopping;
    /* between loop 0 and this one, one way each */
    ins_task stop, now_quiet;
    /* any loop */
    _Atomic uint32_t conn_count; /* written by the loop, read by loop 0 */
};

struct server {
    /* immutable between open and close */
    struct lanes *lanes;
    ins_store *store;
    ins_db *db;
    struct api_shared shared;
    uint64_t slow_ns;
    int slow_log;                           /* a descriptor; -1: standard error */
    uint32_t timeouts_ms[CONN_STATE_COUNT]; /* 0 = none */
    uint32_t sweep_ms, conn_max, inline_max, waiting_max, front_count;
    bool cors, idle_always; /* idle_always: idle connections end also when places are many */
    /* loop 0's */
    struct listener listener;
    uv_async_t stop; /* but sending it is any thread's */
    uv_signal_t signals[2];
    ins_call shutdown;
    uint32_t quiet_count;
    bool stopping, shutdown_begun;
    /* any loop */
    _Atomic uint32_t conn_count;
    struct front fronts[LOOPS_MAX];
};

/* Fronts (front.c). */
INS_MUST_USE ins_status front_open(struct front *front, struct server *server, uint32_t index,
                                   ins_error *error);
/* Hands `socket` to the front, from loop 0. */
void front_give(struct front *front, int socket);
/* Hands `socket` on to the next front; false: no memory for that. */
bool front_pass(struct front *front, int socket, uint32_t passes);
/* From loop 0: takes no more connections, lets requests under way end, then tells
 * server_front_quiet(). */
void front_stop(struct front *front);
/* No thread may run the loop. */
void front_close(struct front *front);
/* On loop 0. */
void server_front_quiet(struct server *server);

/* Makes a connection of `socket`, which it takes. */
/* `passes`: how many fronts had no place for it. */
void conn_open(struct front *front, int socket, uint32_t passes);
/* The answer of a request: `user` is its connection. */
void conn_respond(void *user, struct api_response *response);
/* Gives up what has been silent for too long. */
void conn_sweep(struct front *front);
void conn_close(struct conn *conn);
/* Those without a request under way. */
void conn_close_waiting(struct front *front);
void conn_close_all(struct front *front);
/* Moves to `state` and, in it, to the end of the waiting. */
void conn_enter(struct conn *conn, enum conn_state state);
void conn_refuse(struct conn *conn, unsigned http, uint32_t retry_after_s, const char *message);
/* Frees a connection whose handle is closed and that no answer is owed to. */
void conn_free(struct conn *conn);
void conn_read_start(struct conn *conn);
/* Reads again after too much input. */
void conn_unpause(struct conn *conn);
/* After an answer has left whole. */
void conn_written(struct conn *conn);

/* Sends `response` with its head; takes its memory. */
void write_response(struct conn *conn, struct api_response *response, bool close);
/* Sends a piece of an answer; takes its memory. The next one is asked for when it has left. */
void write_piece(struct conn *conn, struct api_response *response);
/* An answer that waited in the outbox. */
void write_held(struct conn *conn, char *data, size_t size);
void write_continue(struct conn *conn);
/* Tells a browser that pages of any origin may ask, with the headers they want to send. */
void write_preflight(struct conn *conn, ins_text wanted_headers);
/* Gives the memory of a response back. */
void response_free(struct front *front, struct api_response *response);

/* The slow log (slow_log.c): a descriptor, -1 for NULL, which is standard error. */
INS_MUST_USE ins_status slow_log_open(const char *path, int *out_descriptor, ins_error *error);
/* `context`: the server. False when the line cannot be written at once. Any lane. */
bool slow_log_write(void *context, const char *line, size_t size);

/* Compresses the body of `response`; false: left as it is (gzip.c). */
bool gzip_response(struct front *front, struct api_response *response);
void gzip_close(struct front *front);
void write_free(struct front *front, struct output *output);

/* Bodies (body.c). */
void body_begin(struct conn *conn, const struct head *head);
/* Takes bytes of a body; returns how many. Answers and leaves CONN_BODY when it is complete. */
size_t body_take(struct conn *conn, const char *data, size_t size);
void body_free(struct front *front, struct body *body);
/* A whole request with a copy of its body; NULL: no memory. */
struct body *body_keep(struct conn *conn, const struct head *head, ins_text text);
/* Hands a whole request to the API. */
/* `waited_ns` at the door. */
void conn_dispatch(struct conn *conn, const struct head *head, ins_text body, uint64_t now_ns,
                   uint64_t waited_ns);

#endif
