/* The door: which requests are served at once, which wait, which are refused.
 *
 * Path: a request is whole -> door_enter(). While the loop's round is young and nobody waits it is
 * handed to the API there and then; else it waits in the queue with its bytes, not yet looked into.
 * A task of the loop's own lane serves the queue, some time each round, so that sockets are read,
 * completions run and long searches go on in between.
 * Failure: who has waited for too long, or finds no place, gets 429 with Retry-After before the
 * body is looked into; the connection stays usable. What tells about the server itself (/healthz,
 * /metrics) is never held up.
 * Other loops than the engine's: while as many calls are on their way to its lane as it begins
 * soon (api_engine_is_behind), the rest waits here, where it is counted and can be refused.
 * Threads: the loop's. */
#ifndef INS_SERVER_DOOR_H
#define INS_SERVER_DOOR_H

#include <uv.h>

#include "api/api.h"
#include "server/queue.h"

/* Decoding a body of so many bytes takes as long as some ten searches: one of them is served as it
 * comes and one in the queue's turn, then the sockets have theirs. */
#define DOOR_HEAVY_BYTES (32u << 10)
#define DOOR_ROUND_NS 2000000ull /* of inline work, and of the queue's, before others' turn */
#define DOOR_RETRY_S 1u          /* Retry-After of a refusal: far above any queue's length */
#define DOOR_CHECK_MS 1u         /* how soon a queue that waits for the engine's lane looks again */

struct conn;
struct front;
struct head;

struct door {
    struct front *front;
    struct queue queue;
    ins_task task;
    uv_timer_t timer;
    bool posted; /* the task is on its way */
    bool heavy;  /* a large body was served in this round, or in this turn of the queue */
};

void door_init(struct door *door, struct front *front);
/* A whole request: its body lies in `text`, or is conn->body and `text` points into it. */
void door_enter(struct conn *conn, const struct head *head, ins_text text);
/* The connection closes while its request waits. */
void door_leave(struct conn *conn);

#endif
