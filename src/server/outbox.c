#include "server/outbox.h"

#include <string.h>

#include "base/assert.h"
#include "server/server_private.h"

bool outbox_take(struct conn *conn, const char *data, size_t size) {
    struct front *front = conn->front;
    struct outbox *outbox = &front->outbox;
    if (outbox->sending || front->stopping || !conn->keep_alive || size > OUTBOX_ANSWER_BYTES) {
        return false;
    }
    INS_ASSERT(outbox->count < OUTBOX_ANSWERS_MAX);
    INS_ASSERT(size <= OUTBOX_BYTES - outbox->used);
    struct held *held = &outbox->items[outbox->count++];
    *held = (struct held){.conn = conn, .at = (uint32_t)outbox->used, .size = (uint32_t)size};
    memcpy(outbox->memory + outbox->used, data, size);
    outbox->used += size;
    INS_ASSERT(!conn->held);
    conn->held = true;
    conn_enter(conn, CONN_WRITE);
    if (outbox->count == OUTBOX_ANSWERS_MAX || OUTBOX_BYTES - outbox->used < OUTBOX_ANSWER_BYTES) {
        outbox_send(
            front); /* not before the copy: what is served from within writes where it was */
    }
    return true;
}

/* What a connection sent meanwhile may be served, and answered, from within: those answers are
 * written at once. */
void outbox_send(struct front *front) {
    struct outbox *outbox = &front->outbox;
    if (outbox->count == 0 || outbox->sending) {
        return;
    }
    outbox->sending = true;
    for (uint32_t i = 0; i < outbox->count; i++) {
        const struct held *held = &outbox->items[i];
        if (held->conn != NULL) {
            held->conn->held = false;
            write_held(held->conn, outbox->memory + held->at, held->size);
        }
    }
    outbox->count = 0;
    outbox->used = 0;
    outbox->since_ns = 0;
    outbox->sending = false;
}

void outbox_pass(struct front *front, uint64_t now_ns) {
    struct outbox *outbox = &front->outbox;
    if (outbox->count == 0) {
        return;
    }
    if (outbox->since_ns == 0) {
        outbox->since_ns = now_ns;
    } else if (now_ns - outbox->since_ns > OUTBOX_DELAY_NS) {
        outbox_send(front);
    }
}

void outbox_forget(struct conn *conn) {
    struct outbox *outbox = &conn->front->outbox;
    for (uint32_t i = 0; conn->held && i < outbox->count; i++) {
        if (outbox->items[i].conn == conn) {
            outbox->items[i].conn = NULL;
            conn->held = false;
        }
    }
    INS_ASSERT(!conn->held);
}
