/* Answers of one round of a loop, which leave together.
 *
 * Why: the first write wakes a client that sleeps, and costs the waker some microseconds; those
 * that follow at once find it awake. Written as they come, each answer pays for a wake-up, and
 * where processors are few the client runs in the server's place.
 * Path: write_response() -> outbox_take() copies an answer -> outbox_send() at the end of the
 * round, when OUTBOX_ANSWERS_MAX wait, or before a request when one waits for OUTBOX_DELAY_NS. A
 * client alone is answered when its request was, all the same: then the round is over.
 * Invariant: `held` of a connection is true while an answer of its is here; its state is
 * CONN_WRITE, without an output. Threads: the loop's. */
#ifndef INS_SERVER_OUTBOX_H
#define INS_SERVER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_ANSWERS_MAX 16u
#define OUTBOX_BYTES ((size_t)64 << 10)       /* of all */
#define OUTBOX_ANSWER_BYTES ((size_t)8 << 10) /* a larger one is worth a wake-up, not a copy */
#define OUTBOX_DELAY_NS 200000u

struct conn;
struct front;

struct outbox {
    char *memory; /* [OUTBOX_BYTES] */
    size_t used;
    uint64_t since_ns; /* when a request first began behind the oldest; 0 = none did */
    uint32_t count;
    bool sending;
    struct held {
        struct conn *conn; /* NULL: it was closed */
        uint32_t at, size;
    } items[OUTBOX_ANSWERS_MAX];
};

/* Takes an answer of `size` bytes, which are copied. False: it must be written now. */
bool outbox_take(struct conn *conn, const char *data, size_t size);
void outbox_send(struct front *front);
/* A request is about to be served. */
void outbox_pass(struct front *front, uint64_t now_ns);
/* The connection is closing: its answer goes nowhere. */
void outbox_forget(struct conn *conn);

#endif
