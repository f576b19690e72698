/* Where the doctor's facts come from: this machine and a server on it, or a recording of another.
 *
 * Everything is a text under a name: "proc/meminfo", "sys/block/vda/queue/scheduler", and made ones
 * ("server/metrics", "perf/dtlb", "statfs/<path>", "clock"). A recording is a directory with the
 * texts of two samples, 1/<name> and 2/<name>; a directory's names stand in 1/<name>/.names, a
 * link's target in 1/<name>.link. So what was seen on one host is looked at, and tested, on
 * another. Texts live until source_close. Threads: one. */
#ifndef INS_CLI_DOCTOR_SOURCE_H
#define INS_CLI_DOCTOR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/client.h"

#define SOURCE_NAME_MAX 512
#define SOURCE_TEXT_MAX (16u << 20) /* /proc/PID/maps at the default limit has some 6 MiB */

struct source_text; /* one that was read; in a list */

struct source {
    const char *recording; /* NULL: this machine */
    const char *record_to; /* NULL: nothing is kept */
    unsigned sample;       /* 1 or 2 */
    struct client client;
    bool has_server;
    int pid; /* whose misses "perf/dtlb" counts; 0 = nobody's */
    struct perf_counts *perf;
    struct source_text *texts;
};

/* The text of that name, terminated, or NULL when there is none. */
const char *source_read(struct source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Names in a directory, a line each, or NULL. */
const char *source_names(struct source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Where a symbolic link leads, or NULL. */
const char *source_link(struct source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void source_close(struct source *source);

/* Data-TLB misses of a process's threads, where the machine counts them. */
struct perf_counts *perf_begin(int pid);
void perf_text(const struct perf_counts *perf, char *out, size_t capacity);
void perf_end(struct perf_counts *perf); /* takes NULL */

#endif
