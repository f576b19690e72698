/* The server under test: one that the run starts on its own data directory, or any at --url.
 *
 * Also what is read off it: /proc of its process, its own counters, bytes on disk. What a server
 * does not tell is left out of the report, never guessed. */
#ifndef INS_BENCH_SUITE_TARGET_H
#define INS_BENCH_SUITE_TARGET_H

#include "../child.h"
#include "../report.h"

struct target {
    const struct bench_options *options;
    struct child child;
    struct http_server server;
    pid_t pid;      /* 0 = not known */
    bool own;       /* started here: may be stopped, killed, started again */
    char data[600]; /* its data directory; "" = not known */
};

struct target_look {
    uint64_t at_ns;
    struct process_sample process;
    struct server_stats stats;
    struct device_counters device;
    double own_cpu_s; /* of this program */
};

/* `data`: directory for a server of one's own. */
bool target_open(struct target *target, const struct bench_options *options, const char *data);
void target_close(struct target *target);
/* Again from its directory: only with a server of one's own, else false and nothing is said. */
bool target_restart(struct target *target, bool kill_it);

void target_look(const struct target *target, struct target_look *out_look);
/* CPU, memory, switches, faults, descriptors, syncs and device writes from `before` to `after`. */
void target_report(struct report *report, const struct target_look *before,
                   const struct target_look *after);
/* Waits until what is in memory is on disk and no job runs; false when a server cannot tell. */
bool target_settle(const struct target *target, double seconds_max);
/* Waits until no tenant waits for a graph, saying how many do; false when a server cannot tell, or
 * the time is over. */
bool target_index_idle(const struct target *target, double seconds_max);
uint64_t target_disk(const struct target *target);

#endif
