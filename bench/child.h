/* A server of one's own: started on a data directory, stopped, killed. */
#ifndef INS_BENCH_CHILD_H
#define INS_BENCH_CHILD_H

#include "http.h"

struct child {
    pid_t pid; /* 0 = does not run */
    char url[64];
    struct http_server server;
    double listen_s; /* from its start until it listened */
};

/* options->server, or the `insula` of the build that this program is of, into out. */
bool child_program(const struct bench_options *options, char *out, size_t capacity);
/* Starts it on `data` and waits until it listens. False: said on the standard error. */
bool child_start(struct child *child, const struct bench_options *options, const char *data);
/* SIGTERM, or with `kill` SIGKILL, and waits for its end. */
void child_stop(struct child *child, bool kill_it);

#endif
