#include "server/door.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/lane.h"
#include "server/server_private.h"

static const struct body *body_of(const struct waiting *waiting) {
    return (const void *)((const char *)waiting - offsetof(struct body, waiting));
}

static struct conn *conn_of(const struct waiting *waiting) {
    return body_of(waiting)->conn;
}

static bool is_bulk(const struct waiting *waiting) {
    return body_of(waiting)->size > DOOR_BULK_BYTES;
}

static void forget(struct door *door, const struct waiting *waiting) {
    INS_ASSERT(!is_bulk(waiting) || door->bulk_waiting != 0);
    door->bulk_waiting -= is_bulk(waiting);
}

/* The API has copied what it keeps when conn_dispatch() returns; the connection may then be at its
 * next request, or gone. */
static void serve(struct conn *conn, const struct head *head, ins_text text, uint64_t now_ns,
                  uint64_t waited_ns) {
    struct front *front = conn->front;
    struct body *body = conn->body;
    conn->body = NULL;
    outbox_pass(front, now_ns);
    conn_dispatch(conn, head, text, now_ns, waited_ns);
    body_free(front, body);
}

/* Tells the client to come again; the connection goes on. */
static void refuse(struct conn *conn, const struct head *head, enum api_refusal why,
                   const char *message) {
    struct front *front = conn->front;
    struct body *body = conn->body;
    conn_enter(conn, CONN_BUSY);
    conn->body = NULL;
    conn->keep_alive = head->keep_alive;
    conn->head_method = head->is_head_method;
    conn->pending = true;
    api_count_refused(front->api, why);
    api_refuse(front->api, conn, 429, DOOR_RETRY_S, message);
    body_free(front, body);
}

static void refuse_late(struct conn *conn, uint64_t waited_ns) {
    char message[160];
    (void)snprintf(message, sizeof(message),
                   "Rate limiting exceeded: the server has more requests than it can serve; this "
                   "one waited for %llu ms",
                   (unsigned long long)(waited_ns / 1000000));
    refuse(conn, &conn->body->head, API_REFUSED_LATE, message);
}

static void refuse_place(struct conn *conn, const struct head *head) {
    char message[160];
    (void)snprintf(message, sizeof(message),
                   "Rate limiting exceeded: %u requests wait, most of them for this collection",
                   conn->front->door.queue.places);
    refuse(conn, head, API_REFUSED_PLACES, message);
}

/* ---- The queue's turns ------------------------------------------------------------------- */

static void post(struct door *door) {
    if (!door->posted) {
        door->posted = true;
        loop_post(door->front->loop, &door->task);
    }
}

/* A large body is next, and this round has had one. */
static bool bulk_must_wait(const struct door *door) {
    const struct waiting *next = queue_next(&door->queue);
    return next != NULL && door->bulk_round == door->front->loop->rounds && is_bulk(next);
}

static void on_check(uv_timer_t *timer) {
    post(timer->data);
}

static void take_turn(struct door *door, struct waiting *waiting, enum queue_verdict verdict,
                      uint64_t now_ns) {
    struct conn *conn = conn_of(waiting);
    struct body *body = conn->body;
    forget(door, waiting);
    if (verdict == QUEUE_LATE) {
        refuse_late(conn, now_ns - waiting->since_ns);
    } else if (verdict == QUEUE_LOST) {
        refuse_place(conn, &body->head);
    } else {
        uint32_t line = waiting->line;
        uint64_t waited_ns = now_ns > waiting->since_ns ? now_ns - waiting->since_ns : 0;
        if (is_bulk(waiting)) {
            door->bulk_round = door->front->loop->rounds;
        }
        serve(conn, &body->head, (ins_text){body->data, body->size}, now_ns, waited_ns);
        queue_charge(&door->queue, line, system_now_ns(NULL) - now_ns);
    }
}

static void door_run(ins_task *task) {
    struct door *door = (struct door *)(void *)((char *)task - offsetof(struct door, task));
    uint64_t start_ns = system_now_ns(NULL);
    uint64_t now_ns = start_ns;
    door->posted = false;
    while (now_ns - start_ns <= DOOR_ROUND_NS && !bulk_must_wait(door) &&
           !api_engine_is_behind(door->front->api)) {
        enum queue_verdict verdict;
        struct waiting *waiting = queue_take(&door->queue, now_ns, &verdict);
        if (waiting == NULL) {
            return;
        }
        take_turn(door, waiting, verdict, now_ns);
        now_ns = system_now_ns(NULL);
    }
    if (queue_is_empty(&door->queue)) {
        return;
    }
    if (api_engine_is_behind(door->front->api)) {
        (void)uv_timer_start(&door->timer, on_check, DOOR_CHECK_MS, 0);
    } else {
        post(door);
    }
}

/* ---- Coming in --------------------------------------------------------------------------- */

/* Large bodies always wait, and others do not wait behind them: what else the round brings goes
 * first, and stays as fast as it is without them. */
static bool is_open(const struct door *door, size_t size, uint64_t now_ns) {
    const struct queue *queue = &door->queue;
    bool others_wait = queue->lost.count != 0 || queue->count != door->bulk_waiting;
    return size <= DOOR_BULK_BYTES && !others_wait &&
           now_ns - door->front->loop->round_ns <= DOOR_ROUND_NS &&
           !api_engine_is_behind(door->front->api);
}

static void stand_in_line(struct conn *conn, const struct head *head, ins_text text,
                          uint32_t line) {
    struct door *door = &conn->front->door;
    bool is_large = text.size > DOOR_BULK_BYTES;
    uint64_t tenant = is_large || line >= QUEUE_SCOPES ? 0 : api_tenant_of(text);
    if (conn->body == NULL) {
        conn->body = body_keep(conn, head, text);
    }
    if (conn->body == NULL) {
        refuse(conn, head, API_REFUSED_MEMORY,
               "Rate limiting exceeded: the memory for request bodies is used up");
        return;
    }
    if (!queue_put(&door->queue, &conn->body->waiting, line, tenant, door->front->loop->round_ns)) {
        refuse_place(conn, &conn->body->head);
        return;
    }
    door->bulk_waiting += is_bulk(&conn->body->waiting);
    conn_enter(conn, CONN_WAIT);
    post(door);
}

void door_enter(struct conn *conn, const struct head *head, ins_text text) {
    struct front *front = conn->front;
    uint64_t now_ns = system_now_ns(NULL), scope = 0;
    if (front->loop->round_ns == 0) {
        front->loop->round_ns = now_ns;
    }
    if (is_open(&front->door, text.size, now_ns)) {
        serve(conn, head, text, now_ns, 0);
        return;
    }
    enum api_kind kind = api_kind_of(head->method, head->path, &scope);
    if (kind == API_SERVICE) {
        serve(conn, head, text, now_ns, 0);
    } else {
        stand_in_line(conn, head, text, queue_line_of(scope, kind == API_WRITE));
    }
}

void door_leave(struct conn *conn) {
    forget(&conn->front->door, &conn->body->waiting);
    queue_leave(&conn->front->door.queue, &conn->body->waiting);
}

void door_init(struct door *door, struct front *front) {
    door->front = front;
    door->task.run = door_run;
    queue_init(&door->queue, front->server->waiting_max);
    INS_ASSERT(uv_timer_init(&front->loop->uv, &door->timer) == 0);
    door->timer.data = door;
}
