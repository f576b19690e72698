/* The control of `noisy`: a process that only sends back what it gets, on the server's cores.
 *
 * A thread asks it at even times, as the victims are asked: open loop, over a connection of its
 * own. Its p99 is what this machine does to any process that waits for a request, whatever the
 * server does: it is the least that a victim's p99 can be compared with. */
#ifndef INS_BENCH_SUITE_ECHO_H
#define INS_BENCH_SUITE_ECHO_H

#include <pthread.h>

#include "bench.h"

#define ECHO_BYTES 1024u
#define ECHO_GAP_NS 4000000ull /* 250 a second, as often as the victims ask in all */

struct echo {
    pid_t process; /* 0 = does not run */
    int fd;        /* connected to it; -1 = not */
    bool started;  /* the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what is below */
    struct latency *into; /* NULL: asked, and not measured */
    bool stop, failed;
};

/* `server`: of which process it shares the cores; 0 = any. False: said on the standard error. */
bool echo_open(struct echo *echo, pid_t server);
void echo_close(struct echo *echo); /* takes a zeroed one */
/* From now on answers count in `into`; NULL: in none. False: it has stopped answering. */
bool echo_measure(struct echo *echo, struct latency *into);

#endif
