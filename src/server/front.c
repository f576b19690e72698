/* One event loop's share of the server.
 *
 * Path: loop 0 accepts and gives each socket to a front, as a task of its lane; from then on the
 * connection, its requests' parsing and their answers' writing belong to that front's loop alone.
 * Stop: each front ends what waits, lets what is under way end, and reports that it is quiet.
 * Threads: front_give and front_stop loop 0; what they post, the front's loop. */
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "server/server_private.h"

/* A socket on its way to its front. */
struct arrival {
    ins_task task; /* first: it is cast back */
    struct front *front;
    int socket;
    uint32_t passes;
};

static void arrival_run(ins_task *task) {
    struct arrival *arrival = (struct arrival *)(void *)task;
    struct front *front = arrival->front;
    int socket = arrival->socket;
    uint32_t passes = arrival->passes;
    heap_free(front->heap, arrival, sizeof(*arrival));
    conn_open(front, socket, passes);
}

static bool arrival_post(struct front *front, int socket, uint32_t passes) {
    struct arrival *arrival = heap_alloc(front->heap, sizeof(*arrival));
    if (arrival == NULL) {
        return false;
    }
    *arrival = (struct arrival){
        .task.run = arrival_run, .front = front, .socket = socket, .passes = passes};
    loop_post(front->loop, &arrival->task);
    loop_wake(front->loop);
    return true;
}

void front_give(struct front *front, int socket) {
    if (front->loop->index == 0) {
        conn_open(front, socket, 0);
    } else if (!arrival_post(front, socket, 0)) {
        (void)close(socket);
    }
}

bool front_pass(struct front *front, int socket, uint32_t passes) {
    struct server *server = front->server;
    uint32_t next = front->loop->index + 1;
    return arrival_post(&server->fronts[next < server->front_count ? next : 0], socket, passes);
}

/* ---- Stop -------------------------------------------------------------------------------- */

static void quiet_run(ins_task *task) {
    struct front *front =
        (struct front *)(void *)((char *)task - offsetof(struct front, now_quiet));
    server_front_quiet(front->server);
}

/* Requests wait or are under way, or answers are on their way. */
static bool front_is_busy(const struct front *front) {
    return api_pending(front->api) != 0 || front->lists[CONN_WAIT].first != NULL ||
           front->lists[CONN_WRITE].first != NULL;
}

static void on_stopping(uv_timer_t *timer) {
    struct front *front = timer->data;
    if (uv_now(&front->loop->uv) - front->stop_ms >= STOP_MS) {
        conn_close_all(front); /* their requests still end; the answers go nowhere */
    }
    if (front_is_busy(front)) {
        return;
    }
    (void)uv_timer_stop(timer);
    conn_close_all(front);
    front->now_quiet.run = quiet_run;
    loop_post(&front->server->lanes->loops[0], &front->now_quiet);
    loop_wake(&front->server->lanes->loops[0]);
}

static void stop_run(ins_task *task) {
    struct front *front = (struct front *)(void *)((char *)task - offsetof(struct front, stop));
    outbox_send(front);
    front->stopping = true;
    front->stop_ms = uv_now(&front->loop->uv);
    conn_close_waiting(front);
    (void)uv_timer_start(&front->sweep, on_stopping, 0, STOP_CHECK_MS);
}

void front_stop(struct front *front) {
    front->stop.run = stop_run;
    loop_post(front->loop, &front->stop);
    loop_wake(front->loop);
}

static void round_end(void *context) {
    outbox_send(context);
}

/* ---- Life -------------------------------------------------------------------------------- */

ins_status front_open(struct front *front, struct server *server, uint32_t index,
                      ins_error *error) {
    front->server = server;
    front->loop = &server->lanes->loops[index];
    front->heap = &server->shared.heap;
    INS_ASSERT(uv_timer_init(&front->loop->uv, &front->sweep) == 0);
    front->sweep.data = front;
    door_init(&front->door, front);
    server->lanes->runtime.random(server->lanes->runtime.context, &front->names.next,
                                  sizeof(front->names.next));
    struct api_options options = {.db = server->db,
                                  .runtime = &server->lanes->runtime,
                                  .lane = loop_lane(index),
                                  .shared = &server->shared,
                                  .respond = conn_respond};
    ins_status status = api_open(&options, &front->api, error);
    if (status != INS_OK) {
        return status;
    }
    front->read_buffer = heap_alloc(front->heap, READ_BYTES);
    front->outbox.memory = heap_alloc(front->heap, OUTBOX_BYTES);
    front->loop->round_end = round_end;
    front->loop->round_context = front;
    return front->read_buffer == NULL || front->outbox.memory == NULL
               ? ins_fail(error, INS_FULL, "no memory for the buffers of a loop, %zu bytes",
                          READ_BYTES + OUTBOX_BYTES)
               : INS_OK;
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void front_close(struct front *front) {
    if (front->loop == NULL) {
        return;
    }
    conn_close_all(front);
    uv_walk(&front->loop->uv, close_handle, NULL);
    (void)uv_run(&front->loop->uv, UV_RUN_DEFAULT);
    heap_free(front->heap, front->read_buffer, READ_BYTES);
    heap_free(front->heap, front->outbox.memory, OUTBOX_BYTES);
    gzip_close(front);
    api_close(front->api);
}
