/* Requests of several sources on one open loop: searches beside writes beside creations.
 *
 * A source says when its next request is due, writes it, and gets its answer. The earliest of all
 * goes first. Each request has an `op` of its source's own, one a connection. */
#ifndef INS_BENCH_SUITE_TRAFFIC_H
#define INS_BENCH_SUITE_TRAFFIC_H

#include "answers.h"

#define TRAFFIC_SOURCES_MAX 4u
#define TRAFFIC_POINTS_MAX 10u
#define TRAFFIC_CONNECTIONS 512u

struct source;

struct op {
    struct source *source;
    uint64_t due_ns;
    int kind; /* the source's own */
    uint32_t tenant;
    struct wire_query query;
    float vector[BENCH_DIM]; /* that query.vector points to */
    bool cold, probe;
    struct wire_point points[TRAFFIC_POINTS_MAX];
    uint64_t writes[TRAFFIC_POINTS_MAX]; /* of answers_write_begin */
    uint32_t count;
    uint64_t bytes;
    bool excused; /* set by `done`: the status, though no 2xx, was wanted */
};

struct source {
    void *context;
    uint64_t (*due)(struct source *source); /* HTTP_NEVER = no more */
    size_t (*make)(struct source *source, struct op *op, char *out);
    void (*done)(struct source *source, struct op *op, const struct http_answer *answer);
    /* May be NULL: a request that goes at once on the connection of an answer; 0 = none. */
    size_t (*follow)(struct source *source, struct op *op, char *out);
};

struct progress {
    const char *what;
    uint64_t start_ns, end_ns, last_ns;
    uint64_t last_count;
};

struct traffic {
    const struct wire *wire;
    struct source *sources[TRAFFIC_SOURCES_MAX];
    uint32_t source_count;
    uint32_t connections; /* 0 = TRAFFIC_CONNECTIONS */
    bool end_on_loss;
    void (*tick)(void *context); /* each second; may be NULL */
    void *tick_context;
    const char *what; /* for the line of progress */
    uint64_t start_ns, end_ns;
    /* out */
    struct http_load load;
    /* its own */
    struct op *ops;
    struct source *chosen;
    struct progress progress;
};

/* Runs until no source has more. False: said on the standard error. */
bool traffic_run(struct traffic *traffic);
/* Requests, lateness of the generator, waiting for connections. */
void traffic_report(const struct traffic *traffic, struct report *report);

/* A line with share done, rate and time left on the standard error, at most one a second; without
 * a terminal one in ten seconds. */
void progress_begin(struct progress *progress, const char *what, uint64_t start_ns,
                    uint64_t end_ns);
void progress_show(struct progress *progress, uint64_t count, double share);
void progress_end(struct progress *progress);

#endif
