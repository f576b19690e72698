/* The door: which requests are served at once, which wait, which are refused.
 *
 * Path: a request is whole -> door_enter(). While the loop's round is young and nobody waits it is
 * handed to the API there and then; else it waits in the queue with its bytes, not yet looked into.
 * A task of the loop's own lane serves the queue, some time each round, so that sockets are read,
 * completions run and long searches go on in between. Large bodies, which are writes of many
 * points, are served one a round: whoever writes at full speed is asked to wait, not who searches.
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

#define DOOR_ROUND_NS 2000000ull /* of inline work, and of the queue's, before others' turn */
/* A request of so many bytes takes a good part of a millisecond to decode and to write. Between two
 * looks at the sockets one of them is served, so that a search waits for one and not for a line. */
#define DOOR_BULK_BYTES ((size_t)32 << 10)
#define DOOR_RETRY_S 1u  /* Retry-After of a refusal: far above any queue's length */
#define DOOR_CHECK_MS 1u /* how soon a queue that waits for the engine's lane looks again */

struct conn;
struct front;
struct head;

struct door {
    struct front *front;
    struct queue queue;
    ins_task task;
    uv_timer_t timer;
    uint32_t bulk_waiting; /* large bodies in the queue */
    uint64_t bulk_round;   /* of the loop, in which one was served */
    bool posted;           /* the task is on its way */
};

void door_init(struct door *door, struct front *front);
/* A whole request: its body lies in `text`, or is conn->body and `text` points into it. */
void door_enter(struct conn *conn, const struct head *head, ins_text text);
/* The connection closes while its request waits. */
void door_leave(struct conn *conn);

#endif
